/*
 * One run of a case: the relay between arrays in place of sockets, its services, its clock.
 */
#include "run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lines.h"
#include "observed.h"
#include "proxy/ftp_servers.h"
#include "seen_data.h"

/* unless a case says something of it itself */
static const struct {
	const char *name, *line;
} unsaid[] = {
    {"error_delay", "smtp { error_delay = 0 }\n"},
    {"sender_domain", "smtp { sender_domain { check = off } }\n"},
};

void
complain(struct run *r, const struct line *l, const char *format, ...)
{
	va_list args;
	char how[40] = "whole";

	if (r->each_octet)
		snprintf(how, sizeof(how), "octet by octet");
	else if (r->cut != NO_CUT)
		snprintf(how, sizeof(how), "cut at %zu", r->cut);
	printf("%s:%u: %s (%s%s): ", r->one->file, l == NULL ? 0 : l->number, r->one->name, how,
	    r->is_observer ? ", observed" : "");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	r->failed = true;
}

/* ---- services of the relay ---- */

static uint64_t
fake_now(void *arg)
{
	return ((struct run *)arg)->now;
}

static const struct dns_answer *
find_answer(const struct run *r, const struct dns_question *q)
{
	for (size_t i = 0; i < r->n_dns; i++)
		if (r->dns[i]->question.type == q->type &&
		    strcmp(r->dns[i]->question.name, q->name) == 0)
			return r->dns[i];
	return NULL;
}

static void *
fake_ask(void *arg, struct relay *relay, const struct dns_question *q, size_t n, unsigned budget,
    struct answers *into)
{
	struct run *r = arg;

	(void)relay;
	(void)budget;
	for (size_t i = 0; i < n; i++) {
		const struct dns_answer *known = find_answer(r, &q[i]);

		if (r->n_questions < DNS_MAX)
			r->questions[r->n_questions++] = q[i];

		if (known != NULL)
			answers_put(into, known);
		else
			answers_fill(into, &q[i], 1, DNS_NXDOMAIN);
	}
	r->asked = true;
	return r;
}

static void
fake_unask(void *arg, void *handle)
{
	(void)handle;
	((struct run *)arg)->asked = false;
}

static void
fake_refused(void *arg, struct relay *relay)
{
	(void)arg;
	(void)relay;
}

static bool
fake_allow(void *arg, struct relay *relay, enum client_act act)
{
	struct run *r = arg;

	(void)relay;
	return clients_allow(r->clients, r->client, act, r->now);
}

static void
fake_take_back(void *arg, struct relay *relay, enum client_act act)
{
	(void)relay;
	clients_take_back(((struct run *)arg)->client, act);
}

static bool
fake_pressed(void *arg)
{
	return ((struct run *)arg)->pressed;
}

/* "2026-11-24T03:00:00.000000+0000" */
#define TIME_TEXT 31

static void
take_record(void *arg, const char *line, size_t n)
{
	struct run *r = arg;
	json_error_t error;
	json_t *record;

	if (n == 0 || line[n - 1] != '\n' || memchr(line, '\n', n - 1) != NULL) {
		complain(r, NULL, "a record is not exactly one line");
		return;
	}
	if (is_compared(span_of(line, n))) {
		buf_str(&r->said, RECORD_LINE_START);
		buf_add(
		    &r->said, span_from(span_of(line, n), strlen(RECORD_LINE_START) + TIME_TEXT));
	}
	if (r->is_observer)
		return;
	record = json_loadb(line, n, 0, &error);
	if (record == NULL)
		complain(r, NULL, "a record is no JSON: %s", error.text);
	else
		json_array_append_new(r->records, record);
}

static struct data_pair *
fake_open(void *arg, struct relay *relay)
{
	struct run *r = arg;

	return r->seen_data != NULL ? seen_data_open(r->seen_data, relay)
				    : fake_data_open(r->data, relay);
}

/* ---- one run ---- */

