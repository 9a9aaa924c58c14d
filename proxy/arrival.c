#include "arrival.h"

#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

/* behind the C library's headers, whose types it would declare again */
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "address.h"

/* The socket's own address. */
static struct sockaddr_storage
own_address(int fd)
{
	struct sockaddr_storage sa = {0};

	getsockname(fd, (struct sockaddr *)&sa, &(socklen_t){sizeof(sa)});
	return sa;
}

/* Where the kernel remembers no connection, none was translated. */
static struct endpoint
original_destination(int fd, const struct sockaddr_storage *own)
{
	struct sockaddr_storage sa = {0};
	const bool v6 = own->ss_family == AF_INET6;
	socklen_t n = sizeof(sa);
	int got = v6 ? getsockopt(fd, IPPROTO_IPV6, IP6T_SO_ORIGINAL_DST, &sa, &n)
		     : getsockopt(fd, IPPROTO_IP, SO_ORIGINAL_DST, &sa, &n);

	return address_endpoint((const struct sockaddr *)(got == 0 ? &sa : own));
}

struct endpoint
arrival_wanted(int fd, const struct arrival *a, struct endpoint *asked)
{
	const struct sockaddr_storage own = own_address(fd);
	const struct endpoint at = address_endpoint((const struct sockaddr *)&own);

	*asked =
	    a->forward == NULL && a->mode != INTERCEPT_OFF ? original_destination(fd, &own) : at;
	return a->mode == INTERCEPT_REDIRECT ? *asked : at;
}

bool
arrival_is_implicit(const struct config *c, const struct arrival *a, const struct endpoint *wanted)
{
	size_t n;
	const unsigned *ports = config_tls_ports(c, a->protocol, &n);

	if (a->forward != NULL)
		return a->forward->implicit_tls;
	for (size_t i = 0; i < n; i++)
		if (ports[i] == wanted->port)
			return true;
	return false;
}

bool
arrival_is_loop(const struct config *c, const struct endpoint *wanted)
{
	return wanted->port >= c->intercept.listen_from &&
	       wanted->port < c->intercept.listen_from + INTERCEPT_LISTEN_PORTS;
}

/* The interface that a control message names, or 0. */
static unsigned
index_in(struct cmsghdr *c)
{
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		return (unsigned)info.ipi_ifindex;
	}
	if (c->cmsg_level == IPPROTO_IPV6 &&
	    (c->cmsg_type == IPV6_PKTINFO || c->cmsg_type == IPV6_2292PKTINFO)) {
		struct in6_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		return info.ipi6_ifindex;
	}
	return 0;
}

/* The interface on which the first packet of a connection came in; 0: unknown. */
static unsigned
arriving_index(int fd)
{
	union {
		struct cmsghdr header;
		char room[512];
	} control;
	socklen_t n = sizeof(control);
	struct msghdr msg = {.msg_control = &control};
	int on = 1, got;
	unsigned index = 0;

	if (own_address(fd).ss_family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
		got = getsockopt(fd, IPPROTO_IPV6, IPV6_2292PKTOPTIONS, &control, &n);
	} else {
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
		got = getsockopt(fd, IPPROTO_IP, IP_PKTOPTIONS, &control, &n);
	}
	msg.msg_controllen = got == 0 ? n : 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL && index == 0;
	     c = CMSG_NXTHDR(&msg, c))
		index = index_in(c);
	return index;
}

bool
arrival_on_device(int fd, char *const devices[])
{
	/* a sandboxed process has no netlink socket to ask, and any socket answers this one */
	struct ifreq r = {.ifr_ifindex = (int)arriving_index(fd)};

	if (r.ifr_ifindex == 0 || ioctl(fd, SIOCGIFNAME, &r) != 0)
		return false;
	for (size_t i = 0; devices[i] != NULL; i++)
		if (strncmp(devices[i], r.ifr_name, sizeof(r.ifr_name)) == 0)
			return true;
	return false;
}
