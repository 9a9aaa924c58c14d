#include "signer_link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "ipc.h"
#include "process.h"
#include "signer.h"

#define DEATHS	  3 /* within so many milliseconds ... */
#define WINDOW_MS 10000
#define REST_MS	  10000 /* ... and it rests that long */
#define PAUSE_MS  1000	/* after a start that failed */

struct signer_link {
	int keys; /* the sealed file; -1: no CA is configured */
	pid_t pid;
	int control;		 /* our end; -1: no process */
	unsigned number, starts; /* of the process; 0: none runs */
	uint64_t rests_until;	 /* it is not started earlier */
	uint64_t deaths[DEATHS]; /* when it died last, in a ring */
	unsigned n_deaths;
};

struct signer_link *
signer_link_new(void)
{
	struct signer_link *l = calloc(1, sizeof(*l));

	if (l != NULL)
		l->keys = l->control = -1;
	return l;
}

/* Whoever it is, it ends at once: what it was asked meanwhile is asked again. */
static void
end_process(struct signer_link *l)
{
	if (l->pid > 0) {
		kill(l->pid, SIGKILL);
		while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	if (l->control >= 0)
		close(l->control);
	l->pid = 0;
	l->control = -1;
	l->number = 0;
}

void
signer_link_free(struct signer_link *l)
{
	if (l == NULL)
		return;
	end_process(l);
	if (l->keys >= 0)
		close(l->keys);
	free(l);
}

bool
signer_link_change(struct signer_link *l, const struct config *c)
{
	int keys = -1;

	if (c->tls.signer_file >= 0) {
		keys = fcntl(c->tls.signer_file, F_DUPFD_CLOEXEC, 0);
		if (keys < 0)
			return false;
	}
	end_process(l);
	if (l->keys >= 0)
		close(l->keys);
	l->keys = keys;
	l->rests_until = 0;
	return true;
}

static bool
start(struct signer_link *l, const char *user)
{
	const char *const args[] = {user};
	int ends[2];

	if (!ipc_pair(ends))
		return false;
	l->pid = process_start(SIGNER_ROLE, args, 1, (const int[]){ends[1], l->keys}, 2, false);
	close(ends[1]);
	if (l->pid < 0) {
		l->pid = 0;
		close(ends[0]);
		return false;
	}
	l->control = ends[0];
	l->number = ++l->starts;
	return true;
}

bool
signer_link_run(struct signer_link *l, const char *user)
{
	if (l->keys < 0 || l->pid > 0 || clock_ms() < l->rests_until)
		return true;
	if (start(l, user))
		return true;
	l->rests_until = clock_ms() + PAUSE_MS;
	return false;
}

bool
signer_link_reap(struct signer_link *l, pid_t pid)
{
	uint64_t now = clock_ms(), first;

	if (pid <= 0 || pid != l->pid)
		return false;
	l->pid = 0;
	end_process(l);
	l->deaths[l->n_deaths++ % DEATHS] = now;
	first = l->deaths[l->n_deaths % DEATHS];
	if (first != 0 && now - first < WINDOW_MS)
		l->rests_until = now + REST_MS;
	return true;
}

unsigned
signer_link_number(const struct signer_link *l)
{
	return l->number;
}

int
signer_link_pair(struct signer_link *l)
{
	const struct ipc_message m = {.type = IPC_SIGNER_PEER};
	int ends[2];
	bool given;

	if (l->number == 0 || !ipc_pair(ends))
		return -1;
	given = ipc_send(l->control, &m, &ends[1], 1) == IPC_OK;
	close(ends[1]);
	if (given)
		return ends[0];
	close(ends[0]);
	return -1;
}
