#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/buffer.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "prometheus.h"
#include "shared_page.h"
#include "status_command.h"
#include "status_render.h"

#define SESSIONS 8

/* A worker, and what the supervisor made for it. */
struct worker {
	unsigned slot, serial;
	struct board *board;
	uint8_t *raw; /* its page, to write anything */
	size_t size;
};

struct bench {
	struct status_totals *totals;
	int base; /* kept for the next process */
	unsigned serial;
	struct gateway_page *gateway;
	int gateway_fd;
	struct status_view view;
};

static int
set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->base = status_base_new();
	assert_true(b->base >= 0);
	b->totals = status_totals_new(dup(b->base));
	assert_non_null(b->totals);
	b->gateway = gateway_page_new(&b->gateway_fd);
	assert_non_null(b->gateway);
	b->view = (struct status_view){.totals = b->totals, .gateway = b->gateway};
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	status_totals_free(b->totals);
	munmap(b->gateway, sizeof(*b->gateway));
	close(b->gateway_fd);
	close(b->base);
	free(b);
	return 0;
}

static struct worker
start_worker(struct bench *b, unsigned slot)
{
	struct worker w = {.slot = slot, .serial = ++b->serial};
	int fd, readable;

	assert_true(shared_page_new("test", board_size(SESSIONS), &fd, &readable));
	w.raw = shared_page_map(fd, true, 1, &w.size);
	assert_non_null(w.raw);
	w.board = board_open(fd, slot, 1);
	assert_non_null(w.board);
	assert_true(status_totals_add(b->totals, slot, w.serial, readable));
	return w;
}

static void
forget_worker(struct worker *w)
{
	board_close(w->board);
	munmap(w->raw, w->size);
}

static void
end_worker(struct bench *b, struct worker *w)
{
	status_totals_gone(b->totals, w->slot, w->serial);
	forget_worker(w);
}

static struct board_seat
open_session(struct worker *w)
{
	struct record_session rs = {.flow_id = 5};
	struct board_seat seat;

	rs.client = (struct endpoint){ip_v4((const uint8_t[]){192, 0, 2, 1}), 1024};
	board_session_opened(w->board, PROTOCOL_SMTP, &rs, &seat);
	return seat;
}

static struct board_protocol
smtp(struct bench *b)
{
	struct board_counts all;

	status_sum_all(status_totals_sum(b->totals), &all);
	return all.protocol[PROTOCOL_SMTP];
}

/* ---- what was rendered, read again ---- */

static char *
rendered(struct bench *b, bool (*render)(const struct status_view *, struct evbuffer *))
{
	struct evbuffer *out = evbuffer_new();
	size_t n;
	char *text;

	assert_true(render(&b->view, out));
	n = evbuffer_get_length(out);
	text = malloc(n + 1);
	assert_non_null(text);
	evbuffer_remove(out, text, n);
	text[n] = '\0';
	assert_int_equal(strlen(text), n);
	evbuffer_free(out);
	return text;
}

static json_t *
json(struct bench *b, bool (*render)(const struct status_view *, struct evbuffer *))
{
	char *text = rendered(b, render);
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(o);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
	return o;
}

static void
metrics(struct bench *b, struct prometheus *m)
{
	char *text = rendered(b, status_metrics);

	prometheus_read(m, text);
	assert_null(m->fault);
	free(text);
}

static json_int_t
get(const json_t *o, const char *a, const char *b, const char *c)
{
	o = json_object_get(json_object_get(json_object_get(o, a), b), c);
	assert_true(json_is_integer(o));
	return json_integer_value(o);
}

/* ---- totals ---- */

