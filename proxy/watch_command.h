/*
 * watch_command - "postern watch -i DEVICE": records of what goes by on an interface, passive and
 * live, until SIGINT or SIGTERM, or until the device goes.
 */
#ifndef POSTERN_WATCH_COMMAND_H
#define POSTERN_WATCH_COMMAND_H

int watch_command(int argc, char **argv);

#endif
