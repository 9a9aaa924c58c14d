#include "tls/opening.h"

#include <stdlib.h>

#include "tls/opening_state.h"

#define ROOM_LEAST 512

#define ALERT_FATAL	    2
#define ALERT_CLOSE_NOTIFY  0
#define ALERT_USER_CANCELED 90

enum record_type {
	RECORD_CHANGE_CIPHER_SPEC = 20,
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_APPLICATION_DATA = 23,
	RECORD_HEARTBEAT = 24, /* RFC 6520 */
};

struct tls_opening *
tls_opening_new(struct tls_keylog *keylog)
{
	struct tls_opening *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->keylog = keylog;
	o->schedule = tls_schedule_new();
	buf_init(&o->held, TLS_EARLY_MAX);
	for (int dir = AN_C2S; dir <= AN_S2C; dir++)
		buf_init(&o->flow[dir].message, TLS_HANDSHAKE_MAX);
	if (o->schedule == NULL) {
		tls_opening_free(o);
		return NULL;
	}
	return o;
}

void
tls_opening_free(struct tls_opening *o)
{
	if (o == NULL)
		return;
	for (int dir = AN_C2S; dir <= AN_S2C; dir++) {
		struct tls_flow *f = &o->flow[dir];

		free(f->room);
		tls_protection_free(&f->protection);
		buf_free(&f->message);
		explicit_bzero(f->secret, sizeof(f->secret));
	}
	buf_free(&o->held);
	tls_schedule_free(o->schedule);
	free(o);
}

bool
tls_opening_secure(const struct tls_opening *o)
{
	return o->flow[AN_C2S].finished && o->flow[AN_S2C].finished;
}

/* ---- keys ---- */

void
tls_flow_level(struct tls_flow *f, enum tls_level level)
{
	f->level = level;
	f->keyed = false;
}

bool
tls_flow_key(struct tls_opening *o, struct tls_flow *f)
{
	struct span secret = span_of(f->secret, o->suite->hash);
	struct tls_keys keys = {0};

	f->keyed =
	    tls_expand_label(o->schedule, o->suite, secret, "key", keys.key, o->suite->key) &&
	    tls_expand_label(o->schedule, o->suite, secret, "iv", keys.iv,
		tls_iv_octets(o->suite, o->version)) &&
	    tls_protection_set(&f->protection, o->suite, o->version, false, &keys);
	explicit_bzero(&keys, sizeof(keys));
	return f->keyed;
}

/* The part of a direction: MAC keys of both, keys of both, IVs of both (RFC 5246 s6.3). */
static const uint8_t *
take_part(const uint8_t *block, enum an_dir dir, size_t n, uint8_t *out)
{
	memcpy(out, block + (dir == AN_S2C ? n : 0), n);
	return block + 2 * n;
}

static bool
key_of_master(struct tls_opening *o, enum an_dir dir, struct span master)
{
	size_t mac = o->suite->mode == TLS_CBC ? o->suite->tag : 0;
	size_t iv = tls_iv_octets(o->suite, o->version);
	uint8_t block[TLS_KEY_BLOCK_MAX], seed[2 * TLS_RANDOM];
	struct tls_flow *f = &o->flow[dir];
	struct tls_keys keys = {0};
	const uint8_t *at = block;

	memcpy(seed, o->server_random, TLS_RANDOM);
	memcpy(seed + TLS_RANDOM, o->client_random, TLS_RANDOM);
	f->keyed = tls_prf(o->schedule, o->suite, o->version, master, "key expansion",
	    span_of(seed, sizeof(seed)), block, 2 * (mac + o->suite->key + iv));
	if (f->keyed) {
		at = take_part(at, dir, mac, keys.mac);
		at = take_part(at, dir, o->suite->key, keys.key);
		take_part(at, dir, iv, keys.iv);
		f->keyed = tls_protection_set(&f->protection, o->suite, o->version, o->etm, &keys);
	}
	explicit_bzero(block, sizeof(block));
	explicit_bzero(&keys, sizeof(keys));
	return f->keyed;
}

