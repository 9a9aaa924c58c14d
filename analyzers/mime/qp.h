/*
 * qp - quoted-printable (RFC 2045 s6.7), as it streams by.
 *
 * Decodes as the common mail programs do: "=" with two hexadecimal digits of either case is that
 * octet, "=" at the end of a line (blanks behind it do not matter) joins two lines, any other "="
 * stands for itself. Blanks at the end of a line were added by a relay and are dropped, at most
 * MIME_QP_HELD of them; more are content. Any chunking gives the same octets and faults. No
 * allocation.
 *
 * Faults, offsets counted from the offset given to mime_qp_init():
 *   MIME_ODD_QP          "=" without two digits behind it; an octet above 0x7f; a control octet
 *   MIME_ODD_LONG_LINE   a line of more than 76 characters
 */
#ifndef POSTERN_MIME_QP_H
#define POSTERN_MIME_QP_H

#include "mime/fault.h"

#define MIME_QP_HELD 256 /* blanks, and "=" with blanks, that wait for what follows them */

struct mime_qp {
	struct mime_faults faults;
	uint64_t off;  /* of the next octet */
	uint64_t line; /* offset of the first octet of this line */
	int state;
	uint8_t held[MIME_QP_HELD + 2];
	size_t n;
};

/* What feed may write for n octets: they, and what was held. */
#define MIME_QP_ROOM(n) ((n) + MIME_QP_HELD + 2)

void mime_qp_init(struct mime_qp *, uint64_t off);
/* out: MIME_QP_ROOM(in.n) octets, not within in. Returns how many of them are content. */
size_t mime_qp_feed(struct mime_qp *, struct span in, uint8_t *out);
/* The encoded octets end here. out: MIME_QP_ROOM(0) octets. */
size_t mime_qp_finish(struct mime_qp *, uint8_t *out);

#endif
