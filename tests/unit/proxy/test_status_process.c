#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "prometheus.h"
#include "status_command.h"
#include "status_door.h"
#include "status_link.h"
#include "status_process.h"

#define ANSWER_MAX (1 << 20)
#define NOBODY	   65534

/* The supervisor's side, with the real process. */
struct bench {
	char folder[64], path[96];
	struct config config;
	struct status_link *link;
	char answer[ANSWER_MAX];
};

static void
start_process(struct bench *b)
{
	/* after a death it rests */
	for (unsigned i = 0; i < 50 && status_link_pid(b->link) == 0; i++) {
		assert_true(status_link_run(b->link, "nobody"));
		usleep(status_link_pid(b->link) == 0 ? 100000 : 0);
	}
	assert_true(status_link_pid(b->link) > 0);
}

static int
set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct sockaddr_in *metrics;
	char why[STATUS_WHY_MAX];

	assert_non_null(b);
	snprintf(b->folder, sizeof(b->folder), "/tmp/postern-status-XXXXXX");
	assert_non_null(mkdtemp(b->folder));
	chmod(b->folder, 0755);
	snprintf(b->path, sizeof(b->path), "%s/status.sock", b->folder);
	b->config.status = b->path;
	metrics = (struct sockaddr_in *)&b->config.metrics;
	metrics->sin_family = AF_INET;
	metrics->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	metrics->sin_port = htons((uint16_t)(20000 + getpid() % 10000));
	b->link = status_link_new();
	assert_non_null(b->link);
	assert_true(status_link_listen(b->link, &b->config, why));
	start_process(b);
	*state = b;
	return 0;
}

static int
end_process(struct bench *b)
{
	pid_t pid = status_link_pid(b->link);
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(status_link_reap(b->link, pid + 1));
	assert_true(status_link_reap(b->link, pid));
	return status;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	status_link_free(b->link);
	assert_int_equal(rmdir(b->folder), 0); /* the socket is gone */
	free(b);
	return 0;
}

/* ---- clients ---- */

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
connect_to(const struct sockaddr *to, socklen_t n)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, to, n) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
connect_unix(const struct bench *b)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	memcpy(un.sun_path, b->path, strlen(b->path));
	return connect_to((const struct sockaddr *)&un, sizeof(un));
}

static int
connect_http(const struct bench *b)
{
	return connect_to((const struct sockaddr *)&b->config.metrics, sizeof(struct sockaddr_in));
}

/* Everything until the other side closes; -1: it does not within five seconds, or resets. */
static ssize_t
read_all(int fd, char *answer)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t n = 0;

	while (poll(&p, 1, 5000) == 1) {
		ssize_t got = recv(fd, answer + n, ANSWER_MAX - 1 - n, 0);

		if (got <= 0) {
			answer[n] = '\0';
			return got < 0 ? -1 : (ssize_t)n;
		}
		n += (size_t)got;
	}
	return -1;
}

