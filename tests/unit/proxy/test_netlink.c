#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cap-ng.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/table.h>
#include <linux/fib_rules.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "netlink.h"
#include "own_network.h"

#define ROOM (256u << 10)

struct transaction {
	_Alignas(struct nlmsghdr) char octets[ROOM];
	size_t n;
	uint32_t first, next;
};

static struct nlmsghdr *
here(struct transaction *t)
{
	void *p = t->octets + t->n;

	return p;
}

static void
begin(struct transaction *t, struct netlink *nl, uint32_t messages)
{
	t->n = 0;
	t->first = t->next = netlink_sequence(nl, messages + 2);
	t->n += nftnl_batch_begin((char *)here(t), t->next++)->nlmsg_len;
}

static void
end(struct transaction *t)
{
	t->n += nftnl_batch_end((char *)here(t), t->next++)->nlmsg_len;
}

/* Returns the number of the message. */
static uint32_t
put_table(struct transaction *t, uint16_t type, const char *name, uint16_t flags)
{
	struct nftnl_table *table = nftnl_table_alloc();
	struct nlmsghdr *m =
	    nftnl_nlmsg_build_hdr((char *)here(t), type, NFPROTO_INET, flags, t->next);

	nftnl_table_set_str(table, NFTNL_TABLE_NAME, name);
	nftnl_table_nlmsg_build_payload(m, table);
	nftnl_table_free(table);
	t->n += m->nlmsg_len;
	assert_true(t->n < ROOM - 4096);
	return t->next++;
}

static uint32_t
put_chain(struct transaction *t, uint16_t type, const char *table, const char *name, uint16_t flags)
{
	struct nftnl_chain *chain = nftnl_chain_alloc();
	struct nlmsghdr *m =
	    nftnl_nlmsg_build_hdr((char *)here(t), type, NFPROTO_INET, flags, t->next);

	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, table);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
	nftnl_chain_nlmsg_build_payload(m, chain);
	nftnl_chain_free(chain);
	t->n += m->nlmsg_len;
	return t->next++;
}

static bool
make_table(struct netlink *nl, const char *name, struct netlink_error *err)
{
	static struct transaction t;

	begin(&t, nl, 1);
	put_table(&t, NFT_MSG_NEWTABLE, name, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
	end(&t);
	return netlink_batch(nl, t.octets, t.n, err);
}

struct found {
	size_t n, twins; /* of them with a name that begins with "twin" */
};

static void
on_table(void *arg, const struct nlmsghdr *m)
{
	struct found *found = arg;
	struct nftnl_table *t = nftnl_table_alloc();

	assert_int_equal(nftnl_table_nlmsg_parse(m, t), 0);
	found->n++;
	found->twins += strncmp(nftnl_table_get_str(t, NFTNL_TABLE_NAME), "twin", 4) == 0;
	nftnl_table_free(t);
}

static struct found
dump(struct netlink *nl, uint16_t type, netlink_message *each)
{
	_Alignas(struct nlmsghdr) char room[256];
	struct nlmsghdr *m = nftnl_nlmsg_build_hdr(room, type, NFPROTO_INET, 0, 0);
	struct found found = {0};
	struct netlink_error err;

	if (!netlink_dump(nl, m, each, &found, &err))
		fail_msg("%s", err.text);
	return found;
}

static struct found
dump_tables(struct netlink *nl)
{
	return dump(nl, NFT_MSG_GETTABLE, on_table);
}

static struct netlink *
open_tables(void)
{
	struct netlink *nl = netlink_open(NETLINK_NETFILTER);

	assert_non_null(nl);
	return nl;
}

/* ---- the socket ---- */

static void
sockets_close_on_exec_and_have_numbers(void **state)
{
	struct netlink *a = open_tables(), *b = open_tables();

	(void)state;
	assert_int_not_equal(fcntl(netlink_fd(a), F_GETFD) & FD_CLOEXEC, 0);
	assert_int_not_equal(netlink_port(a), 0);
	assert_int_not_equal(netlink_port(a), netlink_port(b));
	assert_int_equal(netlink_sequence(a, 10), 1);
	assert_int_equal(netlink_sequence(a, 1), 11);
	netlink_close(a);
	netlink_close(b);
	netlink_close(NULL);
}

/* Never 0, which a caller takes for "none". */
static void
numbers_go_round(void **state)
{
	struct netlink *nl = open_tables();

	(void)state;
	assert_int_equal(netlink_sequence(nl, UINT32_MAX - 2), 1);
	assert_int_equal(netlink_sequence(nl, 5), 1);
	netlink_close(nl);
}

static void
unknown_protocol_says_why(void **state)
{
	(void)state;
	assert_null(netlink_open(77));
	assert_int_equal(errno, EPROTONOSUPPORT);
}

/* ---- transactions ---- */

static void
transaction_is_done(void **state)
{
	static struct transaction t;
	struct netlink *nl = open_tables();
	struct netlink_error err;

	(void)state;
	begin(&t, nl, 3);
	put_table(&t, NFT_MSG_NEWTABLE, "one", NLM_F_CREATE);
	put_table(&t, NFT_MSG_NEWTABLE, "two", NLM_F_CREATE | NLM_F_ACK);
	put_chain(&t, NFT_MSG_NEWCHAIN, "two", "some", NLM_F_CREATE | NLM_F_ACK);
	end(&t);
	assert_true(netlink_batch(nl, t.octets, t.n, &err));
	assert_int_equal(err.seq, 0);
	assert_int_equal(err.code, 0);
	assert_int_equal(dump_tables(nl).n, 2);
	netlink_close(nl);
}

/* All or nothing, and the first of two faults is named. */
static void
refused_transaction_names_the_message(void **state)
{
	static struct transaction t;
	struct netlink *nl = open_tables();
	struct netlink_error err;
	uint32_t bad;

	(void)state;
	begin(&t, nl, 4);
	put_table(&t, NFT_MSG_NEWTABLE, "one", NLM_F_CREATE | NLM_F_ACK);
	bad = put_chain(&t, NFT_MSG_NEWCHAIN, "nowhere", "some", NLM_F_CREATE);
	put_chain(&t, NFT_MSG_NEWCHAIN, "neither", "some", NLM_F_CREATE);
	put_table(&t, NFT_MSG_NEWTABLE, "two", NLM_F_CREATE | NLM_F_ACK);
	end(&t);
	assert_false(netlink_batch(nl, t.octets, t.n, &err));
	assert_int_equal(err.seq, bad);
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.text, "No such file or directory");
	assert_int_equal(dump_tables(nl).n, 0);
	/* and nothing of it is taken for an answer to the next one */
	assert_true(make_table(nl, "one", &err));
	assert_false(make_table(nl, "one", &err));
	assert_int_equal(err.code, EEXIST);
	netlink_close(nl);
}

