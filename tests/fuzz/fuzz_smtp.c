/*
 * fuzz_smtp - the dialogue of a session: both streams, their interleaving and the chunking.
 *
 * The first octet holds the options (1: small limits, 2: lenient paths, 4: a gate that answers
 * some commands itself and sends some of its own), the second says which ones. Records follow:
 * what (1: from the server, else from the client; bits 2 to 8: one of enum act), a length, and so
 * many octets.
 *
 * Every input runs three times: records of one sender joined, as they are, and octet by octet.
 * Claims: the events of each direction are the same every time; offsets never go back; spans lie
 * in what was fed or in storage that lasts as long as the header says; AN_MORE takes everything,
 * AN_WAIT nothing; no feed loops; storage keeps its bound.
 */
#include "fuzz.h"
#include "smtp/smtp.h"

#define STREAM_MAX  (1u << 20)
#define JOINED	    SIZE_MAX
#define AS_RECORDED (SIZE_MAX - 1)
#define STALLS_MAX  16	  /* events in a row that take no octet */
#define DIALOGUE    16384 /* octets: struct smtp, and what malloc rounds up */

enum act {
	ACT_FEED = 0,
	ACT_FEED_OFTEN = 4, /* the octets 40 times, to get at limits */
	ACT_ANSWER_OLDEST = 5,
	ACT_SEND_OWN = 6,
	ACT_OFFER = 7,
};

/* FNV-1a over everything that an event says. */
struct digest {
	uint64_t sum;
	/* a message: its octets, joined, and the set of what was odd about it */
	uint64_t body, body_n, odd;
	uint8_t last[2];
};

struct side {
	struct buf in; /* what was sent, from "begin" on not taken yet */
	size_t begin;
	uint8_t *piece; /* what was fed last: spans of the last event may point into it */
	struct an_event last;
	uint64_t last_sum;
	uint64_t off, taken;
	struct digest digest;
};

