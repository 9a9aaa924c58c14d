/*
 * tap_held - records of sessions that are written only if they are refused something, until that
 * is known.
 *
 * Bounds: TAP_HELD_SESSION octets of records of one session, TAP_HELD_MAX of all, TAP_HELD_SESSIONS
 * sessions. Beyond the first the oldest octets of the session go, and are a hole in its
 * connections; its handshakes stay. Beyond the others all goes that is held of the session that
 * nothing was heard of for longest: many who fill it up and then are quiet hide nobody.
 */
#ifndef POSTERN_TAP_HELD_H
#define POSTERN_TAP_HELD_H

#include "tap.h"

#define TAP_HELD_SESSION  (1u << 20)
#define TAP_HELD_MAX	  (64u << 20)
#define TAP_HELD_SESSIONS 65536u

struct tap_held;

/* write: where records go once they may. NULL: no memory. */
struct tap_held *tap_held_new(void (*write)(void *arg, const struct tap_record *), void *arg);
void tap_held_free(struct tap_held *); /* NULL is fine */

/* source: the worker that it came from. Holds the record, or writes it with all that were held. */
void tap_held_take(struct tap_held *, unsigned source, const struct tap_record *);
/* That worker is gone: none of its sessions will ever be refused. */
void tap_held_forget(struct tap_held *, unsigned source);
/* Records that went because of the bounds. */
uint64_t tap_held_lost(const struct tap_held *);
/* Octets that are held. */
size_t tap_held_octets(const struct tap_held *);

#endif
