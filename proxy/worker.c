#include "worker.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "budget.h"
#include "config_handover.h"
#include "data_pipe.h"
#include "ftp_servers.h"
#include "ipc.h"
#include "listener.h"
#include "log_state.h"
#include "mime/analyzers_init.h"
#include "sandbox.h"
#include "session_open.h"
#include "session_services.h"
#include "tls_distrust.h"
#include "tls_keys.h"
#include "tls_mint.h"

#define LOG_WAIT_MS 1000
#define TAP_WAIT_MS 1000
#define HEAP_KEPT   (1 << 20) /* octets at the end of the heap that are not given back */

struct worker {
	struct tls_offers *tls_offers;
	struct tls_keys *tls_keys; /* NULL: no TLS ends here */
	struct tls_mint *mint;	   /* NULL: there is no CA */
	struct config *config;
	struct event_base *base;
	struct sessions sessions;
	struct log_pipe *log;
	struct log_state *log_state;
	struct taps taps;	     /* pipe NULL: there are no captures */
	struct listener **listeners; /* of sessions */
	size_t n_listeners;
	struct listener *data_listeners[2]; /* of data connections taken off the wire; NULL: none */
	struct data_shared data;
	struct data_pipes pipes;
	struct event *control, *drain, *tick;
	struct board *board;
	bool retiring;
	bool full; /* nobody is accepted: there is no room */
	int code;
};

static int
fail(const char *why)
{
	fprintf(stderr, "postern: worker: %s\n", why);
	return 1;
}

static void
end_loop(struct worker *w, int code)
{
	w->code = code;
	event_base_loopbreak(w->base);
}

/* ---- clients come in ---- */

static void
accept_more(struct worker *w, bool more)
{
	w->full = !more;
	for (size_t i = 0; i < w->n_listeners; i++)
		listener_pause(w->listeners[i], !more);
}

static void
on_accepted(void *arg, int fd, const struct sockaddr *client, const struct arrival *a)
{
	struct worker *w = arg;

	session_open(&w->sessions, fd, client, a);
	if (sessions_full(&w->sessions))
		accept_more(w, false);
}

static void
on_data_accepted(void *arg, int fd, const struct sockaddr *peer, const struct arrival *a)
{
	struct worker *w = arg;
	const struct endpoint from = address_endpoint(peer);
	struct endpoint at;

	arrival_wanted(fd, a, &at);
	data_holes_came(w->data.holes, fd, &from, &at);
}

static void
on_session_ended(void *arg)
{
	struct worker *w = arg;

	if (w->retiring && w->sessions.count == 0)
		end_loop(w, 0);
	else if (w->full && !w->retiring && !sessions_full(&w->sessions))
		accept_more(w, true);
}

static bool
is_unaudited(void *arg)
{
	const struct worker *w = arg;

	return w->config->audit_required &&
	       (log_state_trouble(w->log_state) || log_pipe_in_trouble(w->log));
}

/* ---- what the supervisor says ---- */

static void
say(struct worker *w, enum ipc_type type, uint32_t a, uint32_t b)
{
	const struct ipc_message m = {.type = type, .a = a, .b = b};

	data_requests_post(w->data.requests, &m);
}

static void
on_supervisor_lost(void *arg)
{
	end_loop(arg, fail("the supervisor does not listen"));
}

static void
ask_for_sockets(void *arg, enum ip_family family, unsigned n)
{
	say(arg, IPC_MORE_SOCKETS, family, n);
}

/* False: there is no such listener in this configuration. */
static bool
make_arrival(const struct worker *w, const struct ipc_message *m, struct arrival *out)
{
	const struct config *c = w->config;

	*out = (struct arrival){.mode = c->mode};
	if (m->a == IPC_LISTEN_DATA4 || m->a == IPC_LISTEN_DATA6) {
		out->protocol = PROTOCOL_FTP;
		return c->mode != INTERCEPT_OFF;
	}
	if (m->a == IPC_LISTEN_FORWARD) {
		if (m->b >= c->n_forwards)
			return false;
		out->forward = &c->forwards[m->b];
		out->protocol = out->forward->protocol;
		return true;
	}
	out->protocol = (enum protocol)m->b;
	return c->mode != INTERCEPT_OFF && m->b < PROTOCOL_COUNT &&
	       relay_ops_of(out->protocol) != NULL;
}

