#include "session_open.h"

#include <stdlib.h>
#include <unistd.h>

#include "address.h"
#include "session_connect.h"
#include "session_parts.h"
#include "tls_keys.h"

#define FLOW_ID_BITS 53
#define PRESS_EVERY  1000u /* milliseconds between two looks at all idle sessions */

/* Who is who. */
static void
identify(int fd, const struct arrival *a, struct record_session *rs)
{
	struct sockaddr_storage local = {0};

	if (a->forward == NULL) {
		rs->up_server = arrival_wanted(fd, a, &rs->server);
		return;
	}
	getsockname(fd, (struct sockaddr *)&local, &(socklen_t){sizeof(local)});
	rs->forward = a->forward->name;
	rs->server = address_endpoint((const struct sockaddr *)&local);
	rs->up_server = address_endpoint((const struct sockaddr *)&a->forward->to);
}

static void
place(const struct config *c, int fd, const struct arrival *a, struct facts *facts)
{
	policy_place(c->policy, facts);
	if (facts->client_inside && c->inside_devices[0] != NULL)
		facts->client_inside = arrival_on_device(fd, c->inside_devices);
	if (a->forward != NULL)
		facts->server_inside = !a->forward->outside;
}

/* What becomes of TLS, as far as it is known before anybody has said a name. */
static void
judge_tls(const struct sessions *all, const struct arrival *a, const struct record_session *rs,
    struct facts *facts, struct tls_query *q, struct tls_judgement *out)
{
	*q = (struct tls_query){.protocol = (enum tls_protocol)a->protocol,
	    .port = (uint16_t)rs->up_server.port,
	    .asked = (uint16_t)rs->server.port,
	    .implicit = arrival_is_implicit(all->config, a, &rs->up_server),
	    .identity = all->tls_keys != NULL &&
			tls_keys_can_show(all->tls_keys, &facts->server, facts->server_inside),
	    .own = all->tls_keys != NULL && tls_keys_own(all->tls_keys) != NULL};

	tls_judge(all->config->policy, facts, q, out);
	facts->starttls = tls_word(out);
	facts->tls_required = out->required;
	facts->unless_published = out->unless_published;
}

static struct relay *
new_relay(struct sessions *all, int fd, const struct sockaddr *client, const struct arrival *a)
{
	struct record_session rs = {.client = address_endpoint(client)};
	struct facts facts = {0};
	struct tls_query asked;
	struct tls_judgement said;
	struct relay *relay;
	uint64_t id;

	identify(fd, a, &rs);
	arc4random_buf(&id, sizeof(id));
	rs.flow_id = id >> (64 - FLOW_ID_BITS);
	gettimeofday(&rs.started, NULL);
	facts.client = rs.client.ip;
	facts.server = rs.up_server.ip;
	place(all->config, fd, a, &facts);
	judge_tls(all, a, &rs, &facts, &asked, &said);
	relay = relay_new(relay_ops_of(a->protocol), &all->env, &rs, &facts);
	if (relay != NULL) {
		relay->tls_asked = asked;
		relay->tls_said = said;
		relay->tap = tapped_new(all->taps, relay);
	}
	return relay;
}

static void
welcome(struct session *s, enum client_welcome how)
{
	static const char *const reasons[] = {[CLIENT_TOO_MANY] = "client_limit",
	    [CLIENT_BLOCKED] = "client_blocked",
	    [CLIENT_TOO_FAST] = "client_rate"};

	if (how != CLIENT_WELCOME)
		session_turn_away(s, reasons[how]);
	else if (s->all->unaudited(s->all->arg))
		session_turn_away(s, "audit");
	else if (s->arrival->forward == NULL &&
		 arrival_is_loop(s->all->config, &s->relay->session.up_server))
		session_turn_away(s, "loop");
	else
		connect_begin(s);
}

/* With too many sessions, those that idle have less time from now on, the old ones too. */
static void
press(struct sessions *all)
{
	uint64_t now = session_now(NULL);

	if (!sessions_pressed(all) || now - all->pressed < PRESS_EVERY)
		return;
	all->pressed = now;
	for (struct session *s = all->first; s != NULL; s = s->next)
		session_update_deadline(s);
}

/* With its relay and its seat; NULL: no memory. */
static struct session *
new_session(struct sessions *all, int fd, const struct sockaddr *client, const struct arrival *a)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL || !deadlines_join(all->deadlines, s, &s->seat)) {
		free(s);
		return NULL;
	}
	s->relay = new_relay(all, fd, client, a);
	if (s->relay == NULL) {
		deadlines_leave(all->deadlines, s->seat);
		free(s);
		return NULL;
	}
	s->all = all;
	s->arrival = a;
	s->relay->owner = s;
	return s;
}

void
session_open(struct sessions *all, int fd, const struct sockaddr *client, const struct arrival *a)
{
	struct session *s = new_session(all, fd, client, a);
	struct endpoint from = address_endpoint(client);
	enum client_welcome how;

	if (s == NULL) {
		close(fd);
		return;
	}
	side_init(s, AN_C2S, fd);
	side_init(s, AN_S2C, -1);
	session_begin(s);
	how = clients_enter(all->clients, &from.ip, session_now(NULL), &s->client);
	relay_begin_tls(s->relay);
	if (s->relay->reason == NULL)
		welcome(s, how);
	session_settle(s);
	press(all);
}
