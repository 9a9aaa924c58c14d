#include "tcp/stream.h"

#include <stdlib.h>

#define ALLOCATED    16u /* what malloc() itself needs for each piece, about */
#define PIECES_FIRST 8u
#define KEPT_FIRST   1024u
#define NOWHERE	     UINT64_MAX

void
stream_tell(const struct stream_owner *o, const struct connection_event *ev)
{
	struct connection_event e = *ev;

	e.dir = o->dir;
	o->env->happened(o->env->arg, o->connection, &e);
}

void
stream_odd(const struct stream_owner *o, const struct stream *s, enum connection_oddity oddity)
{
	stream_tell(o,
	    &(struct connection_event){.what = CONNECTION_STRAY, .oddity = oddity, .off = s->off});
}

void
stream_begin(struct stream *s, uint32_t seq)
{
	s->next = seq;
	s->begun = true;
}

int64_t
stream_place(const struct stream *s, uint32_t seq)
{
	uint32_t behind = s->next - seq;

	if (behind <= STREAM_BACK)
		return (int64_t)s->off - behind;
	return (int64_t)s->off + (uint32_t)(seq - s->next);
}

uint64_t
stream_limit(const struct stream *s)
{
	uint32_t tolerance = s->window > STREAM_WINDOW_LEAST ? s->window : STREAM_WINDOW_LEAST;

	return s->windowed ? (s->edge > s->off ? s->edge : s->off) + tolerance : UINT64_MAX;
}

static void
advance(struct stream *s, uint64_t n)
{
	s->off += n;
	s->next += (uint32_t)n;
}

/* ---- what was handed out, to compare it with what comes again ---- */

/* A ring twice as large, with what is in the old one; false: it stays as it is. */
static bool
grow_kept(const struct stream_owner *o, struct stream *s)
{
	uint32_t room = s->kept_room == 0 ? KEPT_FIRST : 2 * s->kept_room;
	uint8_t *kept = *o->memory + room > o->memory_kept ? NULL : malloc(room);
	size_t n;

	if (kept == NULL)
		return false;
	for (uint64_t off = s->kept_from; off < s->off && s->kept_room > 0; off += n) {
		/* in the old ring up to its end, and there ends no run in the new one */
		n = s->kept_room - (size_t)(off % s->kept_room);
		n = n < s->off - off ? n : (size_t)(s->off - off);
		memcpy(kept + off % room, s->kept + off % s->kept_room, n);
	}
	free(s->kept);
	*o->memory += room - s->kept_room;
	s->kept = kept;
	s->kept_room = room;
	return true;
}

/* Octets that are handed out next. */
static void
remember(const struct stream_owner *o, struct stream *s, struct span octets)
{
	size_t at, n;

	while (s->kept_room < CONNECTION_COMPARE && s->off + octets.n - s->kept_from > s->kept_room)
		if (!grow_kept(o, s))
			break;
	if (s->kept_room == 0) { /* no memory */
		s->kept_from = s->off + octets.n;
		return;
	}
	if (s->off + octets.n > s->kept_room + s->kept_from)
		s->kept_from = s->off + octets.n - s->kept_room;
	for (uint64_t off = s->off; octets.n > 0; off += n, octets = span_from(octets, n)) {
		at = off % s->kept_room;
		n = s->kept_room - at < octets.n ? s->kept_room - at : octets.n;
		memcpy(s->kept + at, octets.p, n);
	}
}

static void
tell_conflict(const struct stream_owner *o, uint64_t off, struct span octets)
{
	stream_tell(
	    o, &(struct connection_event){
		   .what = CONNECTION_CONFLICT, .off = off, .octets = octets, .n = octets.n});
}

/* Octets of "there" from "off" on, and what came now for the same places. */
static void
compare(const struct stream_owner *o, uint64_t off, const uint8_t *there, struct span now)
{
	size_t at = 0;

	if (memcmp(there, now.p, now.n) == 0)
		return;
	while (there[at] == now.p[at])
		at++;
	tell_conflict(o, off + at, span_from(now, at));
}

