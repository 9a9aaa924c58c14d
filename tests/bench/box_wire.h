/*
 * box_wire - what the two ends of the measurements of POP3 and IMAP share: the messages of a
 * mailbox.
 */
#ifndef POSTERN_BENCH_BOX_WIRE_H
#define POSTERN_BENCH_BOX_WIRE_H

#include <stddef.h>

#define BOX_HEAD_MAX 128

enum box_protocol { BOX_POP3, BOX_IMAP };

/* "pop3", "imap"; ends the program where it is neither. */
enum box_protocol box_protocol(const char *name);

/*
 * A mailbox is named by what is in it: "text-102400", messages of so many octets of plain text;
 * "letter-102400": a text and an attachment in base64.
 */
struct box {
	char *message; /* no line of it begins with a dot, and the last one ends */
	size_t n;
};

/* Ends the program where it is no name of one. */
struct box box_open(const char *name);

/* What a server says in front of message "number" of that size, and behind it. */
size_t box_head(enum box_protocol, unsigned number, size_t n, char out[BOX_HEAD_MAX]);
const char *box_tail(enum box_protocol);

#endif
