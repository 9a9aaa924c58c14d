#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../alloc.h"
#include "tls_leg.h"
#include "tls_made.h"

#define TEXT_MAX 65536
#define NAME	 "mail.example.edu"
#define STUCK	 100000 /* turns after which nothing comes any more */

/* ---- OpenSSL's memory ---- */

static size_t allocated; /* octets that OpenSSL has now */

static void *
count_malloc(size_t n, const char *file, int line)
{
	void *p = malloc(n);

	(void)file;
	(void)line;
	allocated += malloc_usable_size(p);
	return p;
}

static void
count_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	allocated -= malloc_usable_size(p);
	free(p);
}

static void *
count_realloc(void *p, size_t n, const char *file, int line)
{
	size_t before = malloc_usable_size(p);
	void *q = realloc(p, n);

	(void)file;
	(void)line;
	if (q != NULL)
		allocated += malloc_usable_size(q) - before;
	return q;
}

/* ---- a gateway's keys, and two legs with a wire between them ---- */

struct world {
	struct config c;
	struct certificate certificate;
	struct made made;
	struct buf chain, key;
	struct tls_keys *keys;
};

static int
begin(void **state)
{
	const struct make m = {.cn = NAME, .alternatives = "DNS:" NAME ",IP:192.0.2.1"};
	struct world *w = calloc(1, sizeof(*w));
	const char *why = NULL;

	signal(SIGPIPE, SIG_IGN);
	w->made = made_new(&m);
	buf_init(&w->chain, TEXT_MAX);
	buf_init(&w->key, TEXT_MAX);
	made_certificate(&w->made, &w->chain);
	made_key(&w->made, NULL, &w->key);
	w->certificate = (struct certificate){.name = (char *)(uintptr_t) "mail",
	    .servers = networks_new(),
	    .chain_pem = buf_span(&w->chain),
	    .key_pem = buf_span(&w->key)};
	networks_seal(w->certificate.servers);
	w->c.certificates = &w->certificate;
	w->c.n_certificates = 1;
	w->c.tls.session_tickets = true;
	w->c.tls.trust_pem = buf_span(&w->chain);
	w->keys = tls_keys_new(&w->c, &why);
	assert_null(why);
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	tls_keys_free(w->keys);
	networks_free(w->certificate.servers);
	made_free(&w->made);
	buf_free(&w->chain);
	buf_free(&w->key);
	free(w);
	return 0;
}

/* client: a leg to a client, where we are the server; server: the other end of the same wire. */
struct pair {
	struct tls_leg *client, *server;
	int fd[2];  /* of the legs: client's, server's */
	int mid[2]; /* the other ends: what is between them only pump() moves */
	size_t moved;
	/* what the client leg is answered with */
	const struct tls_identity *identity;
	struct span alpn;
	int alert;
	unsigned hellos;
	char server_name[64];
	uint16_t version;
};

static const struct tls_wanted by_name = {.server_name = NAME};

static void
plug(struct pair *p)
{
	int a[2], b[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b), 0);
	p->fd[0] = a[0];
	p->mid[0] = a[1];
	p->fd[1] = b[0];
	p->mid[1] = b[1];
}

/* Both may be NULL afterwards, without memory. */
static struct pair
pair_of(struct world *w, const struct tls_wanted *wanted)
{
	struct pair p = {.identity = tls_keys_identity(w->keys, span_str(NAME), &wanted->server)};

	plug(&p);
	p.client = tls_leg_accept(w->keys, p.fd[0], span_str("service"));
	p.server = tls_leg_connect(w->keys, p.fd[1], wanted);
	return p;
}