/* What the key log has for a session up to TLS 1.2; a session that is resumed may have no line. */
static struct span
find_master(const struct tls_opening *o)
{
	const struct tls_session_name *names[] = {&o->offered_ticket, &o->offered_id};
	struct span master = tls_keylog_find(o->keylog, o->client_random, TLS_MASTER);

	for (size_t i = 0; i < 2 && o->resumed && master.n == 0; i++)
		if (names[i]->known)
			master = tls_keylog_find(o->keylog, names[i]->sha256, TLS_RESUMED);
	return master;
}

/* The server's part comes when it has said all that a client may resume the session by. */
static bool
use_master(struct tls_opening *o, enum an_dir dir, struct span master)
{
	const struct tls_session_name *names[] = {&o->ticket, &o->id};
	uint8_t copy[TLS_SECRET_MAX];
	bool done = key_of_master(o, dir, master);

	memcpy(copy, master.p, master.n);
	for (size_t i = 0; i < 2 && dir == AN_S2C; i++)
		if (names[i]->known)
			tls_keylog_note(o->keylog, names[i]->sha256, span_of(copy, master.n));
	explicit_bzero(copy, sizeof(copy));
	return done;
}

/* As late as may be, for a key log may be written while the session is read. */
static enum tls_opened
look_up_keys(struct tls_opening *o, enum an_dir dir)
{
	static const enum tls_secret kinds[][2] = {
	    [TLS_LEVEL_EARLY] = {TLS_CLIENT_EARLY, TLS_CLIENT_EARLY},
	    [TLS_LEVEL_HANDSHAKE] = {TLS_CLIENT_HANDSHAKE, TLS_SERVER_HANDSHAKE},
	    [TLS_LEVEL_TRAFFIC] = {TLS_CLIENT_TRAFFIC, TLS_SERVER_TRAFFIC},
	};
	struct tls_flow *f = &o->flow[dir];
	struct span secret =
	    f->level == TLS_LEVEL_MASTER
		? find_master(o)
		: tls_keylog_find(o->keylog, o->client_random, kinds[f->level][dir]);

	if (secret.n == 0)
		return TLS_OPENING_NO_KEYS;
	if (f->level == TLS_LEVEL_MASTER)
		return use_master(o, dir, secret) ? TLS_OPENING_MORE : TLS_OPENING_BROKEN;
	if (secret.n != o->suite->hash) /* it is of another session */
		return TLS_OPENING_NO_KEYS;
	memcpy(f->secret, secret.p, secret.n);
	return tls_flow_key(o, f) ? TLS_OPENING_MORE : TLS_OPENING_BROKEN;
}

/* ---- what is in records ---- */

/*
 * Up to TLS 1.2 the keys change here. In TLS 1.3 it says nothing, and a client that offers it may
 * send one before the server has chosen (RFC 8446 sD.4).
 */
static enum tls_opened
on_change(struct tls_opening *o, enum an_dir dir, struct span content)
{
	struct tls_flow *f = &o->flow[dir];

	if (content.n != 1 || content.p[0] != 1 || f->n_head > 0)
		return TLS_OPENING_BROKEN;
	if (o->version == TLS_VERSION_13 || (o->version == 0 && dir == AN_C2S && o->offers13))
		return f->finished ? TLS_OPENING_BROKEN : TLS_OPENING_MORE;
	if (!f->may_change)
		return TLS_OPENING_BROKEN;
	if (dir == AN_S2C) /* it is the first one to do so (RFC 5246 s7.3) */
		o->resumed = o->flow[AN_C2S].may_change;
	f->may_change = false;
	f->finished = false;
	tls_flow_level(f, TLS_LEVEL_MASTER);
	return TLS_OPENING_MORE;
}

/* Is it the end? TLS 1.3 has no warnings but one, whatever their level says (RFC 8446 s6). */
static bool
is_end(const struct tls_opening *o, const uint8_t *alert)
{
	if (alert[1] == ALERT_CLOSE_NOTIFY || alert[0] == ALERT_FATAL)
		return true;
	return o->version == TLS_VERSION_13 && alert[1] != ALERT_USER_CANCELED;
}

static enum tls_opened
on_alert(struct tls_opening *o, enum an_dir dir, struct span content)
{
	if (content.n == 0 || content.n % 2 != 0)
		return TLS_OPENING_BROKEN;
	for (size_t i = 0; i < content.n; i += 2)
		if (is_end(o, content.p + i)) {
			o->flow[dir].ended = true;
			return TLS_OPENING_END;
		}
	return TLS_OPENING_MORE;
}

