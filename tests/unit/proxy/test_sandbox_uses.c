#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "dns_server.h"
#include "ipc.h"
#include "record.h"
#include "resolver.h"
#include "sandbox_child.h"

/* ---- what each must still be able to do ---- */

static int
tcp_listener(struct sockaddr_in *at)
{
	socklen_t n = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*at =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)at, n) == 0 && listen(fd, 8) == 0);
	MUST(getsockname(fd, (struct sockaddr *)at, &n) == 0);
	return fd;
}

struct round {
	struct event_base *base;
	struct event *client, *server;
	unsigned accepted, echoed, ticks, signals;
};

static void
on_echo(evutil_socket_t fd, short what, void *arg)
{
	char in[16];
	struct round *r = arg;

	(void)what;
	MUST(recv(fd, in, sizeof(in), 0) == 4 && memcmp(in, "ping", 4) == 0);
	r->echoed++;
}

static void
on_ping(evutil_socket_t fd, short what, void *arg)
{
	char in[16];

	(void)what;
	(void)arg;
	MUST(recv(fd, in, sizeof(in), 0) == 4 && send(fd, in, 4, MSG_NOSIGNAL) == 4);
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	struct round *r = arg;
	int on = 1, session = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	MUST(session >= 0);
	MUST(setsockopt(session, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
	MUST(setsockopt(session, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0);
	MUST(setsockopt(session, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
		 sizeof(struct linger)) == 0);
	r->accepted++;
	r->server = event_new(r->base, session, EV_READ | EV_PERSIST, on_ping, r);
	MUST(r->server != NULL && event_add(r->server, NULL) == 0);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct round *r = arg;

	(void)fd;
	(void)what;
	if (++r->ticks == 1)
		raise(SIGTERM);
	if (r->ticks == 50)
		event_base_loopbreak(r->base);
}

static void
on_term(evutil_socket_t fd, short what, void *arg)
{
	struct round *r = arg;

	(void)fd;
	(void)what;
	r->signals++;
}

/* A session in and out, a timer and a signal in one loop, all sockets but the listener made late.
 */
static void
serve_session(const void *arg)
{
	struct sockaddr_in at;
	struct round r = {.base = event_base_new()};
	int fd, listener = tcp_listener(&at);
	struct event *in = event_new(r.base, listener, EV_READ | EV_PERSIST, on_client, &r);
	struct event *tick = event_new(r.base, -1, EV_PERSIST, on_tick, &r);
	struct event *term = evsignal_new(r.base, SIGTERM, on_term, &r);

	(void)arg;
	MUST(evsignal_add(term, NULL) == 0);
	close_sandbox(SANDBOX_WORKER);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(fd >= 0 && event_add(in, NULL) == 0);
	MUST(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && send(fd, "ping", 4, 0) == 4);
	r.client = event_new(r.base, fd, EV_READ | EV_PERSIST, on_echo, &r);
	MUST(event_add(r.client, NULL) == 0);
	MUST(event_add(tick, &(struct timeval){.tv_usec = 10000}) == 0);
	MUST(event_base_dispatch(r.base) == 0);
	MUST(r.accepted == 1 && r.echoed == 1 && r.signals == 1);
	MUST(shutdown(fd, SHUT_WR) == 0);
	close(event_get_fd(r.server));
	close(fd);
	event_free(r.client);
	event_free(r.server);
	event_free(in);
	event_free(tick);
	event_free(term);
	event_base_free(r.base);
}

static void
send_datagrams(const void *arg)
{
	static const int families[] = {AF_INET, AF_INET6};

	(void)arg;
	close_sandbox(SANDBOX_WORKER);
	for (size_t i = 0; i < COUNT(families); i++) {
		struct sockaddr_storage at = {.ss_family = (sa_family_t)families[i]};
		socklen_t n = sizeof(at);
		int fd = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
		char in[8];

		if (families[i] == AF_INET)
			((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		else
			((struct sockaddr_in6 *)&at)->sin6_addr = in6addr_loopback;
		MUST(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
		MUST(getsockname(fd, (struct sockaddr *)&at, &n) == 0);
		MUST(sendto(fd, "ping", 4, 0, (struct sockaddr *)&at, n) == 4);
		MUST(recvfrom(fd, in, sizeof(in), 0, NULL, NULL) == 4);
		close(fd);
	}
}

/* Where a session came in: proxy/arrival.c asks this way. */
static void
ask_device(const void *arg)
{
	struct ifreq r = {.ifr_ifindex = (int)if_nametoindex("lo")};
	int fd, on = 1, n = 0;

	(void)arg;
	close_sandbox(SANDBOX_WORKER);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	MUST(fd >= 0 && ioctl(fd, SIOCGIFNAME, &r) == 0 && strcmp(r.ifr_name, "lo") == 0);
	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) == 0);
	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0);
	MUST(ioctl(fd, FIONBIO, &on) == 0);
	MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof(on)) != 0); /* no right */
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) == 0);
	MUST(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == 0);
	MUST(ioctl(fd, FIONREAD, &n) == 0 && n == 0);
}

