#include "tls/hello.h"
#include "tls/opening_state.h"
#include "tls/wire.h"

enum message_type {
	MESSAGE_CLIENT_HELLO = 1,
	MESSAGE_SERVER_HELLO = 2,
	MESSAGE_NEW_SESSION_TICKET = 4,
	MESSAGE_END_OF_EARLY_DATA = 5,
	MESSAGE_ENCRYPTED_EXTENSIONS = 8,
	MESSAGE_FINISHED = 20,
	MESSAGE_KEY_UPDATE = 24,
};

/* last: nothing of the record is behind it. Where keys change, that must be so (RFC 8446 s5.1). */
struct message {
	enum an_dir dir;
	struct span body;
	bool last;
};

/* ---- hellos ---- */

static void
name_session(struct tls_session_name *name, struct span by)
{
	name->known =
	    by.n > 0 && EVP_Digest(by.p, by.n, name->sha256, NULL, EVP_sha256(), NULL) == 1;
}

/* Another one than the first: after HelloRetryRequest, or in a renegotiation (RFC 5746). */
static bool
on_client_hello(struct tls_opening *o, const struct message *m)
{
	struct tls_client_hello h;
	bool renews = tls_opening_secure(o) && o->version <= TLS_VERSION_12;

	if ((o->expects != TLS_EXPECTS_CLIENT && !renews) || !tls_client_hello_parse(m->body, &h))
		return false;
	memcpy(o->client_random, h.random.p, TLS_RANDOM);
	o->offers13 = h.version >= TLS_VERSION_13;
	name_session(&o->offered_ticket, h.ticket);
	name_session(&o->offered_id, h.session_id);
	if (h.early_data && !o->retried && o->offers13)
		o->early = TLS_EARLY_WAITS;
	o->expects = TLS_EXPECTS_SERVER;
	return true;
}

static void
refuse_early(struct tls_opening *o)
{
	if (o->early != TLS_EARLY_WAITS)
		return;
	o->early = TLS_EARLY_REFUSED;
	buf_free(&o->held);
}

static bool
on_retry(struct tls_opening *o)
{
	if (o->retried || o->version != TLS_VERSION_13)
		return false;
	o->retried = true;
	o->expects = TLS_EXPECTS_CLIENT;
	refuse_early(o);
	return true;
}

static bool
on_server_hello(struct tls_opening *o, const struct message *m)
{
	struct tls_server_hello h;

	if (o->expects != TLS_EXPECTS_SERVER || !tls_server_hello_parse(m->body, &h) ||
	    h.version < TLS_VERSION_10 || h.version > TLS_VERSION_13 || h.compression != 0 ||
	    (o->flow[m->dir].level != TLS_LEVEL_CLEAR && h.version != o->version))
		return false;
	o->version = h.version;
	if (h.retry)
		return on_retry(o);
	o->suite = tls_suite_of(h.cipher, h.version);
	o->etm = h.etm;
	memcpy(o->server_random, h.random.p, TLS_RANDOM);
	o->expects = TLS_EXPECTS_NO_HELLO;
	if (h.version < TLS_VERSION_13) {
		refuse_early(o);
		name_session(&o->id, h.session_id);
		o->ticket.known = o->resumed = false;
		o->flow[AN_C2S].may_change = o->flow[AN_S2C].may_change = true;
		return o->suite != NULL;
	}
	tls_flow_level(&o->flow[AN_S2C], TLS_LEVEL_HANDSHAKE);
	if (o->early != TLS_EARLY_WAITS)
		tls_flow_level(&o->flow[AN_C2S], TLS_LEVEL_HANDSHAKE);
	return o->suite != NULL && m->last;
}

/* Up to TLS 1.2 (RFC 5077 s3.3): the lifetime, and the ticket. */
static bool
on_ticket(struct tls_opening *o, const struct message *m)
{
	struct tls_wire w = tls_wire_of(m->body);

	tls_number(&w, 4);
	name_session(&o->ticket, tls_vector(&w, 2));
	return true;
}

/* ---- TLS 1.3, under protection ---- */

static bool
takes_early(struct span body, bool *takes)
{
	struct tls_wire w = tls_wire_of(body), extensions = tls_wire_of(tls_vector(&w, 2));

	*takes = false;
	while (extensions.rest.n > 0 && !extensions.bad) {
		*takes = *takes || tls_number(&extensions, 2) == TLS_EXT_EARLY_DATA;
		tls_vector(&extensions, 2);
	}
	return !w.bad && w.rest.n == 0 && !extensions.bad;
}

static bool
on_encrypted_extensions(struct tls_opening *o, const struct message *m)
{
	bool takes;

	if (o->flow[m->dir].level != TLS_LEVEL_HANDSHAKE || !takes_early(m->body, &takes))
		return false;
	if (o->early != TLS_EARLY_WAITS)
		return true;
	tls_flow_level(&o->flow[AN_C2S], takes ? TLS_LEVEL_EARLY : TLS_LEVEL_HANDSHAKE);
	if (takes)
		o->early = TLS_EARLY_TAKEN;
	else
		refuse_early(o);
	return true;
}

