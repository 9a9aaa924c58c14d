/*
 * base64 - one whole base64 text at once (RFC 4648 s4), as SASL exchanges carry it.
 */
#ifndef POSTERN_BASE64_H
#define POSTERN_BASE64_H

#include "core/buf.h"

/* Appends the octets. False: not base64 (out may then have a part), or out is full. */
bool base64_decode(struct span text, struct buf *out);

#endif
