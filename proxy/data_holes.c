#include "data_holes.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUCKETS 4096

LIST_HEAD(bucket, awaited);

struct data_holes {
	struct bucket buckets[BUCKETS];
	TAILQ_HEAD(, awaited) ages; /* the oldest first */
	unsigned n;
	uint32_t seed;
};

/* By where they lead: whoever comes there from elsewhere is found too. */
static struct bucket *
bucket_of(struct data_holes *h, const struct endpoint *at)
{
	uint32_t x = h->seed ^ at->port;

	for (size_t i = 0; i < sizeof(at->ip.octets); i++)
		x = (x ^ at->ip.octets[i]) * UINT32_C(0x9e3779b1);
	return &h->buckets[(x >> 16) % BUCKETS];
}

struct data_holes *
data_holes_new(void)
{
	struct data_holes *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	TAILQ_INIT(&h->ages);
	arc4random_buf(&h->seed, sizeof(h->seed));
	return h;
}

void
data_holes_free(struct data_holes *h)
{
	free(h);
}

void
data_holes_leave(struct awaited *a)
{
	struct data_holes *h = a->holes;

	if (h == NULL)
		return;
	LIST_REMOVE(a, bucket);
	TAILQ_REMOVE(&h->ages, a, age);
	a->holes = NULL;
	h->n--;
}

static bool
leads_to(const struct awaited *a, const struct endpoint *at)
{
	return a->at.port == at->port && ip_eq(&a->at.ip, &at->ip);
}

static struct awaited *
find(struct data_holes *h, const struct ip *from, const struct endpoint *at)
{
	struct awaited *a;

	LIST_FOREACH(a, bucket_of(h, at), bucket)
	if (leads_to(a, at) && (from == NULL || ip_eq(&a->from, from)))
		return a;
	return NULL;
}

static void
lose(struct awaited *a)
{
	data_holes_leave(a);
	a->lost(a->arg);
}

void
data_holes_wait(struct data_holes *h, struct awaited *a)
{
	struct awaited *old = find(h, &a->from, &a->at);

	/* a server that names a port again has given up what it was before */
	if (old != NULL)
		lose(old);
	if (h->n >= DATA_HOLES_MAX)
		lose(TAILQ_FIRST(&h->ages));
	LIST_INSERT_HEAD(bucket_of(h, &a->at), a, bucket);
	TAILQ_INSERT_TAIL(&h->ages, a, age);
	a->holes = h;
	h->n++;
}

bool
data_holes_awaits(struct data_holes *h, const struct ip *from, const struct endpoint *at)
{
	return find(h, from, at) != NULL;
}

void
data_arm(int fd)
{
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void
data_reset(int fd)
{
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	close(fd);
}

bool
data_holes_came(
    struct data_holes *h, int fd, const struct endpoint *peer, const struct endpoint *at)
{
	struct awaited *a = find(h, &peer->ip, at);

	if (a != NULL) {
		data_holes_leave(a);
		a->came(a->arg, fd, peer);
		return true;
	}
	data_reset(fd);
	a = find(h, NULL, at);
	if (a != NULL)
		a->intruded(a->arg, peer);
	return false;
}
