#include "notify.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define VARIABLE "NOTIFY_SOCKET"

/* A path, or behind '@' a name in the kernel's own space. */
static bool
address(const char *name, struct sockaddr_un *sun, socklen_t *len)
{
	size_t n = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof(sun->sun_path))
		return false;
	*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(sun->sun_path, name, n);
	if (name[0] == '@')
		sun->sun_path[0] = '\0';
	/* such a name has no end but its length */
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/' ? 1 : 0));
	return true;
}

void
notify_init(struct notify *n)
{
	const struct timeval patience = {1, 0};
	const char *name = getenv(VARIABLE);
	struct sockaddr_un sun;
	socklen_t len = 0;
	bool told = name != NULL && address(name, &sun, &len);

	n->fd = -1;
	unsetenv(VARIABLE);
	if (!told)
		return;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd != -1 &&
	    (setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
		connect(n->fd, (const struct sockaddr *)&sun, len) != 0))
		notify_free(n);
}

void
notify_free(struct notify *n)
{
	if (n->fd != -1)
		close(n->fd);
	n->fd = -1;
}

void
notify_send(struct notify *n, const char *lines)
{
	if (n->fd != -1)
		(void)!send(n->fd, lines, strlen(lines), MSG_NOSIGNAL);
}

void
notify_reloading(struct notify *n)
{
	struct timespec now;
	char lines[80];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	notify_send(n, lines);
}
