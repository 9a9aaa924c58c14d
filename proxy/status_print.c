#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "status_command.h"

#define KEY_WIDTH 15

/* ---- reading; what is missing is nothing ---- */

static json_int_t
number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *
text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s == NULL ? "" : s;
}

static const json_t *
part(const json_t *o, const char *key)
{
	return json_object_get(o, key);
}

/* ---- one line ---- */

__attribute__((format(printf, 3, 4))) static void
line(FILE *out, const char *key, const char *format, ...)
{
	va_list args;

	fprintf(out, "%-*s", KEY_WIDTH, key);
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	fputc('\n', out);
}

/* "2026-11-24T03:00:00.123456+0000" to the second. */
static const char *
second(const json_t *o, const char *key, char shown[32])
{
	const char *t = text(o, key);

	if (strlen(t) < 19)
		snprintf(shown, 32, "-");
	else
		snprintf(shown, 32, "%.10s %.8s UTC", t, t + 11);
	return shown;
}

/* ---- the gateway ---- */

static const char *
guard_words(const char *state)
{
	static const struct {
		const char *state, *words;
	} all[] = {
	    {"none", "nothing is intercepted"},
	    {"block", "in place: the ports are closed while the gateway is down"},
	    {"bypass", "OPEN: while the gateway is down traffic passes uninspected"},
	    {"missing", "MISSING: it should be there"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].state, state) == 0)
			return all[i].words;
	return state;
}

static void
print_ports(FILE *out, const json_t *ports, const char *key, const char *title)
{
	const json_t *list = part(ports, key), *one;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	fprintf(out, "%-*s", KEY_WIDTH, title);
	json_array_foreach(list, i, one)
	{
		fprintf(out, "%s%s/%" JSON_INTEGER_FORMAT, i == 0 ? "" : ", ",
		    text(one, "protocol"), number(one, "port"));
	}
	fputc('\n', out);
}

static void
print_gateway(FILE *out, const json_t *o)
{
	const json_t *guard = part(o, "guard"), *reloads = part(o, "reloads");
	char when[32];

	line(
	    out, "postern", "%s, running since %s", text(o, "version"), second(o, "started", when));
	line(out, "configuration", "%s, generation %" JSON_INTEGER_FORMAT ", in force since %s",
	    text(o, "config"), number(o, "generation"), second(reloads, "in_force_since", when));
	line(out, "reloads", "%" JSON_INTEGER_FORMAT " done, %" JSON_INTEGER_FORMAT " refused",
	    number(reloads, "done"), number(reloads, "refused"));
	if (number(reloads, "refused") > 0)
		line(out, "  last refused", "%s: %s", second(reloads, "refused_at", when),
		    text(reloads, "refusal"));
	line(out, "interception", "%s", text(o, "mode"));
	line(out, "guard", "%s", guard_words(text(guard, "state")));
	if (number(guard, "mended") > 0)
		line(out, "  put back", "%" JSON_INTEGER_FORMAT " times", number(guard, "mended"));
	print_ports(out, part(o, "ports"), "intercepted", "ports");
	print_ports(out, part(o, "ports"), "not_served", "not served");
}

static json_int_t
total(const json_t *by_protocol, const char *key)
{
	const json_t *one;
	const char *name;
	json_int_t sum = 0;

	/* the macro takes no const, and writes nothing */
	json_object_foreach((json_t *)(uintptr_t)by_protocol, name, one)
	{
		sum += number(one, key);
	}
	return sum;
}

