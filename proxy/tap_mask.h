/*
 * tap_mask - what of a line is a secret: passwords, digests, SASL responses. What the records keep
 * out, a capture that masks keeps out too.
 */
#ifndef POSTERN_TAP_MASK_H
#define POSTERN_TAP_MASK_H

#include "config.h"
#include "core/event.h"

/* What the octets of an event are. */
enum tap_sort {
	TAP_PLAIN,
	TAP_CONTENT, /* of a message or a file */
	TAP_SECRET,  /* some of them are to be masked */
};

struct tap_sense {
	enum tap_sort sort;
	unsigned keep; /* TAP_SECRET: words at the front that are none */
	bool literals; /* an announcement of a literal at the end is none either */
};

struct tap_sense tap_mask_sense(enum protocol, const struct an_event *);

/*
 * Of a line with a secret, whole or the beginning of one, with its CR LF: from where to where it is
 * one; the same twice: nowhere.
 */
struct tap_range {
	size_t from, to;
};
struct tap_range tap_mask_line(const struct tap_sense *, struct span line);

/* Octets in p that are to be masked become "*", but CR and LF, by which others find lines. */
void tap_mask_octets(uint8_t *p, size_t n);

/*
 * Secrets of late: a server may quote them in its reply. Those shorter than TAP_QUOTED_MIN are not
 * looked for; of longer ones than TAP_QUOTED_MAX the beginning is, and the line's rest is theirs.
 */
#define TAP_QUOTED     6
#define TAP_QUOTED_MIN 4
#define TAP_QUOTED_MAX 128
struct tap_secrets {
	uint8_t p[TAP_QUOTED][TAP_QUOTED_MAX];
	uint8_t n[TAP_QUOTED];
	unsigned next;
};
void tap_secrets_add(struct tap_secrets *, struct span);
/*
 * The places in s that quote some, one behind the other: those that overlap or touch are one.
 * Behind the last: s.n twice. The time is linear in s, however many there are.
 */
struct tap_search {
	size_t next[TAP_QUOTED];
};
struct tap_search tap_secrets_search(const struct tap_secrets *, struct span s);
struct tap_range tap_secrets_next(const struct tap_secrets *, struct span s, struct tap_search *);

#endif
