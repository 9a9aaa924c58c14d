/*
 * opening - a TLS session of two others, read with the secrets that one of them wrote down.
 *
 * Fed with both directions in the order of the wire, from the ClientHello on, in pieces of any
 * size, it gives the application data of each. TLS 1.0 to 1.3: every cipher suite with AES-CBC
 * (MAC-then-encrypt and encrypt-then-MAC, RFC 7366), AES-GCM, AES-CCM and ChaCha20-Poly1305, full
 * handshakes and resumed ones, renegotiations, 0-RTT, HelloRetryRequest, key updates, handshake
 * messages over several records and several in one. Every record that is protected is verified: one
 * octet that is not authentic is an end (TLS_OPENING_BROKEN), never plain text.
 *
 * 0-RTT: what a client says ahead of the server's word is kept, and given when the server takes it,
 * with the client's octets that come after that; when the server refuses it, it is passed over, as
 * the server does.
 *
 * Memory: the largest record so far of each direction (TLS_RECORD_MAX), and while the handshake
 * lasts, a hello (64 KiB) and 0-RTT.
 */
#ifndef POSTERN_TLS_OPENING_H
#define POSTERN_TLS_OPENING_H

#include "core/event.h"
#include "tls/keylog.h"

#define TLS_EARLY_MAX 65536 /* octets of 0-RTT that are kept, or passed over; more are BROKEN */

enum tls_opened {
	TLS_OPENING_MORE,    /* everything was taken */
	TLS_OPENING_OCTETS,  /* *plain: application data of dir, good until the next feed */
	TLS_OPENING_END,     /* dir's close_notify, or a fatal alert of it: nothing more comes */
	TLS_OPENING_NO_KEYS, /* the key log has nothing for what comes next */
	TLS_OPENING_BROKEN,  /* no TLS, altered, a hole in it, a cipher that is not known, no memory
			      */
};

struct tls_opening;

/*
 * The key log must outlive it; sessions that may be resumed are noted in it, so that those are to
 * be read in the order of the wire. NULL: no memory.
 */
struct tls_opening *tls_opening_new(struct tls_keylog *);
void tls_opening_free(struct tls_opening *); /* NULL is fine */

/*
 * As much of in as makes one thing to say; *used says how much. Octets of the server that need the
 * client's ahead of them (none do in a capture that is in order) are TLS_OPENING_BROKEN.
 *
 * Behind BROKEN everything is BROKEN, behind END the direction has nothing more to say, whatever is
 * fed. NO_KEYS takes nothing of the record that it is about: it is an end, but whoever has a key
 * log that grows may feed the same direction again, from *used on, and with nothing too. *used is
 * never 0 but with NO_KEYS, OCTETS and END, each of which is about octets that were taken before.
 */
enum tls_opened tls_opening_feed(
    struct tls_opening *, enum an_dir, struct span in, size_t *used, struct span *plain);

/* Both directions have left the handshake: what was said ahead of it is forgotten (RFC 3207 s4.2).
 */
bool tls_opening_secure(const struct tls_opening *);

#endif
