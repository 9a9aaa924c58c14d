/*
 * fuzz_mime - a message and its chunking. The first octet holds options (1: small limits), the
 * second how many octets are fed at once; the others are the message.
 *
 * Every input is read three times: whole, in those pieces, and octet by octet, each piece in a
 * place of its own. Claims: what is said of each part is the same every time, and so is the order
 * in which parts begin and end; no offset lies behind what was fed, nor before the one before it
 * within a part; parts begin once, end once, within their parent; sizes add up; limits hold; no
 * call loops.
 */

#include "core/buf.h"
#include "fuzz.h"
#include "mime/charset.h"
#include "mime/mime.h"

#define INPUT_MAX (1u << 16)
#define PARTS_MAX 256 /* looked at; and the limit of parts */
#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

struct seen {
	bool begun, headed, ended, url_safe;
	unsigned parent;
	uint64_t sum, off, body;
	uint64_t content, other; /* sums of it, and of its other reading */
};

struct reading {
	struct seen parts[PARTS_MAX];
	unsigned n, open, anomalies;
	uint64_t order, fed;
	bool ended;
};

static uint64_t
sum_octets(uint64_t sum, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		sum = (sum ^ s.p[i]) * FNV_PRIME;
	return sum;
}

static uint64_t
sum_number(uint64_t sum, uint64_t n)
{
	return sum_octets(sum, span_of(&n, sizeof(n)));
}

static uint64_t
sum_span(uint64_t sum, struct span s)
{
	return sum_octets(sum_number(sum, s.n), s);
}

static uint64_t
sum_part(uint64_t sum, const struct mime_part *p)
{
	const struct span texts[] = {p->type, p->encoding_raw, p->charset, p->disposition,
	    p->filename, p->filename_raw, p->content_id, p->description, span_str(p->path)};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		sum = sum_span(sum, texts[i]);
	for (size_t i = 0; i < p->n_parameters; i++)
		sum = sum_span(sum_span(sum, p->parameters[i].name), p->parameters[i].value);
	sum = sum_number(sum, (uint64_t)p->shape * 64 + (uint64_t)p->encoding);
	return sum_number(sum, p->generated);
}

static void
claim_begin(struct reading *r, const struct mime_part *p)
{
	struct seen *s = &r->parts[p->number];

	fuzz_claim(p->number == r->n && !s->begun);
	fuzz_claim(p->number == 0 ? p->depth == 0 : p->parent < p->number);
	if (p->number > 0)
		fuzz_claim(r->parts[p->parent].headed && !r->parts[p->parent].ended);
	*s = (struct seen){
	    .begun = true, .sum = FNV_BASIS, .content = FNV_BASIS, .parent = p->parent};
	s->sum = sum_number(sum_number(s->sum, p->parent), p->depth);
	r->n++;
	r->open++;
	r->order = sum_number(r->order, p->number);
}

static void
claim_end(struct reading *r, const struct mime_part *p)
{
	struct seen *s = &r->parts[p->number];

	fuzz_claim(s->headed && !s->ended);
	for (unsigned i = p->number + 1; i < r->n; i++)
		fuzz_claim(r->parts[i].parent != p->number || r->parts[i].ended);
	if (p->shape == MIME_LEAF)
		fuzz_claim(s->body == p->size);
	fuzz_claim(p->lines <= p->encoded_size);
	s->sum = sum_number(sum_number(s->sum, p->header_size), p->encoded_size);
	s->sum = sum_number(sum_number(s->sum, p->size), p->lines);
	s->sum = sum_number(sum_number(s->sum, s->content), s->other);
	s->ended = true;
	r->open--;
	r->order = sum_number(r->order, ~(uint64_t)p->number);
}

