/* What workers expect, ask for and leave behind; the kernel here is a namespace of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/set.h>
#include <limits.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "address.h"
#include "data_service.h"
#include "kernel_tables.h"
#include "own_network.h"

static const char tproxy[] = "inside = {\"10.0.0.0/8\"}\nuser = \"nobody\"\nintercept { }\n"
			     "ftp { data_ports_from = 41000 data_ports_to = 41007 }\n";
static const char redirect[] =
    "inside = {\"10.0.0.0/8\"}\nuser = \"nobody\"\nintercept { mode = redirect }\n";
static const char off[] = "inside = {\"10.0.0.0/8\"}\nuser = \"nobody\"\n"
			  "intercept { mode = off }\nforward \"a\" { listen = \"127.0.0.1:2121\"\n"
			  "to = \"192.0.2.1:21\" protocol = ftp }\n";

static struct event_base *base;
static struct interception_service *firewall;
static struct data_service *service;
static struct config *config;
static unsigned notes;

static void
on_note(void *arg, const char *event, const char *text)
{
	(void)arg;
	(void)text;
	notes += strcmp(event, "data_hole_failed") == 0;
}

static struct config *
read_config(const char *text)
{
	struct config *c = config_parse("-", text, strlen(text), stderr);

	assert_non_null(c);
	return c;
}

/* The configuration comes into force, as with a reload. */
static void
apply(const char *text)
{
	struct config *c = read_config(text);
	char why[INTERCEPTION_TEXT_MAX] = "";

	if (!interception_service_apply(firewall, c, why))
		fail_msg("%s", why);
	config_free(config);
	config = c;
}

static struct gateway_page *page;

static int
set_up(void **state)
{
	int readable;

	own_network(state);
	write_text("/proc/sys/net/ipv4/ip_forward", "1");
	base = event_base_new();
	page = gateway_page_new(&readable);
	close(readable);
	firewall = interception_service_new(base, page, on_note, NULL);
	service = data_service_new(base, firewall, on_note, NULL);
	assert_non_null(service);
	notes = 0;
	apply(tproxy);
	return 0;
}

static int
tear_down(void **state)
{
	char why[INTERCEPTION_TEXT_MAX];

	(void)state;
	data_service_free(service);
	assert_true(interception_service_free(firewall, why));
	event_base_free(base);
	config_free(config);
	config = NULL;
	return 0;
}

static struct data_part *
new_part(void)
{
	const char *why = NULL;
	struct data_part *part = data_part_new(service, config, &why);

	if (part == NULL)
		fail_msg("%s", why);
	return part;
}

static uint16_t
port_of(const struct data_part *part)
{
	assert_true(data_part_listeners(part)->n > 0);
	return (uint16_t)data_part_listeners(part)->all[0].b;
}

/* ---- asking ---- */

static struct ip
ip(const char *text)
{
	struct ip out;

	assert_true(ip_parse(span_str(text), &out));
	return out;
}

static struct ipc_flow
flow(const char *source, const char *destination, unsigned port)
{
	struct ipc_flow f = {.destination = ip(destination), .port = (uint16_t)port};

	if (source != NULL)
		f.source = ip(source);
	return f;
}

static struct ipc_message
ask(struct data_part *part, enum ipc_type type, uint32_t number, unsigned seconds,
    const struct ipc_flow *f, int *fd)
{
	struct ipc_message m = {.type = type, .a = number, .b = seconds}, answer;
	int none;

	if (f != NULL)
		m.flow = *f;
	assert_true(data_part_heed(part, &m, &answer, fd != NULL ? fd : &none));
	assert_int_equal(answer.type, IPC_DATA_ANSWER);
	assert_int_equal(answer.a, number);
	return answer;
}

static enum ipc_data
expect(struct data_part *part, uint32_t number, const struct ipc_flow *f)
{
	return (enum ipc_data)ask(part, IPC_DATA_EXPECT, number, 60, f, NULL).b;
}

