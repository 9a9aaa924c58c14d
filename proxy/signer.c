#include "signer.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "ipc.h"
#include "sandbox.h"
#include "sealed_blocks.h"

#define SKEW 300 /* seconds that a verified certificate may begin later */

/* A worker. */
struct peer {
	struct signer *signer;
	int fd;
	struct event *readable, *writable;
	uint64_t tokens, refilled; /* thousandths of a question; when, in ms */
	struct sign_answer answer; /* for which there was no room */
	bool waits;
	LIST_ENTRY(peer) all;
};

struct signer {
	struct event_base *base;
	struct event *control;
	struct ca ca[CA_COUNT];
	LIST_HEAD(, peer) peers;
	int code;
};

static int
fail(const char *why)
{
	fprintf(stderr, "postern: signer: %s\n", why);
	return 1;
}

/* ---- keys are handed over ---- */

int
signer_hand_over(const struct span chain_pem[CA_COUNT], const struct span key_pem[CA_COUNT])
{
	int fd = sealed_open("postern-ca");
	bool ok = fd >= 0;

	for (unsigned i = 0; ok && i < CA_COUNT; i++)
		ok = sealed_put(fd, chain_pem[i]) && sealed_put(fd, key_pem[i]);
	return sealed_finish(fd, ok);
}

static bool
take_cas(struct signer *s, struct span all)
{
	for (unsigned i = 0; i < CA_COUNT; i++) {
		struct span chain, key;

		if (!sealed_take(&all, &chain) || !sealed_take(&all, &key) ||
		    !ca_read(chain, key, &s->ca[i]))
			return false;
	}
	return all.n == 0;
}

/* Nothing of the file is left here but the keys themselves. */
static const char *
read_keys(struct signer *s)
{
	struct stat st;
	void *p = MAP_FAILED;
	bool taken;

	if (fstat(SIGNER_KEYS, &st) == 0 && st.st_size > 0 && st.st_size <= SIGNER_FILE_MAX)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, SIGNER_KEYS, 0);
	close(SIGNER_KEYS);
	if (p == MAP_FAILED)
		return "the keys cannot be mapped";
	taken = take_cas(s, span_of(p, (size_t)st.st_size));
	munmap(p, (size_t)st.st_size);
	return taken ? NULL : "the keys cannot be read";
}

/* ---- one question ---- */

/* NULL: it is one. */
static const char *
question_fault(const struct sign_question *q, ssize_t got, int flags)
{
	int64_t now = (int64_t)time(NULL);

	if (got != (ssize_t)sizeof(*q) || (flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
		return "a question of the wrong size";
	if (q->which >= CA_COUNT)
		return "a CA that there is not";
	/* what was verified is valid now: none can be had for later times, by a worker's word */
	if (q->which == CA_TRUSTED && (q->leaf.not_before > now + SKEW || q->leaf.not_after <= now))
		return "a leaf of another time";
	return leaf_fault(&q->leaf);
}

static bool
may_ask(struct peer *p)
{
	uint64_t now = clock_ms();

	p->tokens += (now - p->refilled) * SIGNER_PER_SECOND;
	if (p->tokens > SIGNER_BURST * UINT64_C(1000))
		p->tokens = SIGNER_BURST * UINT64_C(1000);
	p->refilled = now;
	if (p->tokens < 1000)
		return false;
	p->tokens -= 1000;
	return true;
}

static void
sign(struct peer *p, const struct sign_question *q, struct sign_answer *a)
{
	X509 *leaf;
	unsigned char *der = a->der;
	int n;

	*a = (struct sign_answer){.id = q->id, .result = SIGN_TOO_OFTEN};
	if (!may_ask(p))
		return;
	a->result = SIGN_FAILED;
	leaf = leaf_sign(&p->signer->ca[q->which], &q->leaf, (int64_t)time(NULL));
	n = leaf == NULL ? -1 : i2d_X509(leaf, NULL);
	if (n > 0 && n <= SIGNER_DER_MAX && i2d_X509(leaf, &der) == n) {
		a->result = SIGN_DONE;
		a->n = (uint32_t)n;
	}
	X509_free(leaf);
}

/* ---- workers ---- */

static void
peer_free(struct peer *p)
{
	LIST_REMOVE(p, all);
	if (p->readable != NULL)
		event_free(p->readable);
	if (p->writable != NULL)
		event_free(p->writable);
	close(p->fd);
	free(p);
}

/* False: nobody is there any more. One that does not read its answers is not asked for more. */
static bool
send_answer(struct peer *p)
{
	size_t n = SIGN_ANSWER_LEAST + p->answer.n;
	ssize_t sent = send(p->fd, &p->answer, n, MSG_NOSIGNAL);

	p->waits = sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR);
	if (p->waits) {
		event_del(p->readable);
		return event_add(p->writable, NULL) == 0;
	}
	return sent == (ssize_t)n;
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;

	(void)fd;
	(void)what;
	if (!send_answer(p) || (!p->waits && event_add(p->readable, NULL) != 0))
		peer_free(p);
}

static void
on_question(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	struct sign_question q;
	struct iovec iov = {.iov_base = &q, .iov_len = sizeof(q)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t got = recvmsg(fd, &msg, 0);
	const char *why;

	(void)what;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		peer_free(p);
		return;
	}
	why = question_fault(&q, got, msg.msg_flags);
	if (why != NULL) {
		fprintf(stderr,
		    "postern: signer: a worker asked for %s, and is not heard any more\n", why);
		peer_free(p);
		return;
	}
	sign(p, &q, &p->answer);
	if (!send_answer(p))
		peer_free(p);
}

static void
add_peer(struct signer *s, int fd)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		close(fd);
		return;
	}
	p->signer = s;
	p->fd = fd;
	p->tokens = SIGNER_BURST * UINT64_C(1000);
	p->refilled = clock_ms();
	LIST_INSERT_HEAD(&s->peers, p, all);
	p->readable = event_new(s->base, fd, EV_READ | EV_PERSIST, on_question, p);
	p->writable = event_new(s->base, fd, EV_WRITE, on_writable, p);
	if (p->readable == NULL || p->writable == NULL || event_add(p->readable, NULL) != 0)
		peer_free(p);
}