struct run {
	struct smtp *smtp;
	struct smtp_limits limits;
	struct side sides[2]; /* by direction */
	size_t chunk;
	bool gate;
	uint8_t choices;
	unsigned commands, replies;
	uint64_t next_slot;
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
sum_path(uint64_t sum, const struct smtp_path *path)
{
	sum = sum_span(sum, path->raw);
	sum = sum_span(sum, path->route);
	sum = sum_span(sum, path->local);
	sum = sum_span(sum, path->domain);
	return sum_number(sum, (uint64_t)path->domain_kind);
}

static uint64_t
sum_params(uint64_t sum, const struct smtp_params *params)
{
	sum = sum_number(sum, params->used);
	sum = sum_number(sum, params->size);
	sum = sum_span(sum, params->text);
	return sum_number(sum, (uint64_t)params->body);
}

static uint64_t
sum_command(uint64_t sum, const struct smtp_detail *d)
{
	sum = sum_number(sum, (uint64_t)d->fault);
	sum = sum_span(sum, d->word);
	sum = sum_span(sum, d->args);
	sum = sum_number(sum, (uint64_t)d->path_fault);
	sum = sum_number(sum, (uint64_t)d->param_fault);
	sum = sum_span(sum, d->param_bad);
	if (d->verb->args == SMTP_ARGS_PATH && d->fault != SMTP_ARGS_SYNTAX)
		sum = sum_path(sum, &d->path);
	if (d->verb->args == SMTP_ARGS_PATH && d->fault == SMTP_OK)
		sum = sum_params(sum, &d->params);
	return sum_number(sum_number(sum, d->chunk), d->last);
}

static uint64_t
sum_event(const struct an_event *ev)
{
	uint64_t sum = sum_number(FNV_BASIS, (uint64_t)ev->kind);

	sum = sum_number(sum, ev->off);
	sum = sum_number(sum, (uint64_t)ev->anomaly);
	sum = sum_number(sum, ev->slot);
	sum = sum_span(sum, ev->octets);
	sum = sum_number(sum, (uint64_t)ev->smtp->verb->verb);
	if (ev->kind == EV_REPLY)
		return sum_number(sum, ev->smtp->code + 1000 * ev->smtp->lines + ev->smtp->own +
					   2u * ev->smtp->unasked);
	return ev->kind == EV_COMMAND || ev->kind == EV_SECRET ? sum_command(sum, ev->smtp) : sum;
}

/* The octets of a message are joined: how they are cut is the chunking's business. */
static void
digest_body(struct digest *d, const struct an_event *ev)
{
	struct span s = ev->octets;

	d->body = sum_octets(d->body, s);
	d->body_n += s.n;
	if (ev->kind == EV_BODY && ev->anomaly != AN_NONE)
		d->odd += sum_number(sum_number(FNV_BASIS, (uint64_t)ev->anomaly), d->body_n);
	for (size_t i = s.n > 2 ? s.n - 2 : 0; i < s.n; i++) {
		d->last[0] = d->last[1];
		d->last[1] = s.p[i];
	}
}

static void
digest_oddity(struct digest *d, const struct an_event *ev)
{
	struct span name = ev->smtp->sequence == NULL ? SPAN_NONE : span_str(ev->smtp->sequence);

	d->odd += sum_span(sum_number(FNV_BASIS, (uint64_t)ev->anomaly), name);
}

static void
digest_event(struct digest *d, const struct an_event *ev)
{
	if (ev->kind == EV_BODY || ev->kind == EV_OPAQUE) {
		digest_body(d, ev);
		return;
	}
	if (ev->kind == EV_ANOMALY) {
		digest_oddity(d, ev);
		return;
	}
	d->sum = sum_number(d->sum, d->body);
	d->sum = sum_number(d->sum, d->body_n);
	d->sum = sum_number(d->sum, sum_event(ev));
	if (ev->kind == EV_BODY_END) {
		d->sum = sum_number(d->sum, d->odd);
		d->body_n = d->odd = 0;
	}
}

/* ---- claims ---- */

static void
claim_command(struct run *r, const struct an_event *ev)
{
	const struct smtp_detail *d = ev->smtp;

	fuzz_claim(ev->slot == r->next_slot);
	r->next_slot++;
	fuzz_claim(ev->octets.n + 2 <= r->limits.auth_line || ev->octets.n + 2 <= r->limits.line);
	fuzz_claim(fuzz_inside(d->word, ev->octets));
	fuzz_claim(fuzz_inside(d->args, ev->octets));
	fuzz_claim(fuzz_inside(d->param_bad, ev->octets));
	fuzz_claim(fuzz_inside(d->path.raw, ev->octets));
	if (d->fault == SMTP_OK) {
		fuzz_claim(span_find(ev->octets, '\r') < 0);
		fuzz_claim(span_find(ev->octets, '\n') < 0);
		fuzz_claim(span_find(ev->octets, '\0') < 0);
		fuzz_claim(span_is_utf8(ev->octets) || ev->kind == EV_SECRET);
	}
}

static void
claim_reply(const struct run *r, const struct an_event *ev)
{
	const struct smtp_detail *d = ev->smtp;

	fuzz_claim(ev->octets.n <= r->limits.reply && d->lines <= r->limits.reply_lines);
	if (d->code == 0) {
		fuzz_claim(ev->anomaly != AN_NONE && ev->octets.n == 0);
		return;
	}
	fuzz_claim(d->code >= 200 && d->code <= 559);
	fuzz_claim(ev->octets.n >= 5 && ev->octets.p[ev->octets.n - 1] == '\n');
	fuzz_claim(d->unasked == (ev->anomaly == AN_UNMATCHED_REPLY));
}

/* A stuffed dot stands right before its line; a run begins a line where the one before ended it. */
static void
claim_body(const struct run *r, const struct an_event *ev, bool dots)
{
	const struct digest *d = &r->sides[AN_C2S].digest;
	const struct smtp_detail *detail = ev->smtp;
	bool at_start = d->body_n == 0 || (d->last[0] == '\r' && d->last[1] == '\n');

	if (ev->octets.n == 0)
		return;
	fuzz_claim(detail->wire.n == ev->octets.n || detail->wire.n == ev->octets.n + 1);
	fuzz_claim(detail->wire.p + detail->wire.n == ev->octets.p + ev->octets.n);
	fuzz_claim(detail->wire.n == ev->octets.n || (dots && detail->wire.p[0] == '.'));
	fuzz_claim(!dots || detail->line_start == at_start);
	if (ev->anomaly != AN_NONE) {
		fuzz_claim(ev->octets.n == 1);
		return;
	}
	for (size_t i = 0; dots && i < ev->octets.n; i++) {
		uint8_t c = ev->octets.p[i];

		fuzz_claim(c != '\0');
		fuzz_claim(c != '\r' || (i + 1 < ev->octets.n && ev->octets.p[i + 1] == '\n'));
		fuzz_claim(c != '\n' || (i > 0 && ev->octets.p[i - 1] == '\r'));
	}
}

static void
claim_event(struct run *r, const struct an_event *ev, enum an_dir dir, bool dots)
{
	struct side *side = &r->sides[dir];

	fuzz_claim(ev->dir == dir);
	fuzz_claim(ev->smtp != NULL && ev->smtp->verb != NULL);
	fuzz_claim(ev->off >= side->off && ev->off <= side->taken);
	side->off = ev->off;
	switch ((int)ev->kind) {
	case EV_COMMAND:
	case EV_SECRET:
		claim_command(r, ev);
		break;
	case EV_REPLY:
		claim_reply(r, ev);
		break;
	case EV_BODY:
		claim_body(r, ev, dots);
		break;
	case EV_BODY_END:
		fuzz_claim(ev->slot == r->next_slot || ev->slot == r->next_slot - 1);
		r->next_slot = ev->slot + 1;
		break;
	case EV_CHUNK_END:
		fuzz_claim(ev->slot == r->next_slot - 1);
		break;
	case EV_OPAQUE:
	case EV_ANOMALY:
		break;
	}
}

/* What an event showed is there until its direction is fed again. */
static void
claim_lasting(struct side *side)
{
	if (side->last.smtp != NULL)
		fuzz_claim(sum_span(FNV_BASIS, side->last.octets) == side->last_sum);
	side->last.smtp = NULL;
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
	const struct smtp_limits *l = &r->limits;
	size_t line = l->auth_line > l->line ? l->auth_line : l->line;

	fuzz_claim(
	    storage_in_use() <= r->storage + DIALOGUE + 2 * (line + l->reply_line + l->reply));
}

/* ---- a gate does things of its own ---- */

static bool
chosen(const struct run *r, unsigned n)
{
	return r->gate && (r->choices >> n % 8 & 1) != 0;
}

static void
send_own(struct run *r, enum smtp_verb verb)
{
	uint64_t slot;

	if (smtp_state(r->smtp) != SMTP_ST_COMMAND)
		return;
	slot = smtp_sent(r->smtp, verb);
	fuzz_claim(slot == r->next_slot || slot == UINT64_MAX);
	if (slot != UINT64_MAX)
		r->next_slot++;
}

static void
act_on(struct run *r, const struct an_event *ev)
{
	bool in_chunk = smtp_state(r->smtp) == SMTP_ST_CHUNK;

	switch ((int)ev->kind) {
	case EV_COMMAND:
	case EV_SECRET:
		r->commands++;
		if (!in_chunk && chosen(r, r->commands))
			smtp_answered(r->smtp, r->commands % 3 == 0 ? 250 : 550);
		break;
	case EV_BODY_END:
	case EV_CHUNK_END:
		if (chosen(r, r->commands))
			smtp_answered(r->smtp, 550);
		break;
	case EV_REPLY:
		r->replies++;
		if (ev->smtp->verb->verb == SMTP_DATA) /* chunks ahead of it were given up */
			r->sides[AN_C2S].digest.body_n = 0;
		if (chosen(r, r->replies + 3))
			send_own(r, r->replies % 2 == 0 ? SMTP_BDAT : SMTP_RSET);
		break;
	case EV_BODY:
	case EV_OPAQUE:
	case EV_ANOMALY:
		break;
	}
	fuzz_claim(smtp_waiting(r->smtp) <= SMTP_SLOTS + 8);
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
	bool dots = smtp_state(r->smtp) == SMTP_ST_DATA;
	enum an_status status;
	struct an_event ev;

	claim_lasting(side);
	side->piece = malloc(in.n > 0 ? in.n : 1);
	if (side->piece == NULL)
		abort();
	if (in.n > 0)
		memcpy(side->piece, in.p, in.n);
	status = smtp_feed(r->smtp, dir, side->piece, in.n, &used, &ev);
	fuzz_claim(used <= in.n);
	side->taken += used;
	take(side, used);
	*stalls = used > 0 ? 0 : *stalls + 1;
	if (status != AN_EVENT) {
		fuzz_claim(status == AN_MORE || status == AN_WAIT);
		fuzz_claim(used == (status == AN_MORE ? in.n : 0));
		fuzz_claim(status == AN_MORE || dir == AN_C2S);
		return status == AN_MORE && in.n > 0;
	}
	fuzz_claim(*stalls <= STALLS_MAX);
	claim_event(r, &ev, dir, dots);
	digest_event(&side->digest, &ev);
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
	if (act == ACT_OFFER)
		smtp_offer(r->smtp, value == 255 ? ~0u : value);
	if (!r->gate)
		return;
	if (act == ACT_ANSWER_OLDEST)
		smtp_answered_oldest(r->smtp, 200 + value);
	if (act == ACT_SEND_OWN)
		send_own(r, value % 2 == 0 ? SMTP_BDAT : SMTP_RSET);
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

static const struct smtp_limits small = {
    .line = 512,
    .auth_line = 700,
    .endless = 2000,
    .reply_line = 512,
    .reply_lines = 4,
    .reply = 1200,
    .body_line = 80,
};
static const struct smtp_limits usual = {
    .line = 4096,
    .auth_line = 12288,
    .endless = 65536,
    .reply_line = 2048,
    .reply_lines = 256,
    .reply = 65536,
    .body_line = 1000,
};

static void
run_once(struct span input, size_t chunk, uint64_t sums[2])
{
	uint8_t options = input.n > 0 ? input.p[0] : 0;
	size_t storage = storage_in_use();
	struct run r = {.chunk = chunk,
	    .limits = (options & 1) != 0 ? small : usual,
	    .gate = (options & 4) != 0,
	    .choices = input.n > 1 ? input.p[1] : 0,
	    .next_slot = 1};

	r.limits.lenient_paths = (options & 2) != 0;
	r.smtp = smtp_new(&r.limits);
	fuzz_claim(r.smtp != NULL);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_init(&r.sides[dir].in, STREAM_MAX);
		r.sides[dir].digest.sum = r.sides[dir].digest.body = FNV_BASIS;
	}
	play(&r, span_from(input, 2));
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		struct digest *d = &r.sides[dir].digest;

		sums[dir] = sum_number(sum_number(d->sum, d->body), d->body_n);
		claim_lasting(&r.sides[dir]);
		buf_free(&r.sides[dir].in);
	}
	r.storage = storage;
	claim_bounded(&r);
	smtp_free(r.smtp);
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
