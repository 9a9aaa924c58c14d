/*
 * ca_command - "postern ca init": makes the two CAs of an installation (ca.h), each with its key;
 * "postern ca show": what they are, for whoever has clients trust the one of them.
 */
#ifndef POSTERN_CA_COMMAND_H
#define POSTERN_CA_COMMAND_H

#define CA_DIRECTORY "/etc/postern" /* where init writes, unless it is told otherwise */

/*
 * init [-d DIR] [-o ORGANISATION]: ca.pem, ca.key, untrusted-ca.pem, untrusted-ca.key. Never
 * overwrites: where one of them is there nothing is made. Keys are for their owner alone (0400).
 * show [-c FILE]: of the CAs that the configuration names; show FILE...: of these. Needs no key.
 */
int ca_command(int argc, char **argv);

#endif
