#include <event2/buffer.h>

#include "record_json.h"
#include "status_render.h"

/* Octets of an answer: with some 450 for a session it has room for all that are listed. */
#define ANSWER_MAX (16u << 20)

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
put_ms(struct json_writer *w, const char *key, uint64_t ms)
{
	struct timeval t = {(time_t)(ms / 1000u), (suseconds_t)(ms % 1000u * 1000u)};

	if (ms > 0)
		record_put_time(w, key, &t);
}

/* The object that was written goes out as a line of its own. */
static bool
write_line(struct buf *line, struct evbuffer *out)
{
	bool ok = buf_octet(line, '\n') && evbuffer_add(out, line->p, line->n) == 0;

	buf_free(line);
	return ok;
}

/* ---- the gateway ---- */

static void
put_ports(struct json_writer *w, const char *key, const struct gateway_port *p, uint64_t n)
{
	json_open_list(w, key);
	for (uint64_t i = 0; i < n; i++) {
		json_open_object(w, NULL);
		if (p[i].protocol < BOARD_PROTOCOLS)
			record_put(w, "protocol", protocol_name((enum protocol)p[i].protocol));
		record_put_int(w, "port", p[i].port);
		json_close_object(w);
	}
	json_close_list(w);
}

static void
put_reloads(struct json_writer *w, const struct gateway_page *g)
{
	json_open_object(w, "reloads");
	record_put_int(w, "done", g->number[GATEWAY_RELOADS]);
	record_put_int(w, "refused", g->number[GATEWAY_RELOADS_REFUSED]);
	put_ms(w, "in_force_since", g->number[GATEWAY_RELOADED]);
	put_ms(w, "refused_at", g->number[GATEWAY_REFUSED_AT]);
	if (g->refusal[0] != '\0')
		record_put_text(w, "refusal", span_str(g->refusal));
	json_close_object(w);
}

static void
put_gateway(struct json_writer *w, const struct gateway_page *g)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	json_truth(w, "running", true);
	record_put_text(w, "version", span_str(g->gateway_version));
	record_put_time(w, "time", &now);
	put_ms(w, "started", g->number[GATEWAY_STARTED]);
	record_put_text(w, "config", span_str(g->config));
	record_put_int(w, "generation", g->number[GATEWAY_GENERATION]);
	record_put(w, "mode", mode_name((enum intercept_mode)g->number[GATEWAY_MODE]));
	json_open_object(w, "guard");
	record_put(w, "state", guard_name((enum guard_state)g->number[GATEWAY_GUARD]));
	record_put_int(w, "mended", g->number[GATEWAY_MENDED]);
	json_close_object(w);
	put_reloads(w, g);
	json_open_object(w, "ports");
	put_ports(w, "intercepted", g->intercepted, g->n_intercepted);
	put_ports(w, "not_served", g->unserved, g->n_unserved);
	json_close_object(w);
}

/* ---- workers ---- */

static void
put_worker(struct json_writer *w, const struct status_worker *worker)
{
	json_open_object(w, NULL);
	record_put_int(w, "worker", worker->slot);
	record_put_int(w, "pid", worker->pid);
	record_put_int(w, "generation", worker->generation);
	record_put(w, "state", status_state_names[worker->state]);
	put_ms(w, "started", worker->started);
	record_put_int(w, "sessions_max", worker->sessions_max);
	json_open_object(w, "sessions");
	for (size_t i = 0; i < BOARD_PROTOCOLS; i++) {
		json_open_object(w, protocol_name((enum protocol)i));
		record_put_int(w, "opened", worker->opened[i]);
		record_put_int(w, "active", worker->active[i]);
		json_close_object(w);
	}
	json_close_object(w);
	json_close_object(w);
}

/* Returns the gauges of all workers. */
static void
put_workers(struct json_writer *w, const struct status_view *v, const struct gateway_page *g,
    uint64_t gauge[BOARD_GAUGES])
{
	json_open_object(w, "workers");
	record_put_int(w, "configured", g->number[GATEWAY_WORKERS]);
	record_put_int(w, "restarts", g->number[GATEWAY_RESTARTS]);
	record_put_int(w, "backing_off", g->number[GATEWAY_BACKING_OFF]);
	json_open_list(w, "running");
	for (size_t i = 0; i < status_totals_workers(v->totals); i++) {
		struct status_worker worker;

		status_totals_worker(v->totals, i, &worker);
		put_worker(w, &worker);
		for (size_t k = 0; k < BOARD_GAUGES; k++)
			gauge[k] += worker.gauge[k];
	}
	json_close_list(w);
	json_close_object(w);
}

/* ---- what they counted ---- */

