#include "tap_mask.h"

#include <string.h>

#include "ftp_gate.h"

/* ---- what an event is ---- */

/* The words behind a verb that are no secret: the mechanism, or who logs in. */
static const struct {
	const char *verb;
	unsigned words;
} named[] = {{"AUTH", 1}, {"AUTHENTICATE", 1}, {"LOGIN", 1}, {"APOP", 1}, {"SITE", 1}};

static struct tap_sense
secret_behind(const char *verb, unsigned words, bool literals)
{
	struct tap_sense sense = {TAP_SECRET, words, literals};

	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (strcmp(verb, named[i].verb) == 0)
			sense.keep += named[i].words;
	/* a line that nobody understands may be a password that came too late */
	if (strcmp(verb, "?") == 0)
		sense.keep = 0;
	return sense;
}

static struct tap_sense
of_command(enum protocol p, const struct an_event *ev)
{
	const struct tap_sense plain = {.sort = TAP_PLAIN};

	switch (p) {
	case PROTOCOL_SMTP:
		return ev->smtp != NULL && ev->smtp->verb != NULL && ev->smtp->verb->secret
			   ? secret_behind(ev->smtp->verb->name, 1, false)
			   : plain;
	case PROTOCOL_FTP:
		return ev->ftp != NULL && ev->ftp->verb != NULL && ftp_is_secret(ev->ftp)
			   ? secret_behind(ev->ftp->verb->name, 1, false)
			   : plain;
	case PROTOCOL_POP3:
		return ev->pop3 != NULL && ev->pop3->verb != NULL && ev->pop3->verb->secret
			   ? secret_behind(ev->pop3->verb->name, 1, false)
			   : plain;
	case PROTOCOL_IMAP:
		return ev->imap != NULL && ev->imap->verb != NULL && ev->imap->verb->secret
			   ? secret_behind(
				 ev->imap->verb->name, ev->kind == EV_COMMAND ? 2 : 0, true)
			   : plain;
	case PROTOCOL_COUNT:
		break;
	}
	return plain;
}

/*
 * Behind a literal the rest of a LOGIN is the password, whatever words there are in it; and of one
 * that was refused all that still comes may be.
 */
static struct tap_sense
of_more(enum protocol p, const struct an_event *ev)
{
	struct tap_sense sense = of_command(p, ev);

	sense.keep = 0;
	return sense;
}

struct tap_sense
tap_mask_sense(enum protocol p, const struct an_event *ev)
{
	switch ((int)ev->kind) {
	case EV_COMMAND:
		return of_command(p, ev);
	case EV_COMMAND_MORE:
		return of_more(p, ev);
	case EV_LITERAL:
		return ev->dir == AN_C2S ? of_more(p, ev) : (struct tap_sense){.sort = TAP_PLAIN};
	case EV_SECRET:
		return (struct tap_sense){.sort = TAP_SECRET};
	case EV_BODY:
		return (struct tap_sense){.sort = TAP_CONTENT};
	default:
		return (struct tap_sense){.sort = TAP_PLAIN};
	}
}

/* ---- where in a line ---- */

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Behind the word that begins at i: a quoted string is one; one without an end may hold all. */
static size_t
word_end(struct span line, size_t i)
{
	const size_t begin = i;

	if (i < line.n && line.p[i] == '"') {
		for (i++; i < line.n && line.p[i] != '"'; i++)
			i += line.p[i] == '\\';
		return i < line.n ? i + 1 : begin;
	}
	while (i < line.n && !is_blank(line.p[i]))
		i++;
	return i;
}

/* Where "{12}" or "{12+}" begins that ends the line; its length: there is none. */
static size_t
announcement(struct span line)
{
	size_t i = line.n;

	if (i == 0 || line.p[--i] != '}')
		return line.n;
	if (i > 0 && (line.p[i - 1] == '+' || line.p[i - 1] == '-'))
		i--;
	while (i > 0 && line.p[i - 1] >= '0' && line.p[i - 1] <= '9')
		i--;
	return i > 0 && line.p[i - 1] == '{' ? i - 1 : line.n;
}

struct tap_range
tap_mask_line(const struct tap_sense *sense, struct span line)
{
	size_t i = 0, end;

	if (sense->sort != TAP_SECRET)
		return (struct tap_range){0, 0};
	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	for (unsigned words = 0; words < sense->keep && i < line.n; words++) {
		while (i < line.n && is_blank(line.p[i]))
			i++;
		i = word_end(line, i);
	}
	while (i < line.n && is_blank(line.p[i]))
		i++;
	end = sense->literals ? announcement(line) : line.n;
	/* quotes stay: what is between them is a string as long as before */
	if (end > i + 1 && line.p[i] == '"' && line.p[end - 1] == '"') {
		i++;
		end--;
	}
	return (struct tap_range){i, end > i ? end : i};
}

void
tap_mask_octets(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != '\r' && p[i] != '\n')
			p[i] = '*';
}

/* ---- quoted ones ---- */

void
tap_secrets_add(struct tap_secrets *all, struct span s)
{
	const unsigned i = all->next % TAP_QUOTED;

	s = span_first(span_trim(s), TAP_QUOTED_MAX);
	if (s.n < TAP_QUOTED_MIN)
		return;
	memcpy(all->p[i], s.p, s.n);
	all->n[i] = (uint8_t)s.n;
	all->next++;
}

/* Where secret i is next, at "from" or behind it. */
static size_t
next_place(const struct tap_secrets *all, unsigned i, struct span s, size_t from)
{
	const struct span rest = span_from(s, from);
	const uint8_t *at = all->n[i] == 0 || rest.n < all->n[i]
				? NULL
				: memmem(rest.p, rest.n, all->p[i], all->n[i]);

	return at == NULL ? s.n : (size_t)(at - s.p);
}

/* Of a secret of which only the beginning is known, the rest of the line is the rest. */
static size_t
place_end(const struct tap_secrets *all, unsigned i, struct span s, size_t from)
{
	size_t end = from + all->n[i];

	while (all->n[i] == TAP_QUOTED_MAX && end < s.n && s.p[end] != '\r' && s.p[end] != '\n')
		end++;
	return end;
}

struct tap_search
tap_secrets_search(const struct tap_secrets *all, struct span s)
{
	struct tap_search search;

	for (unsigned i = 0; i < TAP_QUOTED; i++)
		search.next[i] = next_place(all, i, s, 0);
	return search;
}

struct tap_range
tap_secrets_next(const struct tap_secrets *all, struct span s, struct tap_search *search)
{
	struct tap_range found = {s.n, s.n};
	bool more = true;

	for (unsigned i = 0; i < TAP_QUOTED; i++)
		if (search->next[i] < found.from)
			found.from = found.to = search->next[i];
	while (more) {
		more = false;
		for (unsigned i = 0; i < TAP_QUOTED; i++) {
			const size_t from = search->next[i];
			size_t end;

			if (from == s.n || from > found.to)
				continue;
			end = place_end(all, i, s, from);
			found.to = end > found.to ? end : found.to;
			search->next[i] = next_place(all, i, s, from + 1);
			more = true;
		}
	}
	return found;
}
