#include <event2/buffer.h>

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
put_ms(json_t *object, const char *key, uint64_t ms)
{
	struct timeval t = {(time_t)(ms / 1000u), (suseconds_t)(ms % 1000u * 1000u)};

	if (ms > 0)
		record_put_time(object, key, &t);
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
			record_put(port, "protocol", protocol_name((enum protocol)p[i].protocol));
		record_put_int(port, "port", p[i].port);
	}
}

static void
put_reloads(json_t *o, const struct gateway_page *g)
{
	json_t *reloads = record_put_object(o, "reloads");

	record_put_int(reloads, "done", g->number[GATEWAY_RELOADS]);
	record_put_int(reloads, "refused", g->number[GATEWAY_RELOADS_REFUSED]);
	put_ms(reloads, "in_force_since", g->number[GATEWAY_RELOADED]);
	put_ms(reloads, "refused_at", g->number[GATEWAY_REFUSED_AT]);
	if (g->refusal[0] != '\0')
		record_put_text(reloads, "refusal", span_str(g->refusal));
}

static void
put_gateway(json_t *o, const struct gateway_page *g)
{
	json_t *guard, *ports;
	struct timeval now;

	gettimeofday(&now, NULL);
	record_put_bool(o, "running", true);
	record_put_text(o, "version", span_str(g->gateway_version));
	record_put_time(o, "time", &now);
	put_ms(o, "started", g->number[GATEWAY_STARTED]);
	record_put_text(o, "config", span_str(g->config));
	record_put_int(o, "generation", g->number[GATEWAY_GENERATION]);
	record_put(o, "mode", mode_name((enum intercept_mode)g->number[GATEWAY_MODE]));
	guard = record_put_object(o, "guard");
	record_put(guard, "state", guard_name((enum guard_state)g->number[GATEWAY_GUARD]));
	record_put_int(guard, "mended", g->number[GATEWAY_MENDED]);
	put_reloads(o, g);
	ports = record_put_object(o, "ports");
	put_ports(ports, "intercepted", g->intercepted, g->n_intercepted);
	put_ports(ports, "not_served", g->unserved, g->n_unserved);
}

/* ---- workers ---- */

static void
put_worker(json_t *list, const struct status_worker *w)
{
	json_t *o = append(list), *sessions = record_put_object(o, "sessions");

	record_put_int(o, "worker", w->slot);
	record_put_int(o, "pid", w->pid);
	record_put_int(o, "generation", w->generation);
	record_put(o, "state", status_state_names[w->state]);
	put_ms(o, "started", w->started);
	record_put_int(o, "sessions_max", w->sessions_max);
	for (size_t i = 0; i < BOARD_PROTOCOLS; i++) {
		json_t *p = record_put_object(sessions, protocol_name((enum protocol)i));

		record_put_int(p, "opened", w->opened[i]);
		record_put_int(p, "active", w->active[i]);
	}
}

/* Returns the gauges of all workers. */
static void
put_workers(json_t *o, const struct status_view *v, const struct gateway_page *g,
    uint64_t gauge[BOARD_GAUGES])
{
	json_t *workers = record_put_object(o, "workers"), *list;

	record_put_int(workers, "configured", g->number[GATEWAY_WORKERS]);
	record_put_int(workers, "restarts", g->number[GATEWAY_RESTARTS]);
	record_put_int(workers, "backing_off", g->number[GATEWAY_BACKING_OFF]);
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
	json_t *sessions = record_put_object(o, "sessions");

	for (size_t i = 0; i < BOARD_PROTOCOLS; i++) {
		const struct board_protocol *p = &c->protocol[i];
		json_t *one = record_put_object(sessions, protocol_name((enum protocol)i)), *part;

		record_put_int(one, "opened", p->opened);
		record_put_int(one, "active", p->opened > p->ended ? p->opened - p->ended : 0);
		record_put_int(one, "ended", p->ended);
		record_put_int(one, "refused", p->turned_away);
		part = record_put_object(one, "octets");
		for (size_t k = 0; k < BOARD_LEGS; k++)
			record_put_int(part, status_leg_names[k], p->octets[k]);
		part = record_put_object(one, "messages");
		for (size_t k = 0; k < BOARD_MESSAGES; k++)
			record_put_int(part, status_message_names[k], p->messages[k]);
	}
}

static void
put_tally(json_t *list, const struct board_tally *t)
{
	json_t *o = append(list);

	record_put(o, "protocol", protocol_name((enum protocol)t->protocol));
	if (status_action_names[t->kind] != NULL) {
		record_put(o, "action", status_action_names[t->kind]);
		record_put(o, "rule", t->rule);
	}
	record_put(o, "reason", t->reason);
	if (t->code != 0)
		record_put_int(o, "code", t->code);
	record_put_int(o, "count", t->count);
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
	record_put_int(o, "uncounted_reasons", other);
}

