/*
 * coded - files inside of text that no Content-Transfer-Encoding announces: what the line that
 * begins them says. Sources: yEnc 1.3 draft; RFC 1741 (BinHex 4.0).
 */
#ifndef POSTERN_CODED_H
#define POSTERN_CODED_H

#include "core/span.h"

struct yenc_begin {
	struct span name;		  /* points into the line; empty: none */
	uint64_t line, size, part, total; /* 0: not said */
};
/* "=ybegin line=128 size=123 name=x", without its line end. False: it is none. */
bool yenc_begin(struct span line, struct yenc_begin *);

#define BINHEX_NAME_MAX 64 /* with a NUL: the format has 63 octets */

struct binhex {
	char name[BINHEX_NAME_MAX];
	size_t name_n;
	char type[4], creator[4];
	uint32_t data, resource; /* octets of the two forks */
};
/* The line that announces BinHex, without its line end. */
bool binhex_announced(struct span line);
/* text: what follows that line, from the colon on; some 150 octets are enough. False: no header. */
bool binhex_header(struct span text, struct binhex *);

enum coded_file {
	CODED_NONE,
	CODED_YENC,
	CODED_BINHEX,
};

#define CODED_HELD_MAX 512 /* octets of the lines that are looked at; longer ones are no such */

/* Looks for both in a text that streams by, in any chunking; no allocation. Zeros: at its start. */
struct coded_scan {
	int state;
	uint8_t held[CODED_HELD_MAX]; /* of a line that may be one, or what follows it */
	size_t n;
	char binhex[BINHEX_NAME_MAX];
	struct span name; /* of the file that was found last: good until the next call */
};
/* Takes octets up to and including one file's announcement; CODED_NONE: all was taken. */
enum coded_file coded_scan_feed(struct coded_scan *, struct span in, size_t *used);
/* The text ends here. */
enum coded_file coded_scan_finish(struct coded_scan *);

/* AppleSingle or AppleDouble (RFC 1740), by the first octets of decoded content. */
bool apple_file(struct span prefix);

#endif
