#include "mail_wire.h"

#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 76 /* of a line, without its end */
#define LINE	(COLUMNS + 2)

static const char text_header[] = "From: a@example.org\r\nTo: b@example.edu\r\n"
				  "MIME-Version: 1.0\r\nContent-Type: text/plain\r\nSubject: ";
static const char letter_header[] =
    "From: a@example.org\r\nTo: b@example.edu\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"here\"\r\nSubject: ";
static const char attachment[] =
    "\r\n\r\n--here\r\nContent-Type: text/plain\r\n\r\nSee what I found.\r\n"
    "--here\r\nContent-Type: application/octet-stream; name=\"found.bin\"\r\n"
    "Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n";
static const char last[] = "--here--\r\n";

enum mail_protocol
mail_protocol(const char *name)
{
	static const char *const names[] = {"smtp", "pop3", "imap"};

	for (int p = MAIL_SMTP; p <= MAIL_IMAP; p++)
		if (strcmp(name, names[p]) == 0)
			return (enum mail_protocol)p;
	errx(2, "%s: neither smtp, pop3 nor imap", name);
}

static char *
put(char *to, const char *text)
{
	while (*text != '\0')
		*to++ = *text++;
	return to;
}

/* Whole lines of octets that do not compress: those of base64, or of a text with blanks. */
static char *
put_lines(char *to, size_t lines, const char *octets)
{
	const size_t kinds = strlen(octets);
	uint64_t x = 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < lines; i++) {
		for (size_t k = 0; k < COLUMNS; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			*to++ = octets[(x >> 32) % kinds];
		}
		to = put(to, "\r\n");
	}
	return to;
}

struct mailbox
mailbox_open(const char *name)
{
	const char *dash = strchr(name, '-');
	const bool letter = strncmp(name, "letter-", 7) == 0;
	struct mailbox b = {.n = dash == NULL ? 0 : strtoul(dash + 1, NULL, 10)};
	const char *header = letter ? letter_header : text_header;
	const char *middle = letter ? attachment : "\r\n\r\n", *end = letter ? last : "";
	size_t around = strlen(header) + strlen(middle) + strlen(end);
	char *to;

	if ((!letter && strncmp(name, "text-", 5) != 0) || b.n < around + LINE)
		errx(2, "%s: no name of a mailbox", name);
	b.message = malloc(b.n + sizeof(MAIL_DOT));
	if (b.message == NULL)
		err(1, "malloc");
	to = put(b.message, header);
	/* the subject is as long as makes all lines whole */
	for (size_t i = (b.n - around) % LINE; i > 0; i--)
		*to++ = 'x';
	to = put(to, middle);
	to = put_lines(to, (b.n - around) / LINE,
	    letter ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		   : "abcdefghijklmnopqrstuvwxyz    ,");
	to = put(to, end);
	memcpy(to, MAIL_DOT, sizeof(MAIL_DOT));
	return b;
}

size_t
mail_head(enum mail_protocol p, unsigned number, size_t n, char out[MAIL_HEAD_MAX])
{
	const int said = p == MAIL_POP3 ? snprintf(out, MAIL_HEAD_MAX, "+OK %zu octets\r\n", n)
					: snprintf(out, MAIL_HEAD_MAX,
					      "* %u FETCH (BODY[] {%zu}\r\n", number, n);

	return (size_t)said;
}

const char *
mail_tail(enum mail_protocol p)
{
	return p == MAIL_POP3 ? MAIL_DOT : ")\r\n";
}
