#include "clients.h"

#include <stdlib.h>

#define BUCKETS 16384 /* a power of two */

/* How often within the minute that began then. */
struct tally {
	uint64_t began;
	unsigned n;
};

struct client_row {
	struct ip ip;
	unsigned sessions, connecting, refusals;
	struct tally tallies[CLIENT_ACTS];
	uint64_t window; /* when the refusals began to be counted */
	uint64_t blocked_until;
	struct client_row *next;	  /* in its bucket */
	struct client_row *older, *newer; /* among those without a session */
};

struct clients {
	const struct limits *limits;
	struct client_row *buckets[BUCKETS];
	struct client_row *oldest, *newest; /* without a session, by when they left */
	unsigned rows, connecting;
	uint64_t seed;
};

struct clients *
clients_new(const struct limits *limits)
{
	struct clients *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->limits = limits;
	arc4random_buf(&c->seed, sizeof(c->seed));
	return c;
}

void
clients_free(struct clients *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (c->buckets[i] != NULL) {
			struct client_row *row = c->buckets[i];

			c->buckets[i] = row->next;
			free(row);
		}
	free(c);
}

/* Seeded, so that nobody can choose addresses that all fall into one bucket. */
static struct client_row **
bucket_of(struct clients *c, const struct ip *ip)
{
	uint64_t h = c->seed ^ (uint64_t)ip->family;

	for (size_t i = 0; i < sizeof(ip->octets); i++) {
		h = (h ^ ip->octets[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return &c->buckets[(h >> 32) & (BUCKETS - 1)];
}

static void
unlink_idle(struct clients *c, struct client_row *row)
{
	if (row->older != NULL)
		row->older->newer = row->newer;
	else if (c->oldest == row)
		c->oldest = row->newer;
	if (row->newer != NULL)
		row->newer->older = row->older;
	else if (c->newest == row)
		c->newest = row->older;
	row->older = row->newer = NULL;
}

static void
link_idle(struct clients *c, struct client_row *row)
{
	row->older = c->newest;
	row->newer = NULL;
	if (c->newest != NULL)
		c->newest->newer = row;
	else
		c->oldest = row;
	c->newest = row;
}

static void
forget_oldest(struct clients *c)
{
	struct client_row *row = c->oldest, **at = bucket_of(c, &row->ip);

	while (*at != row)
		at = &(*at)->next;
	*at = row->next;
	unlink_idle(c, row);
	free(row);
	c->rows--;
}

static struct client_row *
find(struct clients *c, const struct ip *ip)
{
	for (struct client_row *row = *bucket_of(c, ip); row != NULL; row = row->next)
		if (ip_eq(&row->ip, ip))
			return row;
	return NULL;
}

static struct client_row *
add(struct clients *c, const struct ip *ip)
{
	struct client_row **at = bucket_of(c, ip), *row;

	if (c->rows >= CLIENTS_MAX && c->oldest == NULL)
		return NULL;
	if (c->rows >= CLIENTS_MAX)
		forget_oldest(c);
	row = calloc(1, sizeof(*row));
	if (row == NULL)
		return NULL;
	row->ip = *ip;
	row->next = *at;
	*at = row;
	c->rows++;
	link_idle(c, row);
	return row;
}

static unsigned
most_per_minute(const struct limits *l, enum client_act act)
{
	const unsigned most[CLIENT_ACTS] = {
	    [CLIENT_SESSION] = l->sessions_per_minute,
	    [CLIENT_MESSAGE] = l->messages_per_minute,
	    [CLIENT_RECIPIENT] = l->recipients_per_minute,
	    [CLIENT_LOGIN] = l->auth_failures_per_minute,
	    [CLIENT_HANDSHAKE] = l->tls_handshakes_per_minute,
	};

	return most[act];
}

bool
clients_allow(struct clients *c, struct client_row *row, enum client_act act, uint64_t now)
{
	unsigned most = most_per_minute(c->limits, act);
	struct tally *t;

	if (row == NULL || most == 0)
		return true;
	t = &row->tallies[act];
	if (t->n == 0 || now - t->began >= CLIENT_WINDOW)
		*t = (struct tally){.began = now};
	if (t->n >= most)
		return false;
	t->n++;
	return true;
}

void
clients_take_back(struct client_row *row, enum client_act act)
{
	if (row != NULL && row->tallies[act].n > 0)
		row->tallies[act].n--;
}

enum client_welcome
clients_enter(struct clients *c, const struct ip *ip, uint64_t now, struct client_row **row)
{
	struct ip key = ip->family == IP_V6 ? ip_network(ip, c->limits->client_prefix6) : *ip;
	struct client_row *found = find(c, &key);

	*row = NULL;
	if (found == NULL)
		found = add(c, &key);
	if (found == NULL || found->sessions >= c->limits->sessions_per_client)
		return CLIENT_TOO_MANY;
	if (found->blocked_until > now)
		return CLIENT_BLOCKED;
	if (!clients_allow(c, found, CLIENT_SESSION, now))
		return CLIENT_TOO_FAST;
	if (found->sessions++ == 0)
		unlink_idle(c, found);
	*row = found;
	return CLIENT_WELCOME;
}

void
clients_leave(struct clients *c, struct client_row *row)
{
	if (row != NULL && --row->sessions == 0)
		link_idle(c, row);
}

bool
clients_refused(struct clients *c, struct client_row *row, uint64_t now)
{
	const struct limits *l = c->limits;

	if (row == NULL || l->refusals == 0)
		return false;
	if (now - row->window > l->refusal_window * 1000u) {
		row->window = now;
		row->refusals = 0;
	}
	if (++row->refusals < l->refusals || row->blocked_until > now)
		return false;
	row->blocked_until = now + l->block * 1000u;
	return true;
}

bool
clients_connecting(struct clients *c, struct client_row *row)
{
	const struct limits *l = c->limits;

	if (c->connecting >= l->pending_connects ||
	    row->connecting >= l->pending_connects_per_client)
		return false;
	c->connecting++;
	row->connecting++;
	return true;
}

unsigned
clients_pending(const struct clients *c)
{
	return c->connecting;
}

void
clients_connected(struct clients *c, struct client_row *row)
{
	c->connecting--;
	row->connecting--;
}
