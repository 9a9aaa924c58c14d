#include "observed.h"

#include "seen_data.h"

#include <stdio.h>
#include <stdlib.h>

/* What a capture of the client's side has at one point of time. */
struct moment {
	enum { MOMENT_OCTETS, MOMENT_PEER, MOMENT_TLS, MOMENT_DATA } kind;
	uint64_t now;
	enum an_dir dir;
	size_t begin, n; /* octets, in transcript.octets */
	enum relay_peer peer;
	const char *why;
	struct fake_seen data; /* but for its octets */
};

struct transcript {
	struct moment *moments;
	size_t n, max;
	const uint64_t *now;
	struct buf octets;
	enum relay_peer peer[2];
};

/* ---- what only a gateway can know ---- */

/*
 * Of records of that type (NULL: of all) path, names that are arrays looked through, is left out on
 * both sides. Where "is" is set: only where the gateway's record has that text at "where", a path
 * that begins beside the last name of the other (the observer's alone, where its own has it); and
 * where "becomes" is set: only in place of this word of the observer's. docs/captures.md has the
 * same list for users.
 */
static const struct unknowable {
	const char *type, *path, *where, *is, *becomes, *why;
} unknowable[] = {
    {NULL, "flow_id", NULL, NULL, NULL, "made up for each session"},
    {NULL, "timestamp", NULL, NULL, NULL, "the gateway's clock, or that of the capture"},
    {NULL, "upstream", NULL, NULL, NULL, "the leg to the server is in no capture of the client's"},
    {"ftp", "ftp.reply_source", NULL, NULL, NULL, "the client cannot tell who answered it"},
    {"ftp_data", "ftp_data.server", NULL, NULL, NULL,
	"the leg to the server is not in the capture"},
    {"ftp_data", "ftp_data.duration_ms", NULL, NULL, NULL, "of two legs, or of one"},
    {"ftp_data", "ftp_data.rate", NULL, NULL, NULL, "the same"},
    {"ftp_data", "ftp_data.reason", "reason", "reset", NULL,
	"what the gateway cuts is a reset, whatever for"},
    {"ftp_data", "ftp_data.reason", "reason", "stalled", NULL, "the same"},
    {"ftp_data", "ftp_data.reason", "reason", "session_ended", NULL, "the same"},
    {"ftp_data", "ftp_data.deleted", NULL, NULL, NULL, "the client is not told"},
    {"ftp_data", "ftp_data.kept", NULL, NULL, NULL, "the client is not told"},
    {"smtp", "smtp.replies.source", NULL, NULL, NULL, "the client cannot tell who answered it"},
    {"smtp", "smtp.replies.text", "command", "EHLO", NULL,
	"the gateway records what the server offers, the client hears what is left of it"},
    {"smtp", "smtp.replies.text", "command", "STARTTLS", NULL,
	"the gateway records what the server said, the client hears the gateway's own 220"},
    {"smtp", "smtp.replies.enhanced", "command", "STARTTLS", NULL, "the same"},
    {"smtp", "verdict", "verdict.reason", "message_rate", NULL, "a limit per minute"},
    {"smtp", "verdict", "verdict.reason", "recipient_rate", NULL, "a limit per minute"},
    {"smtp", "verdict", "verdict.reason", "auth_failures", NULL, "a limit per minute"},
    {"smtp", "verdict", "verdict.reason", "server_lost", NULL, "a gateway's word for it"},
    {"smtp", "email", "smtp.state", "server_lost", NULL,
	"the gateway looks at no more of it than the server could get"},
    {"smtp", "smtp.size", "state", "server_lost", NULL, "the same"},
    {"smtp", "smtp.transfer", "state", "server_lost", NULL, "the same"},
    {"smtp", "smtp.state", "state", "server_lost", "rejected",
	"the client hears no more than that it was not taken"},
    {"smtp", "smtp.state", "state", "server_lost", "no_message", "the same"},
    {"smtp", "smtp.state", "state", "server_lost", "aborted", "the same"},
    {"smtp", "smtp.state", "state", "in_doubt", "rejected", "the same"},
    {"smtp", "smtp.state", "state", "aborted", "rejected", "the same"},
};

