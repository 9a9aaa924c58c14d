/*
 * mime_header - octets of a header to its fields (RFC 5322 s2.2, s4.5; RFC 6532).
 *
 * Lines end at LF. A line that begins with a blank belongs to the field before it; a line without
 * octets ends the header; a line that is no field ends it as well, and belongs to the body: so the
 * common mail programs have it. What is kept of a header is bounded, the rest of it streams by.
 * Any chunking gives the same.
 */
#ifndef POSTERN_MIME_HEADER_H
#define POSTERN_MIME_HEADER_H

#include "core/buf.h"

/* Octets in which the ":" of a field must come; a longer line without is no field. */
#define MIME_NAME_MAX	     1024
/* RFC 5322 s2.1.1: octets of a line, its end not counted */
#define MIME_HEADER_LINE_MAX 998

enum mime_header_what {
	MIME_HEADER_MORE,  /* all was taken */
	MIME_HEADER_FIELD, /* a field is complete: its lines are in text */
	MIME_HEADER_MBOX, /* "From " line of a mailbox file in front of the header: it is in text */
	MIME_HEADER_BLANK, /* the blank line: the body begins behind it */
	MIME_HEADER_BODY,  /* what is in "line" is no field: it is the beginning of the body */
};

struct mime_header {
	struct buf text;    /* the lines of the field that has begun */
	size_t limit;	    /* octets of the header that are kept */
	size_t seen;	    /* octets of it, kept or not, saturating */
	size_t line;	    /* where in text the current line begins */
	size_t line_n;	    /* octets of the current line, kept or not */
	bool first;	    /* no line was complete yet */
	bool fold;	    /* the current line belongs to the field before it */
	bool is_field;	    /* the current line is a field */
	bool only_blank;    /* the current line has nothing but blanks, so far */
	bool only_cr;	    /* ... nothing but CR */
	bool blank_looking; /* a line of blanks was taken for the continuation of a field */
	bool went_on;	    /* and the header went on behind it */
	bool bare_cr;	    /* a line ended in CR CR LF */
	bool cr_blank;	    /* and that was the blank line */
	bool too_long;	    /* the limit was passed */
	bool long_line;	    /* a line was longer than MIME_HEADER_LINE_MAX */
	bool cut_field;	    /* the end of the field in text is not kept */
};

/* limit: at least 4 * MIME_NAME_MAX. */
void mime_header_init(struct mime_header *, size_t limit);
void mime_header_free(struct mime_header *);
/* For the next header; storage is kept. */
void mime_header_reset(struct mime_header *);

/*
 * Takes octets up to and including one of enum mime_header_what. After FIELD and MBOX
 * mime_header_next() must be called before more is fed. AN_NOMEM as false in *memory.
 */
enum mime_header_what mime_header_feed(
    struct mime_header *, struct span in, size_t *used, bool *memory);
/* The field was looked at. */
void mime_header_next(struct mime_header *);

/* The octets of the line that is no field, after MIME_HEADER_BODY. */
struct span mime_header_line(const struct mime_header *);
/* At the end of the octets: is there a field that began, and is it one? */
bool mime_header_pending(const struct mime_header *);

/*
 * A field's lines to name and value, in place: unfolded, the line end gone. name is without
 * blanks, comments and NULs; *odd_name: it had some.
 */
struct mime_field {
	struct span name, value;
	bool odd_name;
};
struct mime_field mime_field_of(struct buf *lines);

#endif
