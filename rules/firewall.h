/*
 * firewall - what the kernel is to do with packets, as data: two tables with their sets, maps,
 * chains and rules.
 *
 * "inet postern" takes connections off their way. Its owner is the netlink socket that made it, so
 * it is gone when the gateway is, however that ends. "inet postern_guard" refuses what would then
 * go by uninspected; it belongs to nobody and stays.
 *
 * The same structs are walked by firewall_text() (for nft -f) and by firewall_batch() (for
 * the kernel). Pure: nothing is sent, no socket is needed. Nothing newer than Linux 6.1, nft 1.0.6.
 */
#ifndef POSTERN_FIREWALL_H
#define POSTERN_FIREWALL_H

#include "core/buf.h"
#include "networks.h"

#define FIREWALL_TABLE	      "postern"
#define FIREWALL_GUARD	      "postern_guard"
#define FIREWALL_SERVICES_MAX 4
#define FIREWALL_DEVICE_MAX   16 /* octets of an interface's name with its NUL */

/*
 * Where the chains stand. In tproxy mode behind everybody's dstnat (-100), so that a connection
 * that is translated on this host is not taken for one to the gateway itself; in redirect mode
 * ahead of it, because the kernel translates a destination only once.
 */
#define FIREWALL_PRIORITY_LOCAL	    (-105) /* redirect: the loop guard, ahead of translation */
#define FIREWALL_PRIORITY_REDIRECT  (-101)
#define FIREWALL_PRIORITY_UNMARK    (-96) /* of the guard: nobody but we give the mark */
#define FIREWALL_PRIORITY_INTERCEPT (-95)
#define FIREWALL_PRIORITY_GUARD	    (-50)
#define FIREWALL_PRIORITY_PASSED    (-150) /* of the forward hook: ahead of all filters */

enum firewall_mode {
	FIREWALL_TPROXY,
	FIREWALL_REDIRECT,
};

/* A protocol that is served: connections to its ports end at a local port of its own. */
struct firewall_service {
	const char *name; /* at most 8 letters and digits */
	const unsigned *ports;
	size_t n_ports;
	unsigned listen;
};

struct firewall_config {
	enum firewall_mode mode;
	bool guard;					/* with the table that stays */
	char *const *devices;				/* NULL-terminated; NULL and empty: any */
	const struct networks *bypass, *bypass_servers; /* sealed; NULL: none */
	struct firewall_service services[FIREWALL_SERVICES_MAX];
	size_t n_services;
	unsigned data_port; /* the first of n_data local ports where data connections end, */
	unsigned n_data;    /* above every service's; at least 1 */
	uint32_t mark, own_mark, mask; /* both marks lie in mask */
};

/* ---- what a table is made of ---- */

enum firewall_key {
	FIREWALL_KEY_IP4,
	FIREWALL_KEY_IP6,
	FIREWALL_KEY_PORT,
	FIREWALL_KEY_DEVICE,
	FIREWALL_KEY_FLOW4, /* source . destination . port of the destination */
	FIREWALL_KEY_FLOW6,
};

#define FIREWALL_KEY_MAX 36 /* octets of a key */

/* Network order; first = last where the set has no intervals. */
struct firewall_element {
	uint8_t first[16], last[16];
};

struct firewall_set {
	const char *table;
	char name[24];
	enum firewall_key key;
	bool interval;
	bool expires; /* filled while the gateway runs; each element has its own time */
	bool map;     /* to a port */
	bool counts;  /* each element counts what is found in it, in octets and packets */
	struct firewall_element *elements;
	size_t n;
};

/* One condition or action of a rule; conditions come first, and all must hold. */
enum firewall_term_kind {
	FIREWALL_IS_IP,		  /* a: 4 or 6 */
	FIREWALL_IS_PROTOCOL,	  /* a: IPPROTO_... */
	FIREWALL_IS_OPENING,	  /* TCP: SYN without FIN, RST, ACK */
	FIREWALL_IS_NOT_SYN,	  /* TCP: anything but SYN without ACK */
	FIREWALL_IS_TRANSPARENT,  /* belongs to a transparent socket of this host */
	FIREWALL_IS_LOOPBACK,	  /* arrives on lo */
	FIREWALL_IS_NOT_DEVICE,	  /* does not arrive on one of set */
	FIREWALL_IS_SOURCE,	  /* source address in set */
	FIREWALL_IS_DESTINATION,  /* destination address in set */
	FIREWALL_IS_PORT,	  /* destination port in set; TCP */
	FIREWALL_IS_NOT_PORT,	  /* destination port not in set; TCP */
	FIREWALL_IS_FLOW,	  /* source . destination . port in set; TCP */
	FIREWALL_IS_REPLY,	  /* what comes back: destination . source . port in set; TCP */
	FIREWALL_IS_LOCAL,	  /* destination address is one of this host */
	FIREWALL_IS_TRANSLATED,	  /* destination was translated */
	FIREWALL_IS_TO,		  /* destination port from a to b, which is larger; TCP */
	FIREWALL_IS_NOT_MARKED,	  /* mark & a is not b */
	FIREWALL_MARK,		  /* the bits a of the mark become b */
	FIREWALL_TO_SOCKET,	  /* tproxy to port b of the loopback address of family a */
	FIREWALL_TO_MAPPED,	  /* the same, to the port that the map set has for the flow */
	FIREWALL_TO_ASKED,	  /* ... for the flow as it was ahead of translation */
	FIREWALL_REDIRECT_TO,	  /* redirect to port a */
	FIREWALL_REDIRECT_MAPPED, /* to the port that the map set has for the flow */
	FIREWALL_RESET,
	FIREWALL_DROP,
	FIREWALL_RETURN,
	FIREWALL_ACCEPT,
};

struct firewall_term {
	enum firewall_term_kind kind;
	uint32_t a, b;
	const struct firewall_set *set;
};

#define FIREWALL_TERMS_MAX  8
#define FIREWALL_RULES_MAX  32
#define FIREWALL_CHAINS_MAX 4
#define FIREWALL_SETS_MAX   18

struct firewall_rule {
	const char *what; /* which packets, in words */
	struct firewall_term terms[FIREWALL_TERMS_MAX];
	size_t n;
};

enum firewall_hook {
	FIREWALL_PREROUTING,
	FIREWALL_FORWARD,
};

struct firewall_chain {
	const char *name;
	const char *type; /* "filter", "nat" */
	enum firewall_hook hook;
	int priority;
	struct firewall_rule rules[FIREWALL_RULES_MAX];
	size_t n;
};

struct firewall_table {
	const char *name;
	bool owned; /* by the socket that makes it */
	struct firewall_set sets[FIREWALL_SETS_MAX];
	size_t n_sets;
	struct firewall_chain chains[FIREWALL_CHAINS_MAX];
	size_t n_chains;
};

struct firewall {
	struct firewall_table tables[2]; /* the interception, then the guard */
	size_t n_tables;
};

/* Nothing of the configuration is kept. NULL: no memory. */
struct firewall *firewall_new(const struct firewall_config *);
void firewall_free(struct firewall *); /* NULL is fine */

/* Octets of a key of that kind, padding within it counted. */
size_t firewall_key_size(enum firewall_key);

/* ---- text ---- */

/* What nft -f loads: both tables, each in place of one of that name. False: out is full. */
bool firewall_text(const struct firewall *, struct buf *out);

#endif