static void
forget(struct data_part *part, uint32_t number)
{
	struct ipc_message m = {.type = IPC_DATA_FORGET, .a = number}, answer;
	int fd;

	assert_false(data_part_heed(part, &m, &answer, &fd));
	assert_int_equal(fd, -1);
}

/* ---- what the kernel has ---- */

struct seen {
	const char *set;
	const struct ipc_flow *flow; /* NULL: any */
	unsigned n;
	uint16_t port; /* of the last one */
};

static int
look_at(struct nftnl_set_elem *e, void *arg)
{
	struct seen *seen = arg;
	size_t size = seen->flow == NULL || seen->flow->source.family == IP_V4 ? 4 : 16;
	uint32_t n;
	const uint8_t *key = nftnl_set_elem_get(e, NFTNL_SET_ELEM_KEY, &n);
	uint16_t port = seen->flow == NULL ? 0 : htons(seen->flow->port);

	if (seen->flow != NULL &&
	    (n < 2 * size + 2 || memcmp(key, seen->flow->source.octets, size) != 0 ||
		memcmp(key + size, seen->flow->destination.octets, size) != 0 ||
		memcmp(key + 2 * size, &port, 2) != 0))
		return 0;
	seen->n++;
	if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_DATA)) {
		memcpy(&seen->port, nftnl_set_elem_get(e, NFTNL_SET_ELEM_DATA, &n), 2);
		seen->port = ntohs(seen->port);
	}
	return 0;
}

