#include "notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX (NOTIFY_STATUS_MAX + 32)

static struct {
	int fd;
	uint64_t watchdog_usec;
} manager = {.fd = -1};

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

static bool
reach(const char *name, const char **why)
{
	struct sockaddr_un sa;
	socklen_t n = address_of(name, &sa);

	if (n == 0) {
		*why = "NOTIFY_SOCKET is neither a path nor an abstract name";
		return false;
	}
	manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (manager.fd >= 0 && connect(manager.fd, (struct sockaddr *)&sa, n) == 0)
		return true;
	*why = "nobody listens at NOTIFY_SOCKET";
	notify_end();
	return false;
}

bool
notify_init(const char **why)
{
	const char *name = getenv("NOTIFY_SOCKET");
	bool reached = true;

	manager.watchdog_usec = watchdog_asked();
	if (name != NULL)
		reached = reach(name, why);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return reached;
}

void
notify_end(void)
{
	if (manager.fd >= 0)
		close(manager.fd);
	manager.fd = -1;
}

/* ---- what is said ---- */

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	char text[MESSAGE_MAX];
	va_list args;
	int n;

	if (manager.fd < 0)
		return;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof(text))
		send(manager.fd, text, (size_t)n, MSG_NOSIGNAL);
}

void
notify_ready(void)
{
	say("READY=1");
}

void
notify_reloading(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	say("RELOADING=1\nMONOTONIC_USEC=%" PRId64, (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

void
notify_stopping(void)
{
	say("STOPPING=1");
}

void
notify_status(const char *text)
{
	size_t n = strcspn(text, "\n");

	say("STATUS=%.*s", (int)(n < NOTIFY_STATUS_MAX ? n : NOTIFY_STATUS_MAX), text);
}

void
notify_main_pid(pid_t pid)
{
	say("MAINPID=%d", (int)pid);
}

void
notify_watchdog(void)
{
	if (manager.watchdog_usec > 0)
		say("WATCHDOG=1");
}

uint64_t
notify_watchdog_usec(void)
{
	return manager.watchdog_usec;
}