static void
unplug(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
part(struct pair *p)
{
	tls_leg_free(p->client);
	tls_leg_free(p->server);
	for (int i = 0; i < 2; i++) {
		unplug(&p->fd[i]);
		unplug(&p->mid[i]);
	}
}

/* Moves at most so many octets from one end to the other; how many. */
static size_t
move(struct pair *p, int from, size_t most)
{
	struct pollfd to = {.fd = p->mid[1 - from], .events = POLLOUT};
	uint8_t octets[4096];
	ssize_t n;

	if (poll(&to, 1, 0) != 1)
		return 0;
	n = recv(p->mid[from], octets, most < sizeof(octets) ? most : sizeof(octets), 0);

	if (n <= 0)
		return 0;
	assert_int_equal(send(p->mid[1 - from], octets, (size_t)n, MSG_NOSIGNAL), n);
	p->moved += (size_t)n;
	return (size_t)n;
}

static void
answer(struct pair *p)
{
	const struct tls_client_hello *h = tls_leg_hello(p->client);

	p->hellos++;
	if (h != NULL && h->server_name.n > 0 && h->server_name.n < sizeof(p->server_name)) {
		memcpy(p->server_name, h->server_name.p, h->server_name.n);
		p->version = h->version;
	}
	tls_leg_answer(p->client, p->identity, p->alpn, p->alert);
}

static bool
over(const struct tls_leg *leg)
{
	return tls_leg_state(leg) == TLS_LEG_OPEN || tls_leg_state(leg) == TLS_LEG_FAILED;
}

/* Until both are over, or nothing moves: at a time at most "step" octets, and "most" in all. */
static void
shake(struct pair *p, size_t step, size_t most)
{
	for (int idle = 0; idle < 4; idle++) {
		if (tls_leg_shake(p->client) == TLS_LEG_HELLO)
			answer(p);
		tls_leg_shake(p->server);
		for (int from = 0; from < 2; from++) {
			size_t left = most - p->moved;

			if (move(p, from, step < left ? step : left) > 0)
				idle = -1;
		}
	}
}

static void
open_both(struct pair *p)
{
	shake(p, SIZE_MAX, SIZE_MAX);
	assert_int_equal(tls_leg_state(p->client), TLS_LEG_OPEN);
	assert_int_equal(tls_leg_state(p->server), TLS_LEG_OPEN);
}

static void
only(struct tls_leg *leg, int version)
{
	assert_int_equal(SSL_set_min_proto_version(tls_leg_ssl(leg), version), 1);
	assert_int_equal(SSL_set_max_proto_version(tls_leg_ssl(leg), version), 1);
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* ---- handshakes ---- */

static void
test_both_versions_and_what_the_client_said(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct pair p = pair_of(*state, &by_name);

		only(p.server, versions[i]);
		open_both(&p);
		assert_int_equal(SSL_version(tls_leg_ssl(p.client)), versions[i]);
		assert_int_equal(p.version, versions[i]);
		assert_string_equal(p.server_name, NAME);
		assert_int_equal(p.hellos, 1);
		assert_int_equal(tls_leg_verified(p.server), X509_V_OK);
		assert_null(tls_leg_why(p.client));
		part(&p);
	}
}

static void
test_T_020_one_octet_at_a_time(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct pair p = pair_of(*state, &by_name);

		only(p.client, versions[i]);
		shake(&p, 1, SIZE_MAX);
		assert_int_equal(tls_leg_state(p.client), TLS_LEG_OPEN);
		assert_int_equal(tls_leg_state(p.server), TLS_LEG_OPEN);
		part(&p);
	}
}

/* Wherever it is cut: an end, the right one, and never one that looks like close_notify. */
static void
cut_at(struct world *w, int version, size_t at)
{
	struct pair p = pair_of(w, &by_name);
	struct tls_leg *legs[] = {p.client, p.server};
	uint8_t octet;

	only(p.client, version);
	shake(&p, SIZE_MAX, at);
	unplug(&p.mid[0]);
	unplug(&p.mid[1]);
	for (int i = 0; i < 2; i++) {
		for (int turn = 0; turn < 4 && !over(legs[i]); turn++)
			if (tls_leg_shake(legs[i]) == TLS_LEG_HELLO)
				answer(&p);
		assert_true(over(legs[i]));
		if (tls_leg_state(legs[i]) == TLS_LEG_FAILED)
			assert_string_equal(tls_leg_why(legs[i]), "tls_cut");
		assert_int_equal(tls_leg_read(legs[i], &octet, 1), -1);
		assert_int_equal(errno, ECONNRESET);
	}
	part(&p);
}

static void
test_T_021_a_handshake_that_is_cut_at_every_octet(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct pair whole = pair_of(*state, &by_name);
		size_t all;

		only(whole.client, versions[i]);
		shake(&whole, SIZE_MAX, SIZE_MAX);
		all = whole.moved;
		part(&whole);
		assert_true(all > 500);
		for (size_t at = 0; at < all; at++)
			cut_at(*state, versions[i], at);
	}
}

