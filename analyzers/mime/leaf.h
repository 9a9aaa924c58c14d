/*
 * leaf - what is looked at in the content of one leaf while it streams by: digests, type, members
 * of an archive, URLs. One is used again for the next leaf, its digest contexts with it.
 */
#ifndef POSTERN_MIME_LEAF_H
#define POSTERN_MIME_LEAF_H

#include <openssl/evp.h>

#include "mime/archive.h"
#include "mime/coded.h"
#include "mime/detect.h"
#include "mime/mail.h"
#include "mime/sealed.h"
#include "mime/urls.h"

enum leaf_digest { LEAF_SHA256, LEAF_SHA1, LEAF_MD5, LEAF_DIGESTS };

/*
 * Looked up once in a process: libcrypto would do so for each context. NULL: it does not have it.
 */
const EVP_MD *leaf_digest_of(enum leaf_digest);

/* What the leaves of one message share. */
struct leaf_shared {
	const struct mail_options *options;
	struct archive_budget budget;
	struct urls *urls;	       /* NULL: not looked for */
	const struct leaf *urls_owner; /* whose octets urls got last */
	unsigned detected;	       /* leaves whose type was looked for */
	unsigned readers;	       /* archives that are open now */
};

#define LEAF_READERS_MAX 2 /* archives open at once, in parts that lie within each other */

struct leaf {
	struct leaf_shared *shared;
	bool busy;
	EVP_MD_CTX *contexts[LEAF_DIGESTS]; /* NULL: not on */
	bool detects;
	struct detect detect;
	uint64_t size;		 /* octets fed */
	uint64_t stop_size;	 /* UINT64_MAX: nobody stops before the end */
	uint8_t stop_sha256[32]; /* of these octets; zeros: not on */
	EVP_MD_CTX *url_safe;	 /* SHA-256 of another reading; NULL: there is none, or not on */
	uint64_t url_safe_size;	 /* UINT64_MAX: there is none */
	struct archive_reader *archive;
	bool archive_left_out;
	enum sealed sealed;
	bool has_urls, html;
	bool no_urls;	     /* not even in HTML */
	bool may_have_files; /* is text: yEnc and BinHex stand in such */
	struct coded_scan coded;
	bool coded_told;
	void *sunk; /* what stands for it with the sink of options; NULL: not wanted */
};

/* False: no memory. shared must outlive it. */
bool leaf_new(struct leaf *, struct leaf_shared *shared);
void leaf_free(struct leaf *); /* of one that was never used, or is zero, is fine */

/* It is not busy, nor was made. It is large: the rest of it is not written. */
static inline void
leaf_never_used(struct leaf *l)
{
	l->shared = NULL;
	l->busy = false;
}

/* A leaf begins, of that declared type. False: no memory. */
bool leaf_begin(struct leaf *, struct span type);
/* stop_size: as in struct mime_part. */
bool leaf_feed(struct leaf *, struct span octets, uint64_t stop_size);
/* No octet comes any more: its type is final. leaf_finish() does it too. */
bool leaf_settle(struct leaf *);
/* Octets of another reading, which is that of leaf_feed() up to the first of them (M-016). */
bool leaf_feed_url_safe(struct leaf *, struct span octets);
/* It is complete: everything in it is final until leaf_end(). */
bool leaf_finish(struct leaf *);
/* Writes those that are on to *part; a sink has all of it now. */
bool leaf_digests(struct leaf *, struct mail_part *part);
/* It may be used for another one. */
void leaf_end(struct leaf *);
/* It turned out to be none: what it took of what is bounded in one message is given back. */
void leaf_drop(struct leaf *);

#endif
