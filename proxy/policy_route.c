#include "policy_route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/buf.h"

#define REQUEST_MAX 256	       /* octets of a request of ours */
#define OURS_MAX    (64 << 10) /* octets of all rules and routes of ours in one family */
#define LOOPBACK    "lo"

/*
 * The kernel gives it this index in every network namespace (LOOPBACK_IFINDEX). To ask would take a
 * descriptor, and a process that has none left would take its own routes for somebody else's.
 */
#define LOOPBACK_INDEX 1

/* What one family has that is ours or in our way. */
struct survey {
	const struct policy_route *want;
	uint8_t family;
	unsigned rules, routes; /* as they should be */
	bool rule_taken, route_taken;
	uint32_t taken_priority;
	bool ahead; /* a rule of somebody else that our packets can match is asked before ours */
	uint32_t ahead_priority;
	struct buf stale; /* messages of ours that are not as they should be */
	struct buf good;  /* the others */
};

static const char *
family_name(uint8_t family)
{
	return family == AF_INET6 ? "IPv6" : "IPv4";
}

/* ---- reading ---- */

struct fields {
	uint32_t table, priority, mark, mask, oif;
	uint8_t protocol;
	bool from_lo; /* of packets of this host alone */
	bool of_vrf;  /* of packets of the devices of a VRF alone */
};

