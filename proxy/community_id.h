/*
 * community_id - one name for one flow, the same in every tool that looks at it
 * (corelight/community-id-spec, version 1, seed 0).
 */
#ifndef POSTERN_COMMUNITY_ID_H
#define POSTERN_COMMUNITY_ID_H

#include "core/ip.h"

struct endpoint {
	struct ip ip;
	uint16_t port;
};

#define COMMUNITY_ID_MAX 31 /* "1:", 28 characters of base64, NUL */

/*
 * Of the TCP flow between a and b; which of them comes first does not matter. Both addresses are
 * of the same family; else, or when SHA-1 is not to be had, out is "".
 */
void community_id(const struct endpoint *a, const struct endpoint *b, char out[COMMUNITY_ID_MAX]);

#endif
