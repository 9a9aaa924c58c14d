/*
 * fuzz_qp - the quoted-printable decoder. The first octet is the size of the pieces, the others are
 * text.
 *
 * Claims: whole and in pieces, octets and faults are the same; never more octets than went in.
 */
#include "fuzz.h"
#include "mime/qp.h"

struct outcome {
	uint8_t *p;
	size_t n;
	struct mime_qp d;
};

static struct outcome
decode(struct span in, size_t piece)
{
	struct outcome o = {.p = malloc(in.n + MIME_QP_ROOM(0))};

	mime_qp_init(&o.d, 0);
	for (; in.n > 0; in = span_from(in, piece)) {
		struct span head = span_first(in, piece);
		uint8_t *out = malloc(MIME_QP_ROOM(head.n));
		size_t n = mime_qp_feed(&o.d, head, out);

		fuzz_claim(n <= MIME_QP_ROOM(head.n));
		memcpy(o.p + o.n, out, n);
		o.n += n;
		free(out);
	}
	o.n += mime_qp_finish(&o.d, o.p + o.n);
	return o;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span in = span_from(span_of(p, n), 1);
	size_t piece = n > 0 && p[0] > 0 ? p[0] : 1;
	struct outcome whole = decode(in, in.n + 1), pieces = decode(in, piece);

	fuzz_claim(whole.n <= in.n);
	fuzz_claim(span_eq(span_of(whole.p, whole.n), span_of(pieces.p, pieces.n)));
	fuzz_claim(whole.d.faults.n == pieces.d.faults.n && whole.d.faults.n < MIME_FAULTS_MAX);
	for (unsigned i = 0; i < whole.d.faults.n; i++) {
		const struct mime_fault *a = &whole.d.faults.each[i];
		const struct mime_fault *b = &pieces.d.faults.each[i];

		fuzz_claim(a->off <= in.n && a->off == b->off && a->detail == b->detail);
	}
	free(whole.p);
	free(pieces.p);
	return 0;
}
