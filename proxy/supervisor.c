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
#include "faults.h"
#include "firewall_advice.h"
#include "interception.h"
#include "log_service.h"
#include "notify.h"
#include "relay.h"
#include "sandbox.h"
#include "slots.h"
#include "status_link.h"
#include "sysctl.h"

#define LOG_WAIT_MS  5000
#define SIGNALS	     5
#define OPEN_EVERY_S 60 /* between two records that say that traffic passes uninspected */

struct supervisor {
	struct event_base *base;
	struct config *config; /* in force */
	struct config *next;   /* read, and not yet in force */
	struct log_service *log;
	struct slots *slots;
	struct slots_events slots_events;
	struct status_link *status;
	pid_t status_pid;		   /* 0: there is none */
	struct interception *interception; /* NULL: nothing is taken off the wire */
	struct event *firewall_news;	   /* somebody changed the firewall */
	struct event *tick;		   /* every second */
	unsigned open_for;		   /* seconds in which no worker served, under bypass */
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

static void
on_note(void *arg, const char *event, unsigned slot, const char *text)
{
	struct supervisor *s = arg;

	fprintf(stderr, "postern: worker %u: %s: %s\n", slot, event, text);
	note(s, event, slot, text);
}

/* ---- the firewall ---- */

static void
on_advice(void *arg, const char *line)
{
	struct supervisor *s = arg;

	tell("firewall", line);
	note(s, "firewall_advice", 1, line);
}

static void
look_at_other_chains(struct supervisor *s, const struct config *c)
{
	const struct firewall_marks marks = {.mark = c->intercept.mark,
	    .own_mark = c->intercept.own_mark,
	    .mask = c->intercept.mark_mask};
	char line[SYSCTL_TEXT_MAX];

	firewall_advice(&marks, on_advice, s);
	if (c->mode == INTERCEPT_TPROXY && !c->intercept.sysctl && !early_demux_is_off(line))
		on_advice(s, line);
}

static struct gateway_page *
page(const struct supervisor *s)
{
	return status_link_gateway(s->status);
}

static void
show_guard(struct supervisor *s, bool intact)
{
	enum guard_state state = GUARD_MISSING;

	if (s->config == NULL || s->config->mode == INTERCEPT_OFF)
		state = GUARD_NONE;
	else if (s->config->intercept.on_exit_bypass)
		state = GUARD_BYPASS;
	else if (intact)
		state = GUARD_BLOCK;
	gateway_set(page(s), GATEWAY_GUARD, state);
}

static void
watch_firewall(struct supervisor *s, bool all)
{
	char why[INTERCEPTION_TEXT_MAX];

	switch (interception_watch(s->interception, all, why)) {
	case INTERCEPTION_INTACT:
		show_guard(s, true);
		break;
	case INTERCEPTION_MENDED:
		show_guard(s, true);
		gateway_add(page(s), GATEWAY_MENDED, 1);
		tell("firewall mended", why);
		note(s, "firewall_mended", 1, why);
		break;
	case INTERCEPTION_BROKEN:
		show_guard(s, false);
		tell("firewall broken", why);
		note(s, "firewall_broken", 1, why);
		break;
	}
}

static void
on_firewall_news(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	watch_firewall(arg, false);
}

static bool
start_interception(struct supervisor *s, char why[INTERCEPTION_TEXT_MAX])
{
	const enum protocol *served;
	size_t n = interception_protocols(&served);

	s->interception = interception_start(s->next, served, n, why);
	if (s->interception == NULL)
		return false;
	s->firewall_news = event_new(
	    s->base, interception_fd(s->interception), EV_READ | EV_PERSIST, on_firewall_news, s);
	if (s->firewall_news != NULL && event_add(s->firewall_news, NULL) == 0)
		return true;
	snprintf(why, INTERCEPTION_TEXT_MAX, "out of memory");
	return false;
}

static bool
stop_interception(struct supervisor *s, char why[INTERCEPTION_TEXT_MAX])
{
	bool stopped;

	if (s->firewall_news != NULL)
		event_free(s->firewall_news);
	s->firewall_news = NULL;
	stopped = s->interception == NULL || interception_stop(s->interception, why);
	s->interception = NULL;
	return stopped;
}

/* The workers of s->next serve: now connections may be sent to them. */
static bool
on_take_over(void *arg, const char **why)
{
	static char text[INTERCEPTION_TEXT_MAX];
	struct supervisor *s = arg;
	const enum protocol *served;
	size_t n = interception_protocols(&served);
	bool done;

	if (s->next->mode == INTERCEPT_OFF)
		done = stop_interception(s, text);
	else if (s->interception == NULL)
		done = start_interception(s, text);
	else
		done = interception_reload(s->interception, s->next, served, n, text);
	*why = text;
	if (done && s->next->mode != INTERCEPT_OFF)
		look_at_other_chains(s, s->next);
	return done;
}

/* Whoever chose bypass is told again and again that it is one at the moment. */
static void
say_if_open(struct supervisor *s)
{
	struct slots_stats stats;

	slots_stats(s->slots, &stats);
	if (s->interception == NULL || !s->config->intercept.on_exit_bypass || stats.serving > 0) {
		s->open_for = 0;
		return;
	}
	if (s->open_for++ % OPEN_EVERY_S == 0)
		note(s, "uninspected", s->open_for, "no worker serves: connections pass by");
}

/* ---- status ---- */

static void
show_numbers(struct supervisor *s)
{
	struct slots_stats slots;
	struct log_service_stats log;

	slots_stats(s->slots, &slots);
	log_service_stats(s->log, &log);
	gateway_set(page(s), GATEWAY_RESTARTS, slots.deaths);
	gateway_set(page(s), GATEWAY_BACKING_OFF, slots.resting);
	gateway_set(page(s), GATEWAY_LOG_LOST, log.lost);
	gateway_set(page(s), GATEWAY_LOG_ROTATIONS, log.rotations);
	gateway_set(page(s), GATEWAY_LOG_RESTARTS, log.restarts);
	gateway_log_trouble(page(s), log.trouble ? "records are being lost" : NULL);
}

/* One that could not be started is tried again with the next tick. */
static void
start_status(struct supervisor *s, const struct config *c)
{
	pid_t pid = status_link_start(s->status, c->user);

	if (pid < 0)
		tell("status", strerror(errno));
	else
		s->status_pid = pid;
}

/* False: the listeners that the configuration wants cannot be had. */
static bool
change_status(struct supervisor *s, const struct config *c, const char **why)
{
	static char text[STATUS_WHY_MAX];
	bool changed = false;

	*why = text;
	if (!status_link_listen(s->status, c, &changed, text))
		return false;
	if (changed && s->status_pid > 0)
		kill(s->status_pid, SIGTERM);
	return true;
}

static bool
reap_status(struct supervisor *s, pid_t pid)
{
	if (pid != s->status_pid)
		return false;
	s->status_pid = 0;
	status_link_lost(s->status);
	return true;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *s = arg;

	(void)fd;
	(void)what;
	if (s->interception != NULL)
		watch_firewall(s, true);
	if (s->up && !s->stopping)
		say_if_open(s);
	notify_watchdog(&s->notify);
	show_numbers(s);
	status_link_flush(s->status);
	if (s->status_pid == 0 && s->up && !s->stopping)
		start_status(s, s->config);
}

/* ---- a configuration comes into force ---- */

static void reload(struct supervisor *);

static void
on_serving(void *arg)
{
	struct supervisor *s = arg;
	bool first = !s->up;

	struct slots_stats slots;

	config_free(s->config);
	s->config = s->next;
	s->next = NULL;
	s->up = true;
	slots_stats(s->slots, &slots);
	gateway_config(page(s), s->config, slots.generation);
	show_guard(s, true);
	if (s->status_pid == 0)
		start_status(s, s->config);
	if (!first)
		gateway_add(page(s), GATEWAY_RELOADS, 1);
	tell("", first ? "ready" : "reloaded");
	note(s, first ? "started" : "reloaded", 1, s->config->path);
	notify_send(&s->notify, "READY=1\nSTATUS=serving");
	if (s->reload_again)
		reload(s);
}

static void
on_refused(void *arg, const char *why)
{
	struct supervisor *s = arg;

	config_free(s->next);
	s->next = NULL;
	if (!s->up) {
		tell("", why);
		s->code = 1;
		slots_stop(s->slots, 0);
		return;
	}
	tell("reload refused", why);
	gateway_reload_refused(page(s), why);
	note(s, "reload_refused", 1, why);
	notify_send(&s->notify, "READY=1\nSTATUS=serving; the last reload was refused");
	if (s->reload_again)
		reload(s);
}

static void
on_gone(void *arg)
{
	struct supervisor *s = arg;

	event_base_loopbreak(s->base);
}

/* Everything that one configuration may want of this machine, tried before anything changes. */
static bool
begin(struct supervisor *s, struct config *c)
{
	const char *why = NULL;

	s->next = c;
	if (geteuid() == 0 && !sandbox_check_user(c->user, &why)) {
		on_refused(s, why);
		return false;
	}
	if (!change_status(s, c, &why) || (s->up && !log_service_change(s->log, c, &why))) {
		on_refused(s, why);
		return false;
	}
	if (!slots_begin(s->slots, c, &why)) {
		on_refused(s, why);
		return false;
	}
	return true;
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
reload(struct supervisor *s)
{
	char fault[FAULT_TEXT_MAX];
	struct config *c;

	s->reload_again = slots_busy(s->slots);
	if (s->reload_again || s->stopping)
		return;
	if (strcmp(s->config->path, "-") == 0) {
		tell("reload refused", "the configuration came from standard input");
		return;
	}
	notify_reloading(&s->notify);
	c = read_again(s, fault);
	if (c != NULL)
		begin(s, c);
	else
		on_refused(s, fault);
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
		if (!slots_reap(s->slots, pid, status) && !reap_status(s, pid))
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
		reload(s);
		break;
	case SIGUSR1:
		log_service_reopen(s->log);
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
	const char *why = "out of memory";

	budget_raise_limit();
	why = notify_init(&s->notify);
	if (why != NULL)
		tell("NOTIFY_SOCKET", why);
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
	s->tick = event_new(s->base, -1, EV_PERSIST, on_tick, s);
	if (s->tick == NULL || event_add(s->tick, &second) != 0)
		return "out of memory";
	s->slots_events = (struct slots_events){.take_over = on_take_over,
	    .serving = on_serving,
	    .refused = on_refused,
	    .gone = on_gone,
	    .log_pipe = new_log_pipe,
	    .log_state = log_state_page,
	    .board = new_board,
	    .board_gone = on_board_gone,
	    .note = on_note,
	    .arg = s};
	s->slots = slots_new(s->base, &s->slots_events);
	return s->slots == NULL ? "out of memory" : NULL;
}

static void
stop(struct supervisor *s)
{
	char why[INTERCEPTION_TEXT_MAX];

	slots_free(s->slots);
	if (!stop_interception(s, why)) {
		tell("firewall", why);
		s->code = 1;
	}
	if (s->tick != NULL)
		event_free(s->tick);
	if (s->up)
		note(s, "stopped", 1, "by a signal");
	if (s->status_pid > 0)
		kill(s->status_pid, SIGKILL);
	status_link_free(s->status);
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