static void
test_totals_of_all_workers(void **state)
{
	struct bench *b = *state;
	struct worker one = start_worker(b, 0), two = start_worker(b, 1), next = start_worker(b, 1);
	struct board_seat seat = open_session(&one);
	struct prometheus m;
	json_t *o;

	open_session(&two);
	open_session(&next);
	board_session_octets(&seat, (const uint64_t[]){1, 2, 3, 4});
	board_message(&seat, BOARD_ACCEPTED);
	board_session_ended(&seat, "client_quit");
	board_dns(one.board, DNS_OK, 3);
	board_dns(two.board, DNS_TIMEOUT, 5000);
	board_set(one.board, BOARD_STOCK4, 10);
	board_set(two.board, BOARD_STOCK4, 20);
	assert_int_equal(smtp(b).opened, 3);
	o = json(b, status_json);
	assert_int_equal(get(o, "sessions", "smtp", "opened"), 3);
	assert_int_equal(get(o, "sessions", "smtp", "active"), 2);
	assert_int_equal(get(o, "dns", "answers", "timeout"), 1);
	assert_int_equal(
	    json_array_size(json_object_get(json_object_get(o, "workers"), "running")), 3);
	json_decref(o);
	metrics(b, &m);
	assert_true(
	    prometheus_value(&m, "postern_sessions_total{protocol=\"smtp\",worker=\"0\"}") == 1);
	assert_true(
	    prometheus_value(&m, "postern_sessions_total{protocol=\"smtp\",worker=\"1\"}") == 2);
	assert_true(
	    prometheus_value(&m, "postern_sessions_active{protocol=\"smtp\",worker=\"0\"}") == 0);
	assert_true(prometheus_value(&m, "postern_dns_seconds_bucket{le=\"0.005\"}") == 1);
	assert_true(prometheus_value(&m, "postern_dns_seconds_bucket{le=\"+Inf\"}") == 2);
	assert_true(prometheus_value(&m, "postern_dns_seconds_sum") == 5.003);
	assert_true(prometheus_value(&m, "postern_transparent_sockets{family=\"ipv4\"}") == 30);
	assert_true(prometheus_value(
			&m, "postern_messages_total{protocol=\"smtp\",result=\"accepted\"}") == 1);
	assert_true(prometheus_value(&m, "postern_workers") == 3);
	prometheus_free(&m);
	forget_worker(&one);
	forget_worker(&two);
	forget_worker(&next);
}

/* R4: what a dead worker has counted stays, its sessions have ended, and nothing goes back. */
static void
test_r4_counts_outlive_their_worker(void **state)
{
	struct bench *b = *state;
	struct worker w = start_worker(b, 2);
	struct prometheus m;

	for (unsigned i = 0; i < 3; i++)
		open_session(&w);
	end_worker(b, &w);
	assert_int_equal(smtp(b).opened, 3);
	assert_int_equal(smtp(b).ended, 3);
	w = start_worker(b, 2);
	open_session(&w);
	metrics(b, &m);
	assert_true(
	    prometheus_value(&m, "postern_sessions_total{protocol=\"smtp\",worker=\"2\"}") == 4);
	assert_true(
	    prometheus_value(&m, "postern_sessions_active{protocol=\"smtp\",worker=\"2\"}") == 1);
	assert_true(
	    prometheus_value(
		&m, "postern_session_ends_total{protocol=\"smtp\",reason=\"worker_ended\"}") == 3);
	prometheus_free(&m);
	forget_worker(&w);
}

static void
test_counts_outlive_the_process_that_adds_up(void **state)
{
	struct bench *b = *state;
	struct worker w = start_worker(b, 0);

	open_session(&w);
	end_worker(b, &w);
	status_totals_free(b->totals);
	b->totals = status_totals_new(dup(b->base));
	assert_non_null(b->totals);
	assert_int_equal(smtp(b).opened, 1);
	assert_true(status_slot_seen(b->totals, 0));
}

static void
test_same_names_of_several_workers_are_one(void **state)
{
	struct bench *b = *state;
	struct worker one = start_worker(b, 0), two = start_worker(b, 1);
	char same[] = "client_limit"; /* the same text at another place */

	board_refused(one.board, PROTOCOL_SMTP, "client_limit");
	board_refused(one.board, PROTOCOL_SMTP, same);
	board_refused(two.board, PROTOCOL_SMTP, "client_limit");
	assert_int_equal(status_totals_sum(b->totals)->n_tallies, 1);
	assert_int_equal(status_totals_sum(b->totals)->tallies[0].count, 3);
	forget_worker(&one);
	forget_worker(&two);
}