static void
test_T_007_no_version_in_common(void **state)
{
	struct pair p = pair_of(*state, &by_name);

	only(p.client, TLS1_3_VERSION);
	only(p.server, TLS1_2_VERSION);
	shake(&p, SIZE_MAX, SIZE_MAX);
	assert_string_equal(tls_leg_why(p.client), "tls_version");
	assert_string_equal(tls_leg_why(p.server), "tls_alert");
	assert_int_equal(tls_leg_alert(p.server), SSL_AD_PROTOCOL_VERSION);
	part(&p);
}

/* N-005, N-006: what is no TLS is said to be none. */
static void
test_N_005_octets_in_the_clear(void **state)
{
	static const char *const said[] = {"MAIL FROM:<a@example.org>\r\n", "250 AUTH LOGIN\r\n",
	    "GET / HTTP/1.1\r\nHost: x\r\n\r\n"};

	for (size_t i = 0; i < 3; i++)
		for (int end_of = 0; end_of < 2; end_of++) {
			struct pair p = pair_of(*state, &by_name);
			struct tls_leg *leg = end_of == 0 ? p.client : p.server;
			size_t n = strlen(said[i]);

			assert_int_equal(send(p.mid[end_of], said[i], n, 0), (ssize_t)n);
			assert_int_equal(tls_leg_shake(leg), TLS_LEG_FAILED);
			assert_string_equal(tls_leg_why(leg), "tls_plain");
			part(&p);
		}
}

static void
test_T_001_the_name_and_the_address_are_verified(void **state)
{
	static const struct {
		const char *name, *address;
		long verified;
	} rows[] = {{NAME, "192.0.2.9", X509_V_OK}, {NULL, "192.0.2.1", X509_V_OK},
	    {"other.example.edu", "192.0.2.1", X509_V_ERR_HOSTNAME_MISMATCH},
	    {NULL, "192.0.2.2", X509_V_ERR_IP_ADDRESS_MISMATCH}};

	for (size_t i = 0; i < 4; i++) {
		struct tls_wanted wanted = {.server_name = rows[i].name};
		struct pair p;

		assert_true(ip_parse(span_str(rows[i].address), &wanted.server));
		p = pair_of(*state, &wanted);
		open_both(&p);
		assert_int_equal(tls_leg_verified(p.server), rows[i].verified);
		part(&p);
	}
}

/* ---- the client's hello is answered ---- */

static void
test_an_answer_that_comes_late(void **state)
{
	struct pair p = pair_of(*state, &by_name);

	tls_leg_shake(p.server);
	move(&p, 1, SIZE_MAX);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tls_leg_shake(p.client), TLS_LEG_HELLO);
	assert_int_equal(move(&p, 0, SIZE_MAX), 0);
	open_both(&p);
	assert_int_equal(p.hellos, 1);
	part(&p);
}

static void
test_T_010_the_protocol_that_the_server_chose(void **state)
{
	static const struct {
		const char *chosen;
		bool opens;
	} rows[] = {{"imap", true}, {"", true}, {"pop3", false}};
	const struct tls_wanted wanted = {
	    .server_name = NAME, .alpn = span_str("\x08http/1.1\x04imap")};

	for (size_t i = 0; i < 3; i++) {
		struct pair p = pair_of(*state, &wanted);
		const unsigned char *chosen;
		unsigned n;

		p.alpn = span_str(rows[i].chosen);
		shake(&p, SIZE_MAX, SIZE_MAX);
		assert_int_equal(tls_leg_state(p.server) == TLS_LEG_OPEN, rows[i].opens);
		SSL_get0_alpn_selected(tls_leg_ssl(p.server), &chosen, &n);
		if (rows[i].opens)
			assert_true(span_eq(span_of(chosen, n), p.alpn));
		else
			assert_int_equal(tls_leg_alert(p.server), SSL_AD_NO_APPLICATION_PROTOCOL);
		part(&p);
	}
}

static void
test_a_client_that_is_refused(void **state)
{
	static const int alerts[] = {
	    SSL_AD_HANDSHAKE_FAILURE, SSL_AD_UNRECOGNIZED_NAME, SSL_AD_NO_APPLICATION_PROTOCOL};

	for (size_t i = 0; i < 3; i++) {
		struct pair p = pair_of(*state, &by_name);

		p.identity = NULL;
		p.alert = alerts[i];
		shake(&p, SIZE_MAX, SIZE_MAX);
		assert_int_equal(tls_leg_state(p.client), TLS_LEG_FAILED);
		assert_string_equal(tls_leg_why(p.client), "tls_refused");
		assert_string_equal(tls_leg_why(p.server), "tls_alert");
		assert_int_equal(tls_leg_alert(p.server), alerts[i]);
		part(&p);
	}
}

