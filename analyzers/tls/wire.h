/*
 * wire - numbers and vectors of TLS messages, the most significant octet first (RFC 8446 s3).
 *
 * A read beyond the end gives zeros and leaves "bad" set, so that a structure is read whole and
 * looked at once.
 */
#ifndef POSTERN_TLS_WIRE_H
#define POSTERN_TLS_WIRE_H

#include "core/span.h"

struct tls_wire {
	struct span rest;
	bool bad;
};

static inline struct tls_wire
tls_wire_of(struct span s)
{
	return (struct tls_wire){s, false};
}

/* The next n octets. */
static inline struct span
tls_take(struct tls_wire *w, size_t n)
{
	struct span s = SPAN_NONE;

	if (n > w->rest.n) {
		w->bad = true;
		w->rest = SPAN_NONE;
		return s;
	}
	s = span_first(w->rest, n);
	w->rest = span_from(w->rest, n);
	return s;
}

/* A number of so many octets, at most four. */
static inline uint32_t
tls_number(struct tls_wire *w, size_t octets)
{
	struct span s = tls_take(w, octets);
	uint32_t v = 0;

	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | s.p[i];
	return v;
}

/* A vector whose length stands ahead of it, in so many octets. */
static inline struct span
tls_vector(struct tls_wire *w, size_t octets)
{
	return tls_take(w, tls_number(w, octets));
}

#endif
