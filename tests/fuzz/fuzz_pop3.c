/*
 * fuzz_pop3 - the dialogue of a session: both streams, their interleaving, the chunking.
 *
 * The first octet holds the options (1: small limits, 2: a gate that answers some commands itself),
 * the second says which ones. Records follow: what (1: from the server, else from the client; bits
 * 2 to 8: one of enum act), a length, and so many octets.
 *
 * Every input runs three times: records of one sender joined, as they are, and octet by octet.
 * Claims: the events of each direction are the same every time; offsets never go back; spans lie
 * in what was fed or in storage that lasts as long as the header says; AN_MORE takes everything,
 * AN_WAIT nothing; no feed loops; storage keeps its bound. What the server sent is what its events
 * say was on the wire; what they say is in a message is that without its stuffed dots, and no end
 * mark is in it. A command that is written anew is read as the same.
 */
#include "fuzz.h"
#include "pop3/command.h"

#define STREAM_MAX  (1u << 20)
#define JOINED	    SIZE_MAX
#define AS_RECORDED (SIZE_MAX - 1)
#define STALLS_MAX  16	 /* events in a row that take no octet */
#define DIALOGUE    8192 /* octets: struct pop3, and what malloc rounds up */

enum act {
	ACT_FEED = 0,
	ACT_FEED_OFTEN = 5, /* the octets 40 times, to get at limits */
	ACT_ANSWER_OLDEST = 6,
};

struct side {
	struct buf in; /* what was sent, from "begin" on not taken yet */
	size_t begin;
	uint8_t *piece; /* what was fed last: spans of the last event may point into it */
	struct an_event last;
	uint64_t last_sum;
	uint64_t off, taken;
	uint64_t sum;	/* FNV-1a over everything that its events say */
	uint64_t run_n; /* octets of messages, and behind STLS: how they are cut is the chunking's
			   business */
};

