/*
 * guard - "postern guard": puts up the guard of a configuration before any gateway runs, so that a
 * host that boots is closed from its first packet on. "postern release" takes it away.
 */
#ifndef POSTERN_GUARD_H
#define POSTERN_GUARD_H

/* argv[0] is "guard". Returns the exit code. */
int guard(int argc, char **argv);

#endif
