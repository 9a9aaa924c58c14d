#include "tls/sight.h"

#include <stdlib.h>

#include "tls/wire.h"

#define RECORD_HEADER  5
#define RECORD_MAX     (16384 + 2048) /* octets of one record (RFC 5246 s6.2.3) */
#define MESSAGE_HEADER 4
#define ALERT_FATAL    2

enum record_type {
	RECORD_CHANGE_CIPHER_SPEC = 20,
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_APPLICATION_DATA = 23,
};

enum message_type {
	MESSAGE_CLIENT_HELLO = 1,
	MESSAGE_SERVER_HELLO = 2,
	MESSAGE_CERTIFICATE = 11,
};

/* One direction. */
struct flow {
	uint8_t header[RECORD_HEADER];
	size_t n_header; /* octets of it that are there */
	size_t left;	 /* octets of the record that are still to come */
	struct buf message;
	uint8_t alert[2];
	size_t n_alert;
	uint64_t skip;	     /* octets of a message that is too long, or of no use */
	bool over;	     /* encrypted from here on, or senseless */
	bool expects_change; /* one ChangeCipherSpec stands between two hellos */
};

struct tls_sight {
	struct flow flow[2];
	struct buf hello;  /* the client's: seen.client points into it */
	struct buf chosen; /* the server's */
	struct tls_seen seen;
};

struct tls_sight *
tls_sight_new(void)
{
	struct tls_sight *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	for (int dir = AN_C2S; dir <= AN_S2C; dir++)
		buf_init(&t->flow[dir].message, TLS_MESSAGE_MAX);
	buf_init(&t->hello, TLS_MESSAGE_MAX);
	buf_init(&t->chosen, TLS_MESSAGE_MAX);
	return t;
}

void
tls_sight_free(struct tls_sight *t)
{
	if (t == NULL)
		return;
	for (int dir = AN_C2S; dir <= AN_S2C; dir++)
		buf_free(&t->flow[dir].message);
	buf_free(&t->hello);
	buf_free(&t->chosen);
	tls_certificate_free(t->seen.leaf);
	free(t);
}

const struct tls_seen *
tls_sight_seen(const struct tls_sight *t)
{
	return &t->seen;
}

static void
give_up(struct tls_sight *t, enum an_dir dir)
{
	t->seen.malformed = true;
	t->flow[dir].over = true;
}

/* ---- messages ---- */

static void
on_client_hello(struct tls_sight *t, struct span body)
{
	if (t->seen.client_hello) /* the second one, which a HelloRetryRequest asked for */
		return;
	if (buf_add(&t->hello, body) &&
	    tls_client_hello_parse(buf_span(&t->hello), &t->seen.client))
		t->seen.client_hello = true;
	else
		give_up(t, AN_C2S);
}

/* Up to TLS 1.2 a server resumes by sending back the ID that the client had sent. */
static bool
echoes_session(const struct tls_seen *s)
{
	return s->client_hello && s->server.session_id.n > 0 &&
	       span_eq(s->server.session_id, s->client.session_id);
}

static void
on_server_hello(struct tls_sight *t, struct span body)
{
	struct tls_seen *s = &t->seen;

	buf_clear(&t->chosen);
	if (!buf_add(&t->chosen, body) ||
	    !tls_server_hello_parse(buf_span(&t->chosen), &s->server)) {
		give_up(t, AN_S2C);
		return;
	}
	s->server_hello = true;
	s->resumed = s->server.version >= 0x0304 ? s->server.pre_shared : echoes_session(s);
	t->flow[AN_S2C].expects_change = s->server.retry;
}

/* The first certificate is the server's own (RFC 5246 s7.4.2). */
static void
on_certificates(struct tls_sight *t, struct span body)
{
	struct tls_wire w = tls_wire_of(body), list = tls_wire_of(tls_vector(&w, 3));

	while (list.rest.n > 0 && !list.bad) {
		struct span der = tls_vector(&list, 3);

		if (!list.bad && t->seen.chain++ == 0)
			t->seen.leaf = tls_certificate_parse(der);
	}
	t->seen.resumed = false;
	if (w.bad || w.rest.n > 0 || list.bad)
		give_up(t, AN_S2C);
}

