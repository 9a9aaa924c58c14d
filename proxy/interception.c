#include "interception.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "kernel_tables.h"
#include "relay.h"
#include "sysctl.h"

/* Of a flow that comes and goes while it is being added. */
#define ADD_TRIES 4

/* What one configuration makes of the kernel. */
struct plan {
	struct firewall *firewall;
	struct buf batch; /* that makes the tables */
	enum intercept_mode mode;
	struct policy_route route;
	bool guarded; /* the guard stays when the gateway stops */
};

struct interception {
	struct plan plan;
	struct early_demux demux;
	bool migrates;		 /* tcp_migrate_req is 1 by us */
	struct netlink *tables;	 /* the owner */
	struct netlink *routes;	 /* requests about routes */
	struct netlink *news[2]; /* what others do to tables, to rules of routing */
	int ready;		 /* an epoll descriptor over news */
	uint32_t generation;	 /* of the tables when they were looked at last; 0: look */
	bool routes_changed;
};

/* ---- the plan ---- */

_Static_assert(FIREWALL_SERVICES_MAX >= PROTOCOL_COUNT, "there is room for every protocol");

size_t
interception_protocols(enum protocol list[PROTOCOL_COUNT])
{
	size_t n = 0;

	for (enum protocol p = 0; p < PROTOCOL_COUNT; p++)
		if (relay_ops_of(p) != NULL)
			list[n++] = p;
	return n;
}

static struct firewall_service
service(const struct config *c, enum protocol protocol)
{
	struct firewall_service s = {.name = protocol_name(protocol),
	    .listen = c->intercept.listen_from + (unsigned)protocol};

	s.ports = config_ports(c, protocol, &s.n_ports);
	return s;
}

struct firewall *
interception_firewall(const struct config *c, const enum protocol served[], size_t n_served)
{
	const struct intercept_config *i = &c->intercept;
	struct firewall_config f = {
	    .mode = c->mode == INTERCEPT_REDIRECT ? FIREWALL_REDIRECT : FIREWALL_TPROXY,
	    .guard = !i->on_exit_bypass,
	    .devices = i->devices,
	    .bypass = i->bypass,
	    .bypass_servers = i->bypass_servers,
	    .data_port = i->listen_from + INTERCEPT_DATA_PORT,
	    .n_data = INTERCEPT_DATA_PORTS,
	    .mark = i->mark,
	    .own_mark = i->own_mark,
	    .mask = i->mark_mask,
	};

	for (size_t k = 0; k < n_served && f.n_services < FIREWALL_SERVICES_MAX; k++)
		f.services[f.n_services++] = service(c, served[k]);
	return firewall_new(&f);
}

struct policy_route
interception_route(const struct config *c)
{
	const struct intercept_config *i = &c->intercept;

	return (struct policy_route){
	    .mark = i->mark, .mask = i->mark_mask, .table = i->route_table, .ipv6 = sysctl_ipv6()};
}

static void
plan_free(struct plan *p)
{
	firewall_free(p->firewall);
	buf_free(&p->batch);
}

/* False: no memory; *p is to be freed all the same. */
static bool
plan_make(struct plan *p, const struct config *c, const enum protocol served[], size_t n_served)
{
	const struct intercept_config *i = &c->intercept;

	*p = (struct plan){
	    .mode = c->mode,
	    .guarded = !i->on_exit_bypass,
	    .route = interception_route(c),
	};
	buf_init(&p->batch, FIREWALL_BATCH_MAX);
	p->firewall = interception_firewall(c, served, n_served);
	return p->firewall != NULL && firewall_batch(p->firewall, (struct span){0}, &p->batch);
}

/* ---- sockets ---- */

static bool
watch_socket(struct interception *i, struct netlink *nl)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(i->ready, EPOLL_CTL_ADD, netlink_fd(nl), &event) == 0;
}

