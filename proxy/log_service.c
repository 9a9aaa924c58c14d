#include "log_service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "ipc.h"
#include "log_file.h"
#include "log_pipe.h"
#include "log_state.h"
#include "process.h"

#define PIPE_OCTETS (1 << 20)
#define PIPES_MAX   (4 * WORKERS_MAX) /* workers of several generations, and our own */
#define SWEEP_MS    1000	      /* between two looks for pipes that are done with */
#define RESTART_MS  200		      /* until a logger that died is replaced ... */
#define RESTART_MAX 10000	      /* ... and one that keeps dying */
#define STEADY_MS   10000	      /* one that lived so long had no trouble starting */
#define GIVE_TRIES  5
#define GIVE_MS	    50
#define OWN_SLOT    IPC_SLOT_SUPERVISOR

struct source {
	int in;
	uint32_t slot;
};

struct log_service {
	struct event_base *base;
	char *paths[LOG_FILES], *user; /* paths: NULL: there is no such file */
	int files[LOG_FILES];
	struct rotation_config rotation;
	pid_t pid; /* of the logger; 0: there is none at the moment */
	int control;
	int state, state_reader;
	struct log_state *page; /* what the logger says of itself */
	uint64_t restarts;
	struct event *readable, *sweep, *restart;
	struct source pipes[PIPES_MAX];
	size_t n_pipes;
	struct log_pipe *own;
	unsigned patience; /* milliseconds before the next one is started */
	uint64_t began;	   /* when the last one was */
	uint64_t opened;   /* when the file was */
	bool replaced;	   /* it was told to end, for another one with other bounds */
};

/* ---- the process ---- */

/* A logger that is given many pipes at once takes a moment to read of them. */
static bool
give(const struct log_service *l, enum ipc_type type, uint32_t a, int fd)
{
	const struct ipc_message m = {.type = type, .a = a};
	struct pollfd room = {.fd = l->control, .events = POLLOUT};
	enum ipc_result result = IPC_CLOSED;

	for (int i = 0; l->control >= 0 && i < GIVE_TRIES; i++) {
		result = ipc_send(l->control, &m, &fd, 1);
		if (result != IPC_AGAIN)
			break;
		poll(&room, 1, GIVE_MS);
	}
	return result == IPC_OK;
}

static void
hear_no_more(struct log_service *l)
{
	if (l->readable != NULL)
		event_free(l->readable);
	if (l->control >= 0)
		close(l->control);
	l->readable = NULL;
	l->control = -1;
}

static void rotate(struct log_service *);
static bool rotation_is_due(const struct log_service *);

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct log_service *l = arg;
	struct ipc_message m;
	int fds[IPC_FDS_MAX];
	const char *why = NULL;
	size_t n;
	enum ipc_result got = ipc_receive(fd, IPC_FROM_LOGGER, &m, fds, &n, &why);

	(void)what;
	if (got == IPC_GARBAGE) {
		fprintf(stderr, "postern: the logger sent %s, and is ended\n", why);
		kill(l->pid, SIGKILL);
	}
	if (got == IPC_GARBAGE || got == IPC_CLOSED)
		hear_no_more(l);
	else if (got == IPC_OK && m.type == IPC_LOG_ROTATE && rotation_is_due(l))
		rotate(l);
}

/* Another one, at once where the last one had lived; one that keeps dying has less and less of it.
 */
static void
start_again(struct log_service *l)
{
	struct timeval tv;

	if (l->patience == 0 || clock_ms() - l->began > STEADY_MS)
		l->patience = RESTART_MS;
	else
		l->patience = 2 * l->patience < RESTART_MAX ? 2 * l->patience : RESTART_MAX;
	tv = (struct timeval){l->patience / 1000, (suseconds_t)(l->patience % 1000) * 1000};
	event_add(l->restart, &tv);
}

