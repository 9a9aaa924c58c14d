/*
 * interception_service - the firewall as the supervisor sees it: brought into force with a
 * configuration, watched, and what happens to it said.
 */
#ifndef POSTERN_INTERCEPTION_SERVICE_H
#define POSTERN_INTERCEPTION_SERVICE_H

#include <event2/event.h>

#include "board_gateway.h"
#include "interception.h"

struct interception_service;

/*
 * page  where the state of the guard is shown
 * note  for the log and for who reads standard error; event is a constant
 *
 * Nothing is installed yet. NULL: no memory.
 */
struct interception_service *interception_service_new(struct event_base *,
    struct gateway_page *page, void (*note)(void *arg, const char *event, const char *text),
    void *arg);
/* False: something that is ours could not be removed; why. The guard stays. NULL is fine. */
bool interception_service_free(struct interception_service *, char why[INTERCEPTION_TEXT_MAX]);

/*
 * The workers of this configuration serve: connections may be sent to them. It must live until
 * another one takes its place. Says what the administrator's own chains would drop.
 * False: all is as it was; why.
 */
bool interception_service_apply(
    struct interception_service *, const struct config *, char why[INTERCEPTION_TEXT_MAX]);

/* What is in force; NULL: nothing is taken off the wire. Good until the next apply. */
struct interception *interception_service_tables(const struct interception_service *);

/* Every second. serving: workers that do. */
void interception_service_tick(struct interception_service *, unsigned serving);

#endif
