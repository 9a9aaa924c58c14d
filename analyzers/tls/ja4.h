/*
 * ja4 - the JA4 fingerprint of a TLS client, as FoxIO's specification has it.
 *
 *      t13d1516h2_8daaf6152771_e5627efa2ab1
 */
#ifndef POSTERN_TLS_JA4_H
#define POSTERN_TLS_JA4_H

#include "tls/hello.h"

#define TLS_JA4_TEXT 37 /* with its NUL */

/* Of a hello over TCP. False: no memory, or no SHA-256; text is "". */
bool tls_ja4(const struct tls_client_hello *, char text[TLS_JA4_TEXT]);

#endif
