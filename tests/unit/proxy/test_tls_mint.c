#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ipc.h"
#include "signer.h"
#include "tls_made.h"
#include "tls_mint.h"

/* A mint, and the other end of its socket, where a signer would be. */
struct world {
	struct event_base *base;
	struct config c;
	struct made issuers[CA_COUNT];
	struct buf pem[CA_COUNT];
	struct tls_mint *mint;
	int signer; /* -1: none */
	struct sign_question asked;
};

/* One that waits. */
struct asker {
	struct mint_wait *wait;
	unsigned told;
	bool good;
};

static void
connect_signer(struct world *w)
{
	int ends[2];

	assert_true(ipc_pair(ends));
	if (w->signer >= 0)
		close(w->signer);
	w->signer = ends[0];
	tls_mint_connect(w->mint, ends[1]);
}

static int
set_up(void **state)
{
	static struct world w;
	static const struct make how[CA_COUNT] = {[CA_TRUSTED] = {.cn = "Trusted", .is_ca = true},
	    [CA_UNTRUSTED] = {.cn = "Untrusted", .is_ca = true}};
	const char *why;

	w = (struct world){.signer = -1, .base = event_base_new()};
	for (unsigned i = 0; i < CA_COUNT; i++) {
		w.issuers[i] = made_new(&how[i]);
		buf_init(&w.pem[i], 65536);
		made_certificate(&w.issuers[i], &w.pem[i]);
		w.c.tls.ca[i].chain_pem = buf_span(&w.pem[i]);
	}
	w.mint = tls_mint_new(w.base, &w.c, &why);
	*state = &w;
	return w.mint == NULL;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	tls_mint_free(w->mint);
	if (w->signer >= 0)
		close(w->signer);
	event_base_free(w->base);
	for (unsigned i = 0; i < CA_COUNT; i++) {
		made_free(&w->issuers[i]);
		buf_free(&w->pem[i]);
	}
	return 0;
}

static void
turn(struct world *w)
{
	event_base_loop(w->base, EVLOOP_NONBLOCK);
}

/* False: there is no question. */
static bool
hear(struct world *w)
{
	ssize_t n = recv(w->signer, &w->asked, sizeof(w->asked), MSG_DONTWAIT);

	assert_true(n == (ssize_t)sizeof(w->asked) || (n < 0 && errno == EAGAIN));
	return n > 0;
}

static void
say(struct world *w, uint32_t result)
{
	struct sign_answer a = {.id = w->asked.id, .result = result};
	struct made *m = &w->issuers[w->asked.which];
	const struct ca ca = {m->x, m->key};
	unsigned char *der = a.der;

	if (result == SIGN_DONE) {
		X509 *x = leaf_sign(&ca, &w->asked.leaf, (int64_t)time(NULL));

		assert_non_null(x);
		a.n = (uint32_t)i2d_X509(x, &der);
		X509_free(x);
	}
	assert_true(send(w->signer, &a, SIGN_ANSWER_LEAST + a.n, 0) > 0);
	turn(w);
}

static void
on_done(void *arg, bool good)
{
	struct asker *a = arg;

	a->told++;
	a->good = good;
	a->wait = NULL;
}

static const struct tls_identity *
get(struct world *w, const struct made *real, bool trusted, struct asker *a)
{
	return tls_mint_get(
	    w->mint, real->x, span_str("mx.example"), trusted, on_done, a, &a->wait);
}

static struct made
a_server(int rsa)
{
	const struct make how = {.cn = "mx.example", .alternatives = "DNS:mx.example", .rsa = rsa};

	return made_new(&how);
}

static void
test_asked_once_and_kept_T_017(void **state)
{
	struct world *w = *state;
	struct made real = a_server(2048);
	struct asker one = {0}, two = {0}, three = {0};
	const struct tls_identity *id;
	X509 *leaf;

	connect_signer(w);
	assert_null(get(w, &real, true, &one));
	assert_null(get(w, &real, true, &two));
	assert_non_null(one.wait);
	assert_true(hear(w));
	assert_false(hear(w));
	assert_int_equal(w->asked.which, CA_TRUSTED);
	assert_int_equal(w->asked.leaf.key, LEAF_RSA);
	assert_int_equal(one.told, 0);
	say(w, SIGN_DONE);
	assert_true(one.told == 1 && one.good && two.told == 1 && two.good);
	id = get(w, &real, true, &three);
	assert_non_null(id);
	assert_null(three.wait);
	assert_string_equal(id->name, "minted");
	assert_null(id->chain);
	leaf = id->leaf;
	assert_int_equal(X509_check_private_key(leaf, id->key), 1);
	assert_ptr_equal(get(w, &real, true, &three)->leaf, leaf);
	assert_false(hear(w));
	/* of the other CA it is another one */
	assert_null(get(w, &real, false, &one));
	assert_true(hear(w));
	assert_int_equal(w->asked.which, CA_UNTRUSTED);
	say(w, SIGN_DONE);
	id = get(w, &real, false, &three);
	assert_string_equal(id->name, "minted_untrusted");
	assert_ptr_not_equal(id->leaf, leaf);
	made_free(&real);
}

