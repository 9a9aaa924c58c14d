#include "channel.h"

#include <stdlib.h>

/* Octets that several may look at; gone with the last of them. */
struct block {
	unsigned refs;
	size_t cap, n; /* n: octets written, of a block of our own */
	uint8_t p[];
};

struct segment {
	struct block *block;
	const uint8_t *p;
	size_t n;
	bool own; /* the block is ours: more may be written behind p + n */
};

#define OWN_BLOCK 512 /* a few replies or commands */

static struct block *
block_new(size_t cap)
{
	struct block *b = malloc(sizeof(*b) + cap);

	if (b != NULL)
		*b = (struct block){.refs = 1, .cap = cap};
	return b;
}

static void
block_drop(struct block *b)
{
	if (b != NULL && --b->refs == 0)
		free(b);
}

void
channel_init(struct channel *c)
{
	*c = (struct channel){0};
}

void
channel_free(struct channel *c)
{
	channel_drop(c);
	free(c->segments);
	block_drop(c->in);
	channel_init(c);
}

/* ---- input ---- */

/* Moves what is not parsed to the front of a fresh block. */
static bool
renew(struct channel *c)
{
	struct block *b = block_new(CHANNEL_BLOCK);

	if (b == NULL) {
		c->failed = true;
		return false;
	}
	if (c->in != NULL && c->end > c->begin)
		memcpy(b->p, c->in->p + c->begin, c->end - c->begin);
	c->end -= c->begin;
	c->begin = 0;
	block_drop(c->in);
	c->in = b;
	return true;
}

struct channel_room
channel_room(struct channel *c)
{
	struct channel_room none = {NULL, 0};

	if (c->in == NULL && !renew(c))
		return none;
	if (c->end == c->in->cap) {
		if (c->held || c->begin == 0 || !renew(c))
			return none;
	}
	return (struct channel_room){c->in->p + c->end, c->in->cap - c->end};
}

void
channel_received(struct channel *c, size_t n)
{
	c->end += n;
	c->received += n;
}

struct span
channel_input(const struct channel *c)
{
	return c->in == NULL ? SPAN_NONE : span_of(c->in->p + c->begin, c->end - c->begin);
}

/* An idle channel gives its block back; one that others borrow from starts a new one. */
static void
rest(struct channel *c)
{
	if (c->in == NULL || c->held || c->begin < c->end)
		return;
	block_drop(c->in);
	c->in = NULL;
	c->begin = c->end = 0;
}

void
channel_parsed(struct channel *c, size_t n)
{
	if (c->watch != NULL)
		c->watch->parsed(c->watch->arg, span_first(channel_input(c), n));
	c->begin += n;
	c->parsed += n;
	rest(c);
}

void
channel_discard(struct channel *c)
{
	c->held = false;
	channel_parsed(c, c->end - c->begin);
}

/* ---- output ---- */

static struct segment *
add_segment(struct channel *c, struct block *b, const uint8_t *p, size_t n, bool own)
{
	if (c->segments == NULL || c->n_segments == c->max_segments) {
		size_t max = c->max_segments == 0 ? 4 : c->max_segments * 2;
		struct segment *more = realloc(c->segments, max * sizeof(*more));

		if (more == NULL) {
			c->failed = true;
			return NULL;
		}
		c->segments = more;
		c->max_segments = max;
	}
	c->segments[c->n_segments] = (struct segment){b, p, n, own};
	return &c->segments[c->n_segments++];
}

static void
count(struct channel *c, struct span s)
{
	if (c->watch != NULL)
		c->watch->queued(c->watch->arg, c->released, s);
	c->queued += s.n;
	c->released += s.n;
}

/* Nobody is there to hear it. */
static bool
unsaid(struct channel *c, size_t n)
{
	if (!c->mute)
		return false;
	c->released += n;
	c->sent += n;
	return true;
}