struct run {
	struct pop3 *pop3;
	struct pop3_limits limits;
	struct side sides[2]; /* by direction */
	size_t chunk;
	bool gate, deaf;
	uint8_t choices;
	unsigned commands;
	uint64_t next_slot;
	size_t storage;	       /* octets in use before the dialogue began */
	struct buf sent, wire; /* of the server, as far as they are events */
	struct buf message, message_wire;
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
sum_event(const struct an_event *ev)
{
	const struct pop3_detail *d = ev->pop3;
	uint64_t sum = sum_number(FNV_BASIS, (uint64_t)ev->kind);

	sum = sum_number(sum, ev->off);
	sum = sum_number(sum, (uint64_t)ev->anomaly);
	sum = sum_number(sum, ev->slot);
	sum = sum_span(sum, ev->octets);
	sum = sum_number(sum, (uint64_t)d->verb->verb);
	sum = sum_number(sum, (uint64_t)d->fault);
	sum = sum_span(sum, d->word);
	sum = sum_span(sum, d->args);
	sum = sum_number(sum, d->number);
	sum = sum_span(sum, d->text);
	sum = sum_span(sum, d->code);
	if (d->sequence != NULL)
		sum = sum_span(sum, span_str(d->sequence));
	return sum_number(sum,
	    d->ok + 2u * d->challenge + 4u * d->lines_follow + 8u * d->unasked + 16u * d->initial);
}

static void
digest_event(struct side *side, const struct an_event *ev)
{
	/* said ahead of the octet behind the run that it is about: where that is, and whether there
	 * is one, is the chunking's business */
	if (ev->kind == EV_ANOMALY && ev->anomaly == AN_LONG_BODY_LINE)
		return;
	if (ev->kind == EV_OPAQUE || (ev->kind == EV_BODY && ev->anomaly == AN_NONE)) {
		side->sum = sum_octets(side->sum, ev->octets);
		side->run_n += ev->octets.n;
	} else {
		side->sum = sum_number(side->sum, sum_event(ev));
	}
}

/* ---- claims ---- */

static void
claim_rewritten_command(const struct an_event *ev)
{
	const struct pop3_detail *d = ev->pop3;
	struct pop3_limits wide = {.line = STREAM_MAX, .auth_line = STREAM_MAX};
	struct buf out;
	struct pop3_detail again;
	struct span raw;

	buf_init(&out, STREAM_MAX);
	fuzz_claim(pop3_command_write(d, ev->octets, &out));
	raw = span_first(buf_span(&out), out.n - 2);
	fuzz_claim(
	    span_find(raw, '\r') < 0 && span_find(raw, '\n') < 0 && span_find(raw, '\0') < 0);
	pop3_command_parse(raw, (struct line_marks){0}, &wide, &again);
	fuzz_claim(again.verb == d->verb && again.fault == d->fault);
	fuzz_claim(span_eq(again.word, d->word) && again.number == d->number);
	fuzz_claim((again.args.n == 0) == (d->args.n == 0) && again.initial == d->initial);
	buf_free(&out);
}

static void
claim_command(struct run *r, const struct an_event *ev)
{
	const struct pop3_detail *d = ev->pop3;

	fuzz_claim(ev->slot == r->next_slot);
	r->next_slot++;
	fuzz_claim(fuzz_inside(d->word, ev->octets));
	fuzz_claim(ev->kind == EV_SECRET || fuzz_inside(d->args, ev->octets));
	if (ev->kind == EV_SECRET) {
		fuzz_claim(ev->octets.n + 2 <= r->limits.auth_line);
		return;
	}
	if (d->fault == POP3_OK)
		fuzz_claim(ev->octets.n + 2 <=
			   (d->verb->verb == POP3_AUTH ? r->limits.auth_line : r->limits.line));
	if (d->fault == POP3_OK || d->fault == POP3_VERB_UNKNOWN)
		claim_rewritten_command(ev);
}

static void
claim_reply(struct run *r, const struct an_event *ev)
{
	const struct pop3_detail *d = ev->pop3;

	if (ev->octets.n == 0) {
		fuzz_claim(ev->anomaly != AN_NONE);
		r->deaf = true;
		return;
	}
	fuzz_claim(ev->octets.n + 2 <= r->limits.reply_line);
	fuzz_claim(fuzz_inside(d->text, ev->octets) && fuzz_inside(d->code, d->text));
	fuzz_claim(d->ok + d->challenge <= 1);
	fuzz_claim(!d->lines_follow || (d->ok && !d->unasked));
	fuzz_claim(d->lines_follow == pop3_in_lines(r->pop3));
}

/* The message as a reader by the letter would have it. */
static void
claim_message(struct run *r)
{
	struct span wire = buf_span(&r->message_wire);
	struct buf want;
	bool line_start = true;

	buf_init(&want, STREAM_MAX);
	for (size_t i = 0; i < wire.n; i++) {
		fuzz_claim(!(line_start && wire.n - i >= 3 &&
			     span_eq(span_first(span_from(wire, i), 3), span_str(".\r\n"))));
		if (!(line_start && wire.p[i] == '.'))
			buf_octet(&want, wire.p[i]);
		line_start = wire.p[i] == '\n' && i > 0 && wire.p[i - 1] == '\r';
	}
	fuzz_claim(span_eq(buf_span(&want), buf_span(&r->message)));
	buf_free(&want);
	buf_clear(&r->message);
	buf_clear(&r->message_wire);
}

static void
note_wire(struct run *r, const struct an_event *ev)
{
	const struct pop3_detail *d = ev->pop3;

	if (ev->kind == EV_OPAQUE) {
		buf_add(&r->wire, ev->octets);
		return;
	}
	if (d->dot)
		buf_octet(&r->wire, '.');
	buf_add(&r->wire, d->wire);
	if (ev->kind == EV_BODY) {
		if (d->dot)
			buf_octet(&r->message_wire, '.');
		buf_add(&r->message_wire, d->wire);
		buf_add(&r->message, ev->octets);
	}
	if (ev->kind == EV_BODY_END || ev->kind == EV_LINES_END)
		buf_str(&r->wire, ".\r\n");
	if (ev->kind == EV_BODY_END)
		claim_message(r);
}

static void
claim_event(struct run *r, const struct an_event *ev, enum an_dir dir)
{
	struct side *side = &r->sides[dir];
	bool client = ev->kind == EV_COMMAND || ev->kind == EV_SECRET;

	fuzz_claim(ev->dir == dir);
	fuzz_claim(ev->pop3 != NULL && ev->pop3->verb != NULL);
	fuzz_claim(ev->off >= side->off && ev->off <= side->taken);
	side->off = ev->off;
	fuzz_claim(ev->kind == EV_OPAQUE || client == (dir == AN_C2S));
	if (client)
		claim_command(r, ev);
	if (ev->kind == EV_REPLY)
		claim_reply(r, ev);
	if (dir == AN_S2C)
		note_wire(r, ev);
}

/* What an event showed is there until its direction is fed again. */
static void
claim_lasting(struct side *side)
{
	if (side->last.pop3 != NULL)
		fuzz_claim(sum_span(FNV_BASIS, side->last.octets) == side->last_sum);
	side->last.pop3 = NULL;
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
	const struct pop3_limits *l = &r->limits;

	/* lines grow by doubling */
	fuzz_claim(storage_in_use() <= r->storage + DIALOGUE + 2 * (l->line + l->auth_line) +
					   2 * (l->reply_line + l->list_line));
}

/* ---- a gate does things of its own ---- */

static bool
chosen(const struct run *r, unsigned n)
{
	return r->gate && (r->choices >> n % 8 & 1) != 0;
}

static void
act_on(struct run *r, const struct an_event *ev)
{
	if (ev->kind == EV_COMMAND) {
		r->commands++;
		if (chosen(r, r->commands))
			pop3_answered(r->pop3, r->commands % 3 == 0);
	}
	fuzz_claim(pop3_waiting(r->pop3) <= POP3_SLOTS);
	fuzz_claim(!pop3_in_lines(r->pop3) || pop3_waiting(r->pop3) > 0);
	fuzz_claim(pop3_oldest(r->pop3) + pop3_waiting(r->pop3) == r->next_slot);
}

/* Whatever was not an event yet is behind all that was one. */
static void
claim_wire(struct run *r)
{
	if (!r->deaf)
		fuzz_claim(span_starts(buf_span(&r->sent), buf_span(&r->wire)));
	buf_free(&r->sent);
	buf_free(&r->wire);
	buf_free(&r->message);
	buf_free(&r->message_wire);
}

/* ---- feeding ---- */

static void
take(struct side *side, size_t n)
{
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
	status = pop3_feed(r->pop3, dir, side->piece, in.n, &used, &ev);
	fuzz_claim(used <= in.n);
	side->taken += used;
	if (dir == AN_S2C && used > 0)
		buf_add(&r->sent, span_of(side->piece, used));
	take(side, used);
	*stalls = used > 0 ? 0 : *stalls + 1;
	if (status != AN_EVENT) {
		fuzz_claim(status == AN_MORE || status == AN_WAIT);
		fuzz_claim(used == (status == AN_MORE ? in.n : 0));
		fuzz_claim(status == AN_MORE || dir == AN_C2S);
		return status == AN_MORE && in.n > 0;
	}
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
	if (!r->gate || act != ACT_ANSWER_OLDEST)
		return;
	/* whoever gives up on a message has not seen it whole, and does not see its end mark */
	buf_clear(&r->message);
	buf_clear(&r->message_wire);
	r->deaf = true;
	pop3_answered_oldest(r->pop3, value % 2 == 0);
	pump(r, AN_C2S);
}

/* The next record off the front of *rest. */
static struct span
take_record(struct span *rest, enum an_dir *dir, enum act *act, uint8_t *value)
{
	struct span octets;

	*dir = (rest->p[0] & 1) != 0 ? AN_S2C : AN_C2S;
	*act = (enum act)(rest->p[0] >> 1 & 7);
	*value = rest->n > 1 ? rest->p[1] : 0;
	*rest = span_from(*rest, 2);
	if (*act > ACT_FEED_OFTEN)
		return SPAN_NONE;
	octets = span_first(*rest, *value);
	*rest = span_from(*rest, octets.n);
	return octets;
}

static void
play(struct run *r, struct span records)
{
	enum an_dir dir = AN_C2S, before = AN_C2S;

	while (records.n > 0) {
		enum act act;
		uint8_t value;
		struct span octets = take_record(&records, &dir, &act, &value);

		if (r->chunk == JOINED && dir != before)
			pump(r, before);
		before = dir;
		for (unsigned i = 0; i < (act == ACT_FEED_OFTEN ? 40 : 1); i++)
			buf_add(&r->sides[dir].in, octets);
		if (act > ACT_FEED_OFTEN) {
			pump(r, dir);
			act_record(r, act, value);
		} else if (r->chunk != JOINED) {
			pump(r, dir);
		}
	}
	pump(r, dir);
}

static const struct pop3_limits small = {.line = 255,
    .endless = 400,
    .auth_line = 600,
    .reply_line = 512,
    .list_line = 64,
    .body_line = 80};
static const struct pop3_limits usual = {.line = 512,
    .endless = 8192,
    .auth_line = 12288,
    .reply_line = 2048,
    .list_line = 2048,
    .body_line = 1000};

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

	r.pop3 = pop3_new(&r.limits);
	fuzz_claim(r.pop3 != NULL);
	buf_init(&r.sent, STREAM_MAX);
	buf_init(&r.wire, STREAM_MAX);
	buf_init(&r.message, STREAM_MAX);
	buf_init(&r.message_wire, STREAM_MAX);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_init(&r.sides[dir].in, STREAM_MAX);
		r.sides[dir].sum = FNV_BASIS;
	}
	play(&r, span_from(input, 2));
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		sums[dir] = sum_number(r.sides[dir].sum, r.sides[dir].run_n);
		claim_lasting(&r.sides[dir]);
		buf_free(&r.sides[dir].in);
	}
	claim_wire(&r);
	r.storage = storage;
	claim_bounded(&r);
	pop3_free(r.pop3);
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
