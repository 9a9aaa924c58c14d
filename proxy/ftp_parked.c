/*
 * Transfers that have had the server's last word, and whose octets are still coming: of a session
 * that is only looked at, and those that are let by, of which the kernel counts what the server's
 * own buffers still give out behind its last word.
 */
#include <stdlib.h>

#include "ftp_gate.h"

void
ftp_parked_swap(struct ftp_gate *g, struct ftp_parked *p)
{
	/* copied whole: of an initializer with its members GCC 12 clears more than the padding */
	const struct ftp_parked was = *p;

	p->transfer = g->transfer;
	p->agreed = g->agreed;
	p->stage = g->stage;
	p->user = g->user;
	p->ascii = g->ascii;
	g->transfer = was.transfer;
	g->agreed = was.agreed;
	g->stage = was.stage;
	g->user = was.user;
	g->ascii = was.ascii;
}

void
ftp_parked_free(struct ftp_gate *g, struct ftp_parked *p)
{
	struct ftp_parked **at = &g->parked;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	g->n_parked--;
	free(p->user);
	free(p);
}

void
ftp_park(struct ftp_gate *g, void (*finish)(struct ftp_gate *, struct ftp_parked *))
{
	struct ftp_parked *p = calloc(1, sizeof(*p)), **last = &g->parked;

	if (p == NULL) {
		g->relay.client.failed = true;
		return;
	}
	if (g->n_parked == FTP_PARKED_MAX)
		finish(g, g->parked);
	while (*last != NULL)
		last = &(*last)->next;
	*last = p;
	g->n_parked++;
	p->user = g->user == NULL ? NULL : strdup(g->user);
	p->ascii = g->ascii;
	p->transfer = g->transfer;
	p->agreed = g->agreed;
	p->stage = g->stage;
	g->transfer = (struct ftp_transfer){.verb = NULL};
	g->agreed = (struct ftp_agreement){.client = FTP_WAY_NONE};
	ftp_enter(g, FTP_IDLE);
}

struct ftp_parked *
ftp_parked_of(struct ftp_gate *g, const struct data_pair *pair)
{
	struct ftp_parked *p = g->parked;

	while (p != NULL && p->transfer.pair != pair)
		p = p->next;
	return p;
}

/* ---- let by ---- */

static void
counted(struct ftp_gate *g, struct ftp_parked *p)
{
	ftp_parked_swap(g, p);
	ftp_transfer_forget(g);
	ftp_parked_swap(g, p);
	ftp_parked_free(g, p);
}

void
ftp_counting_begin(struct ftp_gate *g)
{
	struct data_pair *pair = g->transfer.pair;

	g->transfer.over = ftp_now(g);
	ftp_park(g, counted);
	if (ftp_parked_of(g, pair) != NULL)
		g->relay.env->data->release(pair);
}

bool
ftp_counting_hurry(struct ftp_gate *g)
{
	if (ftp_observed(g) || g->parked == NULL)
		return false;
	for (struct ftp_parked *p = g->parked; p != NULL; p = p->next)
		g->relay.env->data->release(p->transfer.pair);
	return true;
}

void
ftp_counting_news(struct ftp_gate *g, struct data_pair *pair, const struct data_news *news)
{
	struct ftp_parked *p = ftp_parked_of(g, pair);

	if (p != NULL && (news->what == DATA_DONE || news->what == DATA_UNREACHABLE))
		counted(g, p);
}

void
ftp_counting_finish(struct ftp_gate *g)
{
	while (g->parked != NULL)
		counted(g, g->parked);
}
