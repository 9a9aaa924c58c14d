#include "slots.h"

#include <errno.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "budget.h"
#include "clock.h"
#include "config_handover.h"
#include "worker_process.h"

struct slot {
	struct slots *all;
	unsigned number;
	struct worker_process *now;  /* serves, or is to serve; NULL: none */
	struct worker_process *next; /* of the generation that begins */
	struct listening_set set, next_set;
	uint64_t deaths[SLOT_DEATHS]; /* when, the oldest first; 0: there was none */
	struct event *rest;
	bool resting;
};

struct slots {
	struct event_base *base;
	const struct slots_events *events;
	struct worker_events worker_events;
	struct data_service *data;
	struct slot slot[WORKERS_MAX];
	unsigned n;			    /* that the generation in force has */
	const struct config *config, *next; /* next: NULL, nothing is under way */
	int text;			    /* the text of config, and of next: files in memory */
	int next_text;
	unsigned n_next;
	unsigned generation; /* in force */
	unsigned begun;	     /* generations so far, those that came to nothing too */
	struct worker_process *retiring;
	struct event *later; /* what the caller hears once we are done */
	bool stopping, said_gone;
	bool tell_serving;
	uint8_t tls_secret[TLS_SECRET]; /* of ticket keys */
	struct tls_offers *offers;	/* what workers saw of servers, for all of them */
	int offers_fd;			/* the same, to read */
	char refusal[256];		/* "": none to be told */
	uint64_t deaths;
};

static void
tell_later(struct slots *s)
{
	event_active(s->later, EV_TIMEOUT, 0);
}

/* ---- a worker ---- */

/* NULL: errno says why. data goes with the worker. */
static struct worker_process *
start_with(struct slots *s, const struct config *c, int text, struct data_part *data, unsigned slot,
    unsigned generation)
{
	const struct slots_events *e = s->events;
	unsigned number = 0;
	int log = e->log_pipe(e->arg, slot);
	int board = log < 0 ? -1 : e->board(e->arg, slot, c, &number);
	int capture = board < 0 ? -1 : e->capture(e->arg, c);
	struct worker_process *w = NULL;

	if (capture >= 0)
		w = worker_process_start(s->base, &s->worker_events, c,
		    (const int[]){text, log, e->log_state(e->arg), board, s->offers_fd, capture},
		    data, slot, generation);
	if (w != NULL)
		w->board = number;
	else if (board >= 0)
		e->board_gone(e->arg, number);
	if (capture >= 0)
		close(capture);
	if (board >= 0)
		close(board);
	if (log >= 0)
		close(log);
	return w;
}

/* NULL: *why (good until the next call). */
static struct worker_process *
start_worker(struct slots *s, const struct config *c, int text, unsigned slot, unsigned generation,
    const char **why)
{
	struct data_part *data = data_part_new(s->data, c, why);
	struct worker_process *w;

	if (data == NULL)
		return NULL;
	w = start_with(s, c, text, data, slot, generation);
	if (w != NULL)
		return w;
	*why = strerror(errno);
	data_part_free(data);
	return NULL;
}

/* Nothing of it is left but what it counted. */
static void
bury(struct slots *s, struct worker_process *w)
{
	s->events->board_gone(s->events->arg, w->board);
	worker_process_free(w);
}

static void
kill_worker(struct slots *s, struct worker_process *w)
{
	if (w == NULL)
		return;
	worker_process_kill(w);
	w->state = WORKER_RETIRING;
	w->next = s->retiring;
	s->retiring = w;
}

static void
retire_worker(struct slots *s, struct worker_process *w, unsigned seconds)
{
	if (w == NULL)
		return;
	worker_process_retire(w, seconds);
	w->next = s->retiring;
	s->retiring = w;
}

/* ---- one generation after the other ---- */

static void
forget_next(struct slots *s)
{
	if (s->next_text >= 0)
		close(s->next_text);
	s->next_text = -1;
	s->next = NULL;
}

