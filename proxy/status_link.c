#include "status_link.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board.h"
#include "clock.h"
#include "ipc.h"
#include "process.h"
#include "shared_page.h"
#include "status_process.h"
#include "status_totals.h"

#define DEATHS	  3 /* within so many milliseconds ... */
#define WINDOW_MS 10000
#define REST_MS	  10000 /* ... and it rests that long */
#define PAUSE_MS  1000	/* after any other death */
#define END_MS	  2000	/* for one that was told to end */

/* A page, until the process was told that its worker is gone. */
struct link_page {
	unsigned slot, serial;
	int fd; /* to read */
	bool told, gone;
	TAILQ_ENTRY(link_page) all;
};

struct status_link {
	struct gateway_page *gateway;
	int gateway_fd, base;
	int unix_fd, metrics_fd; /* listening; -1: not wanted */
	char *path;		 /* of unix_fd */
	struct sockaddr_storage metrics;
	pid_t pid;	      /* of the process; 0: none */
	int ipc;	      /* our end; -1: no process, or it was told to end */
	uint64_t ends_by;     /* milliseconds: one that was told to end has ended, or is killed */
	uint64_t rests_until; /* it is not started earlier */
	uint64_t deaths[DEATHS]; /* when it died last, in a ring */
	unsigned n_deaths;
	unsigned serial, n_pages;
	TAILQ_HEAD(, link_page) pages;
};

static void
drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
page_free(struct status_link *l, struct link_page *p)
{
	TAILQ_REMOVE(&l->pages, p, all);
	l->n_pages--;
	close(p->fd);
	free(p);
}

struct status_link *
status_link_new(void)
{
	struct status_link *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	TAILQ_INIT(&l->pages);
	l->unix_fd = l->metrics_fd = l->ipc = l->base = l->gateway_fd = -1;
	l->gateway = gateway_page_new(&l->gateway_fd);
	if (l->gateway != NULL)
		l->base = status_base_new();
	if (l->base < 0) {
		status_link_free(l);
		return NULL;
	}
	return l;
}

static void
forget_path(struct status_link *l)
{
	if (l->path != NULL)
		unlink(l->path);
	free(l->path);
	l->path = NULL;
	drop(&l->unix_fd);
}

void
status_link_free(struct status_link *l)
{
	struct link_page *p;

	if (l == NULL)
		return;
	while ((p = TAILQ_FIRST(&l->pages)) != NULL)
		page_free(l, p);
	if (l->pid > 0 && kill(l->pid, SIGKILL) == 0)
		waitpid(l->pid, NULL, 0);
	forget_path(l);
	drop(&l->metrics_fd);
	drop(&l->ipc);
	drop(&l->base);
	if (l->gateway != NULL) {
		drop(&l->gateway_fd);
		munmap(l->gateway, sizeof(*l->gateway));
	}
	free(l);
}

struct gateway_page *
status_link_gateway(struct status_link *l)
{
	return l->gateway;
}

/* ---- listeners ---- */

/* It sees that nobody is there any more, and ends. */
static void
end_process(struct status_link *l)
{
	drop(&l->ipc);
	l->ends_by = clock_ms() + END_MS;
}

static bool
same_path(const struct status_link *l, const struct config *c)
{
	bool wanted = strcmp(c->status, "-") != 0;

	return l->path == NULL ? !wanted : wanted && strcmp(l->path, c->status) == 0;
}

static bool
same_metrics(const struct status_link *l, const struct config *c)
{
	const struct sockaddr *a = (const struct sockaddr *)&l->metrics;
	const struct sockaddr *b = (const struct sockaddr *)&c->metrics;
	struct endpoint old = address_endpoint(a), new = address_endpoint(b);

	return a->sa_family == b->sa_family && old.port == new.port &&ip_eq(&old.ip, &new.ip);
}

/* -2: not wanted. */
static int
listen_metrics(const struct config *c, char why[STATUS_WHY_MAX])
{
	if (c->metrics.ss_family == AF_UNSPEC)
		return -2;
	return status_metrics_listen((const struct sockaddr *)&c->metrics, why);
}

static int
listen_unix(const struct config *c, char why[STATUS_WHY_MAX])
{
	return strcmp(c->status, "-") == 0 ? -2 : status_socket_listen(c->status, why);
}

bool
status_link_listen(struct status_link *l, const struct config *c, char why[STATUS_WHY_MAX])
{
	bool new_metrics = !same_metrics(l, c), new_path = !same_path(l, c);
	int metrics = new_metrics ? listen_metrics(c, why) : -2;
	int fd = metrics == -1 || !new_path ? -2 : listen_unix(c, why);
	char *path = fd >= 0 ? strdup(c->status) : NULL;

	if (metrics == -1 || fd == -1 || (fd >= 0 && path == NULL)) {
		if (fd >= 0)
			snprintf(why, STATUS_WHY_MAX, "out of memory");
		drop(&metrics);
		drop(&fd);
		return false;
	}
	if (new_metrics || new_path)
		end_process(l);
	if (new_metrics) {
		drop(&l->metrics_fd);
		l->metrics_fd = metrics < 0 ? -1 : metrics;
		l->metrics = c->metrics;
	}
	if (new_path) {
		forget_path(l);
		l->unix_fd = fd < 0 ? -1 : fd;
		l->path = path;
	}
	return true;
}

