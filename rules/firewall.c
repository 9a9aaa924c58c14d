#include "firewall.h"

#include <netinet/in.h>
#include <stdlib.h>

/* ---- sets ---- */

size_t
firewall_key_size(enum firewall_key key)
{
	static const uint8_t sizes[] = {
	    [FIREWALL_KEY_IP4] = 4,
	    [FIREWALL_KEY_IP6] = 16,
	    [FIREWALL_KEY_PORT] = 2,
	    [FIREWALL_KEY_DEVICE] = FIREWALL_DEVICE_MAX,
	    [FIREWALL_KEY_FLOW4] = 4 + 4 + 4, /* a port takes four octets beside others */
	    [FIREWALL_KEY_FLOW6] = 16 + 16 + 4,
	};

	return sizes[key];
}

/* Room for n elements, at least one. NULL: no memory. */
static struct firewall_set *
set_add(
    struct firewall_table *t, const char *name, const char *suffix, enum firewall_key key, size_t n)
{
	struct firewall_set *set = &t->sets[t->n_sets];
	size_t length = strlen(name), more = strlen(suffix);

	if (t->n_sets == FIREWALL_SETS_MAX || length + more >= sizeof(set->name))
		return NULL;
	set->elements = calloc(n > 0 ? n : 1, sizeof(set->elements[0]));
	if (set->elements == NULL)
		return NULL;
	memcpy(set->name, name, length);
	memcpy(set->name + length, suffix, more + 1);
	set->table = t->name;
	set->key = key;
	t->n_sets++;
	return set;
}

static const struct firewall_set *
set_find(const struct firewall_table *t, const char *name, const char *suffix)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < t->n_sets; i++)
		if (strncmp(t->sets[i].name, name, length) == 0 &&
		    strcmp(t->sets[i].name + length, suffix) == 0)
			return &t->sets[i];
	return NULL;
}

static void
set_put(struct firewall_set *set, const void *first, const void *last)
{
	size_t size = firewall_key_size(set->key);

	memcpy(set->elements[set->n].first, first, size);
	memcpy(set->elements[set->n].last, last, size);
	set->n++;
}

static int
element_compare(const void *pa, const void *pb)
{
	const struct firewall_element *a = pa, *b = pb;

	return memcmp(a->first, b->first, sizeof(a->first));
}

/* Ascending, each once. */
static void
set_sort(struct firewall_set *set)
{
	size_t kept = 0;

	if (set->n == 0)
		return;
	qsort(set->elements, set->n, sizeof(set->elements[0]), element_compare);
	for (size_t i = 1; i < set->n; i++)
		if (element_compare(&set->elements[kept], &set->elements[i]) != 0)
			set->elements[++kept] = set->elements[i];
	set->n = kept + 1;
}

static bool
add_networks(struct firewall_table *t, const char *name, const struct networks *networks,
    enum ip_family family)
{
	struct firewall_set *set;
	struct ip first, last;
	size_t n = 0;

	for (size_t i = 0; networks_range(networks, i, &first, &last); i++)
		n += first.family == family;
	if (n == 0)
		return true;
	set = set_add(t, name, family == IP_V4 ? "4" : "6",
	    family == IP_V4 ? FIREWALL_KEY_IP4 : FIREWALL_KEY_IP6, n);
	if (set == NULL)
		return false;
	set->interval = true;
	for (size_t i = 0; networks_range(networks, i, &first, &last); i++)
		if (first.family == family)
			set_put(set, first.octets, last.octets);
	return true;
}

static bool
add_devices(struct firewall_table *t, char *const *devices)
{
	struct firewall_set *set;
	size_t n = 0;

	while (devices != NULL && devices[n] != NULL)
		n++;
	if (n == 0)
		return true;
	set = set_add(t, "interfaces", "", FIREWALL_KEY_DEVICE, n);
	if (set == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		char name[FIREWALL_DEVICE_MAX] = {0};

		size_t length = strlen(devices[i]);

		memcpy(name, devices[i], length < sizeof(name) ? length : sizeof(name) - 1);
		set_put(set, name, name);
	}
	set_sort(set);
	return true;
}

static void
put_ports(struct firewall_set *set, const struct firewall_service *s)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		uint16_t port = htons((uint16_t)s->ports[i]);

		set_put(set, &port, &port);
	}
	set_sort(set);
}

