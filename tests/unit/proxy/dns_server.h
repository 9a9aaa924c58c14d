/*
 * dns_server - a DNS server on loopback for tests, in a thread of its own, UDP and TCP. The first
 * label of the name that is asked for says what it does (the table at "play"). For one test
 * program; everything is static.
 */
#ifndef POSTERN_TEST_DNS_SERVER_H
#define POSTERN_TEST_DNS_SERVER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "dns/dns.h"

enum {
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_QUESTION_AT = 12, /* where the name of the question lies in every message */
	DNS_UDP_MAX = 1232,
};

struct dns_server {
	int udp, tcp, other; /* other: sends from where nobody was asked */
	in_port_t port;
	pthread_t thread;
	atomic_bool ends;
	atomic_bool mute; /* answers nothing at all */
	atomic_uint udp_questions, tcp_questions;
};

/* What a question is made of. */
struct dns_asked {
	uint8_t id[2];
	uint8_t question[260]; /* name, type, class */
	size_t n;
	char label[64]; /* the first */
	unsigned type;
	bool tcp;
};

static void
dns_u16(struct buf *b, unsigned value)
{
	buf_octet(b, (uint8_t)(value >> 8));
	buf_octet(b, (uint8_t)value);
}

static void
dns_name(struct buf *b, const char *text)
{
	struct span rest = span_str(text);

	while (rest.n > 0) {
		ptrdiff_t dot = span_find(rest, '.');
		struct span label = dot < 0 ? rest : span_first(rest, (size_t)dot);

		buf_octet(b, (uint8_t)label.n);
		buf_add(b, label);
		rest = span_from(rest, label.n + 1);
	}
	buf_octet(b, 0);
}

static void
dns_header(
    struct buf *b, const struct dns_asked *q, unsigned flags, unsigned answers, unsigned authority)
{
	buf_add(b, span_of(q->id, 2));
	dns_u16(b, 0x8180 | flags);
	dns_u16(b, 1);
	dns_u16(b, answers);
	dns_u16(b, authority);
	dns_u16(b, 0);
	buf_add(b, span_of(q->question, q->n));
}

/* A record of the name that was asked for, with ttl 300. */
static void
dns_record(struct buf *b, unsigned type, const struct buf *data)
{
	dns_u16(b, 0xc000 | DNS_QUESTION_AT);
	dns_u16(b, type);
	dns_u16(b, 1);
	dns_u16(b, 0);
	dns_u16(b, 300);
	dns_u16(b, (unsigned)data->n);
	buf_add(b, buf_span(data));
}

static void
dns_mx(struct buf *b, unsigned preference, const char *host)
{
	struct buf data;

	buf_init(&data, 300);
	dns_u16(&data, preference);
	dns_name(&data, host);
	dns_record(b, 15, &data);
	buf_free(&data);
}

static void
dns_name_record(struct buf *b, unsigned type, const char *name)
{
	struct buf data;

	buf_init(&data, 300);
	dns_name(&data, name);
	dns_record(b, type, &data);
	buf_free(&data);
}

static void
dns_octets_record(struct buf *b, unsigned type, struct span octets)
{
	struct buf data;

	buf_init(&data, 300);
	buf_add(&data, octets);
	dns_record(b, type, &data);
	buf_free(&data);
}

static void
dns_soa(struct buf *b)
{
	struct buf data;

	buf_init(&data, 300);
	dns_name(&data, "ns.zone");
	dns_name(&data, "root.zone");
	for (int i = 0; i < 5; i++) { /* serial, refresh, retry, expire, minimum */
		dns_u16(&data, 0);
		dns_u16(&data, 300);
	}
	dns_record(b, DNS_SOA, &data);
	buf_free(&data);
}

/* ---- what it can do ---- */

static void
play_answer(const struct dns_asked *q, struct buf *b)
{
	static const uint8_t address[16] = {192, 0, 2, 7};

	dns_header(b, q, 0, q->type == 15 ? 2 : 1, 0);
	if (q->type == 15) {
		dns_mx(b, 20, "mx2.zone");
		dns_mx(b, 10, "mx1.zone");
	} else if (q->type == 12) {
		dns_name_record(b, 12, "host.zone");
	} else {
		dns_octets_record(b, q->type, span_of(address, q->type == 1 ? 4 : 16));
	}
}

static void
play_nxdomain(const struct dns_asked *q, struct buf *b)
{
	dns_header(b, q, 3, 0, 1);
	dns_soa(b);
}

static void
play_nodata(const struct dns_asked *q, struct buf *b)
{
	dns_header(b, q, 0, 0, 1);
	dns_soa(b);
}

