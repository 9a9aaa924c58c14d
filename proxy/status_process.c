#include "status_process.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc.h"
#include "process.h"
#include "sandbox.h"
#include "shared_page.h"
#include "status_render.h"

#define ASK_MAX	   16 /* octets of a line */
#define ASK_MS	   1000
#define SCRAPE_MAX 8192 /* octets of a request with its header */
#define SCRAPE_MS  5000

struct status {
	struct event_base *base;
	struct event *ipc;
	uid_t may_ask;
	struct status_view view;
	struct status_door *asked, *scraped;
	int code;
};

static int
fail(const char *why)
{
	fprintf(stderr, "postern: status: %s\n", why);
	return 1;
}

/* ---- the unix socket ---- */

static bool
admits(void *arg, int fd)
{
	const struct status *s = arg;
	struct ucred peer;
	socklen_t n = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && n == sizeof(peer) &&
	       (peer.uid == 0 || peer.uid == s->may_ask);
}

static struct status_view *
view(struct status *s)
{
	s->view.asked = status_door_stats(s->asked);
	s->view.scraped = status_door_stats(s->scraped);
	return &s->view;
}

static void
answer_line(void *arg, struct span line, struct evbuffer *out)
{
	static const char unknown[] = "{\"error\":\"unknown request\"}\n";
	bool ok = true;

	if (span_eq(line, span_str("status")))
		ok = status_json(view(arg), out);
	else if (span_eq(line, span_str("sessions")))
		ok = status_sessions_json(view(arg), out);
	else
		evbuffer_add(out, unknown, sizeof(unknown) - 1);
	if (!ok) /* half an object helps nobody */
		evbuffer_drain(out, evbuffer_get_length(out));
}

/* ---- HTTP ---- */

static void
respond(struct evbuffer *out, const char *status, const char *more, struct evbuffer *body)
{
	evbuffer_add_printf(out,
	    "HTTP/1.1 %s\r\n"
	    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
	    "Content-Length: %zu\r\n"
	    "Cache-Control: no-store\r\n"
	    "Connection: close\r\n"
	    "%s\r\n",
	    status, evbuffer_get_length(body), more);
	evbuffer_add_buffer(out, body);
}

/* RFC 9112 s3: METHOD TARGET HTTP/1.x. A query behind the path changes nothing. */
static const char *
judge_request(struct span head)
{
	ptrdiff_t end = span_find(head, '\r');
	struct span line = end < 0 ? head : span_first(head, (size_t)end);
	struct span method = span_word(&line), target = span_word(&line);
	struct span version = span_word(&line);
	ptrdiff_t query = span_find(target, '?');

	if (head.p == NULL)
		return "431 Request Header Fields Too Large";
	if (!span_starts(version, span_str("HTTP/1.")) || line.n > 0)
		return "400 Bad Request";
	if (query >= 0)
		target = span_first(target, (size_t)query);
	if (!span_eq(target, span_str("/metrics")))
		return "404 Not Found";
	return span_eq(method, span_str("GET")) ? NULL : "405 Method Not Allowed";
}

static void
answer_http(void *arg, struct span head, struct evbuffer *out)
{
	const char *refusal = judge_request(head);
	struct evbuffer *body = evbuffer_new();

	if (body == NULL)
		return;
	if (refusal != NULL) {
		evbuffer_add_printf(body, "%s\n", refusal);
		respond(out, refusal,
		    span_starts(span_str(refusal), span_str("405")) ? "Allow: GET\r\n" : "", body);
	} else if (status_metrics(view(arg), body)) {
		respond(out, "200 OK", "", body);
	}
	evbuffer_free(body);
}

static const struct door_rules ask_rules = {
    .end = "\n",
    .request_max = ASK_MAX,
    .request_ms = ASK_MS,
    .admits = admits,
    .answer = answer_line,
};

static const struct door_rules scrape_rules = {
    .end = "\r\n\r\n",
    .request_max = SCRAPE_MAX - 4,
    .request_ms = SCRAPE_MS,
    .answer = answer_http,
};

/* ---- pages come and go ---- */

/* False: nothing more is there. */
static bool
take_message(struct status *s, int end)
{
	struct ipc_message m;
	int fds[IPC_FDS_MAX];
	const char *why = NULL;
	size_t n;

	switch (ipc_receive(end, IPC_FROM_SUPERVISOR_TO_STATUS, &m, fds, &n, &why)) {
	case IPC_OK:
		break;
	case IPC_AGAIN:
		return false;
	case IPC_CLOSED:
		event_base_loopbreak(s->base);
		return false;
	case IPC_GARBAGE:
		s->code = fail(why);
		event_base_loopbreak(s->base);
		return false;
	}
	if (m.type == IPC_BOARD_GONE)
		status_totals_gone(s->view.totals, m.a, m.b);
	else if (!status_totals_add(s->view.totals, m.a, m.b, fds[0]))
		fail("the page of a worker cannot be read");
	return true;
}

static void
on_message(evutil_socket_t fd, short what, void *arg)
{
	bool more = true;

	(void)what;
	while (more)
		more = take_message(arg, fd);
}

/* ---- start ---- */

static const char *
open_pages(struct status *s)
{
	size_t size;
	const int gateway = PROCESS_FD + STATUS_FD_GATEWAY;

	s->view.gateway = shared_page_map(gateway, false, sizeof(struct gateway_page), &size);
	close(gateway);
	s->view.totals = status_totals_new(PROCESS_FD + STATUS_FD_BASE);
	return s->view.gateway == NULL || s->view.totals == NULL ? "the pages cannot be mapped"
								 : NULL;
}

static const char *
open_doors(struct status *s, const char *listeners)
{
	int fd = PROCESS_FD + STATUS_FD_LISTENERS;

	s->base = event_base_new();
	if (s->base == NULL)
		return "cannot make an event loop";
	if (*listeners == 's') {
		s->asked = status_door_new(s->base, fd++, &ask_rules, s);
		if (s->asked == NULL)
			return "out of memory";
		listeners++;
	}
	if (*listeners == 'm') {
		s->scraped = status_door_new(s->base, fd, &scrape_rules, s);
		if (s->scraped == NULL)
			return "out of memory";
	}
	s->ipc =
	    event_new(s->base, PROCESS_FD + STATUS_FD_IPC, EV_READ | EV_PERSIST, on_message, s);
	return s->ipc == NULL || event_add(s->ipc, NULL) != 0 ? "out of memory" : NULL;
}

static const char *
start(struct status *s, char **argv)
{
	const char *why;
	uint64_t uid;

	process_follow_parent();
	process_name("postern-status");
	if (!span_u64(span_str(argv[2]), UINT32_MAX, &uid))
		return "this is no command for people";
	s->may_ask = (uid_t)uid;
	if (!sandbox_drop(argv[1], &why))
		return why;
	process_follow_parent(); /* the kernel forgot it with the user */
	why = open_pages(s);
	if (why == NULL)
		why = open_doors(s, argv[3]);
	if (why == NULL && !sandbox_close(SANDBOX_STATUS, &why))
		return why;
	return why;
}

int
status_main(int argc, char **argv)
{
	struct status s = {0};
	const char *why = argc == 4 ? start(&s, argv) : "this is no command for people";

	if (why != NULL)
		s.code = fail(why);
	else if (event_base_dispatch(s.base) < 0)
		s.code = fail("the event loop failed");
	status_door_free(s.asked);
	status_door_free(s.scraped);
	if (s.ipc != NULL)
		event_free(s.ipc);
	if (s.base != NULL)
		event_base_free(s.base);
	status_totals_free(s.view.totals);
	return s.code;
}
