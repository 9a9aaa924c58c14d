#include "supervisor.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "budget.h"
#include "data_service.h"
#include "faults.h"
#include "interception_service.h"
#include "log_service.h"
#include "notify.h"
#include "relay.h"
#include "sandbox.h"
#include "signer_link.h"
#include "slots.h"
#include "status_link.h"
#include "tap_service.h"

#define LOG_WAIT_MS 5000
#define SIGNALS	    5
#define EVENT_MAX   32 /* octets of the name of an event with its NUL */

struct supervisor {
	struct event_base *base;
	struct config *config; /* in force */
	struct config *next;   /* read, and not yet in force */
	struct log_service *log;
	struct slots *slots;
	struct slots_events slots_events;
	struct status_link *status;
	struct signer_link *signer;
	struct tap_service *taps;
	struct tap_service_stats captures; /* as they were last said */
	struct interception_service *interception;
	struct data_service *data;
	struct event *tick;	  /* every second */
	struct event *reload_due; /* from the loop, when nothing else is going on */
	struct notify notify;
	struct event *signals[SIGNALS];
	bool up; /* clients were served once */
	bool stopping;
	bool reload_again; /* SIGHUP came while a reload was under way */
	int code;
};

static void
tell(const char *what, const char *why)
{
	fprintf(stderr, "postern: %s%s%s\n", what, *what != '\0' ? ": " : "", why);
}

static void
note(struct supervisor *s, const char *event, uint64_t value, const char *text)
{
	record_stats(event, value, text, log_service_write, s->log);
}

/* ---- workers ---- */

static int
new_log_pipe(void *arg, unsigned slot)
{
	struct supervisor *s = arg;

	return log_service_pipe(s->log, slot);
}

static int
new_capture_pipe(void *arg, const struct config *c)
{
	struct supervisor *s = arg;

	return tap_service_pipe(s->taps, c);
}

static int
log_state_page(void *arg)
{
	const struct supervisor *s = arg;

	return log_service_state(s->log);
}

static int
new_board(void *arg, unsigned slot, const struct config *c, unsigned *number)
{
	struct supervisor *s = arg;
	struct budget budget;

	budget_compute(c, &budget);
	return status_link_board(s->status, slot, budget.sessions, number);
}

static void
on_board_gone(void *arg, unsigned number)
{
	struct supervisor *s = arg;

	status_link_board_gone(s->status, number);
}

/* "worker died" for worker_died. */
static const char *
in_words(const char *event, char words[EVENT_MAX])
{
	snprintf(words, EVENT_MAX, "%s", event);
	for (char *c = words; *c != '\0'; c++)
		if (*c == '_')
			*c = ' ';
	return words;
}

static void
on_note(void *arg, const char *event, unsigned slot, const char *text)
{
	struct supervisor *s = arg;
	char words[EVENT_MAX];

	fprintf(stderr, "postern: %s (slot %u): %s\n", in_words(event, words), slot, text);
	note(s, event, slot, text);
}

static void
on_firewall_note(void *arg, const char *event, const char *text)
{
	char words[EVENT_MAX];

	tell(in_words(event, words), text);
	note(arg, event, 1, text);
}

/* ---- status ---- */

static struct gateway_page *
page(const struct supervisor *s)
{
	return status_link_gateway(s->status);
}

/* Which ports of the configuration are looked into, and which nobody here speaks. */
static void
show_ports(struct supervisor *s)
{
	if (s->config->mode == INTERCEPT_OFF)
		return;
	for (enum protocol p = 0; p < PROTOCOL_COUNT; p++) {
		size_t n;
		const unsigned *ports = config_ports(s->config, p, &n);

		for (size_t i = 0; i < n; i++)
			gateway_port(page(s), p, ports[i], relay_ops_of(p) != NULL);
	}
}

static void
show_numbers(struct supervisor *s, const struct slots_stats *slots)
{
	struct log_service_stats log;

	log_service_stats(s->log, &log);
	gateway_set(page(s), GATEWAY_RESTARTS, slots->deaths);
	gateway_set(page(s), GATEWAY_BACKING_OFF, slots->resting);
	gateway_set(page(s), GATEWAY_LOG_LOST, log.lost);
	gateway_set(page(s), GATEWAY_LOG_ROTATIONS, log.rotations);
	gateway_set(page(s), GATEWAY_LOG_RESTARTS, log.restarts);
	gateway_log_trouble(page(s), log.trouble ? "records are being lost" : NULL);
}

