#include <event2/buffer.h>
#include <inttypes.h>
#include <stdarg.h>

#include "status_render.h"

/* What is being written, and from what. */
struct text {
	struct evbuffer *out;
	bool failed;
	const struct status_view *view;
	const struct status_sum *sum;
	const struct gateway_page *gateway;
	struct board_counts all;
	uint64_t gauge[BOARD_GAUGES];
};

__attribute__((format(printf, 2, 3))) static void
say(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (evbuffer_add_vprintf(t->out, format, args) < 0)
		t->failed = true;
	va_end(args);
}

static void
family(struct text *t, const char *name, const char *type, const char *help)
{
	say(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
single(struct text *t, const char *name, const char *type, const char *help, uint64_t value)
{
	family(t, name, type, help);
	say(t, "%s %" PRIu64 "\n", name, value);
}

static void
milliseconds(struct text *t, const char *name, const char *help, uint64_t ms)
{
	family(t, name, "gauge", help);
	say(t, "%s %" PRIu64 ".%03u\n", name, ms / 1000u, (unsigned)(ms % 1000u));
}

static const char *
protocol_of(size_t i)
{
	return protocol_name((enum protocol)i);
}

/* ---- the gateway ---- */

static void
say_version(struct text *t)
{
	struct span version = span_str(t->gateway->gateway_version);

	family(t, "postern_build_info", "gauge", "Version of the gateway.");
	say(t, "postern_build_info{version=\"");
	for (size_t i = 0; i < version.n; i++) /* a label takes no quotes, and a version has none */
		if (octet_is_alnum(version.p[i]) || strchr(".-+~", version.p[i]) != NULL)
			say(t, "%c", version.p[i]);
	say(t, "\"} 1\n");
}

static void
say_ports(struct text *t)
{
	const struct gateway_page *g = t->gateway;

	family(t, "postern_port", "gauge",
	    "Ports of the configuration: intercepted, or not served by this version.");
	for (uint64_t i = 0; i < g->n_intercepted + g->n_unserved; i++) {
		bool served = i < g->n_intercepted;
		const struct gateway_port *p =
		    served ? &g->intercepted[i] : &g->unserved[i - g->n_intercepted];

		if (p->protocol < BOARD_PROTOCOLS)
			say(t, "postern_port{protocol=\"%s\",port=\"%u\",state=\"%s\"} 1\n",
			    protocol_of(p->protocol), p->port,
			    served ? "intercepted" : "not_served");
	}
}

static void
say_gateway(struct text *t)
{
	const uint64_t *number = t->gateway->number;

	say_version(t);
	milliseconds(t, "postern_start_time_seconds", "When the gateway was started.",
	    number[GATEWAY_STARTED]);
	family(t, "postern_mode", "gauge", "Mode of interception.");
	for (size_t i = INTERCEPT_OFF; i <= INTERCEPT_REDIRECT; i++)
		say(t, "postern_mode{mode=\"%s\"} %d\n", mode_name((enum intercept_mode)i),
		    number[GATEWAY_MODE] == i);
	family(t, "postern_guard", "gauge", "What closes the ports while the gateway is down.");
	for (size_t i = 0; i < GUARD_STATES; i++)
		say(t, "postern_guard{state=\"%s\"} %d\n", guard_name((enum guard_state)i),
		    number[GATEWAY_GUARD] == i);
	single(t, "postern_guard_mended_total", "counter",
	    "Times that tables of the firewall were put back.", number[GATEWAY_MENDED]);
	single(t, "postern_config_generation", "gauge", "Generation of the configuration.",
	    number[GATEWAY_GENERATION]);
	milliseconds(t, "postern_config_loaded_seconds",
	    "When the configuration in force was read.", number[GATEWAY_RELOADED]);
	family(t, "postern_reloads_total", "counter", "Reloads of the configuration.");
	say(t, "postern_reloads_total{result=\"done\"} %" PRIu64 "\n", number[GATEWAY_RELOADS]);
	say(t, "postern_reloads_total{result=\"refused\"} %" PRIu64 "\n",
	    number[GATEWAY_RELOADS_REFUSED]);
	say_ports(t);
}

/* ---- workers and sessions ---- */

static void
say_workers(struct text *t)
{
	size_t n = status_totals_workers(t->view->totals);
	uint64_t max[WORKERS_MAX] = {0};

	for (size_t i = 0; i < n; i++) {
		struct status_worker w;

		status_totals_worker(t->view->totals, i, &w);
		/* of one that drains and one that has taken its place, the new one's counts */
		if (w.state != BOARD_DRAINING || max[w.slot] == 0)
			max[w.slot] = w.sessions_max;
		for (size_t k = 0; k < BOARD_GAUGES; k++)
			t->gauge[k] += w.gauge[k];
	}
	single(t, "postern_workers", "gauge", "Worker processes that run.", n);
	single(t, "postern_worker_restarts_total", "counter",
	    "Workers that ended by themselves and were started again.",
	    t->gateway->number[GATEWAY_RESTARTS]);
	single(t, "postern_workers_backing_off", "gauge",
	    "Workers that are not started again at once.", t->gateway->number[GATEWAY_BACKING_OFF]);
	family(t, "postern_sessions_max", "gauge", "Sessions that a worker takes at once.");
	for (unsigned slot = 0; slot < WORKERS_MAX; slot++)
		if (max[slot] > 0)
			say(t, "postern_sessions_max{worker=\"%u\"} %" PRIu64 "\n", slot,
			    max[slot]);
}

enum which { OPENED, ENDED, ACTIVE };

static void
say_sessions(struct text *t, const char *name, enum which which)
{
	for (unsigned slot = 0; slot < WORKERS_MAX; slot++) {
		if (!status_slot_seen(t->view->totals, slot))
			continue;
		for (size_t i = 0; i < BOARD_PROTOCOLS; i++) {
			const struct board_protocol *p = &t->sum->slot[slot].protocol[i];
			uint64_t active = p->opened > p->ended ? p->opened - p->ended : 0;

			say(t, "%s{protocol=\"%s\",worker=\"%u\"} %" PRIu64 "\n", name,
			    protocol_of(i), slot,
			    which == OPENED  ? p->opened
			    : which == ENDED ? p->ended
					     : active);
		}
	}
}

static void
say_protocols(struct text *t)
{
	family(t, "postern_octets_total", "counter", "Octets of sessions, by leg and direction.");
	for (size_t i = 0; i < BOARD_PROTOCOLS; i++)
		for (size_t k = 0; k < BOARD_LEGS; k++)
			say(t, "postern_octets_total{protocol=\"%s\",leg=\"%s\"} %" PRIu64 "\n",
			    protocol_of(i), status_leg_names[k], t->all.protocol[i].octets[k]);
	family(t, "postern_messages_total", "counter", "Messages, by what became of them.");
	for (size_t i = 0; i < BOARD_PROTOCOLS; i++)
		for (size_t k = 0; k < BOARD_MESSAGES; k++)
			say(t,
			    "postern_messages_total{protocol=\"%s\",result=\"%s\"} %" PRIu64 "\n",
			    protocol_of(i), status_message_names[k],
			    t->all.protocol[i].messages[k]);
}

static void
say_all_sessions(struct text *t)
{
	family(t, "postern_sessions_total", "counter", "Sessions that were opened.");
	say_sessions(t, "postern_sessions_total", OPENED);
	family(t, "postern_sessions_ended_total", "counter", "Sessions that have ended.");
	say_sessions(t, "postern_sessions_ended_total", ENDED);
	family(t, "postern_sessions_active", "gauge", "Sessions that run.");
	say_sessions(t, "postern_sessions_active", ACTIVE);
	say_protocols(t);
}

/* ---- verdicts and reasons ---- */

static void
say_reasons(struct text *t, const char *name, enum board_tally_kind kind)
{
	for (size_t i = 0; i < t->sum->n_tallies; i++) {
		const struct board_tally *y = &t->sum->tallies[i];

		if (y->kind == kind)
			say(t, "%s{protocol=\"%s\",reason=\"%s\"} %" PRIu64 "\n", name,
			    protocol_of(y->protocol), y->reason, y->count);
	}
}

static void
say_tallies(struct text *t)
{
	uint64_t other = 0;

	family(t, "postern_verdicts_total", "counter",
	    "Verdicts of the policy, by rule, reason and code of the reply.");
	for (size_t i = 0; i < t->sum->n_tallies; i++) {
		const struct board_tally *y = &t->sum->tallies[i];

		if (status_action_names[y->kind] != NULL)
			say(t,
			    "postern_verdicts_total{protocol=\"%s\",action=\"%s\",rule=\"%s\","
			    "reason=\"%s\",code=\"%u\"} %" PRIu64 "\n",
			    protocol_of(y->protocol), status_action_names[y->kind], y->rule,
			    y->reason, y->code, y->count);
	}
	family(t, "postern_sessions_refused_total", "counter",
	    "Sessions that were not served, by reason.");
	say_reasons(t, "postern_sessions_refused_total", BOARD_TURNED_AWAY);
	family(t, "postern_session_ends_total", "counter", "Sessions that ended, by reason.");
	say_reasons(t, "postern_session_ends_total", BOARD_ENDED);
	for (size_t i = 0; i < BOARD_TALLY_KINDS; i++)
		other += t->all.other[i];
	single(t, "postern_uncounted_reasons_total", "counter",
	    "Verdicts and ends of sessions whose reasons found no place in the tables.", other);
	single(t, "postern_clients_blocked_total", "counter",
	    "Clients that were refused so often that they are not served for a while.",
	    t->all.counter[BOARD_CLIENTS_BLOCKED]);
}

/* ---- DNS, log, sockets ---- */

static void
say_dns(struct text *t)
{
	const struct board_counts *c = &t->all;
	uint64_t sum = 0;

	single(t, "postern_dns_questions_total", "counter", "Questions that were asked.",
	    c->counter[BOARD_DNS_ASKED]);
	single(t, "postern_dns_not_asked_total", "counter",
	    "Questions that were not asked because too many were under way.",
	    c->counter[BOARD_DNS_REFUSED]);
	family(t, "postern_dns_answers_total", "counter", "Answers, by status.");
	for (size_t i = 0; i < BOARD_DNS_STATUSES; i++)
		say(t, "postern_dns_answers_total{status=\"%s\"} %" PRIu64 "\n",
		    dns_status_name((enum dns_status)i), c->dns_status[i]);
	family(t, "postern_dns_seconds", "histogram", "Time from question to answer.");
	for (size_t i = 0; i < BOARD_DNS_BUCKETS - 1; i++) {
		sum += c->dns_bucket[i];
		say(t, "postern_dns_seconds_bucket{le=\"%u.%03u\"} %" PRIu64 "\n",
		    board_dns_bounds[i] / 1000u, board_dns_bounds[i] % 1000u, sum);
	}
	sum += c->dns_bucket[BOARD_DNS_BUCKETS - 1];
	say(t, "postern_dns_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", sum);
	say(t, "postern_dns_seconds_sum %" PRIu64 ".%03u\n", c->counter[BOARD_DNS_MS] / 1000u,
	    (unsigned)(c->counter[BOARD_DNS_MS] % 1000u));
	say(t, "postern_dns_seconds_count %" PRIu64 "\n", sum);
	single(t, "postern_dns_outstanding", "gauge", "Questions under way.",
	    t->gauge[BOARD_DNS_OUTSTANDING]);
	single(t, "postern_dns_dead", "gauge", "Workers that take the resolver for dead.",
	    t->gauge[BOARD_DNS_DEAD]);
}

static void
say_log(struct text *t)
{
	const uint64_t *number = t->gateway->number;

	single(t, "postern_log_lines_total", "counter", "Records that workers have written.",
	    t->all.counter[BOARD_LOG_WRITTEN]);
	family(t, "postern_log_lines_dropped_total", "counter", "Records that were lost.");
	say(t, "postern_log_lines_dropped_total{by=\"worker\"} %" PRIu64 "\n",
	    t->all.counter[BOARD_LOG_DROPPED]);
	say(t, "postern_log_lines_dropped_total{by=\"logger\"} %" PRIu64 "\n",
	    number[GATEWAY_LOG_LOST]);
	single(t, "postern_log_trouble", "gauge", "1: the log cannot be written.",
	    number[GATEWAY_LOG_TROUBLE] != 0);
	single(t, "postern_log_rotations_total", "counter", "New log files that were begun.",
	    number[GATEWAY_LOG_ROTATIONS]);
}

static void
say_captures(struct text *t)
{
	const uint64_t *number = t->gateway->number;

	single(t, "postern_capture_frames_total", "counter", "Frames that were written.",
	    number[GATEWAY_CAPTURE_FRAMES]);
	single(t, "postern_capture_octets_total", "counter", "Octets of capture files.",
	    number[GATEWAY_CAPTURE_OCTETS]);
	family(t, "postern_capture_lost_total", "counter", "What has no place in a capture.");
	say(t, "postern_capture_lost_total{what=\"dropped_records\"} %" PRIu64 "\n",
	    t->all.counter[BOARD_CAPTURE_DROPPED]);
	say(t, "postern_capture_lost_total{what=\"unwritten_frames\"} %" PRIu64 "\n",
	    number[GATEWAY_CAPTURE_LOST]);
	say(t, "postern_capture_lost_total{what=\"left_out_records\"} %" PRIu64 "\n",
	    number[GATEWAY_CAPTURE_LEFT_OUT]);
	single(t, "postern_capture_trouble", "gauge", "1: captures cannot be written.",
	    number[GATEWAY_CAPTURE_TROUBLE]);
}

static void
say_sockets(struct text *t)
{
	single(t, "postern_connects_total", "counter", "Connects to servers that succeeded.",
	    t->all.counter[BOARD_CONNECTS]);
	single(t, "postern_connects_pending", "gauge", "Connects to servers under way.",
	    t->gauge[BOARD_PENDING_CONNECTS]);
	family(t, "postern_transparent_sockets", "gauge",
	    "Transparent sockets that wait for a session.");
	say(t, "postern_transparent_sockets{family=\"ipv4\"} %" PRIu64 "\n",
	    t->gauge[BOARD_STOCK4]);
	say(t, "postern_transparent_sockets{family=\"ipv6\"} %" PRIu64 "\n",
	    t->gauge[BOARD_STOCK6]);
	family(t, "postern_transparent_socket_waits_total", "counter",
	    "Sessions that waited for a transparent socket.");
	say(t, "postern_transparent_socket_waits_total{family=\"ipv4\"} %" PRIu64 "\n",
	    t->all.counter[BOARD_STOCK_WAITS4]);
	say(t, "postern_transparent_socket_waits_total{family=\"ipv6\"} %" PRIu64 "\n",
	    t->all.counter[BOARD_STOCK_WAITS6]);
}

bool
status_metrics(const struct status_view *v, struct evbuffer *out)
{
	struct gateway_page g;
	struct text t = {.out = out, .view = v, .gateway = &g};

	gateway_read(v->gateway, &g);
	t.sum = status_totals_sum(v->totals);
	status_sum_all(t.sum, &t.all);
	say_gateway(&t);
	say_workers(&t);
	say_all_sessions(&t);
	say_tallies(&t);
	say_dns(&t);
	say_log(&t);
	say_captures(&t);
	say_sockets(&t);
	return !t.failed;
}