void
channel_put(struct channel *c, struct span s)
{
	struct segment *last = c->n_segments == 0 ? NULL : &c->segments[c->n_segments - 1];
	struct block *b;

	if (s.n == 0 || c->failed || unsaid(c, s.n))
		return;
	if (last != NULL && last->own && last->block->cap - last->block->n >= s.n) {
		memcpy(last->block->p + last->block->n, s.p, s.n);
		last->block->n += s.n;
		last->n += s.n;
		count(c, s);
		return;
	}
	b = block_new(s.n > OWN_BLOCK ? s.n : OWN_BLOCK);
	if (b != NULL)
		memcpy(b->p, s.p, s.n);
	if (b == NULL || add_segment(c, b, b->p, s.n, true) == NULL) {
		free(b);
		c->failed = true;
		return;
	}
	b->n = s.n;
	count(c, s);
}

static bool
lies_in(const struct block *b, struct span s)
{
	return b != NULL && (uintptr_t)s.p >= (uintptr_t)b->p &&
	       (uintptr_t)s.p + s.n <= (uintptr_t)b->p + b->cap;
}

/*
 * A borrowed piece keeps a whole block alive. With half a block at least, the queue can hold no
 * more than CHANNEL_LENT_MAX of them, one of less at its head included: that one most often goes
 * out at once, and holds its block only where its peer does not read. Other pieces are copied.
 */
#define WORTH_BORROWING (CHANNEL_BLOCK / 2)
#define WORTH_AS_FIRST	4096

static bool
is_worth_borrowing(const struct channel *c, const struct channel *from, struct span s)
{
	return s.n >= (c->n_segments == 0 ? WORTH_AS_FIRST : WORTH_BORROWING) &&
	       lies_in(from->in, s);
}

void
channel_pass(struct channel *c, struct channel *from, struct span s)
{
	struct segment *last = c->n_segments == 0 ? NULL : &c->segments[c->n_segments - 1];

	if (s.n == 0 || c->failed || unsaid(c, s.n))
		return;
	if (last != NULL && !last->own && last->block == from->in && last->p + last->n == s.p) {
		last->n += s.n;
		count(c, s);
		return;
	}
	if (!is_worth_borrowing(c, from, s)) {
		channel_put(c, s);
		return;
	}
	if (add_segment(c, from->in, s.p, s.n, false) == NULL)
		return;
	from->in->refs++;
	count(c, s);
}

void
channel_urgent(struct channel *c)
{
	c->urgent = c->released;
}

size_t
channel_urgent_at(const struct channel *c)
{
	return c->urgent > c->sent ? (size_t)(c->urgent - c->sent) : 0;
}

bool
channel_full(const struct channel *c)
{
	return c->queued >= CHANNEL_QUEUE_MAX || c->n_segments >= CHANNEL_SEGMENTS_MAX;
}

size_t
channel_iov(const struct channel *c, struct iovec *iov, size_t max)
{
	size_t n = c->n_segments < max ? c->n_segments : max;

	for (size_t i = 0; i < n; i++) {
		/* writev does not write to what iov_base points at */
		iov[i].iov_base = (void *)(uintptr_t)c->segments[i].p;
		iov[i].iov_len = c->segments[i].n;
	}
	return n;
}

static void
show_sent(const struct channel *c, size_t n)
{
	uint64_t at = c->sent;

	for (size_t i = 0; n > 0 && i < c->n_segments; i++) {
		const struct span s = span_first(span_of(c->segments[i].p, c->segments[i].n), n);

		c->watch->sent(c->watch->arg, at, s);
		at += s.n;
		n -= s.n;
	}
}

/* n octets at the head of the queue are done with. */
static void
shorten(struct channel *c, size_t n)
{
	size_t done = 0;

	c->queued -= n;
	c->sent += n;
	while (n > 0 && done < c->n_segments) {
		struct segment *s = &c->segments[done];

		if (n < s->n) {
			s->p += n;
			s->n -= n;
			break;
		}
		n -= s->n;
		block_drop(s->block);
		done++;
	}
	memmove(c->segments, c->segments + done, (c->n_segments - done) * sizeof(*c->segments));
	c->n_segments -= done;
	if (c->n_segments == 0) {
		free(c->segments);
		c->segments = NULL;
		c->max_segments = 0;
	}
}

void
channel_sent(struct channel *c, size_t n)
{
	if (c->watch != NULL)
		show_sent(c, n);
	shorten(c, n);
}

void
channel_drop(struct channel *c)
{
	if (c->queued > 0)
		shorten(c, c->queued);
}