static bool
open_sockets(struct interception *i)
{
	i->tables = netlink_open(NETLINK_NETFILTER);
	i->routes = netlink_open(NETLINK_ROUTE);
	i->news[0] = netlink_open(NETLINK_NETFILTER);
	i->news[1] = netlink_open(NETLINK_ROUTE);
	i->ready = epoll_create1(EPOLL_CLOEXEC);
	return i->tables != NULL && i->routes != NULL && i->news[0] != NULL && i->news[1] != NULL &&
	       i->ready >= 0 && netlink_leave_out(i->news[0], netlink_port(i->tables)) &&
	       netlink_join(i->news[0], NFNLGRP_NFTABLES) &&
	       netlink_join(i->news[1], RTNLGRP_IPV4_RULE) &&
	       netlink_join(i->news[1], RTNLGRP_IPV6_RULE) && watch_socket(i, i->news[0]) &&
	       watch_socket(i, i->news[1]);
}

/* Without the owner's socket the kernel takes the first table away. */
static void
interception_free(struct interception *i)
{
	netlink_close(i->tables);
	netlink_close(i->routes);
	netlink_close(i->news[0]);
	netlink_close(i->news[1]);
	if (i->ready >= 0)
		close(i->ready);
	plan_free(&i->plan);
	free(i);
}

static struct interception *
interception_new(char why[INTERCEPTION_TEXT_MAX])
{
	struct interception *i = calloc(1, sizeof(*i));

	if (i == NULL) {
		snprintf(why, INTERCEPTION_TEXT_MAX, "interception: no memory");
		return NULL;
	}
	i->ready = -1;
	if (open_sockets(i))
		return i;
	if (errno == EPERM)
		snprintf(why, INTERCEPTION_TEXT_MAX,
		    "interception: no privilege to set firewall rules: this needs root "
		    "(CAP_NET_ADMIN)");
	else
		snprintf(why, INTERCEPTION_TEXT_MAX,
		    "interception: no netlink socket to the kernel's firewall: %s",
		    strerror(errno));
	interception_free(i);
	return NULL;
}

/* ---- installing ---- */

/* Says it of interception, and cuts nothing that the kernel or the helpers said. */
static bool
fail(char why[INTERCEPTION_TEXT_MAX], const char *line)
{
	snprintf(why, INTERCEPTION_TEXT_MAX, "interception: %s", line);
	return false;
}

static bool
no_plan(char why[INTERCEPTION_TEXT_MAX])
{
	return fail(why,
	    "intercept.bypass and bypass_servers have more networks than fit into one transaction "
	    "(some 30,000), or there is no memory");
}

static bool
set_route(struct interception *i, char why[INTERCEPTION_TEXT_MAX])
{
	const struct policy_route *route = &i->plan.route;
	char line[POLICY_ROUTE_TEXT_MAX];
	bool done = i->plan.mode == INTERCEPT_TPROXY ? policy_route_install(i->routes, route, line)
						     : policy_route_remove(i->routes, route, line);

	return done || fail(why, line);
}

/* What the kernel has against what was sent; of anything but VERIFIED_SAME line says why. */
enum verified {
	VERIFIED_SAME,
	VERIFIED_DIFFERS,
	VERIFIED_GUARD_DIFFERS, /* and nothing else */
	VERIFIED_UNREAD,	/* it could not be read, and may be as it should */
};

static enum verified
verify(struct interception *i, char line[KERNEL_TABLES_TEXT_MAX])
{
	static const enum verified verified[] = {[FIREWALL_SAME] = VERIFIED_SAME,
	    [FIREWALL_DIFFERS] = VERIFIED_DIFFERS,
	    [FIREWALL_GUARD_DIFFERS] = VERIFIED_GUARD_DIFFERS};
	enum verified found = VERIFIED_UNREAD;
	char words[FIREWALL_TEXT_MAX];
	struct buf dump;

	buf_init(&dump, NETLINK_DUMP_MAX);
	if (kernel_tables_dump(i->tables, i->plan.firewall, &dump, &i->generation, line)) {
		found =
		    verified[firewall_compare(buf_span(&i->plan.batch), buf_span(&dump), words)];
		if (found != VERIFIED_SAME)
			snprintf(line, KERNEL_TABLES_TEXT_MAX, "%s", words);
	}
	buf_free(&dump);
	if (found != VERIFIED_SAME)
		i->generation = 0;
	return found;
}

