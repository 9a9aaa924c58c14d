#include "data_farewell.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls_leg.h"

#define AT_ONCE	   (256u << 10)
#define TLS_ONCE   16384       /* a record (RFC 8446 s5.1) */
#define OCTETS_MAX (16u << 20) /* of one peer: then it may have its reset */

struct farewell {
	struct data_farewells *all;
	int fd;
	struct tls_leg *tls; /* NULL: in the clear */
	size_t octets;
	struct event readable;
	LIST_ENTRY(farewell) list;
};

struct data_farewells {
	struct event_base *base;
	LIST_HEAD(, farewell) list;
	unsigned n;
};

static void
end(struct farewell *f)
{
	event_del(&f->readable);
	tls_leg_free(f->tls);
	close(f->fd);
	LIST_REMOVE(f, list);
	f->all->n--;
	free(f);
}

/* As recv(). TCP: octets are not even copied. */
static ssize_t
take(struct farewell *f)
{
	uint8_t waste[TLS_ONCE];

	return f->tls == NULL ? recv(f->fd, NULL, AT_ONCE, MSG_TRUNC)
			      : tls_leg_read(f->tls, waste, sizeof(waste));
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct farewell *f = arg;
	ssize_t n = 0;

	(void)fd;
	if (what & EV_READ)
		n = take(f);
	if (n > 0)
		f->octets += (size_t)n;
	if (n == 0 || f->octets > OCTETS_MAX || (n < 0 && errno != EAGAIN && errno != EINTR))
		end(f);
}

struct data_farewells *
data_farewells_new(struct event_base *base)
{
	struct data_farewells *all = calloc(1, sizeof(*all));

	if (all != NULL) {
		all->base = base;
		LIST_INIT(&all->list);
	}
	return all;
}

void
data_farewells_free(struct data_farewells *all)
{
	if (all == NULL)
		return;
	while (!LIST_EMPTY(&all->list))
		end(LIST_FIRST(&all->list));
	free(all);
}

void
data_farewell(struct data_farewells *all, int fd, struct tls_leg *tls)
{
	const struct timeval seconds = {FAREWELL_SECONDS, 0};
	struct farewell *f = all->n < FAREWELLS_MAX ? calloc(1, sizeof(*f)) : NULL;

	if (f == NULL) {
		tls_leg_free(tls);
		close(fd);
		return;
	}
	f->all = all;
	f->fd = fd;
	f->tls = tls;
	LIST_INSERT_HEAD(&all->list, f, list);
	all->n++;
	event_assign(&f->readable, all->base, fd, EV_READ | EV_PERSIST, on_readable, f);
	event_add(&f->readable, &seconds);
}
