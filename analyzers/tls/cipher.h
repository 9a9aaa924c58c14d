/*
 * cipher - names of cipher suites.
 */
#ifndef POSTERN_TLS_CIPHER_H
#define POSTERN_TLS_CIPHER_H

#include <stdint.h>

/* "TLS_AES_128_GCM_SHA256", as IANA has it, of those that are in use; NULL for others. */
const char *tls_cipher_name(uint16_t);

#endif