/*
 * The tables in place of those that are there, with the flows of these for the rest of their time.
 * They are asked for anew each time: what was forgotten since the last time must not come back.
 */
static bool
send_with_flows(struct interception *i, char why[INTERCEPTION_TEXT_MAX])
{
	char line[KERNEL_TABLES_TEXT_MAX];
	struct buf flows, batch;
	bool sent = false;

	buf_init(&flows, NETLINK_DUMP_MAX);
	buf_init(&batch, FIREWALL_FLOWS_BATCH_MAX);
	if (!kernel_tables_flows(i->tables, &flows, line))
		fail(why, line);
	else if (!firewall_batch(i->plan.firewall, buf_span(&flows), &batch))
		no_plan(why);
	else
		sent = kernel_tables_send(i->tables, &batch, NULL, line) || fail(why, line);
	buf_free(&flows);
	buf_free(&batch);
	return sent;
}

static bool
send_tables(struct interception *i, char why[INTERCEPTION_TEXT_MAX])
{
	char line[KERNEL_TABLES_TEXT_MAX];

	return kernel_tables_send(i->tables, &i->plan.batch, NULL, line) || fail(why, line);
}

/* flows: those of tables of ours that are there stay. */
static bool
install_tables(struct interception *i, bool flows, char why[INTERCEPTION_TEXT_MAX])
{
	char line[KERNEL_TABLES_TEXT_MAX];
	enum verified found;

	if (!(flows ? send_with_flows(i, why) : send_tables(i, why)))
		return false;
	found = verify(i, line);
	if (found == VERIFIED_SAME)
		return true;
	if (found == VERIFIED_UNREAD)
		return fail(why, line);
	snprintf(why, INTERCEPTION_TEXT_MAX,
	    "interception: the kernel does not have what was sent: %s", line);
	return false;
}

static bool
remove_route(struct interception *i, char why[INTERCEPTION_TEXT_MAX])
{
	char line[POLICY_ROUTE_TEXT_MAX];

	return policy_route_remove(i->routes, &i->plan.route, line) || fail(why, line);
}

static bool
set_sysctl(struct interception *i, const struct config *c, char why[INTERCEPTION_TEXT_MAX])
{
	char line[SYSCTL_TEXT_MAX];

	if (c->mode != INTERCEPT_TPROXY)
		return true;
	if (!sysctl_forwards(false, line) || !sysctl_source_check(line))
		return fail(why, line);
	if (c->intercept.sysctl && !i->migrates)
		i->migrates = migrate_requests_on();
	return !c->intercept.sysctl || early_demux_off(&i->demux, line) || fail(why, line);
}

static bool
start(struct interception *i, const struct config *c, const enum protocol served[], size_t n_served,
    char why[INTERCEPTION_TEXT_MAX])
{
	char unheard[INTERCEPTION_TEXT_MAX], line[SYSCTL_TEXT_MAX];
	struct kernel_tables_present present;
	char tables[KERNEL_TABLES_TEXT_MAX];

	/* ahead of the policy route, which a running gateway needs */
	if (!kernel_tables_present(i->tables, &present, tables))
		return fail(why, tables);
	if (present.owned)
		return fail(why, "table inet " FIREWALL_TABLE
				 " belongs to another process: another postern runs here");
	if (!plan_make(&i->plan, c, served, n_served))
		return no_plan(why);
	if (set_sysctl(i, c, why) && set_route(i, why) && install_tables(i, false, why))
		return true;
	remove_route(i, unheard);
	early_demux_restore(&i->demux, line);
	if (i->migrates)
		migrate_requests_off();
	return false;
}

struct interception *
interception_start(const struct config *c, const enum protocol served[], size_t n_served,
    char why[INTERCEPTION_TEXT_MAX])
{
	struct interception *i = interception_new(why);

	if (i == NULL || start(i, c, served, n_served, why))
		return i;
	interception_free(i);
	return NULL;
}