/* The ports of all services. */
static bool
add_all_ports(struct firewall_table *t, const struct firewall_config *c)
{
	struct firewall_set *set;
	size_t n = 0;

	for (size_t i = 0; i < c->n_services; i++)
		n += c->services[i].n_ports;
	set = set_add(t, "intercepted", "", FIREWALL_KEY_PORT, n);
	for (size_t i = 0; set != NULL && i < c->n_services; i++)
		put_ports(set, &c->services[i]);
	return set != NULL;
}

static bool
add_service_ports(struct firewall_table *t, const struct firewall_service *s)
{
	struct firewall_set *set = set_add(t, s->name, "_ports", FIREWALL_KEY_PORT, s->n_ports);

	if (set != NULL)
		put_ports(set, s);
	return set != NULL;
}

/* What is filled while the gateway runs. A map to ports, or a set that counts. */
static bool
add_flows(struct firewall_table *t, const char *name, bool map)
{
	static const enum firewall_key keys[] = {FIREWALL_KEY_FLOW4, FIREWALL_KEY_FLOW6};

	for (size_t i = 0; i < 2; i++) {
		struct firewall_set *set = set_add(t, name, i == 0 ? "4" : "6", keys[i], 0);

		if (set == NULL)
			return false;
		set->expires = true;
		set->map = map;
		set->counts = !map;
	}
	return true;
}

/* What both tables tell apart by. */
static bool
add_common_sets(struct firewall_table *t, const struct firewall_config *c)
{
	return add_devices(t, c->devices) && add_networks(t, "bypass", c->bypass, IP_V4) &&
	       add_networks(t, "bypass", c->bypass, IP_V6) &&
	       add_networks(t, "bypass_servers", c->bypass_servers, IP_V4) &&
	       add_networks(t, "bypass_servers", c->bypass_servers, IP_V6) && add_all_ports(t, c);
}

/* ---- rules ---- */

#define TERM(kind_, ...) ((struct firewall_term){.kind = (kind_), __VA_ARGS__})

static struct firewall_chain *
chain_add(struct firewall_table *t, const char *name, const char *type, enum firewall_hook hook,
    int priority)
{
	struct firewall_chain *chain = &t->chains[t->n_chains++];

	chain->name = name;
	chain->type = type;
	chain->hook = hook;
	chain->priority = priority;
	return chain;
}

static struct firewall_rule *
rule_add(struct firewall_chain *chain, const char *what)
{
	struct firewall_rule *rule = &chain->rules[chain->n++];

	rule->what = what;
	return rule;
}

static void
term_add(struct firewall_rule *rule, struct firewall_term term)
{
	rule->terms[rule->n++] = term;
}

static void
term_plain(struct firewall_rule *rule, enum firewall_term_kind kind)
{
	term_add(rule, (struct firewall_term){.kind = kind});
}

static void
is_tcp(struct firewall_rule *rule)
{
	term_add(rule, TERM(FIREWALL_IS_PROTOCOL, .a = IPPROTO_TCP));
}

static void
mark(struct firewall_rule *rule, const struct firewall_config *c)
{
	term_add(rule, TERM(FIREWALL_MARK, .a = c->mask, .b = c->mark));
}

static void
mark_and_accept(struct firewall_rule *rule, const struct firewall_config *c)
{
	mark(rule, c);
	term_plain(rule, FIREWALL_ACCEPT);
}

/*
 * Most packets that are forwarded, those of what passes unproxied too, go no further: what opens no
 * connection and is for no port that is served is looked for by none of the rules below.
 */
static void
not_looked_for(const struct firewall_table *t, struct firewall_chain *chain)
{
	struct firewall_rule *rule = rule_add(chain, "of sessions of others");

	is_tcp(rule);
	term_plain(rule, FIREWALL_IS_NOT_SYN);
	term_add(rule, TERM(FIREWALL_IS_NOT_PORT, .set = set_find(t, "intercepted", "")));
	term_plain(rule, FIREWALL_RETURN);
}

/*
 * Packets of sessions that run here, whatever the configuration says by now and wherever they
 * arrive. Bare SYNs are no part of it: a socket in TIME_WAIT would swallow a new connection. The
 * errors of ICMP are: what a router says about a packet that left with a foreign address.
 */
