/*
 * status_command - "postern status": asks the gateway that runs how it is, and prints the answer.
 */
#ifndef POSTERN_STATUS_COMMAND_H
#define POSTERN_STATUS_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* argv[0] is "status". 0: it runs; 1: it does not, or does not answer us; 2: usage. */
int status_command(int argc, char **argv);

/* For people: an answer to "status", and one to "sessions". Any JSON is fine. */
void status_print(const json_t *, FILE *);
void status_print_sessions(const json_t *, FILE *);

#endif