static bool
configures(const struct one *o, const char *name)
{
	for (size_t i = 0; i < o->n_lines; i++)
		if (is_word(&o->lines[i], "config") && strstr(o->lines[i].text, name) != NULL)
			return true;
	return false;
}

static struct config *
configure(const struct one *o)
{
	char path[40];
	FILE *f = tmpfile();
	struct config *c;

	if (f == NULL)
		return NULL;
	fputs(o->dialect->config, f);
	for (size_t i = 0; i < sizeof(unsaid) / sizeof(unsaid[0]); i++)
		if (!configures(o, unsaid[i].name))
			fputs(unsaid[i].line, f);
	for (size_t i = 0; i < o->n_lines; i++)
		if (is_word(&o->lines[i], "config"))
			fprintf(f, "%s\n", o->lines[i].text + strlen("config "));
	fflush(f);
	snprintf(path, sizeof(path), "/dev/fd/%d", fileno(f));
	c = config_read(path, stdout);
	fclose(f);
	return c;
}

/* As it is in forward mode, with a gateway at 10.0.0.1; "intercepted": between the two. */
static void
place_legs(
    struct run *r, struct record_session *session, const struct facts *facts, struct endpoint *up)
{
	bool between = session->forward == NULL;
	struct ip gateway;

	ip_parse(span_str(facts->server.family == IP_V6 ? "fd00::1" : "10.0.0.1"), &gateway);
	session->up_server = (struct endpoint){facts->server, r->one->dialect->port};
	session->server = session->up_server;
	if (!between) {
		ip_parse(span_str(facts->client.family == IP_V6 ? "fd00::1" : "10.0.0.1"),
		    &session->server.ip);
		session->server.port = 2121;
	}
	up->ip = between && r->config->mode == INTERCEPT_TPROXY ? facts->client : gateway;
}

/* A relay asks only whether there are keys: whoever shakes hands has their use. */
static const char some_keys;

static void
start(struct run *r)
{
	struct record_session session = {.flow_id = 1, .forward = "test"};
	struct facts facts = {0};
	struct endpoint up = {.port = 40000};
	bool reached = true, outside = false, keys = false, joined = false, observed = false;

	ip_parse(span_str("203.0.113.9"), &facts.client);
	ip_parse(span_str("10.0.0.25"), &facts.server);
	for (size_t i = 0; i < r->one->n_lines; i++) {
		const struct line *l = &r->one->lines[i];

		if (is_word(l, "from"))
			ip_parse(span_str(l->text + 5), &facts.client);
		if (is_word(l, "to"))
			ip_parse(span_str(l->text + 3), &facts.server);
		if (is_word(l, "intercepted") || is_word(l, "observed"))
			session.forward = NULL;
		if (is_word(l, "dns"))
			add_answer(r, l);
		if (is_word(l, "unreached"))
			reached = false;
		if (is_word(l, "outside"))
			outside = true;
		if (is_word(l, "tls-keys"))
			keys = true;
		if (is_word(l, "observed"))
			observed = true;
		if (is_word(l, "joined"))
			joined = true;
		if (is_word(l, "tls-required"))
			facts.tls_required = true;
	}
	policy_place(r->config->policy, &facts);
	facts.server_inside = !outside;
	session.client = (struct endpoint){facts.client, 5555};
	place_legs(r, &session, &facts, &up);
	r->env = (struct relay_env){.config = r->config,
	    .sink = take_record,
	    .sink_arg = r,
	    .now = fake_now,
	    .ask = fake_ask,
	    .unask = fake_unask,
	    .refused = fake_refused,
	    .allow = fake_allow,
	    .take_back = fake_take_back,
	    .pressed = fake_pressed,
	    .data = &r->data_ops,
	    .ftp_servers = r->ftp_servers,
	    .tls_keys = keys ? (const void *)&some_keys : NULL,
	    .arg = r};
	if (observed) {
		r->seen_data = seen_data_new();
		r->env.observed = true;
		session.up_server = (struct endpoint){.port = 0};
	}
	r->data_ops = observed ? *seen_data_ops() : fake_data_ops;
	r->data_ops.open = fake_open;
	r->now = 1000;
	clients_enter(r->clients, &facts.client, r->now, &r->client);
	r->session = session;
	r->facts = facts;
	r->relay = relay_new(r->one->dialect->ops, &r->env, &session, &facts);
	if (reached)
		relay_connected(r->relay, &up);
	if (joined)
		relay_joined(r->relay);
}

