/*
 * fuzz_imap - the dialogue of a session: both streams, their interleaving, the chunking.
 *
 * The first octet holds the options (1: small limits, 2: a gate that answers some commands itself,
 * 4, 8: which literals need not be waited for), the second says which commands. Records follow:
 * what (1: from the server, else from the client; bits 2 to 8: one of enum act), a length, and so
 * many octets.
 *
 * Every input runs three times: records of one sender joined, as they are, and octet by octet.
 * Claims: the events of each direction are the same every time; every octet that is taken belongs
 * to exactly one event, in order; a response that has begun is known to have; spans lie in what was
 * fed or in storage that lasts as long as the header says; AN_MORE takes everything, AN_WAIT
 * nothing; no feed loops; storage keeps its bound.
 */
#include "core/buf.h"
#include "fuzz.h"
#include "imap/imap.h"

#define STREAM_MAX  (1u << 20)
#define JOINED	    SIZE_MAX
#define AS_RECORDED (SIZE_MAX - 1)
#define STALLS_MAX  4		 /* events in a row that take no octet */
#define DIALOGUE    16384	 /* octets: struct imap, its slots, and what malloc rounds up */
#define STRUCTURE   (512u << 10) /* of a BODYSTRUCTURE that is being read */

enum act {
	ACT_FEED = 0,
	ACT_FEED_OFTEN = 5, /* the octets 40 times, to get at limits */
	ACT_ANSWER_OLDEST = 6,
	ACT_CONTINUE = 7,
};

struct side {
	struct buf in; /* what was sent, from "begin" on not taken yet */
	size_t begin;
	uint8_t *piece; /* what was fed last: spans of the last event may point into it */
	struct an_event last;
	uint64_t last_sum;
	uint64_t off, taken;
	uint64_t sum;		      /* FNV-1a over everything that its events say */
	uint64_t taken_sum, told_sum; /* over the octets that were taken, and those of the events */
	bool ended;
};

struct run {
	struct imap *imap;
	struct imap_limits limits;
	struct side sides[2]; /* by direction */
	size_t chunk;
	bool gate;
	uint8_t choices;
	unsigned commands;
	uint64_t next_slot;
	bool fetch;	/* within a FETCH response */
	size_t storage; /* octets in use before the dialogue began */
};

/* ---- digest ---- */

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

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
sum_structure(uint64_t sum, const struct imap_structure *s)
{
	for (size_t i = 0; s != NULL && i < imap_structure_parts(s); i++) {
		const struct imap_part *part = imap_structure_part(s, i);

		sum = sum_span(sum, span_str(part->path));
		sum = sum_span(sum, part->type);
		sum = sum_span(sum, part->parameters);
		sum = sum_span(sum, part->disposition);
	}
	return sum;
}

static uint64_t
sum_detail(uint64_t sum, const struct imap_detail *d)
{
	const struct span spans[] = {d->tag, d->word, d->args, d->code, d->text, d->capabilities,
	    d->item, d->section, d->value};

	sum = sum_number(sum, (uint64_t)d->verb->verb);
	sum = sum_number(sum, (uint64_t)d->fault);
	sum = sum_number(sum, d->literal.octets);
	sum = sum_number(sum, (uint64_t)d->status);
	sum = sum_number(sum, (uint64_t)d->kind);
	sum = sum_number(sum, (uint64_t)d->content);
	sum = sum_number(sum, d->number);
	sum = sum_number(sum, d->origin);
	sum = sum_number(sum, d->uid + 2u * d->message + 4u * d->last + 8u * d->unasked +
				  16u * d->sliced + 32u * d->nil + 64u * d->literal.announced +
				  128u * d->literal.plus + 256u * d->literal.eight);
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		sum = sum_span(sum, spans[i]);
	return sum_structure(sum, d->structure);
}

/* Where runs of octets are cut is the chunking's business. */
static bool
is_run(const struct an_event *ev)
{
	return ev->kind == EV_BODY || ev->kind == EV_LITERAL || ev->kind == EV_SECRET ||
	       ev->kind == EV_OPAQUE;
}

static void
digest_event(struct side *side, const struct an_event *ev)
{
	uint64_t sum = sum_number(FNV_BASIS, (uint64_t)ev->kind);

	if (is_run(ev)) {
		for (size_t i = 0; i < ev->octets.n; i++)
			side->sum = sum_number(side->sum, sum + ev->octets.p[i]);
		return;
	}
	sum = sum_number(sum, ev->off);
	sum = sum_number(sum, (uint64_t)ev->anomaly);
	sum = sum_number(sum, ev->slot);
	sum = sum_span(sum, ev->octets);
	side->sum = sum_number(side->sum, sum_detail(sum, ev->imap));
}

/* ---- claims ---- */

static void
claim_octets(struct side *side, const struct an_event *ev)
{
	fuzz_claim(!side->ended);
	side->ended =
	    ev->kind == EV_ANOMALY || ((ev->kind == EV_COMMAND || ev->kind == EV_COMMAND_MORE) &&
					  imap_fault_ends(ev->imap->fault));
	if (side->ended)
		return;
	fuzz_claim(ev->off == side->off);
	side->off += ev->octets.n;
	fuzz_claim(side->off == side->taken);
	side->told_sum = sum_octets(side->told_sum, ev->octets);
	fuzz_claim(side->told_sum == side->taken_sum);
}