static void
play_servfail(const struct dns_asked *q, struct buf *b)
{
	dns_header(b, q, 2, 0, 0);
}

static void
play_refused(const struct dns_asked *q, struct buf *b)
{
	dns_header(b, q, 5, 0, 0);
}

static void
play_nothing(const struct dns_asked *q, struct buf *b)
{
	(void)q;
	(void)b;
}

static void
play_wrong_id(const struct dns_asked *q, struct buf *b)
{
	play_answer(q, b);
	b->p[0] ^= 0x55;
}

static void
play_wrong_question(const struct dns_asked *q, struct buf *b)
{
	play_answer(q, b);
	b->p[DNS_QUESTION_AT + 1] ^= 1;
}

static void
play_slow(const struct dns_asked *q, struct buf *b)
{
	static const struct timespec pause = {.tv_nsec = 100000000};

	nanosleep(&pause, NULL);
	play_answer(q, b);
}

/* More than a datagram takes: TC, and all of it by TCP. */
static void
play_big(const struct dns_asked *q, struct buf *b)
{
	if (!q->tcp) {
		dns_header(b, q, 0x0200, 0, 0);
		return;
	}
	dns_header(b, q, 0, 500, 0);
	for (unsigned i = 0; i < 500; i++) {
		char host[80] = "mx-0000-with-a-name-that-makes-the-message-large-and-larger.zone";

		host[3] = (char)('0' + i / 1000 % 10);
		host[4] = (char)('0' + i / 100 % 10);
		host[5] = (char)('0' + i / 10 % 10);
		host[6] = (char)('0' + i % 10);
		dns_mx(b, i, host);
	}
}

static void
play_loop(const struct dns_asked *q, struct buf *b)
{
	dns_header(b, q, 0, 1, 0);
	dns_name_record(b, DNS_CNAME, strcmp(q->label, "loop") == 0 ? "loop2.zone" : "loop.zone");
}

/* A name that points at itself. */
static void
play_pointer_loop(const struct dns_asked *q, struct buf *b)
{
	uint8_t self[4] = {0, 10};

	dns_header(b, q, 0, 1, 0);
	self[2] = 0xc0;
	self[3] = (uint8_t)(b->n + 12 + 2);
	dns_octets_record(b, 15, span_of(self, 4));
}

static void
play_txt(const struct dns_asked *q, struct buf *b)
{
	dns_header(b, q, 0, 1, 0);
	dns_octets_record(b, DNS_TXT, span_of("\004text", 5));
}

static void
play_cut(const struct dns_asked *q, struct buf *b)
{
	play_answer(q, b);
	b->n -= 7;
}

static void
play_evil_name(const struct dns_asked *q, struct buf *b)
{
	dns_header(b, q, 0, 1, 0);
	if (q->type == 12)
		dns_name_record(b, 12, "evil\r\nRCPT TO:<x>.zone");
	else
		dns_mx(b, 10, "evil\r\nRCPT TO:<x>.zone");
}

static const struct {
	const char *label;
	void (*play)(const struct dns_asked *, struct buf *answer);
} dns_plays[] = {
    {"nx", play_nxdomain},
    {"nodata", play_nodata},
    {"servfail", play_servfail},
    {"refused", play_refused},
    {"never", play_nothing},
    {"wrongid", play_wrong_id},
    {"wrongport", play_nothing},
    {"wrongquestion", play_wrong_question},
    {"slow", play_slow},
    {"big", play_big},
    {"loop", play_loop},
    {"loop2", play_loop},
    {"pointerloop", play_pointer_loop},
    {"txt", play_txt},
    {"cut", play_cut},
    {"evilname", play_evil_name},
};

static void
dns_play(const struct dns_asked *q, struct buf *answer)
{
	size_t n = strcspn(q->label, "-"); /* "never-17" does what "never" does */

	for (size_t i = 0; i < sizeof(dns_plays) / sizeof(dns_plays[0]); i++)
		if (strlen(dns_plays[i].label) == n &&
		    memcmp(dns_plays[i].label, q->label, n) == 0) {
			dns_plays[i].play(q, answer);
			return;
		}
	play_answer(q, answer);
}

/* ---- the wire ---- */