static void
test_refused_and_garbage(void **state)
{
	static const uint32_t results[] = {SIGN_TOO_OFTEN, SIGN_FAILED, SIGN_RESULTS};
	struct world *w = *state;
	struct made real = a_server(0);

	connect_signer(w);
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		struct asker a = {0};

		assert_null(get(w, &real, true, &a));
		assert_true(hear(w));
		say(w, results[i]);
		assert_true(a.told == 1 && !a.good);
	}
	made_free(&real);
}

/* A leaf for another key is none that could be shown. */
static void
test_a_leaf_for_another_key(void **state)
{
	struct world *w = *state;
	struct made real = a_server(0), other = a_server(0);
	struct asker a = {0};

	connect_signer(w);
	assert_null(get(w, &real, true, &a));
	assert_true(hear(w));
	assert_true(leaf_set_key(&w->asked.leaf, other.key));
	say(w, SIGN_DONE);
	assert_true(a.told == 1 && !a.good);
	made_free(&real);
	made_free(&other);
}

static void
test_waits_for_a_signer_and_outlives_one(void **state)
{
	struct world *w = *state;
	struct made real = a_server(0);
	struct asker a = {0}, b = {0};

	assert_null(get(w, &real, true, &a));
	assert_non_null(a.wait);
	connect_signer(w);
	assert_true(hear(w));
	close(w->signer); /* it dies with the question */
	w->signer = -1;
	turn(w);
	assert_int_equal(a.told, 0);
	connect_signer(w);
	assert_true(hear(w));
	say(w, SIGN_DONE);
	assert_true(a.told == 1 && a.good);
	assert_non_null(get(w, &real, true, &b));
	made_free(&real);
}

static void
test_given_up_when_two_died_of_it(void **state)
{
	struct world *w = *state;
	struct made real = a_server(0);
	struct asker a = {0};

	assert_null(get(w, &real, true, &a));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(a.told, 0);
		connect_signer(w);
		assert_true(hear(w));
	}
	close(w->signer);
	w->signer = -1;
	turn(w);
	assert_true(a.told == 1 && !a.good);
	made_free(&real);
}

static void
test_answers_that_are_none_end_the_connection(void **state)
{
	struct world *w = *state;
	struct made real = a_server(0);
	struct asker a = {0};
	char none[1];

	connect_signer(w);
	assert_null(get(w, &real, true, &a));
	assert_true(hear(w));
	assert_int_equal(send(w->signer, "x", 1, 0), 1);
	turn(w);
	assert_int_equal(recv(w->signer, none, 1, 0), 0);
	connect_signer(w);
	assert_true(hear(w));
	say(w, SIGN_DONE);
	assert_true(a.told == 1 && a.good);
	made_free(&real);
}

static void
test_who_does_not_wait_any_more_is_not_told(void **state)
{
	struct world *w = *state;
	struct made real = a_server(0);
	struct asker a = {0}, b = {0};

	connect_signer(w);
	assert_null(get(w, &real, true, &a));
	assert_null(get(w, &real, true, &b));
	mint_cancel(a.wait);
	assert_true(hear(w));
	say(w, SIGN_DONE);
	assert_int_equal(a.told, 0);
	assert_int_equal(b.told, 1);
	made_free(&real);
}

static void
test_bounds(void **state)
{
	struct world *w = *state;
	struct made first = a_server(0), real;
	struct asker a = {0}, many[MINT_ASKED_MAX] = {{0}};

	for (int i = 0; i < MINT_ASKED_MAX; i++) {
		real = a_server(0);
		assert_null(get(w, &real, true, &many[i]));
		assert_non_null(many[i].wait);
		made_free(&real);
	}
	assert_null(get(w, &first, true, &a));
	assert_null(a.wait); /* at once */
	connect_signer(w);
	for (int i = 0; i < MINT_ASKED_MAX; i++) {
		while (!hear(w))
			turn(w);
		say(w, SIGN_DONE);
		assert_true(many[i].told == 1 && many[i].good);
	}
	/* the one that was not wanted for longest makes room */
	assert_null(get(w, &first, true, &a));
	assert_true(hear(w));
	say(w, SIGN_DONE);
	for (int i = 0; i < MINT_KEPT_MAX; i++) {
		real = a_server(0);
		assert_null(get(w, &real, true, &a));
		assert_true(hear(w));
		say(w, SIGN_DONE);
		made_free(&real);
		if (i == MINT_KEPT_MAX - 2)
			assert_non_null(get(w, &first, true, &a));
	}
	assert_non_null(get(w, &first, true, &a));
	made_free(&first);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_asked_once_and_kept_T_017, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_refused_and_garbage, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_leaf_for_another_key, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_waits_for_a_signer_and_outlives_one, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_given_up_when_two_died_of_it, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_answers_that_are_none_end_the_connection, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_who_does_not_wait_any_more_is_not_told, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
