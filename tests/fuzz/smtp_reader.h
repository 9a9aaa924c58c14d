/*
 * smtp_reader - one side of an SMTP session as a strict and simple reader sees it: the octets that
 * a client says, and the codes that it is answered with.
 *
 * Written apart from the analyzers, an octet at a time and without a thought of speed, so that it
 * shares no mistake with them. fuzz_gate reads both sides of the gate with it: what comes from the
 * client, and what reaches the server. Header only: a harness is one object.
 */
#ifndef POSTERN_FUZZ_SMTP_READER_H
#define POSTERN_FUZZ_SMTP_READER_H

#include <ctype.h>
#include <strings.h>

#include "fuzz.h"

#define READER_LINE 16384 /* octets of a line that are kept */
#define READER_DUES 256	  /* more replies are never due */

/* What a reply will be the answer to. */
enum due_kind {
	DUE_GREETING,
	DUE_EHLO,
	DUE_COMMAND,
	DUE_DATA,
	DUE_AUTH,
	DUE_TLS,
	DUE_CHUNK,
	DUE_END, /* CR LF . CR LF, or BDAT LAST: the end mark of a message */
};

struct due {
	enum due_kind kind;
	bool sent;     /* DUE_END of the client: the server has got an end mark for it */
	unsigned code; /* and has answered with this */
};

struct reader {
	enum {
		READ_LINES,
		READ_TEXT,  /* behind 354 */
		READ_CHUNK, /* behind BDAT */
		READ_TLS,
	} mode;
	size_t line_max; /* longer commands are none */
	char line[READER_LINE + 1];
	size_t n;  /* octets of the line so far */
	bool sasl; /* the next line answers a 334 */
	uint8_t last[5];
	uint64_t left; /* octets of the chunk */
	bool chunk_last;
	bool binary; /* BODY=BINARYMIME */
	bool cr;     /* the octet before was a CR */
	bool stray;  /* the message has a CR, LF or NUL that is no line end */
	struct due dues[READER_DUES];
	unsigned count;
	/* What the last octet completed. */
	bool got_line, got_end;
};

static inline void
reader_push(struct reader *r, enum due_kind kind)
{
	fuzz_claim(r->count < READER_DUES);
	r->dues[r->count++] = (struct due){.kind = kind};
}

static inline void
reader_init(struct reader *r, size_t line_max)
{
	memset(r, 0, sizeof(*r));
	r->line_max = line_max;
	reader_push(r, DUE_GREETING);
}

static inline bool
reader_verb(const struct reader *r, const char *verb)
{
	size_t n = strlen(verb), from = strspn(r->line, " \t");

	return strncasecmp(r->line + from, verb, n) == 0 && !isalnum((uint8_t)r->line[from + n]);
}

static inline bool
reader_printable(const struct reader *r)
{
	size_t end = r->n >= 2 && r->line[r->n - 2] == '\r' ? r->n - 2 : r->n - 1;

	for (size_t i = 0; i < end; i++)
		if (r->line[i] != '\t' && (r->line[i] < ' ' || r->line[i] > '~'))
			return false;
	return true;
}

/* BDAT count [LAST]; anything else has no octets behind it. */
static inline void
reader_chunk(struct reader *r)
{
	char *rest = r->line + strspn(r->line, " \t") + 4;
	char *digits = rest + strspn(rest, " \t"), *behind = digits;

	if (!isdigit((uint8_t)*digits) || r->n > r->line_max || !reader_printable(r)) {
		reader_push(r, DUE_COMMAND);
		return;
	}
	r->left = strtoull(digits, &behind, 10);
	behind += strspn(behind, " \t");
	r->chunk_last = strncasecmp(behind, "LAST", 4) == 0;
	r->mode = READ_CHUNK;
	reader_push(r, r->chunk_last ? DUE_END : DUE_CHUNK);
}

static inline void
reader_line(struct reader *r)
{
	r->got_line = true;
	if (r->sasl) {
		r->sasl = false;
		reader_push(r, DUE_AUTH);
		return;
	}
	if (reader_verb(r, "BDAT")) {
		reader_chunk(r);
		return;
	}
	if (reader_verb(r, "MAIL")) {
		r->binary = strcasestr(r->line, "BODY=BINARYMIME") != NULL;
		r->stray = r->cr = false;
	}
	reader_push(r, reader_verb(r, "DATA")	    ? DUE_DATA
		       : reader_verb(r, "AUTH")	    ? DUE_AUTH
		       : reader_verb(r, "STARTTLS") ? DUE_TLS
		       : reader_verb(r, "EHLO")	    ? DUE_EHLO
						    : DUE_COMMAND);
}

static inline void
reader_content(struct reader *r, uint8_t c)
{
	if (c == '\0' || (c == '\n' && !r->cr) || (c != '\n' && r->cr))
		r->stray = true;
	r->cr = c == '\r';
}

static inline void
reader_text(struct reader *r, uint8_t c)
{
	reader_content(r, c);
	memmove(r->last, r->last + 1, sizeof(r->last) - 1);
	r->last[sizeof(r->last) - 1] = c;
	if (memcmp(r->last, "\r\n.\r\n", sizeof(r->last)) != 0)
		return;
	r->mode = READ_LINES;
	r->got_end = true;
	reader_push(r, DUE_END);
}

/* Its octets are all there. */
static inline void
reader_chunk_done(struct reader *r)
{
	r->mode = READ_LINES;
	if (!r->chunk_last)
		return;
	r->stray = r->stray || r->cr;
	r->got_end = true;
}

static inline void
reader_octet(struct reader *r, uint8_t c)
{
	r->got_line = r->got_end = false;
	switch (r->mode) {
	case READ_LINES:
		if (r->n < READER_LINE)
			r->line[r->n] = (char)c;
		r->n++;
		if (c != '\n')
			return;
		r->line[r->n < READER_LINE ? r->n : READER_LINE] = '\0';
		reader_line(r);
		r->n = 0;
		if (r->mode == READ_CHUNK && r->left == 0)
			reader_chunk_done(r);
		return;
	case READ_TEXT:
		reader_text(r, c);
		return;
	case READ_CHUNK:
		reader_content(r, c);
		if (--r->left == 0)
			reader_chunk_done(r);
		return;
	case READ_TLS:
		return;
	}
}

/* The oldest due is answered. False: nothing was due. */
static inline bool
reader_answered(struct reader *r, unsigned code, struct due *due)
{
	if (r->count == 0)
		return false;
	*due = r->dues[0];
	memmove(r->dues, r->dues + 1, --r->count * sizeof(r->dues[0]));
	if (due->kind == DUE_DATA && code == 354) {
		r->mode = READ_TEXT;
		r->stray = r->cr = false;
		memcpy(r->last, "\0\0\0\r\n", sizeof(r->last));
	} else if (due->kind == DUE_AUTH && code == 334) {
		r->sasl = true;
	} else if (due->kind == DUE_TLS && code == 220) {
		r->mode = READ_TLS;
	}
	return true;
}

/* A stream of replies: the codes of those that are complete. */
struct replies {
	char line[READER_LINE + 1];
	size_t n;
	unsigned code; /* of the line that was completed last */
};

/* True: the octet completed a reply. */
static inline bool
replies_octet(struct replies *r, uint8_t c)
{
	if (r->n < READER_LINE)
		r->line[r->n] = (char)c;
	r->n++;
	if (c != '\n')
		return false;
	r->line[r->n < READER_LINE ? r->n : READER_LINE] = '\0';
	r->n = 0;
	r->code = (unsigned)strtoul(r->line, NULL, 10);
	return r->line[3] != '-';
}

#endif
