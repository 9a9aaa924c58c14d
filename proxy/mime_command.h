/*
 * mime_command - "postern mime FILE...": what is in messages, as a tree on the terminal or as JSON.
 *
 * A file is a message, an mbox (its first line begins with "From "), or a Maildir folder; "-" is
 * standard input. Files are read in pieces: memory is that of one message's facts.
 */
#ifndef POSTERN_MIME_COMMAND_H
#define POSTERN_MIME_COMMAND_H

/* Exit code 1: a file could not be read, and that was told; the others were. */
int mime_command(int argc, char **argv);

#endif
