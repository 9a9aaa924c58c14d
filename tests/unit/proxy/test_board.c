#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board.h"
#include "board_gateway.h"
#include "shared_page.h"

#define SESSIONS 4

struct bench {
	struct board *board;
	const struct board_page *page; /* as a reader sees it */
	size_t size;
	int readable;
};

static int
set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	int fd;

	assert_non_null(b);
	assert_true(shared_page_new("test", board_size(SESSIONS), &fd, &b->readable));
	b->board = board_open(fd, 3, 7);
	assert_non_null(b->board);
	b->page = shared_page_map(b->readable, false, sizeof(*b->page), &b->size);
	assert_non_null(b->page);
	*state = b;
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	board_close(b->board);
	munmap((void *)(uintptr_t)b->page, b->size);
	close(b->readable);
	free(b);
	return 0;
}

static struct record_session
session(uint64_t flow_id)
{
	struct record_session rs = {.flow_id = flow_id};

	rs.client = (struct endpoint){ip_v4((const uint8_t[]){192, 0, 2, 1}), 1024};
	rs.server = (struct endpoint){ip_v4((const uint8_t[]){198, 51, 100, 1}), 25};
	return rs;
}

static struct board_seat
open_session(struct board *b, uint64_t flow_id)
{
	struct record_session rs = session(flow_id);
	struct board_seat seat;

	board_session_opened(b, PROTOCOL_SMTP, &rs, &seat);
	return seat;
}

static size_t
rows_taken(const struct bench *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->page->rows_used; i++)
		n += b->page->rows[i].seq != 0 && b->page->rows[i].seq % 2 == 0;
	return n;
}

static void
test_page_says_whose_it_is(void **state)
{
	struct bench *b = *state;

	assert_int_equal(b->page->magic, BOARD_MAGIC);
	assert_int_equal(b->page->version, BOARD_VERSION);
	assert_int_equal(b->page->size, board_size(SESSIONS));
	assert_int_equal(b->page->slot, 3);
	assert_int_equal(b->page->generation, 7);
	assert_int_equal(b->page->pid, getpid());
	assert_true(b->page->started > 0);
	board_state(b->board, BOARD_DRAINING);
	assert_int_equal(b->page->state, BOARD_DRAINING);
}