static void
test_r5_live_sessions_are_listed(void **state)
{
	struct bench *b = *state;
	struct worker w = start_worker(b, 0);
	struct board_seat gone = open_session(&w), seat = open_session(&w);
	json_t *o, *one;

	board_session_ended(&gone, "closed");
	board_session_phase(&seat, BOARD_MESSAGE);
	o = json(b, status_sessions_json);
	assert_int_equal(json_array_size(json_object_get(o, "sessions")), 1);
	one = json_array_get(json_object_get(o, "sessions"), 0);
	assert_string_equal(json_string_value(json_object_get(one, "src_ip")), "192.0.2.1");
	assert_string_equal(json_string_value(json_object_get(one, "phase")), "message");
	assert_string_equal(json_string_value(json_object_get(one, "app_proto")), "smtp");
	assert_int_equal(json_integer_value(json_object_get(one, "flow_id")), 5);
	json_decref(o);
	forget_worker(&w);
}

/* whether a dead gateway is an open gate, and what nobody looks at. */
static void
test_a_003_a_005_gateway_facts(void **state)
{
	struct bench *b = *state;
	struct prometheus m;
	json_t *o;

	gateway_set(b->gateway, GATEWAY_MODE, INTERCEPT_TPROXY);
	gateway_set(b->gateway, GATEWAY_GUARD, GUARD_BYPASS);
	gateway_port(b->gateway, PROTOCOL_SMTP, 25, true);
	gateway_port(b->gateway, PROTOCOL_FTP, 21, false);
	gateway_reload_refused(b->gateway, "a\033[31m.conf:1: \"\\ \xff\nmore");
	o = json(b, status_json);
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(o, "guard"), "state")), "bypass");
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(o, "reloads"), "refusal")),
	    "a\\x1b[31m.conf:1: \"\\ \\xff");
	assert_int_equal(
	    json_array_size(json_object_get(json_object_get(o, "ports"), "not_served")), 1);
	json_decref(o);
	metrics(b, &m);
	assert_true(prometheus_value(&m, "postern_guard{state=\"bypass\"}") == 1);
	assert_true(prometheus_value(&m, "postern_guard{state=\"block\"}") == 0);
	assert_true(prometheus_value(&m, "postern_mode{mode=\"tproxy\"}") == 1);
	assert_true(prometheus_value(&m,
			"postern_port{protocol=\"ftp\",port=\"21\",state=\"not_served\"}") == 1);
	assert_true(
	    prometheus_value(&m, "postern_build_info{version=\"" POSTERN_VERSION "\"}") == 1);
	prometheus_free(&m);
}

/* ---- pages that lie ---- */

static void
look_at_everything(struct bench *b)
{
	struct prometheus m;
	FILE *nowhere = fopen("/dev/null", "w");
	json_t *o = json(b, status_json);

	status_print(o, nowhere);
	json_decref(o);
	o = json(b, status_sessions_json);
	status_print_sessions(o, nowhere);
	json_decref(o);
	metrics(b, &m);
	prometheus_free(&m);
	fclose(nowhere);
}

static void
scribble(struct worker *w, unsigned seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < w->size; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		/* now and then all of one kind: bounds are met at their ends too */
		w->raw[i] = seed % 4 == 0 ? 0xff : seed % 4 == 1 ? 0x01 : (uint8_t)(x >> 24);
	}
}

/* V-011: a worker that was taken over writes anything. */
static void
test_v_011_garbage_harms_nobody(void **state)
{
	struct bench *b = *state;

	for (unsigned seed = 0; seed < 40; seed++) {
		struct worker w = start_worker(b, seed % WORKERS_MAX);

		scribble(&w, seed);
		look_at_everything(b);
		scribble(&w, seed + 1);
		look_at_everything(b);
		end_worker(b, &w);
		look_at_everything(b);
	}
}

static void
test_names_that_are_none_of_ours_do_not_come_out(void **state)
{
	struct bench *b = *state;
	struct worker w = start_worker(b, 0);
	struct board_page *page = (struct board_page *)(void *)w.raw;
	char *text;

	board_refused(w.board, PROTOCOL_SMTP, "x\"} 1\npostern_guard{state=\"block");
	board_refused(w.board, PROTOCOL_SMTP, "\033]0;owned\007");
	board_refused(w.board, PROTOCOL_SMTP, "fine");
	memset(page->tallies[2].rule, 'a', BOARD_RULE_MAX); /* without an end */
	text = rendered(b, status_metrics);
	assert_null(strstr(text, "owned"));
	assert_null(strstr(text, "1\npostern_guard{state=\"block\"} 1"));
	assert_null(strstr(text, "aaaa"));
	free(text);
	look_at_everything(b);
	forget_worker(&w);
}

