#include "notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ---- what the environment says ---- */

/* A decimal number and nothing else; 0 where it is none. */
static uint64_t
number(const char *text)
{
	unsigned long long value;
	char *end;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? value : 0;
}

/* WATCHDOG_PID, where it is said, is the process that is watched. */
static uint64_t
watchdog_asked(void)
{
	const char *pid = getenv("WATCHDOG_PID");

	if (pid != NULL && number(pid) != (uint64_t)getpid())
		return 0;
	return number(getenv("WATCHDOG_USEC"));
}

/* The length of the address, or 0: name is none. */
static socklen_t
address_of(const char *name, struct sockaddr_un *sa)
{
	size_t n = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof(sa->sun_path))
		return 0;
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(sa->sun_path, name, n);
	if (name[0] == '@')
		sa->sun_path[0] = '\0';
	/* an abstract name has no end but its length */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/'));
}

static const char *
reach(struct notify *n, const char *name)
{
	struct sockaddr_un sa;
	socklen_t length = address_of(name, &sa);

	if (length == 0)
		return "NOTIFY_SOCKET is neither a path nor an abstract name";
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->fd >= 0 && connect(n->fd, (struct sockaddr *)&sa, length) == 0)
		return NULL;
	notify_end(n);
	return "nobody listens at NOTIFY_SOCKET";
}

const char *
notify_init(struct notify *n)
{
	const char *name = getenv("NOTIFY_SOCKET"), *why = NULL;

	*n = (struct notify){.fd = -1, .watchdog_usec = watchdog_asked()};
	if (name != NULL)
		why = reach(n, name);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return why;
}

void
notify_end(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

/* ---- what is said ---- */

void
notify_send(struct notify *n, const char *assignments)
{
	if (n->fd >= 0)
		send(n->fd, assignments, strlen(assignments), MSG_NOSIGNAL);
}

void
notify_reloading(struct notify *n)
{
	char text[64];
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
	    (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000);
	notify_send(n, text);
}

void
notify_watchdog(struct notify *n)
{
	if (n->watchdog_usec > 0)
		notify_send(n, "WATCHDOG=1");
}