/* No gateway stands in between in the first place. */
static bool
is_observed(const struct one *o)
{
	for (size_t i = 0; i < o->n_lines; i++)
		if (is_word(&o->lines[i], "observed"))
			return true;
	return false;
}

static void
write_down(void *arg, const struct fake_seen *seen)
{
	transcript_data(arg, seen);
}

/* Octets that all peers sent; 0 when it failed. */
static size_t
run_one(const struct one *o, struct config *config, size_t cut, bool each_octet)
{
	struct run *r = calloc(1, sizeof(*r));
	const char *wrong;
	size_t written;

	*r = (struct run){.one = o, .config = config, .cut = cut, .each_octet = each_octet};
	r->records = json_array();
	buf_init(&r->said, STREAM_MAX);
	r->clients = clients_new(&config->limits);
	r->data = fake_data_new();
	r->ftp_servers = ftp_servers_new();
	if (o->dialect->observed && o->gateway_only == NULL && !is_observed(o))
		r->transcript = transcript_new(&r->now);
	fake_data_watch(r->data, write_down, r->transcript);
	buf_init(&r->got[0], STREAM_MAX);
	buf_init(&r->got[1], STREAM_MAX);
	buf_init(&r->backlog[0], STREAM_MAX);
	buf_init(&r->backlog[1], STREAM_MAX);
	start(r);
	play(r);
	close_relay(r);
	wrong = r->seen_data == NULL ? NULL : seen_data_free(r->seen_data);
	if (wrong != NULL)
		complain(r, NULL, "%s", wrong);
	if (!fake_data_free(r->data))
		complain(r, NULL, "data connections were left open, or used wrongly");
	if (r->transcript != NULL && !r->failed)
		observe(r);
	ftp_servers_free(r->ftp_servers);
	written = r->failed ? 0 : r->written + 1;
	json_decref(r->records);
	buf_free(&r->said);
	clients_free(r->clients);
	transcript_free(r->transcript);
	buf_free(&r->got[0]);
	buf_free(&r->got[1]);
	buf_free(&r->backlog[0]);
	buf_free(&r->backlog[1]);
	for (size_t i = 0; i < r->n_dns; i++)
		free(r->dns[i]);
	free(r);
	return written;
}

/*
 * Long conversations are cut at every octet near their end, and before that at places that are
 * spread evenly, so many that all runs together move about WORK_MAX octets.
 */
#define CUT_ALL	 200
#define WORK_MAX (8u << 20)

/* Under the sanitizers each run takes five times as long: there it is every third place. */
#ifdef __SANITIZE_ADDRESS__
#define STEP 3
#else
#define STEP 1
#endif

static size_t
next_cut(size_t cut, size_t n)
{
	size_t step = n <= WORK_MAX / n ? 1 : n / (WORK_MAX / n + 1);

	return cut + (cut + CUT_ALL >= n ? 1 : step) * STEP;
}

bool
run_all_ways(const struct one *o)
{
	struct config *config = configure(o);
	size_t n = config == NULL ? 0 : run_one(o, config, NO_CUT, false);
	bool ok = n > 0 && run_one(o, config, NO_CUT, true) > 0;

	for (size_t cut = 1; ok && cut < n; cut = next_cut(cut, n))
		ok = run_one(o, config, cut, false) > 0;
	config_free(config);
	printf("%s %s", ok ? "ok" : "not ok", o->name);
	if (o->gateway_only != NULL)
		printf(" (not observed: %s)", o->gateway_only);
	printf("\n");
	return ok;
}