static bool
launch(struct log_service *l)
{
	char size[24], interval[16];
	const char *const args[] = {l->paths[LOG_EVE], l->user, size, interval};
	int ends[2];

	snprintf(size, sizeof(size), "%ju", (uintmax_t)l->rotation.size);
	snprintf(interval, sizeof(interval), "%u", l->rotation.interval);
	if (!ipc_pair(ends))
		return false;
	l->control = ends[0];
	l->pid = process_start("logger", args, sizeof(args) / sizeof(args[0]),
	    (const int[]){ends[1], l->state}, 2, false);
	close(ends[1]);
	if (l->pid < 0) {
		l->pid = 0;
		hear_no_more(l);
		return false;
	}
	l->readable = event_new(l->base, l->control, EV_READ | EV_PERSIST, on_readable, l);
	return l->readable != NULL && event_add(l->readable, NULL) == 0;
}

static void
start_logger(struct log_service *l)
{
	bool started;

	l->began = clock_ms();
	started = launch(l);
	for (uint32_t i = 0; started && i < LOG_FILES; i++)
		started = l->files[i] < 0 || give(l, IPC_LOG_FILE, i, l->files[i]);
	for (size_t i = 0; started && i < l->n_pipes; i++)
		started = give(l, IPC_LOG_PIPE, l->pipes[i].slot, l->pipes[i].in);
	if (started)
		return;
	fprintf(stderr, "postern: the logger could not be started: %s\n", strerror(errno));
	if (l->pid > 0)
		kill(l->pid, SIGKILL); /* it will be reaped, and tried again */
	else
		start_again(l);
}

static void
on_restart(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	start_logger(arg);
}

bool
log_service_reap(struct log_service *l, pid_t pid, int status)
{
	(void)status;
	if (pid != l->pid)
		return false;
	l->pid = 0;
	hear_no_more(l);
	if (l->replaced) {
		l->replaced = false;
		start_logger(l);
		return true;
	}
	l->restarts++;
	fputs("postern: the logger died; another one takes its place\n", stderr);
	record_stats("logger_restarted", 1, "what it had read and not written is lost",
	    log_service_write, l);
	start_again(l);
	return true;
}

/* ---- the files ---- */

static void
take_file(struct log_service *l, enum log_kind kind, int file)
{
	if (l->files[kind] >= 0)
		close(l->files[kind]);
	l->files[kind] = file;
	if (kind == LOG_EVE)
		l->opened = clock_ms();
	give(l, IPC_LOG_FILE, kind, file);
}

/* Old files are given up for new ones: one logger that was taken over could be rid of them all. */
static bool
rotation_is_due(const struct log_service *l)
{
	const struct rotation_config *r = &l->rotation;
	struct stat st;

	if (r->size > 0 && fstat(l->files[LOG_EVE], &st) == 0 && (uint64_t)st.st_size >= r->size)
		return true;
	return r->interval > 0 && clock_ms() - l->opened >= (uint64_t)r->interval * 1000u;
}

/* The xferlog goes with the log. */
static void
rotate(struct log_service *l)
{
	char why[LOG_FILE_WHY_MAX];

	for (unsigned i = 0; i < LOG_FILES && l->paths[i] != NULL; i++) {
		int file = log_file_rotate(l->paths[i], l->rotation.keep, why);

		if (file < 0) {
			fprintf(stderr, "postern: log: %s: cannot begin a new file: %s\n",
			    l->paths[i], why);
			return;
		}
		take_file(l, (enum log_kind)i, file);
	}
}

void
log_service_reopen(struct log_service *l)
{
	char why[LOG_FILE_WHY_MAX];

	for (unsigned i = 0; i < LOG_FILES && l->paths[i] != NULL; i++) {
		int file = log_file_open(l->paths[i], why);

		if (file >= 0)
			take_file(l, (enum log_kind)i, file);
		else
			fprintf(stderr, "postern: log: %s: %s; the old file stays open\n",
			    l->paths[i], why);
	}
}

/* A file that is to be written, before anything changes. */
struct opened {
	char *path; /* NULL: none */
	int file;   /* -1: none, or the one that is open already */
};

/* In a static place. */
static const char *
explain(const char *path, const char *fault)
{
	static char text[LOG_FILE_WHY_MAX + 4096];

	snprintf(text, sizeof(text), "log: %s: %s", path, fault);
	return text;
}

