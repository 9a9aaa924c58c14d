/*
 * check_tls - what "postern check" says of TLS.
 */
#ifndef POSTERN_CHECK_TLS_H
#define POSTERN_CHECK_TLS_H

#include <stdio.h>

#include "config.h"

/* What becomes of it in sessions of a protocol that this configuration serves; comments. */
void check_print_tls_of(const struct config *, enum protocol, FILE *out);
/* Rules, certificates and what both legs have in common; nothing where no TLS ends here. */
void check_print_tls(const struct config *, FILE *out);

#endif
