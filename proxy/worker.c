#include "worker.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "listener.h"
#include "logger.h"
#include "session.h"

#define SOCKETS_PER_SESSION  2
/* Look-ups in flight, listeners, pipes, the loop's own. */
#define DESCRIPTORS_RESERVED 600
#define LOG_WAIT_MS	     5000

struct worker {
	const struct config *config;
	struct event_base *base;
	struct sessions sessions;
	struct log_pipe *log;
	int logger_pid;
	struct listener **listeners;
	size_t n_listeners;
	struct event *signals[4];
	struct event *drain;
	bool stopping;
};

static rlim_t
descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	return limit.rlim_max;
}

unsigned
worker_sessions_max(const struct config *c)
{
	rlim_t limit = descriptor_limit();
	unsigned fit = limit > DESCRIPTORS_RESERVED + SOCKETS_PER_SESSION
			   ? (unsigned)((limit - DESCRIPTORS_RESERVED) / SOCKETS_PER_SESSION)
			   : 1;

	return c->limits.sessions != 0 && c->limits.sessions < fit ? c->limits.sessions : fit;
}

static void
raise_descriptor_limit(void)
{
	struct rlimit limit = {.rlim_cur = descriptor_limit(), .rlim_max = descriptor_limit()};

	setrlimit(RLIMIT_NOFILE, &limit);
}

static int
fail(const char *why)
{
	fprintf(stderr, "postern: %s\n", why);
	return 1;
}

/* ---- clients come in ---- */

static void
accept_more(struct worker *w, bool more)
{
	for (size_t i = 0; i < w->n_listeners; i++)
		listener_pause(w->listeners[i], !more);
}

static void
on_accepted(void *arg, int fd, const struct sockaddr *client, const struct forward *f)
{
	struct worker *w = arg;

	session_open(&w->sessions, fd, client, f);
	if (w->sessions.count >= w->sessions.max)
		accept_more(w, false);
}

static void
on_session_ended(void *arg)
{
	struct worker *w = arg;

	if (w->stopping && w->sessions.count == 0)
		event_base_loopbreak(w->base);
	else if (!w->stopping && w->sessions.count + 1 == w->sessions.max)
		accept_more(w, true);
}

/* ---- stopping ---- */

static void
close_listeners(struct worker *w)
{
	for (size_t i = 0; i < w->n_listeners; i++)
		listener_free(w->listeners[i]);
	free(w->listeners);
	w->listeners = NULL;
	w->n_listeners = 0;
}

static void
on_drained(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	event_base_loopbreak(w->base);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct worker *w = arg;
	struct timeval tv = {(time_t)w->config->drain, 0};

	(void)what;
	if (number == SIGUSR1) {
		kill(w->logger_pid, SIGUSR1);
		return;
	}
	if (number == SIGHUP) {
		fprintf(stderr, "postern: SIGHUP: the configuration is read at start; restart to "
				"change it\n");
		return;
	}
	if (w->stopping || w->sessions.count == 0) {
		event_base_loopbreak(w->base);
		return;
	}
	w->stopping = true;
	close_listeners(w);
	event_add(w->drain, &tv);
}

/* ---- starting: everything that needs a file, before the loop ---- */

static const char *
start_listeners(struct worker *w)
{
	const struct config *c = w->config;
	const char *why = NULL;

	w->listeners = calloc(c->n_forwards, sizeof(struct listener *));
	for (size_t i = 0; w->listeners != NULL && i < c->n_forwards; i++) {
		int fd = listener_socket(&c->forwards[i], &why);

		if (fd < 0)
			return why;
		w->listeners[i] = listener_new(w->base, fd, &c->forwards[i], on_accepted, w);
		if (w->listeners[i] == NULL)
			return "out of memory";
		w->n_listeners++;
	}
	return w->listeners == NULL ? "out of memory" : NULL;
}

static const char *
start_signals(struct worker *w)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		/* what the loop goes back to when it stops listening: nothing may cut the end short
		 */
		signal(numbers[i], SIG_IGN);
		w->signals[i] = evsignal_new(w->base, numbers[i], on_signal, w);
		if (w->signals[i] == NULL || evsignal_add(w->signals[i], NULL) != 0)
			return "out of memory";
	}
	w->drain = evtimer_new(w->base, on_drained, w);
	return w->drain == NULL ? "out of memory" : NULL;
}

static struct event_base *
new_base(void)
{
	struct event_config *how = event_config_new();
	struct event_base *base = NULL;

	if (how != NULL) {
		event_config_set_flag(how, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
		base = event_base_new_with_config(how);
		event_config_free(how);
	}
	return base;
}

static const char *
start_sessions(struct worker *w)
{
	const char *why = "out of memory";
	struct sessions *s = &w->sessions;

	*s = (struct sessions){.base = w->base,
	    .config = w->config,
	    .max = worker_sessions_max(w->config),
	    .ended = on_session_ended,
	    .arg = w};
	s->clients = clients_new(&w->config->limits);
	s->resolver = resolver_new(w->base, w->config->resolvers, &why);
	if (s->clients == NULL || s->resolver == NULL)
		return why;
	sessions_init(s, w->log);
	return NULL;
}

static const char *
start(struct worker *w)
{
	const char *why = NULL;
	int log;

	raise_descriptor_limit();
	if (!record_init())
		return "cannot set up records";
	log = logger_start(w->config->log, &w->logger_pid, &why);
	if (log < 0)
		return why;
	w->base = new_base();
	w->log = w->base == NULL ? NULL : log_pipe_new(w->base, log);
	if (w->log == NULL)
		return "cannot make an event loop";
	why = start_signals(w);
	if (why == NULL)
		why = start_sessions(w);
	return why == NULL ? start_listeners(w) : why;
}

static void
stop(struct worker *w)
{
	close_listeners(w);
	sessions_end(&w->sessions);
	resolver_free(w->sessions.resolver);
	clients_free(w->sessions.clients);
	for (size_t i = 0; i < sizeof(w->signals) / sizeof(w->signals[0]); i++)
		if (w->signals[i] != NULL)
			event_free(w->signals[i]);
	if (w->drain != NULL)
		event_free(w->drain);
	log_pipe_free(w->log, LOG_WAIT_MS);
	if (w->base != NULL)
		event_base_free(w->base);
	if (w->logger_pid > 0)
		waitpid(w->logger_pid, NULL, 0);
}

int
worker_run(const struct config *config)
{
	struct worker w = {.config = config};
	const char *why = start(&w);
	int code = 0;

	if (why != NULL) {
		code = fail(why);
	} else {
		fputs("postern: ready\n", stderr);
		if (event_base_dispatch(w.base) < 0)
			code = fail("the event loop failed");
	}
	stop(&w);
	return code;
}
