#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc.h"
#include "log_file.h"
#include "log_pipe.h"
#include "log_state.h"
#include "logger.h"
#include "own_mounts.h"
#include "process.h"
#include "record.h"

/* A record, as far as the logger looks at one: LINE("x") has 18 octets. */
#define LINE(text) RECORD_LINE_START text "\"}\n"
#define PIPES	   4

/* The supervisor's place. Every test runs in a folder of its own; its log is "log". */
struct bench {
	char folder[64];
	int control, pid, page;
	struct log_state *state;
	int in[PIPES], out[PIPES]; /* of pipes: the workers', and the copies that are kept */
};

static int
set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	const char *parent = getenv("TMPDIR");
	int reader;

	assert_non_null(b);
	snprintf(b->folder, sizeof(b->folder), "%.40s/postern-XXXXXX",
	    parent == NULL ? P_tmpdir : parent);
	assert_non_null(mkdtemp(b->folder));
	assert_int_equal(chdir(b->folder), 0);
	b->control = b->pid = -1;
	for (size_t i = 0; i < PIPES; i++)
		b->in[i] = b->out[i] = -1;
	assert_true(log_state_new(&b->page, &reader));
	b->state = log_state_map(reader, false);
	close(reader);
	assert_non_null(b->state);
	*state = b;
	return 0;
}

