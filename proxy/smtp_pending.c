#include <stdlib.h>

#include "smtp_gate.h"

/* The newest command is asked for most, and the oldest, whose reply comes next. */
struct pending *
gate_pending_find(const struct smtp_gate *g, uint64_t slot)
{
	struct pending *p = TAILQ_LAST(&g->pending, pendings);

	if (p != NULL && p->slot == slot)
		return p;
	for (p = TAILQ_FIRST(&g->pending); p != NULL && p->slot != slot;)
		p = TAILQ_NEXT(p, others);
	return p;
}

struct pending *
gate_pending(struct smtp_gate *g, uint64_t slot)
{
	struct pending *p = gate_pending_find(g, slot);

	if (p != NULL)
		return p;
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		g->relay.client.failed = true;
		return &g->nowhere;
	}
	p->slot = slot;
	TAILQ_INSERT_TAIL(&g->pending, p, others);
	return p;
}

void
gate_pending_move(struct smtp_gate *g, uint64_t from, uint64_t to)
{
	struct pending *p = gate_pending_find(g, from);

	if (p != NULL)
		p->slot = to;
}

void
gate_pending_drop(struct smtp_gate *g, struct pending *p)
{
	if (p == &g->nowhere) {
		*p = (struct pending){0};
		return;
	}
	TAILQ_REMOVE(&g->pending, p, others);
	free(p);
}