static void
running_sessions(
    const struct firewall_table *t, struct firewall_chain *chain, const struct firewall_config *c)
{
	static const uint32_t icmp[] = {IPPROTO_ICMP, IPPROTO_ICMPV6};
	struct firewall_rule *rule = rule_add(chain, "of sessions that run here");

	is_tcp(rule);
	term_plain(rule, FIREWALL_IS_NOT_SYN);
	term_plain(rule, FIREWALL_IS_TRANSPARENT);
	mark_and_accept(rule, c);
	not_looked_for(t, chain);
	for (size_t i = 0; i < 2; i++) {
		rule = rule_add(chain, "errors about packets of sessions that run here");
		term_add(rule, TERM(FIREWALL_IS_PROTOCOL, .a = icmp[i]));
		term_plain(rule, FIREWALL_IS_TRANSPARENT);
		mark_and_accept(rule, c);
	}
}

/* One that opens a connection; translated: its destination was, by somebody on this host. */
static struct firewall_rule *
opening(struct firewall_chain *chain, const char *what, uint32_t family, bool translated)
{
	struct firewall_rule *rule = rule_add(chain, what);

	term_add(rule, TERM(FIREWALL_IS_IP, .a = family));
	is_tcp(rule);
	term_plain(rule, FIREWALL_IS_OPENING);
	if (translated)
		term_plain(rule, FIREWALL_IS_TRANSLATED);
	return rule;
}

/*
 * Data connections that a session waits for. Ahead of devices and networks, which were asked when
 * the session began; the server's may arrive on another device. They are expected where their
 * client was told to go: the chain of tproxy mode stands behind everybody's translation, so there
 * one that was translated is looked for by what it was ahead of that.
 */
static void
expected_data(
    const struct firewall_table *t, struct firewall_chain *chain, const struct firewall_config *c)
{
	static const char what[] = "data connections that are expected";

	for (uint32_t family = 4; family <= 6; family += 2) {
		const struct firewall_set *map = set_find(t, "data", family == 4 ? "4" : "6");
		struct firewall_rule *rule = opening(chain, what, family, false);

		if (c->mode == FIREWALL_REDIRECT) {
			term_add(rule, TERM(FIREWALL_REDIRECT_MAPPED, .a = family, .set = map));
			continue;
		}
		term_add(rule, TERM(FIREWALL_TO_MAPPED, .a = family, .set = map));
		mark_and_accept(rule, c);
		rule = opening(chain, "those whose destination was translated", family, true);
		term_add(rule, TERM(FIREWALL_TO_ASKED, .a = family, .set = map));
		mark_and_accept(rule, c);
	}
}

/*
 * A flow that passes unproxied, and a proxied one left a socket in TIME_WAIT at its very addresses
 * and ports: the rule for sessions that run here would take its packets to that socket. The
 * kernel's tproxy ends a socket in TIME_WAIT in favour of a listener. This one SYN is lost with it,
 * and its client sends it again.
 */
static void
sockets_in_the_way(
    const struct firewall_table *t, struct firewall_chain *chain, const struct firewall_config *c)
{
	for (uint32_t family = 4; c->n_services > 0 && family <= 6; family += 2) {
		struct firewall_rule *rule =
		    opening(chain, "sockets in the way of what passes unproxied", family, false);

		term_plain(rule, FIREWALL_IS_TRANSPARENT);
		term_add(rule, TERM(FIREWALL_IS_FLOW, .a = family,
				   .set = set_find(t, "passed", family == 4 ? "4" : "6")));
		term_add(rule, TERM(FIREWALL_TO_SOCKET, .a = family, .b = c->services[0].listen));
		term_plain(rule, FIREWALL_DROP);
	}
}

/* Leaves the chain for what is none of our business. */
static void
not_ours(const struct firewall_table *t, struct firewall_chain *chain)
{
	static const struct {
		const char *name, *suffix;
		uint32_t family;
		enum firewall_term_kind kind;
	} bypass[] = {
	    {"bypass", "4", 4, FIREWALL_IS_SOURCE},
	    {"bypass", "6", 6, FIREWALL_IS_SOURCE},
	    {"bypass_servers", "4", 4, FIREWALL_IS_DESTINATION},
	    {"bypass_servers", "6", 6, FIREWALL_IS_DESTINATION},
	};
	const struct firewall_set *set = set_find(t, "interfaces", "");
	struct firewall_rule *rule = rule_add(chain, "of this host to itself");

	term_plain(rule, FIREWALL_IS_LOOPBACK);
	term_plain(rule, FIREWALL_RETURN);
	if (set != NULL) {
		rule = rule_add(chain, "from interfaces that are not in \"devices\"");
		term_add(rule, TERM(FIREWALL_IS_NOT_DEVICE, .set = set));
		term_plain(rule, FIREWALL_RETURN);
	}
	for (size_t i = 0; i < sizeof(bypass) / sizeof(bypass[0]); i++) {
		set = set_find(t, bypass[i].name, bypass[i].suffix);
		if (set == NULL)
			continue;
		rule = rule_add(chain, bypass[i].kind == FIREWALL_IS_SOURCE
					   ? "of clients that are never touched"
					   : "to servers that are never touched");
		term_add(rule, TERM(FIREWALL_IS_IP, .a = bypass[i].family));
		term_add(rule, TERM(bypass[i].kind, .a = bypass[i].family, .set = set));
		term_plain(rule, FIREWALL_RETURN);
	}
}

