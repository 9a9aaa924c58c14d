#include "session_services.h"

#include <stdlib.h>

#include "address.h"
#include "data_pair.h"
#include "session_parts.h"
#include "session_protect.h"

struct asking {
	struct session *session;
	struct lookup *lookup;
};

static void
on_answers(void *arg)
{
	struct asking *a = arg;
	struct session *s = a->session;

	free(a);
	upgrade_answered(&s->upgrade);
	relay_answered(s->relay);
	session_settle(s);
}

/* What counts only if it was validated is asked where that is done. */
static struct resolver *
resolver_for(const struct sessions *all, const struct dns_question *q, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (all->validator != NULL && (q[i].type == DNS_TLSA || q[i].type == DNS_TXT))
			return all->validator;
	return all->resolver;
}

static void *
start_lookup(void *arg, struct relay *r, const struct dns_question *q, size_t n, unsigned budget_ms,
    struct answers *into)
{
	struct sessions *all = arg;
	struct asking *a = malloc(sizeof(*a));

	if (a == NULL)
		return NULL;
	a->session = r->owner;
	a->lookup = resolver_ask(resolver_for(all, q, n), q, n, budget_ms, into, on_answers, a);
	if (a->lookup == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

static void
stop_lookup(void *arg, void *handle)
{
	struct asking *a = handle;

	(void)arg;
	lookup_cancel(a->lookup);
	free(a);
}

static void
count_refusal(void *arg, struct relay *r)
{
	struct sessions *all = arg;
	struct session *s = r->owner;
	char text[IP_TEXT_MAX];

	if (!clients_refused(all->clients, s->client, session_now(NULL)))
		return;
	board_add(all->board, BOARD_CLIENTS_BLOCKED, 1);
	record_stats("client_blocked", all->config->limits.block,
	    ip_text(&r->session.client.ip, text), all->env.sink, all->env.sink_arg);
}

static bool
allow(void *arg, struct relay *r, enum client_act act)
{
	struct sessions *all = arg;
	struct session *s = r->owner;

	return clients_allow(all->clients, s->client, act, session_now(NULL));
}

static void
take_back(void *arg, struct relay *r, enum client_act act)
{
	struct session *s = r->owner;

	(void)arg;
	clients_take_back(s->client, act);
}

static bool
under_pressure(void *arg)
{
	return sessions_pressed(arg);
}

static void
on_offered(void *arg, const struct tls_offer *o)
{
	struct sessions *all = arg;

	all->offered(all->arg, o);
}

static void
on_data_news(struct relay *r, struct data_pair *pair, const struct data_news *news)
{
	relay_data_news(r, pair, news);
	session_settle(r->owner);
}

static struct tls_leg *
protect_leg(struct relay *r, enum data_leg leg, int fd)
{
	const struct session *s = r->owner;

	return protect_data(&s->upgrade, leg, fd);
}

static const char *
judge_leg(struct relay *r, enum data_leg leg, struct tls_leg *tls, bool *resumed)
{
	const struct session *s = r->owner;

	return protect_verdict(&s->upgrade, leg, tls, resumed);
}

static struct data_pair *
open_data(void *arg, struct relay *r)
{
	struct sessions *all = arg;
	struct session *s = r->owner;
	const struct data_owner owner = {.relay = r,
	    .arrival = s->arrival,
	    .client = s->client,
	    .news = on_data_news,
	    .octets = relay_data_octets,
	    .protect = protect_leg,
	    .judge = judge_leg};

	return data_pair_open(all->data, &owner);
}

void
session_services(struct sessions *all, struct log_pipe *log)
{
	all->data_ops = data_pair_ops;
	all->data_ops.open = open_data;
	all->env = (struct relay_env){
	    .config = all->config,
	    .board = all->board,
	    .sink = log_pipe_write,
	    .sink_arg = log,
	    .now = session_now,
	    .ask = start_lookup,
	    .unask = stop_lookup,
	    .refused = count_refusal,
	    .allow = allow,
	    .take_back = take_back,
	    .pressed = under_pressure,
	    .data = &all->data_ops,
	    .ftp_servers = all->ftp_servers,
	    .tls_keys = all->tls_keys,
	    .mint = all->mint,
	    .distrust = all->distrust,
	    .tls_offers = all->tls_offers,
	    .offered = on_offered,
	    .arg = all,
	};
}