/* Data connections of sessions that are there already come in whatever else is paused. */
static void
add_data_listener(struct worker *w, const struct ipc_message *m, int fd)
{
	struct listener **l = &w->data_listeners[m->a == IPC_LISTEN_DATA6];
	struct arrival a;

	if (*l != NULL || !make_arrival(w, m, &a)) {
		close(fd);
		end_loop(w, fail("a listener that does not belong to the configuration"));
		return;
	}
	*l = listener_new(w->base, fd, &a, on_data_accepted, w);
	if (*l == NULL)
		end_loop(w, fail("out of memory"));
}

static void
add_listener(struct worker *w, const struct ipc_message *m, int fd)
{
	struct listener **more =
	    realloc(w->listeners, (w->n_listeners + 1) * sizeof(struct listener *));
	struct arrival a;

	if (more != NULL)
		w->listeners = more;
	if (more == NULL || !make_arrival(w, m, &a)) {
		close(fd);
		end_loop(w, fail("a listener that does not belong to the configuration"));
		return;
	}
	w->listeners[w->n_listeners] = listener_new(w->base, fd, &a, on_accepted, w);
	if (w->listeners[w->n_listeners] == NULL) {
		end_loop(w, fail("out of memory"));
		return;
	}
	listener_pause(w->listeners[w->n_listeners++], true);
}

static void
serve(struct worker *w)
{
	board_state(w->board, BOARD_SERVING);
	accept_more(w, true);
	say(w, IPC_SERVING, 0, 0);
}

static void
retire(struct worker *w, uint32_t seconds)
{
	struct timeval tv = {(time_t)seconds, 0};

	w->retiring = true;
	board_state(w->board, BOARD_DRAINING);
	for (size_t i = 0; i < w->n_listeners; i++)
		listener_close(w->listeners[i]);
	if (w->sessions.count == 0)
		end_loop(w, 0);
	else
		event_add(w->drain, &tv);
}

