#include "tap_service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "ipc.h"
#include "log_pipe.h"
#include "process.h"
#include "shared_page.h"
#include "tap_pipe.h"
#include "tap_process.h"

#define PIPES_MAX   (2 * WORKERS_MAX)
#define RESTART_MS  200	  /* until one that died is replaced ... */
#define RESTART_MAX 10000 /* ... and one that keeps dying */
#define STEADY_MS   10000 /* one that lived so long had no trouble starting */
#define GIVE_TRIES  5
#define GIVE_MS	    50

/* What writes for one configuration. */
struct writer {
	const struct config *config; /* NULL: it is not in force any more */
	char *user;
	int settings;
	int directories[TAP_RULES_MAX];
	unsigned n_directories;
	pid_t pid;   /* 0: none runs */
	int control; /* -1: the same, or it is to end */
	int pipes[PIPES_MAX];
	size_t n_pipes;
	unsigned numbers; /* of pipes so far */
	uint64_t began, again;
	unsigned patience;
	struct writer *next;
};

struct tap_service {
	struct writer *first;
	int state; /* the page, to write */
	struct tap_state *page;
	uint64_t restarts;
};

struct tap_service *
tap_service_new(void)
{
	struct tap_service *s = calloc(1, sizeof(*s));
	size_t size;
	int readable = -1;

	if (s == NULL)
		return NULL;
	s->state = -1;
	if (shared_page_new("postern-captures", sizeof(*s->page), &s->state, &readable))
		s->page = shared_page_map(readable, false, sizeof(*s->page), &size);
	if (readable >= 0)
		close(readable);
	if (s->page != NULL)
		return s;
	tap_service_free(s, 0);
	return NULL;
}

/* ---- the process ---- */

static bool
give(const struct writer *w, enum ipc_type type, uint32_t a, int fd)
{
	const struct ipc_message m = {.type = type, .a = a};
	struct pollfd room = {.fd = w->control, .events = POLLOUT};
	enum ipc_result got = IPC_CLOSED;

	for (int i = 0; w->control >= 0 && i < GIVE_TRIES; i++) {
		got = ipc_send(w->control, &m, &fd, fd >= 0);
		if (got != IPC_AGAIN)
			break;
		poll(&room, 1, GIVE_MS);
	}
	return got == IPC_OK;
}

static void
hear_no_more(struct writer *w)
{
	if (w->control >= 0)
		close(w->control);
	w->control = -1;
}

static bool
launch(const struct tap_service *s, struct writer *w)
{
	const char *const args[] = {w->user};
	bool given = true;
	int ends[2];

	w->began = clock_ms();
	if (!ipc_pair(ends))
		return false;
	w->pid = process_start(
	    TAP_ROLE, args, 1, (const int[]){ends[1], w->settings, s->state}, 3, false);
	close(ends[1]);
	w->control = ends[0];
	if (w->pid < 0) {
		w->pid = 0;
		hear_no_more(w);
		return false;
	}
	for (unsigned i = 0; given && i < w->n_directories; i++)
		given = give(w, IPC_TAP_DIRECTORY, i, w->directories[i]);
	for (size_t i = 0; given && i < w->n_pipes; i++)
		given = give(w, IPC_TAP_PIPE, w->numbers++, w->pipes[i]);
	if (!given)
		kill(w->pid, SIGKILL); /* it will be reaped, and tried again */
	if (w->config == NULL)
		hear_no_more(w); /* it ends with its workers */
	return true;
}

static void
free_writer(struct writer *w)
{
	hear_no_more(w);
	for (unsigned i = 0; i < w->n_directories; i++)
		close(w->directories[i]);
	for (size_t i = 0; i < w->n_pipes; i++)
		close(w->pipes[i]);
	if (w->settings >= 0)
		close(w->settings);
	free(w->user);
	free(w);
}

/* Pipes whose workers are gone and of which all was read. */
static void
sweep(struct writer *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->n_pipes; i++)
		if (log_pipe_drained(w->pipes[i]))
			close(w->pipes[i]);
		else
			w->pipes[kept++] = w->pipes[i];
	w->n_pipes = kept;
}

/* ---- directories ---- */

/*
 * Where it is not there it is made, as far as we may. What is given away is what was opened: the
 * name may lead elsewhere by then. -1: errno.
 */
static int
open_or_make(const char *path, uid_t uid, gid_t gid)
{
	const bool made = mkdir(path, 0700) == 0;
	const int fd = made || errno == EEXIST
			   ? open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
			   : -1;

	if (fd < 0 || !made || geteuid() != 0 || fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0)
		return fd;
	close(fd);
	rmdir(path);
	errno = ENOENT;
	return -1;
}

/*
 * One that nobody but the user can look into. Root need not be allowed to look into it either: the
 * descriptor is only a way there.
 */