/* FTP's way of passing files on. */
static void
splice_through(const void *arg)
{
	int ends[2], a[2], b[2];
	char in[8];

	(void)arg;
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, b) == 0);
	close_sandbox(SANDBOX_WORKER);
	MUST(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	MUST(fcntl(ends[1], F_SETPIPE_SZ, 65536) == 65536);
	MUST(write(a[0], "file", 4) == 4);
	MUST(splice(a[1], NULL, ends[1], NULL, 4, SPLICE_F_MOVE | SPLICE_F_NONBLOCK) == 4);
	MUST(splice(ends[0], NULL, b[0], NULL, 4, SPLICE_F_MOVE) == 4);
	MUST(read(b[1], in, sizeof(in)) == 4 && memcmp(in, "file", 4) == 0);
}

/* What comes to a data listener, asked as proxy/data_*.c and arrival.c do. */
static int
take_data(int listener)
{
	struct sockaddr_in peer;
	socklen_t n = sizeof(peer);
	int on = 1, fd = accept4(listener, (struct sockaddr *)&peer, &n, SOCK_CLOEXEC);

	MUST(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == 0);
	MUST(getpeername(fd, (struct sockaddr *)&peer, &n) == 0);
	MUST(getsockopt(fd, IPPROTO_IP, 80 /* SO_ORIGINAL_DST */, &peer, &n) == 0 ||
	     errno == ENOPROTOOPT || errno == ENOENT);
	return fd;
}

/* Both ends of a transfer: urgent octets, what nobody reads, resets and ends. */
static void
serve_data(const void *arg)
{
	struct sockaddr_in at;
	const struct linger reset = {1, 0}, end = {0, 0};
	struct msghdr urgent = {
	    .msg_iov = &(struct iovec){(void *)(uintptr_t) "\xf2", 1}, .msg_iovlen = 1};
	int listener = tcp_listener(&at), a, b, error = -1;
	char in[8];

	(void)arg;
	close_sandbox(SANDBOX_WORKER);
	a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(setsockopt(a, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
	MUST(connect(a, (struct sockaddr *)&at, sizeof(at)) == 0);
	MUST(getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)}) == 0);
	b = take_data(listener);
	MUST(error == 0 && sendmsg(a, &urgent, MSG_OOB | MSG_NOSIGNAL) == 1);
	MUST(recv(b, in, sizeof(in), 0) == 1 && in[0] == '\xf2');
	MUST(send(a, "stray", 5, MSG_NOSIGNAL) == 5 && recv(b, NULL, 1u << 20, MSG_TRUNC) == 5);
	MUST(setsockopt(a, SOL_SOCKET, SO_LINGER, &end, sizeof(end)) == 0);
	MUST(shutdown(a, SHUT_WR) == 0 && recv(b, in, sizeof(in), 0) == 0);
}

static void
take_sockets(const void *arg)
{
	struct ipc_message m = {.type = IPC_SOCKETS, .a = 4};
	int ends[2], fds[IPC_FDS_MAX], sent;
	const char *why = NULL;
	size_t n;

	(void)arg;
	MUST(ipc_pair(ends));
	close_sandbox(SANDBOX_WORKER);
	sent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(ipc_send(ends[0], &m, &sent, 1) == IPC_OK);
	MUST(ipc_receive(ends[1], IPC_FROM_SUPERVISOR_TO_WORKER, &m, fds, &n, &why) == IPC_OK);
	MUST(n == 1 && m.type == IPC_SOCKETS && fds[0] != sent);
}

static void
test_worker_works(void **state)
{
	(void)state;
	assert_int_equal(in_child(serve_session, NULL), 0);
	assert_int_equal(in_child(send_datagrams, NULL), 0);
	assert_int_equal(in_child(ask_device, NULL), 0);
	assert_int_equal(in_child(splice_through, NULL), 0);
	assert_int_equal(in_child(serve_data, NULL), 0);
	assert_int_equal(in_child(take_sockets, NULL), 0);
}