static struct seen
kernel(const char *set, const struct ipc_flow *f)
{
	struct netlink *nl = netlink_open(NETLINK_NETFILTER);
	struct seen seen = {.set = set, .flow = f};
	char why[KERNEL_TABLES_TEXT_MAX];
	struct buf dump;

	buf_init(&dump, NETLINK_DUMP_MAX);
	if (!kernel_tables_flows(nl, &dump, why))
		fail_msg("%s", why);
	for (size_t at = 0; at < dump.n;) {
		const struct nlmsghdr *h = (const void *)(dump.p + at);
		struct nftnl_set *s = nftnl_set_alloc();

		assert_true(nftnl_set_elems_nlmsg_parse(h, s) >= 0);
		if (strcmp(nftnl_set_get_str(s, NFTNL_SET_NAME), set) == 0)
			nftnl_set_elem_foreach(s, look_at, &seen);
		nftnl_set_free(s);
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	buf_free(&dump);
	netlink_close(nl);
	return seen;
}

/* ---- holes ---- */

/* D6: each worker's at its own port; forgotten by who asked for it, and by nobody else. */
static void
test_D6_expect_and_forget(void **state)
{
	const struct ipc_flow four = flow("10.0.0.1", "192.0.2.9", 2000);
	const struct ipc_flow six = flow("fd00::1", "2001:db8::9", 2001);
	struct data_part *a = new_part(), *b = new_part();

	(void)state;
	assert_int_not_equal(port_of(a), port_of(b));
	assert_int_equal(expect(a, 1, &four), IPC_DATA_DONE);
	assert_int_equal(expect(b, 1, &six), IPC_DATA_DONE);
	assert_int_equal(kernel("data4", &four).port, port_of(a));
	assert_int_equal(kernel("data6", &six).port, port_of(b));
	forget(b, 2);
	forget(a, 7);
	assert_int_equal(data_service_holes(service), 2);
	forget(a, 1);
	forget(a, 1);
	assert_int_equal(kernel("data4", NULL).n, 0);
	assert_int_equal(kernel("data6", NULL).n, 1);
	forget(b, 1);
	assert_int_equal(kernel("data6", NULL).n, 0);
	assert_int_equal(data_service_holes(service), 0);
	data_part_free(a);
	data_part_free(b);
}

/* F_014: who asks for a hole that another session has open gets none, until its time is over. */
static void
test_F_014_a_hole_of_another(void **state)
{
	const struct ipc_flow f = flow("10.0.0.1", "192.0.2.9", 2000);
	struct data_part *a = new_part(), *b = new_part();

	(void)state;
	assert_int_equal(ask(a, IPC_DATA_EXPECT, 1, 1, &f, NULL).b, IPC_DATA_DONE);
	assert_int_equal(expect(b, 1, &f), IPC_DATA_FAILED);
	assert_int_equal(expect(a, 2, &f), IPC_DATA_FAILED);
	assert_int_equal(kernel("data4", &f).port, port_of(a));
	usleep(1100000);
	assert_int_equal(expect(b, 1, &f), IPC_DATA_DONE);
	forget(a, 1); /* which is not its own any more */
	assert_int_equal(kernel("data4", &f).port, port_of(b));
	data_part_free(a);
	data_part_free(b);
}

/* The same again begins its time anew; the same number for another flow gives up the first. */
static void
test_numbers_again(void **state)
{
	const struct ipc_flow f = flow("10.0.0.1", "192.0.2.9", 2000);
	const struct ipc_flow g = flow("10.0.0.1", "192.0.2.9", 2001);
	struct data_part *part = new_part();

	(void)state;
	assert_int_equal(ask(part, IPC_DATA_EXPECT, 1, 1, &f, NULL).b, IPC_DATA_DONE);
	assert_int_equal(expect(part, 1, &f), IPC_DATA_DONE);
	usleep(1100000);
	assert_int_equal(kernel("data4", &f).n, 1);
	assert_int_equal(expect(part, 1, &g), IPC_DATA_DONE);
	assert_int_equal(kernel("data4", &f).n, 0);
	assert_int_equal(kernel("data4", &g).n, 1);
	assert_int_equal(data_service_holes(service), 1);
	data_part_free(part);
}

/* What a process leaves behind is forgotten, and stands in nobody's way meanwhile. */
static void
test_a_process_that_is_gone(void **state)
{
	struct data_part *a = new_part(), *b = new_part();
	struct ipc_flow f = flow("10.0.0.1", "192.0.2.9", 2000);

	(void)state;
	for (unsigned i = 0; i < 3 * DATA_HOLES_AT_ONCE; i++) {
		f.port = (uint16_t)(2000 + i);
		assert_int_equal(expect(a, i, &f), IPC_DATA_DONE);
	}
	assert_int_equal(
	    expect(b, 1, &(struct ipc_flow){f.destination, f.source, 5000}), IPC_DATA_DONE);
	data_part_free(a);
	assert_int_equal(expect(b, 2, &f), IPC_DATA_DONE);
	assert_int_equal(kernel("data4", &f).port, port_of(b));
	while (data_service_holes(service) > 2)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_int_equal(kernel("data4", NULL).n, 2);
	assert_int_equal(kernel("data4", &f).port, port_of(b));
	data_part_free(b);
}

/* F_049: bounded in all and for each; the oldest goes. */
static void
test_F_049_too_many(void **state)
{
	struct data_part *parts[3] = {new_part(), new_part(), new_part()};
	struct ipc_flow f = flow("10.0.0.1", "192.0.2.9", 2000), first = f;
	unsigned each = DATA_HOLES_EACH;

	(void)state;
	for (unsigned i = 0; i <= DATA_HOLES_EACH; i++) {
		f.port = (uint16_t)(2000 + i);
		assert_int_equal(expect(parts[0], i, &f), IPC_DATA_DONE);
	}
	assert_int_equal(data_service_holes(service), each);
	assert_int_equal(kernel("data4", &first).n, 0);
	f.source.octets[3] = 2;
	for (unsigned i = 0; i < DATA_HOLES - DATA_HOLES_EACH + 1; i++) {
		f.port = (uint16_t)(2000 + i);
		assert_int_equal(expect(parts[1 + i % 2], i, &f), IPC_DATA_DONE);
	}
	assert_int_equal(data_service_holes(service), DATA_HOLES);
	first.port = 2001;
	assert_int_equal(kernel("data4", &first).n, 0);
	first.port = 2002;
	assert_int_equal(kernel("data4", &first).n, 1);
	assert_int_equal(kernel("data4", NULL).n, DATA_HOLES);
	for (unsigned i = 0; i < 3; i++)
		data_part_free(parts[i]);
	assert_int_equal(notes, 0);
}

/* F_049: those whose time is over push out none that is still waited for. */
static void
test_F_049_expired_ones_make_room(void **state)
{
	struct data_part *part = new_part(), *other = new_part();
	struct ipc_flow f = flow("10.0.0.1", "192.0.2.9", 2000), first = f;

	(void)state;
	assert_int_equal(expect(part, 0, &first), IPC_DATA_DONE);
	for (unsigned i = 1; i < DATA_HOLES_EACH; i++) {
		f.port = (uint16_t)(2000 + i);
		assert_int_equal(ask(part, IPC_DATA_EXPECT, i, 1, &f, NULL).b, IPC_DATA_DONE);
	}
	usleep(2100000);
	f.source.octets[3] = 2;
	assert_int_equal(expect(part, DATA_HOLES_EACH, &f), IPC_DATA_DONE);
	assert_int_equal(kernel("data4", &first).n, 1);
	assert_int_equal(data_service_holes(service), 2);
	f.source.octets[3] = 3;
	assert_int_equal(ask(part, IPC_DATA_EXPECT, 1, 1, &f, NULL).b, IPC_DATA_DONE);
	data_part_free(part); /* what it leaves behind ends too */
	usleep(2100000);
	assert_int_equal(expect(other, 1, &f), IPC_DATA_DONE);
	assert_int_equal(data_service_holes(service), 3);
	data_part_free(other);
	assert_int_equal(notes, 0);
}

static void
test_passed_flows(void **state)
{
	const struct ipc_flow f = flow("10.0.0.1", "192.0.2.9", 2000);
	struct data_part *a = new_part(), *b = new_part();
	struct ipc_message m;

	(void)state;
	assert_int_equal(ask(a, IPC_DATA_PASS, 1, 60, &f, NULL).b, IPC_DATA_DONE);
	assert_int_equal(kernel("passed4", &f).n, 1);
	assert_int_equal(kernel("replies4", &f).n, 1);
	m = ask(a, IPC_DATA_COUNT, 1, 0, NULL, NULL);
	assert_int_equal(m.b, IPC_DATA_DONE);
	assert_int_equal(m.octets[0] + m.octets[1], 0);
	assert_int_equal(ask(a, IPC_DATA_COUNT, 2, 0, NULL, NULL).b, IPC_DATA_FAILED);
	assert_int_equal(ask(b, IPC_DATA_COUNT, 1, 0, NULL, NULL).b, IPC_DATA_FAILED);
	assert_int_equal(ask(b, IPC_DATA_PASS, 1, 60, &f, NULL).b, IPC_DATA_FAILED);
	assert_int_equal(ask(a, IPC_DATA_PASS, 1, 1, &f, NULL).b, IPC_DATA_DONE);
	assert_int_equal(expect(b, 3, &f), IPC_DATA_DONE);
	assert_int_equal(ask(b, IPC_DATA_COUNT, 3, 0, NULL, NULL).b, IPC_DATA_FAILED);
	usleep(1100000);
	assert_int_equal(ask(a, IPC_DATA_COUNT, 1, 0, NULL, NULL).b, IPC_DATA_FAILED);
	forget(a, 1);
	assert_int_equal(kernel("passed4", NULL).n + kernel("replies4", NULL).n, 0);
	data_part_free(a);
	data_part_free(b);
	assert_int_equal(notes, 0);
}

/* A reload keeps holes, and what was forgotten before it does not come back with a mend. */
static void
test_reloads(void **state)
{
	const struct ipc_flow f = flow("10.0.0.1", "192.0.2.9", 2000);
	const struct ipc_flow g = flow("10.0.0.1", "192.0.2.9", 2001);
	struct data_part *old = new_part(), *next;

	(void)state;
	assert_int_equal(expect(old, 1, &f), IPC_DATA_DONE);
	assert_int_equal(ask(old, IPC_DATA_PASS, 2, 60, &g, NULL).b, IPC_DATA_DONE);
	apply(redirect);
	next = new_part();
	assert_int_not_equal(port_of(next), port_of(old));
	assert_int_equal(kernel("data4", &f).port, port_of(old));
	assert_int_equal(kernel("replies4", &g).n, 1);
	assert_int_equal(expect(old, 3, &g), IPC_DATA_DONE);
	assert_int_equal(kernel("data4", &g).port, port_of(old));
	assert_int_equal(expect(next, 1, &f), IPC_DATA_FAILED);
	apply(off);
	assert_int_equal(expect(old, 4, &f), IPC_DATA_FAILED);
	forget(old, 1);
	assert_int_equal(ask(old, IPC_DATA_COUNT, 2, 0, NULL, NULL).b, IPC_DATA_FAILED);
	data_part_free(old);
	while (data_service_holes(service) > 0)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_int_equal(notes, 0);
	data_part_free(next);
}

/* The kernel has no such table any more: the worker hears so, and who reads the log, once. */
static void
test_a_kernel_that_refuses(void **state)
{
	const struct ipc_flow f = flow("10.0.0.1", "192.0.2.9", 2000);
	struct data_part *part = new_part();
	char why[INTERCEPTION_TEXT_MAX];

	(void)state;
	assert_false(interception_expect(interception_service_tables(firewall),
	    &(struct firewall_flow){f.source, ip("2001:db8::9"), 2000}, 30016, 60, why));
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(
		    expect(part, i, &(struct ipc_flow){f.source, ip("2001:db8::9"), 2000}),
		    IPC_DATA_FAILED);
	assert_int_equal(notes, 1);
	assert_int_equal(data_service_holes(service), 0);
	data_part_free(part);
}

/* ---- sockets ---- */

static struct endpoint
local_end(int fd)
{
	struct sockaddr_storage sa = {0};

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &(socklen_t){sizeof(sa)}), 0);
	return address_endpoint((struct sockaddr *)&sa);
}