/* A session with the gateway's own address as its destination would be one with itself. */
static void
loop_guard(const struct firewall_table *t, struct firewall_chain *chain)
{
	struct firewall_rule *rule = rule_add(chain, "to this host itself: no server is there");

	is_tcp(rule);
	term_add(rule, TERM(FIREWALL_IS_PORT, .set = set_find(t, "intercepted", "")));
	term_plain(rule, FIREWALL_IS_LOCAL);
	term_plain(rule, FIREWALL_RESET);
}

/*
 * Where the guard stands, whatever comes to a port that is served belongs here, not SYNs alone:
 * under a flood of them the kernel remembers no half-open connection (SYN cookies), and then the
 * ACK that opens one finds no socket but the listener. Without a guard, sessions older than the
 * gateway are let by, and no rule can tell their ACKs from such a one.
 */
static void
take_by_tproxy(const struct firewall_table *t, struct firewall_chain *chain,
    const struct firewall_config *c, const struct firewall_service *s)
{
	for (uint32_t family = 4; family <= 6; family += 2) {
		struct firewall_rule *rule = rule_add(chain, s->name);

		term_add(rule, TERM(FIREWALL_IS_IP, .a = family));
		is_tcp(rule);
		term_add(rule, TERM(FIREWALL_IS_PORT, .set = set_find(t, s->name, "_ports")));
		if (!c->guard)
			term_plain(rule, FIREWALL_IS_OPENING);
		term_add(rule, TERM(FIREWALL_TO_SOCKET, .a = family, .b = s->listen));
		mark_and_accept(rule, c);
	}
}

static void
take_by_redirect(
    const struct firewall_table *t, struct firewall_chain *chain, const struct firewall_service *s)
{
	struct firewall_rule *rule = rule_add(chain, s->name);

	is_tcp(rule);
	term_add(rule, TERM(FIREWALL_IS_PORT, .set = set_find(t, s->name, "_ports")));
	term_plain(rule, FIREWALL_IS_OPENING);
	term_add(rule, TERM(FIREWALL_REDIRECT_TO, .a = s->listen));
}

static void
tproxy_chains(struct firewall_table *t, const struct firewall_config *c)
{
	struct firewall_chain *chain =
	    chain_add(t, "intercept", "filter", FIREWALL_PREROUTING, FIREWALL_PRIORITY_INTERCEPT);

	running_sessions(t, chain, c);
	expected_data(t, chain, c);
	sockets_in_the_way(t, chain, c);
	not_ours(t, chain);
	loop_guard(t, chain);
	for (size_t i = 0; i < c->n_services; i++)
		take_by_tproxy(t, chain, c, &c->services[i]);
}

/* The mark here only tells other people's chains what these packets are; they are local already. */
static void
mark_redirected(struct firewall_chain *chain, const struct firewall_config *c)
{
	struct firewall_rule *rule = rule_add(chain, "of connections that were redirected");
	uint32_t first = c->data_port;

	for (size_t i = 0; i < c->n_services; i++)
		if (c->services[i].listen < first)
			first = c->services[i].listen;
	is_tcp(rule);
	term_plain(rule, FIREWALL_IS_TRANSLATED);
	term_add(rule, TERM(FIREWALL_IS_TO, .a = first, .b = c->data_port + c->n_data - 1));
	mark(rule, c);
}

static void
redirect_chains(struct firewall_table *t, const struct firewall_config *c)
{
	struct firewall_chain *chain =
	    chain_add(t, "own_address", "filter", FIREWALL_PREROUTING, FIREWALL_PRIORITY_LOCAL);

	not_ours(t, chain);
	loop_guard(t, chain);
	chain = chain_add(t, "intercept", "nat", FIREWALL_PREROUTING, FIREWALL_PRIORITY_REDIRECT);
	expected_data(t, chain, c);
	not_ours(t, chain);
	for (size_t i = 0; i < c->n_services; i++)
		take_by_redirect(t, chain, &c->services[i]);
	chain =
	    chain_add(t, "redirected", "filter", FIREWALL_PREROUTING, FIREWALL_PRIORITY_INTERCEPT);
	mark_redirected(chain, c);
}

