/*
 * sealed - content that keeps itself from being looked at: S/MIME and PGP, told by its first
 * octets. Sources: RFC 5652 (CMS content types), RFC 9580 s4.2 (packets) and s6.2 (armor).
 */
#ifndef POSTERN_SEALED_H
#define POSTERN_SEALED_H

#include "core/span.h"

enum sealed {
	SEALED_NOT,
	SEALED_SMIME_SIGNED, /* opaque signed: the content is inside, in the clear */
	SEALED_SMIME_ENCRYPTED,
	SEALED_SMIME_COMPRESSED,
	SEALED_PGP_SIGNED,
	SEALED_PGP_ENCRYPTED,
	SEALED_PGP_KEY,
	SEALED_KINDS
};

/* "smime-encrypted", ...; of SEALED_NOT "none". */
const char *sealed_name(enum sealed);
/* True: nobody but its recipient sees what is inside. */
bool sealed_is_encrypted(enum sealed);
/* Over the first octets of the decoded content (detect_prefix()). A bounded look. */
enum sealed sealed_look(struct span prefix);

#endif