/* The generation that begins comes to nothing. Those that serve already may have sessions. */
static void
abandon(struct slots *s, const char *why)
{
	for (unsigned i = 0; i < s->n_next; i++) {
		struct slot *slot = &s->slot[i];

		if (slot->next != NULL && slot->next->state == WORKER_SERVING)
			retire_worker(s, slot->next, s->next->drain);
		else
			kill_worker(s, slot->next);
		slot->next = NULL;
		listening_close(&slot->next_set);
	}
	forget_next(s);
	snprintf(s->refusal, sizeof(s->refusal), "%s", why);
	tell_later(s);
}

static bool
all_ready(const struct slots *s)
{
	for (unsigned i = 0; i < s->n_next; i++)
		if (s->slot[i].next == NULL || s->slot[i].next->state != WORKER_READY)
			return false;
	return true;
}

static void
wake(struct slot *slot)
{
	event_del(slot->rest);
	slot->resting = false;
	memset(slot->deaths, 0, sizeof(slot->deaths));
}

/*
 * From here on they are the ones. What comes in before they have read so waits in the backlogs;
 * one that cannot be told any more has died, and is replaced like any other.
 */
static void
take_over(struct slots *s)
{
	unsigned drain = s->next->drain;

	for (unsigned i = 0; i < s->n || i < s->n_next; i++) {
		struct slot *slot = &s->slot[i];

		if (slot->next != NULL)
			worker_process_serve(slot->next, &slot->next_set);
		retire_worker(s, slot->now, drain);
		slot->now = slot->next;
		slot->next = NULL;
		listening_close(&slot->set);
		slot->set = slot->next_set;
		slot->next_set = (struct listening_set){.n = 0};
		wake(slot);
	}
	if (s->text >= 0)
		close(s->text);
	s->text = s->next_text;
	s->next_text = -1;
	s->config = s->next;
	s->next = NULL;
	s->n = s->n_next;
	s->generation = s->begun;
	s->tell_serving = true;
	tell_later(s);
}

static bool
begin_slot(struct slots *s, unsigned i, const char **why)
{
	struct slot *slot = &s->slot[i];
	/* a slot that is new, or that rests, has nothing open; its neighbours may */
	bool mine = i > 0 || (s->n > 0 && slot->set.n == 0);

	if (!listening_open(s->next, &slot->set, mine, &slot->next_set, why))
		return false;
	slot->next = start_worker(s, s->next, s->next_text, i, s->begun, why);
	return slot->next != NULL;
}

bool
slots_begin(struct slots *s, const struct config *c, const char **why)
{
	struct budget budget;

	s->next_text = config_hand_over(c, s->tls_secret);
	if (s->next_text < 0) {
		*why = strerror(errno);
		return false;
	}
	s->next = c;
	s->begun++;
	budget_compute(c, &budget);
	s->n_next = budget.workers;
	for (unsigned i = 0; i < s->n_next; i++)
		if (!begin_slot(s, i, why)) {
			abandon(s, *why);
			s->refusal[0] = '\0'; /* the caller knows */
			return false;
		}
	return true;
}

/* ---- what workers do ---- */

static void
on_ready(void *arg, struct worker_process *w)
{
	struct slots *s = arg;
	struct slot *slot = &s->slot[w->slot];
	const char *why = NULL;

	if (w == slot->now)
		worker_process_serve(w, &slot->set);
	if (w != slot->next || !all_ready(s))
		return;
	if (s->events->take_over(s->events->arg, &why))
		take_over(s);
	else
		abandon(s, why);
}

static void
on_garbage(void *arg, struct worker_process *w, const char *why)
{
	struct slots *s = arg;

	s->events->note(s->events->arg, "worker_garbage", w->slot, why);
}

static void
on_missing(void *arg, struct worker_process *w, const char *why)
{
	struct slots *s = arg;

	s->events->note(s->events->arg, "sockets_missing", w->slot, why);
}

static void
on_stuck(void *arg, struct worker_process *w, const char *why)
{
	struct slots *s = arg;

	s->events->note(s->events->arg, "worker_stuck", w->slot, why);
}

/* With its listeners closed: left open, its share of the clients would wait for nobody. */
static void
rest(struct slot *slot)
{
	struct timeval tv = {SLOT_REST, 0};

	slot->resting = true;
	listening_close(&slot->set);
	event_add(slot->rest, &tv);
}

