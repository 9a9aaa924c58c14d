/*
 * session_protect - the data connections of a session under TLS: each as the control connection on
 * its side is (RFC 4217 s10).
 *
 * Used by session.c alone, for struct data_owner.
 */
#ifndef POSTERN_SESSION_PROTECT_H
#define POSTERN_SESSION_PROTECT_H

#include "data.h"
#include "session_upgrade.h"

/*
 * To the client: the server's side, with the identity that the control connection showed, and its
 * sessions can be resumed. To the server: the client's side, with the newest session of the control
 * connection (F-030). fd is borrowed. NULL: no memory, or that side is in the clear.
 */
struct tls_leg *protect_data(const struct upgrade *, enum data_leg, int fd);
/*
 * The handshake is over. NULL, or why it must not be used: "tls_verify": it is another server than
 * that of the control connection; "tls_not_resumed": as configured, of a client.
 */
const char *protect_verdict(const struct upgrade *, enum data_leg, const struct tls_leg *);

#endif