static int
option(int fd, int level, int name)
{
	int value = -1;

	assert_int_equal(getsockopt(fd, level, name, &value, &(socklen_t){sizeof(value)}), 0);
	return value;
}

/* F11, F_014: on every port of the range, in no order, and on no other; then it says so. */
static void
test_F11_listen(void **state)
{
	const struct ipc_flow here = flow(NULL, "127.0.0.2", 0), six = flow(NULL, "::1", 0);
	struct data_part *part = new_part();
	bool used[8] = {false}, ascending = true;
	int fds[8], fd, last = -1;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(ask(part, IPC_DATA_LISTEN, i, 0, &here, &fds[i]).b, IPC_DATA_DONE);
		int port = local_end(fds[i]).port - 41000;
		assert_in_range(port, 0, 7);
		assert_false(used[port]);
		used[port] = true;
		ascending &= port == last + 1;
		last = port;
		assert_int_equal(option(fds[i], SOL_SOCKET, SO_ACCEPTCONN), 1);
	}
	assert_false(ascending);
	assert_int_equal(ask(part, IPC_DATA_LISTEN, 9, 0, &here, &fd).b, IPC_DATA_TOO_MANY);
	assert_int_equal(fd, -1);
	assert_int_equal(ask(part, IPC_DATA_LISTEN, 10, 0, &six, &fd).b, IPC_DATA_DONE);
	close(fd);
	close(fds[3]);
	assert_int_equal(ask(part, IPC_DATA_LISTEN, 11, 0, &here, &fds[3]).b, IPC_DATA_DONE);
	for (unsigned i = 0; i < 8; i++)
		close(fds[i]);
	data_part_free(part);
}

