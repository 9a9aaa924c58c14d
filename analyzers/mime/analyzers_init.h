/*
 * analyzers_init - everything that the analyzers read from files, read while files may be opened.
 *
 * To be called once, before the process locks itself up: afterwards no analyzer opens a file, and
 * what it would have to load then (a charset, a digest) is simply not known. One thread only.
 */
#ifndef POSTERN_ANALYZERS_INIT_H
#define POSTERN_ANALYZERS_INIT_H

#include <stdbool.h>

/*
 * system_types: file types by the system's large database instead of ours (some 1.2 ms instead of
 * microseconds a part). False: *why is a constant that says what is missing; analyzers_end() may
 * follow or not. Called again without analyzers_end() between: true, nothing is done.
 */
bool analyzers_init(bool system_types, const char **why);
/* Gives everything back; analyzers_init() may follow. */
void analyzers_end(void);

#endif
