/*
 * reply - three-digit replies of a server, single and multi-line. Source: RFC 5321 s4.2.
 *
 * Hands out a reply when its last line is there, all lines together, so that whoever decides on
 * it sees the code that counts (the last line's). Bounded in lines and octets; what is no reply
 * is named, and the stream is not to be trusted any further.
 */
#ifndef POSTERN_REPLY_H
#define POSTERN_REPLY_H

#include "core/anomaly.h"
#include "core/line.h"

struct reply {
	struct line line;
	struct buf text; /* the lines so far, each with CR LF */
	size_t lines, lines_max;
	unsigned code; /* of the first line */
	bool mixed, whole;
};

enum reply_status {
	REPLY_MORE,
	REPLY_WHOLE,
	REPLY_BAD, /* *what: AN_INVALID_REPLY, AN_REPLY_LINE_TOO_LONG, AN_REPLY_TOO_LONG */
	REPLY_NOMEM,
};

struct reply_found {
	unsigned code; /* of the last line */
	size_t lines;
	struct span octets;   /* all lines with their CR LF; good until the next call */
	enum an_anomaly what; /* AN_NONE, AN_MIXED_REPLY, or why it is bad */
};

void reply_init(struct reply *, size_t line_max, size_t lines_max, size_t max);
void reply_free(struct reply *);
enum reply_status reply_feed(
    struct reply *, const uint8_t *p, size_t n, size_t *used, struct reply_found *found);

/* Code and enhanced code ("5.7.1", or empty) of a reply line, and the text behind them. */
unsigned reply_code(struct span line);
struct span reply_enhanced(struct span line, struct span *text);

#endif