static void
put_protocol(struct json_writer *w, const struct board_protocol *p)
{
	record_put_int(w, "opened", p->opened);
	record_put_int(w, "active", p->opened > p->ended ? p->opened - p->ended : 0);
	record_put_int(w, "ended", p->ended);
	record_put_int(w, "refused", p->turned_away);
	json_open_object(w, "octets");
	for (size_t k = 0; k < BOARD_LEGS; k++)
		record_put_int(w, status_leg_names[k], p->octets[k]);
	json_close_object(w);
	json_open_object(w, "messages");
	for (size_t k = 0; k < BOARD_MESSAGES; k++)
		record_put_int(w, status_message_names[k], p->messages[k]);
	json_close_object(w);
}

static void
put_sessions(struct json_writer *w, const struct board_counts *c)
{
	json_open_object(w, "sessions");
	for (size_t i = 0; i < BOARD_PROTOCOLS; i++) {
		json_open_object(w, protocol_name((enum protocol)i));
		put_protocol(w, &c->protocol[i]);
		json_close_object(w);
	}
	json_close_object(w);
}

static void
put_tally(struct json_writer *w, const struct board_tally *t)
{
	json_open_object(w, NULL);
	record_put(w, "protocol", protocol_name((enum protocol)t->protocol));
	if (status_action_names[t->kind] != NULL) {
		record_put(w, "action", status_action_names[t->kind]);
		record_put(w, "rule", t->rule);
	}
	record_put(w, "reason", t->reason);
	if (t->code != 0)
		record_put_int(w, "code", t->code);
	record_put_int(w, "count", t->count);
	json_close_object(w);
}

/* Verdicts are all that is no session's. */
static const char *
list_of(const struct board_tally *t)
{
	return t->kind == BOARD_ENDED	      ? "sessions_ended"
	       : t->kind == BOARD_TURNED_AWAY ? "sessions_refused"
					      : "verdicts";
}

static void
put_tallies(struct json_writer *w, const struct status_sum *sum, const struct board_counts *c)
{
	static const char *const lists[] = {"verdicts", "sessions_refused", "sessions_ended"};
	uint64_t other = 0;

	for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++) {
		json_open_list(w, lists[k]);
		for (size_t i = 0; i < sum->n_tallies; i++)
			if (strcmp(list_of(&sum->tallies[i]), lists[k]) == 0)
				put_tally(w, &sum->tallies[i]);
		json_close_list(w);
	}
	for (size_t i = 0; i < BOARD_TALLY_KINDS; i++)
		other += c->other[i];
	record_put_int(w, "uncounted_reasons", other);
}

static void
put_dns(struct json_writer *w, const struct board_counts *c, const uint64_t gauge[BOARD_GAUGES])
{
	char bound[16];

	json_open_object(w, "dns");
	record_put_int(w, "asked", c->counter[BOARD_DNS_ASKED]);
	record_put_int(w, "not_asked", c->counter[BOARD_DNS_REFUSED]);
	record_put_int(w, "outstanding", gauge[BOARD_DNS_OUTSTANDING]);
	record_put_int(w, "workers_without_resolver", gauge[BOARD_DNS_DEAD]);
	json_open_object(w, "answers");
	for (size_t i = 0; i < BOARD_DNS_STATUSES; i++)
		record_put_int(w, dns_status_name((enum dns_status)i), c->dns_status[i]);
	json_close_object(w);
	record_put_int(w, "waited_ms", c->counter[BOARD_DNS_MS]);
	json_open_object(w, "within_ms");
	for (size_t i = 0; i < BOARD_DNS_BUCKETS - 1; i++) {
		snprintf(bound, sizeof(bound), "%u", board_dns_bounds[i]);
		record_put_int(w, bound, c->dns_bucket[i]);
	}
	record_put_int(w, "longer", c->dns_bucket[BOARD_DNS_BUCKETS - 1]);
	json_close_object(w);
	json_close_object(w);
}

static void
put_log(struct json_writer *w, const struct gateway_page *g, const struct board_counts *c)
{
	json_open_object(w, "log");
	record_put_text(w, "path", span_str(g->log));
	json_truth(w, "trouble", g->number[GATEWAY_LOG_TROUBLE] != 0);
	if (g->log_trouble[0] != '\0')
		record_put_text(w, "why", span_str(g->log_trouble));
	record_put_int(w, "lines", c->counter[BOARD_LOG_WRITTEN]);
	record_put_int(w, "dropped_by_workers", c->counter[BOARD_LOG_DROPPED]);
	record_put_int(w, "lost_by_logger", g->number[GATEWAY_LOG_LOST]);
	record_put_int(w, "rotations", g->number[GATEWAY_LOG_ROTATIONS]);
	record_put_int(w, "restarts", g->number[GATEWAY_LOG_RESTARTS]);
	json_close_object(w);
}

