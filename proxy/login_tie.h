/*
 * login_tie - logins that are tied to the two ends of one TLS connection, and fail where it ends at
 * the gateway: SCRAM-*-PLUS and "y" (RFC 5802 s6), EXTERNAL with the client's certificate, perhaps
 * GSSAPI and NTLM.
 *
 * Lists of mechanisms stay as they are: a client that can bind and finds no -PLUS says so, and a
 * server that has it must then take that for an attack. What fails is recorded, with the rule that
 * would let this server by.
 */
#ifndef POSTERN_LOGIN_TIE_H
#define POSTERN_LOGIN_TIE_H

#include "relay.h"
#include "smtp/sasl.h"

/* The server offers this mechanism. */
void login_offered(struct relay *, struct span mechanism);
/*
 * The server has refused this login (NULL: one that nobody could read). Where TLS ends here and the
 * login is tied, a "tls" record is written: failure "channel_binding", "channel_binding_missed",
 * "channel_binding_possible", "client_certificate".
 */
void login_failed(const struct relay *, const struct sasl *);

#endif