/*
 * What the gateway says in place of a reply of the server, which its record has too, and which no
 * client ever sees.
 */
static const char *const in_place[] = {"Error: the mail server sent an invalid reply",
    "Error: SMTP protocol synchronization", "Error: the mail server spoke ahead of TLS",
    "Error: the mail server has no TLS any more, try again later"};

/* Records that are compared; of the others: */
static const char *const compared[] = {
    "smtp", "email", "fileinfo", "ftp", "ftp_data", "pop3", "imap"};

/* ---- writing down ---- */

struct transcript *
transcript_new(const uint64_t *now)
{
	struct transcript *t = calloc(1, sizeof(*t));

	t->now = now;
	buf_init(&t->octets, 64u << 20);
	return t;
}

void
transcript_free(struct transcript *t)
{
	if (t == NULL)
		return;
	buf_free(&t->octets);
	free(t->moments);
	free(t);
}

static void
note(struct transcript *t, const struct moment *m)
{
	if (t->n == t->max) {
		t->max = t->max == 0 ? 64 : 2 * t->max;
		t->moments = realloc(t->moments, t->max * sizeof(*t->moments));
		if (t->moments == NULL)
			abort();
	}
	t->moments[t->n] = *m;
	t->moments[t->n++].now = *t->now;
}

void
transcript_octets(struct transcript *t, enum an_dir dir, struct span octets)
{
	if (t == NULL || octets.n == 0)
		return;
	note(t, &(struct moment){.dir = dir, .begin = t->octets.n, .n = octets.n});
	if (!buf_add(&t->octets, octets))
		abort();
}

void
transcript_peer(struct transcript *t, enum an_dir dir, enum relay_peer peer)
{
	if (t == NULL || peer <= t->peer[dir])
		return;
	t->peer[dir] = peer;
	note(t, &(struct moment){.kind = MOMENT_PEER, .dir = dir, .peer = peer});
}

void
transcript_tls(struct transcript *t, const char *why)
{
	if (t != NULL)
		note(t, &(struct moment){.kind = MOMENT_TLS, .why = why});
}

void
transcript_data(struct transcript *t, const struct fake_seen *seen)
{
	if (t == NULL)
		return;
	note(t, &(struct moment){
		    .kind = MOMENT_DATA, .begin = t->octets.n, .n = seen->octets.n, .data = *seen});
	if (!buf_add(&t->octets, seen->octets))
		abort();
}

/* ---- observing it ---- */

static bool
never_allowed(void *arg, struct relay *relay, enum client_act act)
{
	(void)relay;
	(void)act;
	complain(arg, NULL, "an observer limits nobody");
	return true;
}

static void
never_refused(void *arg, struct relay *relay)
{
	(void)relay;
	complain(arg, NULL, "an observer refuses nobody");
}

static void
never_taken_back(void *arg, struct relay *relay, enum client_act act)
{
	(void)relay;
	(void)act;
	complain(arg, NULL, "an observer has nothing to take back");
}

static struct data_pair *
open_seen(void *arg, struct relay *relay)
{
	return seen_data_open(((struct run *)arg)->seen_data, relay);
}

/* The observer's part: names are looked up by the time that the next octets come. */
static void
answer(struct run *r)
{
	while (r->asked) {
		r->asked = false;
		relay_answered(r->relay);
	}
}

/* As much as there is room for; false: nothing. */
static bool
see_some(struct run *r, enum an_dir dir)
{
	struct buf *waiting = &r->backlog[dir];
	struct channel_room room = {NULL, 0};
	size_t n;

	if (waiting->n > 0)
		room = channel_room(relay_from(r->relay, dir));
	n = waiting->n < room.n ? waiting->n : room.n;
	if (n == 0)
		return false;
	memcpy(room.p, waiting->p, n);
	buf_drop(waiting, n);
	relay_received(r->relay, dir, n);
	answer(r);
	return true;
}

