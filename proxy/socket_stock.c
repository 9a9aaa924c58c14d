#include "socket_stock.h"

#include <stdlib.h>
#include <unistd.h>

#include "ipc.h"

#define SHELF_ROOM (STOCK_FULL + IPC_FDS_MAX)

/* The sockets of one family. */
struct stock_shelf {
	int fds[SHELF_ROOM];
	size_t n;
	size_t asked; /* that have not come yet */
	uint64_t waited;
	TAILQ_HEAD(, stock_waiter) waiters;
};

struct socket_stock {
	struct stock_shelf v4, v6;
	void (*more)(void *, enum ip_family, unsigned);
	void *arg;
};

static struct stock_shelf *
shelf_of(struct socket_stock *s, enum ip_family family)
{
	return family == IP_V6 ? &s->v6 : &s->v4;
}

struct socket_stock *
stock_new(void (*more)(void *, enum ip_family, unsigned), void *arg)
{
	struct socket_stock *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->more = more;
	s->arg = arg;
	TAILQ_INIT(&s->v4.waiters);
	TAILQ_INIT(&s->v6.waiters);
	return s;
}

static void
clear(struct stock_shelf *shelf)
{
	while (shelf->n > 0)
		close(shelf->fds[--shelf->n]);
	while (!TAILQ_EMPTY(&shelf->waiters))
		stock_leave(TAILQ_FIRST(&shelf->waiters));
}

void
stock_free(struct socket_stock *s)
{
	if (s == NULL)
		return;
	clear(&s->v4);
	clear(&s->v6);
	free(s);
}

static void
ask(struct socket_stock *s, enum ip_family family)
{
	struct stock_shelf *shelf = shelf_of(s, family);
	size_t have = shelf->n + shelf->asked;

	if (have >= STOCK_LOW)
		return;
	shelf->asked = STOCK_FULL - shelf->n;
	s->more(s->arg, family, (unsigned)(STOCK_FULL - have));
}

void
stock_fill(struct socket_stock *s)
{
	ask(s, IP_V4);
	ask(s, IP_V6);
}

void
stock_leave(struct stock_waiter *w)
{
	if (w->shelf == NULL)
		return;
	TAILQ_REMOVE(&w->shelf->waiters, w, line);
	w->shelf = NULL;
}

void
stock_add(struct socket_stock *s, enum ip_family family, const int fds[], size_t n)
{
	struct stock_shelf *shelf = shelf_of(s, family);

	shelf->asked = shelf->asked > n ? shelf->asked - n : 0;
	for (size_t i = 0; i < n; i++) {
		struct stock_waiter *w = TAILQ_FIRST(&shelf->waiters);

		if (w != NULL) {
			stock_leave(w);
			w->ready(w->arg, fds[i]);
		} else if (shelf->n < SHELF_ROOM) {
			shelf->fds[shelf->n++] = fds[i];
		} else {
			close(fds[i]);
		}
	}
	ask(s, family);
}

int
stock_take(struct socket_stock *s, enum ip_family family)
{
	struct stock_shelf *shelf = shelf_of(s, family);
	int fd = -1;

	if (shelf->n > 0)
		fd = shelf->fds[--shelf->n];
	ask(s, family);
	return fd;
}

void
stock_wait(struct socket_stock *s, enum ip_family family, struct stock_waiter *w)
{
	struct stock_shelf *shelf = shelf_of(s, family);

	shelf->waited++;
	w->shelf = shelf;
	TAILQ_INSERT_TAIL(&shelf->waiters, w, line);
	ask(s, family);
}

void
stock_stats(const struct socket_stock *s, struct stock_stats *out)
{
	*out = (struct stock_stats){.in_stock4 = (unsigned)s->v4.n,
	    .in_stock6 = (unsigned)s->v6.n,
	    .waited4 = s->v4.waited,
	    .waited6 = s->v6.waited};
}
