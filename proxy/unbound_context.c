#include "unbound_context.h"

#include <string.h>
#include <unistd.h>

#include "resolver.h"

#define TEXT_(x) #x
#define TEXT(x)	 TEXT_(x)

struct option {
	const char *name, *value;
};

/* unbound.conf(5). What is not here is libunbound's default. */
static const struct option options[] = {
    {"do-not-query-localhost:", "no"}, /* a resolver on the same host is the usual case */
    {"outgoing-range:", "256"},
    {"num-queries-per-thread:", TEXT(RESOLVER_OUTSTANDING)},
    {"msg-cache-size:", "16m"},
    {"rrset-cache-size:", "16m"},
    {"msg-cache-slabs:", "1"}, /* one thread */
    {"rrset-cache-slabs:", "1"},
    {"infra-cache-slabs:", "1"},
    {"key-cache-slabs:", "1"},
    {"cache-max-negative-ttl:", "3600"},
    {"serve-expired:", "no"},
    {"control-enable:", "no"},
    {"unblock-lan-zones:", "yes"}, /* a site's own DNS knows the names of private addresses */
    {NULL, NULL},
};

static const struct option trusting_options[] = {{"module-config:", "iterator"}, {NULL, NULL}};
static const struct option dnssec_options[] = {
    {"module-config:", "validator iterator"}, {NULL, NULL}};

/* Where Debian keeps the root's keys (package dns-root-data). */
#define SYSTEM_ANCHORS "/usr/share/dns/root.key"

/* The root's keys of 2017 and 2024, as IANA publishes them (root-anchors.xml). */
static const char *const root_anchors[] = {
    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

/*
 * A resolver that we forward to does not answer at once for domains whose own servers are dead.
 * libunbound would back off from it as from any server, and in the end ask it nothing for minutes:
 * whoever sends mail from such domains could stop all look-ups. So the times of a resolver are
 * forgotten every second; they start at 1.1 s, so that a resolver behind a slow line is heard too,
 * never get long, and a question ends after some seconds. Whether the resolver is dead is for
 * resolver.c to say.
 */
static const struct option forward_options[] = {
    {"infra-host-ttl:", "1"},
    {"outbound-msg-retry:", "3"},
    {"unknown-server-time-limit:", "1128"},
    {NULL, NULL},
};

/*
 * Names that libunbound answers by itself, and that a site may well have in its own DNS. What is
 * left (localhost, invalid, onion) is answered alike by any resolver.
 */
static const char *const own_zones[] = {"test.", "home.arpa."};

static int
set_options(struct ub_ctx *ub, const struct option *option)
{
	int fault = 0;

	for (; fault == 0 && option->name != NULL; option++)
		fault = ub_ctx_set_option(ub, option->name, option->value);
	return fault;
}

static int
set_servers(struct ub_ctx *ub, char *const *servers)
{
	int fault = 0;

	if (servers != NULL && servers[0] != NULL && strcmp(servers[0], "recurse") == 0)
		return 0;
	if (servers == NULL || servers[0] == NULL)
		fault = ub_ctx_resolvconf(ub, NULL);
	for (; fault == 0 && servers != NULL && *servers != NULL; servers++)
		fault = ub_ctx_set_fwd(ub, *servers);
	return fault == 0 ? set_options(ub, forward_options) : fault;
}

static int
set_anchors(struct ub_ctx *ub, const char *path)
{
	int fault = 0;

	if (path == NULL && access(SYSTEM_ANCHORS, R_OK) == 0)
		path = SYSTEM_ANCHORS;
	if (path != NULL)
		return ub_ctx_add_ta_file(ub, path);
	for (size_t i = 0; fault == 0 && i < sizeof(root_anchors) / sizeof(root_anchors[0]); i++)
		fault = ub_ctx_add_ta(ub, root_anchors[i]);
	return fault;
}

static int
set_dnssec(struct ub_ctx *ub, const struct unbound_dnssec *dnssec)
{
	int fault = set_options(ub, dnssec == NULL ? trusting_options : dnssec_options);

	return fault == 0 && dnssec != NULL ? set_anchors(ub, dnssec->anchors) : fault;
}

static void
ignore(void *arg, int rcode, void *packet, int n, int sec, char *why_bogus, int limited)
{
	(void)arg;
	(void)rcode;
	(void)packet;
	(void)n;
	(void)sec;
	(void)why_bogus;
	(void)limited;
}

/* The first question makes a context final; this one it answers itself. */
static int
finalise(struct ub_ctx *ub)
{
	int fault = ub_resolve_event(ub, "localhost.", DNS_A, 1, NULL, ignore, NULL);

	for (size_t i = 0; fault == 0 && i < sizeof(own_zones) / sizeof(own_zones[0]); i++)
		fault = ub_ctx_zone_remove(ub, own_zones[i]);
	return fault;
}

struct ub_ctx *
unbound_context_new(struct event_base *base, char *const *servers,
    const struct unbound_dnssec *dnssec, const char **why)
{
	struct ub_ctx *ub = ub_ctx_create_event(base);
	int fault;

	if (ub == NULL) {
		*why = "libunbound cannot be set up";
		return NULL;
	}
	fault = set_options(ub, options);
	if (fault == 0)
		fault = set_dnssec(ub, dnssec);
	if (fault == 0)
		fault = ub_ctx_debugout(ub, NULL); /* it may not write where that could block */
	if (fault == 0)
		fault = set_servers(ub, servers);
	if (fault == 0)
		fault = finalise(ub);
	if (fault != 0) {
		*why = ub_strerror(fault);
		ub_ctx_delete(ub);
		return NULL;
	}
	return ub;
}
