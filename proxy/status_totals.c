#include "status_totals.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared_page.h"

#define GAUGE_MAX (UINT64_C(1) << 40)

/* One worker's page, and what was believed of it so far. */
struct page {
	unsigned slot, serial;
	const struct board_page *board;
	size_t size, rows;
	struct board_counts counts;
	size_t n_tallies;
	struct board_tally tallies[BOARD_TALLIES];
};

/* Lives in a page of its own, which the next process finds as this one left it. */
struct base {
	uint64_t seen[WORKERS_MAX]; /* slots that there were workers in */
	struct status_sum sum;
};

struct status_totals {
	struct base *base;
	size_t base_size;
	struct page *pages[STATUS_PAGES_MAX];
	size_t n_pages;
	struct status_sum sum;
};

static uint64_t
at_most(uint64_t value, uint64_t max)
{
	return value < max ? value : max;
}

static uint64_t
look(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* ---- one page ---- */

static bool
is_name(const char *name, size_t size)
{
	size_t n = strnlen(name, size);

	if (n == size)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!octet_is_alnum((uint8_t)name[i]) && name[i] != '_')
			return false;
	return true;
}

static bool
is_tally(const struct board_tally *t)
{
	return t->kind < BOARD_TALLY_KINDS && t->protocol < BOARD_PROTOCOLS && t->code < 1000 &&
	       is_name(t->rule, sizeof(t->rule)) && is_name(t->reason, sizeof(t->reason));
}

/* A name is looked at once; what a row counts cannot become something else later. */
static void
read_tallies(struct page *p)
{
	size_t n = at_most(__atomic_load_n(&p->board->n_tallies, __ATOMIC_ACQUIRE), BOARD_TALLIES);

	for (; p->n_tallies < n; p->n_tallies++) {
		struct board_tally *t = &p->tallies[p->n_tallies];

		memcpy(t, &p->board->tallies[p->n_tallies], sizeof(*t));
		t->count = 0;
		if (!is_tally(t))
			*t = (struct board_tally){.kind = BOARD_ENDED, .reason = "invalid"};
	}
	for (size_t i = 0; i < p->n_tallies; i++) {
		uint64_t now = at_most(look(&p->board->tallies[i].count), STATUS_COUNT_MAX);

		if (now > p->tallies[i].count)
			p->tallies[i].count = now;
	}
}

static void
read_page(struct page *p)
{
	const uint64_t *from = (const uint64_t *)&p->board->counts;
	uint64_t *to = (uint64_t *)&p->counts;

	for (size_t i = 0; i < BOARD_COUNTS; i++) {
		uint64_t now = at_most(look(&from[i]), STATUS_COUNT_MAX);

		if (now > to[i])
			to[i] = now;
	}
	read_tallies(p);
}

static uint64_t
active(const struct page *p, size_t protocol)
{
	const struct board_protocol *c = &p->counts.protocol[protocol];
	uint64_t n = c->opened > c->ended ? c->opened - c->ended : 0;

	return at_most(n, p->rows);
}

/* ---- adding up ---- */

static void
add_counts(struct board_counts *to, const struct board_counts *from)
{
	uint64_t *sum = (uint64_t *)to;
	const uint64_t *more = (const uint64_t *)from;

	for (size_t i = 0; i < BOARD_COUNTS; i++)
		sum[i] = at_most(sum[i] + more[i], STATUS_COUNT_MAX);
}

static bool
same_tally(const struct board_tally *a, const struct board_tally *b)
{
	return a->kind == b->kind && a->protocol == b->protocol && a->code == b->code &&
	       strcmp(a->rule, b->rule) == 0 && strcmp(a->reason, b->reason) == 0;
}

static void
add_tally(struct status_sum *sum, unsigned slot, const struct board_tally *t)
{
	uint64_t *other = &sum->slot[slot].other[t->kind];
	size_t i = 0;

	while (i < sum->n_tallies && !same_tally(&sum->tallies[i], t))
		i++;
	if (i == STATUS_TALLIES) {
		*other = at_most(*other + t->count, STATUS_COUNT_MAX);
		return;
	}
	if (i == sum->n_tallies) {
		sum->tallies[i] = *t;
		sum->tallies[i].count = 0;
		sum->n_tallies++;
	}
	sum->tallies[i].count = at_most(sum->tallies[i].count + t->count, STATUS_COUNT_MAX);
}

static void
add_page(struct status_sum *sum, const struct page *p)
{
	add_counts(&sum->slot[p->slot], &p->counts);
	for (size_t i = 0; i < p->n_tallies; i++)
		add_tally(sum, p->slot, &p->tallies[i]);
}

const struct status_sum *
status_totals_sum(struct status_totals *t)
{
	t->sum = t->base->sum;
	for (size_t i = 0; i < t->n_pages; i++) {
		read_page(t->pages[i]);
		add_page(&t->sum, t->pages[i]);
	}
	return &t->sum;
}

void
status_sum_all(const struct status_sum *sum, struct board_counts *all)
{
	*all = (struct board_counts){0};
	for (size_t i = 0; i < WORKERS_MAX; i++)
		add_counts(all, &sum->slot[i]);
}

bool
status_slot_seen(const struct status_totals *t, unsigned slot)
{
	return t->base->seen[slot] != 0;
}

/* ---- workers come and go ---- */

int
status_base_new(void)
{
	int fd;

	return shared_page_new("postern-status", sizeof(struct base), &fd, NULL) ? fd : -1;
}

