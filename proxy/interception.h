/*
 * interception - what the supervisor does to the kernel so that connections come to the gateway:
 * the two tables of rules/firewall.h, the policy route behind the mark, and one sysctl.
 *
 * The first table belongs to a netlink socket that is in here, so it is gone when this process is,
 * however it ends; no child may have a copy of that socket (all are close-on-exec). Nothing of
 * anybody else's is changed.
 *
 * Every function that fails writes one line without its end to why: the privilege or the part of
 * the kernel that is missing, or who is in the way.
 */
#ifndef POSTERN_INTERCEPTION_H
#define POSTERN_INTERCEPTION_H

#include "config.h"
#include "firewall_nftnl.h"
#include "policy_route.h"

#define INTERCEPTION_TEXT_MAX 1024 /* octets of a line with its NUL */

struct interception;

/* Protocols that this version takes off the wire: those with a relay. Returns how many. */
size_t interception_protocols(enum protocol list[PROTOCOL_COUNT]);

/*
 * The tables of a configuration whose mode is not "off"; served: n_served protocols, each once.
 * NULL: no memory. To be freed with firewall_free().
 */
struct firewall *interception_firewall(
    const struct config *, const enum protocol served[], size_t n_served);

/* The policy route of a configuration. */
struct policy_route interception_route(const struct config *);

/*
 * Installs everything and looks whether the kernel has what was sent. To be called when the
 * listeners are there: before, what it takes is refused (or goes by, with on_exit = bypass).
 * NULL: nothing is left behind but the guard, where it stood already or where what follows its
 * installation failed.
 */
struct interception *interception_start(const struct config *, const enum protocol served[],
    size_t n_served, char why[INTERCEPTION_TEXT_MAX]);

/*
 * Puts another configuration in place of the one that is there, in one transaction; expected and
 * passed flows stay. False: all is as it was. mode must not be "off".
 */
bool interception_reload(struct interception *, const struct config *, const enum protocol served[],
    size_t n_served, char why[INTERCEPTION_TEXT_MAX]);

/* Removes everything but the guard, and frees. False: something could not be removed. */
bool interception_stop(struct interception *, char why[INTERCEPTION_TEXT_MAX]);

/* ---- what others do ---- */

/* Readable when interception_watch() has something to do. */
int interception_fd(const struct interception *);

enum interception_state {
	INTERCEPTION_INTACT,
	INTERCEPTION_UNSEEN, /* why: it could not be looked at; nothing was done, the next call
				tries */
	INTERCEPTION_MENDED, /* why: what others had changed, for a record */
	INTERCEPTION_BROKEN, /* why: and why it cannot be mended; the next call tries again */
};
/*
 * To be called when interception_fd() is readable, and once a second with "all", which asks also
 * for what nobody is told of. Costs a request to the kernel when nothing has happened.
 */
enum interception_state interception_watch(
    struct interception *, bool all, char why[INTERCEPTION_TEXT_MAX]);
/* The tables were as they should be when they were looked at last. */
bool interception_tables_intact(const struct interception *);

/* ---- single connections ---- */

/*
 * A connection that is going to come from flow->source to flow->destination and its port ends at
 * the local port, for "seconds" from now on, also if it was expected already. True: the kernel has
 * said that it knows.
 */
bool interception_expect(struct interception *, const struct firewall_flow *, uint16_t port,
    unsigned seconds, char why[INTERCEPTION_TEXT_MAX]);
/*
 * One that passes unproxied gets own_mark on its way through the forward hook, and so does what
 * comes back. What was counted of one that was let by already begins anew.
 */
bool interception_pass(struct interception *, const struct firewall_flow *, unsigned seconds,
    char why[INTERCEPTION_TEXT_MAX]);
/*
 * Octets that went by on it, to flow->destination and back, headers of IP and TCP counted. False:
 * its time is over, or why.
 */
bool interception_counted(struct interception *, const struct firewall_flow *, uint64_t octets[2],
    char why[INTERCEPTION_TEXT_MAX]);
/* One that was forgotten or has expired already is no failure. */
bool interception_forget(struct interception *, enum firewall_flows, const struct firewall_flow *,
    char why[INTERCEPTION_TEXT_MAX]);

/* ---- the guard without a gateway ---- */

enum guard_up_result {
	GUARD_UP_DONE,	  /* it stands, as the configuration says, in place of one that stood */
	GUARD_UP_RUNNING, /* a gateway runs here, whose own affair it is; nothing was done */
	GUARD_UP_FAILED,
};
/*
 * Puts up the guard alone, and looks whether the kernel has it. Of a configuration whose mode is
 * not "off" and that has on_exit = block.
 */
enum guard_up_result interception_guard_up(const struct config *, const enum protocol served[],
    size_t n_served, char why[INTERCEPTION_TEXT_MAX]);

enum guard_presence {
	GUARD_PRESENT,
	GUARD_ABSENT,
	GUARD_UNKNOWN, /* the kernel does not tell: no privilege to see tables, no nftables */
};
enum guard_presence interception_guard_present(void);

/* ---- postern release ---- */

enum release_result {
	RELEASE_DONE,	 /* the guard was there and is gone */
	RELEASE_NONE,	 /* there was none */
	RELEASE_RUNNING, /* a gateway runs here, which would put it back; nothing was done */
	RELEASE_FAILED,
};
/* Removes the guard, and what a killed gateway left of its policy route. */
enum release_result interception_release(char why[INTERCEPTION_TEXT_MAX]);

#endif