static void
close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < PIPES; i++) {
		close_end(&b->in[i]);
		close_end(&b->out[i]);
	}
	close_end(&b->control);
	if (b->pid > 0)
		waitpid(b->pid, NULL, 0);
	log_state_unmap(b->state);
	close(b->page);
	umount("disk"); /* where there is one */
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(nftw(b->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(b);
	return 0;
}

/* ---- what the supervisor does ---- */

static _Noreturn void
be_logger(int control, int page, const char *size, const char *age)
{
	char role[] = "logger", name[] = "log", user[] = "nobody", limits[2][24];
	char *argv[] = {role, name, user, limits[0], limits[1], NULL};

	snprintf(limits[0], sizeof(limits[0]), "%s", size);
	snprintf(limits[1], sizeof(limits[1]), "%s", age);
	control = fcntl(control, F_DUPFD, 64);
	page = fcntl(page, F_DUPFD, 64);
	if (dup2(control, PROCESS_FD) < 0 || dup2(page, PROCESS_FD + 1) < 0)
		_exit(9);
	close_range(PROCESS_FD + 2, ~0u, 0);
	_exit(logger_main(5, argv));
}

static void
start_with(struct bench *b, const char *size, const char *age)
{
	int ends[2];

	assert_true(ipc_pair(ends));
	b->pid = fork();
	assert_true(b->pid >= 0);
	if (b->pid == 0)
		be_logger(ends[1], b->page, size, age);
	close(ends[1]);
	b->control = ends[0];
}

static void
give(struct bench *b, enum ipc_type type, uint32_t a, int fd)
{
	struct ipc_message m = {.type = type, .a = a};

	assert_int_equal(ipc_send(b->control, &m, &fd, 1), IPC_OK);
}

static void
give_file_of(struct bench *b, enum log_kind kind, const char *path)
{
	char why[LOG_FILE_WHY_MAX];
	int fd = log_file_open(path, why);

	if (fd < 0)
		fail_msg("%s: %s", path, why);
	give(b, IPC_LOG_FILE, kind, fd);
	close(fd);
}

static void
give_file(struct bench *b, const char *path)
{
	give_file_of(b, LOG_EVE, path);
}

/* Pipe i for a worker of this slot. */
static void
give_pipe(struct bench *b, int i, uint32_t slot)
{
	int ends[2];

	assert_true(log_pipe_pair(ends));
	b->out[i] = ends[0];
	b->in[i] = ends[1];
	give(b, IPC_LOG_PIPE, slot, b->out[i]);
}

/* A logger with a log and one pipe, of slot 0. */
static void
start(struct bench *b, const char *path)
{
	start_with(b, "0", "0");
	give_file(b, path);
	give_pipe(b, 0, 0);
}

/* The next message of the logger, within ten seconds. */
static struct ipc_message
hear(struct bench *b)
{
	struct pollfd control = {.fd = b->control, .events = POLLIN};
	struct ipc_message m = {0};
	int fds[IPC_FDS_MAX];
	const char *why = "";
	size_t n;

	assert_int_equal(poll(&control, 1, 10000), 1);
	assert_int_equal(ipc_receive(b->control, IPC_FROM_LOGGER, &m, fds, &n, &why), IPC_OK);
	return m;
}

static int
exit_code(struct bench *b)
{
	int status;

	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = -1;
	close_end(&b->control);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Closes all pipes; the logger says that it has read them. Returns the exit code. */
static int
stop(struct bench *b)
{
	for (size_t i = 0; i < PIPES; i++) {
		close_end(&b->in[i]);
		close_end(&b->out[i]);
	}
	assert_int_equal(hear(b).type, IPC_LOG_CLOSED);
	return exit_code(b);
}

static void
kill_logger(struct bench *b)
{
	kill(b->pid, SIGKILL);
	waitpid(b->pid, NULL, 0);
	b->pid = -1;
	close_end(&b->control);
}

static void
put_octets(struct bench *b, int i, const char *text, size_t n)
{
	assert_int_equal(write(b->in[i], text, n), n);
}

static void
put(struct bench *b, int i, const char *text)
{
	put_octets(b, i, text, strlen(text));
}

/* ---- what is in the log ---- */

static char *
contents(const char *path)
{
	FILE *f = fopen(path, "r");
	struct stat st = {.st_size = 0};
	char *text;

	if (f != NULL)
		assert_int_equal(fstat(fileno(f), &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	if (f != NULL) {
		assert_int_equal(fread(text, 1, (size_t)st.st_size, f), st.st_size);
		fclose(f);
	}
	return text;
}

static void
assert_contents(const char *path, const char *want)
{
	char *text = contents(path);

	assert_string_equal(text, want);
	free(text);
}

static unsigned
lines_of(const char *text, const char *with)
{
	unsigned n = 0;

	for (; (text = strstr(text, with)) != NULL; text++)
		n++;
	return n;
}

/* The stats of the only record in text that has this counter; the caller frees. */
static json_t *
stats_of(const char *text, const char *counter)
{
	char key[64], *line, *copy = strdup(text), *rest = copy;
	json_t *record, *stats = NULL;

	snprintf(key, sizeof(key), "\"stats\":{\"%s\":", counter);
	assert_int_equal(lines_of(copy, key), 1);
	while ((line = strsep(&rest, "\n")) != NULL && stats == NULL) {
		if (strstr(line, key) == NULL)
			continue;
		record = json_loads(line, 0, NULL);
		assert_string_equal(
		    json_string_value(json_object_get(record, "event_type")), "stats");
		stats = json_incref(json_object_get(record, "stats"));
		json_decref(record);
	}
	free(copy);
	return stats;
}

static int64_t
number_of(json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* All loss records of text together. */
static uint64_t
said_lost(const char *text)
{
	static const char key[] = "\"log_lines_lost\":";
	uint64_t sum = 0;

	while ((text = strstr(text, key)) != NULL)
		sum += strtoull(text += sizeof(key) - 1, NULL, 10);
	return sum;
}

static void
pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* Thirty seconds at most, which only a fault needs. */
static void
wait_more(int *tries, const char *condition)
{
	if (++*tries > 3000)
		fail_msg("never: %s", condition);
	pause_ms(10);
}

#define WAIT_FOR(condition)                                                                        \
	for (int tries_ = 0; !(condition);)                                                        \
	wait_more(&tries_, #condition)

static off_t
size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

/* A line of n octets that ends in "www\n". */
static void
make_wide(char *line, size_t n)
{
	memset(line, 'w', n);
	memcpy(line, RECORD_LINE_START, sizeof(RECORD_LINE_START) - 1);
	line[n - 1] = '\n';
}

/* ---- lines come and are written ---- */

static void
test_appends(void **state)
{
	struct bench *b = *state;

	start(b, "log");
	put(b, 0, LINE("one") "two\n");
	assert_int_equal(stop(b), 0);
	start(b, "log");
	put(b, 0, LINE("three"));
	assert_int_equal(stop(b), 0);
	assert_contents("log", LINE("one") "two\n" LINE("three"));
	assert_int_equal(atomic_load(&b->state->lines), 3);
	assert_int_equal(atomic_load(&b->state->octets), size_of("log"));
	assert_int_equal(log_state_lost(b->state), 0);
	assert_false(log_state_trouble(b->state));
}

/* Pipes wait for the file, and a pipe that ends is no end while there are others. */
static void
test_order(void **state)
{
	struct bench *b = *state;

	start_with(b, "0", "0");
	give_pipe(b, 0, IPC_SLOT_SUPERVISOR);
	give_pipe(b, 1, 7);
	put(b, 1, LINE("one"));
	close_end(&b->in[1]);
	pause_ms(100);
	give_file(b, "log");
	WAIT_FOR(size_of("log") == sizeof(LINE("one")) - 1);
	WAIT_FOR(log_pipe_drained(b->out[1]));
	assert_false(log_pipe_drained(b->out[0]));
	put(b, 0, LINE("two"));
	assert_int_equal(stop(b), 0);
	assert_contents("log", LINE("one") LINE("two"));
}

/* What stops the gateway does not stop its logger before it has written everything. */
static void
test_signals(void **state)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
	struct bench *b = *state;

	start(b, "log");
	put(b, 0, LINE("one"));
	WAIT_FOR(size_of("log") > 0);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		kill(b->pid, numbers[i]);
	put(b, 0, LINE("two"));
	assert_int_equal(stop(b), 0);
	assert_contents("log", LINE("one") LINE("two"));
}

struct flood {
	pthread_t thread;
	int fd, id;
	unsigned lines; /* 0: until stop */
	atomic_bool stop;
	unsigned sent;
};

/* Lines of many lengths, in pieces that a pipe cuts where it likes. */
static void *
flood(void *arg)
{
	static const struct timespec pause = {.tv_nsec = 100000};
	struct flood *f = arg;
	char line[6100];

	for (f->sent = 0; f->lines > 0 ? f->sent < f->lines : !f->stop; f->sent++) {
		int n = snprintf(line, sizeof(line), RECORD_LINE_START "%d %u ", f->id, f->sent);
		size_t end = (size_t)n + f->sent * 37 % 6000, at = 0;

		memset(line + n, 'a' + f->id, end - (size_t)n + 1);
		line[end++] = '\n';
		while (at < end) {
			ssize_t got = write(f->fd, line + at, end - at);

			if (got > 0)
				at += (size_t)got;
			else
				nanosleep(&pause, NULL);
		}
	}
	return NULL;
}

static void
start_flood(struct flood *f, int fd, int id, unsigned lines)
{
	*f = (struct flood){.fd = fd, .id = id, .lines = lines};
	assert_int_equal(pthread_create(&f->thread, NULL, flood, f), 0);
}

/* What of floods is in a log. */
struct seen {
	unsigned lines[PIPES], gaps[PIPES];
	unsigned cut; /* lines that are none of theirs, or half */
};

/* Of line number of flood id, whole and nothing else? */
static bool
read_flood_line(const char *line, unsigned *id, unsigned *number)
{
	char filler[2] = "", *rest;

	if (strncmp(line, RECORD_LINE_START, sizeof(RECORD_LINE_START) - 1) != 0)
		return false;
	*id = (unsigned)strtoul(line + sizeof(RECORD_LINE_START) - 1, &rest, 10);
	*number = (unsigned)strtoul(rest, &rest, 10);
	filler[0] = (char)('a' + *id);
	return *id < PIPES && *rest++ == ' ' && strlen(rest) == *number * 37 % 6000 &&
	       strspn(rest, filler) == strlen(rest);
}

/* Whole lines in their order, beside records of the logger. */
static struct seen
check_floods(char *text)
{
	struct seen s = {0};
	char *line, *rest = text;
	unsigned next[PIPES] = {0}, id, number;

	while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
		if (strstr(line, "\"stats\"") != NULL)
			continue;
		if (!read_flood_line(line, &id, &number)) {
			s.cut++;
			continue;
		}
		assert_true(number >= next[id]);
		s.gaps[id] += number > next[id];
		next[id] = number + 1;
		s.lines[id]++;
	}
	assert_string_equal(line, "");
	return s;
}

/* Three pipes that are written as fast as it goes: nothing is lost, no line in another one. */
static void
test_floods(void **state)
{
	struct bench *b = *state;
	struct flood f[3];
	struct seen s;
	char *text;

	start(b, "log");
	give_pipe(b, 1, 1);
	give_pipe(b, 2, 0);
	for (int i = 0; i < 3; i++)
		start_flood(&f[i], b->in[i], i, 2000);
	for (int i = 0; i < 3; i++)
		pthread_join(f[i].thread, NULL);
	assert_int_equal(stop(b), 0);
	text = contents("log");
	s = check_floods(text);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(s.lines[i], 2000);
		assert_int_equal(s.gaps[i], 0);
	}
	assert_int_equal(s.cut, 0);
	free(text);
}

static bool
is_empty(int pipe_end)
{
	return poll(&(struct pollfd){.fd = pipe_end, .events = POLLIN}, 1, 0) == 0;
}

/* Beside two floods that never end a third pipe has its turns. */
static void
test_fair(void **state)
{
	struct bench *b = *state;
	struct timespec from, to;
	struct flood f[2];

	start_with(b, "0", "0");
	give_file(b, "/dev/null");
	for (int i = 0; i < 3; i++)
		give_pipe(b, i, (uint32_t)i);
	for (int i = 0; i < 2; i++)
		start_flood(&f[i], b->in[i], i, 0);
	WAIT_FOR(atomic_load(&b->state->octets) > 1 << 20);
	for (int i = 0; i < 20; i++) {
		put(b, 2, LINE("quiet"));
		clock_gettime(CLOCK_MONOTONIC, &from);
		WAIT_FOR(is_empty(b->out[2]));
		clock_gettime(CLOCK_MONOTONIC, &to);
		assert_in_range(to.tv_sec - from.tv_sec, 0, 2);
	}
	for (int i = 0; i < 2; i++) {
		f[i].stop = true;
		pthread_join(f[i].thread, NULL);
	}
	assert_int_equal(stop(b), 0);
	assert_int_equal(atomic_load(&b->state->lines), f[0].sent + f[1].sent + 20);
}

/* ---- a disk that does not take it ---- */

#define DISK_OCTETS 65536

/* A disk of its own at "disk", and one that has more room. */
static void
mount_disk(void)
{
	assert_int_equal(mkdir("disk", 0700), 0);
	assert_int_equal(mount("none", "disk", "tmpfs", 0, "size=64k"), 0);
}

static void
resize_disk(const char *size)
{
	assert_int_equal(mount("none", "disk", "tmpfs", MS_REMOUNT, size), 0);
}

/* A log of one line that leaves so much room on the disk. */
static void
fill_disk(size_t room)
{
	char *line = malloc(DISK_OCTETS);
	int fd = open("disk/log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_non_null(line);
	make_wide(line, DISK_OCTETS - room);
	assert_int_equal(write(fd, line, DISK_OCTETS - room), DISK_OCTETS - room);
	close(fd);
	free(line);
}

/* What is lost is counted by slot, also over several pipes of one slot, and said in one record. */
static void
test_a021_lost_by_slot(void **state)
{
	struct bench *b = *state;
	json_t *stats, *workers;
	char *text;

	start_with(b, "0", "0");
	give_file(b, "/dev/full");
	give_pipe(b, 0, 0);
	give_pipe(b, 1, 5);
	give_pipe(b, 2, 0);
	give_pipe(b, 3, IPC_SLOT_SUPERVISOR);
	for (int i = 0; i < 50; i++) {
		put(b, 0, LINE("one"));
		put(b, 1, LINE("one") LINE("two"));
		put(b, 2, LINE("one"));
	}
	put(b, 3, LINE("one"));
	WAIT_FOR(log_state_lost(b->state) == 201);
	assert_true(log_state_trouble(b->state));
	give_file(b, "log");
	WAIT_FOR(!log_state_trouble(b->state));
	put(b, 0, LINE("after"));
	assert_int_equal(stop(b), 0);
	text = contents("log");
	stats = stats_of(text, "log_lines_lost");
	assert_int_equal(number_of(stats, "log_lines_lost"), 201);
	assert_int_equal(number_of(stats, "supervisor"), 1);
	workers = json_object_get(stats, "workers");
	assert_int_equal(json_array_size(workers), 2);
	assert_int_equal(number_of(json_array_get(workers, 0), "slot"), 0);
	assert_int_equal(number_of(json_array_get(workers, 0), "lost"), 100);
	assert_int_equal(number_of(json_array_get(workers, 1), "slot"), 5);
	assert_int_equal(number_of(json_array_get(workers, 1), "lost"), 100);
	json_decref(stats);
	assert_non_null(strstr(text, "}\n" LINE("after")));
	free(text);
}

/* Never said: the exit code tells. */
static void
test_a021_full_to_the_end(void **state)
{
	struct bench *b = *state;

	start_with(b, "0", "0");
	give_file(b, "/dev/full");
	give_pipe(b, 0, 0);
	put(b, 0, LINE("one"));
	assert_int_equal(stop(b), 1);
	assert_true(log_state_trouble(b->state));
}

/* A disk that is really full, and has room again: every line is in the log or counted. */
static void
test_a021_real_disk(void **state)
{
	struct bench *b = *state;
	struct flood f;
	struct seen s;
	char *text;
	int filler;

	mount_disk();
	filler = open("disk/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(posix_fallocate(filler, 0, 32768), 0);
	close(filler);
	start_with(b, "0", "0");
	give_file(b, "disk/log");
	give_pipe(b, 0, 3);
	start_flood(&f, b->in[0], 0, 100);
	pthread_join(f.thread, NULL);
	WAIT_FOR(is_empty(b->out[0]));
	assert_true(log_state_trouble(b->state));
	assert_true(log_state_lost(b->state) > 0);
	assert_int_equal(unlink("disk/filler"), 0);
	WAIT_FOR(!log_state_trouble(b->state)); /* by itself, without a new line */
	assert_int_equal(stop(b), 0);
	text = contents("disk/log");
	assert_int_equal(said_lost(text), log_state_lost(b->state));
	s = check_floods(text);
	assert_int_equal(s.lines[0] + log_state_lost(b->state), 100);
	assert_int_equal(s.cut, 0);
	free(text);
}

/* A disk that fills up inside a line, wherever: it is completed before anything else is written. */
static void
test_a021_torn_at_every_cut(void **state)
{
	static const char all[] = LINE("first") LINE("second");
	size_t first = sizeof(LINE("first")) - 1, total = sizeof(all) - 1;
	struct bench *b = *state;

	mount_disk();
	for (size_t cut = 1; cut < total; cut++) {
		uint64_t before = log_state_lost(b->state), lost = cut <= first ? 2 : 1;
		char *text, *added;

		fill_disk(cut);
		start(b, "disk/log");
		give_pipe(b, 1, 1);
		put(b, 0, all);
		WAIT_FOR(size_of("disk/log") == DISK_OCTETS);
		WAIT_FOR(log_state_trouble(b->state));
		put(b, 1, LINE("other"));
		/* "other", and what stood behind the torn line */
		WAIT_FOR(log_state_lost(b->state) == before + lost);
		resize_disk("size=128k");
		put(b, 1, LINE("third"));
		assert_int_equal(stop(b), 0);
		text = contents("disk/log");
		added = text + DISK_OCTETS - cut;
		assert_memory_equal(added, all, cut <= first ? first : total);
		assert_non_null(strstr(added, LINE("third")));
		assert_null(strstr(added, "other"));
		assert_int_equal(said_lost(text), lost);
		for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
			assert_memory_equal(line, RECORD_LINE_START, 14);
		free(text);
		assert_int_equal(unlink("disk/log"), 0);
		resize_disk("size=64k");
	}
}

/* The torn line's file goes: its rest is not written into the next one. */
static void
test_torn_and_rotated(void **state)
{
	struct bench *b = *state;
	char *text;

	mount_disk();
	fill_disk(20);
	start(b, "disk/log");
	put(b, 0, LINE("first") LINE("second"));
	WAIT_FOR(log_state_lost(b->state) == 1);
	give_file(b, "log");
	WAIT_FOR(!log_state_trouble(b->state));
	assert_int_equal(stop(b), 0);
	text = contents("log");
	assert_null(strstr(text, "st\"}"));
	assert_int_equal(said_lost(text), 2);
	free(text);
}

/* ... and one that comes back with half a line in it: the half line ends before the next begins. */
static void
test_half_line_in_file(void **state)
{
	int fd = open("log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct bench *b = *state;

	assert_int_equal(write(fd, LINE("one") "{\"time", 24), 24);
	close(fd);
	start(b, "log");
	put(b, 0, LINE("two"));
	assert_int_equal(stop(b), 0);
	assert_contents("log", LINE("one") "{\"ti\n" LINE("two"));
}

/* ---- a reader that takes nothing, or goes ---- */

/* A worker's end that writes into pipe 0 and is never waited for. */
static void
write_for(struct log_pipe *log, struct event_base *base, long ms, unsigned *lines)
{
	struct timespec from, to;
	char line[1000];
	int64_t took;

	make_wide(line, sizeof(line));
	for (long t = 0; t < ms; t += 10) {
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (int i = 0; i < 5; i++, ++*lines)
			log_pipe_write(log, line, sizeof(line));
		event_base_loop(base, EVLOOP_NONBLOCK);
		clock_gettime(CLOCK_MONOTONIC, &to);
		took = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
		assert_true(took < 1000); /* a turn that waited would take seconds */
		pause_ms(10);
	}
}

struct drain {
	pthread_t thread;
	int fd;
	char *text;
	size_t n;
};

static void *
drain(void *arg)
{
	static const size_t max = 32 << 20;
	struct drain *d = arg;
	ssize_t got;

	d->text = calloc(1, max);
	while ((got = read(d->fd, d->text + d->n, max - 1 - d->n)) > 0)
		d->n += (size_t)got;
	return NULL;
}

static void
start_drain(struct drain *d, int fd)
{
	fcntl(fd, F_SETFL, 0);
	*d = (struct drain){.fd = fd};
	assert_int_equal(pthread_create(&d->thread, NULL, drain, d), 0);
}

/* The log is a FIFO whose reader stalls for so long; then it reads on. Returns what it got. */
static char *
stall(struct bench *b, long ms, unsigned *lines)
{
	struct event_base *base = event_base_new();
	struct log_pipe *log;
	struct drain d;
	int reader;

	assert_int_equal(mkfifo("fifo", 0600), 0);
	reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	start_with(b, "0", "0");
	give_file(b, "fifo");
	give_pipe(b, 0, 0);
	log = log_pipe_new(base, dup(b->in[0]), false);
	write_for(log, base, ms, lines);
	start_drain(&d, reader);
	WAIT_FOR(!log_state_trouble(b->state));
	log_pipe_free(log, 5000);
	event_base_free(base);
	assert_int_equal(stop(b), 0);
	pthread_join(d.thread, NULL);
	close(reader);
	return d.text;
}

/* Five seconds: nobody waits, and nothing is lost, for there is room in all that lies between. */
static void
test_a021_stall(void **state)
{
	struct bench *b = *state;
	unsigned lines = 0;
	char *text = stall(b, 5000, &lines);

	assert_int_equal(lines_of(text, "www\n"), lines);
	assert_int_equal(log_state_lost(b->state), 0);
	free(text);
}

/* Longer than the logger waits: what is lost is counted. */
static void
test_a021_long_stall(void **state)
{
	struct bench *b = *state;
	unsigned lines = 0;
	char *text = stall(b, LOGGER_STALL_MS + 2000, &lines);

	assert_true(log_state_lost(b->state) > 0);
	assert_int_equal(lines_of(text, "www\n") + said_lost(text), lines);
	free(text);
}

/* A stalled file can be replaced at once. */
static void
test_stalled_file_replaced(void **state)
{
	struct bench *b = *state;
	char *text, line[1024];
	unsigned lines = 200;
	int reader;

	make_wide(line, sizeof(line));
	assert_int_equal(mkfifo("fifo", 0600), 0);
	reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	start_with(b, "0", "0");
	give_file(b, "fifo");
	give_pipe(b, 0, 0);
	for (unsigned i = 0; i < lines; i++)
		put_octets(b, 0, line, sizeof(line));
	WAIT_FOR(atomic_load(&b->state->octets) == 65536);
	give_file(b, "log");
	assert_int_equal(stop(b), 0);
	text = contents("log");
	assert_int_equal(lines_of(text, "www\n"), lines - 64);
	assert_int_equal(said_lost(text), log_state_lost(b->state));
	free(text);
	close(reader);
}

/* The reader of a pipe goes, and with a FIFO another one comes. */
static void
test_a021_reader_gone(void **state)
{
	struct bench *b = *state;
	char text[4096] = "";
	int reader;

	assert_int_equal(mkfifo("fifo", 0600), 0);
	reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	start_with(b, "0", "0");
	give_file(b, "fifo");
	give_pipe(b, 0, 0);
	put(b, 0, LINE("one"));
	WAIT_FOR(read(reader, text, sizeof(text)) > 0);
	assert_string_equal(text, LINE("one"));
	close(reader);
	for (int i = 0; i < 10; i++)
		put(b, 0, LINE("lost"));
	WAIT_FOR(log_state_lost(b->state) == 10);
	assert_true(log_state_trouble(b->state));
	reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	WAIT_FOR(read(reader, text, sizeof(text)) > 0);
	assert_int_equal(said_lost(text), 10);
	assert_int_equal(stop(b), 0);
	close(reader);
}

/* Standard output that may block: it is given what it takes, and no more. */
static void
test_a021_blocking_output(void **state)
{
	struct bench *b = *state;
	char line[1024];
	int ends[2];
	struct drain d;

	make_wide(line, sizeof(line));
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	start_with(b, "0", "0");
	give(b, IPC_LOG_FILE, 0, ends[1]);
	close(ends[1]);
	give_pipe(b, 0, 0);
	for (int i = 0; i < 300; i++)
		put_octets(b, 0, line, sizeof(line));
	WAIT_FOR(atomic_load(&b->state->octets) == 65536);
	give_pipe(b, 1, 1); /* it listens all the same */
	put(b, 1, LINE("other"));
	pause_ms(100);
	start_drain(&d, ends[0]);
	assert_int_equal(stop(b), 0);
	pthread_join(d.thread, NULL);
	close(ends[0]);
	assert_int_equal(lines_of(d.text, "www\n"), 300);
	assert_int_equal(lines_of(d.text, LINE("other")), 1);
	free(d.text);
}

/* ---- writers that die, and what is no line ---- */

/* A worker that dies inside a line, wherever: half a record is no record. */
static void
test_half_line_at_every_cut(void **state)
{
	static const char half[] = LINE("half");
	struct bench *b = *state;

	for (size_t cut = 1; cut < sizeof(half) - 1; cut++) {
		char *text;

		start(b, "log");
		put(b, 0, LINE("one"));
		put_octets(b, 0, half, cut);
		assert_int_equal(stop(b), 0);
		text = contents("log");
		assert_memory_equal(text, LINE("one"), sizeof(LINE("one")) - 1);
		assert_null(strstr(text, "half"));
		assert_int_equal(said_lost(text), 1);
		free(text);
		unlink("log");
	}
}

/* A stream without an end: bounded, counted as one line, and the next one is whole. */
static void
test_endless_line(void **state)
{
	struct bench *b = *state;
	char junk[4096], *text;

	start(b, "log");
	give_pipe(b, 1, 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fcntl(b->in[i], F_SETFL, 0), 0);
	memset(junk, 'j', sizeof(junk));
	for (int i = 0; i < 700; i++)
		put_octets(b, 0, junk, sizeof(junk));
	put(b, 0, "\nwhole\n");
	for (int i = 0; i < 700; i++)
		put_octets(b, 1, junk, sizeof(junk)); /* this one never ends */
	assert_int_equal(stop(b), 0);
	text = contents("log");
	assert_null(strstr(text, "jj"));
	assert_int_equal(lines_of(text, "whole\n"), 1);
	assert_int_equal(said_lost(text), 2);
	free(text);
}

/* A line as long as a record may be is no endless one. */
static void
test_longest_line(void **state)
{
	struct bench *b = *state;
	char *line = malloc(RECORD_LINE_MAX), *text;

	assert_non_null(line);
	make_wide(line, RECORD_LINE_MAX);
	start(b, "log");
	for (int i = 0; i < 3; i++)
		put_octets(b, 0, line, RECORD_LINE_MAX);
	assert_int_equal(stop(b), 0);
	text = contents("log");
	assert_int_equal(strlen(text), 3 * RECORD_LINE_MAX);
	assert_int_equal(log_state_lost(b->state), 0);
	free(text);
	free(line);
}

/* ---- a logger that dies ---- */

/* It took the beginning of a line along, wherever it was cut. */
static void
test_restart_inside_a_line(void **state)
{
	static const char line[] = LINE("first");
	struct bench *b = *state;
	char taken[sizeof(line)], *text;

	for (size_t cut = 1; cut < sizeof(line) - 1; cut++) {
		start_with(b, "0", "0");
		give_pipe(b, 0, 0);
		kill_logger(b);
		put(b, 0, LINE("first") LINE("second"));
		assert_int_equal(read(b->out[0], taken, cut), cut);
		start_with(b, "0", "0");
		give_file(b, "log");
		give(b, IPC_LOG_PIPE, 0, b->out[0]);
		assert_int_equal(stop(b), 0);
		text = contents("log");
		assert_memory_equal(text, LINE("second"), sizeof(LINE("second")) - 1);
		assert_int_equal(said_lost(text), 1);
		free(text);
		unlink("log");
	}
}

/* Killed ten times under a flood: the worker notices nothing, at most a turn is lost each time. */
static void
test_killed_under_flood(void **state)
{
	struct bench *b = *state;
	uint64_t octets;
	struct flood f;
	struct seen s;
	char *text;

	start(b, "log");
	start_flood(&f, b->in[0], 0, 0);
	for (int i = 0; i < 10; i++) {
		octets = atomic_load(&b->state->octets);
		WAIT_FOR(atomic_load(&b->state->octets) > octets + (1 << 18));
		kill_logger(b);
		start_with(b, "0", "0");
		give_file(b, "log");
		give(b, IPC_LOG_PIPE, 0, b->out[0]);
	}
	f.stop = true;
	pthread_join(f.thread, NULL);
	assert_int_equal(stop(b), 0);
	text = contents("log");
	s = check_floods(text);
	assert_in_range(s.cut, 0, 10); /* a write that was cut: its line has an end all the same */
	assert_in_range(s.gaps[0], 0, 10);
	/* the 60 shortest lines that follow each other fill a turn */
	assert_in_range(s.lines[0], f.sent - 10 * 64, f.sent);
	free(text);
}

/* What it lost and could not say is said by the next one. */
static void
test_a021_restart_says_losses(void **state)
{
	struct bench *b = *state;
	char *text;

	start_with(b, "0", "0");
	give_file(b, "/dev/full");
	give_pipe(b, 0, 9);
	put(b, 0, LINE("one") LINE("two"));
	WAIT_FOR(log_state_lost(b->state) == 2);
	kill_logger(b);
	assert_true(log_state_trouble(b->state));
	start_with(b, "0", "0");
	give_file(b, "log");
	give(b, IPC_LOG_PIPE, 9, b->out[0]);
	WAIT_FOR(!log_state_trouble(b->state));
	assert_int_equal(stop(b), 0);
	text = contents("log");
	assert_int_equal(said_lost(text), 2);
	assert_non_null(strstr(text, "{\"slot\":9,\"lost\":2}"));
	free(text);
}

/* The supervisor is gone, and workers that are stuck hold their pipes: it writes, and ends. */
static void
test_orphan(void **state)
{
	struct bench *b = *state;
	int status;

	start_with(b, "0", "0");
	give_pipe(b, 0, 0);
	put(b, 0, LINE("one"));
	give_file(b, "log");
	close_end(&b->control);
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = -1;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_contents("log", LINE("one"));
}

/* The supervisor takes leave of it: a line that has begun is not torn, the rest is the next one's.
 */
static void
test_taken_leave_of(void **state)
{
	struct bench *b = *state;
	int status;

	start(b, "log");
	put(b, 0, LINE("one") RECORD_LINE_START);
	WAIT_FOR(size_of("log") > 0);
	close_end(&b->control);
	pause_ms(1300);
	put(b, 0, "two\"}\n");
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = -1;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_contents("log", LINE("one") LINE("two"));
	put(b, 0, LINE("three"));
	start_with(b, "0", "0");
	give_file(b, "log");
	give(b, IPC_LOG_PIPE, 0, b->out[0]);
	assert_int_equal(stop(b), 0);
	assert_contents("log", LINE("one") LINE("two") LINE("three"));
}

static void
test_garbage(void **state)
{
	struct bench *b = *state;
	struct ipc_message m = {.type = IPC_RETIRE};

	start(b, "log");
	assert_int_equal(ipc_send(b->control, &m, NULL, 0), IPC_OK);
	assert_int_equal(exit_code(b), 1);
}

static void
test_by_hand(void **state)
{
	char role[] = "logger", odd[] = "-1";
	char *argv[] = {role, role, role, odd, odd, NULL};

	(void)state;
	assert_int_equal(logger_main(1, argv), 1);
	assert_int_equal(logger_main(5, argv), 1);
}

/* ---- L14: rotation ---- */

/* The supervisor's part of it, for this test. */
static void
rotate(struct bench *b, enum ipc_rotate why)
{
	struct ipc_message m = hear(b);
	char text[LOG_FILE_WHY_MAX];
	int fd;

	assert_int_equal(m.type, IPC_LOG_ROTATE);
	assert_int_equal(m.a, why);
	fd = log_file_rotate("log", 3, text);
	assert_true(fd >= 0);
	give(b, IPC_LOG_FILE, 0, fd);
	close(fd);
}

static bool
silent(struct bench *b, int ms)
{
	return poll(&(struct pollfd){.fd = b->control, .events = POLLIN}, 1, ms) == 0;
}

/* Moved away and opened again, as logrotate does it. */
static void
test_l14_reopened(void **state)
{
	struct bench *b = *state;
	char *text;

	start(b, "log");
	put(b, 0, LINE("one"));
	WAIT_FOR(size_of("log") > 0);
	assert_int_equal(rename("log", "log.1"), 0);
	put(b, 0, LINE("two"));
	WAIT_FOR(size_of("log.1") == sizeof(LINE("one") LINE("two")) - 1);
	give_file(b, "log");
	WAIT_FOR(atomic_load(&b->state->rotations) == 1);
	put(b, 0, LINE("three"));
	assert_int_equal(stop(b), 0);
	assert_contents("log.1", LINE("one") LINE("two"));
	text = contents("log");
	assert_non_null(strstr(text, "\"stats\":{\"log_rotated\":1,"));
	assert_string_equal(strchr(text, '\n') + 1, LINE("three"));
	free(text);
}

/* By size: asked once, written on meanwhile, whole lines in every file, none lost. */
static void
test_l14_by_size(void **state)
{
	static const char *const files[] = {"log.3", "log.2", "log.1", "log"};
	struct bench *b = *state;
	size_t total = 0;

	start_with(b, "200", "0");
	give_file(b, "log");
	give_pipe(b, 0, 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 10; i++)
			put(b, 0, LINE("0123456789"));
		WAIT_FOR(size_of("log") >= 250); /* beyond what it asked at */
		rotate(b, IPC_ROTATE_SIZE);
		assert_true(silent(b, 200));
		WAIT_FOR(atomic_load(&b->state->rotations) == (uint64_t)round + 1);
	}
	assert_int_equal(stop(b), 0);
	for (size_t i = 0; i < 4; i++) {
		char *text = contents(files[i]);

		assert_true(i == 3 || strlen(text) >= 200);
		assert_true(text[strlen(text) - 1] == '\n');
		total += lines_of(text, LINE("0123456789"));
		free(text);
	}
	assert_int_equal(total, 30);
}

/* What stands in a file already counts. */
static void
test_l14_size_from_before(void **state)
{
	struct bench *b = *state;
	FILE *f = fopen("log", "w");

	for (int i = 0; i < 50; i++)
		fputs(LINE("old"), f);
	fclose(f);
	start_with(b, "200", "0");
	give_file(b, "log");
	give_pipe(b, 0, 0);
	rotate(b, IPC_ROTATE_SIZE);
	assert_int_equal(stop(b), 0);
}

/* By time, counted from the first line: a file without one is never old. */
static void
test_l14_by_age(void **state)
{
	struct bench *b = *state;

	start_with(b, "0", "1");
	give_file(b, "log");
	give_pipe(b, 0, 0);
	assert_true(silent(b, 2500));
	put(b, 0, LINE("one"));
	assert_true(silent(b, 500));
	rotate(b, IPC_ROTATE_AGE);
	WAIT_FOR(atomic_load(&b->state->rotations) == 1);
	assert_contents("log.1", LINE("one"));
	assert_int_equal(stop(b), 0);
}

/* What is no regular file has no size and no age. */
static void
test_l14_output_is_not_rotated(void **state)
{
	struct bench *b = *state;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	start_with(b, "10", "1");
	give(b, IPC_LOG_FILE, 0, ends[1]);
	close(ends[1]);
	give_pipe(b, 0, 0);
	put(b, 0, LINE("one"));
	assert_true(silent(b, 1500));
	assert_int_equal(stop(b), 0);
	close(ends[0]);
}

/* ---- L13: an xferlog beside the log ---- */

#define XFER(text) RECORD_XFERLOG_START text "\n"

static void
start_xferlog(struct bench *b, const char *path)
{
	start_with(b, "0", "0");
	give_file(b, "log");
	give_file_of(b, LOG_XFERLOG, path);
	give_pipe(b, 0, 3);
}

/* Each kind of line goes to its file, in its order; a pipe may begin with either. */
static void
test_l13_two_files(void **state)
{
	struct bench *b = *state;

	start_xferlog(b, "xferlog");
	put(b, 0, XFER("a") LINE("one") XFER("b") XFER("c") LINE("two") LINE("three"));
	put(b, 0, LINE("four") XFER("d"));
	assert_int_equal(stop(b), 0);
	assert_contents("log", LINE("one") LINE("two") LINE("three") LINE("four"));
	assert_contents("xferlog", "a\nb\nc\nd\n");
	assert_int_equal(atomic_load(&b->state->lines), 8);
	assert_int_equal(log_state_lost(b->state), 0);
}

/* Wherever a read ends. */
static void
test_l13_octet_by_octet(void **state)
{
	static const char text[] = XFER("a b") LINE("one") XFER("c") LINE("two");
	struct bench *b = *state;

	start_xferlog(b, "xferlog");
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		put_octets(b, 0, text + i, 1);
		WAIT_FOR(poll(&(struct pollfd){.fd = b->out[0], .events = POLLIN}, 1, 0) == 0);
	}
	assert_int_equal(stop(b), 0);
	assert_contents("log", LINE("one") LINE("two"));
	assert_contents("xferlog", "a b\nc\n");
}

/* A line of a peer's that looks like one is a text within a record: no octet of it is a control. */
static void
test_l13_only_at_the_beginning_of_a_line(void **state)
{
	struct bench *b = *state;

	start_xferlog(b, "xferlog");
	put(b, 0, LINE("x") "{\"timestamp\":\"" RECORD_XFERLOG_START "\"}\n");
	assert_int_equal(stop(b), 0);
	assert_int_equal(size_of("xferlog"), 0);
}

/* Nobody wants them: they are no losses. */
static void
test_l13_none_wanted(void **state)
{
	struct bench *b = *state;

	start(b, "log");
	put(b, 0, XFER("a") LINE("one") XFER("b"));
	assert_int_equal(stop(b), 0);
	assert_contents("log", LINE("one"));
	assert_int_equal(log_state_lost(b->state), 0);
}

/* What its disk does not take is counted, and said in the log, which goes on. */
static void
test_l13_lost(void **state)
{
	struct bench *b = *state;
	json_t *stats, *worker;
	char *text;

	start_xferlog(b, "/dev/full");
	put(b, 0, XFER("a") LINE("one") XFER("b"));
	WAIT_FOR(log_state_lost(b->state) == 2);
	WAIT_FOR(!log_state_trouble(b->state)); /* it was said, and can be of the next */
	give_file_of(b, LOG_XFERLOG, "xferlog");
	give_file(b, "log");
	WAIT_FOR(atomic_load(&b->state->rotations) == 1);
	put(b, 0, XFER("c") LINE("two"));
	assert_int_equal(stop(b), 0);
	assert_contents("xferlog", "c\n");
	text = contents("log");
	assert_int_equal(lines_of(text, LINE("one")) + lines_of(text, LINE("two")), 2);
	stats = stats_of(text, "log_lines_lost");
	assert_int_equal(number_of(stats, "log_lines_lost"), 2);
	worker = json_array_get(json_object_get(stats, "workers"), 0);
	assert_int_equal(number_of(worker, "slot"), 3);
	json_decref(stats);
	free(text);
}

/* Moved away and opened again, with the log or alone; half a line has its end put behind it. */
static void
test_l13_reopened(void **state)
{
	struct bench *b = *state;

	start_xferlog(b, "xferlog");
	put(b, 0, XFER("a"));
	WAIT_FOR(size_of("xferlog") == 2);
	assert_int_equal(rename("xferlog", "xferlog.1"), 0);
	put(b, 0, XFER("b"));
	WAIT_FOR(size_of("xferlog.1") == 4);
	give_file_of(b, LOG_XFERLOG, "xferlog");
	give_file(b, "log");
	WAIT_FOR(atomic_load(&b->state->rotations) == 1); /* it counts logs */
	put(b, 0, XFER("c"));
	WAIT_FOR(size_of("xferlog") == 2);
	assert_int_equal(truncate("xferlog", 1), 0);
	assert_int_equal(stop(b), 0);
	assert_contents("xferlog.1", "a\nb\n");
	start_xferlog(b, "xferlog");
	put(b, 0, XFER("d"));
	assert_int_equal(stop(b), 0);
	assert_contents("xferlog", "c\nd\n");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_appends),
	    TEST(test_order),
	    TEST(test_signals),
	    TEST(test_floods),
	    TEST(test_fair),
	    TEST(test_a021_lost_by_slot),
	    TEST(test_a021_full_to_the_end),
	    TEST(test_a021_real_disk),
	    TEST(test_a021_torn_at_every_cut),
	    TEST(test_torn_and_rotated),
	    TEST(test_half_line_in_file),
	    TEST(test_a021_stall),
	    TEST(test_a021_long_stall),
	    TEST(test_stalled_file_replaced),
	    TEST(test_a021_reader_gone),
	    TEST(test_a021_blocking_output),
	    TEST(test_half_line_at_every_cut),
	    TEST(test_endless_line),
	    TEST(test_longest_line),
	    TEST(test_restart_inside_a_line),
	    TEST(test_killed_under_flood),
	    TEST(test_a021_restart_says_losses),
	    TEST(test_orphan),
	    TEST(test_taken_leave_of),
	    TEST(test_garbage),
	    TEST(test_by_hand),
	    TEST(test_l14_reopened),
	    TEST(test_l14_by_size),
	    TEST(test_l14_size_from_before),
	    TEST(test_l14_by_age),
	    TEST(test_l14_output_is_not_rotated),
	    TEST(test_l13_two_files),
	    TEST(test_l13_octet_by_octet),
	    TEST(test_l13_only_at_the_beginning_of_a_line),
	    TEST(test_l13_none_wanted),
	    TEST(test_l13_lost),
	    TEST(test_l13_reopened),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("logger", tests, own_mounts, NULL);
}
