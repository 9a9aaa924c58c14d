/*
 * tls_mint - identities of servers outside, on the worker's side: leaves that mirror the real
 * certificates, kept within bounds, and asked for at the signer where there is none yet.
 *
 * The keys of the leaves are the worker's own, one of each kind, made when it starts; those of the
 * CAs are never here (signer.h). A leaf is for exactly one real certificate, by its SHA-256, and
 * for MINT_HOURS; then it is asked for anew, as long as anybody wants it. As long as there is no
 * signer, questions wait; one that was asked of two signers in vain is given up.
 */
#ifndef POSTERN_TLS_MINT_H
#define POSTERN_TLS_MINT_H

#include "ca_leaf.h"
#include "tls_keys.h"

#define MINT_KEPT_MAX  512 /* leaves; the one that was not wanted for longest goes */
#define MINT_ASKED_MAX 128 /* of them those that are asked for; at one more it fails */
#define MINT_HOURS     24

struct event_base;
struct tls_mint;
struct mint_wait;

/*
 * config is borrowed. Makes keys: to be called before sessions are served. NULL: *why, a constant.
 */
struct tls_mint *tls_mint_new(struct event_base *, const struct config *, const char **why);
void tls_mint_free(struct tls_mint *); /* nobody waits any more; NULL is fine */

/* The socket to a signer, a new one in place of the one before; owned from here on. */
void tls_mint_connect(struct tls_mint *, int fd);

/*
 * What a client is shown in place of this certificate; trusted: by the CA that clients trust, else
 * by the one that nobody does. server_name: what the client asked for, or empty.
 *
 * Not NULL: borrowed, and good until the loop goes on. NULL and *wait set: it is asked for, done
 * will be called once, not from within this function: good says whether asking again will give it.
 * NULL and *wait NULL: it cannot be had.
 */
const struct tls_identity *tls_mint_get(struct tls_mint *, X509 *real, struct span server_name,
    bool trusted, void (*done)(void *arg, bool good), void *arg, struct mint_wait **wait);
/* done will not be called. To be called at most once, and not after done was. */
void mint_cancel(struct mint_wait *);

/*
 * What the signer is asked for of a certificate: subject, names, dates; without the key. Where it
 * has more names than there is room for, that which server_name has is among them. False: it has
 * dates that cannot be mirrored.
 */
bool mint_describe(X509 *real, struct span server_name, struct leaf_wanted *);

#endif
