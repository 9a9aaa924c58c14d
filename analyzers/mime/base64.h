/*
 * base64 - the transfer encoding (RFC 2045 s6.8), as it streams by.
 *
 * Decodes as the common mail programs do: octets outside the alphabet are skipped (blanks and line
 * ends silently), "=" ends a group of four, and what follows it is decoded as well. To read it as
 * others do from some octet on, copy it there and set url_safe. Any chunking
 * gives the same octets and faults. No allocation; AVX2 where the processor has it.
 *
 * Faults, offsets counted from the offset given to mime_base64_init():
 *   MIME_ODD_BASE64      octet outside the alphabet; "=" where none may be; a last group of one
 *                        character (it carries no octet); a last group without its "="
 *   MIME_ODD_LONG_LINE   a line of more than 76 characters
 *   MIME_ODD_AMBIGUOUS   characters behind "=" (other programs stop there: stop_size says how many
 *                        octets they have); "-" or "_" (other programs take them for "+" and "/")
 */
#ifndef POSTERN_MIME_BASE64_H
#define POSTERN_MIME_BASE64_H

#include "mime/fault.h"

struct mime_base64 {
	struct mime_faults faults;
	uint64_t off;  /* of the next octet */
	uint64_t line; /* offset of the first octet of this line */
	uint64_t size; /* octets decoded so far */
	bool url_safe; /* "-" and "_" are characters, as "+" and "/" (RFC 4648 s5): set by who asks
			*/
	bool url_seen; /* one of them came and was skipped */
	bool stopped;  /* characters came behind "=" */
	uint64_t
	    stop_size; /* octets before the first "=" that ends a group; UINT64_MAX: none came */
	uint32_t bits; /* of the group that has begun */
	unsigned n;    /* its characters, 0 to 3 */
	unsigned pads; /* "=" that may still follow the last group */
	bool cr;       /* the last octet was one */
	bool scalar;   /* leave AVX2 alone: for tests and measurements */
};

/* What feed may write for n octets, with the slack that wide stores need behind it. */
#define MIME_BASE64_ROOM(n) ((n) / 4 * 3 + 48)

void mime_base64_init(struct mime_base64 *, uint64_t off);
/* out: MIME_BASE64_ROOM(in.n) octets, not within in. Returns how many of them are content. */
size_t mime_base64_feed(struct mime_base64 *, struct span in, uint8_t *out);
/* The encoded octets end here. out: 2 octets. */
size_t mime_base64_finish(struct mime_base64 *, uint8_t *out);

#endif