/* Of the next calls: how many are refused since the port is taken. */
static unsigned refused_binds, refused_listens, binds;

int __real_bind(int, const struct sockaddr *, socklen_t);
int __wrap_bind(int, const struct sockaddr *, socklen_t);
int __real_listen(int, int);
int __wrap_listen(int, int);

int
__wrap_bind(int fd, const struct sockaddr *sa, socklen_t n)
{
	binds++;
	if (refused_binds == 0)
		return __real_bind(fd, sa, n);
	refused_binds--;
	errno = EADDRINUSE;
	return -1;
}

int
__wrap_listen(int fd, int queue)
{
	if (refused_listens == 0)
		return __real_listen(fd, queue);
	refused_listens--;
	errno = EADDRINUSE;
	return -1;
}

/* F_049: a range that is full costs no more than some tries, however wide it is. */
static void
test_F_049_a_full_range(void **state)
{
	const struct ipc_flow here = flow(NULL, "127.0.0.2", 0);
	struct data_part *part;
	int fd;

	(void)state;
	apply(off); /* 5,000 ports */
	part = new_part();
	refused_binds = UINT_MAX;
	binds = 0;
	assert_int_equal(ask(part, IPC_DATA_LISTEN, 1, 0, &here, &fd).b, IPC_DATA_TOO_MANY);
	assert_int_equal(binds, 1024);
	refused_binds = 1023;
	assert_int_equal(ask(part, IPC_DATA_LISTEN, 2, 0, &here, &fd).b, IPC_DATA_DONE);
	assert_int_equal(refused_binds, 0);
	close(fd);
	data_part_free(part);
}

