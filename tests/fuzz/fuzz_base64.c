/*
 * fuzz_base64 - the base64 decoder. The first octet is the size of the pieces, the others are text.
 *
 * Claims: whole and in pieces, by AVX2 and without it, octets and faults are the same; never more
 * than three octets for four; stop_size is one of what was decoded.
 */
#include "fuzz.h"
#include "mime/base64.h"

struct outcome {
	uint8_t *p;
	size_t n;
	struct mime_base64 d;
};

static struct outcome
decode(struct span in, size_t piece, bool scalar)
{
	struct outcome o = {.p = malloc(MIME_BASE64_ROOM(in.n) + 2)};

	mime_base64_init(&o.d, 0);
	o.d.scalar = scalar;
	for (; in.n > 0; in = span_from(in, piece)) {
		struct span head = span_first(in, piece);
		uint8_t *out = malloc(MIME_BASE64_ROOM(head.n));
		size_t n = mime_base64_feed(&o.d, head, out);

		fuzz_claim(n <= (head.n + 3) * 3 / 4);
		memcpy(o.p + o.n, out, n);
		o.n += n;
		free(out);
	}
	o.n += mime_base64_finish(&o.d, o.p + o.n);
	return o;
}

static void
claim_same(const struct outcome *a, const struct outcome *b)
{
	fuzz_claim(span_eq(span_of(a->p, a->n), span_of(b->p, b->n)));
	fuzz_claim(a->d.stopped == b->d.stopped && a->d.stop_size == b->d.stop_size);
	fuzz_claim(a->d.faults.n == b->d.faults.n && a->d.faults.n < MIME_FAULTS_MAX);
	for (unsigned i = 0; i < a->d.faults.n; i++)
		fuzz_claim(a->d.faults.each[i].what == b->d.faults.each[i].what &&
			   a->d.faults.each[i].off == b->d.faults.each[i].off &&
			   a->d.faults.each[i].detail == b->d.faults.each[i].detail);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span in = span_from(span_of(p, n), 1);
	size_t piece = n > 0 && p[0] > 0 ? p[0] : 1;
	struct outcome whole = decode(in, in.n + 1, false), other;

	fuzz_claim(whole.n == whole.d.size && whole.n <= (in.n + 3) * 3 / 4);
	fuzz_claim(whole.d.stop_size == UINT64_MAX || whole.d.stop_size <= whole.n);
	for (unsigned i = 0; i < whole.d.faults.n; i++)
		fuzz_claim(whole.d.faults.each[i].off <= in.n);
	for (int way = 0; way < 3; way++) {
		other = decode(in, way == 0 ? in.n + 1 : piece, way != 1);
		claim_same(&whole, &other);
		free(other.p);
	}
	free(whole.p);
	return 0;
}
