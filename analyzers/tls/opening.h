/*
 * opening - a TLS session of two others, read with the secrets that one of them wrote down.
 *
 * Fed with both directions in the order of the wire, from the ClientHello on, in pieces of any
 * size, it gives the application data of each. TLS 1.0 to 1.3: every cipher suite with AES-CBC
 * (MAC-then-encrypt and encrypt-then-MAC, RFC 7366), AES-GCM, AES-CCM and ChaCha20-Poly1305, full
 * handshakes and resumed ones, 0-RTT, HelloRetryRequest, key updates, handshake messages over
 * several records and several in one. Every record is verified: one octet that is not authentic is
 * an end (TLS_OPENING_BROKEN), never plain text.
 *
 * Memory: one record (RFC 8446 s5.1) in each direction, and the handshake's messages.
 */
#ifndef POSTERN_TLS_OPENING_H
#define POSTERN_TLS_OPENING_H

#include "core/event.h"
#include "tls/keylog.h"

enum tls_opened {
	TLS_OPENING_MORE,    /* everything was taken */
	TLS_OPENING_OCTETS,  /* *plain: application data of dir, good until the next feed */
	TLS_OPENING_END,     /* dir's close_notify: nothing of it comes any more */
	TLS_OPENING_NO_KEYS, /* the key log has nothing of this session: nothing will be read */
	TLS_OPENING_BROKEN,  /* no TLS, altered, a hole in it, a cipher that is not known, no memory
			      */
};

struct tls_opening;

/* The key log must outlive it. NULL: no memory. */
struct tls_opening *tls_opening_new(const struct tls_keylog *);
void tls_opening_free(struct tls_opening *); /* NULL is fine */

/*
 * As much of in as makes one thing to say; *used says how much. Octets of the server that need the
 * client's ahead of them (none do in a capture that is in order) are TLS_OPENING_BROKEN.
 */
enum tls_opened tls_opening_feed(
    struct tls_opening *, enum an_dir, struct span in, size_t *used, struct span *plain);

/* Both directions have left the handshake: what was said ahead of it is forgotten (RFC 3207 s4.2).
 */
bool tls_opening_secure(const struct tls_opening *);

#endif