/* ---- sessions ---- */

/* The session of the server leg, for the next; NULL: it did not open. */
static SSL_SESSION *
session_of(struct world *w, const char *service, int version, SSL_SESSION *resume, bool *resumed)
{
	struct tls_sessions *sessions = tls_sessions_new();
	const struct tls_wanted wanted = {.server_name = NAME, .sessions = sessions};
	struct pair p;
	SSL_SESSION *session;
	uint8_t octet;

	if (resume != NULL)
		tls_sessions_put(sessions, resume);
	p = pair_of(w, &wanted);

	tls_leg_free(p.client);
	p.client = tls_leg_accept(w->keys, p.fd[0], span_str(service));
	only(p.client, version);
	open_both(&p);
	assert_int_equal(tls_leg_read(p.server, &octet, 1), -1); /* tickets of TLS 1.3 */
	assert_int_equal(errno, EAGAIN);
	*resumed = SSL_session_reused(tls_leg_ssl(p.server)) == 1;
	assert_int_equal(SSL_session_reused(tls_leg_ssl(p.client)), *resumed);
	tls_leg_trust(p.server);
	session = tls_sessions_take(sessions);
	assert_non_null(session);
	part(&p);
	tls_sessions_drop(sessions);
	return session;
}

static void
test_T_018_a_session_is_resumed_for_its_own_service_alone(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		bool resumed;
		SSL_SESSION *first = session_of(*state, "smtp a", versions[i], NULL, &resumed);
		SSL_SESSION *second, *third;

		assert_false(resumed);
		second = session_of(*state, "smtp a", versions[i], first, &resumed);
		assert_true(resumed);
		third = session_of(*state, "smtp b", versions[i], first, &resumed);
		assert_false(resumed);
		assert_int_equal(SSL_SESSION_get_max_early_data(second), 0); /* T-019 */
		SSL_SESSION_free(first);
		SSL_SESSION_free(second);
		SSL_SESSION_free(third);
	}
}

/* Shakes hands with that service; was the newest session of these resumed? */
static bool
resumes(struct world *w, struct tls_sessions *sessions, const char *service)
{
	const struct tls_wanted wanted = {.server_name = NAME, .sessions = sessions};
	struct pair p = pair_of(w, &wanted);
	uint8_t octet;
	bool resumed;

	tls_leg_free(p.client);
	p.client = tls_leg_accept(w->keys, p.fd[0], span_str(service));
	open_both(&p);
	resumed = SSL_session_reused(tls_leg_ssl(p.server)) == 1;
	assert_int_equal(tls_leg_read(p.server, &octet, 1), -1); /* tickets */
	tls_leg_trust(p.server);
	part(&p);
	return resumed;
}

/* A server may forget its first ticket long before a session ends: the newest one counts. */
static void
test_F_035_tickets_of_later_connections_take_the_place_of_earlier_ones(void **state)
{
	struct tls_sessions *sessions = tls_sessions_new();

	assert_null(tls_sessions_take(sessions));
	assert_false(resumes(*state, sessions, "first"));
	assert_true(resumes(*state, sessions, "first"));
	assert_true(resumes(*state, sessions, "first"));
	assert_false(resumes(*state, sessions, "second"));
	assert_true(resumes(*state, sessions, "second"));
	assert_false(resumes(*state, sessions, "first"));
	tls_sessions_drop(sessions);
}

/* ---- octets ---- */

/* Between two records it may be taken for an end, if somebody wants it so; within one never. */
static void
test_F_036_a_FIN_within_a_record(void **state)
{
	static const uint8_t piece[] = {0x17, 0x03, 0x03, 0x01, 0x00, 'h', 'a', 'l', 'f'};

	for (size_t n = 0; n <= sizeof(piece); n++) {
		struct pair p = pair_of(*state, &by_name);
		uint8_t octet;

		open_both(&p);
		assert_int_equal(write(p.fd[0], piece, n), n);
		move(&p, 0, SIZE_MAX);
		unplug(&p.mid[0]);
		unplug(&p.mid[1]);
		assert_int_equal(tls_leg_read(p.server, &octet, 1), -1);
		assert_int_equal(errno, ECONNRESET);
		assert_int_equal(tls_leg_ended_by_fin(p.server), n == 0);
		part(&p);
	}
}

