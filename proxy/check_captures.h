/*
 * check_captures - what "postern check" says of captures.
 */
#ifndef POSTERN_CHECK_CAPTURES_H
#define POSTERN_CHECK_CAPTURES_H

#include "config.h"

/* Comments; nothing where nothing is captured. */
void check_print_captures(const struct config *, FILE *out);

#endif
