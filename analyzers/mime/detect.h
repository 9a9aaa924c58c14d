/*
 * detect - what the content of a part is, told from its first decoded octets.
 *
 * Binary types come from libmagic with a small database of our own (types.magic) that is compiled
 * in, or with the system's; text, html, xml and scripts by our own scan. The first DETECT_PREFIX
 * octets decide; only where these say nothing are DETECT_LATE kept, because the mark of an ISO 9660
 * image stands behind 32 KiB. Feed in any chunking: the answer is the same for every chunking.
 *
 * Memory: at most DETECT_LATE octets a part, allocated as they come. Needs analyzers_init();
 * without it only the own scan answers.
 */
#ifndef POSTERN_DETECT_H
#define POSTERN_DETECT_H

#include "core/buf.h"

#define DETECT_PREFIX	4096
#define DETECT_LATE	36864 /* 18 sectors: the first volume descriptor of ISO 9660 is the 17th */
#define DETECT_TYPE_MAX 96    /* octets of a type with its NUL */

struct detect {
	struct buf prefix;
	bool done;    /* the answer is final; further octets are not looked at */
	bool nomem;   /* and therefore the answer is "application/octet-stream" */
	bool started; /* the first DETECT_PREFIX octets were looked at */
	char type[DETECT_TYPE_MAX];
	const char *charset; /* of text: "us-ascii", "utf-8", "utf-16le", "utf-16be", "utf-32le",
				"utf-32be", "unknown-8bit"; of anything else NULL. Constant */
};

/* Once a process, before the sandbox. False: *why is a constant. */
bool detect_global_init(bool system_types, const char **why);
void detect_global_end(void);

/* Allocates nothing yet. */
void detect_init(struct detect *);
void detect_free(struct detect *);
/*
 * True: the answer is final with this call (once a part): type, charset and detect_prefix() may be
 * used, and octets[*used ...] are behind the prefix. False: more is wanted, or the answer was final
 * before; *used is octets.n.
 */
bool detect_feed(struct detect *, struct span octets, size_t *used);
/* The part ends here. True: the answer is final with this call. */
bool detect_finish(struct detect *);
/* The octets that the answer is made of, from the first one; for readers that start with the type.
 */
struct span detect_prefix(const struct detect *);
/* Empty octets give "application/x-empty". Points into d; "" before the answer is final. */
struct span detect_type(const struct detect *d);

/* The same over a whole prefix at once; type has DETECT_TYPE_MAX octets. */
void detect_look(struct span prefix, char *type, const char **charset);

#endif
