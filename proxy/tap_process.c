#include "tap_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc.h"
#include "sandbox.h"
#include "sealed_blocks.h"
#include "shared_page.h"
#include "tap_files.h"
#include "tap_held.h"

#define SOURCES_MAX 1024 /* sockets of workers */
#define TURN	    64	 /* datagrams that are read of one before others have their turn */
#define TICK_MS	    1000
#define SETTING_MS  5000 /* for the directories to come */
#define MIB	    (UINT64_C(1) << 20)

struct rule {
	const struct tap_rule *says;
	struct tap_files *files;
	struct tap_held *held;	      /* NULL: all is written at once */
	struct tap_files_stats shown; /* on the page */
	uint64_t left_out;	      /* the same */
};

struct writer {
	struct span settings;
	struct rule rules[TAP_RULES_MAX];
	unsigned n_rules;
	struct tap_state *state;
	bool orphan;			    /* nobody commands any more */
	struct pollfd fds[1 + SOURCES_MAX]; /* the control, and sources */
	unsigned ids[SOURCES_MAX];
	size_t n; /* sources */
	_Alignas(8) uint8_t datagram[TAP_DATAGRAM_MAX];
};

/* ---- settings ---- */

int
tap_hand_over(const struct config *c)
{
	const int fd = sealed_open("postern-captures");
	bool ok = fd >= 0;

	for (size_t i = 0; ok && i < c->n_captures; i++) {
		const struct capture_config *one = &c->captures[i];
		struct tap_rule rule = {.refused_only = one->what == CAPTURE_REFUSED,
		    .file_seconds = one->file_seconds,
		    .file_size = one->file_size * MIB,
		    .budget = one->budget * MIB};

		snprintf(rule.name, sizeof(rule.name), "%s", one->name);
		ok = sealed_write(fd, span_of((const uint8_t *)&rule, sizeof(rule)));
	}
	return fd < 0 ? -1 : sealed_finish(fd, ok);
}

static const char *
read_settings(struct writer *w)
{
	const off_t n = lseek(TAP_SETTINGS, 0, SEEK_END);
	void *p;

	if (n <= 0 || n % (off_t)sizeof(struct tap_rule) != 0 ||
	    n / (off_t)sizeof(struct tap_rule) > TAP_RULES_MAX)
		return "its settings are not the supervisor's";
	p = mmap(NULL, (size_t)n, PROT_READ, MAP_PRIVATE, TAP_SETTINGS, 0);
	close(TAP_SETTINGS);
	if (p == MAP_FAILED)
		return "cannot read its settings";
	w->settings = span_of(p, (size_t)n);
	w->n_rules = (unsigned)((size_t)n / sizeof(struct tap_rule));
	for (unsigned i = 0; i < w->n_rules; i++)
		w->rules[i].says = (const struct tap_rule *)p + i;
	return NULL;
}

static void
write_record(void *arg, const struct tap_record *r)
{
	struct rule *rule = arg;

	tap_files_write(rule->files, r);
}

/* The one that was handed over can only be walked through; we can list it, or cannot write. */
static const char *
take_directory(struct writer *w, uint32_t i, int at)
{
	struct rule *rule = &w->rules[i];
	const int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	close(at);
	if (fd < 0)
		return "cannot open a directory for captures";
	rule->files = tap_files_new(fd, rule->says);
	if (rule->files != NULL && rule->says->refused_only)
		rule->held = tap_held_new(write_record, rule);
	return rule->files == NULL || (rule->says->refused_only && rule->held == NULL)
		   ? "out of memory"
		   : NULL;
}

static const char *
take_directories(struct writer *w)
{
	struct pollfd in = {.fd = TAP_CONTROL, .events = POLLIN};
	const char *why = NULL;

	for (unsigned i = 0; why == NULL && i < w->n_rules; i++) {
		struct ipc_message m;
		int fds[IPC_FDS_MAX];
		size_t n;

		if (poll(&in, 1, SETTING_MS) <= 0 ||
		    ipc_receive(TAP_CONTROL, IPC_FROM_SUPERVISOR_TO_TAP, &m, fds, &n, &why) !=
			IPC_OK ||
		    m.type != IPC_TAP_DIRECTORY || m.a != i)
			return "its directories do not come";
		why = take_directory(w, i, fds[0]);
	}
	return why;
}

/* ---- records ---- */

static void
take_record(struct writer *w, unsigned source, const struct tap_record *r)
{
	struct rule *rule = &w->rules[r->rule];

	if (rule->held != NULL)
		tap_held_take(rule->held, source, r);
	else
		tap_files_write(rule->files, r);
}

/* False: what came is no datagram of a worker of ours. */
static bool
take_datagram(struct writer *w, unsigned source, size_t n)
{
	struct span rest = span_of(w->datagram, n);
	const struct tap_record *r;
	bool bad;

	while ((r = tap_record_take(&rest, w->n_rules, &bad)) != NULL)
		take_record(w, source, r);
	return !bad;
}

static void
forget_source(struct writer *w, size_t i)
{
	for (unsigned k = 0; k < w->n_rules; k++)
		if (w->rules[k].held != NULL)
			tap_held_forget(w->rules[k].held, w->ids[i]);
	close(w->fds[1 + i].fd);
	w->n--;
	w->fds[1 + i] = w->fds[1 + w->n];
	w->ids[i] = w->ids[w->n];
}

