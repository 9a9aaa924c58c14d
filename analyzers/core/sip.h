/*
 * sip - SipHash-1-3 (Aumasson and Bernstein 2012) over 64-bit words, for tables whose keys come
 * from a wire: without the seed nobody can choose keys that share a bucket.
 *
 *	struct sip s = sip_begin(seed);
 *	sip_word(&s, ...);
 *	at = sip_end(&s) % buckets;
 */
#ifndef POSTERN_SIP_H
#define POSTERN_SIP_H

#include <stdint.h>

struct sip {
	uint64_t v[4];
};

static inline uint64_t
sip_rotate(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline void
sip_round(struct sip *s)
{
	uint64_t *v = s->v;

	v[0] += v[1];
	v[2] += v[3];
	v[1] = sip_rotate(v[1], 13) ^ v[0];
	v[3] = sip_rotate(v[3], 16) ^ v[2];
	v[0] = sip_rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = sip_rotate(v[1], 17) ^ v[2];
	v[3] = sip_rotate(v[3], 21) ^ v[0];
	v[2] = sip_rotate(v[2], 32);
}

static inline struct sip
sip_begin(const uint64_t seed[2])
{
	return (struct sip){{seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
	    seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u}};
}

static inline void
sip_word(struct sip *s, uint64_t word)
{
	s->v[3] ^= word;
	sip_round(s);
	s->v[0] ^= word;
}

/* How many octets it was is no part of it: every table hashes keys of one shape. */
static inline uint64_t
sip_end(struct sip *s)
{
	s->v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(s);
	return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}

#endif
