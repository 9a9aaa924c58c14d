/*
 * certificate_command - "postern certificate make": a certificate of the gateway's own.
 */
#ifndef POSTERN_CERTIFICATE_COMMAND_H
#define POSTERN_CERTIFICATE_COMMAND_H

/* Returns the exit code; where both files are there already, that is said, and fine. */
int certificate_command(int argc, char **argv);

#endif
