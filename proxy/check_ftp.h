/*
 * check_ftp - what "postern check" says of FTP.
 */
#ifndef POSTERN_CHECK_FTP_H
#define POSTERN_CHECK_FTP_H

#include <stdio.h>

#include "config.h"

/* Comments, a line each; nothing where this configuration serves no FTP. */
void check_print_ftp(const struct config *, FILE *out);

#endif
