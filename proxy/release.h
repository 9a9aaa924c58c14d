/*
 * release - "postern release": takes away the guard that a gateway leaves behind, so that traffic
 * passes uninspected from now on.
 */
#ifndef POSTERN_RELEASE_H
#define POSTERN_RELEASE_H

/* argv[0] is "release". Returns the exit code. */
int release(int argc, char **argv);

#endif
