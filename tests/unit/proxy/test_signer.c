#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc.h"
#include "signer.h"
#include "tls_made.h"

#define WAIT_MS 10000

/* A signer in a process of its own, as the supervisor starts it, and a worker's socket to it. */
struct bench {
	struct made cas[CA_COUNT];
	EVP_PKEY *key;
	pid_t pid;
	int control, worker;
};

static _Noreturn void
be_signer(int control, int keys)
{
	char role[] = SIGNER_ROLE, user[] = "nobody";
	char *argv[] = {role, user, NULL};

	control = fcntl(control, F_DUPFD, 64);
	keys = fcntl(keys, F_DUPFD, 64);
	if (dup2(control, SIGNER_CONTROL) < 0 || dup2(keys, SIGNER_KEYS) < 0)
		_exit(9);
	close_range(SIGNER_FD_END, ~0u, 0);
	_exit(signer_main(2, argv));
}

static int
hand_over(const struct bench *b)
{
	struct buf chain[CA_COUNT], key[CA_COUNT];
	struct span chains[CA_COUNT], keys[CA_COUNT];
	int fd;

	for (unsigned i = 0; i < CA_COUNT; i++) {
		buf_init(&chain[i], 65536);
		buf_init(&key[i], 65536);
		made_certificate(&b->cas[i], &chain[i]);
		made_key(&b->cas[i], NULL, &key[i]);
		chains[i] = buf_span(&chain[i]);
		keys[i] = buf_span(&key[i]);
	}
	fd = signer_hand_over(chains, keys);
	for (unsigned i = 0; i < CA_COUNT; i++) {
		buf_free(&chain[i]);
		buf_free(&key[i]);
	}
	assert_true(fd >= 0);
	return fd;
}

static int
connect_worker(struct bench *b)
{
	const struct ipc_message m = {.type = IPC_SIGNER_PEER};
	int ends[2];

	assert_true(ipc_pair(ends));
	assert_int_equal(ipc_send(b->control, &m, &ends[1], 1), IPC_OK);
	close(ends[1]);
	return ends[0];
}

static int
set_up(void **state)
{
	static struct bench b;
	static const struct make how[CA_COUNT] = {[CA_TRUSTED] = {.cn = "Trusted", .is_ca = true},
	    [CA_UNTRUSTED] = {.cn = "Untrusted", .is_ca = true}};
	int ends[2], keys;

	b = (struct bench){.key = EVP_EC_gen("P-256")};
	for (unsigned i = 0; i < CA_COUNT; i++)
		b.cas[i] = made_new(&how[i]);
	keys = hand_over(&b);
	assert_true(ipc_pair(ends));
	b.pid = fork();
	assert_true(b.pid >= 0);
	if (b.pid == 0)
		be_signer(ends[1], keys);
	close(keys);
	close(ends[1]);
	b.control = ends[0];
	b.worker = connect_worker(&b);
	*state = &b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;
	int status;

	close(b->worker);
	close(b->control); /* the supervisor is gone: so is the signer */
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	assert_true(WIFEXITED(status));
	for (unsigned i = 0; i < CA_COUNT; i++)
		made_free(&b->cas[i]);
	EVP_PKEY_free(b->key);
	return WEXITSTATUS(status);
}

static struct sign_question
question(const struct bench *b, enum ca_which which, uint32_t id)
{
	int64_t now = (int64_t)time(NULL);
	struct sign_question q = {.id = id,
	    .which = which,
	    .leaf = {.not_before = now - MADE_DAY, .not_after = now + MADE_DAY}};

	assert_true(leaf_set_key(&q.leaf, b->key));
	assert_true(leaf_add_name(&q.leaf, "mx.example"));
	return q;
}

static void
ask(int fd, const void *q, size_t n)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};

	while (send(fd, q, n, MSG_NOSIGNAL) < 0) {
		assert_int_equal(errno, EAGAIN);
		assert_int_equal(poll(&room, 1, WAIT_MS), 1);
	}
}

/* False: the socket was closed. */
static bool
hear(int fd, struct sign_answer *a)
{
	struct pollfd there = {.fd = fd, .events = POLLIN};
	ssize_t n;

	assert_int_equal(poll(&there, 1, WAIT_MS), 1);
	n = recv(fd, a, sizeof(*a), 0);
	if (n <= 0)
		return false;
	assert_true(n >= (ssize_t)SIGN_ANSWER_LEAST);
	assert_int_equal((size_t)n, SIGN_ANSWER_LEAST + a->n);
	return true;
}