static void
on_message(struct tls_sight *t, enum an_dir dir, struct span message)
{
	struct span body = span_from(message, MESSAGE_HEADER);

	if (dir == AN_C2S && message.p[0] == MESSAGE_CLIENT_HELLO)
		on_client_hello(t, body);
	else if (dir == AN_S2C && message.p[0] == MESSAGE_SERVER_HELLO)
		on_server_hello(t, body);
	else if (dir == AN_S2C && message.p[0] == MESSAGE_CERTIFICATE && t->seen.chain == 0)
		on_certificates(t, body);
}

/* Octets of the message that is at hand, its header too; 0: not known yet. */
static size_t
message_size(struct span so_far)
{
	struct tls_wire w = tls_wire_of(so_far);

	tls_number(&w, 1);
	return so_far.n < MESSAGE_HEADER ? 0 : MESSAGE_HEADER + tls_number(&w, 3);
}

/* How much of s belongs to the message at hand. */
static size_t
add_to_message(struct flow *f, struct span s)
{
	size_t size = message_size(buf_span(&f->message)), n;

	n = (size == 0 ? MESSAGE_HEADER : size) - f->message.n;
	n = n < s.n ? n : s.n;
	buf_add(&f->message, span_first(s, n));
	return n;
}

static void
on_handshake(struct tls_sight *t, enum an_dir dir, struct span s)
{
	struct flow *f = &t->flow[dir];

	while (s.n > 0 && !f->over) {
		size_t n = f->skip < s.n ? (size_t)f->skip : s.n, size;

		f->skip -= n;
		s = span_from(s, n);
		if (s.n == 0)
			return;
		s = span_from(s, add_to_message(f, s));
		size = message_size(buf_span(&f->message));
		if (size > TLS_MESSAGE_MAX) {
			f->skip = size - f->message.n;
			buf_clear(&f->message);
		} else if (size > 0 && f->message.n == size) {
			on_message(t, dir, buf_span(&f->message));
			buf_clear(&f->message);
		}
		f->over = f->over || f->message.failed;
	}
}

/* ---- records ---- */

/* Two octets; what has another size is encrypted, and came after a ChangeCipherSpec. */
static void
on_alert(struct tls_sight *t, enum an_dir dir, struct span s)
{
	struct flow *f = &t->flow[dir];
	struct tls_alert *a = &t->seen.alert[dir];

	for (size_t i = 0; i < s.n; i++, f->n_alert++)
		if (f->n_alert < sizeof(f->alert))
			f->alert[f->n_alert] = s.p[i];
	if (f->left > 0)
		return;
	if (f->n_alert == sizeof(f->alert) && !a->seen)
		*a = (struct tls_alert){true, f->alert[0] == ALERT_FATAL, f->alert[1]};
	f->n_alert = 0;
}

/* The header is whole: what the record is decides before its octets are there. */
static void
begin_record(struct tls_sight *t, enum an_dir dir)
{
	struct flow *f = &t->flow[dir];
	const uint8_t *h = f->header;

	f->left = (size_t)(h[3] << 8 | h[4]);
	if (h[1] != 3 || f->left > RECORD_MAX || h[0] < RECORD_CHANGE_CIPHER_SPEC ||
	    h[0] > RECORD_APPLICATION_DATA) {
		give_up(t, dir);
	} else if (h[0] == RECORD_CHANGE_CIPHER_SPEC && f->expects_change) {
		f->expects_change = false;
	} else if (h[0] == RECORD_APPLICATION_DATA || h[0] == RECORD_CHANGE_CIPHER_SPEC) {
		f->over = true;
	}
	if (f->left == 0)
		f->n_header = 0;
}

static void
on_octets(struct tls_sight *t, enum an_dir dir, struct span s)
{
	struct flow *f = &t->flow[dir];

	f->left -= s.n;
	if (f->left == 0)
		f->n_header = 0;
	if (f->header[0] == RECORD_HANDSHAKE)
		on_handshake(t, dir, s);
	else if (f->header[0] == RECORD_ALERT)
		on_alert(t, dir, s);
}

bool
tls_sight_feed(struct tls_sight *t, enum an_dir dir, struct span s)
{
	struct flow *f = &t->flow[dir];

	while (s.n > 0 && !f->over) {
		if (f->n_header < RECORD_HEADER) {
			f->header[f->n_header++] = s.p[0];
			s = span_from(s, 1);
			if (f->n_header == RECORD_HEADER)
				begin_record(t, dir);
		} else {
			struct span piece = span_first(s, f->left);

			s = span_from(s, piece.n);
			on_octets(t, dir, piece);
		}
	}
	if (f->over)
		buf_free(&f->message);
	return !t->flow[AN_C2S].over || !t->flow[AN_S2C].over;
}