/*
 * Octets from place on that were handed out already, all of them. A probe whether the other side is
 * still there (RFC 9293 s3.8.4) has any octet in the place of the last one.
 */
static void
compare_kept(const struct stream_owner *o, const struct stream *s, int64_t place, struct span now)
{
	size_t at, n;

	if (s->kept_room == 0 || (now.n == 1 && place + 1 == (int64_t)s->off))
		return;
	if (place < (int64_t)s->kept_from) {
		n = (size_t)((int64_t)s->kept_from - place);
		if (n >= now.n)
			return;
		now = span_from(now, n);
		place += (int64_t)n;
	}
	for (; now.n > 0; place += (int64_t)n, now = span_from(now, n)) {
		at = (uint64_t)place % s->kept_room;
		n = s->kept_room - at < now.n ? s->kept_room - at : now.n;
		compare(o, (uint64_t)place, s->kept + at, span_first(now, n));
	}
}

/* ---- handing out ---- */

static void
hand_out(const struct stream_owner *o, struct stream *s, struct span octets)
{
	if (octets.n == 0)
		return;
	if (o->env->compare)
		remember(o, s, octets);
	stream_tell(
	    o, &(struct connection_event){
		   .what = CONNECTION_OCTETS, .off = s->off, .octets = octets, .n = octets.n});
	o->connection->octets[o->dir] += octets.n;
	advance(s, octets.n);
}

static void
gap_to(const struct stream_owner *o, struct stream *s, uint64_t to)
{
	uint64_t off = s->off;

	advance(s, to - off);
	s->kept_from = s->off;
	stream_tell(
	    o, &(struct connection_event){.what = CONNECTION_GAP, .off = off, .n = to - off});
}

static struct stream_piece *
first_piece(const struct stream *s)
{
	return s->first < s->last ? &s->piece[s->first] : NULL;
}

static void
release(const struct stream_owner *o, struct stream *s, const struct stream_piece *p)
{
	*o->memory -= p->n + ALLOCATED;
	s->waiting -= p->n;
	free(p->octets);
}

static void
note_absent(struct stream *s, uint64_t to)
{
	s->absent = to > s->absent ? to : s->absent;
}

/* The first piece, whose turn it is. */
static void
hand_out_piece(const struct stream_owner *o, struct stream *s)
{
	struct stream_piece p = s->piece[s->first++];

	if (p.missing > 0)
		note_absent(s, p.off + p.n + p.missing);
	hand_out(o, s, span_of(p.octets, p.n));
	release(o, s, &p);
}

/* Where the hole at the front is to be given up to; s->off: it is not. */
static uint64_t
given_up_to(const struct stream *s)
{
	const struct stream_piece *p = first_piece(s);
	uint64_t end = p != NULL ? p->off : NOWHERE;

	if (s->fin && s->fin_at < end)
		end = s->fin_at;
	if (end != NOWHERE && s->claimed > end)
		return end;
	if (s->absent <= s->off)
		return s->off;
	return s->absent < end ? s->absent : end;
}

void
stream_resume(const struct stream_owner *o, struct stream *s)
{
	const struct stream_piece *p;
	uint64_t to;

	while (!s->ended) {
		p = first_piece(s);
		if (p != NULL && p->off == s->off) {
			hand_out_piece(o, s);
		} else if ((to = given_up_to(s)) > s->off) {
			gap_to(o, s, to);
		} else if (s->fin && s->fin_at == s->off) {
			s->ended = true;
			stream_drop(o, s);
			stream_tell(
			    o, &(struct connection_event){.what = CONNECTION_END, .off = s->off});
		} else {
			return;
		}
	}
}

/* ---- what waits ---- */

