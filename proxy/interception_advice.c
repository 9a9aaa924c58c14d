#include "interception_advice.h"

#include <net/if.h>
#include <stdio.h>

#include "interception.h"
#include "kernel_tables.h"
#include "policy_route.h"
#include "sysctl.h"

/* They may come later, and be misspelt: what arrives elsewhere passes uninspected. */
static void
devices(const struct config *c, firewall_advice_line *say, void *arg)
{
	char *const *names = c->intercept.devices;
	char line[FIREWALL_ADVICE_LINE_MAX];

	for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
		if (if_nametoindex(names[i]) != 0)
			continue;
		snprintf(line, sizeof(line),
		    "intercept.devices: there is no interface \"%s\" now; until it comes, nothing "
		    "is intercepted there",
		    names[i]);
		say(arg, line);
	}
}

static void
route(const struct config *c, firewall_advice_line *say, void *arg)
{
	const struct policy_route want = interception_route(c);
	struct netlink *nl = netlink_open(NETLINK_ROUTE);
	char why[POLICY_ROUTE_TEXT_MAX];

	if (nl != NULL && !policy_route_is_first(nl, &want, why))
		say(arg, why);
	netlink_close(nl);
}

/* Of an earlier configuration: nothing takes it away but "postern release". */
static void
guard(firewall_advice_line *say, void *arg)
{
	struct netlink *nl = netlink_open(NETLINK_NETFILTER);
	struct kernel_tables_present present = {0};
	char unseen[KERNEL_TABLES_TEXT_MAX];

	if (nl != NULL && kernel_tables_present(nl, &present, unseen) && present.guard)
		say(arg, "intercept.mode is off, but the guard of an earlier configuration stands "
			 "(table inet " FIREWALL_GUARD "), and its ports stay closed: \"postern "
			 "release\" opens them");
	netlink_close(nl);
}

void
interception_advice(const struct config *c, firewall_advice_line *say, void *arg)
{
	const struct firewall_marks marks = {.mark = c->intercept.mark,
	    .own_mark = c->intercept.own_mark,
	    .mask = c->intercept.mark_mask};
	char line[SYSCTL_TEXT_MAX];

	if (c->mode == INTERCEPT_OFF) {
		guard(say, arg);
		return;
	}
	firewall_advice(&marks, say, arg);
	devices(c, say, arg);
	if (c->mode != INTERCEPT_TPROXY)
		return;
	route(c, say, arg);
	if (!c->intercept.sysctl && !early_demux_is_off(line))
		say(arg, line);
}
