/*
 * fuzz_ftp - the dialogue of a control connection: both streams, their interleaving, the chunking.
 *
 * The first octet holds the options (1: small limits, 2: a gate that answers some commands itself
 * and sends some of its own), the second says which ones. Records follow: what (1: from the
 * server, else from the client; bits 2 to 8: one of enum act), a length, and so many octets.
 *
 * Every input runs three times: records of one sender joined, as they are, and octet by octet.
 * Claims: the events of each direction are the same every time; offsets never go back; spans lie
 * in what was fed or in storage that lasts as long as the header says; AN_MORE takes everything,
 * AN_WAIT nothing; no feed loops; storage keeps its bound. A command that is written anew is read
 * as the same; a reply that is written anew ends at its last line for three kinds of clients.
 */
#include "core/telnet.h"
#include "ftp/command.h"
#include "ftp/features.h"
#include "ftp/path.h"
#include "fuzz.h"

#define STREAM_MAX  (1u << 20)
#define JOINED	    SIZE_MAX
#define AS_RECORDED (SIZE_MAX - 1)
#define STALLS_MAX  16	 /* events in a row that take no octet */
#define DIALOGUE    8192 /* octets: struct ftp, and what malloc rounds up */

enum act {
	ACT_FEED = 0,
	ACT_FEED_OFTEN = 5, /* the octets 40 times, to get at limits */
	ACT_ANSWER_OLDEST = 6,
	ACT_SEND_OWN = 7,
};

struct side {
	struct buf in; /* what was sent, from "begin" on not taken yet */
	size_t begin;
	uint8_t *piece; /* what was fed last: spans of the last event may point into it */
	struct an_event last;
	uint64_t last_sum;
	uint64_t off, taken;
	uint64_t sum;	   /* FNV-1a over everything that its events say */
	uint64_t opaque_n; /* octets behind AUTH: how they are cut is the chunking's business */
};

