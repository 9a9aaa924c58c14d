/*
 * check - "postern check": is the configuration right, and what does it mean.
 */
#ifndef POSTERN_CHECK_H
#define POSTERN_CHECK_H

/* argv[0] is "check". Returns the exit code. */
int check(int argc, char **argv);

#endif
