/*
 * table - the connections that are known, by their ends, and which of them has been silent longest.
 */
#ifndef POSTERN_TCP_TABLE_H
#define POSTERN_TCP_TABLE_H

#include "tcp/stream.h"

enum flow_state {
	FLOW_OPENING, /* a SYN, and nothing else: it has no events */
	FLOW_OPEN,
	FLOW_OVER, /* it has said CONNECTION_CLOSED; what still comes of it begins nothing new */
	FLOW_STATES
};

struct flow {
	struct connection connection; /* first: what the owner sees */
	struct flow *chained;	      /* of the same bucket */
	struct flow *older, *younger; /* of the same state, by the last segment */
	uint64_t seen;		      /* when that was */
	enum flow_state state;
	struct stream stream[2];
	uint32_t isn[2]; /* initial sequence numbers, where a SYN was seen */
	bool syn[2];
	bool reset;	       /* over by a reset */
	enum an_dir reset_dir; /* of this side */
	uint32_t tried;	       /* ISN of a SYN that came within the connection, from tried_dir */
	bool was_tried;
	enum an_dir tried_dir;
};

struct table {
	struct flow **bucket;
	size_t buckets; /* a power of two */
	uint64_t seed[2];
	struct {
		struct flow *oldest, *youngest;
		size_t n;
	} of[FLOW_STATES];
};

/* Buckets for so many connections; false: no memory. */
bool table_init(struct table *, size_t connections, const uint64_t seed[2]);
void table_free(struct table *); /* the flows must be out of it */
size_t table_memory(const struct table *);

/* dir: who sent what goes from "from" to "to". NULL: there is none. */
struct flow *table_find(const struct table *, const struct connection_end *from,
    const struct connection_end *to, enum an_dir *dir);
void table_add(struct table *, struct flow *); /* its ends and its state are filled in */
void table_remove(struct table *, struct flow *);
/* It has this state now, and is the youngest of those. */
void table_touch(struct table *, struct flow *, enum flow_state);

#endif