static void
see(struct run *r, enum an_dir dir, struct span octets)
{
	if (!buf_add(&r->backlog[dir], octets))
		abort();
	while (!r->failed && (see_some(r, AN_C2S) || see_some(r, AN_S2C)))
		continue;
}

/* As the gateway's run had it: whole, cut, or octet by octet. */
static void
see_cut(struct run *r, enum an_dir dir, struct span octets)
{
	const size_t begin = r->written;

	r->written += octets.n;
	if (r->each_octet) {
		for (; octets.n > 0; octets = span_from(octets, 1))
			see(r, dir, span_first(octets, 1));
	} else if (r->cut > begin && r->cut < r->written) {
		see(r, dir, span_first(octets, r->cut - begin));
		see(r, dir, span_from(octets, r->cut - begin));
	} else {
		see(r, dir, octets);
	}
}

static void
see_tls(struct run *r, const char *why)
{
	if (r->relay->tls[AN_C2S] != RELAY_SHAKING || r->relay->tls[AN_S2C] != RELAY_SHAKING) {
		complain(r, NULL, "an observer was to follow to TLS, and does not");
		return;
	}
	relay_upgraded(r->relay, AN_S2C, why);
	relay_upgraded(r->relay, AN_C2S, why);
}

/* False: the rest is TLS, of which whoever has no keys sees nothing. */
static bool
see_moment(
    struct run *r, struct seen_data *data, const struct transcript *t, const struct moment *m)
{
	struct fake_seen seen;

	r->now = m->now;
	switch (m->kind) {
	case MOMENT_OCTETS:
		if (relay_shaking(r->relay))
			return false;
		see_cut(r, m->dir, span_of(t->octets.p + m->begin, m->n));
		break;
	case MOMENT_PEER:
		relay_peer(r->relay, m->dir, m->peer);
		answer(r);
		break;
	case MOMENT_TLS:
		see_tls(r, m->why);
		break;
	case MOMENT_DATA:
		seen = m->data;
		seen.octets = span_of(t->octets.p + m->begin, m->n);
		seen_data_add(data, &seen);
		break;
	}
	seen_data_go_on(data);
	return true;
}

static void
see_all(struct run *r, struct seen_data *data, const struct transcript *t)
{
	relay_connected(r->relay, &r->session.client);
	for (size_t i = 0; i < t->n && !r->failed; i++)
		if (!see_moment(r, data, t, &t->moments[i]))
			break;
}

/* ---- comparing ---- */

/* What is at the next name of a path, and the path behind it; NULL: the path ends with it. */
static json_t *
next_of(const json_t *v, const char *path, const char **rest)
{
	char name[80];
	size_t n = strcspn(path, ".");

	snprintf(name, sizeof(name), "%.*s", (int)n, path);
	*rest = path[n] == '.' ? path + n + 1 : NULL;
	return json_object_get(v, name);
}

static const json_t *
at_path(const json_t *v, const char *path)
{
	while (path != NULL)
		v = next_of(v, path, &path);
	return v;
}

static bool
is_text(const json_t *v, const char *text)
{
	return json_is_string(v) && strcmp(json_string_value(v), text) == 0;
}

/* As far down the path as there are objects, but for its last name. */
static const char *
descend(json_t **gateway, json_t **observer, const char *path)
{
	for (;;) {
		const char *rest, *as_well;
		json_t *below = next_of(*gateway, path, &rest);

		if (rest == NULL || !json_is_object(*gateway))
			return path;
		*observer = next_of(*observer, path, &as_well);
		*gateway = below;
		path = rest;
	}
}

static void
leave_out_name(json_t *gateway, json_t *observer, const char *name, const struct unknowable *u)
{
	if (u->becomes != NULL && !is_text(json_object_get(observer, name), u->becomes))
		return;
	if (u->is == NULL || is_text(at_path(gateway, u->where), u->is)) {
		json_object_del(gateway, name);
		json_object_del(observer, name);
	} else if (is_text(at_path(observer, u->where), u->is)) {
		json_object_del(observer, name);
	}
}