/* before: the path of the file that is open. NULL, or what is wrong. */
static const char *
open_one(struct opened *o, const char *path, const char *before)
{
	char fault[LOG_FILE_WHY_MAX];

	o->path = strdup(path);
	if (o->path == NULL)
		return "out of memory";
	if (before != NULL && strcmp(path, before) == 0)
		return NULL;
	o->file = log_file_open(path, fault);
	return o->file < 0 ? explain(path, fault) : NULL;
}

/* Those that this configuration wants. NULL, or what is wrong. */
static const char *
open_files(const struct log_service *l, const struct config *c, struct opened opened[LOG_FILES])
{
	char path[PATH_MAX];
	const char *why = open_one(&opened[LOG_EVE], c->log, l->paths[LOG_EVE]);

	if (why != NULL || !c->xferlog)
		return why;
	if (!log_file_xferlog(c->log, path))
		return explain(c->log, strerror(ENAMETOOLONG));
	return open_one(&opened[LOG_XFERLOG], path, l->paths[LOG_XFERLOG]);
}

static void
drop_opened(struct opened opened[LOG_FILES])
{
	for (size_t i = 0; i < LOG_FILES; i++) {
		free(opened[i].path);
		if (opened[i].file >= 0)
			close(opened[i].file);
	}
}

/*
 * Sessions that began with an xferlog still write lines for it when there is none any more: they go
 * nowhere, and the file is closed.
 */
static void
take_opened(struct log_service *l, struct opened opened[LOG_FILES])
{
	const bool ends = opened[LOG_XFERLOG].path == NULL && l->paths[LOG_XFERLOG] != NULL;

	if (ends)
		opened[LOG_XFERLOG].file = open("/dev/null", O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < LOG_FILES; i++) {
		free(l->paths[i]);
		l->paths[i] = opened[i].path;
		if (opened[i].file >= 0)
			take_file(l, (enum log_kind)i, opened[i].file);
	}
}

bool
log_service_change(struct log_service *l, const struct config *c, const char **why)
{
	bool bounds =
	    l->rotation.size != c->rotation.size || l->rotation.interval != c->rotation.interval;
	struct opened opened[LOG_FILES] = {{.file = -1}, {.file = -1}};

	const char *fault = open_files(l, c, opened);

	if (fault != NULL) {
		*why = fault;
		drop_opened(opened);
		return false;
	}
	take_opened(l, opened);
	l->rotation = c->rotation;
	/* a logger learns its bounds at its start; the one that ends writes all it has read */
	if (bounds && l->pid > 0) {
		l->replaced = true;
		hear_no_more(l);
	}
	return true;
}

/* ---- pipes ---- */

static void
sweep(struct log_service *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n_pipes; i++)
		if (log_pipe_drained(l->pipes[i].in))
			close(l->pipes[i].in);
		else
			l->pipes[kept++] = l->pipes[i];
	l->n_pipes = kept;
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sweep(arg);
}

static int
add_pipe(struct log_service *l, uint32_t slot)
{
	int ends[2];

	if (l->n_pipes == PIPES_MAX)
		sweep(l);
	if (l->n_pipes == PIPES_MAX) {
		errno = ENFILE;
		return -1;
	}
	if (!log_pipe_pair(ends))
		return -1;
	l->pipes[l->n_pipes++] = (struct source){.in = ends[0], .slot = slot};
	/* without a logger that listens at the moment, the next one is given all of them */
	if (l->control >= 0 && !give(l, IPC_LOG_PIPE, slot, ends[0]))
		kill(l->pid, SIGKILL);
	return ends[1];
}

int
log_service_pipe(struct log_service *l, unsigned slot)
{
	return add_pipe(l, slot);
}

int
log_service_state(const struct log_service *l)
{
	return l->state_reader;
}

void
log_service_stats(const struct log_service *l, struct log_service_stats *out)
{
	*out = (struct log_service_stats){.lost = log_state_lost(l->page),
	    .rotations = l->page->rotations,
	    .restarts = l->restarts,
	    .trouble = log_state_trouble(l->page) || log_pipe_in_trouble(l->own)};
}