static void
put_dns(json_t *o, const struct board_counts *c, const uint64_t gauge[BOARD_GAUGES])
{
	json_t *dns = record_put_object(o, "dns"), *part;
	char bound[16];

	record_put_int(dns, "asked", c->counter[BOARD_DNS_ASKED]);
	record_put_int(dns, "not_asked", c->counter[BOARD_DNS_REFUSED]);
	record_put_int(dns, "outstanding", gauge[BOARD_DNS_OUTSTANDING]);
	record_put_int(dns, "workers_without_resolver", gauge[BOARD_DNS_DEAD]);
	part = record_put_object(dns, "answers");
	for (size_t i = 0; i < BOARD_DNS_STATUSES; i++)
		record_put_int(part, dns_status_name((enum dns_status)i), c->dns_status[i]);
	record_put_int(dns, "waited_ms", c->counter[BOARD_DNS_MS]);
	part = record_put_object(dns, "within_ms");
	for (size_t i = 0; i < BOARD_DNS_BUCKETS - 1; i++) {
		snprintf(bound, sizeof(bound), "%u", board_dns_bounds[i]);
		record_put_int(part, bound, c->dns_bucket[i]);
	}
	record_put_int(part, "longer", c->dns_bucket[BOARD_DNS_BUCKETS - 1]);
}

static void
put_rest(json_t *o, const struct gateway_page *g, const struct board_counts *c,
    const uint64_t gauge[BOARD_GAUGES])
{
	json_t *log = record_put_object(o, "log"), *connects = record_put_object(o, "connects");
	json_t *stock = record_put_object(o, "transparent_sockets");

	record_put_text(log, "path", span_str(g->log));
	record_put_bool(log, "trouble", g->number[GATEWAY_LOG_TROUBLE] != 0);
	if (g->log_trouble[0] != '\0')
		record_put_text(log, "why", span_str(g->log_trouble));
	record_put_int(log, "lines", c->counter[BOARD_LOG_WRITTEN]);
	record_put_int(log, "dropped_by_workers", c->counter[BOARD_LOG_DROPPED]);
	record_put_int(log, "lost_by_logger", g->number[GATEWAY_LOG_LOST]);
	record_put_int(log, "rotations", g->number[GATEWAY_LOG_ROTATIONS]);
	record_put_int(log, "restarts", g->number[GATEWAY_LOG_RESTARTS]);
	record_put_int(connects, "done", c->counter[BOARD_CONNECTS]);
	record_put_int(connects, "pending", gauge[BOARD_PENDING_CONNECTS]);
	record_put_int(stock, "ipv4", gauge[BOARD_STOCK4]);
	record_put_int(stock, "ipv6", gauge[BOARD_STOCK6]);
	record_put_int(stock, "waited_ipv4", c->counter[BOARD_STOCK_WAITS4]);
	record_put_int(stock, "waited_ipv6", c->counter[BOARD_STOCK_WAITS6]);
	record_put_int(o, "clients_blocked", c->counter[BOARD_CLIENTS_BLOCKED]);
}

static void
put_door(json_t *o, const char *key, const struct door_stats *s)
{
	json_t *door = record_put_object(o, key);

	record_put_int(door, "answered", s->answered);
	record_put_int(door, "refused", s->refused);
	record_put_int(door, "too_many", s->full);
	record_put_int(door, "too_slow", s->slow);
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
	asked = record_put_object(o, "requests");
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
	record_put(o, ip_key, ip_text(&ip, text));
	record_put_int(o, port_key, e->port);
}

static void
put_session(void *arg, unsigned slot, const struct board_row *row)
{
	json_t *o = append(arg), *octets;

	record_put_int(o, "flow_id", row->flow_id);
	record_put(o, "app_proto", protocol_name((enum protocol)row->protocol));
	record_put(o, "phase", status_phase_names[row->phase]);
	put_endpoint(o, "src_ip", "src_port", &row->client);
	put_endpoint(o, "dest_ip", "dest_port", &row->server);
	put_ms(o, "started", row->started);
	octets = record_put_object(o, "octets");
	for (size_t i = 0; i < BOARD_LEGS; i++)
		record_put_int(octets, status_leg_names[i], row->octets[i]);
	record_put_int(o, "worker", slot);
}

bool
status_sessions_json(const struct status_view *v, struct evbuffer *out)
{
	json_t *o = json_object(), *list = put_array(o, "sessions");
	size_t n = status_totals_sessions(v->totals, put_session, list);

	record_put_int(o, "left_out", n > STATUS_SESSIONS ? n - STATUS_SESSIONS : 0);
	return write_object(o, out);
}
