#include <stdlib.h>

#include "login_tie.h"
#include "pop3_gate.h"
#include "retrieval_rules.h"

/* ---- the gateway's own answers, in order ---- */

static void
emit(struct pop3_gate *g, const char *reply)
{
	channel_put(&g->relay.client, span_str(reply));
	channel_put(&g->relay.client, span_str("\r\n"));
}

static void
end_behind_reply(struct pop3_gate *g, const char *reason)
{
	pop3_message_aborted(g);
	relay_end(&g->relay, reason, WISH_CLOSE, WISH_RESET);
}

static void
append_late(struct pop3_gate *g, uint64_t slot, const char *reply, const char *ends)
{
	size_t n = strlen(reply);
	struct pop3_late *late = malloc(sizeof(*late) + n + 1), **link = &g->late;

	if (late == NULL) {
		g->relay.client.failed = true;
		return;
	}
	*late = (struct pop3_late){.slot = slot, .ends = ends};
	memcpy(late->text, reply, n + 1);
	while (*link != NULL)
		link = &(*link)->next;
	*link = late;
	if (ends != NULL)
		g->relay.pause[AN_C2S] |= PAUSE_HELD;
}

void
pop3_answer(struct pop3_gate *g, uint64_t slot, const char *reply, const char *ends)
{
	bool its_turn = pop3_waiting(g->dialogue) == 1;

	pop3_answered(g->dialogue, false);
	if (!its_turn) {
		append_late(g, slot, reply, ends);
		return;
	}
	emit(g, reply);
	if (ends != NULL)
		end_behind_reply(g, ends);
}

void
pop3_flush_late(struct pop3_gate *g)
{
	g->asked = pop3_now(g);
	while (g->late != NULL && g->late->slot < pop3_oldest(g->dialogue)) {
		struct pop3_late *late = g->late;
		const char *ends = late->ends;

		emit(g, late->text);
		g->late = late->next;
		free(late);
		if (ends != NULL) {
			end_behind_reply(g, ends);
			return;
		}
	}
}

void
pop3_give_up(struct pop3_gate *g, const char *reply, const char *reason)
{
	struct relay *r = &g->relay;
	bool within = pop3_in_lines(g->dialogue);

	pop3_is_over(g);
	if (r->reason == NULL && !within)
		emit(g, reply);
	pop3_message_aborted(g);
	relay_end(r, reason, within ? WISH_RESET : WISH_CLOSE, WISH_RESET);
}

/* ---- from the server ---- */

static void
pass(struct pop3_gate *g, const struct an_event *ev)
{
	channel_pass(&g->relay.client, &g->relay.server, ev->pop3->wire);
}

/* "n octets", as STAT says it and each line of LIST. */
static bool
two_numbers(struct span text, uint64_t *first, uint64_t *second)
{
	return span_u64(span_word(&text), UINT64_MAX, first) &&
	       span_u64(span_word(&text), UINT64_MAX, second);
}

static void
on_stat(struct pop3_gate *g, const struct pop3_detail *d)
{
	uint64_t messages, octets;

	if (d->ok && two_numbers(d->text, &messages, &octets)) {
		g->done.listed = messages;
		g->done.listed_octets = octets;
	}
}

/* True: octets in the clear stand where the handshake is to begin. */
static bool
is_ahead_of_tls(struct span octets)
{
	return octets.n > 0 && octets.p[0] != 0x16;
}

/* It is too late to keep anybody from TLS: what came ahead of it is only named. */
static void
observe_starttls(struct pop3_gate *g, const struct an_event *ev)
{
	struct relay *r = &g->relay;
	struct span server = channel_input(&r->server);

	if (is_ahead_of_tls(span_from(server, server.n - g->behind)))
		pop3_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, AN_S2C, ev->off, NULL);
	if (is_ahead_of_tls(channel_input(&r->client)))
		pop3_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, AN_C2S, r->client.parsed, NULL);
	relay_upgrade_both(r);
}

static void
on_starttls(struct pop3_gate *g, const struct an_event *ev)
{
	struct relay *r = &g->relay;

	if (!ev->pop3->ok) {
		pop3_anomaly(g, AN_TLS_REJECTED, AN_S2C, ev->off, NULL);
		relay_upgrade_refused(r);
		return;
	}
	if (r->env->observed) {
		observe_starttls(g, ev);
	} else if (g->behind > 0) {
		pop3_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, AN_S2C, ev->off, NULL);
		relay_end(r, "server_ahead_of_tls", WISH_RESET, WISH_RESET);
	} else if (channel_input(&r->client).n > 0) {
		pop3_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, AN_C2S, r->client.parsed, NULL);
		relay_end(r, "client_ahead", WISH_RESET, WISH_RESET);
	} else if (relay_intercepts(r, g->policy.starttls)) {
		relay_upgrade_both(r);
	} else {
		r->opaque = true;
	}
}

/* Whom a USER in the clear named may be anybody's word (RFC 2595 s4). */
void
pop3_upgraded(struct pop3_gate *g, enum an_dir dir, const char *why)
{
	struct relay *r = &g->relay;

	if (!relay_begins_anew(r, dir, why))
		return;
	g->asked = g->acted = pop3_now(g);
	free(g->user);
	g->user = NULL;
	g->mechanism[0] = '\0';
	g->astray = false;
	g->policy = relay_retrieval_policy(r, &r->env->config->policy->pop3);
	pop3_secured(g->dialogue);
}

/* As it should be, with the word of the server or of the client. */
static void
session_over(struct pop3_gate *g, const char *reason)
{
	relay_end(&g->relay, reason, WISH_CLOSE, WISH_CLOSE);
	pop3_is_over(g);
}