static void
on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct slot *slot = arg;
	struct slots *s = slot->all;
	struct listening_set fresh;
	const char *why = NULL;

	(void)fd;
	(void)what;
	/* those that still listen are shared, and keep their backlog */
	if (!listening_open(s->config, &slot->set, s->n > 1, &fresh, &why)) {
		s->events->note(s->events->arg, "worker_not_started", slot->number, why);
		rest(slot);
		return;
	}
	listening_close(&slot->set);
	slot->set = fresh;
	slot->resting = false;
	slot->now = start_worker(s, s->config, s->text, slot->number, s->generation, &why);
	if (slot->now != NULL)
		return;
	s->events->note(s->events->arg, "worker_not_started", slot->number, why);
	rest(slot);
}

static bool
dies_too_often(struct slot *slot)
{
	uint64_t now = clock_ms(), first;

	memmove(slot->deaths, slot->deaths + 1, sizeof(slot->deaths) - sizeof(slot->deaths[0]));
	slot->deaths[SLOT_DEATHS - 1] = now;
	first = slot->deaths[0];
	return first != 0 && now - first < SLOT_DEATH_WINDOW * 1000u;
}

static void
replace(struct slots *s, struct slot *slot)
{
	slot->now = NULL;
	if (s->stopping)
		return;
	if (dies_too_often(slot)) {
		rest(slot);
		s->events->note(s->events->arg, "worker_rests", slot->number,
		    "it died too often; its listeners are closed for a while");
		return;
	}
	on_rested(-1, 0, slot);
}

static const char *
how_it_ended(int status, char text[64])
{
	if (WIFSIGNALED(status))
		snprintf(text, 64, "killed by signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		snprintf(text, 64, "ended with code %d", WEXITSTATUS(status));
	return text;
}

static bool
reap_retired(struct slots *s, pid_t pid, int status)
{
	char text[64];

	for (struct worker_process **w = &s->retiring; *w != NULL; w = &(*w)->next)
		if ((*w)->pid == pid) {
			struct worker_process *gone = *w;

			*w = gone->next;
			if (status != 0 && !gone->killed)
				s->events->note(s->events->arg, "worker_died", gone->slot,
				    how_it_ended(status, text));
			bury(s, gone);
			return true;
		}
	return false;
}

static void
mourn(struct slots *s, struct slot *slot, struct worker_process *w, int status)
{
	char text[64], why[256];

	how_it_ended(status, text);
	s->deaths++;
	s->events->note(s->events->arg, "worker_died", slot->number, text);
	if (w == slot->next) {
		slot->next = NULL;
		snprintf(why, sizeof(why), "a new worker could not start: %s", text);
		bury(s, w);
		abandon(s, why);
		return;
	}
	bury(s, w);
	replace(s, slot);
}

bool
slots_reap(struct slots *s, pid_t pid, int status)
{
	bool ours = reap_retired(s, pid, status);

	for (unsigned i = 0; !ours && i < WORKERS_MAX; i++) {
		struct slot *slot = &s->slot[i];

		if (slot->next != NULL && slot->next->pid == pid)
			mourn(s, slot, slot->next, status);
		else if (slot->now != NULL && slot->now->pid == pid)
			mourn(s, slot, slot->now, status);
		else
			continue;
		ours = true;
	}
	if (ours && s->stopping)
		tell_later(s);
	return ours;
}

/* ---- the signer ---- */

static void
connect_signer(struct slots *s, struct worker_process *w, unsigned number)
{
	int fd;

	if (w == NULL || w->signer == number ||
	    (w->state != WORKER_SERVING && w->state != WORKER_RETIRING))
		return;
	fd = s->events->signer_pair(s->events->arg);
	if (fd < 0)
		return;
	if (worker_process_signer(w, fd))
		w->signer = number;
	close(fd);
}

void
slots_connect_signer(struct slots *s)
{
	unsigned number = s->events->signer(s->events->arg);

	if (number == 0)
		return;
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		connect_signer(s, s->slot[i].now, number);
	for (struct worker_process *w = s->retiring; w != NULL; w = w->next)
		connect_signer(s, w, number);
}

/* ---- the whole ---- */

static bool
any_left(const struct slots *s)
{
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		if (s->slot[i].now != NULL || s->slot[i].next != NULL)
			return true;
	return s->retiring != NULL;
}

/* The caller may do anything then: begin, stop, free. So it is the last that is done. */
static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct slots *s = arg;
	const struct slots_events *e = s->events;

	(void)fd;
	(void)what;
	if (s->tell_serving) {
		s->tell_serving = false;
		e->serving(e->arg);
	} else if (s->refusal[0] != '\0') {
		char why[sizeof(s->refusal)];

		memcpy(why, s->refusal, sizeof(why));
		s->refusal[0] = '\0';
		e->refused(e->arg, why);
	} else if (s->stopping && !s->said_gone && !any_left(s)) {
		s->said_gone = true;
		e->gone(e->arg);
	}
}