static int
open_directory(const char *path, const char *user, char why[TAP_WHY_MAX])
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam(user) : NULL;
	const uid_t uid = pw != NULL ? pw->pw_uid : geteuid();
	const gid_t gid = pw != NULL ? pw->pw_gid : getegid();
	const int fd = open_or_make(path, uid, gid);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		snprintf(why, TAP_WHY_MAX, "capture: %.256s: %s", path, strerror(errno));
	} else if (st.st_uid != uid) {
		snprintf(why, TAP_WHY_MAX, "capture: %.256s is not of the user %s", path, user);
	} else if ((st.st_mode & 077) != 0) {
		snprintf(why, TAP_WHY_MAX,
		    "capture: %.256s: others than its owner may use it (mode %04o); it must be "
		    "0700",
		    path, (unsigned)st.st_mode & 07777u);
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static struct writer *
new_writer(const struct config *c, char why[TAP_WHY_MAX])
{
	struct writer *w = calloc(1, sizeof(*w));

	snprintf(why, TAP_WHY_MAX, "capture: out of memory");
	if (w == NULL)
		return NULL;
	w->config = c;
	w->control = -1;
	w->user = strdup(c->user);
	w->settings = tap_hand_over(c);
	if (w->user == NULL || w->settings < 0) {
		free_writer(w);
		return NULL;
	}
	for (size_t i = 0; i < c->n_captures; i++) {
		const int fd = open_directory(c->captures[i].directory, c->user, why);

		if (fd < 0) {
			free_writer(w);
			return NULL;
		}
		w->directories[w->n_directories++] = fd;
	}
	return w;
}

/* ---- what the supervisor wants ---- */

bool
tap_service_begin(struct tap_service *s, const struct config *c, char why[TAP_WHY_MAX])
{
	struct writer *w;

	if (c->n_captures == 0)
		return true;
	w = new_writer(c, why);
	if (w == NULL)
		return false;
	if (!launch(s, w)) {
		snprintf(why, TAP_WHY_MAX, "capture: %s", strerror(errno));
		free_writer(w);
		return false;
	}
	w->next = s->first;
	s->first = w;
	return true;
}

void
tap_service_serving(struct tap_service *s, const struct config *c)
{
	for (struct writer *w = s->first; w != NULL; w = w->next)
		if (c == NULL || w->config != c) {
			w->config = NULL;
			hear_no_more(w);
		}
}

static struct writer *
writer_of(const struct tap_service *s, const struct config *c)
{
	struct writer *w = s->first;

	while (w != NULL && w->config != c)
		w = w->next;
	return w;
}

int
tap_service_pipe(struct tap_service *s, const struct config *c)
{
	struct writer *w = writer_of(s, c);
	int ends[2];

	if (w == NULL)
		return open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (w->n_pipes == PIPES_MAX)
		sweep(w);
	if (w->n_pipes == PIPES_MAX) {
		errno = ENFILE;
		return -1;
	}
	if (!tap_pipe_pair(ends))
		return -1;
	w->pipes[w->n_pipes++] = ends[0];
	/* without a process that listens at the moment, the next one is given all of them */
	if (w->control >= 0 && !give(w, IPC_TAP_PIPE, w->numbers++, ends[0]))
		kill(w->pid, SIGKILL);
	return ends[1];
}

void
tap_service_tick(struct tap_service *s)
{
	for (struct writer **at = &s->first, *w; (w = *at) != NULL;) {
		sweep(w);
		if (w->config == NULL && w->n_pipes == 0 && w->pid == 0) {
			*at = w->next;
			free_writer(w);
			continue;
		}
		if (w->pid == 0 && clock_ms() >= w->again)
			launch(s, w);
		at = &w->next;
	}
}

bool
tap_service_reap(struct tap_service *s, pid_t pid)
{
	struct writer *w = s->first;

	while (w != NULL && w->pid != pid)
		w = w->next;
	if (w == NULL || pid <= 0)
		return false;
	hear_no_more(w);
	w->pid = 0;
	sweep(w);
	if (w->config == NULL && w->n_pipes == 0)
		return true; /* as it should */
	s->restarts++;
	fputs("postern: the process that writes captures died; another one takes its place\n",
	    stderr);
	if (w->patience == 0 || clock_ms() - w->began > STEADY_MS)
		w->patience = RESTART_MS;
	else
		w->patience = 2 * w->patience < RESTART_MAX ? 2 * w->patience : RESTART_MAX;
	w->again = clock_ms() + w->patience;
	return true;
}

void
tap_service_rotate(struct tap_service *s)
{
	for (struct writer *w = s->first; w != NULL; w = w->next)
		give(w, IPC_TAP_ROTATE, 0, -1);
}

void
tap_service_stats(const struct tap_service *s, struct tap_service_stats *out)
{
	const struct tap_state *p = s->page;

	*out = (struct tap_service_stats){.frames = p->frames,
	    .octets = p->octets,
	    .files = p->files,
	    .removed = p->removed,
	    .lost = p->lost,
	    .left_out = p->left_out,
	    .restarts = s->restarts,
	    .trouble = (int)p->trouble};
}

/* ---- the end ---- */

static bool
is_done(struct writer *w)
{
	if (w->pid > 0 && waitpid(w->pid, NULL, WNOHANG) == w->pid)
		w->pid = 0;
	sweep(w);
	return w->pid == 0;
}

/* The workers are gone: each ends when it has read what they sent. */
static void
wait_for(struct writer *w, uint64_t end)
{
	hear_no_more(w);
	while (!is_done(w) && clock_ms() < end)
		poll(NULL, 0, 5);
	if (w->pid == 0)
		return;
	fputs("postern: captures are not written to their end\n", stderr);
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
}

void
tap_service_free(struct tap_service *s, int wait_ms)
{
	const uint64_t end = clock_ms() + (uint64_t)wait_ms;
	struct writer *w;

	if (s == NULL)
		return;
	while ((w = s->first) != NULL) {
		s->first = w->next;
		wait_for(w, end);
		free_writer(w);
	}
	if (s->page != NULL)
		munmap(s->page, sizeof(*s->page));
	if (s->state >= 0)
		close(s->state);
	free(s);
}
