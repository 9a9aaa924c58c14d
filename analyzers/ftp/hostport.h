/*
 * hostport - addresses of data connections as FTP writes them.
 * Sources: RFC 959 s4.1.2 (PORT), s5.3.1 (227), RFC 1123 s4.1.2.6, RFC 2428 (EPRT, EPSV, 229).
 *
 * Read strictly: five commas and no more, decimal octets of at most three digits and at most 255,
 * no blank, no sign within. What is read is always written again in its canonical form.
 */
#ifndef POSTERN_FTP_HOSTPORT_H
#define POSTERN_FTP_HOSTPORT_H

#include "core/ip.h"

struct ftp_hostport {
	struct ip ip;  /* IP_NONE: of the control connection's peer (229) */
	uint16_t port; /* never 0 where a function says it was read */
};

enum ftp_hostport_fault {
	FTP_HOSTPORT_OK,
	FTP_HOSTPORT_SYNTAX, /* 501 */
	FTP_HOSTPORT_FAMILY, /* EPRT, EPSV: a network protocol that is neither 1 nor 2: 522 */
};

/* The argument of PORT, blanks around it trimmed: "h1,h2,h3,h4,p1,p2". */
enum ftp_hostport_fault ftp_port_parse(struct span args, struct ftp_hostport *out);
/* Of EPRT: "|1|192.0.2.1|1024|", any delimiter from 33 to 126. */
enum ftp_hostport_fault ftp_eprt_parse(struct span args, struct ftp_hostport *out);

enum ftp_epsv { FTP_EPSV_ANY, FTP_EPSV_V4, FTP_EPSV_V6, FTP_EPSV_ALL };
/* Of EPSV: empty, "1", "2", "ALL" in any case. */
enum ftp_hostport_fault ftp_epsv_parse(struct span args, enum ftp_epsv *out);

/*
 * The text of a 227, behind the code: the address in brackets, or, without any bracket, from the
 * first digit on (RFC 1123 s4.1.2.6). Of a 229: "(|||port|)" with any delimiter, nothing else.
 * False: there is none.
 */
bool ftp_227_parse(struct span text, struct ftp_hostport *out);
bool ftp_229_parse(struct span text, struct ftp_hostport *out);

#define FTP_HOSTPORT_MAX 80 /* octets of any of these with a NUL */
/* Each writes its text with a NUL and returns it. IPv4 only: port, 227. */
const char *ftp_port_text(
    const struct ftp_hostport *, char text[FTP_HOSTPORT_MAX]); /* 192,0,2,1,4,0 */
const char *ftp_eprt_text(
    const struct ftp_hostport *, char text[FTP_HOSTPORT_MAX]); /* |1|192.0.2.1|1024| */
const char *ftp_227_text(
    const struct ftp_hostport *, char text[FTP_HOSTPORT_MAX]); /* (192,0,2,1,4,0) */
const char *ftp_229_text(const struct ftp_hostport *, char text[FTP_HOSTPORT_MAX]); /* (|||1024|) */

#endif
