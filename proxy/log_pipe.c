#include "log_pipe.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "record.h"

#define PIPE_OCTETS (1 << 20)

struct log_pipe {
	int fd;
	bool broken; /* nobody can read any more */
	struct evbuffer *queue;
	struct event *writable;
	uint64_t given;		/* lines */
	uint64_t dropped, said; /* lines; said: in a stats record */
};

bool
log_pipe_pair(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	/* Fewer turns of both processes; the default serves as well. */
	fcntl(ends[1], F_SETPIPE_SZ, PIPE_OCTETS);
	return true;
}

bool
log_pipe_drained(int reading_end)
{
	struct pollfd end = {.fd = reading_end, .events = POLLIN};

	return poll(&end, 1, 0) > 0 && (end.revents & (POLLIN | POLLHUP)) == POLLHUP;
}

/* Supervisor and logger are gone, and with them everything that waits. */
static void
give_up(struct log_pipe *log)
{
	char *line;

	fputs("postern: nobody reads the log of this process any more: its records are lost\n",
	    stderr);
	log->broken = true;
	event_del(log->writable);
	while ((line = evbuffer_readln(log->queue, NULL, EVBUFFER_EOL_LF)) != NULL) {
		free(line);
		log->dropped++;
	}
}

static void
say_dropped(struct log_pipe *log)
{
	uint64_t dropped = log->dropped - log->said;

	if (dropped == 0 || log->broken || evbuffer_get_length(log->queue) > LOG_RING_MAX / 2)
		return;
	log->said = log->dropped;
	record_stats("log_lines_dropped", dropped, "the log was not written fast enough",
	    log_pipe_write, log);
}

static void
write_queue(struct log_pipe *log)
{
	/* an empty queue: only what was dropped is still to be said */
	if (evbuffer_get_length(log->queue) > 0 && evbuffer_write(log->queue, log->fd) < 0 &&
	    errno != EAGAIN && errno != EINTR) {
		give_up(log);
		return;
	}
	if (evbuffer_get_length(log->queue) == 0)
		event_del(log->writable);
	say_dropped(log);
}

static void
on_writable(evutil_socket_t fd, short what, void *log)
{
	(void)fd;
	(void)what;
	write_queue(log);
}

struct log_pipe *
log_pipe_new(struct event_base *base, int fd)
{
	struct log_pipe *log = calloc(1, sizeof(*log));

	if (log == NULL) {
		close(fd);
		return NULL;
	}
	log->fd = fd;
	log->queue = evbuffer_new();
	log->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, log);
	if (log->queue == NULL || log->writable == NULL) {
		log_pipe_free(log, 0);
		return NULL;
	}
	return log;
}

/* Writes without the queue where nothing waits. Returns the octets that went. */
static size_t
write_now(struct log_pipe *log, const char *line, size_t n)
{
	ssize_t sent;

	if (evbuffer_get_length(log->queue) > 0)
		return 0;
	do
		sent = write(log->fd, line, n);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN)
		give_up(log);
	return sent < 0 ? 0 : (size_t)sent;
}

/* It is said by the loop, for no other line may come that could take it along. */
static void
drop(struct log_pipe *log)
{
	log->dropped++;
	if (!log->broken)
		event_add(log->writable, NULL);
}

void
log_pipe_write(void *log_pipe, const char *line, size_t n)
{
	struct log_pipe *log = log_pipe;
	size_t sent;

	log->given++;
	/* A pipe takes part of a long line; the rest must have its place then, even without memory.
	 */
	if (log->broken || evbuffer_get_length(log->queue) + n > LOG_RING_MAX ||
	    (n > PIPE_BUF && evbuffer_expand(log->queue, n) != 0)) {
		drop(log);
		return;
	}
	sent = write_now(log, line, n);
	if (sent == n)
		return;
	if (log->broken || evbuffer_add(log->queue, line + sent, n - sent) != 0) {
		drop(log);
		return;
	}
	event_add(log->writable, NULL);
}

uint64_t
log_pipe_written(const struct log_pipe *log)
{
	return log->given - log->dropped;
}

uint64_t
log_pipe_dropped(const struct log_pipe *log)
{
	return log->dropped;
}

bool
log_pipe_in_trouble(const struct log_pipe *log)
{
	return log->broken || log->dropped != log->said ||
	       evbuffer_get_length(log->queue) > LOG_RING_MAX / 2;
}

static void
write_rest(struct log_pipe *log, int wait_ms)
{
	int64_t end = (int64_t)clock_ms() + wait_ms, left;
	struct pollfd out = {.fd = log->fd, .events = POLLOUT};

	while (!log->broken && evbuffer_get_length(log->queue) > 0 &&
	       (left = end - (int64_t)clock_ms()) > 0)
		if (poll(&out, 1, (int)left) > 0)
			write_queue(log);
}

void
log_pipe_free(struct log_pipe *log, int wait_ms)
{
	if (log == NULL)
		return;
	if (log->queue != NULL && log->writable != NULL)
		write_rest(log, wait_ms);
	if (log->writable != NULL)
		event_free(log->writable);
	if (log->queue != NULL)
		evbuffer_free(log->queue);
	close(log->fd);
	free(log);
}