static void
claim_event(struct reading *r, const struct mime_event *ev)
{
	struct seen *s;

	fuzz_claim(ev->part != NULL && ev->part->number < PARTS_MAX && ev->off <= r->fed);
	s = &r->parts[ev->part->number];
	if (ev->kind == MIME_PART_BEGIN)
		claim_begin(r, ev->part);
	fuzz_claim(s->begun && (!s->ended || ev->kind == MIME_MESSAGE_END));
	switch (ev->kind) {
	case MIME_PART_BEGIN:
		break;
	case MIME_FIELD:
		fuzz_claim(!s->headed && ev->name.n > 0);
		s->sum = sum_span(sum_span(s->sum, ev->name), ev->octets);
		break;
	case MIME_HEADER_END:
		fuzz_claim(!s->headed && ev->part->type.n > 0);
		s->headed = true;
		s->sum = sum_part(s->sum, ev->part);
		break;
	case MIME_BODY:
		fuzz_claim(s->headed && ev->octets.n > 0 && ev->part->shape != MIME_MESSAGE);
		s->content = sum_octets(s->content, ev->octets);
		s->body += ev->octets.n;
		break;
	case MIME_BODY_URL_SAFE:
		fuzz_claim(s->headed && ev->part->encoding == MIME_BASE64);
		s->other = sum_octets(s->url_safe ? s->other : s->content, ev->octets);
		s->url_safe = true;
		break;
	case MIME_PART_END:
		claim_end(r, ev->part);
		break;
	case MIME_ANOMALY:
		r->anomalies++;
		fuzz_claim(ev->anomaly > MIME_ODD_NONE && ev->anomaly < MIME_ANOMALY_COUNT);
		r->order = sum_number(r->order, (uint64_t)ev->anomaly << 32 | ev->part->number);
		r->order = sum_number(r->order, ev->off);
		if (ev->detail != NULL)
			r->order = sum_span(r->order, span_str(ev->detail));
		break;
	case MIME_MESSAGE_END:
		fuzz_claim(r->open == 0 && ev->part->number == 0);
		r->ended = true;
		break;
	}
}

static void
feed(struct reading *r, struct mime *m, struct span piece)
{
	uint8_t *own = malloc(piece.n);
	struct span rest = span_of(own, piece.n);
	enum an_status status = AN_EVENT;
	struct mime_event ev;
	size_t used;

	fuzz_claim(own != NULL);
	memcpy(own, piece.p, piece.n);
	r->fed += piece.n;
	for (size_t n = 0; status == AN_EVENT; n++) {
		status = mime_feed(m, rest, &used, &ev);
		fuzz_claim(used <= rest.n && status != AN_NOMEM);
		rest = span_from(rest, used);
		if (status == AN_EVENT)
			claim_event(r, &ev);
		fuzz_claim(n < 1000000);
	}
	fuzz_claim(status == AN_MORE && rest.n == 0);
	free(own);
}

static void
read_in(struct reading *r, const struct mime_limits *limits, struct span octets, size_t piece)
{
	struct mime *m = mime_new(limits);
	struct mime_event ev;

	*r = (struct reading){.order = FNV_BASIS};
	fuzz_claim(m != NULL);
	while (octets.n > 0) {
		feed(r, m, span_first(octets, piece));
		octets = span_from(octets, piece);
	}
	while (!r->ended) {
		fuzz_claim(mime_finish(m, &ev) == AN_EVENT);
		claim_event(r, &ev);
	}
	fuzz_claim(r->n <= limits->parts && r->anomalies <= limits->anomalies + 1 + r->n);
	mime_free(m);
}

static void
claim_same(const struct reading *a, const struct reading *b)
{
	fuzz_claim(a->n == b->n && a->order == b->order);
	for (unsigned i = 0; i < a->n; i++)
		fuzz_claim(a->parts[i].sum == b->parts[i].sum);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct reading whole, pieces;
	struct mime_limits limits = {.parts = PARTS_MAX, .anomalies = 200};
	struct span octets;

	if (n < 2 || n > INPUT_MAX)
		return 0;
	fuzz_claim(charset_init());
	if (p[0] & 1)
		limits = (struct mime_limits){.header = 4096,
		    .fields = 4,
		    .depth = 3,
		    .parts = 8,
		    .boundary = 16,
		    .parameters = 4,
		    .anomalies = 8};
	octets = span_of(p + 2, n - 2);
	read_in(&whole, &limits, octets, octets.n + 1);
	read_in(&pieces, &limits, octets, p[1] == 0 ? 256 : p[1]);
	claim_same(&whole, &pieces);
	if (octets.n < 8192) {
		read_in(&pieces, &limits, octets, 1);
		claim_same(&whole, &pieces);
	}
	return 0;
}