bool
interception_reload(struct interception *i, const struct config *c, const enum protocol served[],
    size_t n_served, char why[INTERCEPTION_TEXT_MAX])
{
	char unheard[INTERCEPTION_TEXT_MAX];
	struct plan before = i->plan;
	bool done = false;

	if (!plan_make(&i->plan, c, served, n_served))
		no_plan(why);
	else
		done = set_sysctl(i, c, why) && set_route(i, why) && install_tables(i, true, why);
	if (done) {
		plan_free(&before);
		return true;
	}
	plan_free(&i->plan);
	i->plan = before;
	i->generation = 0; /* whatever is there is looked at, and mended */
	set_route(i, unheard);
	return false;
}

bool
interception_stop(struct interception *i, char why[INTERCEPTION_TEXT_MAX])
{
	char line[KERNEL_TABLES_TEXT_MAX], demux[SYSCTL_TEXT_MAX];
	struct buf batch;
	bool done = true;

	buf_init(&batch, FIREWALL_BATCH_MAX);
	if (!firewall_remove_batch(FIREWALL_TABLE, &batch) ||
	    !kernel_tables_send(i->tables, &batch, NULL, line))
		done = fail(why, line);
	buf_free(&batch);
	done &= remove_route(i, why);
	if (i->migrates)
		migrate_requests_off();
	/* where connections pass by from now on, sockets in TIME_WAIT must not swallow them */
	if (i->plan.guarded && !early_demux_restore(&i->demux, demux))
		done = fail(why, demux);
	interception_free(i);
	return done;
}

/* ---- what others do ---- */

int
interception_fd(const struct interception *i)
{
	return i->ready;
}

static void
unread(void *arg, const struct nlmsghdr *message)
{
	(void)arg;
	(void)message;
}

/* Whatever was told, the state itself is looked at. */
static bool
hear(struct netlink *nl)
{
	return netlink_news(nl, unread, NULL) != NETLINK_NOTHING;
}

/* Puts the tables in order again. */
static bool
mend_tables(struct interception *i, enum verified found, char why[INTERCEPTION_TEXT_MAX])
{
	char line[KERNEL_TABLES_TEXT_MAX];
	struct buf batch;
	bool sent;

	if (found == VERIFIED_DIFFERS)
		return install_tables(i, true, why);
	buf_init(&batch, FIREWALL_BATCH_MAX);
	sent = firewall_guard_batch(i->plan.firewall, &batch) &&
	       kernel_tables_send(i->tables, &batch, NULL, line);
	buf_free(&batch);
	return (sent && verify(i, line) == VERIFIED_SAME) || fail(why, line);
}

static enum interception_state
watch_tables(struct interception *i, char why[INTERCEPTION_TEXT_MAX])
{
	char line[KERNEL_TABLES_TEXT_MAX], trouble[INTERCEPTION_TEXT_MAX];
	enum verified found = VERIFIED_UNREAD;
	uint32_t generation;

	if (kernel_tables_generation(i->tables, &generation, line))
		found = generation == i->generation ? VERIFIED_SAME : verify(i, line);
	if (found == VERIFIED_SAME)
		return INTERCEPTION_INTACT;
	if (found == VERIFIED_UNREAD) {
		fail(why, line);
		return INTERCEPTION_UNSEEN;
	}
	if (mend_tables(i, found, trouble)) {
		snprintf(why, INTERCEPTION_TEXT_MAX, "%s; mended", line);
		return INTERCEPTION_MENDED;
	}
	snprintf(why, INTERCEPTION_TEXT_MAX, "%s; cannot be mended: %.400s", line, trouble);
	return INTERCEPTION_BROKEN;
}

static enum interception_state
watch_route(struct interception *i, char why[INTERCEPTION_TEXT_MAX])
{
	char line[POLICY_ROUTE_TEXT_MAX], trouble[POLICY_ROUTE_TEXT_MAX];
	enum policy_route_state state = policy_route_check(i->routes, &i->plan.route, line);

	if (state == POLICY_ROUTE_COMPLETE) {
		i->routes_changed = false;
		return INTERCEPTION_INTACT;
	}
	if (state == POLICY_ROUTE_UNKNOWN) {
		snprintf(why, INTERCEPTION_TEXT_MAX, "%s", line);
		return INTERCEPTION_UNSEEN;
	}
	if (policy_route_install(i->routes, &i->plan.route, trouble)) {
		snprintf(why, INTERCEPTION_TEXT_MAX, "%s; mended", line);
		return INTERCEPTION_MENDED;
	}
	snprintf(why, INTERCEPTION_TEXT_MAX, "%s; cannot be mended: %s", line, trouble);
	return INTERCEPTION_BROKEN;
}