static void
transaction_needs_privilege(void **state)
{
	struct netlink *nl = open_tables();
	struct netlink_error err;
	uint32_t next = netlink_sequence(nl, 1) + 1;

	(void)state;
	capng_get_caps_process();
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_NET_ADMIN);
	assert_int_equal(capng_apply(CAPNG_SELECT_CAPS), 0);
	assert_false(make_table(nl, "one", &err));
	assert_int_equal(err.code, EPERM);
	assert_int_equal(err.seq, next);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, CAP_NET_ADMIN);
	assert_int_equal(capng_apply(CAPNG_SELECT_CAPS), 0);
	assert_true(make_table(nl, "one", &err));
	netlink_close(nl);
}

/* Each would be taken by the kernel for something else than it says, or never answered. */
static void
malformed_transactions_are_not_sent(void **state)
{
	static struct transaction t;
	struct netlink *nl = open_tables();
	struct netlink_error err;
	size_t without_end;

	(void)state;
	begin(&t, nl, 1);
	put_table(&t, NFT_MSG_NEWTABLE, "one", NLM_F_CREATE | NLM_F_ACK);
	without_end = t.n;
	end(&t);
	assert_false(netlink_batch(nl, t.octets, without_end, &err));
	assert_int_equal(err.code, EINVAL);
	assert_int_equal(err.seq, 0);
	assert_false(netlink_batch(nl, t.octets, t.n - 4, &err));
	assert_int_equal(err.code, EINVAL);
	assert_false(netlink_batch(nl, t.octets, 0, &err));
	assert_int_equal(err.code, EINVAL);
	begin(&t, nl, 1);
	put_table(&t, NFT_MSG_NEWTABLE, "one", NLM_F_CREATE);
	end(&t);
	assert_false(netlink_batch(nl, t.octets, t.n, &err));
	assert_int_equal(err.code, EINVAL);
	assert_int_equal(dump_tables(nl).n, 0);
	netlink_close(nl);
}

