/*
 * unbound_context - libunbound as Postern uses it: inside the event loop, without a file, a thread
 * or a child of its own once it is made.
 */
#ifndef POSTERN_UNBOUND_CONTEXT_H
#define POSTERN_UNBOUND_CONTEXT_H

#include <unbound-event.h>
#include <unbound.h>

/* Answers are validated. */
struct unbound_dnssec {
	const char *anchors; /* as for resolver_new_validating() */
};

/*
 * dnssec: NULL: nobody here validates; whom we forward to does, or not.
 * servers as for resolver_new(). The context is final when it is handed out; whoever gets it
 * frees it with ub_ctx_delete(), before the event base. NULL: *why says what is wrong (a constant).
 */
struct ub_ctx *unbound_context_new(struct event_base *, char *const *servers,
    const struct unbound_dnssec *dnssec, const char **why);

#endif