void
log_service_write(void *log_service, const char *line, size_t n)
{
	struct log_service *l = log_service;

	if (l->own != NULL)
		log_pipe_write(l->own, line, n);
}

/* ---- the whole ---- */

static const char *
set_up(struct log_service *l, const struct config *c)
{
	struct opened opened[LOG_FILES] = {{.file = -1}, {.file = -1}};
	struct timeval tv = {SWEEP_MS / 1000, 0};
	const char *why;
	int own;

	l->user = strdup(c->user);
	l->rotation = c->rotation;
	l->sweep = event_new(l->base, -1, EV_PERSIST, on_sweep, l);
	l->restart = evtimer_new(l->base, on_restart, l);
	if (l->user == NULL || l->sweep == NULL || l->restart == NULL)
		return "out of memory";
	why = open_files(l, c, opened);
	if (why != NULL) {
		drop_opened(opened);
		return why;
	}
	take_opened(l, opened);
	if (log_state_new(&l->state, &l->state_reader))
		l->page = log_state_map(l->state_reader, false);
	if (l->page == NULL)
		return explain(l->paths[LOG_EVE], strerror(errno));
	start_logger(l);
	own = add_pipe(l, OWN_SLOT);
	l->own = own < 0 ? NULL : log_pipe_new(l->base, own, true);
	if (l->own == NULL || event_add(l->sweep, &tv) != 0)
		return "cannot make a pipe to the logger";
	return NULL;
}

struct log_service *
log_service_new(struct event_base *base, const struct config *c, const char **why)
{
	struct log_service *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		*why = "out of memory";
		return NULL;
	}
	l->base = base;
	l->control = l->state = l->state_reader = -1;
	for (size_t i = 0; i < LOG_FILES; i++)
		l->files[i] = -1;
	*why = set_up(l, c);
	if (*why == NULL)
		return l;
	log_service_free(l, 0);
	return NULL;
}

static bool
any_unread(const struct log_service *l)
{
	for (size_t i = 0; i < l->n_pipes; i++)
		if (!log_pipe_drained(l->pipes[i].in))
			return true;
	return false;
}

static bool
is_gone(struct log_service *l)
{
	if (l->pid > 0 && waitpid(l->pid, NULL, WNOHANG) == l->pid) {
		l->pid = 0;
		hear_no_more(l);
	}
	return l->pid == 0;
}

/*
 * The logger ends by itself when all pipes are at their ends. Where it died, or was to be replaced,
 * another one reads what is left in them.
 */
static void
wait_for_logger(struct log_service *l, int wait_ms)
{
	uint64_t end = clock_ms() + (uint64_t)wait_ms;

	while (clock_ms() < end && !(is_gone(l) && !any_unread(l))) {
		if (l->pid == 0)
			start_logger(l);
		poll(NULL, 0, l->pid > 0 ? 5 : RESTART_MS);
	}
	if (l->pid > 0 || any_unread(l))
		fputs("postern: the logger does not end; records may be lost\n", stderr);
	if (l->pid > 0) {
		kill(l->pid, SIGKILL);
		waitpid(l->pid, NULL, 0);
	}
}

void
log_service_free(struct log_service *l, int wait_ms)
{
	if (l == NULL)
		return;
	log_pipe_free(l->own, wait_ms);
	l->own = NULL;
	wait_for_logger(l, wait_ms);
	for (size_t i = 0; i < l->n_pipes; i++)
		close(l->pipes[i].in);
	hear_no_more(l);
	if (l->sweep != NULL)
		event_free(l->sweep);
	if (l->restart != NULL)
		event_free(l->restart);
	for (size_t i = 0; i < LOG_FILES; i++) {
		free(l->paths[i]);
		if (l->files[i] >= 0)
			close(l->files[i]);
	}
	log_state_unmap(l->page);
	if (l->state >= 0)
		close(l->state);
	if (l->state_reader >= 0)
		close(l->state_reader);
	free(l->user);
	free(l);
}
