/*
 * seen_data - struct data_ops of an observer (proxy/data.h), over what was seen of the gateway's
 * data connections on the client's side.
 */
#ifndef POSTERN_TESTS_SEEN_DATA_H
#define POSTERN_TESTS_SEEN_DATA_H

#include "fake_data.h"

struct seen_data;

struct seen_data *seen_data_new(void);
/* NULL, or what is wrong: a connection that was tied to nothing, a pair that was left open. */
const char *seen_data_free(struct seen_data *);
/* All but "open". */
const struct data_ops *seen_data_ops(void);
struct data_pair *seen_data_open(struct seen_data *, struct relay *);

/* This was seen; the relay is told of nothing. */
void seen_data_add(struct seen_data *, const struct fake_seen *);
/*
 * The same in words, octets apart: "1 opens 203.0.113.9:5000 to 10.0.0.25:5001" (its SYN), "1
 * octets
 * ...", "1 ends", "1 cut reset", "1 never refused ... to ...". Returns NULL, or what is wrong.
 */
const char *seen_data_line(struct seen_data *, const char *text, struct span octets);
/* The relay is told what it can be told by now. */
void seen_data_go_on(struct seen_data *);

#endif
