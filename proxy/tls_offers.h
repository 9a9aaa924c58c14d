/*
 * tls_offers - which servers were seen to offer STARTTLS (STLS) lately: one that did, and does not
 * now, may have somebody on the way to it who takes that out (N-014).
 *
 * A page of a fixed size that the supervisor alone writes and workers read; so all workers know, of
 * every generation. It ends with the supervisor, and is in no file. Of a server there is a keyed
 * hash; where there is no place for one more the one that was not seen for longest is forgotten.
 *
 * Every function takes NULL: nothing is known, nothing is kept.
 */
#ifndef POSTERN_TLS_OFFERS_H
#define POSTERN_TLS_OFFERS_H

#include "config.h"
#include "core/ip.h"

#define TLS_OFFERS_MAX	 8192		/* servers: 128 KiB */
#define TLS_OFFERS_KNOWN (30u * 86400u) /* seconds for which one is known */
#define TLS_OFFERS_RENEW 86400u		/* seconds after which it is worth while to note it again */

struct tls_offers;

/* A service of a server. */
struct tls_offer {
	enum protocol protocol;
	struct ip ip;
	uint16_t port;
};

/* *readable is for workers, and the caller's. NULL: errno. */
struct tls_offers *tls_offers_new(int *readable);
/* The same, to read. NULL: errno. */
struct tls_offers *tls_offers_open(int fd);
void tls_offers_close(struct tls_offers *);

/* now: seconds since 1970. */
void tls_offers_note(struct tls_offers *, const struct tls_offer *, uint64_t now);
/* Seconds since it was noted, below TLS_OFFERS_KNOWN; UINT64_MAX: it is not known. */
uint64_t tls_offers_age(const struct tls_offers *, const struct tls_offer *, uint64_t now);

#endif
