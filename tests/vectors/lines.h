/*
 * lines - what the lines of a case do: octets and ends of peers, answers of the DNS, data
 * connections, handshakes, time; and what is expected of the gate meanwhile, and of its records.
 * README.md has the language.
 */
#ifndef POSTERN_TESTS_VECTORS_LINES_H
#define POSTERN_TESTS_VECTORS_LINES_H

#include "run.h"

/* "dns NAME TYPE ...": an answer that the run has. */
void add_answer(struct run *, const struct line *);
/* Octets of both sides go where they can, until none does. */
void move(struct run *);
/* All lines of the case, in their order. */
void play(struct run *);
/* The last records are written when the relay goes; may be called again. */
void close_relay(struct run *);

#endif
