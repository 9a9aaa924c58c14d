/*
 * qp - quoted-printable (RFC 2045 s6.7), as it streams by.
 *
 * Decodes as the common mail programs do: "=" with two hexadecimal digits of either case is that
 * octet, "=" at the end of a line or of all (blanks behind it do not matter) joins two lines, any
 * other "=" stands for itself. Blanks at the end of a line stay, as most programs leave them. Any
 * chunking gives the same octets and faults. No allocation.
 *
 * Faults, offsets counted from the offset given to mime_qp_init():
 *   MIME_ODD_QP          "=" without two digits behind it; lower case digits; an octet above 0x7f
 * or NUL; blanks at the end of a line, with or without "=" before them MIME_ODD_LONG_LINE   a line
 * of more than 76 characters
 */
#ifndef POSTERN_MIME_QP_H
#define POSTERN_MIME_QP_H

#include "mime/fault.h"

#define MIME_QP_HELD 256 /* octets: "=" and what may be blanks to the end of its line */

struct mime_qp {
	struct mime_faults faults;
	uint64_t off;		    /* of the next octet */
	uint64_t line;		    /* offset of the first octet of this line */
	uint8_t last, before;	    /* the last two octets of this line */
	bool odd;		    /* an octet above 0x7f or NUL was told */
	uint8_t held[MIME_QP_HELD]; /* from "=" on, when the input ended there */
	size_t n;
};

/* What feed may write for n octets: they, and what was held. */
#define MIME_QP_ROOM(n) ((n) + MIME_QP_HELD)

void mime_qp_init(struct mime_qp *, uint64_t off);
/* out: MIME_QP_ROOM(in.n) octets, not within in. Returns how many of them are content. */
size_t mime_qp_feed(struct mime_qp *, struct span in, uint8_t *out);
/* The encoded octets end here. out: MIME_QP_ROOM(0) octets. */
size_t mime_qp_finish(struct mime_qp *, uint8_t *out);

#endif
