#include "starttls_preamble.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/line.h"
#include "core/reply.h"

#define LINE_OCTETS 4096 /* of a server's line, its end included */
#define LINES_MAX   256	 /* of a reply */

/* One exchange: what is said (NULL: nothing, it is the greeting), and what the answer has to be. */
struct exchange {
	const char *command;
	unsigned code;	     /* SMTP, FTP: the reply's */
	const char *word;    /* POP3, IMAP: what the answer begins with */
	const char *keyword; /* that a line of the reply must have; NULL: none */
	bool may_fail;
};

/* The tag is no client's: nothing of theirs has been said. */
#define TAG "postern"

static const struct exchange smtp_rows[] = {{.code = 220},
    {.command = "EHLO", .code = 250, .keyword = "STARTTLS"}, {.command = "STARTTLS", .code = 220}};
static const struct exchange ftp_rows[] = {{.code = 220}, {.command = "AUTH TLS", .code = 234},
    {.command = "PBSZ 0", .code = 200, .may_fail = true},
    {.command = "PROT P", .code = 200, .may_fail = true}};
static const struct exchange pop3_rows[] = {{.word = "+OK"}, {.command = "STLS", .word = "+OK"}};
static const struct exchange imap_rows[] = {
    {.word = "* OK"}, {.command = TAG " STARTTLS", .word = TAG " OK"}};

static const struct dialogue {
	const struct exchange *rows;
	size_t n, in_clear; /* exchanges; of them, those ahead of TLS, the greeting among them */
} dialogues[PROTOCOL_COUNT] = {
    [PROTOCOL_SMTP] = {smtp_rows, 3, 3},
    [PROTOCOL_FTP] = {ftp_rows, 4, 2},
    [PROTOCOL_POP3] = {pop3_rows, 2, 2},
    [PROTOCOL_IMAP] = {imap_rows, 2, 2},
};

struct starttls_preamble {
	enum protocol protocol;
	struct ip from;
	size_t at; /* the exchange whose answer is waited for */
	size_t octets;
	bool private;
	const char *why;
	struct reply reply; /* SMTP, FTP */
	struct line line;   /* POP3, IMAP */
	struct buf greeting;
};

static bool
has_codes(const struct starttls_preamble *p)
{
	return p->protocol == PROTOCOL_SMTP || p->protocol == PROTOCOL_FTP;
}

struct starttls_preamble *
preamble_new(enum protocol protocol, const struct ip *from)
{
	struct starttls_preamble *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->protocol = protocol;
	p->from = *from;
	if (protocol == PROTOCOL_FTP)
		reply_init_free_lines(&p->reply, LINE_OCTETS, LINES_MAX, PREAMBLE_MAX);
	else
		reply_init(&p->reply, LINE_OCTETS, LINES_MAX, PREAMBLE_MAX);
	line_init(&p->line, LINE_OCTETS);
	buf_init(&p->greeting, PREAMBLE_MAX);
	return p;
}

void
preamble_free(struct starttls_preamble *p)
{
	if (p == NULL)
		return;
	reply_free(&p->reply);
	line_free(&p->line);
	buf_free(&p->greeting);
	free(p);
}

static enum preamble_step
fail(struct starttls_preamble *p, const char *why)
{
	p->why = why;
	return PREAMBLE_FAILED;
}

/* ---- what is said ---- */

/* RFC 5321 s4.1.3: whoever has no name says its address. */
static void
say(const struct starttls_preamble *p, struct buf *out)
{
	const struct exchange *x = &dialogues[p->protocol].rows[p->at];
	char address[IP_TEXT_MAX], literal[IP_TEXT_MAX + sizeof(" [IPv6:]")];

	buf_str(out, x->command);
	if (p->protocol == PROTOCOL_SMTP && x->code == 250) {
		snprintf(literal, sizeof(literal), " [%s%s]",
		    p->from.family == IP_V6 ? "IPv6:" : "", ip_text(&p->from, address));
		buf_str(out, literal);
	}
	buf_str(out, "\r\n");
}

static enum preamble_step
go_on(struct starttls_preamble *p, struct buf *out)
{
	const struct dialogue *d = &dialogues[p->protocol];

	if (p->at == d->n)
		return PREAMBLE_DONE;
	say(p, out);
	return out->failed ? fail(p, "no_memory") : PREAMBLE_MORE;
}

/* ---- what is answered ---- */

/* "* OK [CAPABILITY ...] ready" without what is in brackets. */
static bool
keep_without_code(struct buf *greeting, struct span line)
{
	struct span text = span_from(line, strlen("* OK"));
	ptrdiff_t end = span_find(text, ']');

	text = span_trim(text);
	if (text.n > 0 && text.p[0] == '[' && end >= 0)
		text = span_trim(span_from(text, (size_t)span_find(text, ']') + 1));
	return buf_add(greeting, span_str("* OK ")) &&
	       buf_add(greeting, text.n > 0 ? text : span_str("ready")) &&
	       buf_add(greeting, span_str("\r\n"));
}

