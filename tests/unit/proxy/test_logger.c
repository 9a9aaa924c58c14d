#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "logger.h"

/* Every test runs in a folder of its own; its log is "log". */
struct bench {
	char folder[64];
	int fd, pid;
};

static int
set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	const char *parent = getenv("TMPDIR");

	assert_non_null(b);
	snprintf(b->folder, sizeof(b->folder), "%.40s/postern-XXXXXX",
	    parent == NULL ? P_tmpdir : parent);
	assert_non_null(mkdtemp(b->folder));
	assert_int_equal(chdir(b->folder), 0);
	b->fd = b->pid = -1;
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	if (b->fd >= 0)
		close(b->fd);
	if (b->pid > 0)
		waitpid(b->pid, NULL, 0);
	unlink("log");
	unlink("log.1");
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(b->folder), 0);
	free(b);
	return 0;
}

static void
start(struct bench *b, const char *path)
{
	const char *why = "";

	b->fd = logger_start(path, &b->pid, &why);
	if (b->fd < 0)
		fail_msg("%s", why);
}

static void
put(struct bench *b, const char *text)
{
	assert_int_equal(write(b->fd, text, strlen(text)), strlen(text));
}

/* Closes the pipe and waits; returns the exit code. */
static int
stop(struct bench *b)
{
	int status;

	close(b->fd);
	b->fd = -1;
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = -1;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static char *
contents(const char *path)
{
	static const size_t max = 1 << 20;
	char *text = calloc(1, max);
	FILE *f = fopen(path, "r");

	assert_non_null(text);
	if (f != NULL) {
		assert_true(fread(text, 1, max - 1, f) < max - 1);
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

/* Until the file ends as it should; ten seconds at most. */
static void
wait_for_size(const char *path, off_t size)
{
	static const struct timespec pause = {.tv_nsec = 10000000};
	struct stat st;

	for (int i = 0; i < 1000; i++) {
		if (stat(path, &st) == 0 && st.st_size >= size)
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("%s does not grow to %jd octets", path, (intmax_t)size);
}

static void
let_it_work(void)
{
	static const struct timespec pause = {.tv_nsec = 100000000};

	nanosleep(&pause, NULL);
}

static void
test_appends(void **state)
{
	mode_t mask = umask(0022);
	struct bench *b = *state;
	struct stat st;

	start(b, "log");
	put(b, "one\ntwo\n");
	assert_int_equal(stop(b), 0);
	assert_contents("log", "one\ntwo\n");
	assert_int_equal(stat("log", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	start(b, "log");
	put(b, "three\n");
	assert_int_equal(stop(b), 0);
	assert_contents("log", "one\ntwo\nthree\n");
	umask(mask);
}

static void
test_writing_end(void **state)
{
	struct bench *b = *state;

	start(b, "log");
	assert_true((fcntl(b->fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(b->fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_int_equal(stop(b), 0);
}

static void
test_standard_output(void **state)
{
	int saved, file;
	struct bench *b = *state;

	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	file = open("log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	dup2(file, STDOUT_FILENO);
	start(b, "-");
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(file);
	put(b, "one\n");
	assert_int_equal(stop(b), 0);
	assert_contents("log", "one\n");
}

static void
test_cannot_open(void **state)
{
	const char *why = NULL;
	int pid;

	(void)state;
	assert_int_equal(logger_start("missing/log", &pid, &why), -1);
	assert_string_equal(why, strerror(ENOENT));
	assert_int_equal(logger_start(".", &pid, &why), -1);
	assert_string_equal(why, strerror(EISDIR));
}

/* What stops the gateway does not stop its logger before it has written everything. */
static void
test_signals(void **state)
{
	struct bench *b = *state;

	start(b, "log");
	put(b, "one\n");
	wait_for_size("log", 4);
	kill(b->pid, SIGINT);
	kill(b->pid, SIGTERM);
	kill(b->pid, SIGHUP);
	put(b, "two\n");
	assert_int_equal(stop(b), 0);
	assert_contents("log", "one\ntwo\n");
}

static void
test_rotation(void **state)
{
	struct bench *b = *state;

	start(b, "log");
	put(b, "one\n");
	wait_for_size("log", 4);
	assert_int_equal(rename("log", "log.1"), 0);
	put(b, "two\n");
	wait_for_size("log.1", 8);
	kill(b->pid, SIGUSR1);
	wait_for_size("log", 0);
	put(b, "three\n");
	assert_int_equal(stop(b), 0);
	assert_contents("log.1", "one\ntwo\n");
	assert_contents("log", "three\n");
}

/* A disk that is full: reading goes on, what is lost is counted, and said once it works again. */
static void
test_full_disk(void **state)
{
	struct bench *b = *state;
	char *text;

	assert_int_equal(symlink("/dev/full", "log"), 0);
	start(b, "log");
	for (int i = 0; i < 50; i++)
		put(b, "one\ntwo\n");
	let_it_work();
	assert_int_equal(unlink("log"), 0);
	kill(b->pid, SIGUSR1);
	wait_for_size("log", 1);
	put(b, "three\n");
	assert_int_equal(stop(b), 0);
	text = contents("log");
	assert_non_null(strstr(text, "\"event_type\":\"stats\""));
	assert_non_null(strstr(text, "\"log_lines_lost\":100,"));
	assert_string_equal(strchr(text, '\n'), "\nthree\n");
	free(text);
}

/* The same, said without any new line coming, and never said: the exit code tells. */
static void
test_full_disk_to_the_end(void **state)
{
	struct bench *b = *state;

	assert_int_equal(symlink("/dev/full", "log"), 0);
	start(b, "log");
	put(b, "one\n");
	assert_int_equal(stop(b), 1);
}

/* A disk that fills up inside a line: the line is completed before anything else is written. */
static void
test_torn_line(void **state)
{
	struct rlimit limit = {.rlim_cur = 10, .rlim_max = RLIM_INFINITY}, before;
	struct bench *b = *state;
	char *text;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit.rlim_max = before.rlim_max;
	start(b, "log");
	assert_int_equal(prlimit(b->pid, RLIMIT_FSIZE, &limit, NULL), 0);
	put(b, "first\nsecond\nthird\n");
	wait_for_size("log", 10);
	let_it_work();
	put(b, "fourth\n");
	let_it_work();
	assert_contents("log", "first\nseco");
	assert_int_equal(prlimit(b->pid, RLIMIT_FSIZE, &before, NULL), 0);
	put(b, "fifth\n");
	assert_int_equal(stop(b), 0);
	text = contents("log");
	assert_memory_equal(text, "first\nsecond\nfifth\n{", 20);
	assert_non_null(strstr(text, "\"log_lines_lost\":2,"));
	free(text);
}

/* It recovers by itself, without a new line and without a signal. */
static void
test_recovers_alone(void **state)
{
	struct rlimit limit = {.rlim_cur = 10}, before;
	struct bench *b = *state;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit.rlim_max = before.rlim_max;
	start(b, "log");
	assert_int_equal(prlimit(b->pid, RLIMIT_FSIZE, &limit, NULL), 0);
	put(b, "first\nsecond\nthird\n");
	wait_for_size("log", 10);
	assert_int_equal(prlimit(b->pid, RLIMIT_FSIZE, &before, NULL), 0);
	wait_for_size("log", 100);
	assert_int_equal(stop(b), 0);
}

/* A worker that dies inside a line: half a record is no record. */
static void
test_half_a_line(void **state)
{
	struct bench *b = *state;
	char *text;

	start(b, "log");
	put(b, "one\n{\"half\":");
	assert_int_equal(stop(b), 0);
	text = contents("log");
	assert_memory_equal(text, "one\n{\"timestamp\":", 17);
	assert_non_null(strstr(text, "\"log_lines_lost\":1,"));
	assert_null(strstr(text, "half"));
	free(text);
}

/* A stream without an end: bounded, counted as one line, and the next one is whole. */
static void
test_endless_line(void **state)
{
	struct bench *b = *state;
	char junk[4096], *text;

	start(b, "log");
	assert_int_equal(fcntl(b->fd, F_SETFL, 0), 0);
	memset(junk, 'j', sizeof(junk));
	for (int i = 0; i < 700; i++)
		assert_int_equal(write(b->fd, junk, sizeof(junk)), sizeof(junk));
	put(b, "\nwhole\n");
	assert_int_equal(stop(b), 0);
	text = contents("log");
	assert_memory_equal(text, "whole\n{", 7);
	assert_non_null(strstr(text, "\"log_lines_lost\":1,"));
	free(text);
}

/* It keeps nothing open that is not its own: a listener or a session would never end. */
static void
test_closes_everything(void **state)
{
	struct bench *b = *state;
	char c;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	start(b, "log");
	close(ends[1]);
	assert_int_equal(read(ends[0], &c, 1), 0);
	close(ends[0]);
	assert_int_equal(stop(b), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_appends),
	    TEST(test_writing_end),
	    TEST(test_standard_output),
	    TEST(test_cannot_open),
	    TEST(test_signals),
	    TEST(test_rotation),
	    TEST(test_full_disk),
	    TEST(test_full_disk_to_the_end),
	    TEST(test_torn_line),
	    TEST(test_recovers_alone),
	    TEST(test_half_a_line),
	    TEST(test_endless_line),
	    TEST(test_closes_everything),
	};

	return cmocka_run_group_tests_name("logger", tests, NULL, NULL);
}
