/*
 * parsers - does the same piece of parsing so many times, for somebody who counts instructions.
 *
 *	parsers smtp|pop3|imap|ftp TIMES		a dialogue of one message or file
 *	parsers segments TIMES				of TCP, in order, 1448 octets each
 *	parsers tree|all FILE TIMES			a message: its parts; and all that records
 *say
 *
 * What is done once (libmagic's database) falls out where two runs are subtracted. Prints what was
 * found in one of them, by which one knows that it was parsed: events, octets, or parts and octets.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include "ftp/ftp.h"
#include "imap/imap.h"
#include "mime/analyzers_init.h"
#include "mime/mail.h"
#include "net/frame.h"
#include "pop3/pop3.h"
#include "smtp/smtp.h"
#include "tcp/connections.h"

#define PIECE ((size_t)64 << 10)

/* ---- dialogues ---- */

struct said {
	enum an_dir by;
	const char *octets;
};

#define LINE	 "The quick report about our apples was sent to everybody who asked.\r\n"
#define LINES_4	 LINE LINE LINE LINE
#define LINES_16 LINES_4 LINES_4 LINES_4 LINES_4
#define MESSAGE                                                                                    \
	"From: anna@good.example\r\nTo: otto@campus.example\r\nSubject: apples\r\n\r\n" LINES_16   \
	"..a line with a dot\r\n" LINES_16 LINES_16

static const struct said smtp_said[] = {
    {AN_S2C, "220 mx.campus.example ESMTP\r\n"},
    {AN_C2S, "EHLO client.good.example\r\n"},
    {AN_S2C, "250-mx.campus.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250 8BITMIME\r\n"},
    {AN_C2S, "MAIL FROM:<anna@good.example> SIZE=4000 BODY=8BITMIME\r\n"},
    {AN_S2C, "250 2.1.0 Ok\r\n"},
    {AN_C2S, "RCPT TO:<otto@campus.example>\r\n"},
    {AN_S2C, "250 2.1.5 Ok\r\n"},
    {AN_C2S, "DATA\r\n"},
    {AN_S2C, "354 go on\r\n"},
    {AN_C2S, MESSAGE ".\r\n"},
    {AN_S2C, "250 2.0.0 Ok: queued\r\n"},
    {AN_C2S, "QUIT\r\n"},
    {AN_S2C, "221 2.0.0 Bye\r\n"},
    {0},
};
static const struct said pop3_said[] = {
    {AN_S2C, "+OK ready\r\n"},
    {AN_C2S, "USER otto\r\n"},
    {AN_S2C, "+OK\r\n"},
    {AN_C2S, "PASS secret\r\n"},
    {AN_S2C, "+OK in\r\n"},
    {AN_C2S, "LIST\r\n"},
    {AN_S2C, "+OK\r\n1 3400\r\n2 120\r\n3 1700\r\n.\r\n"},
    {AN_C2S, "RETR 1\r\n"},
    {AN_S2C, "+OK\r\n" MESSAGE ".\r\n"},
    {AN_C2S, "QUIT\r\n"},
    {AN_S2C, "+OK bye\r\n"},
    {0},
};
static const struct said imap_said[] = {
    {AN_S2C, "* OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE] ready\r\n"},
    {AN_C2S, "a1 LOGIN otto secret\r\n"},
    {AN_S2C, "a1 OK in\r\n"},
    {AN_C2S, "a2 SELECT INBOX\r\n"},
    {AN_S2C, "* FLAGS (\\Seen \\Deleted)\r\n* 9 EXISTS\r\n* 0 RECENT\r\n"
	     "a2 OK [READ-WRITE] done\r\n"},
    {AN_C2S, "a3 UID FETCH 7 (FLAGS UID BODY.PEEK[])\r\n"},
    {AN_S2C, "* 1 FETCH (FLAGS (\\Seen) UID 7 BODY[] {1000}\r\n"},
    {AN_S2C, LINES_4 LINES_4 LINES_4 LINE LINE "1234567890123456789012345678901234567890"
					       "12345678)\r\n"},
    {AN_S2C, "a3 OK done\r\n"},
    {AN_C2S, "a4 LOGOUT\r\n"},
    {AN_S2C, "* BYE\r\na4 OK bye\r\n"},
    {0},
};
static const struct said ftp_said[] = {
    {AN_S2C, "220-files.campus.example\r\n220 ready\r\n"},
    {AN_C2S, "USER anna\r\n"},
    {AN_S2C, "331 go on\r\n"},
    {AN_C2S, "PASS secret\r\n"},
    {AN_S2C, "230 in\r\n"},
    {AN_C2S, "TYPE I\r\n"},
    {AN_S2C, "200 ok\r\n"},
    {AN_C2S, "CWD pub/apples\r\n"},
    {AN_S2C, "250 ok\r\n"},
    {AN_C2S, "PASV\r\n"},
    {AN_S2C, "227 Entering Passive Mode (192,0,2,1,156,65)\r\n"},
    {AN_C2S, "RETR report.pdf\r\n"},
    {AN_S2C, "150 here it comes\r\n"},
    {AN_S2C, "226 done\r\n"},
    {AN_C2S, "QUIT\r\n"},
    {AN_S2C, "221 bye\r\n"},
    {0},
};