static void
on_offered(void *arg, const struct tls_offer *o)
{
	struct slots *s = arg;

	tls_offers_note(s->offers, o, (uint64_t)time(NULL));
}

struct slots *
slots_new(struct event_base *base, const struct slots_events *events, struct data_service *data)
{
	struct slots *s = calloc(1, sizeof(*s));
	bool made = s != NULL && RAND_bytes(s->tls_secret, TLS_SECRET) == 1;

	if (s == NULL)
		return NULL;
	s->base = base;
	s->events = events;
	s->data = data;
	s->worker_events = (struct worker_events){.ready = on_ready,
	    .garbage = on_garbage,
	    .stuck = on_stuck,
	    .missing = on_missing,
	    .offered = on_offered,
	    .arg = s};
	s->offers_fd = -1;
	s->offers = made ? tls_offers_new(&s->offers_fd) : NULL;
	made = s->offers != NULL;
	s->text = s->next_text = -1;
	s->later = evtimer_new(base, on_later, s);
	for (unsigned i = 0; made && i < WORKERS_MAX; i++) {
		s->slot[i].all = s;
		s->slot[i].number = i;
		s->slot[i].rest = evtimer_new(base, on_rested, &s->slot[i]);
		made = s->slot[i].rest != NULL;
	}
	if (made && s->later != NULL)
		return s;
	slots_free(s);
	return NULL;
}

static void
end_worker(struct slots *s, struct worker_process *w)
{
	if (w == NULL)
		return;
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	bury(s, w);
}

void
slots_free(struct slots *s)
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < WORKERS_MAX; i++) {
		struct slot *slot = &s->slot[i];

		end_worker(s, slot->now);
		end_worker(s, slot->next);
		listening_close(&slot->set);
		listening_close(&slot->next_set);
		if (slot->rest != NULL)
			event_free(slot->rest);
	}
	while (s->retiring != NULL) {
		struct worker_process *w = s->retiring;

		s->retiring = w->next;
		end_worker(s, w);
	}
	if (s->offers != NULL)
		close(s->offers_fd);
	tls_offers_close(s->offers);
	if (s->later != NULL)
		event_free(s->later);
	if (s->text >= 0)
		close(s->text);
	if (s->next_text >= 0)
		close(s->next_text);
	free(s);
}

void
slots_stop(struct slots *s, unsigned seconds)
{
	if (s->next != NULL)
		abandon(s, "the gateway stops");
	s->refusal[0] = '\0';
	s->tell_serving = false;
	s->stopping = true;
	for (struct worker_process *w = s->retiring; w != NULL; w = w->next)
		worker_process_retire(w, seconds);
	for (unsigned i = 0; i < WORKERS_MAX; i++) {
		struct slot *slot = &s->slot[i];

		event_del(slot->rest);
		listening_close(&slot->set);
		retire_worker(s, slot->now, seconds);
		slot->now = NULL;
	}
	tell_later(s);
}

void
slots_stats(const struct slots *s, struct slots_stats *out)
{
	*out =
	    (struct slots_stats){.slots = s->n, .generation = s->generation, .deaths = s->deaths};
	for (unsigned i = 0; i < s->n; i++) {
		const struct slot *slot = &s->slot[i];

		out->resting += slot->resting;
		out->serving += slot->now != NULL && slot->now->state == WORKER_SERVING;
	}
}
