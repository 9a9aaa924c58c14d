#include "board.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/reply.h"
#include "shared_page.h"

#define NO_ROW UINT32_MAX

const unsigned board_dns_bounds[BOARD_DNS_BUCKETS - 1] = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000};

struct board {
	struct board_page *page;
	size_t size;
	uint32_t rows;	/* on the page */
	uint32_t fresh; /* rows from here on were never used */
	uint32_t *free; /* n_free others that are not in use */
	uint32_t n_free;
	uint64_t seq; /* of the row that was written last */
	/* the names in page->tallies as they were given: found again by their addresses */
	const char *rule[BOARD_TALLIES], *reason[BOARD_TALLIES];
};

_Static_assert(sizeof(struct board_row) <= 128, "a session costs no more");
_Static_assert(sizeof(struct board_counts) % sizeof(uint64_t) == 0, "counters and nothing else");

size_t
board_size(unsigned sessions_max)
{
	return sizeof(struct board_page) + (size_t)sessions_max * sizeof(struct board_row);
}

/* There is one writer: what counts is that a reader sees whole numbers. */
static void
put(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELAXED);
}

static void
grow(uint64_t *at, uint64_t n)
{
	put(at, __atomic_load_n(at, __ATOMIC_RELAXED) + n);
}

static uint64_t
milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* ---- the page ---- */

struct board *
board_open(int fd, unsigned slot, unsigned generation)
{
	struct board *b = calloc(1, sizeof(*b));

	if (b != NULL)
		b->page = shared_page_map(fd, true, sizeof(*b->page), &b->size);
	close(fd);
	if (b == NULL || b->page == NULL) {
		free(b);
		return NULL;
	}
	b->rows = (uint32_t)((b->size - sizeof(*b->page)) / sizeof(struct board_row));
	b->free = calloc(b->rows + 1, sizeof(*b->free));
	if (b->free == NULL) {
		board_close(b);
		return NULL;
	}
	put(&b->page->version, BOARD_VERSION);
	put(&b->page->size, b->size);
	put(&b->page->slot, slot);
	put(&b->page->generation, generation);
	put(&b->page->pid, (uint64_t)getpid());
	put(&b->page->started, milliseconds());
	put(&b->page->magic, BOARD_MAGIC);
	return b;
}

void
board_close(struct board *b)
{
	if (b == NULL)
		return;
	munmap(b->page, b->size);
	free(b->free);
	free(b);
}

void
board_state(struct board *b, enum board_state state)
{
	if (b != NULL)
		put(&b->page->state, state);
}

void
board_add(struct board *b, enum board_counter counter, uint64_t n)
{
	if (b != NULL)
		grow(&b->page->counts.counter[counter], n);
}

void
board_count(struct board *b, enum board_counter counter, uint64_t so_far)
{
	if (b != NULL)
		put(&b->page->counts.counter[counter], so_far);
}

void
board_set(struct board *b, enum board_gauge gauge, uint64_t value)
{
	if (b != NULL)
		put(&b->page->gauge[gauge], value);
}

void
board_dns(struct board *b, enum dns_status status, uint64_t ms)
{
	size_t i = 0;

	if (b == NULL)
		return;
	while (i < BOARD_DNS_BUCKETS - 1 && ms > board_dns_bounds[i])
		i++;
	grow(&b->page->counts.dns_status[status], 1);
	grow(&b->page->counts.dns_bucket[i], 1);
	grow(&b->page->counts.counter[BOARD_DNS_MS], ms);
}

/* ---- tallies ---- */

static void
copy_name(char *to, size_t size, const char *name)
{
	struct span cut = span_first(span_str(name), size - 1);

	memcpy(to, cut.p, cut.n);
}

static void
tally(struct board *b, struct board_tally key, const char *rule, const char *reason)
{
	struct board_page *page = b->page;
	size_t n = page->n_tallies;

	for (size_t i = 0; i < n; i++) {
		struct board_tally *t = &page->tallies[i];

		if (t->kind == key.kind && t->protocol == key.protocol && t->code == key.code &&
		    b->reason[i] == reason && b->rule[i] == rule) {
			grow(&t->count, 1);
			return;
		}
	}
	if (n == BOARD_TALLIES) {
		grow(&page->counts.other[key.kind], 1);
		return;
	}
	b->rule[n] = rule;
	b->reason[n] = reason;
	copy_name(key.rule, sizeof(key.rule), rule);
	copy_name(key.reason, sizeof(key.reason), reason);
	key.count = 1;
	page->tallies[n] = key;
	__atomic_store_n(&page->n_tallies, n + 1, __ATOMIC_RELEASE);
}