/* One that could not be started is tried again with the next tick. */
static void
run_status(struct supervisor *s)
{
	if (!status_link_run(s->status, s->config->user))
		tell("status", strerror(errno));
}

/* ---- the signer ---- */

static unsigned
signer_number(void *arg)
{
	const struct supervisor *s = arg;

	return signer_link_number(s->signer);
}

static int
signer_pair(void *arg)
{
	struct supervisor *s = arg;

	return signer_link_pair(s->signer);
}

/* Where it cannot be started sessions wait for it, and it is tried again with the next tick. */
static void
run_signer(struct supervisor *s)
{
	if (!signer_link_run(s->signer, s->config->user))
		tell("signer", strerror(errno));
	slots_connect_signer(s->slots);
}

static bool
reap_signer(struct supervisor *s, pid_t pid)
{
	if (!signer_link_reap(s->signer, pid))
		return false;
	tell("the signer died", "another one takes its place");
	note(s, "signer_died", 1, "what it was asked is asked again");
	if (s->up && !s->stopping)
		run_signer(s);
	return true;
}

/* ---- captures ---- */

static bool
reap_tap(struct supervisor *s, pid_t pid)
{
	struct tap_service_stats before, after;

	tap_service_stats(s->taps, &before);
	if (!tap_service_reap(s->taps, pid))
		return false;
	tap_service_stats(s->taps, &after);
	if (after.restarts != before.restarts)
		note(s, "capture_restarted", 1, "what it had read and not written is lost");
	return true;
}

/* What was lost since it was last said. */
static void
say_captures(struct supervisor *s)
{
	struct tap_service_stats now, *said = &s->captures;

	tap_service_stats(s->taps, &now);
	if (now.lost > said->lost)
		note(s, "capture_lost", now.lost - said->lost,
		    now.trouble != 0 ? strerror(now.trouble) : "frames could not be written");
	if (now.left_out > said->left_out)
		note(s, "capture_left_out", now.left_out - said->left_out,
		    "too much waited for a refusal");
	*said = now;
	gateway_set(page(s), GATEWAY_CAPTURES, s->config == NULL ? 0 : s->config->n_captures);
	gateway_set(page(s), GATEWAY_CAPTURE_FRAMES, now.frames);
	gateway_set(page(s), GATEWAY_CAPTURE_OCTETS, now.octets);
	gateway_set(page(s), GATEWAY_CAPTURE_FILES, now.files);
	gateway_set(page(s), GATEWAY_CAPTURE_REMOVED, now.removed);
	gateway_set(page(s), GATEWAY_CAPTURE_LOST, now.lost);
	gateway_set(page(s), GATEWAY_CAPTURE_LEFT_OUT, now.left_out);
	gateway_set(page(s), GATEWAY_CAPTURE_RESTARTS, now.restarts);
	gateway_set(page(s), GATEWAY_CAPTURE_TROUBLE, now.trouble != 0);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *s = arg;
	struct slots_stats slots;

	(void)fd;
	(void)what;
	slots_stats(s->slots, &slots);
	interception_service_tick(s->interception, slots.serving);
	notify_watchdog(&s->notify);
	show_numbers(s, &slots);
	status_link_flush(s->status);
	tap_service_tick(s->taps);
	say_captures(s);
	if (s->up && !s->stopping) {
		run_status(s);
		run_signer(s);
	}
}

/* ---- a configuration comes into force ---- */

/* A reload is over, one way or the other; another one may have been asked for meanwhile. */
static void
reload_over(struct supervisor *s, const char *status)
{
	notify_send(&s->notify, status);
	if (s->reload_again)
		event_active(s->reload_due, EV_TIMEOUT, 0);
}

/* The keys of the next configuration; where there is no room for one more descriptor the old stay.
 */
static void
change_signer(struct supervisor *s)
{
	if (!signer_link_change(s->signer, s->next) || !signer_link_run(s->signer, s->next->user))
		tell("signer", strerror(errno));
}

/*
 * All workers of the next configuration are ready to serve. What it wants of the rest of this
 * machine is taken in the order in which it can be given back: the log, the listeners for status,
 * the firewall.
 */
