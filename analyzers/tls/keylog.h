/*
 * keylog - the secrets of TLS sessions as clients and servers write them down: the NSS key log
 * format (SSLKEYLOGFILE; draft-ietf-tls-keylogfile), one line each.
 *
 * Labels: CLIENT_RANDOM (up to TLS 1.2), CLIENT_HANDSHAKE_TRAFFIC_SECRET,
 * SERVER_HANDSHAKE_TRAFFIC_SECRET, CLIENT_TRAFFIC_SECRET_0, SERVER_TRAFFIC_SECRET_0 and
 * CLIENT_EARLY_TRAFFIC_SECRET; others (EXPORTER_SECRET, ...) are passed over. A tree over the bits
 * of the client random: adding and looking up cost O(log n) among random ones, and at most a step
 * for each of its 256 bits whatever somebody chose.
 */
#ifndef POSTERN_TLS_KEYLOG_H
#define POSTERN_TLS_KEYLOG_H

#include "core/span.h"

#define TLS_RANDOM     32
#define TLS_SECRET_MAX 64

enum tls_secret {
	TLS_MASTER, /* CLIENT_RANDOM: 48 octets */
	TLS_CLIENT_EARLY,
	TLS_CLIENT_HANDSHAKE,
	TLS_SERVER_HANDSHAKE,
	TLS_CLIENT_TRAFFIC,
	TLS_SERVER_TRAFFIC,
	TLS_RESUMED, /* 48 octets; of no line: tls_keylog_note() */
	TLS_SECRETS
};

struct tls_keylog;

/*
 * max: secrets that are kept at most; later ones are not. Some 200 octets each, where every session
 * has one. NULL: no memory.
 */
struct tls_keylog *tls_keylog_new(size_t max);
/* Wipes every secret. NULL is fine. */
void tls_keylog_free(struct tls_keylog *);

enum tls_keylog_line {
	TLS_KEYLOG_TAKEN,
	TLS_KEYLOG_NOTHING, /* empty, a comment, a label that is not needed */
	TLS_KEYLOG_BAD,	    /* it is no line of a key log */
	TLS_KEYLOG_FULL,    /* max, or no memory */
};

/*
 * line: without its end. Of two that say the same of one session the newest counts. May be called
 * at any time, also between look-ups.
 */
enum tls_keylog_line tls_keylog_add(struct tls_keylog *, struct span line);
/* Empty: it is not there. Good until the next tls_keylog_add(). */
struct span tls_keylog_find(
    const struct tls_keylog *, const uint8_t client_random[TLS_RANDOM], enum tls_secret);
/*
 * Up to TLS 1.2 a session that is resumed has the master secret of the one that began it, and not
 * everybody writes that down again (GnuTLS does not). id: of SHA-256, over what the client will
 * name the session by; found as TLS_RESUMED. As many as lines are kept at most; others are not, nor
 * where there is no memory.
 */
void tls_keylog_note(struct tls_keylog *, const uint8_t id[TLS_RANDOM], struct span master);
/* Any secret of the session that this client random begins. */
bool tls_keylog_has(const struct tls_keylog *, const uint8_t client_random[TLS_RANDOM]);

#endif