static void
test_counters_of_a_liar_do_not_go_back(void **state)
{
	struct bench *b = *state;
	struct worker w = start_worker(b, 0);
	struct board_page *page = (struct board_page *)(void *)w.raw;
	uint64_t *opened = &page->counts.protocol[PROTOCOL_SMTP].opened;

	board_refused(w.board, PROTOCOL_SMTP, "client_limit");
	page->tallies[0].count = 50;
	*opened = 100;
	assert_int_equal(smtp(b).opened, 100);
	*opened = 10;
	page->tallies[0].count = 1;
	strcpy(page->tallies[0].reason, "other_name");
	assert_int_equal(smtp(b).opened, 100);
	assert_int_equal(status_totals_sum(b->totals)->tallies[0].count, 50);
	assert_string_equal(status_totals_sum(b->totals)->tallies[0].reason, "client_limit");
	*opened = UINT64_MAX;
	assert_int_equal(smtp(b).opened, STATUS_COUNT_MAX);
	end_worker(b, &w);
	w = start_worker(b, 0);
	((struct board_page *)(void *)w.raw)->counts.protocol[PROTOCOL_SMTP].opened = UINT64_MAX;
	assert_int_equal(smtp(b).opened, STATUS_COUNT_MAX);
	forget_worker(&w);
}

static atomic_bool stop;

static void *
keep_scribbling(void *worker)
{
	unsigned seed = 0;

	while (!stop)
		scribble(worker, seed++);
	return NULL;
}

static void
test_garbage_while_it_is_read(void **state)
{
	struct bench *b = *state;
	struct worker w = start_worker(b, 0);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, keep_scribbling, &w), 0);
	for (unsigned i = 0; i < 50; i++)
		look_at_everything(b);
	stop = true;
	pthread_join(thread, NULL);
	forget_worker(&w);
}

static void
test_pages_are_bounded(void **state)
{
	struct bench *b = *state;
	int fd, readable;

	assert_false(status_totals_add(b->totals, 0, 1, memfd_create("none", MFD_CLOEXEC)));
	assert_true(shared_page_new("small", 100, &fd, &readable));
	close(fd);
	assert_false(status_totals_add(b->totals, 0, 1, readable));
	assert_true(shared_page_new("fine", board_size(1), &fd, &readable));
	assert_false(status_totals_add(b->totals, WORKERS_MAX, 1, dup(readable)));
	for (unsigned i = 0; i < STATUS_PAGES_MAX; i++)
		assert_true(status_totals_add(b->totals, 0, i, dup(readable)));
	assert_false(status_totals_add(b->totals, 0, 1, dup(readable)));
	status_totals_gone(b->totals, 0, 1);
	status_totals_gone(b->totals, 5, 2); /* nobody's */
	assert_int_equal(status_totals_workers(b->totals), STATUS_PAGES_MAX - 1);
	close(fd);
	close(readable);
}

/* For people: whatever answers there, no field has to be there. */
static void
test_print_takes_any_json(void **state)
{
	static const char *const answers[] = {"{}", "[]", "{\"workers\":5,\"sessions\":[1,{}]}",
	    "{\"sessions\":{\"smtp\":1,\"ftp\":{\"opened\":1}},\"verdicts\":[[],{\"code\":\"x\"}]}",
	    "{\"sessions\":[{\"src_ip\":\"%s%n\",\"started\":\"2026\"},{\"src_ip\":1}]}"};
	FILE *nowhere = fopen("/dev/null", "w");

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		json_t *o = json_loads(answers[i], 0, NULL);

		assert_non_null(o);
		status_print(o, nowhere);
		status_print_sessions(o, nowhere);
		json_decref(o);
	}
	fclose(nowhere);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_totals_of_all_workers),
	    TEST(test_r4_counts_outlive_their_worker),
	    TEST(test_counts_outlive_the_process_that_adds_up),
	    TEST(test_same_names_of_several_workers_are_one),
	    TEST(test_r5_live_sessions_are_listed),
	    TEST(test_a_003_a_005_gateway_facts),
	    TEST(test_v_011_garbage_harms_nobody),
	    TEST(test_names_that_are_none_of_ours_do_not_come_out),
	    TEST(test_counters_of_a_liar_do_not_go_back),
	    TEST(test_garbage_while_it_is_read),
	    TEST(test_pages_are_bounded),
	    cmocka_unit_test(test_print_takes_any_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