struct run {
	struct ftp *ftp;
	struct ftp_limits limits;
	struct side sides[2]; /* by direction */
	size_t chunk;
	bool gate;
	uint8_t choices;
	unsigned commands, replies;
	uint64_t next_slot;
	size_t storage; /* octets in use before the dialogue began */
	struct ftp_path path;
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
sum_hostport(uint64_t sum, const struct ftp_hostport *h)
{
	sum = sum_number(sum, (uint64_t)h->ip.family);
	sum = sum_octets(sum, span_of(h->ip.octets, sizeof(h->ip.octets)));
	return sum_number(sum, h->port);
}

static uint64_t
sum_event(const struct an_event *ev)
{
	const struct ftp_detail *d = ev->ftp;
	uint64_t sum = sum_number(FNV_BASIS, (uint64_t)ev->kind);

	sum = sum_number(sum, ev->off);
	sum = sum_number(sum, (uint64_t)ev->anomaly);
	sum = sum_number(sum, ev->slot);
	sum = sum_span(sum, ev->octets);
	sum = sum_number(sum, (uint64_t)d->verb->verb);
	sum = sum_number(sum, (uint64_t)d->fault);
	sum = sum_span(sum, d->word);
	sum = sum_span(sum, d->args);
	sum = sum_hostport(sum, &d->hostport);
	sum = sum_number(sum, (uint64_t)d->epsv);
	sum = sum_number(sum, d->restart);
	sum = sum_number(sum, d->code + 1000 * d->lines);
	sum = sum_span(sum, d->text);
	return sum_number(sum, d->synch + 2u * d->preliminary + 4u * d->own + 8u * d->unasked);
}

static void
digest_event(struct side *side, const struct an_event *ev)
{
	if (ev->kind == EV_OPAQUE) {
		side->sum = sum_octets(side->sum, ev->octets);
		side->opaque_n += ev->octets.n;
	} else {
		side->sum = sum_number(side->sum, sum_event(ev));
	}
}

/* ---- claims ---- */

static void
claim_rewritten_command(const struct ftp_detail *d)
{
	struct buf out, plain;
	struct ftp_detail again;
	struct span raw;
	bool telnet;

	buf_init(&out, STREAM_MAX);
	buf_init(&plain, STREAM_MAX);
	fuzz_claim(ftp_command_write(d->word, d->args, &out));
	raw = span_first(buf_span(&out), out.n - 2);
	fuzz_claim(
	    span_find(raw, '\r') < 0 && span_find(raw, '\n') < 0 && span_find(raw, '\0') < 0);
	fuzz_claim(telnet_plain(raw, &plain, &telnet) && !telnet);
	ftp_command_parse(
	    raw, buf_span(&plain), telnet, (struct line_marks){0}, STREAM_MAX, &again);
	fuzz_claim(again.verb == d->verb && again.fault == d->fault);
	fuzz_claim(span_eq(again.word, d->word) && span_eq(again.args, d->args));
	buf_free(&out);
	buf_free(&plain);
}

static void
claim_command(struct run *r, const struct an_event *ev)
{
	const struct ftp_detail *d = ev->ftp;

	fuzz_claim(ev->slot == r->next_slot);
	r->next_slot++;
	fuzz_claim(ev->octets.n + 2 <= r->limits.line);
	fuzz_claim(fuzz_inside(d->word, ev->octets));
	fuzz_claim(fuzz_inside(d->args, ev->octets));
	fuzz_claim((d->verb->args == FTP_ARGS_HOSTPORT || d->verb->args == FTP_ARGS_EPRT) ==
		       (d->hostport.port != 0) ||
		   d->fault != FTP_OK);
	if (d->fault == FTP_OK || d->fault == FTP_VERB_UNKNOWN)
		claim_rewritten_command(d);
}

static bool
has_code(struct span line)
{
	return line.n >= 3 && octet_is_digit(line.p[0]) && octet_is_digit(line.p[1]) &&
	       octet_is_digit(line.p[2]);
}

/* Does this line end a reply whose first line is "first", by the letter, and for lax clients? */
static bool
ends_for_somebody(struct span line, struct span first)
{
	bool same = span_starts(line, span_first(first, 3));

	return (has_code(line) && (line.n == 3 || line.p[3] == ' ')) || /* any code will do */
	       (same && (line.n == 3 || line.p[3] != '-'));		/* all but the dash */
}

static void
claim_rewritten_reply(const struct an_event *ev)
{
	struct span rest, first = SPAN_NONE;
	struct buf out;
	size_t lines = 0;

	buf_init(&out, STREAM_MAX);
	fuzz_claim(ftp_reply_write(ev->octets, &out));
	for (rest = buf_span(&out); rest.n > 0; lines++) {
		ptrdiff_t lf = span_find(rest, '\n');
		struct span line = span_first(rest, (size_t)lf - 1);

		fuzz_claim(lf > 0 && rest.p[lf - 1] == '\r');
		fuzz_claim(span_find(line, '\r') < 0 && span_find(line, '\0') < 0);
		rest = span_from(rest, (size_t)lf + 1);
		if (lines == 0)
			first = line;
		fuzz_claim(ends_for_somebody(line, first) == (rest.n == 0));
	}
	fuzz_claim(lines == ev->ftp->lines);
	buf_free(&out);
}

static bool
keep_all(void *arg, struct span keyword, struct span params, struct span *instead)
{
	const struct span *reply = arg;

	(void)instead;
	fuzz_claim(keyword.n > 0 && fuzz_inside(keyword, *reply) && fuzz_inside(params, *reply));
	return true;
}

/* What else reads replies. */
static void
claim_readers(struct run *r, const struct an_event *ev)
{
	struct span octets = ev->octets;
	struct ftp_feature_filter filter = {.keep = keep_all, .arg = &octets};
	struct buf out;
	bool understood;

	buf_init(&out, STREAM_MAX);
	fuzz_claim(ftp_features_rewrite(octets, &filter, &out));
	fuzz_claim(out.n <= octets.n + ev->ftp->lines);
	fuzz_claim(ftp_path_told(&r->path, ev->ftp->text, &understood));
	fuzz_claim(r->path.text.n <= FTP_PATH_MAX);
	buf_free(&out);
}

static void
claim_reply(struct run *r, const struct an_event *ev)
{
	const struct ftp_detail *d = ev->ftp;

	fuzz_claim(ev->octets.n <= r->limits.reply && d->lines <= r->limits.reply_lines);
	if (d->code == 0) {
		fuzz_claim(ev->anomaly != AN_NONE && ev->octets.n == 0);
		return;
	}
	fuzz_claim(d->code >= 100 && d->code <= 559);
	fuzz_claim(fuzz_inside(d->text, ev->octets));
	fuzz_claim(d->preliminary == (d->code < 200));
	fuzz_claim(d->hostport.port == 0 || ((d->code == 227 && d->verb->verb == FTP_PASV) ||
						(d->code == 229 && d->verb->verb == FTP_EPSV)));
	claim_rewritten_reply(ev);
	claim_readers(r, ev);
}

static void
claim_event(struct run *r, const struct an_event *ev, enum an_dir dir)
{
	struct side *side = &r->sides[dir];

	fuzz_claim(ev->dir == dir);
	fuzz_claim(ev->ftp != NULL && ev->ftp->verb != NULL);
	fuzz_claim(ev->off >= side->off && ev->off <= side->taken);
	side->off = ev->off;
	fuzz_claim(ev->kind == EV_COMMAND || ev->kind == EV_REPLY || ev->kind == EV_ANOMALY ||
		   ev->kind == EV_OPAQUE);
	if (ev->kind == EV_COMMAND)
		claim_command(r, ev);
	if (ev->kind == EV_REPLY)
		claim_reply(r, ev);
}

/* What an event showed is there until its direction is fed again. */
static void
claim_lasting(struct side *side)
{
	if (side->last.ftp != NULL)
		fuzz_claim(sum_span(FNV_BASIS, side->last.octets) == side->last_sum);
	side->last.ftp = NULL;
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
	const struct ftp_limits *l = &r->limits;

	fuzz_claim(storage_in_use() <=
		   r->storage + DIALOGUE + 2 * (2 * l->line + l->reply_line + l->reply));
}

/* ---- a gate does things of its own ---- */

static bool
chosen(const struct run *r, unsigned n)
{
	return r->gate && (r->choices >> n % 8 & 1) != 0;
}

static void
send_own(struct run *r, enum ftp_verb verb)
{
	uint64_t slot;

	if (ftp_state(r->ftp) != FTP_ST_COMMAND)
		return;
	slot = ftp_sent(r->ftp, verb);
	fuzz_claim(slot == r->next_slot || slot == UINT64_MAX);
	if (slot != UINT64_MAX)
		r->next_slot++;
}

static void
act_on(struct run *r, const struct an_event *ev)
{
	if (ev->kind == EV_COMMAND) {
		r->commands++;
		if (ev->ftp->verb->path)
			fuzz_claim(ftp_path_enter(&r->path, ev->ftp->args));
		if (chosen(r, r->commands))
			ftp_answered(r->ftp, r->commands % 3 == 0 ? 200 : 550);
	}
	if (ev->kind == EV_REPLY) {
		r->replies++;
		if (chosen(r, r->replies + 3))
			send_own(r, r->replies % 2 == 0 ? FTP_PASV : FTP_EPSV);
	}
	fuzz_claim(ftp_waiting(r->ftp) <= FTP_SLOTS + 8);
	fuzz_claim(
	    !ftp_transferring(r->ftp) || ftp_oldest_verb(r->ftp)->carries != FTP_NO_TRANSFER);
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
	status = ftp_feed(r->ftp, dir, side->piece, in.n, &used, &ev);
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
	if (!r->gate)
		return;
	if (act == ACT_ANSWER_OLDEST)
		ftp_answered_oldest(r->ftp, 200 + value);
	if (act == ACT_SEND_OWN)
		send_own(r, value % 2 == 0 ? FTP_PASV : FTP_EPSV);
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

static const struct ftp_limits small = {
    .line = 128, .endless = 600, .reply_line = 128, .reply_lines = 4, .reply = 400};
static const struct ftp_limits usual = {
    .line = 4096, .endless = 65536, .reply_line = 4096, .reply_lines = 1000, .reply = 131072};

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

	r.ftp = ftp_new(&r.limits);
	fuzz_claim(r.ftp != NULL);
	ftp_path_init(&r.path);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_init(&r.sides[dir].in, STREAM_MAX);
		r.sides[dir].sum = FNV_BASIS;
	}
	play(&r, span_from(input, 2));
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		sums[dir] = sum_number(r.sides[dir].sum, r.sides[dir].opaque_n);
		claim_lasting(&r.sides[dir]);
		buf_free(&r.sides[dir].in);
	}
	ftp_path_free(&r.path);
	r.storage = storage;
	claim_bounded(&r);
	ftp_free(r.ftp);
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