enum interception_state
interception_watch(struct interception *i, bool all, char why[INTERCEPTION_TEXT_MAX])
{
	char line[INTERCEPTION_TEXT_MAX] = "", other[INTERCEPTION_TEXT_MAX] = "";
	enum interception_state tables, route = INTERCEPTION_INTACT;

	hear(i->news[0]); /* the generation tells more */
	i->routes_changed |= hear(i->news[1]);
	tables = watch_tables(i, line);
	if (i->plan.mode == INTERCEPT_TPROXY && (all || i->routes_changed))
		route = watch_route(i, other);
	snprintf(why, INTERCEPTION_TEXT_MAX, "%.500s%s%.500s", line,
	    line[0] != '\0' && other[0] != '\0' ? "; " : "", other);
	return route > tables ? route : tables;
}

bool
interception_tables_intact(const struct interception *i)
{
	return i->generation != 0;
}

/* ---- single connections ---- */

/* Takes the batch. */
static bool
send_flow(struct interception *i, bool made, struct buf *batch, int *code,
    char why[INTERCEPTION_TEXT_MAX])
{
	char line[KERNEL_TABLES_TEXT_MAX];
	bool sent = made && kernel_tables_send(i->tables, batch, code, line);

	buf_free(batch);
	/*
	 * One more change, which is ours: what changes nothing is refused, or somebody else's
	 * change would be taken for it. 0 is left out by the kernel too.
	 */
	if (sent && i->generation != 0 && ++i->generation == 0)
		i->generation = 1;
	if (!made)
		return fail(why, "no memory, or addresses of two families");
	return sent || fail(why, line);
}

static bool
forget(struct interception *i, enum firewall_flows flows, const struct firewall_flow *flow,
    char why[INTERCEPTION_TEXT_MAX])
{
	struct buf batch;
	int code = 0;

	buf_init(&batch, FIREWALL_BATCH_MAX);
	bool made = firewall_flow_delete_batch(flows, flow, &batch);
	return send_flow(i, made, &batch, &code, why) || code == ENOENT;
}

bool
interception_forget(struct interception *i, enum firewall_flows flows,
    const struct firewall_flow *flow, char why[INTERCEPTION_TEXT_MAX])
{
	bool done = forget(i, flows, flow, why);

	return (flows != FIREWALL_PASSED || forget(i, FIREWALL_REPLIES, flow, why)) && done;
}

/* One that is there already begins anew. It may go, by its time, while that is found out. */
static bool
add_flow(struct interception *i, enum firewall_flows flows, const struct firewall_flow *flow,
    uint16_t port, unsigned seconds, char why[INTERCEPTION_TEXT_MAX])
{
	bool anew = false;

	for (unsigned tries = 0; tries < ADD_TRIES; tries++) {
		struct buf batch;
		int code = 0;
		bool made;

		buf_init(&batch, FIREWALL_BATCH_MAX);
		made = firewall_flow_add_batch(flows, flow, port, seconds, anew, &batch);
		if (send_flow(i, made, &batch, &code, why))
			return true;
		if (code != (anew ? ENOENT : EEXIST))
			return false;
		anew = !anew;
	}
	return false;
}

bool
interception_expect(struct interception *i, const struct firewall_flow *flow, uint16_t port,
    unsigned seconds, char why[INTERCEPTION_TEXT_MAX])
{
	return add_flow(i, FIREWALL_DATA, flow, port, seconds, why);
}

bool
interception_pass(struct interception *i, const struct firewall_flow *flow, unsigned seconds,
    char why[INTERCEPTION_TEXT_MAX])
{
	return add_flow(i, FIREWALL_PASSED, flow, 0, seconds, why);
}