/* A begin mark alone, and without its payload, is one of the few things that are not answered. */
static void
missing_answer_is_not_waited_for_forever(void **state)
{
	_Alignas(struct nlmsghdr) char room[64];
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	struct netlink *nl = open_tables();
	struct netlink_error err;
	struct timespec from, to;

	(void)state;
	m->nlmsg_type = NFNL_MSG_BATCH_BEGIN;
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_false(netlink_request(nl, m, NULL, NULL, &err));
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_int_equal(err.code, ETIMEDOUT);
	assert_in_range(
	    to.tv_sec - from.tv_sec, NETLINK_WAIT_MS / 1000 - 1, NETLINK_WAIT_MS / 1000 + 5);
	assert_true(make_table(nl, "one", &err));
	netlink_close(nl);
}

/* ---- requests ---- */

static void
request_is_answered_with_the_kernels_words(void **state)
{
	_Alignas(struct nlmsghdr) char room[256];
	struct netlink *nl = netlink_open(NETLINK_ROUTE);
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	struct fib_rule_hdr *h = mnl_nlmsg_put_extra_header(m, sizeof(*h));
	struct netlink_error err;

	(void)state;
	assert_non_null(nl);
	m->nlmsg_type = RTM_NEWRULE;
	m->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	h->family = AF_INET;
	h->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(m, FRA_TABLE, 1000);
	mnl_attr_put_u32(m, FRA_PRIORITY, 1000);
	assert_true(netlink_request(nl, m, NULL, NULL, &err));
	assert_int_equal(err.code, 0);
	assert_false(netlink_request(nl, m, NULL, NULL, &err));
	assert_int_equal(err.code, EEXIST);
	h->src_len = 77;
	assert_false(netlink_request(nl, m, NULL, NULL, &err));
	assert_int_equal(err.code, EINVAL);
	assert_int_equal(err.seq, m->nlmsg_seq);
	assert_string_equal(err.text, "Invalid argument (Invalid source address)");
	netlink_close(nl);
}

static void
request_gives_what_it_asked_for(void **state)
{
	_Alignas(struct nlmsghdr) char room[256];
	struct netlink *nl = open_tables();
	struct nlmsghdr *m = nftnl_nlmsg_build_hdr(room, NFT_MSG_GETTABLE, NFPROTO_INET, 0, 0);
	struct found found = {0};
	struct netlink_error err;

	(void)state;
	mnl_attr_put_strz(m, NFTA_TABLE_NAME, "twin");
	assert_false(netlink_request(nl, m, on_table, &found, &err));
	assert_int_equal(err.code, ENOENT);
	assert_true(make_table(nl, "twin", &err));
	assert_true(make_table(nl, "other", &err));
	assert_true(netlink_request(nl, m, on_table, &found, &err));
	assert_int_equal(found.n, 1);
	assert_int_equal(found.twins, 1);
	netlink_close(nl);
}

/* ---- dumps ---- */

#define MANY  800
#define FIRST "t0"
#define LAST  "t799"

/* Tables, with a chain in each. */
static void
make_many(struct netlink *nl)
{
	static struct transaction t;
	struct netlink_error err;

	begin(&t, nl, 2 * MANY);
	for (unsigned i = 0; i < MANY; i++) {
		char name[32];
		snprintf(name, sizeof(name), "t%u", i);
		put_table(&t, NFT_MSG_NEWTABLE, name, NLM_F_CREATE);
		put_chain(&t, NFT_MSG_NEWCHAIN, name, "some", NLM_F_CREATE | NLM_F_ACK);
	}
	end(&t);
	if (!netlink_batch(nl, t.octets, t.n, &err))
		fail_msg("%s", err.text);
}

static void
long_dump_is_whole(void **state)
{
	struct netlink *nl = open_tables();

	(void)state;
	assert_int_equal(dump_tables(nl).n, 0);
	make_many(nl);
	assert_int_equal(dump_tables(nl).n, MANY);
	netlink_close(nl);
}

struct changer {
	struct netlink *nl;
	atomic_bool stop;
	atomic_uint changes;
};