static void
leave_out(json_t *gateway, json_t *observer, const struct unknowable *u)
{
	const char *rest = descend(&gateway, &observer, u->path);
	json_t *item;
	size_t i;

	if (!json_is_array(gateway)) {
		leave_out_name(gateway, observer, rest, u);
		return;
	}
	json_array_foreach(gateway, i, item)
	{
		json_t *other = json_array_get(observer, i);
		const char *name = descend(&item, &other, rest);

		leave_out_name(item, other, name, u);
	}
}

static bool
is_in_place(const json_t *reply, const json_t *next)
{
	const char *command = json_string_value(json_object_get(next, "command"));

	if (!is_text(json_object_get(reply, "source"), "server") ||
	    (command[0] != '\0' && !is_text(json_object_get(reply, "command"), command)))
		return false;
	for (size_t i = 0; i < sizeof(in_place) / sizeof(in_place[0]); i++)
		if (is_text(json_object_get(next, "text"), in_place[i]))
			return true;
	return false;
}

/* Replies of the server in whose place the gateway spoke go: it spoke to the same command. */
static void
leave_out_replies(json_t *record)
{
	json_t *replies = json_object_get(json_object_get(record, "smtp"), "replies");

	for (size_t i = 0; i + 1 < json_array_size(replies); i++) {
		json_t *reply = json_array_get(replies, i), *next = json_array_get(replies, i + 1);

		if (!is_in_place(reply, next))
			continue;
		json_object_set(next, "command", json_object_get(reply, "command"));
		json_array_remove(replies, i);
	}
}

/*
 * Of the last words to a command of FTP the client has heard one, the last: what the server said
 * stands in the gateway's record ahead of it.
 */
static void
leave_unheard_out(json_t *record)
{
	json_t *ftp = json_object_get(record, "ftp");
	json_t *codes = json_object_get(ftp, "completion_code"),
	       *replies = json_object_get(ftp, "reply");

	for (size_t i = json_array_size(codes); i-- > 1;) {
		uint64_t code = 0;

		span_u64(span_str(json_string_value(json_array_get(codes, i - 1))), 999, &code);
		if (code < 100 || code >= 200) {
			json_array_remove(codes, i - 1);
			json_array_remove(replies, i - 1);
		}
	}
}

static bool
is_type(const json_t *record, const char *type)
{
	return strcmp(json_string_value(json_object_get(record, "event_type")), type) == 0;
}

/* Copies of the records of a type. */
static json_t *
of_type(const json_t *records, const char *type)
{
	json_t *list = json_array();
	const json_t *record;
	size_t i;

	json_array_foreach(records, i, record) if (is_type(record, type))
	    json_array_append_new(list, json_deep_copy(record));
	return list;
}

static bool
agree(json_t *gateway, json_t *observer, const char *type)
{
	if (gateway == NULL || observer == NULL)
		return false;
	leave_out_replies(gateway);
	leave_unheard_out(gateway);
	leave_unheard_out(observer);
	for (size_t k = 0; k < sizeof(unknowable) / sizeof(unknowable[0]); k++)
		if (unknowable[k].type == NULL || strcmp(unknowable[k].type, type) == 0)
			leave_out(gateway, observer, &unknowable[k]);
	return json_equal(gateway, observer);
}

static void
print_side(const char *who, const json_t *record)
{
	char *text = record == NULL ? NULL : json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);

	printf("    %s %s\n", who, text == NULL ? "(none)" : text);
	free(text);
}

static void
compare_type(struct run *r, const json_t *theirs, const char *type)
{
	json_t *gateway = of_type(theirs, type), *observer = of_type(r->records, type);
	size_t n = json_array_size(gateway), m = json_array_size(observer);

	for (size_t i = 0; i < n || i < m; i++) {
		json_t *a = json_array_get(gateway, i), *b = json_array_get(observer, i);

		if (agree(a, b, type))
			continue;
		complain(r, NULL, "%s record %zu: gateway and observer disagree", type, i + 1);
		print_side("gateway ", a);
		print_side("observer", b);
		break;
	}
	json_decref(gateway);
	json_decref(observer);
}