static void
on_control(evutil_socket_t fd, short what, void *arg)
{
	struct signer *s = arg;
	struct ipc_message m;
	int fds[IPC_FDS_MAX];
	const char *why = NULL;
	enum ipc_result got;
	size_t n;

	(void)what;
	while ((got = ipc_receive(fd, IPC_FROM_SUPERVISOR_TO_SIGNER, &m, fds, &n, &why)) == IPC_OK)
		add_peer(s, fds[0]);
	if (got == IPC_AGAIN)
		return;
	if (got == IPC_GARBAGE)
		s->code = fail(why);
	event_base_loopbreak(s->base);
}

/* ---- start ---- */

/*
 * What OpenSSL loads when it is first used is loaded now; and a CA that cannot sign is found out
 * before anybody waits for it.
 */
static const char *
try_keys(const struct signer *s)
{
	int64_t now = (int64_t)time(NULL);
	const char *why = NULL;

	for (unsigned i = 0; why == NULL && i < CA_COUNT * LEAF_KEYS; i++) {
		struct leaf_wanted w = {.not_before = now, .not_after = now + 1};
		EVP_PKEY *key = i % LEAF_KEYS == LEAF_RSA ? EVP_RSA_gen(LEAF_RSA_SIZE * 8)
							  : EVP_EC_gen("P-256");
		X509 *x = NULL;

		if (key != NULL && leaf_set_key(&w, key) && leaf_add_name(&w, "postern.invalid"))
			x = leaf_sign(&s->ca[i / LEAF_KEYS], &w, now);
		if (x == NULL)
			why = i / LEAF_KEYS == CA_TRUSTED
				  ? "tls.ca: it cannot sign (has it expired?)"
				  : "tls.untrusted_ca: it cannot sign (has it "
				    "expired?)";
		X509_free(x);
		EVP_PKEY_free(key);
	}
	return why;
}

static const char *
start(struct signer *s, char **argv)
{
	const char *why;

	process_follow_parent();
	process_name("postern-signer");
	signal(SIGTERM, SIG_IGN); /* the supervisor says when to end */
	/* nobody looks into it from here on: root's dumps are none either */
	if (!sandbox_drop(argv[1], &why))
		return why;
	process_follow_parent(); /* the kernel forgot it with the user */
	why = read_keys(s);
	if (why == NULL)
		why = try_keys(s);
	if (why != NULL)
		return why;
	s->base = event_base_new();
	s->control = s->base == NULL
			 ? NULL
			 : event_new(s->base, SIGNER_CONTROL, EV_READ | EV_PERSIST, on_control, s);
	if (s->control == NULL || event_add(s->control, NULL) != 0)
		return "cannot make an event loop";
	return sandbox_close(SANDBOX_SIGNER, &why) ? NULL : why;
}

int
signer_main(int argc, char **argv)
{
	struct signer s = {.code = 0};
	const char *why = argc == 2 ? start(&s, argv) : "this is no command for people";
	struct peer *p;

	if (why != NULL)
		s.code = fail(why);
	else if (event_base_dispatch(s.base) < 0)
		s.code = fail("the event loop failed");
	while ((p = LIST_FIRST(&s.peers)) != NULL)
		peer_free(p);
	if (s.control != NULL)
		event_free(s.control);
	if (s.base != NULL)
		event_base_free(s.base);
	for (unsigned i = 0; i < CA_COUNT; i++)
		ca_free(&s.ca[i]);
	return s.code;
}