static void
take_sockets(struct worker *w, uint32_t family, const int fds[], size_t n)
{
	if (w->sessions.stock != NULL) {
		stock_add(w->sessions.stock, (enum ip_family)family, fds, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void
take_signer(struct worker *w, int fd)
{
	if (w->mint != NULL)
		tls_mint_connect(w->mint, fd);
	else
		close(fd);
}

static void
obey(struct worker *w, const struct ipc_message *m, const int fds[], size_t n)
{
	switch (m->type) {
	case IPC_LISTENER:
		if (m->a == IPC_LISTEN_DATA4 || m->a == IPC_LISTEN_DATA6)
			add_data_listener(w, m, fds[0]);
		else
			add_listener(w, m, fds[0]);
		break;
	case IPC_SERVE:
		serve(w);
		break;
	case IPC_SOCKETS:
		take_sockets(w, m->a, fds, n);
		break;
	case IPC_SIGNER:
		take_signer(w, fds[0]);
		break;
	case IPC_RETIRE:
		retire(w, m->a);
		break;
	case IPC_DATA_ANSWER:
		data_requests_answer(w->data.requests, m, fds, n);
		break;
	default: /* ipc_receive() gives nothing else */
		break;
	}
}

static void
on_control(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct ipc_message m;
	int fds[IPC_FDS_MAX];
	enum ipc_result got;
	const char *why = NULL;
	size_t n;

	(void)what;
	while ((got = ipc_receive(fd, IPC_FROM_SUPERVISOR_TO_WORKER, &m, fds, &n, &why)) == IPC_OK)
		obey(w, &m, fds, n);
	if (got == IPC_GARBAGE)
		end_loop(w, fail(why));
	else if (got == IPC_CLOSED)
		end_loop(w, 1);
}

static void
on_drained(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	end_loop(arg, 0);
}

/* What others keep count of goes on the board from time to time. */
static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct stock_stats stock = {0};

	(void)fd;
	(void)what;
	if (w->sessions.stock != NULL)
		stock_stats(w->sessions.stock, &stock);
	board_set(w->board, BOARD_STOCK4, stock.in_stock4);
	board_set(w->board, BOARD_STOCK6, stock.in_stock6);
	board_count(w->board, BOARD_STOCK_WAITS4, stock.waited4);
	board_count(w->board, BOARD_STOCK_WAITS6, stock.waited6);
	board_set(w->board, BOARD_PENDING_CONNECTS, clients_pending(w->sessions.clients));
	board_count(w->board, BOARD_LOG_WRITTEN, log_pipe_written(w->log));
	board_count(w->board, BOARD_LOG_DROPPED, log_pipe_dropped(w->log));
	if (w->taps.pipe == NULL)
		return;
	board_count(w->board, BOARD_CAPTURE_WRITTEN, tap_pipe_written(w->taps.pipe));
	board_count(w->board, BOARD_CAPTURE_DROPPED, tap_pipe_dropped(w->taps.pipe));
}

/* ---- starting: everything that needs a file or a privilege ---- */

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

static bool
start_data(struct worker *w)
{
	w->data = (struct data_shared){.base = w->base,
	    .config = w->config,
	    .requests = data_requests_new(w->base, WORKER_CONTROL, on_supervisor_lost, w),
	    .holes = data_holes_new(),
	    .clients = w->sessions.clients,
	    .stock = w->sessions.stock,
	    .pipes = &w->pipes,
	    .farewells = data_farewells_new(w->base)};
	w->sessions.data = &w->data;
	return w->data.requests != NULL && w->data.holes != NULL && w->data.farewells != NULL;
}

/* One that finds no room is told by the next session. */
static void
tell_offer(void *arg, const struct tls_offer *o)
{
	const struct ipc_message m = {.type = IPC_TLS_OFFERED,
	    .a = o->protocol,
	    .flow = {.destination = o->ip, .port = o->port}};

	(void)arg;
	if (ipc_send(WORKER_CONTROL, &m, NULL, 0) == IPC_CLOSED)
		return; /* whoever reads from it finds out */
}

static const char *
start_sessions(struct worker *w)
{
	const char *why = "out of memory";
	struct sessions *s = &w->sessions;
	struct budget budget;

	budget_compute(w->config, &budget);
	*s = (struct sessions){.base = w->base,
	    .config = w->config,
	    .tls_keys = w->tls_keys,
	    .mint = w->mint,
	    .distrust = w->mint == NULL ? NULL : tls_distrust_new(),
	    .tls_offers = w->tls_offers,
	    .offered = tell_offer,
	    .taps = w->taps.pipe == NULL ? NULL : &w->taps,
	    .board = w->board,
	    .max = budget.sessions,
	    .descriptors = budget.left,
	    .unaudited = is_unaudited,
	    .ended = on_session_ended,
	    .arg = w};
	s->deadlines = deadlines_new();
	s->clients = clients_new(&w->config->limits);
	s->ftp_servers = ftp_servers_new();
	s->resolver = resolver_new(w->base, w->config->resolvers, &why);
	if (config_asks_published(w->config)) {
		s->validator = resolver_new_validating(
		    w->base, w->config->resolvers, w->config->dnssec_anchors, &why);
		if (s->validator == NULL)
			return why;
	}
	if (w->config->mode != INTERCEPT_OFF)
		s->stock = stock_new(ask_for_sockets, w);
	if (s->deadlines == NULL || s->clients == NULL || s->resolver == NULL ||
	    (s->stock == NULL && w->config->mode != INTERCEPT_OFF) || !start_data(w))
		return why;
	resolver_board(s->resolver, w->board);
	session_services(s, w->log);
	sessions_start(s);
	return NULL;
}

static const char *
start_loop(struct worker *w)
{
	const struct timeval second = {1, 0};

	w->log_state = log_state_map(WORKER_LOG_STATE, false);
	close(WORKER_LOG_STATE);
	if (w->log_state == NULL)
		return "cannot look at the logger's state";
	w->base = new_base();
	/* where every record counts, it is out before a peer hears what it tells of */
	w->log =
	    w->base == NULL ? NULL : log_pipe_new(w->base, WORKER_LOG, w->config->audit_required);
	if (w->log == NULL)
		return "cannot make an event loop";
	w->taps.config = w->config;
	if (w->config->n_captures > 0)
		w->taps.pipe = tap_pipe_new(w->base, WORKER_CAPTURE, log_pipe_write, w->log);
	else
		close(WORKER_CAPTURE);
	if (w->config->n_captures > 0 && w->taps.pipe == NULL)
		return "out of memory";
	w->control = event_new(w->base, WORKER_CONTROL, EV_READ | EV_PERSIST, on_control, w);
	w->drain = evtimer_new(w->base, on_drained, w);
	w->tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
	if (w->control == NULL || w->drain == NULL || w->tick == NULL ||
	    event_add(w->control, NULL) != 0 || event_add(w->tick, &second) != 0)
		return "out of memory";
	return NULL;
}

static const char *
start(struct worker *w, char **argv)
{
	const char *why = NULL;
	uint64_t slot, generation;

	if (!span_u64(span_str(argv[2]), WORKERS_MAX, &slot) ||
	    !span_u64(span_str(argv[3]), UINT32_MAX, &generation))
		return "its arguments are not the supervisor's";
	w->board = board_open(WORKER_BOARD, (unsigned)slot, (unsigned)generation);
	if (w->board == NULL)
		return "cannot map its board";
	w->tls_offers = tls_offers_open(WORKER_TLS_OFFERS);
	close(WORKER_TLS_OFFERS);
	if (w->tls_offers == NULL)
		return "cannot map what servers offer";
	w->config = config_inherit(argv[1], WORKER_CONFIG, stderr);
	close(WORKER_CONFIG);
	if (w->config == NULL)
		return "cannot read the configuration that was handed over";
	budget_raise_limit();
	if (!record_init())
		return "cannot set up records";
	if (w->config->mime.inspect && !analyzers_init(w->config->mime.types == TYPES_SYSTEM, &why))
		return why;
	if (config_uses_tls(w->config) && (w->tls_keys = tls_keys_new(w->config, &why)) == NULL)
		return why;
	if (!sandbox_drop(w->config->user, &why))
		return why;
	process_follow_parent(); /* the kernel forgot it with the user */
	why = start_loop(w);
	if (why == NULL && w->config->tls.own_ca_pem.n > 0)
		w->mint = tls_mint_new(w->base, w->config, &why);
	if (why == NULL)
		why = start_sessions(w);
	if (why == NULL && !sandbox_close(SANDBOX_WORKER, &why))
		return why;
	return why;
}

static void
stop(struct worker *w)
{
	sessions_end(&w->sessions);
	if (w->sessions.clients != NULL)
		on_tick(-1, 0, w);
	for (size_t i = 0; i < w->n_listeners; i++)
		listener_free(w->listeners[i]);
	free(w->listeners);
	listener_free(w->data_listeners[0]);
	listener_free(w->data_listeners[1]);
	data_requests_free(w->data.requests);
	data_holes_free(w->data.holes);
	data_farewells_free(w->data.farewells);
	data_pipes_free(&w->pipes);
	resolver_free(w->sessions.resolver);
	resolver_free(w->sessions.validator);
	stock_free(w->sessions.stock);
	clients_free(w->sessions.clients);
	deadlines_free(w->sessions.deadlines);
	ftp_servers_free(w->sessions.ftp_servers);
	tls_mint_free(w->mint);
	tls_distrust_free(w->sessions.distrust);
	tls_keys_free(w->tls_keys);
	tls_offers_close(w->tls_offers);
	if (w->control != NULL)
		event_free(w->control);
	if (w->drain != NULL)
		event_free(w->drain);
	if (w->tick != NULL)
		event_free(w->tick);
	tap_pipe_free(w->taps.pipe, TAP_WAIT_MS);
	log_pipe_free(w->log, LOG_WAIT_MS);
	log_state_unmap(w->log_state);
	if (w->base != NULL)
		event_base_free(w->base);
	board_close(w->board);
	config_free(w->config);
	analyzers_end();
}

int
worker_main(int argc, char **argv)
{
	struct worker w = {.code = 1};
	const char *why;

	process_follow_parent();
	process_name("postern-worker");
	/* the supervisor says when to end */
	signal(SIGTERM, SIG_IGN);
	/* else what one message frees is given back, and paid for page by page by the next one; the
	   second, since the first one ends that the library finds it by itself */
	mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
	mallopt(M_MMAP_THRESHOLD, HEAP_KEPT);
	why = argc == 4 ? start(&w, argv) : "is started by the supervisor, not by hand";
	if (why != NULL) {
		fail(why);
	} else {
		say(&w, IPC_READY, 0, 0);
		if (w.sessions.stock != NULL)
			stock_fill(w.sessions.stock);
		if (event_base_dispatch(w.base) < 0)
			w.code = fail("the event loop failed");
	}
	stop(&w);
	return w.code;
}