static const char *
ask(struct bench *b, int fd, const char *request)
{
	assert_true(fd >= 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	assert_true(read_all(fd, b->answer) >= 0);
	close(fd);
	return b->answer;
}

static json_t *
status(struct bench *b)
{
	json_t *o = json_loads(ask(b, connect_unix(b), "status\n"), 0, NULL);

	assert_non_null(o);
	return o;
}

static json_int_t
get(struct bench *b, const char *x, const char *y, const char *z)
{
	json_t *o = status(b);
	const json_t *v = json_object_get(json_object_get(json_object_get(o, x), y), z);
	json_int_t n = json_integer_value(v);

	assert_true(json_is_integer(v));
	json_decref(o);
	return n;
}

/* The pages go ahead of what asks for them, but by another way. */
static bool
becomes(struct bench *b, const char *y, const char *z, json_int_t wanted)
{
	for (unsigned i = 0; i < 200; i++) {
		if (get(b, "sessions", y, z) == wanted)
			return true;
		usleep(10000);
	}
	return false;
}

/* ---- what it answers ---- */

static void
test_lines_and_answers(void **state)
{
	struct bench *b = *state;
	json_t *o = status(b);

	assert_true(json_is_true(json_object_get(o, "running")));
	json_decref(o);
	assert_non_null(strstr(ask(b, connect_unix(b), "sessions\n"), "\"sessions\":[]"));
	assert_non_null(strstr(ask(b, connect_unix(b), "help\n"), "\"error\""));
	assert_non_null(strstr(ask(b, connect_unix(b), "status\nsessions\n"), "\"running\":true"));
	assert_non_null(
	    strstr(ask(b, connect_unix(b), "a line that is much too long"), "\"error\""));
}

static void
test_workers_are_seen_and_kept(void **state)
{
	struct bench *b = *state;
	struct record_session rs = {.flow_id = 1};
	struct board_seat seat;
	struct board *board;
	unsigned serial;
	int fd = status_link_board(b->link, 0, 10, &serial);

	board = board_open(fd, 0, 1);
	assert_non_null(board);
	board_session_opened(board, PROTOCOL_SMTP, &rs, &seat);
	assert_true(becomes(b, "smtp", "active", 1));
	status_link_board_gone(b->link, serial);
	board_close(board);
	assert_true(becomes(b, "smtp", "active", 0));
	assert_int_equal(get(b, "sessions", "smtp", "opened"), 1);
}

/* A status process that was killed: the next one knows what all counted, also meanwhile. */
static void
test_next_process_goes_on(void **state)
{
	struct bench *b = *state;
	struct record_session rs = {.flow_id = 1};
	struct board_seat seat;
	struct board *board[3];
	unsigned serial[3];

	for (unsigned i = 0; i < 3; i++) {
		board[i] = board_open(status_link_board(b->link, i, 10, &serial[i]), i, 1);
		assert_non_null(board[i]);
		board_session_opened(board[i], PROTOCOL_SMTP, &rs, &seat);
	}
	status_link_board_gone(b->link, serial[0]);
	assert_true(becomes(b, "smtp", "active", 2));
	kill(status_link_pid(b->link), SIGKILL);
	end_process(b);
	assert_true(status_link_run(b->link, "nobody"));
	assert_int_equal(status_link_pid(b->link), 0); /* not at once */
	status_link_board_gone(b->link, serial[1]);
	start_process(b);
	assert_true(becomes(b, "smtp", "active", 1));
	assert_int_equal(get(b, "sessions", "smtp", "opened"), 3);
	for (unsigned i = 0; i < 3; i++)
		board_close(board[i]);
}

static void
test_it_ends_with_its_supervisor(void **state)
{
	struct bench *b = *state;
	struct config none = {.status = b->path};
	char why[STATUS_WHY_MAX];
	int result;

	json_decref(status(b));
	/* other listeners: our end of the old process is closed, as when we are gone */
	assert_true(status_link_listen(b->link, &none, why));
	result = end_process(b);
	assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
	start_process(b);
}

/* ---- V-011: who may ask, how much, how long ---- */

static int
ask_as(struct bench *b, uid_t uid)
{
	pid_t pid = fork();
	int result;

	if (pid == 0) {
		int fd;

		if (setresuid(uid, uid, uid) != 0)
			_exit(9);
		fd = connect_unix(b);
		if (fd < 0)
			_exit(errno == EACCES ? 1 : 8);
		send(fd, "status\n", 7, MSG_NOSIGNAL);
		_exit(read_all(fd, b->answer) > 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &result, 0), pid);
	return WEXITSTATUS(result);
}

static void
test_v_011_only_root_and_the_owner_are_answered(void **state)
{
	struct bench *b = *state;
	struct stat st;

	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(ask_as(b, getuid()), 0);
	if (getuid() != 0) /* only root can become somebody else */
		skip();
	assert_int_equal(ask_as(b, NOBODY), 1);
	/* the mode of the file is not all that keeps others out */
	assert_int_equal(chmod(b->path, 0666), 0);
	assert_int_equal(ask_as(b, NOBODY), 2);
	assert_int_equal(get(b, "requests", "status", "refused"), 1);
}

static void
test_slow_and_silent_clients_are_closed(void **state)
{
	struct bench *b = *state;
	int64_t start = now_ms(), took;
	int fd = connect_unix(b);

	send(fd, "sta", 3, 0);
	assert_int_equal(read_all(fd, b->answer), 0);
	took = now_ms() - start;
	assert_true(took >= 900 && took < 4000);
	close(fd);
	assert_int_equal(get(b, "requests", "status", "too_slow"), 1);
}

static void
test_few_clients_at_once(void **state)
{
	struct bench *b = *state;
	int fd[DOOR_CLIENTS], more;

	for (unsigned i = 0; i < DOOR_CLIENTS; i++)
		assert_true((fd[i] = connect_unix(b)) >= 0);
	more = connect_unix(b);
	assert_true(read_all(more, b->answer) <= 0);
	close(more);
	/* the others are still answered, and Prometheus has places of its own */
	assert_non_null(strstr(ask(b, connect_http(b), "GET /metrics HTTP/1.1\r\n\r\n"), "200 OK"));
	assert_non_null(strstr(ask(b, fd[0], "status\n"), "\"too_many\":1"));
	for (unsigned i = 1; i < DOOR_CLIENTS; i++)
		close(fd[i]);
}

static void
test_client_that_does_not_read_holds_nobody(void **state)
{
	struct bench *b = *state;
	int fd = connect_unix(b);

	send(fd, "status\n", 7, 0);
	for (unsigned i = 0; i < 20; i++)
		json_decref(status(b));
	close(fd);
}

/* ---- HTTP ---- */

static void
test_r4_prometheus_is_answered(void **state)
{
	struct bench *b = *state;
	struct prometheus m;
	char *body, *length;

	ask(b, connect_http(b),
	    "GET /metrics HTTP/1.1\r\nHost: localhost:9158\r\nAccept: "
	    "text/plain;version=0.0.4\r\n\r\n");
	assert_int_equal(strncmp(b->answer, "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_non_null(strstr(b->answer, "Content-Type: text/plain; version=0.0.4"));
	body = strstr(b->answer, "\r\n\r\n") + 4;
	length = strstr(b->answer, "Content-Length: ");
	assert_non_null(length);
	assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body));
	prometheus_read(&m, body);
	assert_null(m.fault);
	assert_true(prometheus_value(&m, "postern_workers") == 0);
	prometheus_free(&m);
}

static void
test_nothing_but_get_metrics(void **state)
{
	static const struct {
		const char *request, *status;
	} cases[] = {
	    {"GET / HTTP/1.1\r\n\r\n", "404"},
	    {"GET /metrics/../etc/passwd HTTP/1.1\r\n\r\n", "404"},
	    {"GET /metrics?name=x HTTP/1.0\r\n\r\n", "200"},
	    {"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "405"},
	    {"HEAD /metrics HTTP/1.1\r\n\r\n", "405"},
	    {"GET /metrics\r\n\r\n", "400"},
	    {"GET /metrics HTTP/1.1 x\r\n\r\n", "400"},
	    {"\r\n\r\n", "400"},
	    {"\r\n\r\n\r\n\r\n", "400"},
	    {"GET /metrics SPDY/3\r\n\r\n", "400"},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(b, connect_http(b), cases[i].request);
		assert_int_equal(strncmp(b->answer, "HTTP/1.1 ", 9), 0);
		assert_int_equal(strncmp(b->answer + 9, cases[i].status, 3), 0);
	}
}

static void
test_long_header_is_refused(void **state)
{
	struct bench *b = *state;
	char request[3 * DOOR_REQUEST_MAX + 1] = "";

	memset(request, 'a', sizeof(request) - 1);
	assert_non_null(strstr(ask(b, connect_http(b), request), "HTTP/1.1 431"));
}

static void
test_garbage_over_http(void **state)
{
	struct bench *b = *state;
	uint8_t garbage[4096];

	for (unsigned i = 0; i < 50; i++) {
		int fd = connect_http(b);

		arc4random_buf(garbage, sizeof(garbage));
		garbage[4092] = garbage[4094] = '\r';
		garbage[4093] = garbage[4095] = '\n';
		send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL);
		assert_true(read_all(fd, b->answer) >= 0);
		close(fd);
	}
	assert_int_equal(get(b, "requests", "metrics", "answered"), 50);
}

/* ---- listeners ---- */

static void
test_path_of_a_dead_one_is_taken_over_and_of_a_live_one_is_not(void **state)
{
	struct bench *b = *state;
	char why[STATUS_WHY_MAX], path[128];
	struct stat st;
	int fd;

	assert_int_equal(status_socket_listen(b->path, why), -1);
	assert_non_null(strstr(why, "another postern answers there"));
	json_decref(status(b));
	snprintf(path, sizeof(path), "%s/deeper/dead.sock", b->folder);
	fd = status_socket_listen(path, why);
	if (getuid() != 0) { /* only root makes folders */
		assert_int_equal(fd, -1);
		skip();
	}
	assert_true(fd >= 0);
	close(fd);
	fd = status_socket_listen(path, why);
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	snprintf(path, sizeof(path), "%s/deeper", b->folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(status_socket_listen(path, why), -1);
	assert_non_null(strstr(why, "no socket"));
	assert_int_equal(rmdir(path), 0);
}

static void
test_paths_that_cannot_be(void **state)
{
	char why[STATUS_WHY_MAX], path[200];

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(status_socket_listen(path, why), -1);
	assert_non_null(strstr(why, "too long"));
	assert_int_equal(status_socket_connect(path), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(status_socket_listen("/proc/nowhere/at/all.sock", why), -1);
	assert_non_null(strstr(why, "/proc/nowhere/at/all.sock: "));
}

static void
test_listeners_change_or_nothing_does(void **state)
{
	struct bench *b = *state;
	struct config next = b->config;
	char why[STATUS_WHY_MAX], path[128];
	pid_t pid = status_link_pid(b->link);

	assert_true(status_link_listen(b->link, &next, why));
	json_decref(status(b));
	snprintf(path, sizeof(path), "%s/other.sock", b->folder);
	next.status = path;
	((struct sockaddr_in *)&next.metrics)->sin_addr.s_addr = htonl(0xc0000201); /* not ours */
	assert_false(status_link_listen(b->link, &next, why));
	assert_non_null(strstr(why, "metrics: 192.0.2.1:"));
	assert_int_equal(access(path, F_OK), -1);
	json_decref(status(b));
	assert_int_equal(status_link_pid(b->link), pid);
	next.metrics = (struct sockaddr_storage){0};
	assert_true(status_link_listen(b->link, &next, why));
	assert_int_equal(access(b->path, F_OK), -1);
	end_process(b);
	snprintf(b->path, sizeof(b->path), "%.90s", path);
	start_process(b);
	json_decref(status(b));
	assert_int_equal(connect_http(b), -1);
}

/* ---- the command ---- */

/* Runs it with these arguments; its exit code, and what it printed to both in b->answer. */
static int
command(struct bench *b, const char *option, const char *status_line)
{
	char file[128], name[] = "status", c[] = "-c";
	char *argv[] = {name, c, file, (char *)(uintptr_t)option, NULL};
	int out[2], result;
	FILE *config;
	pid_t pid;

	snprintf(file, sizeof(file), "%s/postern.conf", b->folder);
	config = fopen(file, "w");
	assert_non_null(config);
	fputs(status_line, config);
	fputs("inside = {\"10.0.0.0/8\"}\nsmtp { relay { local_domains = {\"a.example\"} } }\n",
	    config);
	fclose(config);
	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		result = status_command(option == NULL ? 3 : 4, argv);
		fflush(NULL);
		_exit(result);
	}
	close(out[1]);
	size_t n = 0;
	ssize_t got;
	while ((got = read(out[0], b->answer + n, ANSWER_MAX - 1 - n)) > 0)
		n += (size_t)got;
	b->answer[n] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, &result, 0), pid);
	unlink(file);
	assert_true(WIFEXITED(result));
	return WEXITSTATUS(result);
}

