/*
 * read_command - "postern read [-c FILE] [--keylog FILE] [--resolve] [--extract DIR] [--extract-max
 * MIB]
 * [--memory MIB] [--checksums] FILE...": the records of captures, as the gateway would have written
 * them, on standard output.
 *
 * Several files are one capture: frames are taken in the order of their times, so that a rotated
 * capture, and one of two taps, is read as one. Exit code 1 where a file is no capture, or has
 * damage: what is whole is read all the same.
 */
#ifndef POSTERN_READ_COMMAND_H
#define POSTERN_READ_COMMAND_H

int read_command(int argc, char **argv);

#endif