/* ---- pages ---- */

static bool
wanted(const struct status_link *l)
{
	return l->unix_fd >= 0 || l->metrics_fd >= 0;
}

/* False: no room now, or nobody there. */
static bool
tell(struct status_link *l, struct link_page *p)
{
	struct ipc_message board = {.type = IPC_BOARD, .a = p->slot, .b = p->serial};
	struct ipc_message gone = {.type = IPC_BOARD_GONE, .a = p->slot, .b = p->serial};

	if (!p->told && ipc_send(l->ipc, &board, &p->fd, 1) != IPC_OK)
		return false;
	p->told = true;
	if (!p->gone)
		return true;
	if (ipc_send(l->ipc, &gone, NULL, 0) != IPC_OK)
		return false;
	page_free(l, p);
	return true;
}

void
status_link_flush(struct status_link *l)
{
	struct link_page *p = TAILQ_FIRST(&l->pages), *next;

	for (; p != NULL && l->ipc >= 0; p = next) {
		next = TAILQ_NEXT(p, all);
		if (!tell(l, p))
			return;
	}
}

/* Nobody has asked for so long that what it counted is lost; no worker waits for that. */
static void
forget_oldest(struct status_link *l)
{
	struct link_page *p;

	TAILQ_FOREACH(p, &l->pages, all)
	{
		if (!p->gone)
			continue;
		page_free(l, p);
		return;
	}
}

int
status_link_board(struct status_link *l, unsigned slot, unsigned sessions_max, unsigned *serial)
{
	struct link_page *p;
	int fd = -1;

	if (l->n_pages >= STATUS_PAGES_MAX)
		forget_oldest(l);
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -1;
	if (!shared_page_new("postern-board", board_size(sessions_max), &fd, &p->fd)) {
		free(p);
		return -1;
	}
	p->slot = slot;
	p->serial = *serial = ++l->serial;
	TAILQ_INSERT_TAIL(&l->pages, p, all);
	l->n_pages++;
	status_link_flush(l);
	return fd;
}

void
status_link_board_gone(struct status_link *l, unsigned serial)
{
	struct link_page *p;

	TAILQ_FOREACH(p, &l->pages, all)
	{
		if (p->serial != serial)
			continue;
		p->gone = true;
		if (!wanted(l)) /* nobody will ever ask what it counted */
			page_free(l, p);
		break;
	}
	status_link_flush(l);
}

/* ---- the process ---- */

static bool
start(struct status_link *l, const char *user)
{
	int fds[STATUS_FD_LISTENERS + 2], ends[2];
	size_t n = STATUS_FD_LISTENERS;
	char uid[16], listeners[3];
	const char *args[] = {user, uid, listeners};

	if (!ipc_pair(ends))
		return false;
	fds[STATUS_FD_IPC] = ends[1];
	fds[STATUS_FD_GATEWAY] = l->gateway_fd;
	fds[STATUS_FD_BASE] = l->base;
	if (l->unix_fd >= 0)
		fds[n++] = l->unix_fd;
	if (l->metrics_fd >= 0)
		fds[n++] = l->metrics_fd;
	snprintf(listeners, sizeof(listeners), "%s%s", l->unix_fd >= 0 ? "s" : "",
	    l->metrics_fd >= 0 ? "m" : "");
	snprintf(uid, sizeof(uid), "%u", (unsigned)getuid());
	l->pid = process_start(STATUS_ROLE, args, 3, fds, n, false);
	close(ends[1]);
	if (l->pid < 0) {
		l->pid = 0;
		close(ends[0]);
		return false;
	}
	l->ipc = ends[0];
	return true;
}

bool
status_link_run(struct status_link *l, const char *user)
{
	struct link_page *p;

	if (l->pid > 0 && l->ipc < 0 && clock_ms() >= l->ends_by)
		kill(l->pid, SIGKILL);
	/* one at a time: they share the page with what the workers that are gone have counted */
	if (!wanted(l) || l->pid > 0 || clock_ms() < l->rests_until)
		return true;
	if (!start(l, user)) {
		l->rests_until = clock_ms() + PAUSE_MS;
		return false;
	}
	TAILQ_FOREACH(p, &l->pages, all)
	{
		p->told = false;
	}
	status_link_flush(l);
	return true;
}

pid_t
status_link_pid(const struct status_link *l)
{
	return l->pid;
}

bool
status_link_reap(struct status_link *l, pid_t pid)
{
	bool wished = l->ipc < 0;
	uint64_t now = clock_ms(), *oldest;

	if (pid <= 0 || pid != l->pid)
		return false;
	l->pid = 0;
	drop(&l->ipc);
	if (wished)
		return true;
	oldest = &l->deaths[l->n_deaths++ % DEATHS];
	l->rests_until = now + (*oldest != 0 && now - *oldest < WINDOW_MS ? REST_MS : PAUSE_MS);
	*oldest = now;
	return true;
}