bool
is_compared(struct span line)
{
	static const struct span name = {(const uint8_t *)"\"event_type\":\"", 14};
	const uint8_t *at = memmem(line.p, line.n, name.p, name.n);
	struct span type = at == NULL ? SPAN_NONE : span_from(line, (size_t)(at - line.p) + name.n);

	for (size_t i = 0; i < sizeof(compared) / sizeof(compared[0]); i++) {
		const struct span want = span_str(compared[i]);

		if (span_starts(type, want) && span_from(type, want.n).p[0] == '"')
			return true;
	}
	return false;
}

/* What both sides said when they last agreed, in which case. */
static struct {
	const struct one *one;
	struct buf gateway, observer;
} agreed;

static bool
keep(struct buf *b, const struct buf *said)
{
	buf_free(b);
	buf_init(b, STREAM_MAX);
	return buf_add(b, buf_span(said));
}

/* However octets were cut, most runs of a case say the same, word for word. */
static bool
agreed_before(const struct run *gateway, const struct run *observer)
{
	return agreed.one == gateway->one &&
	       span_eq(buf_span(&agreed.gateway), buf_span(&gateway->said)) &&
	       span_eq(buf_span(&agreed.observer), buf_span(&observer->said));
}

static void
parse(struct run *r)
{
	struct span rest = buf_span(&r->said);
	json_error_t error;

	while (rest.n > 0) {
		size_t n = (size_t)span_find(rest, '\n') + 1;
		json_t *record = json_loadb((const char *)rest.p, n, 0, &error);

		if (record == NULL)
			complain(r, NULL, "a record is no JSON: %s", error.text);
		else
			json_array_append_new(r->records, record);
		rest = span_from(rest, n);
	}
}

static void
compare(struct run *gateway, struct run *r)
{
	if (agreed_before(gateway, r))
		return;
	parse(r);
	for (size_t i = 0; i < sizeof(compared) / sizeof(compared[0]); i++)
		compare_type(r, gateway->records, compared[i]);
	agreed.one = NULL;
	if (!r->failed && keep(&agreed.gateway, &gateway->said) && keep(&agreed.observer, &r->said))
		agreed.one = gateway->one;
}

void
observe(struct run *gateway)
{
	struct run *r = calloc(1, sizeof(*r));
	struct seen_data *data = seen_data_new();
	const char *wrong;

	*r = *gateway;
	r->data_ops = *seen_data_ops();
	r->data_ops.open = open_seen;
	r->env.data = &r->data_ops;
	r->seen_data = data;
	r->is_observer = true;
	r->written = 0;
	r->asked = false;
	r->records = json_array();
	buf_init(&r->said, STREAM_MAX);
	buf_init(&r->backlog[AN_C2S], STREAM_MAX);
	buf_init(&r->backlog[AN_S2C], STREAM_MAX);
	r->env.observed = true;
	r->env.allow = never_allowed;
	r->env.refused = never_refused;
	r->env.take_back = never_taken_back;
	r->env.tls_keys = NULL;
	r->env.arg = r->env.sink_arg = r;
	if (gateway->transcript->n > 0)
		r->now = gateway->transcript->moments[0].now;
	r->relay = relay_new(r->one->dialect->ops, &r->env, &r->session, &r->facts);
	see_all(r, data, gateway->transcript);
	relay_free(r->relay);
	wrong = seen_data_free(data);
	if (wrong != NULL)
		complain(r, NULL, "%s", wrong);
	compare(gateway, r);
	json_decref(r->records);
	buf_free(&r->said);
	buf_free(&r->backlog[AN_C2S]);
	buf_free(&r->backlog[AN_S2C]);
	gateway->failed = gateway->failed || r->failed;
	free(r);
}
