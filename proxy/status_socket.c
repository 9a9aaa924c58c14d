#include "status_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"

#define BACKLOG 16

static bool
make_address(const char *path, struct sockaddr_un *un)
{
	size_t n = strlen(path);

	*un = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (n == 0 || n >= sizeof(un->sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(un->sun_path, path, n);
	return true;
}

static int
unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Closes fd and keeps errno. */
static int
give_up(int fd)
{
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

int
status_socket_connect(const char *path)
{
	struct sockaddr_un un;
	int fd;

	if (!make_address(path, &un))
		return -1;
	fd = unix_socket();
	if (fd < 0 || connect(fd, (const struct sockaddr *)&un, sizeof(un)) != 0)
		return give_up(fd);
	return fd;
}

static int
fail(char why[STATUS_WHY_MAX], const char *path, const char *what)
{
	snprintf(why, STATUS_WHY_MAX, "status: %s: %s", path, what);
	return -1;
}

/* The folder of a path, where it is missing and we may; whether that worked bind() will say. */
static void
make_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path || geteuid() != 0)
		return;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	if (mkdir(folder, 0755) == 0)
		chmod(folder, 0755); /* whatever the umask is */
}

/* NULL: the path is free now. */
static const char *
make_way(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) != 0)
		return NULL;
	if (!S_ISSOCK(st.st_mode))
		return "something that is no socket is there already";
	fd = status_socket_connect(path);
	if (fd >= 0 || errno == EAGAIN) { /* EAGAIN: it is busy, and so alive */
		give_up(fd);
		return "another postern answers there";
	}
	return errno != ECONNREFUSED || unlink(path) != 0 ? strerror(errno) : NULL;
}

int
status_socket_listen(const char *path, char why[STATUS_WHY_MAX])
{
	struct sockaddr_un un;
	const char *what;
	mode_t mask;
	int fd, bound;

	if (!make_address(path, &un))
		return fail(why, path, "too long for the path of a socket (at most 107 octets)");
	make_folder(path);
	what = make_way(path);
	if (what != NULL)
		return fail(why, path, what);
	fd = unix_socket();
	mask = umask(0177); /* nobody else can connect, not even between bind and chmod */
	bound = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&un, sizeof(un));
	umask(mask);
	if (bound != 0 || listen(fd, BACKLOG) != 0) {
		give_up(fd);
		return fail(why, path, strerror(errno));
	}
	return fd;
}

int
status_metrics_listen(const struct sockaddr *where, char why[STATUS_WHY_MAX])
{
	int on = 1, fd = socket(where->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct endpoint e = address_endpoint(where);
	char text[ADDRESS_TEXT_MAX];

	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (where->sa_family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		if (bind(fd, where, address_size(where)) == 0 && listen(fd, BACKLOG) == 0)
			return fd;
	}
	give_up(fd);
	snprintf(why, STATUS_WHY_MAX, "metrics: %s: %s", address_text(&e, text), strerror(errno));
	return -1;
}