static void
test_each_CA_signs_what_it_is_asked_for_T_016(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < CA_COUNT; i++) {
		struct sign_question q = question(b, (enum ca_which)i, 77 + i);
		struct sign_answer a;
		const unsigned char *der = a.der;
		X509 *x;

		ask(b->worker, &q, sizeof(q));
		assert_true(hear(b->worker, &a));
		assert_int_equal(a.id, 77 + i);
		assert_int_equal(a.result, SIGN_DONE);
		x = d2i_X509(NULL, &der, (long)a.n);
		assert_non_null(x);
		assert_int_equal(X509_verify(x, b->cas[i].key), 1);
		assert_int_equal(X509_check_host(x, "mx.example", 0, 0, NULL), 1);
		X509_free(x);
	}
}

/* Only this worker loses its socket, and it is given another. */
static void
test_questions_that_are_none_T_016(void **state)
{
	struct bench *b = *state;
	struct sign_question q = question(b, CA_TRUSTED, 1), bad[5] = {q, q, q, q, q};
	struct sign_answer a;
	int other = connect_worker(b);

	bad[0].which = CA_COUNT;
	bad[1].leaf.names_size = UINT32_MAX;
	bad[2].leaf.n_public = UINT32_MAX;
	/* of the CA that is trusted none can be stocked for later, or made for what is over */
	bad[3].leaf.not_before = (int64_t)time(NULL) + MADE_DAY / 2;
	bad[4].leaf.not_after = (int64_t)time(NULL) - 1;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = connect_worker(b);

		ask(fd, &bad[i], sizeof(bad[i]));
		assert_false(hear(fd, &a));
		close(fd);
	}
	for (size_t n = 1; n < sizeof(q); n += sizeof(q) / 7) {
		int fd = connect_worker(b);

		ask(fd, &q, n);
		assert_false(hear(fd, &a));
		close(fd);
	}
	ask(other, &q, sizeof(q));
	assert_true(hear(other, &a));
	assert_int_equal(a.result, SIGN_DONE);
	close(other);
}

/* A worker that asks without end is answered, and no leaf is made for it. */
static void
test_so_many_and_no_more_T_016(void **state)
{
	struct bench *b = *state;
	struct sign_question q = question(b, CA_TRUSTED, 1);
	unsigned done = 0, refused = 0;
	struct sign_answer a;
	uint64_t since = (uint64_t)time(NULL), took;
	int other = connect_worker(b);

	for (unsigned i = 0; i < 2 * SIGNER_BURST; i++) {
		ask(b->worker, &q, sizeof(q));
		assert_true(hear(b->worker, &a));
		done += a.result == SIGN_DONE;
		refused += a.result == SIGN_TOO_OFTEN;
		assert_true(a.result == SIGN_DONE || a.n == 0);
	}
	took = (uint64_t)time(NULL) - since + 1;
	assert_int_equal(done + refused, 2 * SIGNER_BURST);
	assert_true(done >= SIGNER_BURST && done <= SIGNER_BURST + took * SIGNER_PER_SECOND);
	/* others have their own */
	ask(other, &q, sizeof(q));
	assert_true(hear(other, &a));
	assert_int_equal(a.result, SIGN_DONE);
	close(other);
}

/* Who does not read has to wait; nobody else does. */
static void
test_one_that_does_not_read(void **state)
{
	struct bench *b = *state;
	struct sign_question q = question(b, CA_UNTRUSTED, 1);
	struct sign_answer a;
	int other = connect_worker(b);
	unsigned asked = 0;

	while (asked < 2 * SIGNER_BURST && send(b->worker, &q, sizeof(q), MSG_NOSIGNAL) > 0)
		asked++;
	ask(other, &q, sizeof(q));
	assert_true(hear(other, &a));
	close(other);
	for (; asked > 0; asked--)
		assert_true(hear(b->worker, &a));
}

static void
test_keys_that_are_none(void **state)
{
	const struct span none[CA_COUNT] = {SPAN_NONE, SPAN_NONE};
	char role[] = SIGNER_ROLE;
	char *argv[] = {role, NULL};
	int ends[2], keys = signer_hand_over(none, none), status;
	pid_t pid;

	(void)state;
	assert_int_equal(signer_main(1, argv), 1);
	assert_true(ipc_pair(ends));
	pid = fork();
	if (pid == 0)
		be_signer(ends[1], keys);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	close(keys);
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_each_CA_signs_what_it_is_asked_for_T_016, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_questions_that_are_none_T_016, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_so_many_and_no_more_T_016, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_one_that_does_not_read, set_up, tear_down),
	    cmocka_unit_test(test_keys_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