static void
claim_client(struct run *r, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;

	if (ev->kind == EV_COMMAND) {
		fuzz_claim(ev->slot == r->next_slot);
		r->next_slot++;
	}
	fuzz_claim(ev->slot == r->next_slot - 1 || ev->kind == EV_OPAQUE);
	if (ev->kind != EV_COMMAND && ev->kind != EV_COMMAND_MORE)
		return;
	fuzz_claim(ev->octets.n <= r->limits.line);
	fuzz_claim(fuzz_inside(d->tag, ev->octets) && d->tag.n <= IMAP_TAG_MAX);
	fuzz_claim(fuzz_inside(d->word, ev->octets) && fuzz_inside(d->args, ev->octets));
	fuzz_claim(d->fault != IMAP_OK || d->last == !d->literal.announced);
	fuzz_claim(!d->message || d->literal.announced);
}

/* Is a response under way behind this event? */
static bool
goes_on(struct run *r, const struct an_event *ev)
{
	switch ((int)ev->kind) {
	case EV_FETCH:
		fuzz_claim(!r->fetch);
		r->fetch = true;
		return true;
	case EV_FETCH_END:
		fuzz_claim(r->fetch);
		r->fetch = false;
		return false;
	case EV_FETCH_ITEM:
	case EV_BODY:
	case EV_BODY_END:
		fuzz_claim(r->fetch);
		return true;
	case EV_LITERAL:
		return true;
	case EV_TEXT:
		return r->fetch || !ev->imap->last;
	default:
		fuzz_claim(!r->fetch || ev->kind == EV_ANOMALY);
		return false;
	}
}

static void
claim_server(struct run *r, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;
	bool inside = goes_on(r, ev);

	if (ev->kind != EV_ANOMALY && ev->kind != EV_OPAQUE)
		fuzz_claim(imap_in_response(r->imap) == inside);
	fuzz_claim(fuzz_inside(d->item, ev->octets) && fuzz_inside(d->value, ev->octets));
	fuzz_claim(fuzz_inside(d->section, d->item) && fuzz_inside(d->text, ev->octets));
	fuzz_claim(fuzz_inside(d->code, ev->octets) && fuzz_inside(d->capabilities, ev->octets));
	if (ev->kind == EV_TEXT || ev->kind == EV_FETCH_ITEM)
		fuzz_claim(ev->octets.n <= r->limits.response + 1); /* CR LF stays in one piece */
}

static void
claim_event(struct run *r, const struct an_event *ev, enum an_dir dir)
{
	fuzz_claim(ev->dir == dir);
	fuzz_claim(ev->imap != NULL && ev->imap->verb != NULL);
	claim_octets(&r->sides[dir], ev);
	if (dir == AN_C2S)
		claim_client(r, ev);
	else
		claim_server(r, ev);
	fuzz_claim(ev->kind != EV_BODY_END || ev->octets.n == 0);
	fuzz_claim(!is_run(ev) || ev->octets.n > 0);
}

/* What an event showed is there until its direction is fed again. */
static void
claim_lasting(struct side *side)
{
	if (side->last.imap != NULL)
		fuzz_claim(sum_span(FNV_BASIS, side->last.octets) == side->last_sum);
	side->last.imap = NULL;
	free(side->piece);
	side->piece = NULL;
}

/* AddressSanitizer's allocator has it; without it nothing is measured. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t
storage_in_use(void)
{
	return __sanitizer_get_current_allocated_bytes == NULL
		   ? 0
		   : __sanitizer_get_current_allocated_bytes();
}

/* Storage of the harness is not the dialogue's: it is counted when none is there. */
static void
claim_bounded(const struct run *r)
{
	const struct imap_limits *l = &r->limits;

	fuzz_claim(storage_in_use() <= r->storage + DIALOGUE + STRUCTURE +
					   2 * (2 * l->line + l->response + l->capability));
}

/* ---- a gate does things of its own ---- */

static void
act_on(struct run *r, const struct an_event *ev)
{
	fuzz_claim(imap_waiting(r->imap) <= IMAP_SLOTS);
	if (ev->kind != EV_COMMAND || !r->gate || imap_fault_ends(ev->imap->fault))
		return;
	r->commands++;
	if ((r->choices >> r->commands % 8 & 1) == 0)
		return;
	imap_answered(r->imap, r->commands % 2 == 0 ? IMAP_ST_NO : IMAP_ST_BAD);
	fuzz_claim(imap_tag(r->imap, ev->slot).n == 0);
}

/* ---- feeding ---- */

static void
take(struct side *side, size_t n)
{
	side->taken += n;
	side->taken_sum =
	    sum_octets(side->taken_sum, span_first(span_from(buf_span(&side->in), side->begin), n));
	side->begin += n;
	if (side->begin == side->in.n) {
		buf_clear(&side->in);
		side->begin = 0;
	}
}

