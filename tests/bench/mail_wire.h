/*
 * mail_wire - what the two ends of the measurements of mail share: the messages of a mailbox.
 */
#ifndef POSTERN_BENCH_MAIL_WIRE_H
#define POSTERN_BENCH_MAIL_WIRE_H

#include <stddef.h>

#define MAIL_HEAD_MAX 128
#define MAIL_DOT      ".\r\n"
#define MAIL_SERVER   "mx.campus.example" /* what certificates are for */

enum mail_protocol { MAIL_SMTP, MAIL_POP3, MAIL_IMAP };

/* "smtp", "pop3", "imap"; ends the program where it is none. */
enum mail_protocol mail_protocol(const char *name);

/*
 * A mailbox is named by what is in it: "text-102400", messages of so many octets of plain text;
 * "letter-102400": a text and an attachment in base64.
 */
struct mailbox {
	char *message; /* no line of it begins with a dot, and the last one ends; then MAIL_DOT */
	size_t n;      /* without that */
};

/* Ends the program where it is no name of one. */
struct mailbox mailbox_open(const char *name);

/* What a server of POP3 or IMAP says in front of message "number" of that size, and behind it. */
size_t mail_head(enum mail_protocol, unsigned number, size_t n, char out[MAIL_HEAD_MAX]);
const char *mail_tail(enum mail_protocol);

#endif
