#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "interception.h"
#include "kernel_tables.h"
#include "own_network.h"
#include "proxy/relay.h"

#define WATCHES	    1000 /* until three of them have found no quiet moment */
#define EARLY_DEMUX "/proc/sys/net/ipv4/tcp_early_demux"

static const char plain[] = "inside = {\"10.0.0.0/8\"}\nuser = \"nobody\"\nintercept { }\n";

static struct config *
config(const char *text)
{
	struct config *c = config_parse("-", text, strlen(text), stderr);

	assert_non_null(c);
	return c;
}

/* A configuration that has so many networks that to read them back takes a while. */
static struct config *
large_config(void)
{
	static const char head[] =
	    "inside = {\"10.0.0.0/8\"}\nuser = \"nobody\"\nintercept { bypass = {\"192.0.2.1\"";
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	struct config *c;

	assert_non_null(out);
	fputs(head, out);
	for (unsigned i = 0; i < 8000; i++)
		fprintf(out, ", \"11.0.%u.%u\"", i >> 7, i % 128 * 2);
	fputs("} }\n", out);
	fclose(out);
	c = config(text);
	free(text);
	return c;
}

static struct interception *
start(const struct config *c)
{
	enum protocol served[PROTOCOL_COUNT];
	size_t n = interception_protocols(served);
	char why[INTERCEPTION_TEXT_MAX];
	struct interception *i = interception_start(c, served, n, why);

	if (i == NULL)
		fail_msg("%s", why);
	return i;
}

/* A host that forwards. */
static int
own_router(void **state)
{
	own_network(state);
	write_text("/proc/sys/net/ipv4/ip_forward", "1");
	return 0;
}

static int
setting(const char *path)
{
	FILE *f = fopen(path, "re");
	int value = -1;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &value), 1); /* NOLINT(cert-err34-c): of the kernel */
	fclose(f);
	return value;
}

static void
protocols_are_those_that_have_a_relay(void **state)
{
	enum protocol served[PROTOCOL_COUNT];
	size_t n = interception_protocols(served), k = 0;

	(void)state;
	for (enum protocol p = 0; p < PROTOCOL_COUNT; p++)
		if (relay_ops_of(p) != NULL)
			assert_int_equal(served[k++], p);
	assert_int_equal(k, n);
}

/* What the first start has changed is changed back at the stop, whatever came in between. */
static void
early_demux_comes_back_after_a_reload(void **state)
{
	enum protocol served[PROTOCOL_COUNT];
	size_t n = interception_protocols(served);
	struct config *c = config(plain);
	char why[INTERCEPTION_TEXT_MAX];
	struct interception *i;

	(void)state;
	write_text(EARLY_DEMUX, "1");
	i = start(c);
	assert_int_equal(setting(EARLY_DEMUX), 0);
	assert_true(interception_reload(i, c, served, n, why));
	assert_int_equal(setting(EARLY_DEMUX), 0);
	assert_true(interception_stop(i, why));
	assert_int_equal(setting(EARLY_DEMUX), 1);
	config_free(c);
}

static struct firewall_flow
flow_to(uint16_t port)
{
	struct firewall_flow flow = {.port = port};

	assert_true(ip_parse(span_str("10.0.0.1"), &flow.source));
	assert_true(ip_parse(span_str("192.0.2.9"), &flow.destination));
	return flow;
}

static void
remove_guard(void)
{
	struct netlink *nl = netlink_open(NETLINK_NETFILTER);
	char why[KERNEL_TABLES_TEXT_MAX];
	struct buf batch;

	assert_non_null(nl);
	buf_init(&batch, FIREWALL_BATCH_MAX);
	assert_true(firewall_remove_batch(FIREWALL_GUARD, &batch));
	assert_true(kernel_tables_send(nl, &batch, NULL, why));
	buf_free(&batch);
	netlink_close(nl);
}

/*
 * A flow that is there already begins anew, at whatever worker; and the changes that are the
 * gateway's own are counted right, so that somebody else's is not taken for one of them.
 */
static void
flows_that_are_there_already(void **state)
{
	const struct firewall_flow flow = flow_to(2000);
	struct config *c = config(plain);
	struct interception *i = start(c);
	char why[INTERCEPTION_TEXT_MAX] = "";

	(void)state;
	for (unsigned worker = 0; worker < 3; worker++) {
		if (!interception_expect(i, &flow, (uint16_t)(30016 + worker / 2), 60, why) ||
		    !interception_pass(i, &flow, 60, why))
			fail_msg("%s", why);
	}
	remove_guard();
	assert_int_equal(interception_watch(i, false, why), INTERCEPTION_MENDED);
	assert_true(interception_expect(i, &flow, 30016, 60, why));
	remove_guard();
	assert_int_equal(interception_watch(i, false, why), INTERCEPTION_MENDED);
	assert_true(interception_forget(i, FIREWALL_DATA, &flow, why));
	assert_true(interception_forget(i, FIREWALL_DATA, &flow, why));
	assert_int_equal(interception_watch(i, true, why), INTERCEPTION_INTACT);
	assert_true(interception_stop(i, why));
	config_free(c);
}

/* ---- somebody who changes tables all the time ---- */

struct busy {
	struct netlink *nl;
	bool stop;
};

static void *
change_tables(void *arg)
{
	struct busy *b = arg;
	char why[KERNEL_TABLES_TEXT_MAX];
	struct buf batch;

	buf_init(&batch, FIREWALL_BATCH_MAX);
	if (!firewall_remove_batch("other", &batch))
		abort();
	while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED))
		if (!kernel_tables_send(b->nl, &batch, NULL, why))
			abort();
	buf_free(&batch);
	return NULL;
}

/* What could not be read is not taken for different: nothing is installed anew. */
static void
tables_that_others_change_all_the_time(void **state)
{
	const struct firewall_flow flow = flow_to(2000);
	struct config *c = large_config();
	struct interception *i = start(c);
	struct busy busy = {.nl = netlink_open(NETLINK_NETFILTER)};
	char why[INTERCEPTION_TEXT_MAX];
	unsigned unseen = 0;
	pthread_t thread;

	(void)state;
	assert_true(interception_expect(i, &flow, 30016, 60, why));
	assert_non_null(busy.nl);
	assert_int_equal(pthread_create(&thread, NULL, change_tables, &busy), 0);
	for (unsigned k = 0; k < WATCHES && unseen < 3; k++) {
		enum interception_state s = interception_watch(i, true, why);

		unseen += s == INTERCEPTION_UNSEEN;
		if (s != INTERCEPTION_UNSEEN && s != INTERCEPTION_INTACT)
			fail_msg("%s", why);
	}
	__atomic_store_n(&busy.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_true(unseen > 0);
	assert_int_equal(interception_watch(i, true, why), INTERCEPTION_INTACT);
	assert_true(interception_tables_intact(i));
	netlink_close(busy.nl);
	assert_true(interception_stop(i, why));
	config_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(protocols_are_those_that_have_a_relay),
	    cmocka_unit_test_setup(early_demux_comes_back_after_a_reload, own_router),
	    cmocka_unit_test_setup(flows_that_are_there_already, own_router),
	    cmocka_unit_test_setup(tables_that_others_change_all_the_time, own_router),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