struct status_totals *
status_totals_new(int base)
{
	struct status_totals *t = calloc(1, sizeof(*t));

	if (t != NULL)
		t->base = shared_page_map(base, true, sizeof(*t->base), &t->base_size);
	close(base);
	if (t == NULL || t->base == NULL) {
		free(t);
		return NULL;
	}
	if (t->base->sum.n_tallies > STATUS_TALLIES)
		memset(t->base, 0, sizeof(*t->base));
	return t;
}

static void
page_free(struct page *p)
{
	/* munmap() takes no const, and writes nothing */
	munmap((void *)(uintptr_t)p->board, p->size);
	free(p);
}

void
status_totals_free(struct status_totals *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n_pages; i++)
		page_free(t->pages[i]);
	munmap(t->base, t->base_size);
	free(t);
}

bool
status_totals_add(struct status_totals *t, unsigned slot, unsigned serial, int fd)
{
	struct page *p = calloc(1, sizeof(*p));

	if (p != NULL && slot < WORKERS_MAX && t->n_pages < STATUS_PAGES_MAX)
		p->board = shared_page_map(fd, false, sizeof(*p->board), &p->size);
	close(fd);
	if (p == NULL || p->board == NULL) {
		free(p);
		return false;
	}
	p->slot = slot;
	p->serial = serial;
	p->rows = (p->size - sizeof(*p->board)) / sizeof(struct board_row);
	t->base->seen[slot] = 1;
	t->pages[t->n_pages++] = p;
	return true;
}

/* Its sessions have ended with it, whatever it came to say of them. */
static void
end_sessions(struct page *p)
{
	for (size_t i = 0; i < BOARD_PROTOCOLS; i++) {
		struct board_tally t = {.count = active(p, i),
		    .kind = BOARD_ENDED,
		    .protocol = (uint8_t)i,
		    .reason = "worker_ended"};

		if (t.count == 0)
			continue;
		p->counts.protocol[i].ended += t.count;
		if (p->n_tallies < BOARD_TALLIES)
			p->tallies[p->n_tallies++] = t;
		else
			p->counts.other[BOARD_ENDED] += t.count;
	}
}

void
status_totals_gone(struct status_totals *t, unsigned slot, unsigned serial)
{
	for (size_t i = 0; i < t->n_pages; i++) {
		struct page *p = t->pages[i];

		if (p->slot != slot || p->serial != serial)
			continue;
		read_page(p);
		end_sessions(p);
		add_page(&t->base->sum, p);
		page_free(p);
		t->pages[i] = t->pages[--t->n_pages];
		return;
	}
}

size_t
status_totals_workers(const struct status_totals *t)
{
	return t->n_pages;
}

void
status_totals_worker(const struct status_totals *t, size_t i, struct status_worker *w)
{
	const struct page *p = t->pages[i];
	uint64_t state = look(&p->board->state);

	*w = (struct status_worker){
	    .slot = p->slot,
	    .generation = at_most(look(&p->board->generation), UINT32_MAX),
	    .pid = at_most(look(&p->board->pid), INT32_MAX),
	    .started = at_most(look(&p->board->started), STATUS_COUNT_MAX),
	    .sessions_max = p->rows,
	    .state = state < BOARD_STATES ? (enum board_state)state : BOARD_STARTING,
	};
	for (size_t k = 0; k < BOARD_PROTOCOLS; k++) {
		w->opened[k] = p->counts.protocol[k].opened;
		w->active[k] = active(p, k);
	}
	for (size_t k = 0; k < BOARD_GAUGES; k++)
		w->gauge[k] = at_most(look(&p->board->gauge[k]), GAUGE_MAX);
}

/* ---- sessions ---- */

/* False: nobody sits there, or it changed while it was read. */
static bool
read_row(const struct board_row *from, struct board_row *row)
{
	uint64_t seq = __atomic_load_n(&from->seq, __ATOMIC_ACQUIRE);

	if (seq == 0 || (seq & 1) != 0)
		return false;
	memcpy(row, from, sizeof(*row));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return look(&from->seq) == seq;
}

static void
bound_endpoint(struct board_endpoint *e)
{
	if (e->family != IP_V4 && e->family != IP_V6)
		e->family = IP_NONE;
	e->port &= UINT16_MAX;
}

/* What is on the page may be anything. */
static void
bound_row(struct board_row *row)
{
	row->flow_id &= (UINT64_C(1) << 53) - 1;
	row->started = at_most(row->started, STATUS_COUNT_MAX);
	row->phase = at_most(row->phase, BOARD_PHASES - 1);
	row->protocol = at_most(row->protocol, BOARD_PROTOCOLS - 1);
	for (size_t i = 0; i < BOARD_LEGS; i++)
		row->octets[i] = at_most(row->octets[i], STATUS_COUNT_MAX);
	bound_endpoint(&row->client);
	bound_endpoint(&row->server);
}

size_t
status_totals_sessions(const struct status_totals *t,
    void (*each)(void *arg, unsigned slot, const struct board_row *), void *arg)
{
	struct board_row row;
	size_t n = 0;

	for (size_t i = 0; i < t->n_pages; i++) {
		const struct page *p = t->pages[i];
		/* behind them nothing was written, and looking there would cost memory */
		size_t used =
		    at_most(__atomic_load_n(&p->board->rows_used, __ATOMIC_ACQUIRE), p->rows);

		for (size_t k = 0; k < used; k++) {
			if (!read_row(&p->board->rows[k], &row))
				continue;
			if (n++ >= STATUS_SESSIONS)
				continue;
			bound_row(&row);
			each(arg, p->slot, &row);
		}
	}
	return n;
}