/* Attributes with the same number mean different things in rules and in routes. */
static int
on_rule_attribute(const struct nlattr *a, void *arg)
{
	struct fields *f = arg;
	uint16_t n = mnl_attr_get_payload_len(a);

	if (mnl_attr_get_type(a) == FRA_PROTOCOL && n >= sizeof(uint8_t))
		f->protocol = mnl_attr_get_u8(a);
	if (mnl_attr_get_type(a) == FRA_L3MDEV && n >= sizeof(uint8_t))
		f->of_vrf = mnl_attr_get_u8(a) != 0;
	if (mnl_attr_get_type(a) == FRA_IIFNAME)
		f->from_lo =
		    n == sizeof(LOOPBACK) && memcmp(mnl_attr_get_payload(a), LOOPBACK, n) == 0;
	if (n < sizeof(uint32_t))
		return MNL_CB_OK;
	if (mnl_attr_get_type(a) == FRA_TABLE)
		f->table = mnl_attr_get_u32(a);
	else if (mnl_attr_get_type(a) == FRA_PRIORITY)
		f->priority = mnl_attr_get_u32(a);
	else if (mnl_attr_get_type(a) == FRA_FWMARK)
		f->mark = mnl_attr_get_u32(a);
	else if (mnl_attr_get_type(a) == FRA_FWMASK)
		f->mask = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int
on_route_attribute(const struct nlattr *a, void *arg)
{
	struct fields *f = arg;

	if (mnl_attr_get_payload_len(a) < sizeof(uint32_t))
		return MNL_CB_OK;
	if (mnl_attr_get_type(a) == RTA_TABLE)
		f->table = mnl_attr_get_u32(a);
	else if (mnl_attr_get_type(a) == RTA_OIF)
		f->oif = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static void
keep(struct buf *b, const struct nlmsghdr *m)
{
	buf_add(b, span_of(m, NLMSG_ALIGN(m->nlmsg_len)));
}

/*
 * Whether a packet that has our mark can match such a rule. The bits outside of our mask may have
 * any value; a rule that says "not" is taken for one that matches.
 */
static bool
can_match(const struct policy_route *want, const struct fib_rule_hdr *h, const struct fields *f)
{
	bool other_mark = ((f->mark ^ want->mark) & f->mask & want->mask) != 0;

	return !f->from_lo && !f->of_vrf && ((h->flags & FIB_RULE_INVERT) != 0 || !other_mark);
}

static void
on_rule(void *arg, const struct nlmsghdr *m)
{
	struct survey *s = arg;
	const struct fib_rule_hdr *h = mnl_nlmsg_get_payload(m);
	struct fields f = {0};
	bool good;

	if (m->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(m) < sizeof(*h) ||
	    h->family != s->family)
		return;
	f.table = h->table;
	mnl_attr_parse(m, sizeof(*h), on_rule_attribute, &f);
	if (f.protocol != POLICY_ROUTE_PROTOCOL) {
		if (h->action == FR_ACT_TO_TBL && f.table == s->want->table) {
			s->rule_taken = true;
			s->taken_priority = f.priority;
		}
		if (f.priority > 0 && f.priority <= POLICY_ROUTE_PRIORITY &&
		    can_match(s->want, h, &f)) {
			s->ahead = true;
			s->ahead_priority = f.priority;
		}
		return;
	}
	good = h->action == FR_ACT_TO_TBL && f.table == s->want->table &&
	       f.priority == POLICY_ROUTE_PRIORITY && f.mark == s->want->mark &&
	       f.mask == s->want->mask && s->rules == 0;
	s->rules += good;
	keep(good ? &s->good : &s->stale, m);
}

/* Of the dump of what is ours, in whatever table. */
static void
on_own_route(void *arg, const struct nlmsghdr *m)
{
	struct survey *s = arg;
	const struct rtmsg *h = mnl_nlmsg_get_payload(m);
	struct fields f = {0};
	bool good;

	if (m->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(m) < sizeof(*h) ||
	    h->rtm_family != s->family || h->rtm_protocol != POLICY_ROUTE_PROTOCOL)
		return;
	f.table = h->rtm_table;
	mnl_attr_parse(m, sizeof(*h), on_route_attribute, &f);
	good = h->rtm_type == RTN_LOCAL && h->rtm_dst_len == 0 && f.table == s->want->table &&
	       f.oif == LOOPBACK_INDEX && s->routes == 0;
	s->routes += good;
	keep(good ? &s->good : &s->stale, m);
}

/* Of the dump of our table. */
static void
on_table_route(void *arg, const struct nlmsghdr *m)
{
	struct survey *s = arg;
	const struct rtmsg *h = mnl_nlmsg_get_payload(m);
	struct fields f = {0};

	if (m->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(m) < sizeof(*h) ||
	    h->rtm_family != s->family || h->rtm_protocol == POLICY_ROUTE_PROTOCOL)
		return;
	f.table = h->rtm_table;
	mnl_attr_parse(m, sizeof(*h), on_route_attribute, &f);
	s->route_taken |= f.table == s->want->table;
}

static bool
dump_rules(struct netlink *route, struct survey *s, struct netlink_error *err)
{
	_Alignas(struct nlmsghdr) char room[REQUEST_MAX];
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	struct fib_rule_hdr *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));

	m->nlmsg_type = RTM_GETRULE;
	h->family = s->family;
	return netlink_dump(route, m, on_rule, s, err);
}

/* protocol 0: of any; table 0: of any. */
static bool
dump_routes(struct netlink *route, struct survey *s, uint8_t protocol, uint32_t table,
    netlink_message *each, struct netlink_error *err)
{
	_Alignas(struct nlmsghdr) char room[REQUEST_MAX];
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	struct rtmsg *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));

	m->nlmsg_type = RTM_GETROUTE;
	h->rtm_family = s->family;
	h->rtm_protocol = protocol;
	if (table != 0)
		mnl_attr_put_u32(m, RTA_TABLE, table);
	/* ENOENT: a table without a route does not exist */
	return netlink_dump(route, m, each, s, err) || err->code == ENOENT;
}

static void
survey_init(struct survey *s, const struct policy_route *want, uint8_t family)
{
	*s = (struct survey){.want = want, .family = family};
	buf_init(&s->stale, OURS_MAX);
	buf_init(&s->good, OURS_MAX);
}

static void
survey_free(struct survey *s)
{
	buf_free(&s->stale);
	buf_free(&s->good);
}

