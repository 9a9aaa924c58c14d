#include <event2/buffer.h>
#include <jansson.h>

#include "printable.h"
#include "record_json.h"
#include "status_render.h"

const char *const status_leg_names[BOARD_LEGS] = {[BOARD_FROM_CLIENT] = "from_client",
    [BOARD_TO_CLIENT] = "to_client",
    [BOARD_TO_SERVER] = "to_server",
    [BOARD_FROM_SERVER] = "from_server"};
const char *const status_message_names[BOARD_MESSAGES] = {[BOARD_ACCEPTED] = "accepted",
    [BOARD_NOT_TAKEN] = "refused",
    [BOARD_UNFINISHED] = "unfinished"};
const char *const status_state_names[BOARD_STATES] = {
    [BOARD_STARTING] = "starting", [BOARD_SERVING] = "serving", [BOARD_DRAINING] = "draining"};
const char *const status_phase_names[BOARD_PHASES] = {[BOARD_CONNECTING] = "connecting",
    [BOARD_DIALOGUE] = "dialogue",
    [BOARD_DNS_WAIT] = "dns",
    [BOARD_MESSAGE] = "message",
    [BOARD_SLOWED] = "slowed",
    [BOARD_OPAQUE] = "opaque",
    [BOARD_CLOSING] = "closing"};
const char *const status_action_names[BOARD_TALLY_KINDS] = {
    [BOARD_PASSED] = "passed", [BOARD_WOULD_REFUSE] = "would_refuse", [BOARD_REFUSED] = "refused"};

static void
put(json_t *object, const char *key, const char *text)
{
	json_object_set_new_nocheck(object, key, json_string_nocheck(text));
}

static void
put_int(json_t *object, const char *key, uint64_t value)
{
	json_int_t most = INT64_MAX;

	json_object_set_new_nocheck(
	    object, key, json_integer(value > INT64_MAX ? most : (json_int_t)value));
}

static void
put_bool(json_t *object, const char *key, bool value)
{
	json_object_set_new_nocheck(object, key, json_boolean(value));
}

/* Any text, as records have it. */
static void
put_text(json_t *object, const char *key, struct span text)
{
	char name[64];
	struct buf out;
	bool whole;

	buf_init(&out, RECORD_TEXT_MAX);
	whole = printable(text, RECORD_TEXT_MAX, &out);
	json_object_set_new_nocheck(
	    object, key, json_stringn_nocheck(out.n == 0 ? "" : (const char *)out.p, out.n));
	buf_free(&out);
	if (whole)
		return;
	snprintf(name, sizeof(name), "%s_truncated", key);
	put_bool(object, name, true);
}

static void
put_time(json_t *object, const char *key, const struct timeval *t)
{
	char text[RECORD_TIME_MAX];

	record_time_text(t, text);
	put(object, key, text);
}

static json_t *
put_object(json_t *parent, const char *key)
{
	json_t *object = json_object();

	return json_object_set_new_nocheck(parent, key, object) == 0 ? object : NULL;
}

static void
put_ms(json_t *object, const char *key, uint64_t ms)
{
	struct timeval t = {(time_t)(ms / 1000u), (suseconds_t)(ms % 1000u * 1000u)};

	if (ms > 0)
		put_time(object, key, &t);
}

static json_t *
put_array(json_t *object, const char *key)
{
	json_t *array = json_array();

	return json_object_set_new_nocheck(object, key, array) == 0 ? array : NULL;
}

static json_t *
append(json_t *array)
{
	json_t *object = json_object();

	return json_array_append_new(array, object) == 0 ? object : NULL;
}

/* Appends the object as a line of its own, and frees it. */
static bool
write_object(json_t *object, struct evbuffer *out)
{
	char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
	bool ok = text != NULL && evbuffer_add(out, text, strlen(text)) == 0;

	json_decref(object);
	free(text);
	return ok && evbuffer_add(out, "\n", 1) == 0;
}

/* ---- the gateway ---- */

static void
put_ports(json_t *ports, const char *key, const struct gateway_port *p, uint64_t n)
{
	json_t *list = put_array(ports, key);

	for (uint64_t i = 0; i < n; i++) {
		json_t *port = append(list);

		if (p[i].protocol < BOARD_PROTOCOLS)
			put(port, "protocol", protocol_name((enum protocol)p[i].protocol));
		put_int(port, "port", p[i].port);
	}
}

static void
put_reloads(json_t *o, const struct gateway_page *g)
{
	json_t *reloads = put_object(o, "reloads");

	put_int(reloads, "done", g->number[GATEWAY_RELOADS]);
	put_int(reloads, "refused", g->number[GATEWAY_RELOADS_REFUSED]);
	put_ms(reloads, "in_force_since", g->number[GATEWAY_RELOADED]);
	put_ms(reloads, "refused_at", g->number[GATEWAY_REFUSED_AT]);
	if (g->refusal[0] != '\0')
		put_text(reloads, "refusal", span_str(g->refusal));
}