static void
on_answered(void *base)
{
	event_base_loopbreak(base);
}

static void
must_answer(struct event_base *base, struct resolver *r, const char *name, enum dns_status want)
{
	struct answers *answers = answers_new();
	struct dns_question q;
	enum dns_status status;

	MUST(dns_question_set(&q, DNS_MX, span_str(name)));
	MUST(resolver_ask(r, &q, 1, 1000, answers, on_answered, base) != NULL);
	event_base_dispatch(base);
	MUST(answers_status(answers, DNS_MX, name, &status));
	MUST(status == want);
	answers_free(answers);
}

static void
look_up(const void *arg)
{
	const struct dns_server *server = arg;
	struct event_base *base = event_base_new();
	char text[64], *servers[] = {text, NULL};
	const char *why = NULL;
	struct resolver *r;

	snprintf(text, sizeof(text), "127.0.0.1@%u", server->port);
	r = resolver_new(base, servers, &why);
	MUST(r != NULL);
	close_sandbox(SANDBOX_WORKER);
	must_answer(base, r, "good.zone", DNS_OK);
	must_answer(base, r, "big.zone", DNS_OK); /* by TCP */
	must_answer(base, r, "nx.zone", DNS_NXDOMAIN);
	must_answer(base, r, "servfail.zone", DNS_FAILED);
	must_answer(base, r, "never.zone", DNS_TIMEOUT);
	resolver_free(r);
	event_base_free(base);
}

static void
test_look_up(void **state)
{
	struct dns_server *server = dns_server_start();
	int status = in_child(look_up, server);

	(void)state;
	dns_server_stop(server);
	assert_int_equal(status, 0);
}

static void
write_log(const void *arg)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char name[] = P_tmpdir "/postern-log-XXXXXX";
	int ends[2], fd = mkostemp(name, O_CLOEXEC);
	struct pollfd p = {.events = POLLIN};
	struct stat st;
	char last;

	(void)arg;
	MUST(fd >= 0 && unlink(name) == 0 && pipe2(ends, O_CLOEXEC) == 0);
	p.fd = ends[0];
	close_sandbox(SANDBOX_LOGGER);
	MUST(poll(&p, 1, 10) == 0);
	MUST(write(ends[1], "line\n", 5) == 5 && poll(&p, 1, 1000) == 1);
	MUST(write(fd, "line\n", 5) == 5 && fsync(fd) == 0 && fdatasync(fd) == 0);
	MUST(fstat(fd, &st) == 0 && st.st_size == 5);
	MUST(pread(fd, &last, 1, 4) == 1 && last == '\n');
	MUST(dprintf(null, "%d\n", fd) > 0);
	close(fd);
}

static void
test_logger_works(void **state)
{
	(void)state;
	assert_int_equal(in_child(write_log, NULL), 0);
}

/* A page of a worker that is new, in the status process. */
static void
map_page(const void *arg)
{
	int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;
	const char *page;

	(void)arg;
	MUST(fd >= 0 && write(fd, "page", 4) == 4 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	close_sandbox(SANDBOX_STATUS);
	MUST(fcntl(fd, F_GET_SEALS) == F_SEAL_SHRINK);
	MUST(fstat(fd, &st) == 0 && st.st_size == 4);
	page = mmap(NULL, 4, PROT_READ, MAP_SHARED, fd, 0);
	MUST(page != MAP_FAILED && memcmp(page, "page", 4) == 0);
}

/* ---- status: libevent's HTTP server on listeners that were handed over ---- */

static void
on_request(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();
	struct evhttp_connection *from = evhttp_request_get_connection(request);

	(void)arg;
	MUST(from != NULL && body != NULL && evbuffer_add_printf(body, "served\n") == 7);
	evhttp_send_reply(request, 200, "OK", body);
	evbuffer_free(body);
}

struct listeners {
	int unix_fd, tcp_fd;
};

static void
serve_status(const void *arg)
{
	const struct listeners *l = arg;
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);

	evhttp_set_gencb(http, on_request, NULL);
	MUST(evhttp_accept_socket(http, l->unix_fd) == 0);
	MUST(evhttp_accept_socket(http, l->tcp_fd) == 0);
	tzset(); /* for the Date field */
	close_sandbox(SANDBOX_STATUS);
	MUST(event_base_dispatch(base) == 0);
}