/* Somebody else begins to listen between the two calls. */
static void
test_bound_but_taken(void **state)
{
	const struct ipc_flow here = flow(NULL, "127.0.0.2", 0);
	struct data_part *part = new_part();
	int fd;

	(void)state;
	refused_listens = 2;
	assert_int_equal(ask(part, IPC_DATA_LISTEN, 1, 0, &here, &fd).b, IPC_DATA_DONE);
	assert_int_equal(refused_listens, 0);
	assert_int_equal(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	close(fd);
	data_part_free(part);
}

/* An address that is not this host's cannot be listened on. */
static void
test_listen_elsewhere(void **state)
{
	const struct ipc_flow there = flow(NULL, "192.0.2.9", 0);
	struct data_part *part = new_part();
	int fd;

	(void)state;
	assert_int_equal(ask(part, IPC_DATA_LISTEN, 1, 0, &there, &fd).b, IPC_DATA_FAILED);
	assert_int_equal(fd, -1);
	data_part_free(part);
}

/* F_044: from the server's address and port 20, as often as there are clients. */
static void
test_F_044_bind(void **state)
{
	const struct ipc_flow from[] = {flow(NULL, "192.0.2.9", 20), flow(NULL, "192.0.2.9", 20),
	    flow(NULL, "2001:db8::9", 20), flow(NULL, "192.0.2.9", 0)};
	struct data_part *part = new_part();
	int fds[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(
		    ask(part, IPC_DATA_BIND, i, 0, &from[i], &fds[i]).b, IPC_DATA_DONE);
		struct endpoint at = local_end(fds[i]);
		assert_true(ip_eq(&at.ip, &from[i].destination));
		assert_int_equal(at.port, from[i].port);
		assert_int_equal(option(fds[i], SOL_SOCKET, SO_MARK), 0x02000000);
		assert_int_equal(option(fds[i], SOL_SOCKET, SO_REUSEADDR), 1);
	}
	for (unsigned i = 0; i < 4; i++)
		close(fds[i]);
	data_part_free(part);
}

/* ---- data ports ---- */

static void
test_data_listeners(void **state)
{
	struct data_part *part = new_part();
	const struct listening_set *set = data_part_listeners(part);

	(void)state;
	assert_int_equal(set->n, 2);
	for (size_t i = 0; i < 2; i++) {
		struct endpoint at = local_end(set->all[i].fd);

		assert_int_equal(set->all[i].kind, i == 0 ? IPC_LISTEN_DATA4 : IPC_LISTEN_DATA6);
		assert_in_range(set->all[i].b, 30016, 30016 + INTERCEPT_DATA_PORTS - 1);
		assert_int_equal(at.port, set->all[i].b);
		assert_true(ip_is_loopback(&at.ip));
		assert_int_equal(option(set->all[i].fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
		assert_int_equal(option(set->all[i].fd, SOL_SOCKET, SO_REUSEPORT), 0);
	}
	assert_int_equal(option(set->all[0].fd, IPPROTO_IP, IP_TRANSPARENT), 1);
	assert_int_equal(option(set->all[1].fd, IPPROTO_IPV6, IPV6_TRANSPARENT), 1);
	data_part_handed_over(part);
	assert_int_equal(data_part_listeners(part)->n, 0);
	data_part_free(part);
}

/* Somebody listens on the next one; the one of a process that is gone rests as long as it can. */
static void
test_data_ports_in_turn(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct data_part *a = new_part(), *b;
	uint16_t first = port_of(a);

	(void)state;
	in.sin_port = htons((uint16_t)(first + 1));
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 1), 0);
	data_part_free(a);
	b = new_part();
	assert_int_equal(port_of(b), first + 2);
	assert_int_equal(data_part_listeners(b)->n, 2);
	close(fd);
	data_part_free(b);
}

static void
test_no_data_port_is_left(void **state)
{
	static struct data_part *parts[INTERCEPT_DATA_PORTS];
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < INTERCEPT_DATA_PORTS; i++) {
		parts[i] = new_part();
		data_part_handed_over(parts[i]);
	}
	assert_null(data_part_new(service, config, &why));
	assert_string_equal(why, "intercept.listen_from: no port for data connections from 30016 "
				 "to 30527: Address already in use");
	data_part_free(parts[7]);
	parts[7] = new_part();
	for (size_t i = 0; i < INTERCEPT_DATA_PORTS; i++)
		data_part_free(parts[i]);
}

