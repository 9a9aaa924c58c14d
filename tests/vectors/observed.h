/*
 * observed - every conversation once more, as whoever listens on the client's side of the gateway
 * has it: while the gateway stands in between, what the client sends and is given is written down
 * in the order of time; then a new relay observes exactly that (relay_env.observed), and its
 * records have to be the gateway's, but for what only a gateway can know. README.md has the rest.
 */
#ifndef POSTERN_TESTS_VECTORS_OBSERVED_H
#define POSTERN_TESTS_VECTORS_OBSERVED_H

#include "run.h"

/* All take NULL, which writes nothing down. */
struct transcript *transcript_new(const uint64_t *now); /* the clock of the run; outlives it */
void transcript_free(struct transcript *);
/* Octets of the client (AN_C2S), or for it. */
void transcript_octets(struct transcript *, enum an_dir, struct span);
/* That end of the client's connection: PEER_EOF or PEER_GONE. Said twice, it counts once. */
void transcript_peer(struct transcript *, enum an_dir, enum relay_peer);
/* The handshake with the client is over; why: NULL, or why it failed, a constant. */
void transcript_tls(struct transcript *, const char *why);

/* Data connections of the client's. */
void transcript_data(struct transcript *, const struct fake_seen *);

/* Complains in gateway, whose records are complete, where an observer's are others. */
void observe(struct run *gateway);
/* A record of a type that is compared. */
bool is_compared(struct span line);

#endif