/* The first piece that ends behind off; s->last: there is none. */
static uint32_t
find_piece(const struct stream *s, uint64_t off)
{
	uint32_t low = s->first, high = s->last, middle;

	if (low < high && s->piece[high - 1].off + s->piece[high - 1].n <= off)
		return high;
	while (low < high) {
		middle = low + (high - low) / 2;
		if (s->piece[middle].off + s->piece[middle].n > off)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool
make_room(const struct stream_owner *o, struct stream *s)
{
	struct stream_piece *piece;
	uint32_t room;

	if (s->last < s->room)
		return true;
	if (s->first > s->room / 2) {
		memmove(s->piece, s->piece + s->first, (s->last - s->first) * sizeof(*s->piece));
		s->last -= s->first;
		s->first = 0;
		return true;
	}
	room = s->room == 0 ? PIECES_FIRST : 2 * s->room;
	if ((piece = realloc(s->piece, room * sizeof(*piece))) == NULL)
		return false;
	*o->memory += (room - s->room) * sizeof(*piece);
	s->piece = piece;
	s->room = room;
	return true;
}

/* A piece as the one with this index, counted from the first; false: no memory. */
static bool
insert(const struct stream_owner *o, struct stream *s, uint32_t index, uint64_t off,
    struct span octets, size_t missing)
{
	struct stream_piece *at;
	uint8_t *copy;

	if (!make_room(o, s) || (copy = malloc(octets.n)) == NULL)
		return false;
	memcpy(copy, octets.p, octets.n);
	at = &s->piece[s->first + index];
	memmove(at + 1, at, (s->last - s->first - index) * sizeof(*at));
	*at = (struct stream_piece){
	    .off = off, .n = (uint32_t)octets.n, .missing = (uint32_t)missing, .octets = copy};
	s->last++;
	s->waiting += at->n;
	*o->memory += at->n + ALLOCATED;
	return true;
}

/*
 * Octets ahead of their turn: those that are not there yet wait. Amortized, as many pieces come of
 * it as there are segments: each one more fills a hole between two. False: no memory.
 */
static bool
keep(const struct stream_owner *o, struct stream *s, uint64_t off, struct span octets,
    size_t missing)
{
	uint32_t i = find_piece(s, off) - s->first;
	const struct stream_piece *p;
	size_t n;

	while (octets.n > 0) {
		p = s->first + i < s->last ? &s->piece[s->first + i] : NULL;
		n = octets.n;
		if (p != NULL && p->off < off + n)
			n = p->off > off ? (size_t)(p->off - off) : 0;
		if (n > 0) {
			if (!insert(
				o, s, i, off, span_first(octets, n), n < octets.n ? 0 : missing))
				return false;
		} else {
			n = (size_t)(p->off + p->n - off);
			n = n < octets.n ? n : octets.n;
			compare(o, off, p->octets + (off - p->off), span_first(octets, n));
		}
		i++;
		off += n;
		octets = span_from(octets, n);
	}
	return true;
}

void
stream_drop(const struct stream_owner *o, struct stream *s)
{
	while (s->first < s->last)
		release(o, s, &s->piece[s->first++]);
}

void
stream_hold(const struct stream_owner *o, struct stream *s, struct span octets)
{
	keep(o, s, s->off, octets, 0);
}

bool
stream_yield(const struct stream_owner *o, struct stream *s)
{
	const struct stream_piece *p = first_piece(s);

	if (p == NULL)
		return false;
	note_absent(s, p->off);
	stream_resume(o, s);
	return true;
}

/* ---- octets of a segment ---- */

/* Octets whose turn it is, and what waits within their reach. */
static void
take_now(const struct stream_owner *o, struct stream *s, struct span octets)
{
	const struct stream_piece *p;
	size_t n;

	while (octets.n > 0) {
		p = first_piece(s);
		if (p == NULL || p->off >= s->off + octets.n) {
			hand_out(o, s, octets);
			return;
		}
		n = (size_t)(p->off - s->off);
		hand_out(o, s, span_first(octets, n));
		octets = span_from(octets, n);
		n = p->n < octets.n ? p->n : octets.n;
		compare(o, s->off, p->octets, span_first(octets, n));
		hand_out_piece(o, s);
		octets = span_from(octets, n);
	}
}

/* They wait; where they cannot, the hole ahead of them is given up. */
static void
wait_turn(const struct stream_owner *o, struct stream *s, uint64_t off, struct span octets,
    size_t missing)
{
	if (!keep(o, s, off, octets, missing)) {
		note_absent(s, off);
		stream_resume(o, s);
		note_absent(s, off + octets.n + missing);
		take_now(o, s, span_from(octets, (size_t)(s->off - off)));
		return;
	}
	while (s->last - s->first > CONNECTION_WAITING_MAX || s->waiting > CONNECTION_WAITING_BYTES)
		stream_yield(o, s);
}

void
stream_take(const struct stream_owner *o, struct stream *s, int64_t place, struct span octets,
    size_t missing)
{
	size_t n;

	if (place < (int64_t)s->off) {
		n = (int64_t)s->off - place < (int64_t)octets.n ? (size_t)((int64_t)s->off - place)
								: octets.n;
		compare_kept(o, s, place, span_first(octets, n));
		octets = span_from(octets, n);
		place += (int64_t)n;
	}
	if (octets.n == 0 && (missing == 0 || place != (int64_t)s->off))
		return;
	if (s->fin && (uint64_t)place + octets.n > s->fin_at) {
		stream_odd(o, s, ODDITY_OCTETS);
		if ((uint64_t)place >= s->fin_at)
			return;
		octets = span_first(octets, (size_t)(s->fin_at - (uint64_t)place));
	}
	if ((uint64_t)place > s->off) {
		wait_turn(o, s, (uint64_t)place, octets, missing);
	} else {
		note_absent(s, (uint64_t)place + octets.n + missing);
		take_now(o, s, octets);
	}
	stream_resume(o, s);
}

void
stream_acknowledged(
    const struct stream_owner *o, struct stream *s, int64_t place, uint32_t window, bool answered)
{
	uint64_t edge = (uint64_t)place + window;

	if (place < 0)
		return;
	s->claimed = (uint64_t)place > s->claimed ? (uint64_t)place : s->claimed;
	if ((uint64_t)place <= stream_limit(s)) {
		s->acked = (uint64_t)place > s->acked ? (uint64_t)place : s->acked;
		s->edge = edge > s->edge ? edge : s->edge;
		s->window = window > s->window ? window : s->window;
		s->windowed = true;
		if (answered && s->heard)
			note_absent(s, (uint64_t)place);
	}
	stream_resume(o, s);
}

void
stream_finish(const struct stream_owner *o, struct stream *s, int64_t place)
{
	int64_t end = (int64_t)s->off;

	if (s->first < s->last)
		end = (int64_t)(s->piece[s->last - 1].off + s->piece[s->last - 1].n);
	if (s->fin ? place != (int64_t)s->fin_at : place < end) {
		stream_odd(o, s, ODDITY_FIN);
		return;
	}
	s->fin = true;
	s->fin_at = (uint64_t)place;
	stream_resume(o, s);
}

/* Octets that nobody can have waited for. */
static void
drop_beyond(const struct stream_owner *o, struct stream *s)
{
	uint64_t limit = stream_limit(s) > s->claimed ? stream_limit(s) : s->claimed;
	bool dropped = false;

	for (; s->first < s->last && s->piece[s->last - 1].off > limit; dropped = true)
		release(o, s, &s->piece[--s->last]);
	if (dropped)
		stream_odd(o, s, ODDITY_OCTETS);
}

/*
 * What was acknowledged and is not there is a gap, too; but one number may be that of a FIN, and of
 * a direction that the capture does not have at all nothing is said.
 */
void
stream_flush(const struct stream_owner *o, struct stream *s)
{
	uint64_t to = s->off;

	drop_beyond(o, s);
	if (s->first < s->last)
		to = s->piece[s->last - 1].off + s->piece[s->last - 1].n;
	if (s->heard && s->acked > to + 1)
		to = s->acked;
	if (s->fin)
		to = s->fin_at;
	note_absent(s, to);
	stream_resume(o, s);
}

void
stream_free(const struct stream_owner *o, struct stream *s)
{
	stream_drop(o, s);
	*o->memory -= s->room * sizeof(*s->piece) + s->kept_room;
	free(s->piece);
	free(s->kept);
	s->piece = NULL;
	s->kept = NULL;
	s->room = s->first = s->last = s->kept_room = 0;
}