static bool
on_take_over(void *arg, const char **why)
{
	static char text[INTERCEPTION_TEXT_MAX];
	char ignored[STATUS_WHY_MAX];
	struct supervisor *s = arg;
	const char *unused;

	*why = text;
	if (!log_service_change(s->log, s->next, why))
		return false;
	if (status_link_listen(s->status, s->next, text) &&
	    interception_service_apply(s->interception, s->next, text)) {
		change_signer(s);
		return true;
	}
	if (s->config != NULL) {
		log_service_change(s->log, s->config, &unused);
		status_link_listen(s->status, s->config, ignored);
	}
	return false;
}

static void
on_serving(void *arg)
{
	struct supervisor *s = arg;
	bool first = !s->up;
	struct slots_stats slots;

	config_free(s->config);
	s->config = s->next;
	tap_service_serving(s->taps, s->config);
	s->next = NULL;
	s->up = true;
	slots_stats(s->slots, &slots);
	gateway_config(page(s), s->config, slots.generation);
	show_ports(s);
	run_status(s);
	run_signer(s);
	if (!first)
		gateway_add(page(s), GATEWAY_RELOADS, 1);
	tell("", first ? "ready" : "reloaded");
	note(s, first ? "started" : "reloaded", 1, s->config->path);
	reload_over(s, "READY=1\nSTATUS=serving");
}

static void
keep_what_serves(struct supervisor *s, const char *why)
{
	gateway_reload_refused(page(s), why);
	note(s, "reload_refused", 1, why);
	reload_over(s, "READY=1\nSTATUS=serving; the last reload was refused");
}

static void
on_refused(void *arg, const char *why)
{
	struct supervisor *s = arg;

	tap_service_serving(s->taps, s->config);
	config_free(s->next);
	s->next = NULL;
	if (!s->up) {
		tell("", why);
		s->code = 1;
		s->stopping = true; /* a SIGHUP that comes now finds nothing to reload */
		slots_stop(s->slots, 0);
		return;
	}
	tell("reload refused", why);
	keep_what_serves(s, why);
}

static void
on_gone(void *arg)
{
	struct supervisor *s = arg;

	event_base_loopbreak(s->base);
}

static bool
user_will_do(const struct config *c, const char **why)
{
	return geteuid() != 0 || sandbox_check_user(c->user, why);
}

static void
begin(struct supervisor *s, struct config *c)
{
	static char fault[TAP_WHY_MAX];
	const char *why = fault;

	s->next = c;
	if (!user_will_do(c, &why) || !tap_service_begin(s->taps, c, fault) ||
	    !slots_begin(s->slots, c, &why))
		on_refused(s, why);
}

/* NULL: fault has the first line of what was said about it. */
static struct config *
read_again(const struct supervisor *s, char fault[FAULT_TEXT_MAX])
{
	char *told = NULL;
	size_t n = 0;
	FILE *err = open_memstream(&told, &n);
	struct config *c = err == NULL ? NULL : config_read(s->config->path, err);

	if (c != NULL && !config_can_run(c, err)) {
		config_free(c);
		c = NULL;
	}
	if (err != NULL)
		fclose(err);
	fputs(told != NULL ? told : "", stderr);
	snprintf(fault, FAULT_TEXT_MAX, "%.*s", told != NULL ? (int)strcspn(told, "\n") : 0,
	    told != NULL ? told : "");
	free(told);
	return c;
}

static void
on_reload_due(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *s = arg;
	char fault[FAULT_TEXT_MAX];
	struct config *c;

	(void)fd;
	(void)what;
	s->reload_again = s->next != NULL;
	if (s->reload_again || s->stopping)
		return;
	if (strcmp(s->config->path, "-") == 0) {
		tell("reload refused", "the configuration came from standard input");
		return;
	}
	notify_reloading(&s->notify);
	c = read_again(s, fault);
	if (c != NULL) {
		begin(s, c);
		return;
	}
	tell("reload refused", "the configuration in force stays");
	keep_what_serves(s, fault);
}

/* ---- signals ---- */

static void
stop_serving(struct supervisor *s)
{
	unsigned drain = s->stopping || s->config == NULL ? 0 : s->config->drain;

	s->stopping = true;
	notify_send(&s->notify, "STOPPING=1");
	slots_stop(s->slots, drain);
}