/*
 * Connections that are let by get the mark by which an administrator's forward chain knows them, in
 * both directions. Two sets with the same keys: one counts what goes to the server, the other what
 * comes back.
 */
static void
passed_chain(struct firewall_table *t, const struct firewall_config *c)
{
	static const struct {
		const char *set, *what;
		enum firewall_term_kind kind;
	} ways[] = {
	    {"passed", "connections that pass unproxied", FIREWALL_IS_FLOW},
	    {"replies", "what comes back on them", FIREWALL_IS_REPLY},
	};
	struct firewall_chain *chain =
	    chain_add(t, "passed", "filter", FIREWALL_FORWARD, FIREWALL_PRIORITY_PASSED);

	for (size_t i = 0; i < 4; i++) {
		struct firewall_rule *rule = rule_add(chain, ways[i / 2].what);
		uint32_t family = i % 2 == 0 ? 4 : 6;

		term_add(rule, TERM(FIREWALL_IS_IP, .a = family));
		is_tcp(rule);
		term_add(rule, TERM(ways[i / 2].kind, .a = family,
				   .set = set_find(t, ways[i / 2].set, family == 4 ? "4" : "6")));
		term_add(rule, TERM(FIREWALL_MARK, .a = c->mask, .b = c->own_mark));
	}
}

static bool
interception(struct firewall_table *t, const struct firewall_config *c)
{
	t->name = FIREWALL_TABLE;
	t->owned = true;
	if (!add_common_sets(t, c) || !add_flows(t, "data", true) ||
	    !add_flows(t, "passed", false) || !add_flows(t, "replies", false))
		return false;
	for (size_t i = 0; i < c->n_services; i++)
		if (!add_service_ports(t, &c->services[i]))
			return false;
	if (c->mode == FIREWALL_TPROXY)
		tproxy_chains(t, c);
	else
		redirect_chains(t, c);
	passed_chain(t, c);
	return true;
}

/*
 * A mark that a packet comes with is nobody's word that it was taken: who keeps marks by connection
 * (ct mark) gives ours back long after the gateway is gone.
 */
static void
unmark_chain(struct firewall_table *t, const struct firewall_config *c)
{
	struct firewall_chain *chain =
	    chain_add(t, "unmark", "filter", FIREWALL_PREROUTING, FIREWALL_PRIORITY_UNMARK);
	struct firewall_rule *rule = rule_add(chain, "that come with a mark");

	is_tcp(rule);
	term_add(rule, TERM(FIREWALL_IS_PORT, .set = set_find(t, "intercepted", "")));
	term_add(rule, TERM(FIREWALL_MARK, .a = c->mask, .b = 0));
}

/* What comes here without the mark is what no living gateway took. */
static bool
guard(struct firewall_table *t, const struct firewall_config *c)
{
	struct firewall_chain *chain;
	struct firewall_rule *rule;

	t->name = FIREWALL_GUARD;
	if (!add_common_sets(t, c))
		return false;
	unmark_chain(t, c);
	chain = chain_add(t, "guard", "filter", FIREWALL_PREROUTING, FIREWALL_PRIORITY_GUARD);
	not_ours(t, chain);
	rule = rule_add(chain, "that no gateway took");
	term_add(rule, TERM(FIREWALL_IS_NOT_MARKED, .a = c->mask, .b = c->mark));
	is_tcp(rule);
	term_add(rule, TERM(FIREWALL_IS_PORT, .set = set_find(t, "intercepted", "")));
	term_plain(rule, FIREWALL_RESET);
	return true;
}

struct firewall *
firewall_new(const struct firewall_config *c)
{
	struct firewall *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->n_tables = c->guard ? 2 : 1;
	if (interception(&f->tables[0], c) && (!c->guard || guard(&f->tables[1], c)))
		return f;
	firewall_free(f);
	return NULL;
}

void
firewall_free(struct firewall *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->n_tables; i++)
		for (size_t k = 0; k < f->tables[i].n_sets; k++)
			free(f->tables[i].sets[k].elements);
	free(f);
}