static void
put_gateway(json_t *o, const struct gateway_page *g)
{
	json_t *guard, *ports;
	struct timeval now;

	gettimeofday(&now, NULL);
	put_bool(o, "running", true);
	put_text(o, "version", span_str(g->gateway_version));
	put_time(o, "time", &now);
	put_ms(o, "started", g->number[GATEWAY_STARTED]);
	put_text(o, "config", span_str(g->config));
	put_int(o, "generation", g->number[GATEWAY_GENERATION]);
	put(o, "mode", mode_name((enum intercept_mode)g->number[GATEWAY_MODE]));
	guard = put_object(o, "guard");
	put(guard, "state", guard_name((enum guard_state)g->number[GATEWAY_GUARD]));
	put_int(guard, "mended", g->number[GATEWAY_MENDED]);
	put_reloads(o, g);
	ports = put_object(o, "ports");
	put_ports(ports, "intercepted", g->intercepted, g->n_intercepted);
	put_ports(ports, "not_served", g->unserved, g->n_unserved);
}

/* ---- workers ---- */

static void
put_worker(json_t *list, const struct status_worker *w)
{
	json_t *o = append(list), *sessions = put_object(o, "sessions");

	put_int(o, "worker", w->slot);
	put_int(o, "pid", w->pid);
	put_int(o, "generation", w->generation);
	put(o, "state", status_state_names[w->state]);
	put_ms(o, "started", w->started);
	put_int(o, "sessions_max", w->sessions_max);
	for (size_t i = 0; i < BOARD_PROTOCOLS; i++) {
		json_t *p = put_object(sessions, protocol_name((enum protocol)i));

		put_int(p, "opened", w->opened[i]);
		put_int(p, "active", w->active[i]);
	}
}

/* Returns the gauges of all workers. */
static void
put_workers(json_t *o, const struct status_view *v, const struct gateway_page *g,
    uint64_t gauge[BOARD_GAUGES])
{
	json_t *workers = put_object(o, "workers"), *list;

	put_int(workers, "configured", g->number[GATEWAY_WORKERS]);
	put_int(workers, "restarts", g->number[GATEWAY_RESTARTS]);
	put_int(workers, "backing_off", g->number[GATEWAY_BACKING_OFF]);
	list = put_array(workers, "running");
	for (size_t i = 0; i < status_totals_workers(v->totals); i++) {
		struct status_worker w;

		status_totals_worker(v->totals, i, &w);
		put_worker(list, &w);
		for (size_t k = 0; k < BOARD_GAUGES; k++)
			gauge[k] += w.gauge[k];
	}
}

/* ---- what they counted ---- */

static void
put_sessions(json_t *o, const struct board_counts *c)
{
	json_t *sessions = put_object(o, "sessions");

	for (size_t i = 0; i < BOARD_PROTOCOLS; i++) {
		const struct board_protocol *p = &c->protocol[i];
		json_t *one = put_object(sessions, protocol_name((enum protocol)i)), *part;

		put_int(one, "opened", p->opened);
		put_int(one, "active", p->opened > p->ended ? p->opened - p->ended : 0);
		put_int(one, "ended", p->ended);
		put_int(one, "refused", p->turned_away);
		part = put_object(one, "octets");
		for (size_t k = 0; k < BOARD_LEGS; k++)
			put_int(part, status_leg_names[k], p->octets[k]);
		part = put_object(one, "messages");
		for (size_t k = 0; k < BOARD_MESSAGES; k++)
			put_int(part, status_message_names[k], p->messages[k]);
	}
}

static void
put_tally(json_t *list, const struct board_tally *t)
{
	json_t *o = append(list);

	put(o, "protocol", protocol_name((enum protocol)t->protocol));
	if (status_action_names[t->kind] != NULL) {
		put(o, "action", status_action_names[t->kind]);
		put(o, "rule", t->rule);
	}
	put(o, "reason", t->reason);
	if (t->code != 0)
		put_int(o, "code", t->code);
	put_int(o, "count", t->count);
}

static void
put_tallies(json_t *o, const struct status_sum *sum, const struct board_counts *c)
{
	json_t *verdicts = put_array(o, "verdicts"), *refused = put_array(o, "sessions_refused");
	json_t *ended = put_array(o, "sessions_ended");
	uint64_t other = 0;

	for (size_t i = 0; i < sum->n_tallies; i++) {
		const struct board_tally *t = &sum->tallies[i];

		put_tally(t->kind == BOARD_ENDED	 ? ended
			  : t->kind == BOARD_TURNED_AWAY ? refused
							 : verdicts,
		    t);
	}
	for (size_t i = 0; i < BOARD_TALLY_KINDS; i++)
		other += c->other[i];
	put_int(o, "uncounted_reasons", other);
}