static bool
survey_take(struct netlink *route, struct survey *s, char why[POLICY_ROUTE_TEXT_MAX])
{
	struct netlink_error err;

	if (dump_rules(route, s, &err) &&
	    dump_routes(route, s, POLICY_ROUTE_PROTOCOL, 0, on_own_route, &err) &&
	    dump_routes(route, s, 0, s->want->table, on_table_route, &err))
		return true;
	snprintf(why, POLICY_ROUTE_TEXT_MAX, "policy route: cannot look at %s rules and routes: %s",
	    family_name(s->family), err.text);
	return false;
}

static enum policy_route_state
survey_state(const struct survey *s, char why[POLICY_ROUTE_TEXT_MAX])
{
	const char *family = family_name(s->family);

	if (s->rule_taken) {
		snprintf(why, POLICY_ROUTE_TEXT_MAX,
		    "policy route: routing table %u is led to by somebody else's %s rule %u: "
		    "remove that rule, or choose another intercept.route_table",
		    s->want->table, family, s->taken_priority);
		return POLICY_ROUTE_TAKEN;
	}
	if (s->route_taken) {
		snprintf(why, POLICY_ROUTE_TEXT_MAX,
		    "policy route: routing table %u has %s routes of somebody else: remove them, "
		    "or choose another intercept.route_table",
		    s->want->table, family);
		return POLICY_ROUTE_TAKEN;
	}
	if (s->rules > 0 && s->routes > 0)
		return POLICY_ROUTE_COMPLETE;
	snprintf(why, POLICY_ROUTE_TEXT_MAX, "policy route: the %s %s of routing table %u is gone",
	    family, s->rules > 0 ? "route" : "rule", s->want->table);
	return POLICY_ROUTE_MISSING;
}

/* ---- changing ---- */

static bool
explain(const struct survey *s, const char *what, const struct netlink_error *err,
    char why[POLICY_ROUTE_TEXT_MAX])
{
	snprintf(why, POLICY_ROUTE_TEXT_MAX, "policy route: cannot %s (%s, routing table %u): %s",
	    what, family_name(s->family), s->want->table, err->text);
	return false;
}

/* Something that was as it should be when it was added in between is fine too. */
static bool
add(struct netlink *route, struct nlmsghdr *m, struct netlink_error *err)
{
	m->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	return netlink_request(route, m, NULL, NULL, err) || err->code == EEXIST;
}

static bool
add_rule(struct netlink *route, const struct survey *s, char why[POLICY_ROUTE_TEXT_MAX])
{
	_Alignas(struct nlmsghdr) char room[REQUEST_MAX];
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	struct fib_rule_hdr *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));
	struct netlink_error err;

	m->nlmsg_type = RTM_NEWRULE;
	h->family = s->family;
	h->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(m, FRA_TABLE, s->want->table);
	mnl_attr_put_u32(m, FRA_PRIORITY, POLICY_ROUTE_PRIORITY);
	mnl_attr_put_u32(m, FRA_FWMARK, s->want->mark);
	mnl_attr_put_u32(m, FRA_FWMASK, s->want->mask);
	mnl_attr_put_u8(m, FRA_PROTOCOL, POLICY_ROUTE_PROTOCOL);
	return add(route, m, &err) || explain(s, "add the rule", &err, why);
}

static bool
add_route(struct netlink *route, const struct survey *s, char why[POLICY_ROUTE_TEXT_MAX])
{
	_Alignas(struct nlmsghdr) char room[REQUEST_MAX];
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	struct rtmsg *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));
	struct netlink_error err;

	m->nlmsg_type = RTM_NEWROUTE;
	h->rtm_family = s->family;
	h->rtm_protocol = POLICY_ROUTE_PROTOCOL;
	h->rtm_scope = s->family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_HOST;
	h->rtm_type = RTN_LOCAL;
	mnl_attr_put_u32(m, RTA_TABLE, s->want->table);
	mnl_attr_put_u32(m, RTA_OIF, LOOPBACK_INDEX);
	return add(route, m, &err) || explain(s, "add the route to " LOOPBACK, &err, why);
}

