/*
 * config_text - a configuration file whole in memory.
 */
#ifndef POSTERN_CONFIG_TEXT_H
#define POSTERN_CONFIG_TEXT_H

#include <stdio.h>

/*
 * path  "-": standard input; a folder is a fault
 * *n    octets, at most CONFIG_FILE_MAX
 * err   gets one line when NULL is returned: "FILE: No such file or directory"
 *
 * To be freed by the caller.
 */
char *config_text_read(const char *path, size_t *n, FILE *err);

/* How messages call the file: its path, or "standard input". */
const char *config_text_name(const char *path);

#endif