static void
test_reader_cannot_write_and_nobody_can_resize(void **state)
{
	struct bench *b = *state;

	assert_ptr_equal(
	    mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, b->readable, 0), MAP_FAILED);
	assert_int_not_equal(
	    mprotect((void *)(uintptr_t)b->page, b->size, PROT_READ | PROT_WRITE), 0);
	assert_int_not_equal(ftruncate(b->readable, 0), 0);
	assert_true(
	    (fcntl(b->readable, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) ==
	    (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
}

static void
test_what_is_no_page_is_not_mapped(void **state)
{
	size_t size;
	int fd, pipe_ends[2];

	(void)state;
	fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, 65536), 0);
	assert_null(shared_page_map(fd, false, 4096, &size)); /* could shrink under the reader */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_null(shared_page_map(fd, false, 65537, &size));
	close(fd);
	assert_int_equal(pipe(pipe_ends), 0);
	assert_null(shared_page_map(pipe_ends[0], false, 1, &size));
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

static void
test_session_is_on_the_page_while_it_runs(void **state)
{
	struct bench *b = *state;
	struct board_seat seat = open_session(b->board, 42);
	const struct board_row *row = &b->page->rows[seat.row];
	const struct board_protocol *p = &b->page->counts.protocol[PROTOCOL_SMTP];

	assert_int_equal(rows_taken(b), 1);
	assert_int_equal(row->flow_id, 42);
	assert_int_equal(row->client.port, 1024);
	assert_int_equal(row->server.port, 25);
	assert_int_equal(row->phase, BOARD_CONNECTING);
	board_session_phase(&seat, BOARD_DIALOGUE);
	assert_int_equal(row->phase, BOARD_DIALOGUE);
	board_session_octets(&seat, (const uint64_t[]){10, 20, 30, 40});
	board_session_octets(&seat, (const uint64_t[]){11, 22, 33, 44});
	assert_int_equal(row->octets[BOARD_FROM_SERVER], 44);
	assert_int_equal(p->octets[BOARD_FROM_CLIENT], 11);
	assert_int_equal(p->octets[BOARD_FROM_SERVER], 44);
	board_session_ended(&seat, "client_quit");
	assert_int_equal(rows_taken(b), 0);
	assert_int_equal(p->opened, 1);
	assert_int_equal(p->ended, 1);
	assert_int_equal(b->page->n_tallies, 1);
	assert_int_equal(b->page->tallies[0].kind, BOARD_ENDED);
	assert_string_equal(b->page->tallies[0].reason, "client_quit");
}

static void
test_rows_are_used_again_under_new_numbers(void **state)
{
	struct bench *b = *state;
	uint64_t last = 0;

	for (unsigned i = 0; i < 100; i++) {
		struct board_seat seat = open_session(b->board, i);

		assert_int_equal(seat.row, 0);
		assert_true(b->page->rows[0].seq > last);
		assert_int_equal(b->page->rows[0].seq % 2, 0);
		last = b->page->rows[0].seq;
		board_session_ended(&seat, "closed");
	}
	assert_int_equal(b->page->rows_used, 1);
}

static void
test_more_sessions_than_rows_are_counted_all_the_same(void **state)
{
	struct bench *b = *state;
	struct board_seat seat[SESSIONS + 2];

	for (unsigned i = 0; i < SESSIONS + 2; i++)
		seat[i] = open_session(b->board, i);
	assert_int_equal(rows_taken(b), SESSIONS);
	board_session_octets(&seat[SESSIONS], (const uint64_t[]){1, 1, 1, 1});
	board_session_phase(&seat[SESSIONS], BOARD_DIALOGUE);
	for (unsigned i = 0; i < SESSIONS + 2; i++)
		board_session_ended(&seat[i], "closed");
	assert_int_equal(b->page->counts.protocol[PROTOCOL_SMTP].opened, SESSIONS + 2);
	assert_int_equal(b->page->counts.protocol[PROTOCOL_SMTP].ended, SESSIONS + 2);
	assert_int_equal(b->page->counts.protocol[PROTOCOL_SMTP].octets[0], 1);
	assert_int_equal(rows_taken(b), 0);
}

static void
test_verdicts_by_rule_reason_and_code(void **state)
{
	struct bench *b = *state;
	struct board_seat seat = open_session(b->board, 1);
	struct verdict refused = {.action = VERDICT_REFUSE,
	    .rule = "relay",
	    .reason = "not_local",
	    .reply = "550 5.7.1 <a@b>... Relaying denied"};
	struct verdict reported = {.action = VERDICT_PASS,
	    .would_refuse = true,
	    .rule = "relay",
	    .reason = "not_local",
	    .reply = "550 5.7.1 no"};
	struct verdict none = {.action = VERDICT_PASS, .rule = "none", .reason = "none"};
	struct verdict ask = {.action = VERDICT_ASK, .rule = "relay", .reason = "undecided"};

	board_verdict(&seat, &refused);
	board_verdict(&seat, &refused);
	board_verdict(&seat, &reported);
	board_verdict(&seat, &none);
	board_verdict(&seat, &ask);
	assert_int_equal(b->page->n_tallies, 2);
	assert_int_equal(b->page->tallies[0].kind, BOARD_REFUSED);
	assert_int_equal(b->page->tallies[0].code, 550);
	assert_int_equal(b->page->tallies[0].count, 2);
	assert_string_equal(b->page->tallies[0].rule, "relay");
	assert_int_equal(b->page->tallies[1].kind, BOARD_WOULD_REFUSE);
	board_session_ended(&seat, "closed");
}

/* Names beyond the table's end are still counted, in one. */
static void
test_full_table_counts_the_rest(void **state)
{
	struct bench *b = *state;
	static char reasons[BOARD_TALLIES + 5][48];

	for (unsigned i = 0; i < BOARD_TALLIES + 5; i++) {
		snprintf(reasons[i], sizeof(reasons[i]),
		    "a_reason_with_a_name_that_is_far_too_long_%u", i);
		board_refused(b->board, PROTOCOL_FTP, reasons[i]);
	}
	assert_int_equal(b->page->n_tallies, BOARD_TALLIES);
	assert_int_equal(b->page->counts.other[BOARD_TURNED_AWAY], 5);
	assert_int_equal(b->page->counts.protocol[PROTOCOL_FTP].turned_away, BOARD_TALLIES + 5);
	assert_int_equal(strlen(b->page->tallies[9].reason), BOARD_REASON_MAX - 1);
}

static void
test_dns_times_fall_into_buckets(void **state)
{
	struct bench *b = *state;

	board_dns(b->board, DNS_OK, 0);
	board_dns(b->board, DNS_OK, 1);
	board_dns(b->board, DNS_NXDOMAIN, 2);
	board_dns(b->board, DNS_FAILED, 5000);
	board_dns(b->board, DNS_TIMEOUT, 5001);
	assert_int_equal(b->page->counts.dns_bucket[0], 2);
	assert_int_equal(b->page->counts.dns_bucket[1], 1);
	assert_int_equal(b->page->counts.dns_bucket[BOARD_DNS_BUCKETS - 2], 1);
	assert_int_equal(b->page->counts.dns_bucket[BOARD_DNS_BUCKETS - 1], 1);
	assert_int_equal(b->page->counts.dns_status[DNS_OK], 2);
	assert_int_equal(b->page->counts.counter[BOARD_DNS_MS], 10004);
}

static void
test_without_a_board_nothing_happens(void **state)
{
	struct board_seat seat = open_session(NULL, 1);
	struct verdict v = {.action = VERDICT_REFUSE, .rule = "relay", .reason = "x"};

	(void)state;
	board_state(NULL, BOARD_SERVING);
	board_add(NULL, BOARD_CONNECTS, 1);
	board_count(NULL, BOARD_CONNECTS, 1);
	board_set(NULL, BOARD_STOCK4, 1);
	board_dns(NULL, DNS_OK, 1);
	board_refused(NULL, PROTOCOL_SMTP, "x");
	board_session_phase(&seat, BOARD_DIALOGUE);
	board_session_octets(&seat, (const uint64_t[]){1, 2, 3, 4});
	board_session_refused(&seat, "x");
	board_verdict(&seat, &v);
	board_message(&seat, BOARD_ACCEPTED);
	board_session_ended(&seat, "x");
	board_close(NULL);
	gateway_set(NULL, GATEWAY_MODE, 1);
	gateway_add(NULL, GATEWAY_MENDED, 1);
	gateway_config(NULL, NULL, 1);
	gateway_reload_refused(NULL, "x");
	gateway_log_trouble(NULL, "x");
	gateway_port(NULL, PROTOCOL_SMTP, 25, true);
}

/* What nobody wrote costs nothing: the page of a worker with room for a million sessions. */
static void
test_untouched_rows_cost_no_memory(void **state)
{
	int fd, readable;
	struct board *board;
	struct board_seat seat;
	struct stat st;

	(void)state;
	assert_true(shared_page_new("large", board_size(1000000), &fd, &readable));
	board = board_open(fd, 0, 1);
	assert_non_null(board);
	seat = open_session(board, 1);
	assert_int_equal(fstat(readable, &st), 0);
	assert_true(st.st_size > 100 << 20);
	assert_true(st.st_blocks * 512 < 256 << 10);
	board_session_ended(&seat, "closed");
	board_close(board);
	close(readable);
}

static void
test_gateway_page_is_bounded(void **state)
{
	char endless[2 * GATEWAY_TEXT_MAX];
	struct gateway_page *g, copy;
	int readable;

	(void)state;
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	g = gateway_page_new(&readable);
	assert_non_null(g);
	gateway_reload_refused(g, "postern.conf:3: what is wrong\nand more");
	gateway_log_trouble(g, endless);
	for (unsigned i = 0; i < 2 * GATEWAY_PORTS; i++)
		gateway_port(g, PROTOCOL_SMTP, i, i % 2 == 0);
	gateway_read(g, &copy);
	assert_string_equal(copy.refusal, "postern.conf:3: what is wrong");
	assert_int_equal(strlen(copy.log_trouble), GATEWAY_TEXT_MAX - 1);
	assert_int_equal(copy.n_intercepted, GATEWAY_PORTS);
	assert_int_equal(copy.n_unserved, GATEWAY_PORTS);
	gateway_log_trouble(g, NULL);
	gateway_read(g, &copy);
	assert_string_equal(copy.log_trouble, "");
	assert_int_equal(copy.number[GATEWAY_RELOADS_REFUSED], 1);
	g->seq |= 1; /* a writer that was killed in the middle: readers do not wait for it */
	gateway_read(g, &copy);
	munmap(g, sizeof(*g));
	close(readable);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_page_says_whose_it_is),
	    TEST(test_reader_cannot_write_and_nobody_can_resize),
	    cmocka_unit_test(test_what_is_no_page_is_not_mapped),
	    TEST(test_session_is_on_the_page_while_it_runs),
	    TEST(test_rows_are_used_again_under_new_numbers),
	    TEST(test_more_sessions_than_rows_are_counted_all_the_same),
	    TEST(test_verdicts_by_rule_reason_and_code),
	    TEST(test_full_table_counts_the_rest),
	    TEST(test_dns_times_fall_into_buckets),
	    cmocka_unit_test(test_without_a_board_nothing_happens),
	    cmocka_unit_test(test_untouched_rows_cost_no_memory),
	    cmocka_unit_test(test_gateway_page_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