static void
tally_session(struct board *b, enum board_tally_kind kind, enum protocol protocol, const char *why)
{
	struct board_tally key = {.kind = (uint8_t)kind, .protocol = (uint8_t)protocol};

	tally(b, key, "", why);
}

void
board_refused(struct board *b, enum protocol protocol, const char *reason)
{
	if (b == NULL)
		return;
	grow(&b->page->counts.protocol[protocol].turned_away, 1);
	tally_session(b, BOARD_TURNED_AWAY, protocol, reason);
}

/* ---- sessions ---- */

static struct board_row *
row_of(const struct board_seat *seat)
{
	return seat->row == NO_ROW ? NULL : &seat->board->page->rows[seat->row];
}

static uint32_t
take_row(struct board *b)
{
	if (b->n_free > 0)
		return b->free[--b->n_free];
	if (b->fresh == b->rows)
		return NO_ROW;
	return b->fresh++;
}

static struct board_endpoint
endpoint_of(const struct endpoint *e)
{
	struct board_endpoint out = {.family = e->ip.family, .port = e->port};

	memcpy(out.octets, e->ip.octets, sizeof(out.octets));
	return out;
}

void
board_session_opened(struct board *b, enum protocol protocol, const struct record_session *rs,
    struct board_seat *seat)
{
	const struct endpoint *server =
	    rs->up_server.ip.family == IP_NONE ? &rs->server : &rs->up_server;
	struct board_row row = {.seq = 1, .phase = BOARD_CONNECTING, .protocol = protocol};

	*seat = (struct board_seat){.board = b, .row = NO_ROW, .protocol = protocol};
	if (b == NULL)
		return;
	grow(&b->page->counts.protocol[protocol].opened, 1);
	seat->row = take_row(b);
	if (seat->row == NO_ROW)
		return;
	row.flow_id = rs->flow_id;
	row.started = milliseconds();
	row.client = endpoint_of(&rs->client);
	row.server = endpoint_of(server);
	*row_of(seat) = row;
	b->seq += 2;
	__atomic_store_n(&row_of(seat)->seq, b->seq, __ATOMIC_RELEASE);
	__atomic_store_n(&b->page->rows_used, b->fresh, __ATOMIC_RELEASE);
}

void
board_session_octets(struct board_seat *seat, const uint64_t octets[BOARD_LEGS])
{
	struct board_protocol *p;
	struct board_row *row;

	if (seat->board == NULL)
		return;
	p = &seat->board->page->counts.protocol[seat->protocol];
	row = row_of(seat);
	for (size_t i = 0; i < BOARD_LEGS; i++) {
		if (octets[i] == seat->octets[i])
			continue;
		grow(&p->octets[i], octets[i] - seat->octets[i]);
		seat->octets[i] = octets[i];
		if (row != NULL)
			put(&row->octets[i], octets[i]);
	}
}

void
board_session_phase(struct board_seat *seat, enum board_phase phase)
{
	if (seat->board == NULL || phase == seat->phase)
		return;
	seat->phase = phase;
	if (row_of(seat) != NULL)
		put(&row_of(seat)->phase, phase);
}

void
board_session_ended(struct board_seat *seat, const char *reason)
{
	struct board *b = seat->board;
	struct board_row *row;

	if (b == NULL)
		return;
	row = row_of(seat);
	if (row != NULL) {
		/* odd from here on: whoever copies it just now throws the copy away */
		__atomic_store_n(&row->seq, row->seq | 1, __ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		b->free[b->n_free++] = seat->row;
	}
	grow(&b->page->counts.protocol[seat->protocol].ended, 1);
	tally_session(b, BOARD_ENDED, seat->protocol, reason);
	*seat = (struct board_seat){.row = NO_ROW};
}

void
board_session_refused(struct board_seat *seat, const char *reason)
{
	seat->refused = true;
	board_refused(seat->board, seat->protocol, reason);
}

void
board_verdict(struct board_seat *seat, const struct verdict *v)
{
	struct board_tally key = {.protocol = (uint8_t)seat->protocol};

	seat->refused = seat->refused || v->action == VERDICT_REFUSE;
	if (seat->board == NULL || v->action == VERDICT_ASK)
		return;
	if (v->action == VERDICT_PASS && strcmp(v->rule, "none") == 0)
		return; /* no rule was asked */
	key.kind = v->action == VERDICT_REFUSE ? BOARD_REFUSED
		   : v->would_refuse	       ? BOARD_WOULD_REFUSE
					       : BOARD_PASSED;
	if (key.kind != BOARD_PASSED)
		key.code = reply_code(span_first(span_str(v->reply), 3));
	tally(seat->board, key, v->rule, v->reason);
}

void
board_message(const struct board_seat *seat, enum board_message what)
{
	if (seat->board != NULL)
		grow(&seat->board->page->counts.protocol[seat->protocol].messages[what], 1);
}