static bool
dns_read(const uint8_t *p, size_t n, struct dns_asked *q)
{
	size_t at = DNS_QUESTION_AT;

	memset(q, 0, sizeof(*q));
	while (at < n && p[at] != 0)
		at += 1u + p[at];
	at += 5;
	if (n < DNS_QUESTION_AT + 5 || at > n || at - DNS_QUESTION_AT > sizeof(q->question) ||
	    p[DNS_QUESTION_AT] > 63)
		return false;
	memcpy(q->id, p, 2);
	q->n = at - DNS_QUESTION_AT;
	memcpy(q->question, p + DNS_QUESTION_AT, q->n);
	memcpy(q->label, p + DNS_QUESTION_AT + 1, p[DNS_QUESTION_AT]);
	for (size_t i = 0; q->label[i] != '\0'; i++)
		q->label[i] = (char)octet_lower((uint8_t)q->label[i]);
	q->type = (unsigned)p[at - 4] << 8 | p[at - 3];
	return true;
}

static void
dns_answer_udp(struct dns_server *s)
{
	struct sockaddr_in from;
	socklen_t n_from = sizeof(from);
	struct dns_asked q;
	struct buf answer;
	uint8_t in[4096];
	ssize_t n = recvfrom(s->udp, in, sizeof(in), 0, (struct sockaddr *)&from, &n_from);

	atomic_fetch_add(&s->udp_questions, 1);
	if (n <= 0 || atomic_load(&s->mute) || !dns_read(in, (size_t)n, &q))
		return;
	buf_init(&answer, 65535);
	dns_play(&q, &answer);
	if (strcmp(q.label, "wrongport") == 0) {
		play_answer(&q, &answer);
		sendto(s->other, answer.p, answer.n, 0, (struct sockaddr *)&from, n_from);
	} else if (answer.n > 0 && answer.n <= DNS_UDP_MAX) {
		sendto(s->udp, answer.p, answer.n, 0, (struct sockaddr *)&from, n_from);
	}
	buf_free(&answer);
}

static void
dns_answer_tcp(struct dns_server *s)
{
	uint8_t in[4096], length[2];
	struct dns_asked q;
	struct buf answer;
	int fd = accept(s->tcp, NULL, NULL);
	ssize_t n;

	if (fd < 0)
		return;
	atomic_fetch_add(&s->tcp_questions, 1);
	buf_init(&answer, 65535);
	if (recv(fd, length, 2, MSG_WAITALL) == 2 && (length[0] << 8 | length[1]) <= 4096 &&
	    (n = recv(fd, in, (size_t)(length[0] << 8 | length[1]), MSG_WAITALL)) > 0 &&
	    dns_read(in, (size_t)n, &q)) {
		q.tcp = true;
		dns_play(&q, &answer);
		length[0] = (uint8_t)(answer.n >> 8);
		length[1] = (uint8_t)answer.n;
		send(fd, length, 2, MSG_NOSIGNAL);
		send(fd, answer.p, answer.n, MSG_NOSIGNAL);
	}
	buf_free(&answer);
	close(fd);
}

static void *
dns_serve(void *arg)
{
	struct dns_server *s = arg;

	while (!atomic_load(&s->ends)) {
		struct pollfd fds[] = {
		    {.fd = s->udp, .events = POLLIN}, {.fd = s->tcp, .events = POLLIN}};

		if (poll(fds, 2, 20) <= 0)
			continue;
		if (fds[0].revents != 0)
			dns_answer_udp(s);
		if (fds[1].revents != 0)
			dns_answer_tcp(s);
	}
	return NULL;
}

static int
dns_bound(int type, in_port_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The same port for UDP and TCP; the one that UDP was given may be taken. */
static bool
dns_bind(struct dns_server *s)
{
	struct sockaddr_in at = {.sin_port = 0};
	socklen_t n = sizeof(at);

	s->udp = dns_bound(SOCK_DGRAM, 0);
	if (getsockname(s->udp, (struct sockaddr *)&at, &n) != 0)
		return false;
	s->port = ntohs(at.sin_port);
	s->tcp = dns_bound(SOCK_STREAM, s->port);
	if (s->tcp >= 0 && listen(s->tcp, 64) == 0)
		return true;
	close(s->udp);
	return false;
}

static struct dns_server *
dns_server_start(void)
{
	struct dns_server *s = calloc(1, sizeof(*s));
	unsigned tries = 50;

	if (s == NULL)
		abort();
	while (!dns_bind(s))
		if (--tries == 0)
			abort();
	s->other = dns_bound(SOCK_DGRAM, 0);
	if (pthread_create(&s->thread, NULL, dns_serve, s) != 0)
		abort();
	return s;
}

static void
dns_server_stop(struct dns_server *s)
{
	atomic_store(&s->ends, true);
	pthread_join(s->thread, NULL);
	close(s->udp);
	close(s->tcp);
	close(s->other);
	free(s);
}

#endif