/* How many events one such dialogue has; all of its octets are taken, none has to wait. */
#define TALK(protocol)                                                                             \
	static unsigned protocol##_talk(void)                                                      \
	{                                                                                          \
		struct protocol *a = protocol##_new(NULL);                                         \
		unsigned events = 0;                                                               \
                                                                                                   \
		for (const struct said *s = protocol##_said; s->octets != NULL; s++) {             \
			struct span left = span_str(s->octets);                                    \
			enum an_status status;                                                     \
			struct an_event ev;                                                        \
			size_t used;                                                               \
                                                                                                   \
			while ((status = protocol##_feed(a, s->by, left.p, left.n, &used, &ev)) == \
			       AN_EVENT) {                                                         \
				events += ev.anomaly == AN_NONE ? 1 : 1000;                        \
				left = span_from(left, used);                                      \
			}                                                                          \
			if (status != AN_MORE)                                                     \
				errx(1, #protocol ": not understood: %s", s->octets);              \
		}                                                                                  \
		protocol##_free(a);                                                                \
		return events;                                                                     \
	}
TALK(smtp)
TALK(pop3)
TALK(imap)
TALK(ftp)

static const struct {
	const char *name;
	unsigned (*talk)(void);
} talks[] = {{"smtp", smtp_talk}, {"pop3", pop3_talk}, {"imap", imap_talk}, {"ftp", ftp_talk}};
#define TALKS (sizeof(talks) / sizeof(talks[0]))

/* False: it is no protocol. */
static bool
dialogues(const char *name, unsigned long times)
{
	for (size_t i = 0; i < TALKS; i++) {
		if (strcmp(talks[i].name, name) != 0)
			continue;
		for (unsigned long n = 1; n < times; n++)
			talks[i].talk();
		printf("%u\n", talks[i].talk());
		return true;
	}
	return false;
}

/* ---- segments ---- */

#define PAYLOAD 1448u
#define PACKET	(20 + 20 + PAYLOAD)

static void
put(uint8_t *p, uint32_t v, unsigned octets)
{
	for (unsigned i = 0; i < octets; i++)
		p[i] = (uint8_t)(v >> 8 * (octets - 1 - i));
}

static void
happened(void *arg, struct connection *c, const struct connection_event *ev)
{
	uint64_t *taken = arg;

	(void)c;
	if (ev->what == CONNECTION_OCTETS)
		*taken += ev->n;
}

static bool
server_port(void *arg, uint16_t port)
{
	(void)arg;
	return port == 25;
}

/* So many segments of one connection, as a capture has them. */
static void
segments(unsigned long times)
{
	static const uint8_t head[] = {0x45, 0, PACKET >> 8, PACKET & 255, 0, 0, 0x40, 0, 64, 6, 0,
	    0, 10, 0, 0, 1, 192, 0, 2, 1, 4, 0, 0, 25, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 255,
	    255};
	uint8_t octets[PACKET] = {0};
	uint64_t taken = 0;
	struct connections_env env = {.happened = happened,
	    .server_port = server_port,
	    .arg = &taken,
	    .memory = CONNECTIONS_MEMORY_MIN};
	struct connections *cs = connections_new(&env);
	struct packets *ps = packets_new(env.seed);
	struct packet packet;

	if (cs == NULL || ps == NULL)
		errx(1, "no memory");
	memcpy(octets, head, sizeof(head));
	for (unsigned long n = 0; n < times; n++) {
		put(octets + 24, (uint32_t)(n * PAYLOAD), 4);
		if (packets_read(ps, span_of(octets, sizeof(octets)), n, &packet) == PACKET_WHOLE)
			connections_read(cs, &packet, n);
	}
	connections_end(cs);
	connections_free(cs);
	packets_free(ps);
	printf("%ju\n", (uintmax_t)taken / times);
}

/* ---- messages ---- */

static struct span
read_whole(const char *path)
{
	static uint8_t message[1u << 20];
	FILE *f = fopen(path, "rb");
	size_t n = f == NULL ? 0 : fread(message, 1, sizeof(message), f);

	if (n == 0 || n == sizeof(message))
		err(1, "%s", path);
	fclose(f);
	return span_of(message, n);
}

/* Digests are OpenSSL's, and differ by the processor. */
static void
messages(bool all, struct span message, unsigned long times)
{
	struct mail_options options;
	uint64_t octets = 0;
	size_t parts = 0;

	mail_options_default(&options);
	options.sha256 = false;
	options.types = options.archives = options.urls = all;
	for (unsigned long n = 0; n < times; n++) {
		struct mail *m = mail_new(&options);

		for (struct span s = message; s.n > 0; s = span_from(s, PIECE))
			mail_feed(m, span_first(s, PIECE));
		mail_finish(m);
		if (mail_broken(m))
			errx(1, "no memory");
		parts = mail_parts(m);
		octets = 0;
		for (size_t i = 0; i < parts; i++)
			octets += mail_part(m, i)->shape == MIME_LEAF ? mail_part(m, i)->size : 0;
		mail_free(m);
	}
	printf("%zu %ju\n", parts, (uintmax_t)octets);
}

int
main(int argc, char **argv)
{
	const unsigned long times = argc < 3 ? 0 : strtoul(argv[argc - 1], NULL, 10);
	const char *why;

	if (times == 0)
		errx(2, "usage: parsers smtp|pop3|imap|ftp|segments TIMES, parsers tree|all FILE "
			"TIMES");
	if (strcmp(argv[1], "segments") == 0) {
		segments(times);
	} else if (argc == 4) {
		if (!analyzers_init(false, &why))
			errx(1, "%s", why);
		messages(strcmp(argv[1], "all") == 0, read_whole(argv[2]), times);
		analyzers_end();
	} else if (!dialogues(argv[1], times)) {
		errx(2, "%s: no such thing", argv[1]);
	}
	return 0;
}
