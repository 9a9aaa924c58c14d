#include "logger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "ipc.h"
#include "log_source.h"
#include "log_state.h"
#include "process.h"
#include "sandbox.h"

#define RETRY_MS     1000	     /* a file that could not be written is tried again */
#define ASK_AGAIN_MS 60000	     /* for a new file, when none came */
#define ORPHAN_MS    1000	     /* for what is left to do without a supervisor ... */
#define HALF_MS	     1000	     /* ... and for the ends of lines that have begun */
#define GATHER_MS    5		     /* between turns: what comes meanwhile is read at once */
#define SOURCES_MAX  4096	     /* pipes; 256 workers in many generations */
#define FDS_AHEAD    (1 + LOG_FILES) /* of those of pipes: control, files */

struct file {
	int fd; /* -1: none has come yet */
	bool regular;
	uint64_t size;	 /* octets */
	int64_t since;	 /* when its first octet was written, or it came with some; ms */
	int64_t asked;	 /* when the next one was asked for, 0: not yet */
	int64_t stalled; /* since when it takes nothing, 0: it does */
	int trouble;	 /* errno of the last write, 0: it went well */
};

/* A file, and what goes into it beside what pipes bring. */
struct out {
	const char *name;
	struct file file;
	struct log_source *own;	 /* lines of ours */
	struct log_source *torn; /* its front is the rest of the line that the file ends in */
};

struct logger {
	uint64_t size_max;
	int64_t age_max; /* ms */
	struct log_state *state;
	int control; /* -1: the supervisor is gone */
	int64_t deadline;
	struct out outs[LOG_FILES];
	struct log_source **sources;
	struct pollfd *fds; /* control, files, sources */
	size_t n, cap;	    /* sources */
	bool had_pipes;
	bool saying; /* the log's own lines are a record that says these losses */
	uint64_t say[LOG_SLOTS];
	int64_t said; /* when that was last tried */
};

/* ---- counting ---- */

static void
add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t
get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void
set_trouble(struct logger *l, bool trouble)
{
	atomic_store_explicit(&l->state->trouble, trouble, memory_order_relaxed);
}

static void
count_lost(struct logger *l, const struct log_source *s, uint64_t lines)
{
	if (lines == 0)
		return;
	add(&l->state->slots[s->slot].lost, lines);
	set_trouble(l, true);
}

static uint64_t
unsaid_of(const struct logger *l, size_t slot)
{
	return get(&l->state->slots[slot].lost) - get(&l->state->slots[slot].said);
}

static bool
unsaid(const struct logger *l)
{
	for (size_t i = 0; i < LOG_SLOTS; i++)
		if (unsaid_of(l, i) > 0)
			return true;
	return false;
}

static uint64_t
count_lines(struct span s)
{
	ptrdiff_t lf;
	uint64_t lines = 0;

	for (; (lf = span_find(s, '\n')) >= 0; lines++)
		s = span_from(s, (size_t)lf + 1);
	return lines;
}

/* ---- the file ---- */

static void
say_trouble(const struct out *o)
{
	dprintf(STDERR_FILENO, "postern: log: %s: %s; records are being lost\n", o->name,
	    o->file.trouble == EAGAIN ? "it takes nothing" : strerror(o->file.trouble));
}

/*
 * A pipe or a terminal is given no more than it takes now, also where it is somebody's standard
 * output that may not be made non-blocking. A disk takes as long as it takes.
 */
