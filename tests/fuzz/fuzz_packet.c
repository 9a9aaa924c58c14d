/*
 * fuzz_packet - IP packets, one behind the other: each has its length in two octets, and the
 * seconds since the one before it in one.
 *
 * Claims: a payload is no longer than a datagram can be; the same packets give the same verdicts,
 * once more, in another store; datagrams that were lost only become more.
 */
#include "fuzz.h"
#include "net/packet.h"

#define PACKETS_MAX 4096

struct heard {
	enum packet_verdict verdict;
	size_t n, missing;
	uint8_t protocol, last;
	bool contradicted;
};

static struct span
next(struct span *rest, uint64_t *now)
{
	struct span ip;

	*now += rest->p[2];
	ip = span_first(span_from(*rest, 3), (size_t)(rest->p[0] << 8 | rest->p[1]));
	*rest = span_from(*rest, 3 + ip.n);
	return ip;
}

/* Storage of just its size; what is in it may be read until the next call, and no longer. */
static struct heard
read_one(struct packets *ps, struct span ip, uint64_t now)
{
	uint8_t *copy = malloc(ip.n > 0 ? ip.n : 1);
	struct packet out;
	struct heard h;

	fuzz_claim(copy != NULL);
	if (ip.n > 0)
		memcpy(copy, ip.p, ip.n);
	h = (struct heard){.verdict = packets_read(ps, span_of(copy, ip.n), now, &out)};
	if (h.verdict == PACKET_WHOLE) {
		fuzz_claim(out.payload.n <= UINT16_MAX || out.payload.n <= ip.n);
		for (size_t i = 0; !out.from.v6 && i < 12; i++)
			fuzz_claim(out.from.octets[4 + i] == 0 && out.to.octets[4 + i] == 0);
		fuzz_claim(out.from.v6 == out.to.v6);
		h.n = out.payload.n;
		h.missing = out.missing;
		h.protocol = out.protocol;
		h.contradicted = out.contradicted;
		for (size_t i = 0; i < out.payload.n; i++)
			h.last = (uint8_t)(h.last * 31 + out.payload.p[i]);
	}
	free(copy);
	return h;
}

static size_t
read_all(struct span rest, struct heard *heard)
{
	struct packets *ps = packets_new((const uint64_t[]){1, 2});
	uint64_t now = 0, lost = 0;
	size_t n;

	fuzz_claim(ps != NULL);
	for (n = 0; n < PACKETS_MAX && rest.n >= 3; n++) {
		struct span ip = next(&rest, &now);

		heard[n] = read_one(ps, ip, now);
		fuzz_claim(packets_lost(ps) >= lost);
		lost = packets_lost(ps);
	}
	packets_free(ps);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct heard first[PACKETS_MAX], second[PACKETS_MAX];
	size_t packets = read_all(span_of(p, n), first);

	fuzz_claim(read_all(span_of(p, n), second) == packets);
	for (size_t i = 0; i < packets; i++) {
		fuzz_claim(first[i].verdict == second[i].verdict);
		fuzz_claim(first[i].n == second[i].n && first[i].missing == second[i].missing);
		fuzz_claim(first[i].protocol == second[i].protocol);
		fuzz_claim(first[i].last == second[i].last);
		fuzz_claim(first[i].contradicted == second[i].contradicted);
	}
	return 0;
}
