/*
 * ftp_wire - what the two ends of the FTP measurements share: the octets of a file, and lines.
 */
#ifndef POSTERN_BENCH_FTP_WIRE_H
#define POSTERN_BENCH_FTP_WIRE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_PIECE ((size_t)65521) /* a prime: no buffer of a gateway is as long */

/*
 * Every file is this piece again and again: whoever receives one can tell at once what is wrong, a
 * buffer too many or in the wrong place, too.
 */
const uint8_t *wire_piece(void);

/* Sends n octets of a file; false: the connection broke. */
bool wire_send_file(int fd, uint64_t n);
/* Reads to the end; *n octets came. False: it broke, or they are not those of a file. */
bool wire_receive_file(int fd, uint64_t *n);

struct wire_lines {
	int fd;
	char held[4096];
	size_t begin, end;
};

/* The next line without its end, good until the next call; NULL: there is none. */
const char *wire_line(struct wire_lines *);
bool wire_say(int fd, const char *text);

/* A socket that listens, and connects; *at says where. -1: errno. */
int wire_listen(struct sockaddr_in *at);
int wire_connect(const struct sockaddr_in *to);

/* "ADDRESS:PORT"; ends the program where it is none. */
struct sockaddr_in wire_endpoint(const char *text);

/* What FTP says for it, "192,0,2,1,4,0" or "192.0.2.1|1024|": numbers, with anything between and
 * around them. */
struct sockaddr_in wire_six(const char *text);
struct sockaddr_in wire_extended(const char *text);

#endif
