/*
 * uu - uuencode and base64 between "begin" and "end" lines (POSIX uuencode), as it streams by,
 * as a transfer encoding or inside a text.
 *
 * Lines before "begin" and behind "end" are text and come back as they are; so does each further
 * "begin" with its file: any number of them. A line is "begin" when a mode of 3 or 4 digits and a
 * name follow it. Decoding goes on as the common mail programs do: characters that are missing at
 * the end of a line were blanks, octets outside the alphabet count by their low six bits. When the
 * line behind "begin" cannot be data, the file is empty and that line is text. Any chunking gives
 * the same events, but for where TEXT and DATA are cut. No allocation.
 *
 * Faults, offsets counted from the offset given to mime_uu_init():
 *   MIME_ODD_UU          a mode that is not octal; a line of more than 45 octets (length above
 *                        "M"); a line whose characters are not as many as it says; an octet
 *                        outside the alphabet; no "end"; no data behind "begin"
 * and those of base64.h.
 */
#ifndef POSTERN_MIME_UU_H
#define POSTERN_MIME_UU_H

#include "mime/base64.h"

#define MIME_UU_NAME_MAX 1024 /* octets of a name that are kept */
#define MIME_UU_LINE_MAX 1100 /* octets of a "begin" line with its end; longer ones are text */

enum mime_uu_what {
	MIME_UU_MORE,  /* all was taken, nothing came out */
	MIME_UU_TEXT,  /* octets outside of files, as they came */
	MIME_UU_BEGIN, /* a file begins: its name is in name */
	MIME_UU_DATA,  /* octets of it, decoded */
	MIME_UU_END,   /* it is complete, or as complete as it gets */
};

struct mime_uu_event {
	enum mime_uu_what what;
	uint64_t off;	    /* of the line of BEGIN and END; of TEXT and DATA: of the next octet */
	struct span octets; /* good until the next call */
	struct span name;   /* of BEGIN: as it came */
	bool base64;	    /* of BEGIN: "begin-base64" */
};

#define MIME_UU_OUT 4096 /* octets of one DATA event, at most */

struct mime_uu {
	struct mime_faults faults;
	uint64_t off;  /* of the next octet */
	uint64_t line; /* offset of the first octet of this line */
	int state;     /* outside of a file, behind its "begin", in it */
	bool base64;   /* its lines are base64 */
	bool middle;   /* what comes next is no beginning of a line */
	bool finished; /* nothing follows what is held */
	struct mime_base64 decoder;
	size_t n; /* octets of held */
	/* from here on not zeroed by mime_uu_init(): written before they are read */
	uint8_t held[MIME_UU_LINE_MAX]; /* a line that may be "begin", or one of a file */
	uint8_t name[MIME_UU_NAME_MAX];
	uint8_t out[MIME_UU_OUT];
};

void mime_uu_init(struct mime_uu *, uint64_t off);
/*
 * Takes octets up to and including one event; *used: how many, also none. To be called, with what
 * is left, until it gives MIME_UU_MORE.
 */
void mime_uu_feed(struct mime_uu *, struct span in, size_t *used, struct mime_uu_event *);
/* The octets end here: to be called until it gives MIME_UU_MORE. */
void mime_uu_finish(struct mime_uu *, struct mime_uu_event *);

/* Could these octets, the beginning of a line, be that of a file? For inline uuencode in a text. */
bool mime_uu_is_begin(struct span line, struct span *name, bool *base64);

#endif
