/*
 * tls_staple - what a server's own word of its certificate's revocation is worth: the OCSP response
 * (RFC 6960) that it staples to its handshake (RFC 6066 s8, RFC 8446 s4.4.2.1; T-005).
 *
 * Nobody is asked over the network.
 */
#ifndef POSTERN_TLS_STAPLE_H
#define POSTERN_TLS_STAPLE_H

#include <openssl/ssl.h>

/*
 * Of a connection to a server whose handshake is full and over, and whose certificate is good so
 * far (SSL_get_verify_result()):
 *   X509_V_OK                       not revoked; or nothing is stapled, and nothing need be
 *   X509_V_ERR_CERT_REVOKED         it is revoked
 *   X509_V_ERR_OCSP_VERIFY_NEEDED   the certificate promises a staple (RFC 7633), and there is none
 *   X509_V_ERR_OCSP_CERT_UNKNOWN    its issuer does not know it
 *   X509_V_ERR_OCSP_VERIFY_FAILED   the staple is none, is for another certificate, is not signed
 * by who may say so, or is not valid now
 */
long tls_staple_verdict(SSL *);

#endif
