/*
 * reply - three-digit replies of a server, single and multi-line.
 * Sources: RFC 5321 s4.2; RFC 959 s4.2 (free lines), RFC 854 and 1123 s4.1.2.12 (TELNET in them).
 *
 * Hands out a reply when its last line is there, all lines together, so that whoever decides on
 * it sees the code that counts (the last line's). Bounded in lines and octets; what is no reply
 * is named, and the stream is not to be trusted any further.
 *
 * With free lines (FTP) a reply of several lines ends only at a line with the same code and a
 * blank, or with the code alone; whatever stands between is text. TELNET sequences are taken out,
 * IAC IAC is one octet 255. A line that ends in a bare LF, or has a CR or a NUL inside (a blank
 * stands in its place), is named and taken: whoever passes such a reply on writes it anew. Who only
 * looks on may take lines that end in a bare LF without free lines, too (bare_lf): the first is
 * named.
 */
#ifndef POSTERN_REPLY_H
#define POSTERN_REPLY_H

#include "core/anomaly.h"
#include "core/line.h"

struct reply {
	struct line line;
	struct buf text;	       /* the lines so far, each with CR LF */
	size_t lines, lines_max, bare; /* bare: of these lines, those that ended in a bare LF */
	unsigned code;		       /* of the first line */
	bool mixed, whole;
	bool free_lines;
	bool bare_lf, bare_lf_named; /* to be set: without free lines, too, a bare LF ends a line */
	enum an_anomaly odd;	     /* of free lines: the first thing that was */
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
	size_t added;	    /* CRs in octets that were not there: bare_lf */
	struct span octets; /* all lines with their CR LF; good until the next call */
	struct span bad;    /* AN_INVALID_REPLY: the line that is none; good until then too */
	/*
	 * AN_NONE, AN_MIXED_REPLY, or why it is bad. With bare_lf also AN_BARE_LF; free lines:
	 * that, AN_BARE_CR, AN_NUL, AN_TELNET_OPTION.
	 */
	enum an_anomaly what;
};

void reply_init(struct reply *, size_t line_max, size_t lines_max, size_t max);
/* The same for replies with free lines, and codes from 100 to 599. */
void reply_init_free_lines(struct reply *, size_t line_max, size_t lines_max, size_t max);
void reply_free(struct reply *);
enum reply_status reply_feed(
    struct reply *, const uint8_t *p, size_t n, size_t *used, struct reply_found *found);

/* Code and enhanced code ("5.7.1", or empty) of a reply line, and the text behind them. */
unsigned reply_code(struct span line);
/* Code of a reply line of FTP, from 100 on. */
unsigned reply_code_ftp(struct span line);
struct span reply_enhanced(struct span line, struct span *text);

#endif