static void
reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!slots_reap(s->slots, pid, status) && !status_link_reap(s->status, pid) &&
		    !reap_signer(s, pid) && !reap_tap(s, pid))
			log_service_reap(s->log, pid, status);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct supervisor *s = arg;

	(void)what;
	switch (number) {
	case SIGCHLD:
		reap(s);
		break;
	case SIGHUP:
		event_active(s->reload_due, EV_TIMEOUT, 0);
		break;
	case SIGUSR1:
		log_service_reopen(s->log);
		tap_service_rotate(s->taps);
		break;
	default:
		stop_serving(s);
		break;
	}
}

/* ---- start and end ---- */

static bool
start_signals(struct supervisor *s)
{
	static const int numbers[SIGNALS] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < SIGNALS; i++) {
		s->signals[i] = evsignal_new(s->base, numbers[i], on_signal, s);
		if (s->signals[i] == NULL || evsignal_add(s->signals[i], NULL) != 0)
			return false;
	}
	return true;
}

static const char *
start(struct supervisor *s, const struct config *c)
{
	const struct timeval second = {1, 0};
	const char *why;

	budget_raise_limit();
	why = notify_init(&s->notify);
	if (why != NULL)
		tell("NOTIFY_SOCKET", why);
	if (!user_will_do(c, &why))
		return why;
	why = "out of memory";
	if (!record_init())
		return "cannot set up records";
	s->base = event_base_new();
	if (s->base == NULL || !start_signals(s))
		return why;
	s->log = log_service_new(s->base, c, &why);
	if (s->log == NULL)
		return why;
	s->status = status_link_new();
	if (s->status == NULL)
		return strerror(errno);
	s->signer = signer_link_new();
	if (s->signer == NULL)
		return "out of memory";
	s->taps = tap_service_new();
	if (s->taps == NULL)
		return strerror(errno);
	s->interception = interception_service_new(s->base, page(s), on_firewall_note, s);
	s->data = data_service_new(s->base, s->interception, on_firewall_note, s);
	s->tick = event_new(s->base, -1, EV_PERSIST, on_tick, s);
	s->reload_due = evtimer_new(s->base, on_reload_due, s);
	if (s->interception == NULL || s->data == NULL || s->tick == NULL ||
	    s->reload_due == NULL || event_add(s->tick, &second) != 0)
		return "out of memory";
	s->slots_events = (struct slots_events){.take_over = on_take_over,
	    .serving = on_serving,
	    .refused = on_refused,
	    .gone = on_gone,
	    .log_pipe = new_log_pipe,
	    .log_state = log_state_page,
	    .capture = new_capture_pipe,
	    .board = new_board,
	    .board_gone = on_board_gone,
	    .signer = signer_number,
	    .signer_pair = signer_pair,
	    .note = on_note,
	    .arg = s};
	s->slots = slots_new(s->base, &s->slots_events, s->data);
	return s->slots == NULL ? "out of memory" : NULL;
}

static void
stop(struct supervisor *s)
{
	char why[INTERCEPTION_TEXT_MAX];

	slots_free(s->slots);
	data_service_free(s->data);
	if (!interception_service_free(s->interception, why)) {
		tell("firewall", why);
		s->code = 1;
	}
	if (s->tick != NULL)
		event_free(s->tick);
	if (s->reload_due != NULL)
		event_free(s->reload_due);
	if (s->up)
		note(s, "stopped", 1, "by a signal");
	status_link_free(s->status);
	signer_link_free(s->signer);
	tap_service_free(s->taps, LOG_WAIT_MS);
	log_service_free(s->log, LOG_WAIT_MS);
	for (size_t i = 0; i < SIGNALS; i++)
		if (s->signals[i] != NULL)
			event_free(s->signals[i]);
	if (s->base != NULL)
		event_base_free(s->base);
	notify_end(&s->notify);
	config_free(s->next);
	config_free(s->config);
}

int
supervisor_run(struct config *c)
{
	struct supervisor s = {.code = 0};
	const char *why = start(&s, c);

	if (why != NULL) {
		tell("", why);
		s.code = 1;
		config_free(c);
	} else {
		begin(&s, c);
		if (event_base_dispatch(s.base) < 0)
			s.code = 1;
	}
	stop(&s);
	return s.code;
}
