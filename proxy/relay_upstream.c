/*
 * One leg under TLS alone, by rule. A server that has to be asked for TLS is asked by the gateway,
 * ahead of all else: its greeting is kept back until the handshake is over, and what a greeting of
 * IMAP says of capabilities is taken out of it, since it was said in the clear. So gates see a
 * dialogue like any other.
 */
#include "relay.h"
#include "smtp/params.h"

#define REPLY_MAX 8192 /* octets of one reply of a server that is asked */
#define TAG	  "tls"

/* What each protocol says, and how a yes begins. */
static const struct ask {
	const char *greeting, *hello, *ask, *yes;
} asks[PROTOCOL_COUNT] = {
    [PROTOCOL_SMTP] = {"220", "EHLO ", "STARTTLS\r\n", "220"},
    [PROTOCOL_FTP] = {"220", NULL, "AUTH TLS\r\n", "234"},
    [PROTOCOL_POP3] = {"+OK", NULL, "STLS\r\n", "+OK"},
    [PROTOCOL_IMAP] = {"* OK", NULL, TAG " STARTTLS\r\n", TAG " OK"},
};

static const struct ask *
ask_of(const struct relay *r)
{
	return &asks[r->ops->protocol];
}

/* The first line with its line end; empty: it is not whole. */
static struct span
line_of(struct span s)
{
	ptrdiff_t end = span_find(s, '\n');

	return end < 0 ? SPAN_NONE : span_first(s, (size_t)end + 1);
}

/* "220-" of FTP ends with "220 ", whatever stands between (RFC 959 s4.2). */
static bool
ends_as(struct span line, struct span first)
{
	return line.n > 3 && span_starts(line, span_first(first, 3)) && line.p[3] != '-';
}

/*
 * More lines of the reply that begins with first follow: of SMTP "250-", of FTP all but the last,
 * of IMAP all without our tag.
 */
static bool
goes_on(const struct relay *r, struct span line, struct span first)
{
	if (r->ops->protocol == PROTOCOL_SMTP)
		return line.n > 3 && line.p[3] == '-';
	if (r->ops->protocol == PROTOCOL_FTP)
		return !ends_as(line, first) && first.n > 3 && first.p[3] == '-';
	return r->ops->protocol == PROTOCOL_IMAP && r->asking.stage == ASKING_TLS &&
	       !span_starts(line, span_str(TAG " "));
}

/* Octets of the reply at the head of the input; 0: it is not whole. */
static size_t
reply_of(const struct relay *r, struct span in)
{
	size_t n = 0;
	struct span line;

	do {
		line = line_of(span_from(in, n));
		n += line.n;
	} while (line.n > 0 && goes_on(r, line, in));
	return line.n > 0 ? n : 0;
}

static bool
offers_starttls(struct span reply)
{
	for (struct span line = line_of(reply); line.n > 0; line = line_of(reply)) {
		struct span word = span_from(line, 4);

		while (word.n > 0 && word.p[word.n - 1] <= ' ')
			word.n--;
		if (smtp_ext_find(word) == SMTP_EXT_STARTTLS)
			return true;
		reply = span_from(reply, line.n);
	}
	return false;
}

static void
give_up(struct relay *r, const char *why)
{
	r->asking.stage = ASKING_NOTHING;
	buf_free(&r->asking.greeting);
	channel_discard(&r->server);
	relay_turn_away(r, why);
}

/* "* OK [CAPABILITY ...] ready": without the brackets and what is in them. */
static void
keep_greeting(struct relay *r, struct span reply)
{
	struct buf *kept = &r->asking.greeting;
	ptrdiff_t open = r->ops->protocol == PROTOCOL_IMAP ? span_find(reply, '[') : -1;
	ptrdiff_t close = open < 0 ? -1 : span_rfind(reply, ']');

	buf_init(kept, REPLY_MAX);
	if (close > open) {
		buf_add(kept, span_first(reply, (size_t)open));
		reply = span_from(reply, (size_t)close + 1);
		if (reply.n > 0 && reply.p[0] == ' ')
			reply = span_from(reply, 1);
	}
	buf_add(kept, reply);
	r->server.failed |= kept->failed;
}

static void
say(struct relay *r, const char *text)
{
	channel_put(&r->server, span_str(text));
}

static void
ask(struct relay *r)
{
	say(r, ask_of(r)->ask);
	r->asking.stage = ASKING_TLS;
}

