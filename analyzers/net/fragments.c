#include "net/fragments.h"

#include <assert.h>
#include <stdlib.h>

#include "core/sip.h"

#define UNIT	     8u		     /* octets that an offset counts */
#define DATAGRAM_MAX 65535u	     /* octets of a payload */
#define UNITS_MAX    (65536u / UNIT) /* of a datagram */
#define DONE_KEPT    64u	     /* keys of datagrams that became whole lately */
#define ROOM_STEP    2048u	     /* octets that storage grows by at least */

/* One that is not whole yet. */
struct partial {
	struct fragment_key key;
	struct partial *chained;	 /* of the same bucket */
	struct partial *older, *younger; /* in order of their first fragments */
	uint64_t began;
	uint8_t *octets;
	size_t room;
	size_t total; /* 0: the last fragment was not seen */
	size_t high;  /* end of what is there */
	size_t units; /* that are there */
	uint8_t protocol;
	bool contradicted;
	bool again;   /* copies of what became whole already: nothing of it is lost */
	bool refused; /* swallows what comes of it: IPv6, where fragments overlapped */
	uint64_t present[UNITS_MAX / 64];
};

struct fragments {
	struct partial *bucket[PACKET_FRAGMENTS_MAX];
	struct partial *oldest, *youngest;
	size_t n, octets;
	uint64_t lost;
	uint64_t seed[2];
	struct fragment_key done[DONE_KEPT];
	size_t n_done;
	uint8_t *ready; /* storage of the last one that was handed out */
};

struct fragments *
fragments_new(const uint64_t seed[2])
{
	struct fragments *f = calloc(1, sizeof(*f));

	if (f != NULL)
		memcpy(f->seed, seed, sizeof(f->seed));
	return f;
}

/* ---- the store ---- */

static struct partial **
bucket_of(struct fragments *f, const struct fragment_key *key)
{
	struct sip s = sip_begin(f->seed);
	uint64_t word[sizeof(*key) / sizeof(uint64_t)];

	static_assert(sizeof(word) == sizeof(*key), "all of it counts");
	memcpy(word, key, sizeof(word));
	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		sip_word(&s, word[i]);
	return &f->bucket[sip_end(&s) % PACKET_FRAGMENTS_MAX];
}

static void
forget_octets(struct fragments *f, struct partial *d)
{
	f->octets -= d->room;
	free(d->octets);
	d->octets = NULL;
	d->room = 0;
}

static void
unlink_partial(struct fragments *f, struct partial *d)
{
	struct partial **at = bucket_of(f, &d->key);

	while (*at != d)
		at = &(*at)->chained;
	*at = d->chained;
	*(d->older != NULL ? &d->older->younger : &f->oldest) = d->younger;
	*(d->younger != NULL ? &d->younger->older : &f->youngest) = d->older;
	f->n--;
}

static void
give_up(struct fragments *f, struct partial *d)
{
	unlink_partial(f, d);
	forget_octets(f, d);
	f->lost += d->again ? 0 : 1;
	free(d);
}

void
fragments_end(struct fragments *f)
{
	while (f->oldest != NULL)
		give_up(f, f->oldest);
}

void
fragments_free(struct fragments *f)
{
	if (f == NULL)
		return;
	fragments_end(f);
	free(f->ready);
	free(f);
}

uint64_t
fragments_lost(const struct fragments *f)
{
	return f->lost;
}

static struct partial *
find(struct fragments *f, const struct fragment_key *key)
{
	struct partial *d = *bucket_of(f, key);

	while (d != NULL && memcmp(&d->key, key, sizeof(*key)) != 0)
		d = d->chained;
	return d;
}

static bool
was_done(const struct fragments *f, const struct fragment_key *key)
{
	for (size_t i = 0; i < DONE_KEPT && i < f->n_done; i++)
		if (memcmp(&f->done[i], key, sizeof(*key)) == 0)
			return true;
	return false;
}

static struct partial *
begin(struct fragments *f, const struct fragment_key *key, uint64_t now)
{
	struct partial *d = calloc(1, sizeof(*d)), **bucket = bucket_of(f, key);

	if (d == NULL)
		return NULL;
	d->key = *key;
	d->began = now;
	d->again = was_done(f, key);
	d->chained = *bucket;
	*bucket = d;
	d->older = f->youngest;
	*(f->youngest != NULL ? &f->youngest->younger : &f->oldest) = d;
	f->youngest = d;
	f->n++;
	return d;
}

static void
expire(struct fragments *f, uint64_t now)
{
	while (f->oldest != NULL && now > f->oldest->began + PACKET_FRAGMENT_SECONDS)
		give_up(f, f->oldest);
}