static void
test_T_021_close_notify_is_an_end_and_a_FIN_is_none(void **state)
{
	for (int cut = 0; cut < 2; cut++) {
		struct pair p = pair_of(*state, &by_name);
		struct iovec iov = {(char[]){"last"}, 4};
		char text[8];

		open_both(&p);
		assert_int_equal(tls_leg_write(p.client, &iov, 1), 4);
		if (cut == 0)
			tls_leg_close(p.client);
		move(&p, 0, SIZE_MAX);
		unplug(&p.mid[0]);
		unplug(&p.mid[1]);
		assert_int_equal(tls_leg_read(p.server, text, sizeof(text)), 4);
		/* the end has been seen: no event of the socket need tell of it */
		assert_true(tls_leg_pending(p.server));
		for (int again = 0; again < 2; again++) {
			errno = 0;
			assert_int_equal(
			    tls_leg_read(p.server, text, sizeof(text)), cut == 0 ? 0 : -1);
			assert_int_equal(errno, cut == 0 ? 0 : ECONNRESET);
		}
		if (cut == 1)
			assert_string_equal(tls_leg_why(p.server), "tls_cut");
		part(&p);
	}
}

/* RFC 8446 s6.1: who has ended may still be written to. */
static void
test_half_an_end(void **state)
{
	struct pair p = pair_of(*state, &by_name);
	struct iovec iov = {(char[]){"reply"}, 5};
	char text[8];

	open_both(&p);
	tls_leg_close(p.server);
	move(&p, 1, SIZE_MAX);
	assert_int_equal(tls_leg_read(p.client, text, sizeof(text)), 0);
	assert_int_equal(tls_leg_write(p.client, &iov, 1), 5);
	move(&p, 0, SIZE_MAX);
	assert_int_equal(tls_leg_read(p.server, text, sizeof(text)), 5);
	part(&p);
}

static bool
readable(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	return poll(&one, 1, 0) == 1;
}

static void
test_octets_that_no_event_tells_of(void **state)
{
	struct pair p = pair_of(*state, &by_name);
	static uint8_t sent[10000], got[10000];
	struct iovec iov = {sent, sizeof(sent)};
	size_t total = 0;

	arc4random_buf(sent, sizeof(sent));
	open_both(&p);
	assert_int_equal(tls_leg_write(p.client, &iov, 1), sizeof(sent));
	while (move(&p, 0, SIZE_MAX) > 0)
		;
	assert_false(tls_leg_pending(p.server));
	assert_int_equal(tls_leg_read(p.server, got, 1), 1);
	assert_false(readable(p.fd[1]));
	for (total = 1; tls_leg_pending(p.server); total += 999)
		if (total + 999 > sizeof(got))
			break;
		else
			assert_int_equal(tls_leg_read(p.server, got + total, 999), 999);
	assert_int_equal(tls_leg_read(p.server, got + total, 999), (ssize_t)(sizeof(got) - total));
	assert_false(tls_leg_pending(p.server));
	assert_memory_equal(sent, got, sizeof(sent));
	part(&p);
}

/* One direction of a large transfer: what is sent, how far it is, and how far it has come. */
struct transfer {
	struct tls_leg *from, *to;
	uint8_t *octets;
	size_t n, sent, got;
};

/* The head of what is left, in pieces of many sizes, as a queue has them. */
static void
send_some(struct transfer *t)
{
	struct iovec iov[16];
	size_t at = t->sent, n = 0;
	ssize_t done;

	for (size_t size = 1 + t->sent % 7; n < 16 && at < t->n; n++, size = size * 5 + 3) {
		size_t piece = size < t->n - at ? size : t->n - at;

		iov[n] = (struct iovec){t->octets + at, piece};
		at += piece;
	}
	done = n == 0 ? 0 : tls_leg_write(t->from, iov, n);
	assert_true(done >= 0 || errno == EAGAIN);
	t->sent += done > 0 ? (size_t)done : 0;
}

static void
take_some(struct transfer *t)
{
	static uint8_t got[70000];
	ssize_t n = tls_leg_read(t->to, got, 1 + t->got * 31 % sizeof(got));

	assert_true(n > 0 || errno == EAGAIN);
	if (n > 0) {
		assert_memory_equal(got, t->octets + t->got, (size_t)n);
		t->got += (size_t)n;
	}
}

