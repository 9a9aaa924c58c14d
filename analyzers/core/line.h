/*
 * line - octets to lines, whatever the chunking. Source: RFC 5321 s2.3.8.
 *
 * A line ends at LF; whether a CR stood before it is reported and not assumed, so that nobody
 * downstream mistakes a bare LF for a line end. A line that lies whole in one chunk is handed
 * out as it lies there; only one that is cut is copied. What is longer than the ceiling is
 * counted and not kept.
 */
#ifndef POSTERN_LINE_H
#define POSTERN_LINE_H

#include "core/buf.h"

struct line {
	struct buf held; /* what came in earlier chunks */
	size_t n;	 /* octets of the line so far, kept or not, its end included */
	bool last_cr;	 /* the octet before the next one is a CR */
	bool whole;	 /* the last call handed out a line */
};

enum line_status {
	LINE_MORE,  /* everything was taken */
	LINE_WHOLE, /* *text is the line without its end */
	LINE_NOMEM,
};

/* What was odd about a whole line. */
struct line_marks {
	bool bare_lf;  /* it ended in LF without CR */
	bool bare_cr;  /* a CR inside */
	bool nul;      /* a NUL inside */
	bool too_long; /* longer than the ceiling with its end; *text is empty */
};

void line_init(struct line *, size_t max); /* max: octets of a line with its end */
void line_free(struct line *);

/*
 * Takes octets up to and including the end of one line. *used: how many. *text is good until
 * the next call.
 */
enum line_status line_feed(struct line *, const uint8_t *p, size_t n, size_t *used,
    struct span *text, struct line_marks *marks);

#endif