static void
on_greeting(struct relay *r, struct span reply)
{
	char us[IP_TEXT_MAX];

	if (!span_istarts(reply, span_str(ask_of(r)->greeting))) {
		give_up(r, "server_refused");
		return;
	}
	keep_greeting(r, reply);
	if (ask_of(r)->hello == NULL) {
		ask(r);
		return;
	}
	say(r, ask_of(r)->hello);
	say(r, r->session.up_client.ip.family == IP_V6 ? "[IPv6:" : "[");
	say(r, ip_text(&r->session.up_client.ip, us));
	say(r, "]\r\n");
	r->asking.stage = ASKING_HELLO;
}

static void
on_reply(struct relay *r, struct span reply, bool more)
{
	struct span last = reply;

	for (struct span line = line_of(last); line.n < last.n; line = line_of(last))
		last = span_from(last, line.n);
	switch (r->asking.stage) {
	case ASKING_GREETING:
		if (more) /* nobody has asked for anything yet */
			give_up(r, "server_ahead_of_tls");
		else
			on_greeting(r, reply);
		break;
	case ASKING_HELLO:
		if (more)
			give_up(r, "server_ahead_of_tls");
		else if (span_starts(last, span_str("250")) && offers_starttls(reply))
			ask(r);
		else
			give_up(r, "tls_rejected");
		break;
	case ASKING_TLS:
		if (!span_istarts(last, span_str(ask_of(r)->yes)))
			give_up(r, "tls_rejected");
		else if (more) /* whoever spoke ahead is not to be believed inside (N-006) */
			give_up(r, "server_ahead_of_tls");
		else
			relay_upgrade(r, AN_S2C);
		break;
	case ASKING_NOTHING:
		break;
	}
}

void
relay_upstream_run(struct relay *r)
{
	while (r->asking.stage != ASKING_NOTHING && !relay_shaking(r)) {
		struct span in = channel_input(&r->server);
		size_t n = reply_of(r, in);

		if (n == 0 && in.n < REPLY_MAX)
			return;
		if (n == 0 || n > REPLY_MAX) {
			give_up(r, "server_protocol");
			return;
		}
		on_reply(r, span_first(in, n), in.n > n);
		if (channel_input(&r->server).n >= n)
			channel_parsed(&r->server, n);
	}
}

/* The greeting is what the gate reads first, as if it had come only now. */
static void
give_back(struct relay *r)
{
	struct span kept = buf_span(&r->asking.greeting);
	struct channel_room room = channel_room(&r->server);

	r->asking.stage = ASKING_NOTHING;
	if (room.n >= kept.n && kept.n > 0) {
		memcpy(room.p, kept.p, kept.n);
		channel_received(&r->server, kept.n);
	} else if (kept.n > 0) {
		r->server.failed = true;
	}
	buf_free(&r->asking.greeting);
}

bool
relay_upstream_upgraded(struct relay *r, enum an_dir dir, const char *why)
{
	if (!r->own_way || (r->tls_asked.implicit && why == NULL && dir == AN_C2S))
		return false;
	if (why != NULL && r->tls_asked.implicit)
		relay_end(r, why, WISH_CLOSE, WISH_CLOSE);
	else if (why != NULL)
		give_up(r, why);
	else
		give_back(r);
	return true;
}

/*
 * Nothing is made weaker without a rule that says so (N-022): by default both legs are alike. What
 * a server inside TLS offers of it once more is hidden.
 */
bool
relay_upstream_begin(struct relay *r)
{
	enum tls_upstream how = r->tls_said.upstream;
	bool implicit = r->tls_asked.implicit;

	if (r->env->tls_keys == NULL || (implicit && r->tls_said.action != TLS_INTERCEPT))
		return false;
	if (implicit && (how == UPSTREAM_PLAIN || how == UPSTREAM_STARTTLS))
		relay_upgrade(r, AN_C2S);
	else if (implicit || how == UPSTREAM_SAME || how == UPSTREAM_PLAIN)
		return false;
	if (!implicit && how == UPSTREAM_TLS)
		relay_upgrade(r, AN_S2C);
	if (how == UPSTREAM_STARTTLS)
		r->asking.stage = ASKING_GREETING;
	r->facts.starttls = STARTTLS_HIDE;
	r->facts.unless_published = false;
	r->own_way = true;
	if (how == UPSTREAM_PLAIN || !implicit)
		r->one_sided = implicit ? "client" : "server";
	return true;
}
