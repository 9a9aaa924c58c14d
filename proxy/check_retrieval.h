/*
 * check_retrieval - what "postern check" says of POP3 and IMAP.
 */
#ifndef POSTERN_CHECK_RETRIEVAL_H
#define POSTERN_CHECK_RETRIEVAL_H

#include <stdio.h>

#include "config.h"

/* Comments, a line each; nothing of a protocol that this configuration does not serve. */
void check_print_retrieval(const struct config *, FILE *out);

#endif
