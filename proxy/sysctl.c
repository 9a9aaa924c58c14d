#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IPV6_OFF     "net/ipv6/conf/all/disable_ipv6"
#define FORWARD4     "net/ipv4/ip_forward"
#define FORWARD6     "net/ipv6/conf/all/forwarding"
#define VALID_MARK   "net/ipv4/conf/all/src_valid_mark"
#define EARLY_DEMUX  "net/ipv4/tcp_early_demux"
#define MIGRATE_REQ  "net/ipv4/tcp_migrate_req"
#define EARLY_DEMUX_ "net.ipv4.tcp_early_demux"

static int
open_setting(const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	return open(path, flags | O_CLOEXEC);
}

/* -1: errno says why. */
static int
read_setting(const char *name)
{
	char text[32];
	ssize_t n;
	int fd = open_setting(name, O_RDONLY);

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return (int)strtol(text, NULL, 10);
}

static bool
write_setting(const char *name, const char *value)
{
	int why, fd = open_setting(name, O_WRONLY);
	bool fine;

	if (fd < 0)
		return false;
	fine = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	why = errno;
	close(fd);
	errno = why;
	return fine;
}

bool
sysctl_ipv6(void)
{
	return read_setting(IPV6_OFF) == 0;
}

bool
sysctl_forwards(bool ipv6, char why[SYSCTL_TEXT_MAX])
{
	const char *name = ipv6 ? "net.ipv6.conf.all.forwarding" : "net.ipv4.ip_forward";
	int value = read_setting(ipv6 ? FORWARD6 : FORWARD4);

	if (value > 0)
		return true;
	if (value < 0)
		snprintf(why, SYSCTL_TEXT_MAX, "cannot read %s: %s", name, strerror(errno));
	else
		snprintf(why, SYSCTL_TEXT_MAX,
		    "%s is 0: nothing is forwarded, so nothing is intercepted; run: "
		    "sysctl -w %s=1",
		    name, name);
	return false;
}

bool
sysctl_source_check(char why[SYSCTL_TEXT_MAX])
{
	static const char name[] = "net.ipv4.conf.all.src_valid_mark";
	int value = read_setting(VALID_MARK);

	if (value == 0)
		return true;
	if (value < 0)
		snprintf(why, SYSCTL_TEXT_MAX, "cannot read %s: %s", name, strerror(errno));
	else
		snprintf(why, SYSCTL_TEXT_MAX,
		    "%s is 1: the kernel drops every IPv4 packet that is intercepted; run: "
		    "sysctl -w %s=0",
		    name, name);
	return false;
}

bool
early_demux_is_off(char why[SYSCTL_TEXT_MAX])
{
	int value = read_setting(EARLY_DEMUX);

	if (value == 0)
		return true;
	if (value < 0)
		snprintf(why, SYSCTL_TEXT_MAX, "cannot read " EARLY_DEMUX_ ": %s", strerror(errno));
	else
		snprintf(why, SYSCTL_TEXT_MAX,
		    EARLY_DEMUX_ " is 1: for a minute after the gateway has stopped, new "
				 "connections can be lost; run: sysctl -w " EARLY_DEMUX_ "=0");
	return false;
}

bool
early_demux_off(struct early_demux *d, char why[SYSCTL_TEXT_MAX])
{
	if (early_demux_is_off(why))
		return true;
	if (!write_setting(EARLY_DEMUX, "0")) {
		snprintf(why, SYSCTL_TEXT_MAX,
		    "cannot set " EARLY_DEMUX_ " to 0: %s; set it yourself, and "
		    "intercept.sysctl = no",
		    strerror(errno));
		return false;
	}
	d->changed = true;
	return true;
}

bool
early_demux_restore(struct early_demux *d, char why[SYSCTL_TEXT_MAX])
{
	if (!d->changed)
		return true;
	d->changed = false;
	if (write_setting(EARLY_DEMUX, "1"))
		return true;
	snprintf(
	    why, SYSCTL_TEXT_MAX, "cannot set " EARLY_DEMUX_ " back to 1: %s", strerror(errno));
	return false;
}

bool
migrate_requests_on(void)
{
	return read_setting(MIGRATE_REQ) == 0 && write_setting(MIGRATE_REQ, "1");
}

void
migrate_requests_off(void)
{
	write_setting(MIGRATE_REQ, "0");
}