static void
put_captures(struct json_writer *w, const struct gateway_page *g, const struct board_counts *c)
{
	json_open_object(w, "capture");
	record_put_int(w, "sections", g->number[GATEWAY_CAPTURES]);
	json_truth(w, "trouble", g->number[GATEWAY_CAPTURE_TROUBLE] != 0);
	record_put_int(w, "frames", g->number[GATEWAY_CAPTURE_FRAMES]);
	record_put_int(w, "octets", g->number[GATEWAY_CAPTURE_OCTETS]);
	record_put_int(w, "files", g->number[GATEWAY_CAPTURE_FILES]);
	record_put_int(w, "removed", g->number[GATEWAY_CAPTURE_REMOVED]);
	record_put_int(w, "dropped_by_workers", c->counter[BOARD_CAPTURE_DROPPED]);
	record_put_int(w, "lost_frames", g->number[GATEWAY_CAPTURE_LOST]);
	record_put_int(w, "left_out", g->number[GATEWAY_CAPTURE_LEFT_OUT]);
	record_put_int(w, "restarts", g->number[GATEWAY_CAPTURE_RESTARTS]);
	json_close_object(w);
}

static void
put_sockets(struct json_writer *w, const struct board_counts *c, const uint64_t gauge[BOARD_GAUGES])
{
	json_open_object(w, "connects");
	record_put_int(w, "done", c->counter[BOARD_CONNECTS]);
	record_put_int(w, "pending", gauge[BOARD_PENDING_CONNECTS]);
	json_close_object(w);
	json_open_object(w, "transparent_sockets");
	record_put_int(w, "ipv4", gauge[BOARD_STOCK4]);
	record_put_int(w, "ipv6", gauge[BOARD_STOCK6]);
	record_put_int(w, "waited_ipv4", c->counter[BOARD_STOCK_WAITS4]);
	record_put_int(w, "waited_ipv6", c->counter[BOARD_STOCK_WAITS6]);
	json_close_object(w);
	record_put_int(w, "clients_blocked", c->counter[BOARD_CLIENTS_BLOCKED]);
}

static void
put_door(struct json_writer *w, const char *key, const struct door_stats *s)
{
	json_open_object(w, key);
	record_put_int(w, "answered", s->answered);
	record_put_int(w, "refused", s->refused);
	record_put_int(w, "too_many", s->full);
	record_put_int(w, "too_slow", s->slow);
	json_close_object(w);
}

bool
status_json(const struct status_view *v, struct evbuffer *out)
{
	const struct status_sum *sum = status_totals_sum(v->totals);
	uint64_t gauge[BOARD_GAUGES] = {0};
	struct board_counts all;
	struct gateway_page g;
	struct json_writer w;
	struct buf line;

	buf_init(&line, ANSWER_MAX);
	gateway_read(v->gateway, &g);
	status_sum_all(sum, &all);
	json_begin(&w, &line);
	json_open_object(&w, NULL);
	put_gateway(&w, &g);
	put_workers(&w, v, &g, gauge);
	put_sessions(&w, &all);
	put_tallies(&w, sum, &all);
	put_dns(&w, &all, gauge);
	put_log(&w, &g, &all);
	put_captures(&w, &g, &all);
	put_sockets(&w, &all, gauge);
	json_open_object(&w, "requests");
	put_door(&w, "status", &v->asked);
	put_door(&w, "metrics", &v->scraped);
	json_close_object(&w);
	json_close_object(&w);
	return write_line(&line, out);
}

/* ---- sessions ---- */

static void
put_endpoint(
    struct json_writer *w, const char *ip_key, const char *port_key, const struct board_endpoint *e)
{
	struct ip ip = {.family = (enum ip_family)e->family};
	char text[IP_TEXT_MAX];

	memcpy(ip.octets, e->octets, ip.family == IP_V4 ? 4 : sizeof(ip.octets));
	record_put(w, ip_key, ip_text(&ip, text));
	record_put_int(w, port_key, e->port);
}

static void
put_session(void *writer, unsigned slot, const struct board_row *row)
{
	struct json_writer *w = writer;

	json_open_object(w, NULL);
	record_put_int(w, "flow_id", row->flow_id);
	record_put(w, "app_proto", protocol_name((enum protocol)row->protocol));
	record_put(w, "phase", status_phase_names[row->phase]);
	put_endpoint(w, "src_ip", "src_port", &row->client);
	put_endpoint(w, "dest_ip", "dest_port", &row->server);
	put_ms(w, "started", row->started);
	json_open_object(w, "octets");
	for (size_t i = 0; i < BOARD_LEGS; i++)
		record_put_int(w, status_leg_names[i], row->octets[i]);
	json_close_object(w);
	record_put_int(w, "worker", slot);
	json_close_object(w);
}

bool
status_sessions_json(const struct status_view *v, struct evbuffer *out)
{
	struct json_writer w;
	struct buf line;
	size_t n;

	buf_init(&line, ANSWER_MAX);
	json_begin(&w, &line);
	json_open_object(&w, NULL);
	json_open_list(&w, "sessions");
	n = status_totals_sessions(v->totals, put_session, &w);
	json_close_list(&w);
	record_put_int(&w, "left_out", n > STATUS_SESSIONS ? n - STATUS_SESSIONS : 0);
	json_close_object(&w);
	return write_line(&line, out);
}