static void
put_dns(json_t *o, const struct board_counts *c, const uint64_t gauge[BOARD_GAUGES])
{
	json_t *dns = put_object(o, "dns"), *part;
	char bound[16];

	put_int(dns, "asked", c->counter[BOARD_DNS_ASKED]);
	put_int(dns, "not_asked", c->counter[BOARD_DNS_REFUSED]);
	put_int(dns, "outstanding", gauge[BOARD_DNS_OUTSTANDING]);
	put_int(dns, "workers_without_resolver", gauge[BOARD_DNS_DEAD]);
	part = put_object(dns, "answers");
	for (size_t i = 0; i < BOARD_DNS_STATUSES; i++)
		put_int(part, dns_status_name((enum dns_status)i), c->dns_status[i]);
	put_int(dns, "waited_ms", c->counter[BOARD_DNS_MS]);
	part = put_object(dns, "within_ms");
	for (size_t i = 0; i < BOARD_DNS_BUCKETS - 1; i++) {
		snprintf(bound, sizeof(bound), "%u", board_dns_bounds[i]);
		put_int(part, bound, c->dns_bucket[i]);
	}
	put_int(part, "longer", c->dns_bucket[BOARD_DNS_BUCKETS - 1]);
}

static void
put_rest(json_t *o, const struct gateway_page *g, const struct board_counts *c,
    const uint64_t gauge[BOARD_GAUGES])
{
	json_t *log = put_object(o, "log"), *connects = put_object(o, "connects");
	json_t *stock = put_object(o, "transparent_sockets");

	put_text(log, "path", span_str(g->log));
	put_bool(log, "trouble", g->number[GATEWAY_LOG_TROUBLE] != 0);
	if (g->log_trouble[0] != '\0')
		put_text(log, "why", span_str(g->log_trouble));
	put_int(log, "lines", c->counter[BOARD_LOG_WRITTEN]);
	put_int(log, "dropped_by_workers", c->counter[BOARD_LOG_DROPPED]);
	put_int(log, "lost_by_logger", g->number[GATEWAY_LOG_LOST]);
	put_int(log, "rotations", g->number[GATEWAY_LOG_ROTATIONS]);
	put_int(log, "restarts", g->number[GATEWAY_LOG_RESTARTS]);
	put_int(connects, "done", c->counter[BOARD_CONNECTS]);
	put_int(connects, "pending", gauge[BOARD_PENDING_CONNECTS]);
	put_int(stock, "ipv4", gauge[BOARD_STOCK4]);
	put_int(stock, "ipv6", gauge[BOARD_STOCK6]);
	put_int(stock, "waited_ipv4", c->counter[BOARD_STOCK_WAITS4]);
	put_int(stock, "waited_ipv6", c->counter[BOARD_STOCK_WAITS6]);
	put_int(o, "clients_blocked", c->counter[BOARD_CLIENTS_BLOCKED]);
}

static void
put_door(json_t *o, const char *key, const struct door_stats *s)
{
	json_t *door = put_object(o, key);

	put_int(door, "answered", s->answered);
	put_int(door, "refused", s->refused);
	put_int(door, "too_many", s->full);
	put_int(door, "too_slow", s->slow);
}

bool
status_json(const struct status_view *v, struct evbuffer *out)
{
	const struct status_sum *sum = status_totals_sum(v->totals);
	uint64_t gauge[BOARD_GAUGES] = {0};
	json_t *o = json_object(), *asked;
	struct board_counts all;
	struct gateway_page g;

	gateway_read(v->gateway, &g);
	status_sum_all(sum, &all);
	put_gateway(o, &g);
	put_workers(o, v, &g, gauge);
	put_sessions(o, &all);
	put_tallies(o, sum, &all);
	put_dns(o, &all, gauge);
	put_rest(o, &g, &all, gauge);
	asked = put_object(o, "requests");
	put_door(asked, "status", &v->asked);
	put_door(asked, "metrics", &v->scraped);
	return write_object(o, out);
}

/* ---- sessions ---- */

static void
put_endpoint(json_t *o, const char *ip_key, const char *port_key, const struct board_endpoint *e)
{
	struct ip ip = {.family = (enum ip_family)e->family};
	char text[IP_TEXT_MAX];

	memcpy(ip.octets, e->octets, ip.family == IP_V4 ? 4 : sizeof(ip.octets));
	put(o, ip_key, ip_text(&ip, text));
	put_int(o, port_key, e->port);
}

static void
put_session(void *arg, unsigned slot, const struct board_row *row)
{
	json_t *o = append(arg), *octets;

	put_int(o, "flow_id", row->flow_id);
	put(o, "app_proto", protocol_name((enum protocol)row->protocol));
	put(o, "phase", status_phase_names[row->phase]);
	put_endpoint(o, "src_ip", "src_port", &row->client);
	put_endpoint(o, "dest_ip", "dest_port", &row->server);
	put_ms(o, "started", row->started);
	octets = put_object(o, "octets");
	for (size_t i = 0; i < BOARD_LEGS; i++)
		put_int(octets, status_leg_names[i], row->octets[i]);
	put_int(o, "worker", slot);
}

bool
status_sessions_json(const struct status_view *v, struct evbuffer *out)
{
	json_t *o = json_object(), *list = put_array(o, "sessions");
	size_t n = status_totals_sessions(v->totals, put_session, list);

	put_int(o, "left_out", n > STATUS_SESSIONS ? n - STATUS_SESSIONS : 0);
	return write_object(o, out);
}
