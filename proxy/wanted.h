/*
 * wanted - an event that is added while somebody wants it, and a note of whether it is.
 */
#ifndef POSTERN_WANTED_H
#define POSTERN_WANTED_H

#include <event2/event.h>
#include <stdbool.h>

static inline void
event_wanted(struct event *ev, bool *added, bool wanted)
{
	if (wanted == *added)
		return;
	if (wanted)
		event_add(ev, NULL);
	else
		event_del(ev);
	*added = wanted;
}

#endif