static void
test_a_003_command(void **state)
{
	struct bench *b = *state;
	char line[160], other[160];
	json_t *o;

	snprintf(line, sizeof(line), "status = \"%s\"\n", b->path);
	snprintf(other, sizeof(other), "status = \"%s/none.sock\"\n", b->folder);
	gateway_set(status_link_gateway(b->link), GATEWAY_GUARD, GUARD_BYPASS);
	assert_int_equal(command(b, NULL, line), 0);
	assert_non_null(strstr(b->answer, "postern        " POSTERN_VERSION ", running since 20"));
	/* */
	assert_non_null(strstr(b->answer, "guard          OPEN: "));
	assert_int_equal(command(b, "--json", line), 0);
	o = json_loads(b->answer, 0, NULL);
	assert_non_null(o);
	json_decref(o);
	assert_int_equal(command(b, "--sessions", line), 0);
	assert_non_null(strstr(b->answer, "flow_id"));
	assert_int_equal(command(b, "--what", line), 2);
	assert_int_equal(command(b, NULL, other), 1);
	assert_non_null(strstr(b->answer, "postern is not running"));
	assert_non_null(strstr(b->answer, "guard: "));
	assert_int_equal(command(b, "--json", other), 1);
	assert_non_null(strstr(b->answer, "{\"running\":false"));
	assert_int_equal(command(b, NULL, "status = \"-\"\n"), 1);
	assert_non_null(strstr(b->answer, "switched off"));
	/* a configuration with faults: asked where it usually is */
	command(b, NULL, "nonsense = 1\n");
	assert_non_null(strstr(b->answer, STATUS_DEFAULT_PATH));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_lines_and_answers),
	    TEST(test_workers_are_seen_and_kept),
	    TEST(test_next_process_goes_on),
	    TEST(test_it_ends_with_its_supervisor),
	    TEST(test_v_011_only_root_and_the_owner_are_answered),
	    TEST(test_slow_and_silent_clients_are_closed),
	    TEST(test_few_clients_at_once),
	    TEST(test_client_that_does_not_read_holds_nobody),
	    TEST(test_r4_prometheus_is_answered),
	    TEST(test_nothing_but_get_metrics),
	    TEST(test_long_header_is_refused),
	    TEST(test_garbage_over_http),
	    TEST(test_path_of_a_dead_one_is_taken_over_and_of_a_live_one_is_not),
	    cmocka_unit_test(test_paths_that_cannot_be),
	    TEST(test_listeners_change_or_nothing_does),
	    TEST(test_a_003_command),
	};

	/* the binary that process_start() starts again is this one */
	if (argc > 1 && strcmp(argv[1], STATUS_ROLE) == 0)
		return status_main(argc - 1, argv + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