static bool
on_end_of_early_data(struct tls_opening *o, const struct message *m)
{
	struct tls_flow *f = &o->flow[m->dir];

	if (f->level != TLS_LEVEL_EARLY || !m->last)
		return false;
	tls_flow_level(f, TLS_LEVEL_HANDSHAKE);
	return true;
}

/* RFC 8446 s7.2 */
static bool
on_key_update(struct tls_opening *o, const struct message *m)
{
	struct tls_flow *f = &o->flow[m->dir];
	uint8_t next[TLS_SECRET_MAX];
	bool done;

	if (f->level != TLS_LEVEL_TRAFFIC || !m->last)
		return false;
	done = tls_expand_label(o->schedule, o->suite, span_of(f->secret, o->suite->hash),
	    "traffic upd", next, o->suite->hash);
	memcpy(f->secret, next, o->suite->hash);
	explicit_bzero(next, sizeof(next));
	return done && tls_flow_key(o, f);
}

/* One that comes later answers a request for a certificate (RFC 8446 s4.6.2). */
static bool
on_finished(struct tls_opening *o, const struct message *m)
{
	struct tls_flow *f = &o->flow[m->dir];

	if (f->level == TLS_LEVEL_CLEAR || f->level == TLS_LEVEL_EARLY)
		return false;
	if (f->level == TLS_LEVEL_HANDSHAKE) {
		if (!m->last)
			return false;
		tls_flow_level(f, TLS_LEVEL_TRAFFIC);
	}
	f->finished = true;
	return true;
}

/* ---- messages out of records ---- */

static const struct row {
	enum message_type type;
	enum an_dir from, to; /* directions that it may have */
	bool body, body13;    /* it is looked into, up to TLS 1.2 and in TLS 1.3 */
	bool (*take)(struct tls_opening *, const struct message *);
} rows[] = {
    {MESSAGE_CLIENT_HELLO, AN_C2S, AN_C2S, true, true, on_client_hello},
    {MESSAGE_SERVER_HELLO, AN_S2C, AN_S2C, true, true, on_server_hello},
    {MESSAGE_NEW_SESSION_TICKET, AN_S2C, AN_S2C, true, false, on_ticket},
    {MESSAGE_END_OF_EARLY_DATA, AN_C2S, AN_C2S, false, false, on_end_of_early_data},
    {MESSAGE_ENCRYPTED_EXTENSIONS, AN_S2C, AN_S2C, false, true, on_encrypted_extensions},
    {MESSAGE_FINISHED, AN_C2S, AN_S2C, false, false, on_finished},
    {MESSAGE_KEY_UPDATE, AN_C2S, AN_S2C, false, false, on_key_update},
};

static const struct row *
row_of(uint8_t type)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == type)
			return &rows[i];
	return NULL;
}

/* The header is whole. False: the message is longer than any that is looked into. */
static bool
begin_message(const struct tls_opening *o, struct tls_flow *f)
{
	const struct row *row = row_of(f->head[0]);

	f->left = (size_t)f->head[1] << 16 | (size_t)f->head[2] << 8 | f->head[3];
	f->keeps = row != NULL && (o->version == TLS_VERSION_13 ? row->body13 : row->body);
	return !f->keeps || f->left <= TLS_HANDSHAKE_MAX;
}

static bool
end_message(struct tls_opening *o, enum an_dir dir, bool last)
{
	struct tls_flow *f = &o->flow[dir];
	const struct row *row = row_of(f->head[0]);
	const struct message m = {dir, buf_span(&f->message), last};
	bool done = row == NULL || (dir >= row->from && dir <= row->to && row->take(o, &m));

	f->n_head = 0;
	buf_clear(&f->message);
	if (f->finished)
		buf_free(&f->message);
	return done;
}

bool
tls_opening_handshake(struct tls_opening *o, enum an_dir dir, struct span s)
{
	struct tls_flow *f = &o->flow[dir];

	for (;;) {
		struct span piece;

		for (; f->n_head < TLS_MESSAGE_HEADER; s = span_from(s, 1)) {
			if (s.n == 0)
				return true;
			f->head[f->n_head++] = s.p[0];
			if (f->n_head == TLS_MESSAGE_HEADER && !begin_message(o, f))
				return false;
		}
		piece = span_first(s, f->left);
		s = span_from(s, piece.n);
		f->left -= piece.n;
		if (f->keeps && !buf_add(&f->message, piece))
			return false;
		if (f->left > 0)
			return true;
		if (!end_message(o, dir, s.n == 0))
			return false;
	}
}
