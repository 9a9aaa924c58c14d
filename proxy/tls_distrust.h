/*
 * tls_distrust - clients that do not believe our CA, counted by client and server: so that whoever
 * runs the gateway hears which rule would let them by. It is never done by itself (T-013).
 */
#ifndef POSTERN_TLS_DISTRUST_H
#define POSTERN_TLS_DISTRUST_H

#include "core/ip.h"

#define DISTRUST_ROWS 1024 /* pairs that are counted; one more may take the place of another */
#define DISTRUST_TELL 3	   /* times, and a rule is suggested */

struct tls_distrust;

struct tls_distrust *tls_distrust_new(void); /* NULL: no memory */
void tls_distrust_free(struct tls_distrust *);

/* The alert (RFC 8446 s6.2) says that a certificate is not believed. */
bool tls_distrust_is(int alert);
/* One more; returns how many times now. NULL: nothing is kept, it is the first. */
unsigned tls_distrust_note(struct tls_distrust *, const struct ip *client, const struct ip *server);

#endif