/* False: it is at its end. */
static bool
read_source(struct writer *w, size_t i)
{
	for (unsigned k = 0; k < TURN; k++) {
		const ssize_t n = recv(w->fds[1 + i].fd, w->datagram, sizeof(w->datagram), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0)
			return false;
		if (!take_datagram(w, w->ids[i], (size_t)n)) {
			dprintf(STDERR_FILENO, "postern: capture: a worker sent garbage\n");
			return false;
		}
	}
	return true;
}

/* From the last to the first: one that ends has its place taken by the last. */
static void
read_sources(struct writer *w)
{
	for (size_t i = w->n; i-- > 0;)
		if (w->fds[1 + i].revents != 0 && !read_source(w, i))
			forget_source(w, i);
}

/* ---- what it says of itself ---- */

static void
grow(_Atomic uint64_t *counter, uint64_t now, uint64_t *shown)
{
	atomic_fetch_add_explicit(counter, now - *shown, memory_order_relaxed);
	*shown = now;
}

static void
show(struct writer *w)
{
	int trouble = 0;

	for (unsigned i = 0; i < w->n_rules; i++) {
		struct rule *r = &w->rules[i];
		const struct tap_files_stats *s = tap_files_stats(r->files);

		grow(&w->state->frames, s->frames, &r->shown.frames);
		grow(&w->state->octets, s->octets, &r->shown.octets);
		grow(&w->state->files, s->files, &r->shown.files);
		grow(&w->state->removed, s->removed, &r->shown.removed);
		grow(&w->state->lost, s->lost, &r->shown.lost);
		if (r->held != NULL)
			grow(&w->state->left_out, tap_held_lost(r->held), &r->left_out);
		if (s->trouble != 0)
			trouble = s->trouble;
	}
	atomic_store_explicit(&w->state->trouble, (uint32_t)trouble, memory_order_relaxed);
}

/* ---- the loop ---- */

static void
add_source(struct writer *w, int fd, unsigned id)
{
	if (w->n == SOURCES_MAX) {
		close(fd);
		return;
	}
	w->fds[1 + w->n] = (struct pollfd){.fd = fd, .events = POLLIN};
	w->ids[w->n++] = id;
}

static void
rotate(struct writer *w)
{
	for (unsigned i = 0; i < w->n_rules; i++)
		tap_files_rotate(w->rules[i].files);
}

/* False: garbage. */
static bool
obey(struct writer *w)
{
	struct ipc_message m;
	int fds[IPC_FDS_MAX];
	size_t n;
	const char *why;
	enum ipc_result got;

	while ((got = ipc_receive(TAP_CONTROL, IPC_FROM_SUPERVISOR_TO_TAP, &m, fds, &n, &why)) ==
	       IPC_OK) {
		if (m.type == IPC_TAP_PIPE)
			add_source(w, fds[0], m.a);
		else if (m.type == IPC_TAP_ROTATE)
			rotate(w);
		else
			close(fds[0]);
	}
	if (got == IPC_CLOSED) {
		w->orphan = true;
		w->fds[0].fd = -1;
	}
	return got != IPC_GARBAGE;
}

static int
run(struct writer *w)
{
	w->fds[0] = (struct pollfd){.fd = TAP_CONTROL, .events = POLLIN};
	while (!w->orphan || w->n > 0) {
		if (poll(w->fds, 1 + w->n, TICK_MS) < 0 && errno != EINTR)
			return 1;
		read_sources(w);
		if (w->fds[0].revents != 0 && !obey(w))
			return 1;
		for (unsigned i = 0; i < w->n_rules; i++)
			tap_files_flush(w->rules[i].files);
		show(w);
	}
	return 0;
}

static const char *
start(struct writer *w, char **argv)
{
	const char *why;
	size_t size;

	process_follow_parent();
	process_name("postern-capture");
	signal(SIGTERM, SIG_IGN); /* the supervisor says when to end */
	if (!sandbox_drop(argv[1], &why))
		return why;
	process_follow_parent(); /* the kernel forgot it with the user */
	w->state = shared_page_map(TAP_STATE, true, sizeof(*w->state), &size);
	close(TAP_STATE);
	if (w->state == NULL)
		return "cannot map its page";
	why = read_settings(w);
	if (why == NULL)
		why = take_directories(w);
	if (why == NULL && !sandbox_close(SANDBOX_TAP, &why))
		return why;
	return why;
}

int
tap_main(int argc, char **argv)
{
	struct writer *w = calloc(1, sizeof(*w));
	const char *why = w == NULL   ? "out of memory"
			  : argc != 2 ? "this is no command for people"
				      : start(w, argv);
	int code = 1;

	if (why != NULL)
		dprintf(STDERR_FILENO, "postern: capture: %s\n", why);
	else
		code = run(w);
	for (unsigned i = 0; w != NULL && i < w->n_rules; i++) {
		tap_held_free(w->rules[i].held);
		tap_files_free(w->rules[i].files);
	}
	free(w);
	return code;
}
