/*
 * tls_report - what is recorded of two legs under TLS that end here.
 */
#ifndef POSTERN_TLS_REPORT_H
#define POSTERN_TLS_REPORT_H

#include "relay.h"
#include "tls_leg.h"

/*
 * Writes the "tls" record. client, server: NULL: that leg never began. why: a constant, NULL: both
 * handshakes are over, and good. shown: what the client was, NULL: nothing. hello: of the client;
 * NULL: none came.
 */
void tls_report(const struct relay *, const struct tls_leg *client, const struct tls_leg *server,
    const struct tls_client_hello *hello, const char *shown, const char *why);

#endif