static void
assert_served(const struct sockaddr *at, socklen_t n)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char in[1024] = "";
	ssize_t got;
	size_t have = 0;

	assert_int_equal(connect(fd, at, n), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	while (have < sizeof(in) - 1 && (got = recv(fd, in + have, sizeof(in) - 1 - have, 0)) > 0)
		have += (size_t)got;
	close(fd);
	assert_int_equal(strncmp(in, "HTTP/1.0 200 OK\r\n", 17), 0);
	assert_non_null(strstr(in, "\r\n\r\nserved\n"));
}

static void
test_status_works(void **state)
{
	struct sockaddr_un path = {.sun_family = AF_UNIX};
	struct sockaddr_in at;
	struct listeners l = {.tcp_fd = tcp_listener(&at)};
	int status;
	pid_t pid;

	(void)state;
	snprintf(path.sun_path + 1, sizeof(path.sun_path) - 1, "postern-test-%d", getpid());
	l.unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(l.unix_fd, (struct sockaddr *)&path, sizeof(path)), 0);
	assert_int_equal(listen(l.unix_fd, 8), 0);
	pid = fork();
	if (pid == 0) {
		serve_status(&l);
		_exit(0);
	}
	close(l.unix_fd);
	close(l.tcp_fd);
	assert_served((struct sockaddr *)&path, sizeof(path));
	assert_served((struct sockaddr *)&at, sizeof(at));
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* still there */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(in_child(map_page, NULL), 0);
}

/* ---- what all of them do ---- */

static void
on_line(void *arg, const char *line, size_t n)
{
	size_t *sum = arg;

	MUST(n > 2 && line[n - 1] == '\n');
	*sum += n;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(uint64_t));
}

static void
use_memory(void)
{
	static uint64_t many[8192];
	volatile uint8_t *p;
	void *block = malloc(64u << 20), *larger;

	MUST(block != NULL);
	memset(block, 1, 64u << 20);
	larger = realloc(block, 80u << 20);
	p = larger;
	MUST(p != NULL && p[(64u << 20) - 1] == 1);
	free(larger);
	qsort(many, COUNT(many), sizeof(many[0]), compare);
}

static void
compute(const void *arg)
{
	static const uint8_t empty[] = {0xe3, 0xb0, 0xc4, 0x42};
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	uint8_t digest[EVP_MAX_MD_SIZE];
	time_t now = time(NULL);
	char text[64];
	size_t sum = 0;
	struct tm tm;

	MUST(record_init());
	MUST(sha256 != NULL);
	tzset();
	close_sandbox(*(const enum sandbox_role *)arg);
	record_stats("sandbox", 1, "text", on_line, &sum);
	MUST(sum > 0);
	MUST(EVP_Digest("", 0, digest, NULL, sha256, NULL) == 1 && memcmp(digest, empty, 4) == 0);
	EVP_MD_free(sha256);
	use_memory();
	MUST(localtime_r(&now, &tm) != NULL && strftime(text, sizeof(text), "%F %T %Z", &tm) > 0);
	MUST(nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL) == 0);
	MUST(dprintf(STDERR_FILENO, "%s", "") == 0 && fflush(stdout) == 0);
	MUST(fprintf(stdout, "# %s\n", text) > 0 && fflush(stdout) == 0);
}

static void
test_all_compute(void **state)
{
	(void)state;
	for (enum sandbox_role role = 0; role < SANDBOX_ROLE_COUNT; role++)
		assert_int_equal(in_child(compute, &role), 0);
}

static void
end_by_abort(const void *arg)
{
	close_sandbox(*(const enum sandbox_role *)arg);
	abort();
}

static void
end_by_exit(const void *arg)
{
	close_sandbox(*(const enum sandbox_role *)arg);
	exit(7); /* a sanitizer looks for leaks in there */
}

static void
test_all_end(void **state)
{
	(void)state;
	for (enum sandbox_role role = 0; role < SANDBOX_ROLE_COUNT; role++) {
		int status = in_child(end_by_abort, &role);

		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		status = in_child(end_by_exit, &role);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 7);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_worker_works),
	    cmocka_unit_test(test_look_up),
	    cmocka_unit_test(test_logger_works),
	    cmocka_unit_test(test_status_works),
	    cmocka_unit_test(test_all_compute),
	    cmocka_unit_test(test_all_end),
	};

	return cmocka_run_group_tests_name("sandbox uses", tests, NULL, NULL);
}