/* One feed with storage of just its size. False: the direction waits, or has nothing left. */
static bool
feed(struct run *r, enum an_dir dir, unsigned *stalls)
{
	struct side *side = &r->sides[dir];
	struct span in = span_first(span_from(buf_span(&side->in), side->begin), r->chunk);
	size_t used = 0;
	enum an_status status;
	struct an_event ev;

	claim_lasting(side);
	side->piece = malloc(in.n > 0 ? in.n : 1);
	if (side->piece == NULL)
		abort();
	if (in.n > 0)
		memcpy(side->piece, in.p, in.n);
	status = imap_feed(r->imap, dir, side->piece, in.n, &used, &ev);
	fuzz_claim(used <= in.n);
	take(side, used);
	if (used > 0)
		*stalls = 0;
	if (status != AN_EVENT) {
		fuzz_claim(status == AN_MORE || status == AN_WAIT);
		fuzz_claim(used == (status == AN_MORE ? in.n : 0));
		fuzz_claim(status == AN_MORE || dir == AN_C2S);
		return status == AN_MORE && in.n > 0;
	}
	*stalls += used == 0;
	fuzz_claim(*stalls <= STALLS_MAX);
	claim_event(r, &ev, dir);
	digest_event(side, &ev);
	side->last = ev;
	side->last_sum = sum_span(FNV_BASIS, ev.octets);
	act_on(r, &ev);
	return true;
}

/* A reply may let the client go on: it does so before the server is heard again. */
static void
pump(struct run *r, enum an_dir dir)
{
	unsigned stalls = 0, client_stalls = 0;

	while (feed(r, dir, &stalls))
		if (dir == AN_S2C)
			while (feed(r, AN_C2S, &client_stalls))
				;
}

static void
act_record(struct run *r, enum act act, uint8_t value)
{
	if (act == ACT_ANSWER_OLDEST)
		(void)imap_answered_oldest(r->imap, value % 2 == 0 ? IMAP_ST_OK : IMAP_ST_NO);
	else if (act == ACT_CONTINUE)
		imap_continued(r->imap);
	pump(r, AN_C2S);
}

static struct span
take_record(struct span *records, enum an_dir *dir, enum act *act, uint8_t *value)
{
	uint8_t what = records->p[0], length = records->n > 1 ? records->p[1] : 0;
	struct span octets = span_first(span_from(*records, 2), length);

	*dir = (what & 1) != 0 ? AN_S2C : AN_C2S;
	*act = (enum act)(what >> 1 & 7);
	*value = length;
	if (*act >= ACT_ANSWER_OLDEST)
		octets = SPAN_NONE;
	*records = span_from(*records, 2 + octets.n);
	return octets;
}

static void
play(struct run *r, struct span records)
{
	enum an_dir before = AN_S2C, dir = AN_S2C;

	while (records.n > 0) {
		enum act act;
		uint8_t value;
		struct span octets = take_record(&records, &dir, &act, &value);

		if (r->chunk == JOINED && dir != before)
			pump(r, before);
		before = dir;
		for (unsigned i = 0; i < (act == ACT_FEED_OFTEN ? 40 : 1); i++)
			buf_add(&r->sides[dir].in, octets);
		if (act >= ACT_ANSWER_OLDEST) {
			pump(r, dir);
			act_record(r, act, value);
		} else if (r->chunk != JOINED) {
			pump(r, dir);
		}
	}
	pump(r, dir);
}

static const struct imap_limits small = {.line = 128,
    .login_literal = 16,
    .literal = 64,
    .message = 100,
    .response = 64,
    .capability = 80};
static const struct imap_limits usual = {.line = 65536,
    .login_literal = 8192,
    .literal = 1u << 20,
    .response = 8192,
    .capability = 8192};

static void
run_once(struct span input, size_t chunk, uint64_t sums[2])
{
	uint8_t options = input.n > 0 ? input.p[0] : 0;
	size_t storage = storage_in_use();
	struct run r = {.chunk = chunk,
	    .limits = (options & 1) != 0 ? small : usual,
	    .gate = (options & 2) != 0,
	    .choices = input.n > 1 ? input.p[1] : 0,
	    .next_slot = 1};

	r.imap = imap_new(&r.limits);
	fuzz_claim(r.imap != NULL);
	imap_offer(r.imap, (enum imap_plus)((options >> 2 & 3) % 3));
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_init(&r.sides[dir].in, STREAM_MAX);
		r.sides[dir].sum = FNV_BASIS;
	}
	play(&r, span_from(input, 2));
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		sums[dir] = r.sides[dir].sum;
		claim_lasting(&r.sides[dir]);
		buf_free(&r.sides[dir].in);
	}
	r.storage = storage;
	claim_bounded(&r);
	imap_free(r.imap);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint64_t joined[2], recorded[2], octets[2];

	run_once(span_of(p, n), JOINED, joined);
	run_once(span_of(p, n), AS_RECORDED, recorded);
	run_once(span_of(p, n), 1, octets);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		fuzz_claim(joined[dir] == recorded[dir]);
		fuzz_claim(joined[dir] == octets[dir]);
	}
	return 0;
}