static enum tls_opened
on_application_data(struct tls_flow *f, struct span content, struct span *plain)
{
	if (f->level == TLS_LEVEL_CLEAR || f->level == TLS_LEVEL_HANDSHAKE ||
	    (f->level == TLS_LEVEL_MASTER && !f->finished))
		return TLS_OPENING_BROKEN;
	if (content.n == 0) /* against attacks on CBC, some send empty ones */
		return TLS_OPENING_MORE;
	*plain = content;
	return TLS_OPENING_OCTETS;
}

static enum tls_opened
on_content(
    struct tls_opening *o, enum an_dir dir, uint8_t type, struct span content, struct span *plain)
{
	struct tls_flow *f = &o->flow[dir];

	switch (type) {
	case RECORD_CHANGE_CIPHER_SPEC:
		return on_change(o, dir, content);
	case RECORD_ALERT:
		return on_alert(o, dir, content);
	case RECORD_HANDSHAKE:
		return tls_opening_handshake(o, dir, content) ? TLS_OPENING_MORE
							      : TLS_OPENING_BROKEN;
	case RECORD_APPLICATION_DATA:
		return on_application_data(f, content, plain);
	default: /* a heartbeat, and nothing of it is for us */
		return f->level == TLS_LEVEL_MASTER ? TLS_OPENING_MORE : TLS_OPENING_BROKEN;
	}
}

/* ---- records ---- */

/* Octets that nobody can read are passed over, so many and no more. */
static enum tls_opened
skip(struct tls_opening *o, struct span record)
{
	o->skipped += record.n;
	return o->skipped <= TLS_EARLY_MAX ? TLS_OPENING_MORE : TLS_OPENING_BROKEN;
}

/* Data of a client that the server has not said a word to, or that it passes over. */
static enum tls_opened
on_early_record(struct tls_opening *o, struct span record)
{
	if (o->early == TLS_EARLY_REFUSED)
		return skip(o, record);
	return buf_add(&o->held, record) ? TLS_OPENING_MORE : TLS_OPENING_BROKEN;
}

/* One that TLS 1.3 lets pass without protection where the others have it (RFC 8446 s5, s6.2). */
static bool
is_in_the_clear(const struct tls_opening *o, const struct tls_flow *f, uint8_t type)
{
	if (f->level == TLS_LEVEL_CLEAR)
		return true;
	if (o->version != TLS_VERSION_13 || f->finished)
		return false;
	return type == RECORD_CHANGE_CIPHER_SPEC || (type == RECORD_ALERT && !f->keyed);
}

static bool
make_room(struct tls_flow *f, size_t n)
{
	size_t size = f->n_room < ROOM_LEAST ? ROOM_LEAST : f->n_room;
	uint8_t *room;

	if (n <= f->n_room)
		return true;
	while (size < n)
		size *= 2;
	room = realloc(f->room, size);
	if (room == NULL)
		return false;
	f->room = room;
	f->n_room = size;
	return true;
}

/* room: where it may be opened, the record's own storage; NULL: it is not ours. */
static enum tls_opened
on_record(
    struct tls_opening *o, enum an_dir dir, struct span record, uint8_t *room, struct span *plain)
{
	struct tls_flow *f = &o->flow[dir];
	struct span content = span_from(record, TLS_RECORD_HEADER);
	uint8_t type = record.p[0];
	enum tls_opened said;

	if (is_in_the_clear(o, f, type)) {
		if (type == RECORD_APPLICATION_DATA && dir == AN_C2S && o->early != TLS_EARLY_NONE)
			return on_early_record(o, record);
		if (content.n > TLS_PLAIN_MAX)
			return TLS_OPENING_BROKEN;
		return on_content(o, dir, type, content, plain);
	}
	said = f->keyed ? TLS_OPENING_MORE : look_up_keys(o, dir);
	if (said != TLS_OPENING_MORE)
		return said;
	if (room == NULL) {
		if (!make_room(f, record.n))
			return TLS_OPENING_BROKEN;
		room = f->room;
	}
	if (tls_protection_open(&f->protection, record, room, &content, &type))
		return on_content(o, dir, type, content, plain);
	if (dir == AN_C2S && o->early == TLS_EARLY_REFUSED && f->level == TLS_LEVEL_HANDSHAKE &&
	    f->protection.sequence == 0)
		return skip(o, record);
	return TLS_OPENING_BROKEN;
}

