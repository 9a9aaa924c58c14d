#include "upstream_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
may_bind_anything(int fd, enum ip_family family)
{
	int on = 1;

	if (family == IP_V6 && setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof(on)) != 0)
		return false;
	if (family == IP_V4 && setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) != 0)
		return false;
	/* of IPv6 sockets too, whatever its name */
	return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == 0;
}

int
upstream_socket(enum intercept_mode mode, uint32_t own_mark, enum ip_family family)
{
	int fd = socket(
	    family == IP_V6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &own_mark, sizeof(own_mark)) == 0 &&
	    (mode != INTERCEPT_TPROXY || may_bind_anything(fd, family)))
		return fd;
	int kept = errno;
	close(fd);
	errno = kept;
	return -1;
}