/* Makes room for octets up to "end"; false: no memory. */
static bool
make_room(struct fragments *f, struct partial *d, size_t end)
{
	size_t room = 2 * d->room > end ? 2 * d->room : end + ROOM_STEP;
	uint8_t *octets;

	if (end <= d->room)
		return true;
	room = room > DATAGRAM_MAX ? DATAGRAM_MAX : room;
	while (f->octets + room > PACKET_FRAGMENT_OCTETS && f->oldest != d)
		give_up(f, f->oldest);
	if ((octets = realloc(d->octets, room)) == NULL)
		return false;
	f->octets += room - d->room;
	d->octets = octets;
	d->room = room;
	return true;
}

/* ---- one fragment into its datagram ---- */

static bool
is_present(const struct partial *d, size_t unit)
{
	return d->present[unit / 64] >> unit % 64 & 1;
}

struct overlap {
	bool any;    /* some of its octets were there */
	bool all;    /* all of them were */
	bool differ; /* and they were others */
};

/* Takes the octets that are not there yet. */
static struct overlap
take(struct partial *d, size_t offset, struct span s)
{
	struct overlap o = {.all = true};
	size_t n;

	for (size_t at = 0; at < s.n; at += UNIT) {
		size_t unit = (offset + at) / UNIT;

		n = s.n - at < UNIT ? s.n - at : UNIT;
		if (is_present(d, unit)) {
			o.any = true;
			o.differ |= memcmp(d->octets + offset + at, s.p + at, n) != 0;
			continue;
		}
		memcpy(d->octets + offset + at, s.p + at, n);
		d->present[unit / 64] |= (uint64_t)1 << unit % 64;
		d->units++;
		o.all = false;
	}
	return o;
}

/* Its place contradicts what is known of the datagram's length. */
static bool
misplaced(const struct partial *d, const struct fragment *g)
{
	size_t end = g->offset + g->payload.n;

	if (g->last)
		return d->high > end || (d->total != 0 && d->total != end);
	return d->total != 0 && end >= d->total;
}

static enum packet_verdict
contradict(struct fragments *f, struct partial *d)
{
	d->contradicted = true;
	if (!d->key.v6)
		return PACKET_CONFLICT;
	d->refused = true;
	forget_octets(f, d);
	return PACKET_CONFLICT;
}

static enum packet_verdict
hand_out(struct fragments *f, struct partial *d, struct datagram *out)
{
	*out = (struct datagram){span_of(d->octets, d->total), d->protocol, d->contradicted};
	unlink_partial(f, d);
	f->done[f->n_done++ % DONE_KEPT] = d->key;
	f->octets -= d->room;
	f->ready = d->octets;
	free(d);
	return PACKET_WHOLE;
}

static bool
is_sensible(const struct fragment *g)
{
	return g->payload.n > 0 && g->offset + g->payload.n <= DATAGRAM_MAX &&
	       (g->last || g->payload.n % UNIT == 0);
}

static enum packet_verdict
add(struct fragments *f, const struct fragment *g, uint64_t now, struct datagram *out)
{
	size_t end = g->offset + g->payload.n;
	struct overlap o;
	struct partial *d;

	expire(f, now);
	if (!is_sensible(g))
		return PACKET_MALFORMED;
	if ((d = find(f, &g->key)) == NULL) {
		if (f->n == PACKET_FRAGMENTS_MAX)
			give_up(f, f->oldest);
		d = begin(f, &g->key, now);
	}
	if (d == NULL || d->refused)
		return PACKET_KEPT;
	if (misplaced(d, g))
		return contradict(f, d);
	if (!make_room(f, d, end)) {
		give_up(f, d);
		return PACKET_KEPT;
	}
	o = take(d, g->offset, g->payload);
	d->high = end > d->high ? end : d->high;
	if (g->last)
		d->total = end;
	if (g->offset == 0 && !(o.any && o.all))
		d->protocol = g->protocol;
	if (o.differ || (d->key.v6 && o.any && !o.all))
		contradict(f, d);
	if (d->refused)
		return PACKET_CONFLICT;
	if (d->total != 0 && d->units == (d->total + UNIT - 1) / UNIT)
		return hand_out(f, d, out);
	return o.differ ? PACKET_CONFLICT : PACKET_KEPT;
}

enum packet_verdict
fragments_add(struct fragments *f, const struct fragment *g, uint64_t now, struct datagram *out)
{
	uint8_t *previous = f->ready; /* a tunnel's fragment may lie in it */
	enum packet_verdict v;

	f->ready = NULL;
	v = add(f, g, now, out);
	free(previous);
	return v;
}