/* Octets of the record that a header begins; 0: it begins none. */
static size_t
record_size(const uint8_t *header)
{
	size_t n = (size_t)header[3] << 8 | header[4];

	if (header[0] < RECORD_CHANGE_CIPHER_SPEC || header[0] > RECORD_HEARTBEAT ||
	    header[1] != 3 || n > TLS_RECORD_MAX)
		return 0;
	return TLS_RECORD_HEADER + n;
}

/* Adds to what is there of a record, up to n octets in all. False: no memory. */
static bool
gather(struct tls_flow *f, struct span *in, size_t n)
{
	struct span piece = span_first(*in, n > f->n ? n - f->n : 0);

	if (!make_room(f, n))
		return false;
	if (piece.n > 0)
		memcpy(f->room + f->n, piece.p, piece.n);
	f->n += piece.n;
	*in = span_from(*in, piece.n);
	return true;
}

/*
 * The next record off the front of *in; one that is whole there is not copied. Empty: it is not
 * whole yet, and all of *in was taken. False: it is none, or no memory.
 */
static bool
take_record(struct tls_flow *f, struct span *in, struct span *record)
{
	size_t n;

	*record = SPAN_NONE;
	if (f->n == 0 && in->n >= TLS_RECORD_HEADER) {
		n = record_size(in->p);
		if (n == 0)
			return false;
		if (in->n >= n) {
			*record = span_first(*in, n);
			*in = span_from(*in, n);
			return true;
		}
	}
	if (in->n == 0 && f->n < TLS_RECORD_HEADER)
		return true;
	if (!gather(f, in, TLS_RECORD_HEADER))
		return false;
	if (f->n < TLS_RECORD_HEADER)
		return true;
	n = record_size(f->room);
	if (n == 0 || !gather(f, in, n))
		return false;
	if (f->n == n)
		*record = span_of(f->room, n);
	return true;
}

/* What the client had sent ahead of the server's word, now that it is taken. */
static enum tls_opened
give_held(struct tls_opening *o, struct span *plain)
{
	enum tls_opened said = TLS_OPENING_MORE;

	while (o->held_at < o->held.n && said == TLS_OPENING_MORE) {
		uint8_t *at = o->held.p + o->held_at;
		size_t n = record_size(at);

		said = on_record(o, AN_C2S, span_of(at, n), at, plain);
		if (said != TLS_OPENING_NO_KEYS)
			o->held_at += n;
	}
	if (said == TLS_OPENING_MORE)
		buf_free(&o->held);
	return said;
}

/* Records until one says something. */
static enum tls_opened
read_records(struct tls_opening *o, enum an_dir dir, struct span *in, struct span *plain)
{
	struct tls_flow *f = &o->flow[dir];

	while (!f->ended) {
		struct span rest = *in, record;
		bool gathered;
		enum tls_opened said;

		if (!take_record(f, &rest, &record))
			return TLS_OPENING_BROKEN;
		gathered = record.n > 0 && record.p == f->room;
		if (record.n == 0 || gathered)
			*in = rest;
		if (record.n == 0)
			return TLS_OPENING_MORE;
		said = on_record(o, dir, record, gathered ? f->room : NULL, plain);
		if (said == TLS_OPENING_NO_KEYS) /* the record stays where it is */
			return said;
		*in = rest;
		if (gathered)
			f->n = 0;
		if (said != TLS_OPENING_MORE)
			return said;
	}
	*in = span_from(*in, in->n);
	return TLS_OPENING_MORE;
}

enum tls_opened
tls_opening_feed(
    struct tls_opening *o, enum an_dir dir, struct span in, size_t *used, struct span *plain)
{
	enum tls_opened said = TLS_OPENING_MORE;
	struct span rest = in;

	*plain = SPAN_NONE;
	if (o->broken) {
		*used = in.n;
		return TLS_OPENING_BROKEN;
	}
	if (dir == AN_C2S && o->early == TLS_EARLY_TAKEN && !o->flow[dir].ended)
		said = give_held(o, plain);
	if (said == TLS_OPENING_MORE)
		said = read_records(o, dir, &rest, plain);
	o->broken = said == TLS_OPENING_BROKEN;
	*used = o->broken ? in.n : in.n - rest.n;
	return said;
}