static void
print_workers(FILE *out, const json_t *o)
{
	const json_t *w = part(o, "workers"), *running = part(w, "running"), *one;
	char when[32];
	size_t i;

	line(out, "workers",
	    "%zu running, %" JSON_INTEGER_FORMAT " started anew, %" JSON_INTEGER_FORMAT
	    " waiting to be",
	    json_array_size(running), number(w, "restarts"), number(w, "backing_off"));
	fputs("\n  worker      pid  gen  state      sessions  of at most     opened  since\n", out);
	json_array_foreach(running, i, one)
	{
		const json_t *sessions = part(one, "sessions");

		fprintf(out,
		    "  %6" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT " %4" JSON_INTEGER_FORMAT
		    "  %-9s  %8" JSON_INTEGER_FORMAT "  %10" JSON_INTEGER_FORMAT
		    " %10" JSON_INTEGER_FORMAT "  %s\n",
		    number(one, "worker"), number(one, "pid"), number(one, "generation"),
		    text(one, "state"), total(sessions, "active"), number(one, "sessions_max"),
		    total(sessions, "opened"), second(one, "started", when));
	}
	fputc('\n', out);
}

/* ---- what was counted ---- */

/* Octets as people write them. */
static const char *
size_of(json_int_t octets, char shown[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double n = (double)octets;
	size_t i = 0;

	while (n >= 1024 && i + 1 < sizeof(units) / sizeof(units[0])) {
		n /= 1024;
		i++;
	}
	snprintf(shown, 32, i == 0 ? "%.0f %s" : "%.1f %s", n, units[i]);
	return shown;
}

static void
print_protocols(FILE *out, const json_t *sessions)
{
	const json_t *one;
	const char *name;
	char in[32], back[32];

	fputs("  protocol  active    opened   refused  accepted  refused messages  from clients"
	      "    to clients\n",
	    out);
	json_object_foreach((json_t *)(uintptr_t)sessions, name, one)
	{
		const json_t *octets = part(one, "octets"), *messages = part(one, "messages");

		if (number(one, "opened") == 0 && number(one, "refused") == 0)
			continue;
		fprintf(out,
		    "  %-8s%8" JSON_INTEGER_FORMAT "%10" JSON_INTEGER_FORMAT
		    "%10" JSON_INTEGER_FORMAT "%10" JSON_INTEGER_FORMAT "%18" JSON_INTEGER_FORMAT
		    "%14s%14s\n",
		    name, number(one, "active"), number(one, "opened"), number(one, "refused"),
		    number(messages, "accepted"), number(messages, "refused"),
		    size_of(number(octets, "from_client"), in),
		    size_of(number(octets, "to_client"), back));
	}
	fputc('\n', out);
}

static void
print_reasons(FILE *out, const json_t *list, const char *title)
{
	const json_t *one;
	char code[24] = "";
	size_t i;

	if (json_array_size(list) == 0)
		return;
	fprintf(out, "%s\n", title);
	json_array_foreach(list, i, one)
	{
		code[0] = '\0';
		if (number(one, "code") > 0)
			snprintf(code, sizeof(code), "%" JSON_INTEGER_FORMAT, number(one, "code"));
		fprintf(out, "  %10" JSON_INTEGER_FORMAT "  %-5s %-13s %-14s %-24s %s\n",
		    number(one, "count"), text(one, "protocol"), text(one, "action"),
		    text(one, "rule"), text(one, "reason"), code);
	}
	fputc('\n', out);
}

static void
print_dns(FILE *out, const json_t *dns)
{
	const json_t *answers = part(dns, "answers");
	json_int_t n = number(answers, "ok") + number(answers, "nodata") +
		       number(answers, "nxdomain") + number(answers, "failed") +
		       number(answers, "timeout");

	line(out, "dns",
	    "%" JSON_INTEGER_FORMAT " answers (%" JSON_INTEGER_FORMAT
	    " failed, %" JSON_INTEGER_FORMAT " timed out), %.1f ms on average%s",
	    n, number(answers, "failed"), number(answers, "timeout"),
	    n == 0 ? 0.0 : (double)number(dns, "waited_ms") / (double)n,
	    number(dns, "workers_without_resolver") > 0 ? ", RESOLVER DEAD" : "");
}

static void
print_log(FILE *out, const json_t *log)
{
	json_int_t lost = number(log, "dropped_by_workers") + number(log, "lost_by_logger");

	line(out, "log", "%s: %" JSON_INTEGER_FORMAT " records, %" JSON_INTEGER_FORMAT " lost",
	    text(log, "path"), number(log, "lines"), lost);
	if (json_is_true(part(log, "trouble")))
		line(out, "  TROUBLE", "%s", text(log, "why"));
}

static void
print_captures(FILE *out, const json_t *o)
{
	const json_int_t lost = number(o, "dropped_by_workers") + number(o, "left_out");

	if (number(o, "sections") == 0)
		return;
	line(out, "captures",
	    "%" JSON_INTEGER_FORMAT " frames, %" JSON_INTEGER_FORMAT
	    " not written; %" JSON_INTEGER_FORMAT " records lost",
	    number(o, "frames"), number(o, "lost_frames"), lost);
	if (json_is_true(part(o, "trouble")))
		line(out, "  TROUBLE", "captures cannot be written");
}

static void
print_sockets(FILE *out, const json_t *o)
{
	const json_t *stock = part(o, "transparent_sockets"), *connects = part(o, "connects");

	line(out, "connects", "%" JSON_INTEGER_FORMAT " done, %" JSON_INTEGER_FORMAT " under way",
	    number(connects, "done"), number(connects, "pending"));
	if (strcmp(text(o, "mode"), "tproxy") == 0)
		line(out, "sockets",
		    "%" JSON_INTEGER_FORMAT " IPv4, %" JSON_INTEGER_FORMAT
		    " IPv6 in stock; sessions waited for one %" JSON_INTEGER_FORMAT " times",
		    number(stock, "ipv4"), number(stock, "ipv6"),
		    number(stock, "waited_ipv4") + number(stock, "waited_ipv6"));
	line(out, "clients", "%" JSON_INTEGER_FORMAT " blocked after too many refusals",
	    number(o, "clients_blocked"));
}

void
status_print(const json_t *o, FILE *out)
{
	print_gateway(out, o);
	print_workers(out, o);
	print_protocols(out, part(o, "sessions"));
	print_reasons(out, part(o, "verdicts"), "verdicts");
	print_reasons(out, part(o, "sessions_refused"), "sessions that were not served");
	print_reasons(out, part(o, "sessions_ended"), "sessions that ended");
	print_dns(out, part(o, "dns"));
	print_log(out, part(o, "log"));
	print_captures(out, part(o, "capture"));
	print_sockets(out, o);
}

/* ---- sessions ---- */

static void
endpoint(const json_t *o, const char *ip_key, const char *port_key, char shown[64])
{
	const char *ip = text(o, ip_key);

	snprintf(shown, 64, strchr(ip, ':') == NULL ? "%.45s:%u" : "[%.45s]:%u", ip,
	    (unsigned)number(o, port_key));
}

void
status_print_sessions(const json_t *o, FILE *out)
{
	const json_t *list = part(o, "sessions"), *one;
	char from[64], to[64], when[32], in[32], back[32];
	size_t i;

	fprintf(out, "%16s  %-5s %-10s  %-23s  %-23s  %11s  %11s  %s\n", "flow_id", "proto",
	    "phase", "client", "server", "from client", "to client", "since");
	json_array_foreach(list, i, one)
	{
		const json_t *octets = part(one, "octets");

		endpoint(one, "src_ip", "src_port", from);
		endpoint(one, "dest_ip", "dest_port", to);
		fprintf(out,
		    "%16" JSON_INTEGER_FORMAT "  %-5s %-10s  %-23s  %-23s  %11s  %11s  %s\n",
		    number(one, "flow_id"), text(one, "app_proto"), text(one, "phase"), from, to,
		    size_of(number(octets, "from_client"), in),
		    size_of(number(octets, "to_client"), back), second(one, "started", when));
	}
	if (number(o, "left_out") > 0)
		fprintf(out, "and %" JSON_INTEGER_FORMAT " more\n", number(o, "left_out"));
}
