#include "data_service.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "address.h"
#include "clock.h"
#include "data_holes.h"
#include "relay.h"
#include "upstream_socket.h"

#define BUCKETS	  16384 /* a power of two */
#define BACKLOG	  1024	/* of a data port: many sessions */
#define ONE_QUEUE 8	/* of a listener for one connection, and for intruders ahead of it */
#define PORT_TRIES                                                                                 \
	1024 /* of ports for one listener; where that is not enough nearly all are taken */
#define SECONDS	  4096	/* more than a hole lasts; a power of two */
#define SAY_EVERY 60000 /* ms */

/* What a worker expects, or lets by. */
struct hole {
	TAILQ_ENTRY(hole) by_age; /* among all */
	TAILQ_ENTRY(hole) own;	  /* among those of its part, or of nobody; the oldest first */
	LIST_ENTRY(hole) by_flow, by_number, by_end;
	struct data_part *part; /* NULL: its process is gone */
	uint32_t number;
	enum firewall_flows kind;
	struct firewall_flow flow;
	uint64_t until;	    /* clock_ms(): from then on the kernel has forgotten it */
	uint64_t octets[2]; /* of FIREWALL_PASSED, before its time began anew */
};

TAILQ_HEAD(hole_queue, hole);
LIST_HEAD(hole_bucket, hole);

struct data_part {
	struct data_service *service;
	enum intercept_mode mode;
	uint32_t own_mark;
	uint16_t ports_from, ports_to; /* ftp.data_ports */
	bool has_port;
	unsigned index; /* of its data port */
	uint16_t port;
	struct listening_set listeners;
	struct hole_queue holes;
	size_t n;
};

struct data_service {
	struct interception_service *interception;
	void (*note)(void *, const char *, const char *);
	void *arg;
	uint64_t said; /* clock_ms() of the last note; 0: none */
	uint64_t seed;
	struct hole_bucket flows[BUCKETS], numbers[BUCKETS];
	struct hole_bucket ends[SECONDS]; /* by the second in which their time is over */
	uint64_t second;		  /* those that end ahead of it are no longer there */
	struct hole_queue ages, orphans;
	size_t n;
	bool taken[INTERCEPT_DATA_PORTS];
	unsigned next_port; /* index that is tried first, so that one rests as long as it can */
	struct event *sweep;
};

/* ---- the table ---- */

