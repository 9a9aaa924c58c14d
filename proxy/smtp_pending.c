#include <stdlib.h>

#include "smtp_gate.h"

static void
set(struct smtp_gate *g, uint64_t slot, struct pending *p)
{
	p->place = (uint8_t)(slot % PENDING_MAX);
	g->pending[p->place] = p;
}

static struct pending *
take(struct smtp_gate *g)
{
	struct pending *p = g->unused;

	if (p == NULL)
		return calloc(1, sizeof(*p));
	g->unused = p->next;
	p->next = NULL;
	return p;
}

struct pending *
gate_pending(struct smtp_gate *g, uint64_t slot)
{
	struct pending *p = g->pending[slot % PENDING_MAX];

	if (p != NULL)
		return p;
	p = take(g);
	if (p == NULL) {
		g->relay.client.failed = true;
		return &g->nowhere;
	}
	set(g, slot, p);
	return p;
}

void
gate_pending_move(struct smtp_gate *g, uint64_t from, uint64_t to)
{
	struct pending *moved = gate_pending(g, from), *empty = gate_pending(g, to);

	if (moved == &g->nowhere || empty == &g->nowhere)
		return;
	set(g, to, moved);
	set(g, from, empty);
}

void
gate_pending_clear(struct smtp_gate *g, struct pending *p)
{
	const uint8_t place = p->place;

	*p = (struct pending){.next = g->unused};
	if (p == &g->nowhere) {
		p->next = NULL;
		return;
	}
	g->pending[place] = NULL;
	g->unused = p;
}

void
gate_pending_free(struct smtp_gate *g)
{
	while (g->unused != NULL) {
		struct pending *p = g->unused;

		g->unused = p->next;
		free(p);
	}
}