/* What is gone already is fine: all that counts is that it is. */
static bool
is_gone(int code)
{
	return code == ENOENT || code == ESRCH;
}

static bool
delete_each(
    struct netlink *route, const struct survey *s, struct buf *b, char why[POLICY_ROUTE_TEXT_MAX])
{
	struct netlink_error err;
	void *next = b->p;
	struct nlmsghdr *m = next;

	/* a message of a dump is also what names it for its deletion */
	for (int left = (int)b->n; left > 0 && mnl_nlmsg_ok(m, left);
	     m = mnl_nlmsg_next(m, &left)) {
		m->nlmsg_type = m->nlmsg_type == RTM_NEWRULE ? RTM_DELRULE : RTM_DELROUTE;
		m->nlmsg_flags = 0;
		m->nlmsg_pid = 0;
		if (!netlink_request(route, m, NULL, NULL, &err) && !is_gone(err.code))
			return explain(s, "remove what is ours", &err, why);
	}
	return true;
}

/* ---- both families ---- */

typedef bool family_function(struct netlink *, struct survey *, char why[POLICY_ROUTE_TEXT_MAX]);

static bool
each_family(struct netlink *route, const struct policy_route *want, family_function *function,
    char why[POLICY_ROUTE_TEXT_MAX])
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	bool fine = true;

	for (size_t i = 0; fine && i < (want->ipv6 ? 2 : 1); i++) {
		struct survey s;
		survey_init(&s, want, families[i]);
		fine = survey_take(route, &s, why) && function(route, &s, why);
		survey_free(&s);
	}
	return fine;
}

static bool
install(struct netlink *route, struct survey *s, char why[POLICY_ROUTE_TEXT_MAX])
{
	if (survey_state(s, why) == POLICY_ROUTE_TAKEN)
		return false;
	return delete_each(route, s, &s->stale, why) &&
	       (s->routes > 0 || add_route(route, s, why)) &&
	       (s->rules > 0 || add_rule(route, s, why));
}

static bool
uninstall(struct netlink *route, struct survey *s, char why[POLICY_ROUTE_TEXT_MAX])
{
	return delete_each(route, s, &s->stale, why) && delete_each(route, s, &s->good, why);
}

bool
policy_route_install(
    struct netlink *route, const struct policy_route *want, char why[POLICY_ROUTE_TEXT_MAX])
{
	return each_family(route, want, install, why);
}

bool
policy_route_remove(
    struct netlink *route, const struct policy_route *want, char why[POLICY_ROUTE_TEXT_MAX])
{
	return each_family(route, want, uninstall, why);
}

enum policy_route_state
policy_route_check(
    struct netlink *route, const struct policy_route *want, char why[POLICY_ROUTE_TEXT_MAX])
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	enum policy_route_state state = POLICY_ROUTE_COMPLETE;

	for (size_t i = 0; state == POLICY_ROUTE_COMPLETE && i < (want->ipv6 ? 2 : 1); i++) {
		struct survey s;
		survey_init(&s, want, families[i]);
		state = survey_take(route, &s, why) ? survey_state(&s, why) : POLICY_ROUTE_UNKNOWN;
		survey_free(&s);
	}
	return state;
}

static bool
first(struct netlink *route, struct survey *s, char why[POLICY_ROUTE_TEXT_MAX])
{
	(void)route;
	if (s->ahead)
		snprintf(why, POLICY_ROUTE_TEXT_MAX,
		    "policy route: %s rule %u is asked before the gateway's, and what is "
		    "intercepted and matches it is lost: give it a priority above %d (ip rule)",
		    family_name(s->family), s->ahead_priority, POLICY_ROUTE_PRIORITY);
	return !s->ahead;
}

bool
policy_route_is_first(
    struct netlink *route, const struct policy_route *want, char why[POLICY_ROUTE_TEXT_MAX])
{
	return each_family(route, want, first, why);
}