static bool
keep_greeting(struct starttls_preamble *p, struct span answer)
{
	if (p->protocol == PROTOCOL_IMAP)
		return keep_without_code(&p->greeting, answer);
	return buf_add(&p->greeting, answer) &&
	       (has_codes(p) || buf_add(&p->greeting, span_str("\r\n")));
}

static bool
has_keyword(struct span reply, const char *keyword)
{
	while (reply.n > 0) {
		ptrdiff_t lf = span_find(reply, '\n');
		size_t n = lf < 0 ? reply.n : (size_t)lf + 1;
		struct span words = span_rtrim(span_from(span_first(reply, n), 4));

		if (span_ieq(span_word(&words), span_str(keyword)))
			return true;
		reply = span_from(reply, n);
	}
	return false;
}

static bool
is_right(const struct exchange *x, unsigned code, struct span answer)
{
	if (x->word != NULL)
		return span_istarts(answer, span_str(x->word));
	return code == x->code && (x->keyword == NULL || has_keyword(answer, x->keyword));
}

/* code 0: POP3, IMAP, whose line has no end. behind: octets that came behind it. */
static enum preamble_step
answered(
    struct starttls_preamble *p, unsigned code, struct span answer, size_t behind, struct buf *out)
{
	const struct dialogue *d = &dialogues[p->protocol];
	const struct exchange *x = &d->rows[p->at];
	bool right = is_right(x, code, answer);

	if (!right && !x->may_fail)
		return fail(p, p->at == 0 ? "server_refused" : "tls_rejected");
	if (p->at == 0 && !keep_greeting(p, answer))
		return fail(p, "no_memory");
	p->private = p->protocol == PROTOCOL_FTP && p->at == d->n - 1 && right;
	p->at++;
	if (p->at != d->in_clear)
		return go_on(p, out);
	return behind > 0 ? fail(p, "server_ahead_of_tls") : PREAMBLE_TLS;
}

/* *used: how much of it. An answer that is not whole yet is PREAMBLE_MORE. */
static enum preamble_step
feed_reply(struct starttls_preamble *p, struct span in, size_t *used, struct buf *out)
{
	struct reply_found found;

	switch (reply_feed(&p->reply, in.p, in.n, used, &found)) {
	case REPLY_MORE:
		return PREAMBLE_MORE;
	case REPLY_NOMEM:
		return fail(p, "no_memory");
	case REPLY_BAD:
		return fail(p, "server_protocol");
	case REPLY_WHOLE:
		break;
	}
	if (found.code < 200)
		return PREAMBLE_MORE;
	return answered(p, found.code, found.octets, in.n - *used, out);
}

static enum preamble_step
feed_line(struct starttls_preamble *p, struct span in, size_t *used, struct buf *out)
{
	struct line_marks marks;
	struct span line;

	switch (line_feed(&p->line, in.p, in.n, used, &line, &marks)) {
	case LINE_NOMEM:
		return fail(p, "no_memory");
	case LINE_MORE:
		return PREAMBLE_MORE;
	case LINE_WHOLE:
		break;
	}
	/* of IMAP there may be others ahead of the answer: they are nobody's */
	if (p->protocol == PROTOCOL_IMAP && p->at > 0 && span_starts(line, span_str("* ")))
		return PREAMBLE_MORE;
	return answered(p, 0, line, in.n - *used, out);
}

enum preamble_step
preamble_feed(struct starttls_preamble *p, const uint8_t *octets, size_t n, struct buf *out)
{
	struct span in = span_of(octets, n);
	enum preamble_step step = PREAMBLE_MORE;

	p->octets += n;
	if (p->octets > PREAMBLE_MAX)
		return fail(p, "server_protocol");
	while (step == PREAMBLE_MORE && in.n > 0) {
		size_t used = 0;

		step = has_codes(p) ? feed_reply(p, in, &used, out) : feed_line(p, in, &used, out);
		in = span_from(in, used);
	}
	return step == PREAMBLE_DONE && in.n > 0 ? fail(p, "server_protocol") : step;
}

enum preamble_step
preamble_secured(struct starttls_preamble *p, struct buf *out)
{
	return go_on(p, out);
}

const char *
preamble_why(const struct starttls_preamble *p)
{
	return p->why;
}

struct span
preamble_greeting(const struct starttls_preamble *p)
{
	return buf_span(&p->greeting);
}

bool
preamble_data_is_private(const struct starttls_preamble *p)
{
	return p->private;
}
