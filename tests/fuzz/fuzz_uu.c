/*
 * fuzz_uu - uuencoded files within a text. The first octet is the size of the pieces, the others
 * are text.
 *
 * Claims: events come in order (BEGIN, DATA, END); whole and in pieces they are the same, but for
 * where text and data are cut; text and file lines together are no more than went in.
 */
#include "core/buf.h"
#include "fuzz.h"
#include "mime/uu.h"

struct outcome {
	struct buf log; /* a letter and octets of each event, runs of text or data joined */
	enum mime_uu_what last;
	bool inside;
	uint64_t off;
	struct mime_uu d;
};

static void
note(struct outcome *o, const struct mime_uu_event *ev)
{
	bool joins = ev->what == o->last && (ev->what == MIME_UU_TEXT || ev->what == MIME_UU_DATA);

	fuzz_claim(o->inside == (ev->what == MIME_UU_DATA || ev->what == MIME_UU_END));
	fuzz_claim(ev->off >= o->off);
	fuzz_claim(ev->what == MIME_UU_END || ev->octets.n + ev->name.n > 0);
	fuzz_claim(ev->name.n <= MIME_UU_NAME_MAX);
	o->off = ev->off;
	if (ev->what == MIME_UU_BEGIN || ev->what == MIME_UU_END)
		o->inside = ev->what == MIME_UU_BEGIN;
	if (!joins)
		fuzz_claim(buf_octet(&o->log, (uint8_t)("?tbde"[ev->what] - ev->base64)));
	fuzz_claim(buf_add(&o->log, ev->name) && buf_add(&o->log, ev->octets));
	o->last = ev->what;
}

static void
decode(struct outcome *o, struct span in, size_t piece)
{
	struct mime_uu_event ev;
	size_t used;

	*o = (struct outcome){.last = MIME_UU_MORE};
	buf_init(&o->log, 32 * in.n + 100); /* a line may be a length alone: 45 octets for two */
	mime_uu_init(&o->d, 0);
	for (; in.n > 0; in = span_from(in, piece)) {
		struct span head = span_first(in, piece);

		do {
			mime_uu_feed(&o->d, head, &used, &ev);
			fuzz_claim(used <= head.n);
			head = span_from(head, used);
			if (ev.what != MIME_UU_MORE)
				note(o, &ev);
		} while (ev.what != MIME_UU_MORE);
		fuzz_claim(head.n == 0);
	}
	while (mime_uu_finish(&o->d, &ev), ev.what != MIME_UU_MORE)
		note(o, &ev);
	fuzz_claim(!o->inside);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct outcome whole, pieces;
	struct span in = span_from(span_of(p, n), 1);

	decode(&whole, in, in.n + 1);
	decode(&pieces, in, n > 0 && p[0] > 0 ? p[0] : 1);
	fuzz_claim(span_eq(buf_span(&whole.log), buf_span(&pieces.log)));
	fuzz_claim(whole.d.faults.n == pieces.d.faults.n && whole.d.faults.n < MIME_FAULTS_MAX);
	for (unsigned i = 0; i < whole.d.faults.n; i++)
		fuzz_claim(whole.d.faults.each[i].off == pieces.d.faults.each[i].off &&
			   whole.d.faults.each[i].detail == pieces.d.faults.each[i].detail);
	buf_free(&whole.log);
	buf_free(&pieces.log);
	return 0;
}