/* Where nothing is taken off the wire there is no data port; the rest goes on without privilege. */
static void
test_forward_alone(void **state)
{
	const struct ipc_flow f = flow("10.0.0.1", "192.0.2.9", 2000);
	const struct ipc_flow here = flow(NULL, "127.0.0.1", 0);
	struct data_part *part;
	int fd;

	(void)state;
	apply(off);
	part = new_part();
	assert_int_equal(data_part_listeners(part)->n, 0);
	assert_int_equal(expect(part, 1, &f), IPC_DATA_FAILED);
	assert_int_equal(ask(part, IPC_DATA_PASS, 2, 60, &f, NULL).b, IPC_DATA_FAILED);
	assert_int_equal(ask(part, IPC_DATA_LISTEN, 3, 0, &here, &fd).b, IPC_DATA_DONE);
	assert_in_range(local_end(fd).port, 40000, 44999);
	close(fd);
	assert_int_equal(ask(part, IPC_DATA_BIND, 4, 0, &here, &fd).b, IPC_DATA_DONE);
	assert_int_equal(option(fd, SOL_SOCKET, SO_MARK), 0);
	close(fd);
	data_part_free(part);
	assert_int_equal(notes, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_D6_expect_and_forget),
	    TEST(test_F_014_a_hole_of_another),
	    TEST(test_numbers_again),
	    TEST(test_a_process_that_is_gone),
	    TEST(test_F_049_too_many),
	    TEST(test_F_049_expired_ones_make_room),
	    TEST(test_passed_flows),
	    TEST(test_reloads),
	    TEST(test_a_kernel_that_refuses),
	    TEST(test_F11_listen),
	    TEST(test_F_049_a_full_range),
	    TEST(test_bound_but_taken),
	    TEST(test_listen_elsewhere),
	    TEST(test_F_044_bind),
	    TEST(test_data_listeners),
	    TEST(test_data_ports_in_turn),
	    TEST(test_no_data_port_is_left),
	    TEST(test_forward_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