static ssize_t
write_some(const struct file *f, const uint8_t *p, size_t n)
{
	struct pollfd out = {.fd = f->fd, .events = POLLOUT};
	ssize_t got;

	if (!f->regular && n > PIPE_BUF)
		n = PIPE_BUF;
	if (!f->regular && poll(&out, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	do
		got = write(f->fd, p, n);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		errno = EIO;
	return got;
}

/* What stays is kept, for the file may take it soon. */
static bool
holds(const struct out *o)
{
	return o->file.stalled != 0;
}

static bool
holding(const struct logger *l)
{
	return holds(&l->outs[LOG_EVE]) || holds(&l->outs[LOG_XFERLOG]);
}

static bool
in_trouble(const struct logger *l)
{
	return l->outs[LOG_EVE].file.trouble != 0 || l->outs[LOG_XFERLOG].file.trouble != 0;
}

/* Some file ends in a part of a line. */
static bool
any_torn(const struct logger *l)
{
	return l->outs[LOG_EVE].torn != NULL || l->outs[LOG_XFERLOG].torn != NULL;
}

/* Notes how a write went: error 0 is well. */
static void
judge_write(struct logger *l, struct out *o, size_t sent, int error)
{
	struct file *f = &o->file;
	int before = f->trouble;

	if (error == EAGAIN && (sent > 0 || before != EAGAIN)) {
		if (sent > 0 || f->stalled == 0)
			f->stalled = (int64_t)clock_ms();
		if ((int64_t)clock_ms() - f->stalled < LOGGER_STALL_MS) {
			f->trouble = 0;
			return;
		}
	}
	f->stalled = 0;
	f->trouble = error;
	if (error != 0)
		set_trouble(l, true);
	if (error != 0 && before == 0)
		say_trouble(o);
}

/* Writes up to n octets; fewer: the file says why. */
static size_t
write_octets(struct logger *l, struct out *o, const uint8_t *p, size_t n)
{
	struct file *f = &o->file;
	size_t sent = 0;
	ssize_t got = 0;

	while (sent < n && (got = write_some(f, p + sent, n - sent)) > 0)
		sent += (size_t)got;
	judge_write(l, o, sent, sent < n ? errno : 0);
	if (f->size == 0 && sent > 0)
		f->since = (int64_t)clock_ms();
	f->size += sent;
	add(&l->state->octets, sent);
	add(&l->state->lines, count_lines(span_of(p, sent)));
	return sent;
}

/* ---- lines ---- */

/* The losses that the record said, which is written now. */
static void
have_said(struct logger *l)
{
	uint64_t sum = 0;

	l->saying = false;
	for (size_t i = 0; i < LOG_SLOTS; i++) {
		add(&l->state->slots[i].said, l->say[i]);
		sum += l->say[i];
	}
	dprintf(STDERR_FILENO, "postern: log: %s: %ju records were lost\n", l->outs[LOG_EVE].name,
	    (uintmax_t)sum);
}

/* The losses that are being said. */
static bool
is_saying(const struct logger *l, const struct log_source *s)
{
	return l->saying && s == l->outs[LOG_EVE].own;
}

/* The whole lines of s, but for the rest of one that is in the file already in part. */
static void
lose_lines(struct logger *l, struct out *o, struct log_source *s)
{
	size_t whole = log_source_whole(s), keep = 0;

	if (o->torn == s)
		keep = (size_t)span_find(span_of(s->p, whole), '\n') + 1;
	if (keep == whole)
		return;
	if (is_saying(l, s))
		l->saying = false; /* what it says is to be said again */
	else
		count_lost(l, s, count_lines(span_of(s->p + keep, whole - keep)));
	log_source_cut(s, keep, whole);
}

/* Writes the whole lines of s. Those that cannot be written are lost, or kept for a while. */
static void
write_lines(struct logger *l, struct out *o, struct log_source *s)
{
	size_t whole = log_source_whole(s), sent = 0;

	if (whole == 0 || o->file.fd < 0)
		return;
	if (o->torn == NULL || o->torn == s)
		sent = write_octets(l, o, s->p, whole);
	if (sent > 0)
		o->torn = s->p[sent - 1] == '\n' ? NULL : s;
	log_source_cut(s, 0, sent);
	if (sent < whole && !holds(o))
		lose_lines(l, o, s);
	if (is_saying(l, s) && s->n == 0)
		have_said(l);
}

/* First of all the line that the file ends in. */
static void
write_to(struct logger *l, struct out *o, struct log_source *s)
{
	if (o->torn != NULL && o->torn != s)
		write_lines(l, o, o->torn);
	write_lines(l, o, s);
}

/* Both kinds of lines. Those of an xferlog that nobody wants (any more) are nothing. */
static void
write_source(struct logger *l, struct log_source *s)
{
	write_to(l, &l->outs[LOG_EVE], s);
	if (s->xferlog == NULL)
		return;
	if (l->outs[LOG_XFERLOG].file.fd < 0)
		s->xferlog->n = 0;
	write_to(l, &l->outs[LOG_XFERLOG], s->xferlog);
}

static void
put_losses(struct logger *l)
{
	struct record_lost workers[WORKERS_MAX];
	size_t n = 0;

	for (uint32_t slot = 0; slot < LOG_SLOTS; slot++) {
		l->say[slot] = unsaid_of(l, slot);
		if (slot != LOG_SLOT_SUPERVISOR && l->say[slot] > 0)
			workers[n++] = (struct record_lost){slot, l->say[slot]};
	}
	record_log_lost(
	    workers, n, l->say[LOG_SLOT_SUPERVISOR], log_source_put, l->outs[LOG_EVE].own);
	l->saying = l->outs[LOG_EVE].own->n > 0;
}

/* While a file is in trouble, this finds out from time to time whether it still is. */
static void
say_lost(struct logger *l)
{
	struct out *o = &l->outs[LOG_EVE];

	if (o->own->n > 0 || o->file.fd < 0 || holding(l) || !unsaid(l))
		return;
	if (in_trouble(l) && (int64_t)clock_ms() - l->said < RETRY_MS)
		return;
	l->said = (int64_t)clock_ms();
	put_losses(l);
	write_to(l, o, o->own);
}

static void
write_all(struct logger *l)
{
	for (size_t i = 0; i < LOG_FILES; i++)
		write_to(l, &l->outs[i], l->outs[i].own);
	for (size_t i = 0; i < l->n; i++)
		write_source(l, l->sources[i]);
}

/* ---- the next file ---- */

/* The rest of a torn line is worth nothing without its beginning; nor are lines of ours. */
static void
forget_torn(struct logger *l, struct out *o)
{
	struct log_source *s = o->torn;

	o->torn = NULL;
	if (s != NULL && s != o->own) {
		log_source_cut(s, 0, (size_t)span_find(span_of(s->p, s->n), '\n') + 1);
		count_lost(l, s, 1);
	}
	if (is_saying(l, o->own))
		l->saying = false;
	o->own->n = 0;
}

/*
 * A line that a dead logger or a dead machine has left half has its end put behind it. Standard
 * output that can only be written keeps its secret, and its place.
 */
static void
end_last_line(struct out *o)
{
	const struct file *f = &o->file;
	uint8_t last;

	if (f->size == 0 || (fcntl(f->fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		return;
	if (lseek(f->fd, -1, SEEK_END) >= 0 && read(f->fd, &last, 1) == 1 && last != '\n') {
		log_source_put(o->own, "\n", 1);
		o->torn = o->own;
	}
}

static void
take_file(struct logger *l, enum log_kind kind, int fd)
{
	struct out *o = &l->outs[kind];
	struct stat st;
	struct file old = o->file;

	forget_torn(l, o);
	o->file = (struct file){.fd = fd, .since = (int64_t)clock_ms(), .trouble = old.trouble};
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		o->file.regular = true;
		o->file.size = (uint64_t)st.st_size;
	}
	end_last_line(o);
	if (old.fd >= 0) {
		if (old.regular)
			fdatasync(old.fd);
		close(old.fd);
	}
	if (old.fd >= 0 && kind == LOG_EVE) {
		add(&l->state->rotations, 1);
		record_stats("log_rotated", get(&l->state->rotations), "a new file was begun",
		    log_source_put, o->own);
	}
	write_all(l);
}

/* False: it is neither large nor old enough. */
static bool
due(const struct logger *l, enum ipc_rotate *why)
{
	const struct file *f = &l->outs[LOG_EVE].file;

	*why = IPC_ROTATE_SIZE;
	if (f->fd < 0 || !f->regular || f->size == 0)
		return false;
	if (l->size_max > 0 && f->size >= l->size_max)
		return true;
	*why = IPC_ROTATE_AGE;
	return l->age_max > 0 && (int64_t)clock_ms() - f->since >= l->age_max;
}

static void
ask_for_file(struct logger *l)
{
	struct ipc_message m = {.type = IPC_LOG_ROTATE};
	struct file *f = &l->outs[LOG_EVE].file;
	enum ipc_rotate why;

	if (l->control < 0 || !due(l, &why))
		return;
	if (f->asked != 0 && (int64_t)clock_ms() - f->asked < ASK_AGAIN_MS)
		return;
	m.a = why;
	if (ipc_send(l->control, &m, NULL, 0) == IPC_OK)
		f->asked = (int64_t)clock_ms();
}

/* ---- pipes ---- */

static bool
grow(struct logger *l)
{
	size_t cap = l->cap == 0 ? 16 : 2 * l->cap;
	struct pollfd *fds;
	struct log_source **sources;

	if (l->n < l->cap)
		return true;
	if (cap > SOURCES_MAX)
		return false;
	fds = realloc(l->fds, (cap + FDS_AHEAD) * sizeof(*fds));
	if (fds != NULL)
		l->fds = fds;
	sources = realloc(l->sources, cap * sizeof(*sources));
	if (sources != NULL)
		l->sources = sources;
	if (fds == NULL || sources == NULL)
		return false;
	l->cap = cap;
	return true;
}

/* One that has no place stays full: its worker counts what it drops. */
static void
add_pipe(struct logger *l, int fd, uint32_t slot)
{
	struct log_source *s = NULL;

	l->had_pipes = true;
	if (!grow(l))
		close(fd);
	else
		s = log_source_new(fd, slot == IPC_SLOT_SUPERVISOR ? LOG_SLOT_SUPERVISOR : slot);
	if (s != NULL)
		l->sources[l->n++] = s;
	else
		dprintf(STDERR_FILENO, "postern: log: %s: no room for another pipe\n",
		    l->outs[LOG_EVE].name);
}

static void
remove_ended(struct logger *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct log_source *s = l->sources[i];

		if (s->fd >= 0 || s->n > 0 || (s->xferlog != NULL && s->xferlog->n > 0))
			l->sources[kept++] = s;
		else
			log_source_free(s);
	}
	l->n = kept;
}

/* ---- the loop ---- */

/* There is no supervisor, and no time for anything new. */
static bool
late(const struct logger *l)
{
	return l->deadline != 0 && (int64_t)clock_ms() >= l->deadline;
}

static bool
any_half(const struct logger *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->sources[i]->fd >= 0 && l->sources[i]->n > 0)
			return true;
	return false;
}

static void
orphan(struct logger *l)
{
	close(l->control);
	l->control = -1;
	l->deadline = (int64_t)clock_ms() + ORPHAN_MS;
}

/* False: garbage. */
static bool
receive(struct logger *l)
{
	struct ipc_message m;
	int fds[IPC_FDS_MAX];
	size_t n;
	const char *why;
	enum ipc_result result;

	while ((result = ipc_receive(
		    l->control, IPC_FROM_SUPERVISOR_TO_LOGGER, &m, fds, &n, &why)) == IPC_OK) {
		if (m.type == IPC_LOG_FILE)
			take_file(l, (enum log_kind)m.a, fds[0]);
		else
			add_pipe(l, fds[0], m.a);
	}
	if (result == IPC_CLOSED)
		orphan(l);
	if (result != IPC_GARBAGE)
		return true;
	dprintf(STDERR_FILENO, "postern: logger: the supervisor sent %s\n", why);
	return false;
}

/*
 * While the file takes nothing no pipe is read: what is in it is not lost yet. In the end only
 * lines that have begun are: what stays in the pipes is the next logger's, if there will be one.
 */
static bool
wanted(const struct logger *l, const struct log_source *s)
{
	return l->outs[LOG_EVE].file.fd >= 0 && !holding(l) && (!late(l) || s->n > 0);
}

static nfds_t
watch(struct logger *l)
{
	l->fds[0] = (struct pollfd){.fd = l->control, .events = POLLIN};
	for (size_t i = 0; i < LOG_FILES; i++)
		l->fds[1 + i] = (struct pollfd){
		    .fd = holds(&l->outs[i]) ? l->outs[i].file.fd : -1, .events = POLLOUT};
	for (size_t i = 0; i < l->n; i++)
		l->fds[FDS_AHEAD + i] = (struct pollfd){
		    .fd = wanted(l, l->sources[i]) ? l->sources[i]->fd : -1, .events = POLLIN};
	return FDS_AHEAD + l->n;
}

static int
patience(const struct logger *l)
{
	int64_t left = l->deadline + (late(l) ? HALF_MS : 0) - (int64_t)clock_ms();

	if (l->deadline != 0)
		return left < 0 ? 0 : (int)left;
	return in_trouble(l) || holding(l) || any_torn(l) || l->age_max > 0 || unsaid(l) ? RETRY_MS
											 : -1;
}

/* True: pipes had something, and none of them has much more. */
static bool
read_pipes(struct logger *l)
{
	bool some = false, more = false;

	for (size_t i = 0; i < l->n; i++) {
		struct log_source *s = l->sources[i];
		size_t before = s->n;

		if (l->fds[FDS_AHEAD + i].revents == 0 || holding(l))
			continue;
		count_lost(l, s, log_source_read(s));
		some = some || s->fd >= 0;
		more = more || s->n - before >= LOG_TURN;
		write_source(l, s);
	}
	return some && !more;
}

/* False: the supervisor sends garbage. */
static bool
turn(struct logger *l)
{
	int ready = poll(l->fds, watch(l), patience(l));
	bool all = false;

	if (ready == 0 ||
	    (ready > 0 && (l->fds[1 + LOG_EVE].revents | l->fds[1 + LOG_XFERLOG].revents) != 0))
		write_all(l);
	if (ready > 0)
		all = read_pipes(l);
	if (ready > 0 && l->fds[0].revents != 0 && !receive(l))
		return false;
	say_lost(l);
	/* an xferlog that is in trouble is tried with its next line: all of it that was lost is
	 * said */
	if (l->outs[LOG_EVE].file.trouble == 0 && !any_torn(l) && !l->saying && !unsaid(l))
		set_trouble(l, false);
	remove_ended(l);
	ask_for_file(l);
	/* whoever writes meanwhile need not wake this process for each line */
	if (all && l->control >= 0)
		poll(NULL, 0, GATHER_MS);
	return true;
}

static bool
over(const struct logger *l)
{
	if (late(l) && (!any_half(l) || (int64_t)clock_ms() >= l->deadline + HALF_MS))
		return true;
	return l->n == 0 && (l->had_pipes || l->control < 0) && !holding(l);
}

static int
finish(struct logger *l)
{
	struct ipc_message m = {.type = IPC_LOG_CLOSED};
	bool whole;

	l->said = 0;
	say_lost(l);
	whole = !unsaid(l) && !any_torn(l) && l->outs[LOG_EVE].own->n == 0;
	for (size_t i = 0; i < LOG_FILES; i++)
		if (l->outs[i].file.fd >= 0 && l->outs[i].file.regular)
			fdatasync(l->outs[i].file.fd);
	if (l->control >= 0)
		ipc_send(l->control, &m, NULL, 0);
	return whole ? 0 : 1;
}

/* ---- the process ---- */

static void
ignore_signals(void)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

/* NULL: all is there, and everything else is out of reach. */
static const char *
set_up(struct logger *l, const char *user)
{
	const char *why;

	ignore_signals();
	process_name("postern-log");
	process_follow_parent();
	l->state = log_state_map(PROCESS_FD + 1, true);
	if (l->state == NULL)
		return "the page of its state cannot be mapped";
	close(PROCESS_FD + 1);
	for (size_t i = 0; i < LOG_FILES; i++)
		l->outs[i].own = log_source_new(-1, LOG_SLOT_SUPERVISOR);
	if (l->outs[LOG_EVE].own == NULL || l->outs[LOG_XFERLOG].own == NULL || !grow(l) ||
	    !record_init())
		return "cannot set up records";
	if (!sandbox_drop(user, &why))
		return why;
	process_follow_parent(); /* the kernel forgot it with the user */
	return sandbox_close(SANDBOX_LOGGER, &why) ? NULL : why;
}

static int
run(struct logger *l)
{
	while (!over(l))
		if (!turn(l))
			return 1;
	return finish(l);
}

static void
free_all(struct logger *l)
{
	for (size_t i = 0; i < l->n; i++)
		log_source_free(l->sources[i]);
	for (size_t i = 0; i < LOG_FILES; i++) {
		log_source_free(l->outs[i].own);
		if (l->outs[i].file.fd >= 0)
			close(l->outs[i].file.fd);
	}
	free(l->sources);
	free(l->fds);
	log_state_unmap(l->state);
}

/* False: no supervisor gives such ones. */
static bool
read_arguments(struct logger *l, int argc, char **argv)
{
	uint64_t seconds;

	if (argc != 5 || !span_u64(span_str(argv[3]), INT64_MAX, &l->size_max) ||
	    !span_u64(span_str(argv[4]), UINT32_MAX, &seconds))
		return false;
	l->outs[LOG_EVE].name = argv[1];
	l->age_max = (int64_t)seconds * 1000;
	return true;
}

int
logger_main(int argc, char **argv)
{
	struct logger l = {.control = PROCESS_FD,
	    .outs = {[LOG_EVE] = {.file = {.fd = -1}},
		[LOG_XFERLOG] = {.name = "xferlog", .file = {.fd = -1}}}};
	const char *why = "is started by the supervisor, not by hand";
	int code = 1;

	if (read_arguments(&l, argc, argv))
		why = set_up(&l, argv[2]);
	if (why == NULL)
		code = run(&l);
	else
		dprintf(STDERR_FILENO, "postern: logger: %s\n", why);
	free_all(&l);
	return code;
}
