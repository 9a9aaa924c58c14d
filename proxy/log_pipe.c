#include "log_pipe.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "record.h"

#define PIPE_OCTETS  (1 << 20)
#define BATCH_OCTETS (64u << 10) /* lines that go with one write */

struct log_pipe {
	int fd;
	bool at_once;
	bool broken; /* nobody can read any more */
	/* Goes first. What a write takes half of a line keeps its rest at the front. */
	struct evbuffer *queue;
	struct event *writable;
	/* Behind the queue: lines of this turn, and those that the queue had no memory for. */
	char *batch;
	size_t batched;
	struct event *turn; /* active while the batch has lines that nobody tried to write yet */
	uint64_t given;	    /* lines */
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

static size_t
waiting(const struct log_pipe *log)
{
	return evbuffer_get_length(log->queue) + log->batched;
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
	for (size_t i = 0; i < log->batched; i++)
		log->dropped += log->batch[i] == '\n';
	log->batched = 0;
}

static void
say_dropped(struct log_pipe *log)
{
	uint64_t dropped = log->dropped - log->said;

	if (dropped == 0 || log->broken || waiting(log) > LOG_RING_MAX / 2)
		return;
	log->said = log->dropped;
	record_stats("log_lines_dropped", dropped, "the log was not written fast enough",
	    log_pipe_write, log);
}

/* Writes without the queue where nothing waits in it. Returns the octets that went. */
static size_t
write_now(struct log_pipe *log, const char *octets, size_t n)
{
	ssize_t sent;

	if (log->broken || evbuffer_get_length(log->queue) > 0)
		return 0;
	do
		sent = write(log->fd, octets, n);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN)
		give_up(log);
	return sent < 0 ? 0 : (size_t)sent;
}

/* The batch goes into the pipe, as far as that takes it, and else behind the queue. */
static void
write_batch(struct log_pipe *log)
{
	size_t sent = log->batched == 0 ? 0 : write_now(log, log->batch, log->batched);

	if (log->batched == 0)
		return;
	log->batched -= sent;
	memmove(log->batch, log->batch + sent, log->batched);
	if (log->batched == 0)
		return;
	if (evbuffer_add(log->queue, log->batch, log->batched) == 0)
		log->batched = 0;
	event_add(log->writable, NULL);
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
	if (evbuffer_get_length(log->queue) == 0) {
		event_del(log->writable);
		write_batch(log);
	}
	say_dropped(log);
}

static void
on_writable(evutil_socket_t fd, short what, void *log)
{
	(void)fd;
	(void)what;
	write_queue(log);
}

static void
on_turn(evutil_socket_t fd, short what, void *log)
{
	(void)fd;
	(void)what;
	write_batch(log);
}

struct log_pipe *
log_pipe_new(struct event_base *base, int fd, bool at_once)
{
	struct log_pipe *log = calloc(1, sizeof(*log));

	if (log == NULL) {
		close(fd);
		return NULL;
	}
	log->fd = fd;
	log->at_once = at_once;
	log->queue = evbuffer_new();
	log->batch = malloc(BATCH_OCTETS);
	log->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, log);
	log->turn = event_new(base, -1, 0, on_turn, log);
	if (log->queue == NULL || log->batch == NULL || log->writable == NULL ||
	    log->turn == NULL) {
		log_pipe_free(log, 0);
		return NULL;
	}
	return log;
}

/* It is said by the loop, for no other line may come that could take it along. */
static void
drop(struct log_pipe *log)
{
	log->dropped++;
	if (!log->broken)
		event_add(log->writable, NULL);
}

/* A line that no batch has room for. */
static void
write_long(struct log_pipe *log, const char *line, size_t n)
{
	size_t sent;

	/* a pipe takes part of it; the rest must have its place then, even without memory */
	if (log->batched > 0 || evbuffer_expand(log->queue, n) != 0) {
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

void
log_pipe_write(void *log_pipe, const char *line, size_t n)
{
	struct log_pipe *log = log_pipe;

	log->given++;
	if (log->broken || waiting(log) + n > LOG_RING_MAX) {
		drop(log);
		return;
	}
	if (n > BATCH_OCTETS - log->batched)
		write_batch(log);
	if (log->broken || n > BATCH_OCTETS - log->batched) {
		write_long(log, line, n);
		return;
	}
	if (log->batched == 0 && !log->at_once)
		event_active(log->turn, EV_TIMEOUT, 1);
	memcpy(log->batch + log->batched, line, n);
	log->batched += n;
	if (log->at_once)
		write_batch(log);
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
	return log->broken || log->dropped != log->said || waiting(log) > LOG_RING_MAX / 2;
}

static void
write_rest(struct log_pipe *log, int wait_ms)
{
	int64_t end = (int64_t)clock_ms() + wait_ms, left;
	struct pollfd out = {.fd = log->fd, .events = POLLOUT};

	write_batch(log);
	while (!log->broken && waiting(log) > 0 && (left = end - (int64_t)clock_ms()) > 0)
		if (poll(&out, 1, (int)left) > 0)
			write_queue(log);
}

void
log_pipe_free(struct log_pipe *log, int wait_ms)
{
	if (log == NULL)
		return;
	if (log->turn != NULL)
		write_rest(log, wait_ms);
	if (log->turn != NULL)
		event_free(log->turn);
	if (log->writable != NULL)
		event_free(log->writable);
	if (log->queue != NULL)
		evbuffer_free(log->queue);
	free(log->batch);
	close(log->fd);
	free(log);
}
