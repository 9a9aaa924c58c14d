/*
 * mime_decoder - one transfer decoder out of all of them, with its place to write to.
 */
#ifndef POSTERN_MIME_DECODER_H
#define POSTERN_MIME_DECODER_H

#include "mime/base64.h"
#include "mime/mime.h"
#include "mime/qp.h"
#include "mime/uu.h"

/* Octets that may be fed at once: with what is written they stay in a core's cache. */
#define MIME_RUN_MAX 16384

struct mime_decoder {
	enum mime_encoding kind; /* one that codes nothing, or that nobody decodes: as it came */
	union {
		struct mime_base64 base64;
		struct mime_qp qp;
		struct mime_uu uu;
	};
	uint8_t *out;
	bool began; /* a "begin" line was seen */
};

/* Does this encoding change octets? */
bool mime_decoder_codes(enum mime_encoding);

/* off: of the first octet, in the message. False: no memory. */
bool mime_decoder_init(struct mime_decoder *, enum mime_encoding, uint64_t off);
void mime_decoder_free(struct mime_decoder *);

/* in: at most MIME_RUN_MAX octets. What comes out is good until the next call, or in's own. */
struct span mime_decoder_feed(struct mime_decoder *, struct span in);
struct span mime_decoder_finish(struct mime_decoder *);
/* NULL: it finds no fault. */
struct mime_faults *mime_decoder_faults(struct mime_decoder *);

#endif