bool
interception_counted(struct interception *i, const struct firewall_flow *flow, uint64_t octets[2],
    char why[INTERCEPTION_TEXT_MAX])
{
	char line[KERNEL_TABLES_TEXT_MAX];

	return (kernel_tables_count(i->tables, FIREWALL_PASSED, flow, &octets[0], line) &&
		   kernel_tables_count(i->tables, FIREWALL_REPLIES, flow, &octets[1], line)) ||
	       fail(why, line);
}

/* ---- the guard without a gateway ---- */

static enum guard_up_result
guard_up(struct interception *i, const struct config *c, const enum protocol served[],
    size_t n_served, char why[INTERCEPTION_TEXT_MAX])
{
	struct kernel_tables_present present;
	char line[KERNEL_TABLES_TEXT_MAX];

	if (!kernel_tables_present(i->tables, &present, line)) {
		fail(why, line);
		return GUARD_UP_FAILED;
	}
	if (present.owned)
		return GUARD_UP_RUNNING;
	buf_init(&i->plan.batch, FIREWALL_BATCH_MAX);
	i->plan.firewall = interception_firewall(c, served, n_served);
	if (i->plan.firewall == NULL || !firewall_guard_batch(i->plan.firewall, &i->plan.batch)) {
		no_plan(why);
		return GUARD_UP_FAILED;
	}
	return install_tables(i, false, why) ? GUARD_UP_DONE : GUARD_UP_FAILED;
}

enum guard_up_result
interception_guard_up(const struct config *c, const enum protocol served[], size_t n_served,
    char why[INTERCEPTION_TEXT_MAX])
{
	struct interception *i = interception_new(why);
	enum guard_up_result result = GUARD_UP_FAILED;

	if (i == NULL)
		return result;
	result = guard_up(i, c, served, n_served, why);
	interception_free(i);
	return result;
}

enum guard_presence
interception_guard_present(void)
{
	struct netlink *nl = netlink_open(NETLINK_NETFILTER);
	enum guard_presence presence = GUARD_UNKNOWN;
	struct kernel_tables_present present;
	char unheard[KERNEL_TABLES_TEXT_MAX];

	if (nl != NULL && kernel_tables_present(nl, &present, unheard))
		presence = present.guard ? GUARD_PRESENT : GUARD_ABSENT;
	netlink_close(nl);
	return presence;
}

/* ---- postern release ---- */

static enum release_result
remove_guard(struct netlink *nl, char why[INTERCEPTION_TEXT_MAX])
{
	char line[KERNEL_TABLES_TEXT_MAX];
	struct kernel_tables_present present;
	struct buf batch;
	bool sent;

	if (!kernel_tables_present(nl, &present, line)) {
		fail(why, line);
		return RELEASE_FAILED;
	}
	if (present.owned)
		return RELEASE_RUNNING;
	buf_init(&batch, FIREWALL_BATCH_MAX);
	sent = firewall_remove_batch(FIREWALL_GUARD, &batch) &&
	       kernel_tables_send(nl, &batch, NULL, line);
	buf_free(&batch);
	if (sent)
		return present.guard ? RELEASE_DONE : RELEASE_NONE;
	fail(why, line);
	return RELEASE_FAILED;
}

enum release_result
interception_release(char why[INTERCEPTION_TEXT_MAX])
{
	const struct policy_route any = {.ipv6 = sysctl_ipv6()};
	struct netlink *tables = netlink_open(NETLINK_NETFILTER);
	struct netlink *routes = netlink_open(NETLINK_ROUTE);
	enum release_result result = RELEASE_FAILED;
	char line[POLICY_ROUTE_TEXT_MAX];

	if (tables == NULL || routes == NULL)
		snprintf(why, INTERCEPTION_TEXT_MAX, "interception: no netlink socket: %s",
		    strerror(errno));
	else
		result = remove_guard(tables, why);
	if ((result == RELEASE_DONE || result == RELEASE_NONE) &&
	    !policy_route_remove(routes, &any, line)) {
		fail(why, line);
		result = RELEASE_FAILED;
	}
	netlink_close(tables);
	netlink_close(routes);
	return result;
}