/* Two chains, in the first table and in the last, are only ever made and deleted together. */
static void *
change(void *arg)
{
	static struct transaction t;
	static const struct timespec pause = {0, 10000000};
	struct changer *c = arg;
	uint16_t type = NFT_MSG_NEWCHAIN;
	struct netlink_error err;

	while (!atomic_load(&c->stop)) {
		uint16_t flags = type == NFT_MSG_NEWCHAIN ? NLM_F_CREATE : 0;
		begin(&t, c->nl, 2);
		put_chain(&t, type, FIRST, "twin", flags);
		put_chain(&t, type, LAST, "twin", flags | NLM_F_ACK);
		end(&t);
		if (!netlink_batch(c->nl, t.octets, t.n, &err))
			break;
		atomic_fetch_add(&c->changes, 1);
		type = type == NFT_MSG_NEWCHAIN ? NFT_MSG_DELCHAIN : NFT_MSG_NEWCHAIN;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void
on_chain(void *arg, const struct nlmsghdr *m)
{
	struct found *found = arg;
	struct nftnl_chain *c = nftnl_chain_alloc();

	assert_int_equal(nftnl_chain_nlmsg_parse(m, c), 0);
	found->n++;
	found->twins += strcmp(nftnl_chain_get_str(c, NFTNL_CHAIN_NAME), "twin") == 0;
	nftnl_chain_free(c);
}

static void
dump_is_never_half_of_a_change(void **state)
{
	struct changer c = {.nl = open_tables()};
	struct netlink *nl = open_tables();
	unsigned with = 0, without = 0, seen = 0;
	pthread_t thread;

	(void)state;
	make_many(nl);
	assert_int_equal(pthread_create(&thread, NULL, change, &c), 0);
	for (unsigned i = 0; seen < 100 && i < 100000; i++) {
		struct found found = dump(nl, NFT_MSG_GETCHAIN, on_chain);
		/* one that was put in, ahead of the commit, shifts others into view again */
		assert_in_range(found.n, MANY + found.twins, MANY + found.twins + 2);
		assert_true(found.twins == 0 || found.twins == 2);
		with += found.twins == 2;
		without += found.twins == 0;
		seen = atomic_load(&c.changes);
	}
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	assert_true(seen >= 100 && with > 0 && without > 0);
	netlink_close(nl);
	netlink_close(c.nl);
}

/* ---- notifications ---- */

struct heard {
	unsigned tables, all;
};

static void
on_news(void *arg, const struct nlmsghdr *m)
{
	struct heard *h = arg;

	h->all++;
	h->tables += m->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE);
}

static void
changes_by_others_are_told(void **state)
{
	struct netlink *ear = open_tables(), *nl = open_tables();
	struct netlink_error err;
	struct heard h = {0};

	(void)state;
	assert_true(netlink_join(ear, NFNLGRP_NFTABLES));
	assert_int_equal(netlink_news(ear, on_news, &h), NETLINK_NOTHING);
	assert_true(make_table(nl, "one", &err));
	assert_int_equal(netlink_news(ear, on_news, &h), NETLINK_READ);
	assert_int_equal(h.tables, 1);
	assert_int_equal(netlink_news(ear, on_news, &h), NETLINK_NOTHING);
	netlink_close(ear);
	netlink_close(nl);
}

static void
what_was_missed_is_said_once(void **state)
{
	struct netlink *ear = open_tables(), *nl = open_tables();
	struct netlink_error err;
	struct heard h = {0};
	int small = 4096;

	(void)state;
	assert_true(netlink_join(ear, NFNLGRP_NFTABLES));
	setsockopt(netlink_fd(ear), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (int i = 0; i < 200; i++) {
		char name[32];
		snprintf(name, sizeof(name), "t%d", i);
		assert_true(make_table(nl, name, &err));
	}
	assert_int_equal(netlink_news(ear, on_news, &h), NETLINK_MISSED);
	while (netlink_news(ear, on_news, &h) == NETLINK_READ)
		;
	assert_in_range(h.tables, 1, 199);
	assert_int_equal(netlink_news(ear, on_news, &h), NETLINK_NOTHING);
	assert_true(make_table(nl, "one more", &err));
	assert_int_equal(netlink_news(ear, on_news, &h), NETLINK_READ);
	netlink_close(ear);
	netlink_close(nl);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, own_network)
	const struct CMUnitTest tests[] = {
	    TEST(sockets_close_on_exec_and_have_numbers),
	    TEST(numbers_go_round),
	    TEST(unknown_protocol_says_why),
	    TEST(transaction_is_done),
	    TEST(refused_transaction_names_the_message),
	    TEST(transaction_needs_privilege),
	    TEST(malformed_transactions_are_not_sent),
	    TEST(missing_answer_is_not_waited_for_forever),
	    TEST(request_is_answered_with_the_kernels_words),
	    TEST(request_gives_what_it_asked_for),
	    TEST(long_dump_is_whole),
	    TEST(dump_is_never_half_of_a_change),
	    TEST(changes_by_others_are_told),
	    TEST(what_was_missed_is_said_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