/* XTND may go on in any way, with a message that the client sends too. */
static void
on_extension(struct pop3_gate *g, const struct an_event *ev)
{
	if (!ev->pop3->ok || !pop3_observes(g))
		return;
	pop3_anomaly(g, AN_NOT_FOLLOWED, AN_S2C, ev->off, ev->pop3->verb->name);
	pop3_is_over(g);
}

/* What a reply to this command means to the gateway; it is the client's already. */
static void
note_reply(struct pop3_gate *g, const struct an_event *ev)
{
	const struct pop3_detail *d = ev->pop3;

	switch ((int)d->verb->verb) {
	case POP3_NONE:
		g->greeted = pop3_now(g);
		if (!d->ok)
			session_over(g, "server_refused");
		break;
	case POP3_USER:
		pop3_user_answered(g, d->ok);
		break;
	case POP3_STAT:
		on_stat(g, d);
		break;
	case POP3_LIST:
		if (d->lines_follow)
			g->done.listed = g->done.listed_octets = 0;
		break;
	case POP3_DELE:
		g->done.deleted += d->ok;
		break;
	case POP3_RSET:
		if (d->ok)
			g->done.deleted = 0;
		break;
	case POP3_RETR:
	case POP3_TOP:
		if (d->lines_follow)
			pop3_message_begin(g, ev);
		else
			g->fetching--;
		break;
	case POP3_STLS:
		on_starttls(g, ev);
		break;
	case POP3_QUIT:
		g->done.update = pop3_phase(g->dialogue) == POP3_UPDATE;
		session_over(g, "client_quit");
		break;
	case POP3_XTND:
		on_extension(g, ev);
		break;
	default:
		break;
	}
}

void
pop3_reply(struct pop3_gate *g, const struct an_event *ev)
{
	const struct pop3_detail *d = ev->pop3;

	g->asked = pop3_now(g);
	if (ev->octets.n == 0) {
		pop3_anomaly(g, ev->anomaly, AN_S2C, ev->off, d->verb->name);
		pop3_give_up(g, "-ERR The server sent an invalid reply", "server_protocol");
		return;
	}
	pass(g, ev);
	if (d->unasked) { /* its goodbye */
		session_over(g, "server_closed");
		return;
	}
	if (pop3_refused_too(g, ev)) {
		if (!d->lines_follow)
			pop3_flush_late(g);
		return;
	}
	if (g->trying && d->challenge)
		g->challenged = true;
	else if (g->trying && d->verb->secret && d->verb->sync)
		pop3_login_over(g, ev);
	note_reply(g, ev);
	if (!d->lines_follow)
		pop3_flush_late(g);
}

/* "SASL PLAIN LOGIN": mechanisms that are denied go out of it, and it goes with the last of them.
 */
static void
pass_mechanisms(struct pop3_gate *g, const struct an_event *ev)
{
	struct channel *client = &g->relay.client;
	struct span rest = ev->octets, name = span_word(&rest);
	bool some = false, all = true;
	struct buf kept;

	buf_init(&kept, ev->octets.n + 1);
	buf_add(&kept, name);
	for (struct span word = span_word(&rest); word.n > 0; word = span_word(&rest)) {
		login_offered(&g->relay, word);
		if (!pop3_mechanism_passes(pop3_policy_of(g), word)) {
			all = false;
			continue;
		}
		some = true;
		buf_str(&kept, " ");
		buf_add(&kept, word);
	}
	client->failed |= kept.failed;
	if (all) {
		pass(g, ev);
	} else if (some) {
		channel_put(client, buf_span(&kept));
		channel_put(client, span_str("\r\n"));
	}
	buf_free(&kept);
}

static void
pass_capability(struct pop3_gate *g, const struct an_event *ev)
{
	struct span rest = ev->octets;

	if (!pop3_capability_passes(pop3_policy_of(g), ev->octets))
		return;
	if (span_ieq(span_word(&rest), span_str("SASL")))
		pass_mechanisms(g, ev);
	else
		pass(g, ev);
}

void
pop3_line(struct pop3_gate *g, const struct an_event *ev)
{
	enum pop3_verb verb = ev->pop3->verb->verb;
	uint64_t number, octets;

	if (verb == POP3_CAPA) {
		g->stls = g->stls || span_ieq(span_trim(ev->octets), span_str("STLS"));
		pass_capability(g, ev);
		return;
	}
	if (verb == POP3_AUTH)
		login_offered(&g->relay, ev->octets);
	if (verb == POP3_AUTH && !pop3_mechanism_passes(pop3_policy_of(g), ev->octets))
		return;
	if (verb == POP3_LIST && two_numbers(ev->octets, &number, &octets)) {
		g->done.listed++;
		g->done.listed_octets += octets;
	}
	pass(g, ev);
}

/* True: the session ends for it, and the list must not look whole. */
static bool
stripped(struct pop3_gate *g, const struct an_event *ev)
{
	bool offered = g->stls;

	g->stls = false;
	if (g->done.logged_in || !relay_stripped(&g->relay, offered))
		return false;
	pop3_anomaly(g, AN_STARTTLS_STRIPPED, AN_S2C, ev->off, NULL);
	if (g->relay.env->config->tls.stripped != CHECK_ENFORCE)
		return false;
	relay_end(&g->relay, "starttls_stripped", WISH_RESET, WISH_RESET);
	return true;
}

void
pop3_lines_end(struct pop3_gate *g, const struct an_event *ev)
{
	if (ev->pop3->verb->verb == POP3_CAPA && stripped(g, ev))
		return;
	channel_put(&g->relay.client, span_str(".\r\n"));
	pop3_flush_late(g);
}