/* Seeded, so that nobody can choose connections that all fall into one bucket. */
static size_t
mix(uint64_t h, const void *octets, size_t n)
{
	const uint8_t *p = octets;

	for (size_t i = 0; i < n; i++) {
		h = (h ^ p[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return (size_t)(h >> 32) & (BUCKETS - 1);
}

static struct hole_bucket *
bucket_of_flow(struct data_service *s, enum firewall_flows kind, const struct firewall_flow *f)
{
	uint8_t key[2 * sizeof(f->source.octets) + 3];
	size_t n = sizeof(f->source.octets);

	memcpy(key, f->source.octets, n);
	memcpy(key + n, f->destination.octets, n);
	memcpy(key + 2 * n, &f->port, 2);
	key[2 * n + 2] = (uint8_t)kind;
	return &s->flows[mix(s->seed, key, sizeof(key))];
}

static struct hole_bucket *
bucket_of_number(struct data_service *s, const struct data_part *part, uint32_t number)
{
	uint64_t who = (uint64_t)(uintptr_t)part;

	return &s->numbers[mix(s->seed ^ who, &number, sizeof(number))];
}

static struct hole *
find_flow(struct data_service *s, enum firewall_flows kind, const struct firewall_flow *f)
{
	struct hole *h;

	LIST_FOREACH(h, bucket_of_flow(s, kind, f), by_flow)
	if (h->kind == kind && h->flow.port == f->port && ip_eq(&h->flow.source, &f->source) &&
	    ip_eq(&h->flow.destination, &f->destination))
		return h;
	return NULL;
}

static struct hole *
find_number(struct data_part *part, uint32_t number)
{
	struct hole *h;

	LIST_FOREACH(h, bucket_of_number(part->service, part, number), by_number)
	if (h->part == part && h->number == number)
		return h;
	return NULL;
}

static struct hole_queue *
own_queue(struct data_service *s, const struct hole *h)
{
	return h->part != NULL ? &h->part->holes : &s->orphans;
}

/* Out of the table; the kernel's element stays. */
static void
drop(struct data_service *s, struct hole *h)
{
	TAILQ_REMOVE(&s->ages, h, by_age);
	TAILQ_REMOVE(own_queue(s, h), h, own);
	LIST_REMOVE(h, by_flow);
	LIST_REMOVE(h, by_end);
	if (h->part != NULL) {
		LIST_REMOVE(h, by_number);
		h->part->n--;
	}
	s->n--;
	free(h);
}

_Static_assert(IPC_DATA_SECONDS_MAX + 2 < SECONDS, "no two ends of holes share a place");

static struct hole_bucket *
bucket_of_end(struct data_service *s, uint64_t second)
{
	return &s->ends[second & (SECONDS - 1)];
}

static void
ends_at(struct data_service *s, struct hole *h, uint64_t until)
{
	LIST_REMOVE(h, by_end);
	h->until = until;
	LIST_INSERT_HEAD(bucket_of_end(s, until / 1000u), h, by_end);
}

/*
 * Those whose time is over, which the kernel has forgotten by itself, up to a second behind it: its
 * clock goes by coarser steps than ours.
 */
static void
drop_expired(struct data_service *s)
{
	uint64_t now = clock_ms() / 1000u;
	struct hole *h;

	if (now - s->second > SECONDS) /* nothing was asked for a long time */
		s->second = now - SECONDS;
	for (; s->second < now; s->second++)
		while ((h = LIST_FIRST(bucket_of_end(s, s->second))) != NULL)
			drop(s, h);
}

/* ---- the kernel ---- */

static void
complain(struct data_service *s, const char *why)
{
	uint64_t now = clock_ms();

	if (s->said != 0 && now - s->said < SAY_EVERY)
		return;
	s->said = now;
	s->note(s->arg, "data_hole_failed", why);
}

/* Where its time is over the kernel has forgotten it already. */
static void
forget(struct data_service *s, struct hole *h)
{
	struct interception *i = interception_service_tables(s->interception);
	char why[INTERCEPTION_TEXT_MAX];

	if (i != NULL && !interception_forget(i, h->kind, &h->flow, why))
		complain(s, why);
	drop(s, h);
}

/* False: the kernel does not have it. */
static bool
open_hole(struct data_service *s, struct hole *h, unsigned seconds)
{
	struct interception *i = interception_service_tables(s->interception);
	char why[INTERCEPTION_TEXT_MAX];
	bool done;

	if (i == NULL) /* the configuration by now takes nothing off the wire */
		return false;
	done = h->kind == FIREWALL_DATA
		   ? interception_expect(i, &h->flow, h->part->port, seconds, why)
		   : interception_pass(i, &h->flow, seconds, why);
	if (!done)
		complain(s, why);
	ends_at(s, h, clock_ms() + UINT64_C(1000) * seconds);
	return done;
}

/* Octets so far; false: it is gone. */
static bool
counted(struct data_service *s, const struct hole *h, uint64_t octets[2])
{
	struct interception *i = interception_service_tables(s->interception);
	char ignored[INTERCEPTION_TEXT_MAX];

	if (h->kind != FIREWALL_PASSED || i == NULL ||
	    !interception_counted(i, &h->flow, octets, ignored))
		return false;
	octets[0] += h->octets[0];
	octets[1] += h->octets[1];
	return true;
}

/* ---- holes ---- */

/* The oldest goes, of a worker that has too many, or of all. */
static void
make_room(struct data_service *s, struct data_part *part)
{
	if (part->n >= DATA_HOLES_EACH)
		forget(s, TAILQ_FIRST(&part->holes));
	if (s->n >= DATA_HOLES)
		forget(s, TAILQ_FIRST(&s->ages));
}

static struct hole *
add(struct data_part *part, const struct ipc_message *m, enum firewall_flows kind,
    const struct firewall_flow *flow)
{
	struct data_service *s = part->service;
	struct hole *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	*h = (struct hole){.part = part, .number = m->a, .kind = kind, .flow = *flow};
	TAILQ_INSERT_TAIL(&s->ages, h, by_age);
	TAILQ_INSERT_TAIL(&part->holes, h, own);
	LIST_INSERT_HEAD(bucket_of_flow(s, kind, flow), h, by_flow);
	LIST_INSERT_HEAD(bucket_of_number(s, part, m->a), h, by_number);
	LIST_INSERT_HEAD(bucket_of_end(s, 0), h, by_end); /* until it is open */
	part->n++;
	s->n++;
	return h;
}

/* Its time begins anew, and what was counted stays. False: the kernel has it no more. */
static bool
renew(struct data_service *s, struct hole *h, unsigned seconds)
{
	uint64_t octets[2];

	if (counted(s, h, octets))
		memcpy(h->octets, octets, sizeof(octets));
	TAILQ_REMOVE(&s->ages, h, by_age);
	TAILQ_REMOVE(&h->part->holes, h, own);
	TAILQ_INSERT_TAIL(&s->ages, h, by_age);
	TAILQ_INSERT_TAIL(&h->part->holes, h, own);
	if (open_hole(s, h, seconds))
		return true;
	forget(s, h);
	return false;
}

/*
 * A hole that another session has open is not given away, nor opened twice: whoever asks for it
 * could have the data of the other one.
 */
static enum ipc_data
on_hole(struct data_part *part, const struct ipc_message *m, enum firewall_flows kind)
{
	const struct firewall_flow flow = {
	    .source = m->flow.source, .destination = m->flow.destination, .port = m->flow.port};
	struct data_service *s = part->service;
	struct hole *h, *same;

	drop_expired(s); /* they make room, and ends that are set below find theirs empty */
	h = find_number(part, m->a);
	same = find_flow(s, kind, &flow);
	if (kind == FIREWALL_DATA && !part->has_port)
		return IPC_DATA_FAILED;
	if (h != NULL && h == same)
		return renew(s, h, m->b) ? IPC_DATA_DONE : IPC_DATA_FAILED;
	if (same != NULL && same->part != NULL && clock_ms() < same->until)
		return IPC_DATA_FAILED;
	if (same != NULL)
		drop(s, same); /* the kernel's element begins anew */
	if (h != NULL)
		forget(s, h); /* the number stands for another one now */
	make_room(s, part);
	h = add(part, m, kind, &flow);
	if (h == NULL)
		return IPC_DATA_TOO_MANY;
	if (open_hole(s, h, m->b))
		return IPC_DATA_DONE;
	drop(s, h);
	return IPC_DATA_FAILED;
}

static enum ipc_data
on_count(struct data_part *part, uint32_t number, uint64_t octets[2])
{
	struct hole *h = find_number(part, number);

	return h != NULL && counted(part->service, h, octets) ? IPC_DATA_DONE : IPC_DATA_FAILED;
}

/* ---- sockets ---- */

static bool
bind_to(int fd, const struct ip *ip, uint16_t port)
{
	const struct endpoint at = {.ip = *ip, .port = port};
	struct sockaddr_storage sa;
	socklen_t n = address_sockaddr(&at, &sa);
	int on = 1;

	/* connections of those who had this port before may still be closing */
	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	       bind(fd, (struct sockaddr *)&sa, n) == 0;
}

static int
plain_socket(enum ip_family family)
{
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, on = 1;
	int fd = socket(family == IP_V6 ? AF_INET6 : AF_INET, type, 0);

	if (fd < 0 || family == IP_V4 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0)
		return fd;
	close(fd);
	return -1;
}

static enum ipc_data
result_of_errno(void)
{
	return errno == EADDRINUSE || errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		       errno == ENOMEM
		   ? IPC_DATA_TOO_MANY
		   : IPC_DATA_FAILED;
}

/* What is accepted there has all that a data connection must have. */
static bool
listen_armed(int fd, int backlog)
{
	data_arm(fd);
	return listen(fd, backlog) == 0;
}

/* -1: errno. */
static int
listener_at(const struct ip *ip, uint16_t port)
{
	int fd = plain_socket(ip->family), kept;

	if (fd < 0 || (bind_to(fd, ip, port) && listen_armed(fd, ONE_QUEUE)))
		return fd;
	kept = errno;
	close(fd);
	errno = kept;
	return -1;
}

/*
 * F-014: a port that nobody can guess; those that are taken are passed over. Each try has a socket
 * of its own: one that could be bound, but not listen, cannot be bound again.
 */
static enum ipc_data
on_listen(const struct data_part *part, const struct ip *ip, int *out)
{
	unsigned n = part->ports_to - part->ports_from + 1u;
	unsigned first = arc4random_uniform(n), tries = n < PORT_TRIES ? n : PORT_TRIES;

	errno = EADDRINUSE;
	for (unsigned i = 0; *out < 0 && errno == EADDRINUSE && i < tries; i++)
		*out = listener_at(ip, (uint16_t)(part->ports_from + (first + i) % n));
	return *out >= 0 ? IPC_DATA_DONE : result_of_errno();
}

static enum ipc_data
on_bind(const struct data_part *part, const struct ipc_flow *from, int *out)
{
	enum ip_family family = from->destination.family;
	int fd = part->mode == INTERCEPT_OFF ? plain_socket(family)
					     : upstream_socket(part->mode, part->own_mark, family);
	enum ipc_data result;

	if (fd >= 0 && bind_to(fd, &from->destination, from->port)) {
		*out = fd;
		return IPC_DATA_DONE;
	}
	result = result_of_errno();
	if (fd >= 0)
		close(fd);
	return result;
}

/* ---- requests ---- */

bool
data_part_heed(
    struct data_part *part, const struct ipc_message *m, struct ipc_message *answer, int *fd)
{
	enum ipc_data result = IPC_DATA_FAILED;
	struct hole *h;

	*answer = (struct ipc_message){.type = IPC_DATA_ANSWER, .a = m->a};
	*fd = -1;
	switch (m->type) {
	case IPC_DATA_EXPECT:
		result = on_hole(part, m, FIREWALL_DATA);
		break;
	case IPC_DATA_PASS:
		result = on_hole(part, m, FIREWALL_PASSED);
		break;
	case IPC_DATA_FORGET:
		h = find_number(part, m->a);
		if (h != NULL)
			forget(part->service, h);
		return false;
	case IPC_DATA_COUNT:
		result = on_count(part, m->a, answer->octets);
		break;
	case IPC_DATA_LISTEN:
		result = on_listen(part, &m->flow.destination, fd);
		break;
	default: /* IPC_DATA_BIND */
		result = on_bind(part, &m->flow, fd);
		break;
	}
	answer->b = result;
	if (result != IPC_DATA_DONE)
		memset(answer->octets, 0, sizeof(answer->octets));
	return true;
}

/* ---- data ports ---- */

/*
 * Where the firewall brings them, as in listening.c: in tproxy mode there nobody else can connect.
 * False: errno. A family that this kernel lacks is none that it could take off the wire.
 */
static bool
listen_for(struct data_part *part, enum ip_family family)
{
	static const struct ip loopback[] = {{IP_V4, {127, 0, 0, 1}}, {IP_V6, {[15] = 1}}};
	static const struct ip anywhere[] = {{IP_V4, {0}}, {IP_V6, {0}}};
	bool v6 = family == IP_V6, transparent = part->mode == INTERCEPT_TPROXY;
	int fd = plain_socket(family), on = 1, kept;

	if (fd < 0)
		return v6 && errno == EAFNOSUPPORT;
	if ((!transparent || setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				 v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof(on)) == 0) &&
	    bind_to(fd, transparent ? &loopback[v6] : &anywhere[v6], part->port) &&
	    listen_armed(fd, BACKLOG)) {
		part->listeners.all[part->listeners.n++] = (struct listening){
		    .kind = v6 ? IPC_LISTEN_DATA6 : IPC_LISTEN_DATA4, .b = part->port, .fd = fd};
		return true;
	}
	kept = errno;
	close(fd);
	errno = kept;
	return v6 && errno == EADDRNOTAVAIL;
}

/* A port that is free by our count, and that nobody else listens on either. */
static bool
take_port(struct data_part *part, unsigned first_port, const char **why)
{
	struct data_service *s = part->service;
	static char text[160];

	part->listeners.all = calloc(2, sizeof(*part->listeners.all));
	if (part->listeners.all == NULL) {
		*why = "out of memory";
		return false;
	}
	errno = EADDRINUSE;
	for (unsigned i = 0; i < INTERCEPT_DATA_PORTS && errno == EADDRINUSE; i++) {
		part->index = (s->next_port + i) % INTERCEPT_DATA_PORTS;
		part->port = (uint16_t)(first_port + part->index);
		if (s->taken[part->index])
			continue;
		if (listen_for(part, IP_V4) && listen_for(part, IP_V6)) {
			s->taken[part->index] = true;
			s->next_port = part->index + 1;
			part->has_port = true;
			return true;
		}
		int kept = errno;
		data_part_handed_over(part);
		part->listeners.all = calloc(2, sizeof(*part->listeners.all));
		errno = part->listeners.all == NULL ? ENOMEM : kept;
	}
	snprintf(text, sizeof(text),
	    "intercept.listen_from: no port for data connections from %u to %u: %s", first_port,
	    first_port + INTERCEPT_DATA_PORTS - 1, strerror(errno));
	*why = text;
	return false;
}

/* ---- the part of a process ---- */

struct data_part *
data_part_new(struct data_service *s, const struct config *c, const char **why)
{
	struct data_part *part = calloc(1, sizeof(*part));

	if (part == NULL) {
		*why = "out of memory";
		return NULL;
	}
	*part = (struct data_part){.service = s,
	    .mode = c->mode,
	    .own_mark = c->intercept.own_mark,
	    .ports_from = (uint16_t)c->ftp.data_ports_from,
	    .ports_to = (uint16_t)c->ftp.data_ports_to};
	TAILQ_INIT(&part->holes);
	if (c->mode == INTERCEPT_OFF || relay_ops_of(PROTOCOL_FTP) == NULL ||
	    take_port(part, c->intercept.listen_from + INTERCEPT_DATA_PORT, why))
		return part;
	data_part_free(part);
	return NULL;
}

/* Its number is the new owner's to choose; what the kernel has is forgotten bit by bit. */
static void
orphan(struct data_service *s, struct hole *h)
{
	TAILQ_REMOVE(&h->part->holes, h, own);
	LIST_REMOVE(h, by_number);
	h->part = NULL;
	TAILQ_INSERT_TAIL(&s->orphans, h, own);
}

void
data_part_free(struct data_part *part)
{
	struct hole *h;

	if (part == NULL)
		return;
	while ((h = TAILQ_FIRST(&part->holes)) != NULL)
		orphan(part->service, h);
	if (!TAILQ_EMPTY(&part->service->orphans))
		event_active(part->service->sweep, EV_TIMEOUT, 0);
	if (part->has_port)
		part->service->taken[part->index] = false;
	data_part_handed_over(part);
	free(part);
}

const struct listening_set *
data_part_listeners(const struct data_part *part)
{
	return &part->listeners;
}

void
data_part_handed_over(struct data_part *part)
{
	listening_close(&part->listeners);
}

/* ---- the whole ---- */

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval soon = {0, 1000};
	struct data_service *s = arg;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < DATA_HOLES_AT_ONCE && !TAILQ_EMPTY(&s->orphans); i++)
		forget(s, TAILQ_FIRST(&s->orphans));
	if (!TAILQ_EMPTY(&s->orphans))
		event_add(s->sweep, &soon);
}

struct data_service *
data_service_new(struct event_base *base, struct interception_service *interception,
    void (*note)(void *, const char *, const char *), void *arg)
{
	struct data_service *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->interception = interception;
	s->note = note;
	s->arg = arg;
	s->second = clock_ms() / 1000u;
	arc4random_buf(&s->seed, sizeof(s->seed));
	TAILQ_INIT(&s->ages);
	TAILQ_INIT(&s->orphans);
	s->sweep = evtimer_new(base, on_sweep, s);
	if (s->sweep != NULL)
		return s;
	free(s);
	return NULL;
}

void
data_service_free(struct data_service *s)
{
	if (s == NULL)
		return;
	while (!TAILQ_EMPTY(&s->ages))
		drop(s, TAILQ_FIRST(&s->ages));
	event_free(s->sweep);
	free(s);
}

size_t
data_service_holes(const struct data_service *s)
{
	return s->n;
}
