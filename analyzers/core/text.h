/*
 * text - the octets of a message on the wire: line ends, stuffed dots, the end mark, strays.
 * Sources: RFC 5321 s2.3.8, s4.1.1.4, s4.5.2; RFC 1939 s3.
 *
 * Only CR LF ends a line, and only CR LF "." CR LF (or "." CR LF as the first line) ends the
 * text. A CR, LF or NUL that is not part of a CR LF pair is a stray: it is handed out alone, with
 * its name, so that the caller can refuse the message or put something harmless in its place.
 * When strays stand around a dot so that some other parser might take them for an end mark, the
 * whole sequence is named ("LF . CR LF"): the ground that SMTP smuggling grows on.
 *
 * Streaming, no allocation. Content comes out as spans of the input wherever it lies there; a
 * CR that ended one chunk comes out of a constant.
 */
#ifndef POSTERN_TEXT_H
#define POSTERN_TEXT_H

#include "core/anomaly.h"
#include "core/span.h"

#define TEXT_SEQUENCE_MAX 64 /* of the name of a sequence, with its NUL */

enum text_what {
	TEXT_MORE,  /* everything was taken, nothing came out */
	TEXT_RUN,   /* content */
	TEXT_STRAY, /* content of one octet, with its anomaly; empty when that CR was content
		       already */
	TEXT_ODD,   /* anomaly without content: AN_SMUGGLING, AN_LONG_BODY_LINE, AN_EIGHT_BIT */
	TEXT_END,   /* the end mark */
};

struct text_event {
	enum text_what what;
	enum an_anomaly anomaly;
	struct span content;
	bool line_start;      /* the first octet of content stands at the start of a line */
	bool stuffed;	      /* a stuffed dot stood before content; it is not in content */
	const char *sequence; /* of AN_SMUGGLING; good until the next feed */
	/*
	 * Of AN_EIGHT_BIT and AN_LONG_BODY_LINE, however the octets came: so many ahead of the end
	 * of what was taken stands the first octet above 0x7f, or ended the first line that is too
	 * long.
	 */
	uint64_t behind;
};

struct text {
	bool dots; /* dot-stuffed, with an end mark; else only lines are looked at */
	int state;
	size_t line_max; /* longer lines (with their CR LF) are odd; 0: none is */
	size_t line_n;	 /* octets of the current line */
	bool eight_bit;	 /* an octet above 0x7f went by */
	bool long_line;	 /* a line longer than line_max did */
	uint64_t at;	 /* octets ahead of those that are looked at */
	uint64_t eight_bit_at, long_line_at; /* of the first of each, where it was not said yet */
	bool said_long, said_eight_bit;
	bool stuffed;	 /* a dot was taken away, its line has not come out yet */
	uint8_t past[8]; /* the last octets of earlier chunks, for the name of a sequence */
	size_t past_n;
	uint8_t odd[16]; /* special octets around a stray */
	size_t odd_n;
	char sequence[TEXT_SEQUENCE_MAX];
};

/* eight_bit_ok: octets above 0x7f are not odd. */
void text_init(struct text *, bool dots, size_t line_max, bool eight_bit_ok);

/* Takes octets up to and including one event; *used: how many. */
void text_feed(struct text *, const uint8_t *p, size_t n, size_t *used, struct text_event *ev);

/* n octets are missing here: what comes next stands within a line, and no sequence goes across. */
void text_resume(struct text *, uint64_t n);

/*
 * Without dots: the octets end here for now (a chunk is complete). True: *ev is what is odd about
 * them, or a run with the CR that was held back; if the next octet is no LF, it is a stray all the
 * same. To be called until it is false.
 */
bool text_flush(struct text *, struct text_event *ev);

/*
 * Without dots: the octets end here for good. True: *ev is what only their end tells: a CR that
 * no LF follows (TEXT_STRAY) or the name of a sequence that stands last (TEXT_ODD); to be called
 * until it is false.
 */
bool text_finish(struct text *, struct text_event *ev);

#endif