static void
test_large_transfers_both_ways_against_full_sockets(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct pair p = pair_of(*state, &by_name);
		struct transfer t[2];

		only(p.server, versions[i]);
		open_both(&p);
		for (int k = 0; k < 2; k++) {
			t[k] = (struct transfer){.from = k == 0 ? p.client : p.server,
			    .to = k == 0 ? p.server : p.client,
			    .n = 3000000 + (size_t)k};
			t[k].octets = malloc(t[k].n);
			arc4random_buf(t[k].octets, t[k].n);
		}
		for (unsigned turn = 0; t[0].got < t[0].n || t[1].got < t[1].n; turn++) {
			assert_true(turn < STUCK);
			for (int k = 0; k < 2; k++) {
				send_some(&t[k]);
				move(&p, k, 1 + turn * 257 % 4096);
				if (turn % 3 == 0)
					take_some(&t[k]);
			}
		}
		free(t[0].octets);
		free(t[1].octets);
		part(&p);
	}
}

/* ---- memory ---- */

static void
test_memory_of_legs_that_are_idle(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		size_t before = allocated;
		struct pair p = pair_of(*state, &by_name);
		struct iovec iov = {(char[]){"x"}, 1};
		char octet;

		only(p.server, versions[i]);
		open_both(&p);
		for (int k = 0; k < 2; k++) {
			struct tls_leg *from = k == 0 ? p.client : p.server;

			assert_int_equal(tls_leg_write(from, &iov, 1), 1);
			while (move(&p, k, SIZE_MAX) > 0)
				;
			assert_int_equal(tls_leg_read(k == 0 ? p.server : p.client, &octet, 1), 1);
			assert_int_equal(tls_leg_read(k == 0 ? p.server : p.client, &octet, 1), -1);
		}
		print_message("two legs: %zu octets\n", allocated - before);
		assert_true(allocated - before < 2 * TLS_LEG_IDLE);
		part(&p);
	}
}

/* A handshake and an octet each way; what fails, fails: nothing crashes, leaks or lies. */
static void
work(struct world *w, bool *whole)
{
	struct pair p = pair_of(w, &by_name);
	struct iovec iov = {(char[]){"x"}, 1};
	char octet = 0;

	*whole = false;
	if (p.client != NULL && p.server != NULL) {
		shake(&p, SIZE_MAX, SIZE_MAX);
		if (tls_leg_state(p.client) == TLS_LEG_OPEN &&
		    tls_leg_state(p.server) == TLS_LEG_OPEN &&
		    tls_leg_write(p.client, &iov, 1) == 1 && move(&p, 0, SIZE_MAX) > 0 &&
		    tls_leg_read(p.server, &octet, 1) == 1)
			*whole = octet == 'x';
	}
	part(&p);
}

static void
test_memory_that_runs_out(void **state)
{
	unsigned fails = 0;
	bool whole, failed = true;

	for (unsigned n = 1; failed; n++) {
		alloc_fail_at(n);
		work(*state, &whole);
		failed = alloc_failed();
		fails += failed ? 1 : 0;
		assert_true(failed || whole);
	}
	assert_true(fails > 100);
	work(*state, &whole);
	assert_true(whole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_both_versions_and_what_the_client_said),
	    cmocka_unit_test(test_T_020_one_octet_at_a_time),
	    cmocka_unit_test(test_T_021_a_handshake_that_is_cut_at_every_octet),
	    cmocka_unit_test(test_T_007_no_version_in_common),
	    cmocka_unit_test(test_N_005_octets_in_the_clear),
	    cmocka_unit_test(test_T_001_the_name_and_the_address_are_verified),
	    cmocka_unit_test(test_an_answer_that_comes_late),
	    cmocka_unit_test(test_T_010_the_protocol_that_the_server_chose),
	    cmocka_unit_test(test_a_client_that_is_refused),
	    cmocka_unit_test(test_F_036_a_FIN_within_a_record),
	    cmocka_unit_test(test_T_018_a_session_is_resumed_for_its_own_service_alone),
	    cmocka_unit_test(
		test_F_035_tickets_of_later_connections_take_the_place_of_earlier_ones),
	    cmocka_unit_test(test_T_021_close_notify_is_an_end_and_a_FIN_is_none),
	    cmocka_unit_test(test_half_an_end),
	    cmocka_unit_test(test_octets_that_no_event_tells_of),
	    cmocka_unit_test(test_large_transfers_both_ways_against_full_sockets),
	    cmocka_unit_test(test_memory_of_legs_that_are_idle),
	    cmocka_unit_test(test_memory_that_runs_out),
	};

	if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1)
		return 1;
	return cmocka_run_group_tests(tests, begin, end);
}
