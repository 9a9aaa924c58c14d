#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/buf.h"

#include "channel.h"

#define SENT_MAX (1u << 20)

static void
receive(struct channel *c, const char *octets, size_t n)
{
	while (n > 0) {
		struct channel_room room = channel_room(c);
		size_t take = n < room.n ? n : room.n;

		assert_true(take > 0);
		memcpy(room.p, octets, take);
		channel_received(c, take);
		octets += take;
		n -= take;
	}
}

/* Sends at most max octets; what went out is added to out. */
static void
send_some(struct channel *c, size_t max, struct buf *out)
{
	struct iovec iov[4];
	size_t n = channel_iov(c, iov, 4), sent = 0;

	for (size_t i = 0; i < n && sent < max; i++) {
		size_t take = iov[i].iov_len < max - sent ? iov[i].iov_len : max - sent;

		buf_add(out, span_of(iov[i].iov_base, take));
		sent += take;
	}
	channel_sent(c, sent);
}

static void
assert_sent(const struct buf *out, const char *want)
{
	if (!span_eq(buf_span(out), span_str(want)))
		fail_msg("'%.*s' where '%s' was expected", (int)out->n, (const char *)out->p, want);
}

static void
test_input(void **state)
{
	struct channel c;

	(void)state;
	channel_init(&c);
	assert_int_equal(channel_input(&c).n, 0);
	receive(&c, "hello", 5);
	assert_true(span_eq(channel_input(&c), span_str("hello")));
	channel_parsed(&c, 2);
	assert_true(span_eq(channel_input(&c), span_str("llo")));
	assert_int_equal(c.received, 5);
	assert_int_equal(c.parsed, 2);
	receive(&c, "!", 1);
	assert_true(span_eq(channel_input(&c), span_str("llo!")));
	channel_discard(&c);
	assert_int_equal(channel_input(&c).n, 0);
	assert_int_equal(c.parsed, 6);
	channel_free(&c);
}

static void
test_idle_holds_nothing(void **state)
{
	struct channel from, to;
	struct buf out;

	(void)state;
	channel_init(&from);
	channel_init(&to);
	buf_init(&out, SENT_MAX);
	receive(&from, "NOOP\r\n", 6);
	channel_pass(&to, &from, channel_input(&from));
	channel_put(&to, span_str("x"));
	channel_parsed(&from, 6);
	send_some(&to, SIZE_MAX, &out);
	assert_sent(&out, "NOOP\r\nx");
	assert_null(from.in);
	assert_null(to.segments);
	assert_int_equal(to.queued, 0);
	buf_free(&out);
	channel_free(&from);
	channel_free(&to);
}

/* A block is full: what is not parsed moves to a new one, and there is room again. */
static void
test_block_is_full(void **state)
{
	struct channel c;
	static char octets[CHANNEL_BLOCK];

	(void)state;
	memset(octets, 'x', sizeof(octets));
	channel_init(&c);
	receive(&c, octets, sizeof(octets));
	assert_int_equal(channel_room(&c).n, 0);
	channel_parsed(&c, CHANNEL_BLOCK - 3);
	assert_int_equal(channel_room(&c).n, CHANNEL_BLOCK - 3);
	assert_true(span_eq(channel_input(&c), span_str("xxx")));
	channel_free(&c);
}

/* Whoever holds spans of the input finds them where they were. */
static void
test_held(void **state)
{
	struct channel c;
	struct span before;
	static char octets[CHANNEL_BLOCK];

	(void)state;
	memset(octets, 'x', sizeof(octets));
	channel_init(&c);
	receive(&c, octets, sizeof(octets));
	channel_parsed(&c, 100);
	c.held = true;
	before = channel_input(&c);
	assert_int_equal(channel_room(&c).n, 0);
	assert_ptr_equal(channel_input(&c).p, before.p);
	c.held = false;
	assert_true(channel_room(&c).n > 0);
	channel_free(&c);
}

static void
test_held_when_all_is_parsed(void **state)
{
	struct channel c;

	(void)state;
	channel_init(&c);
	receive(&c, "MAIL", 4);
	c.held = true;
	channel_parsed(&c, 4);
	assert_non_null(c.in);
	channel_discard(&c);
	assert_null(c.in);
	channel_free(&c);
}

/* Long pieces are borrowed: their block lives until they are sent, whatever becomes of the input.
 */
static void
test_borrowed(void **state)
{
	struct channel from, to;
	struct buf out;
	struct iovec iov[1];
	static char octets[40000];

	(void)state;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (char)('a' + i % 26);
	channel_init(&from);
	channel_init(&to);
	buf_init(&out, SENT_MAX);
	receive(&from, octets, sizeof(octets));
	channel_pass(&to, &from, channel_input(&from));
	assert_int_equal(channel_iov(&to, iov, 1), 1);
	assert_ptr_equal(iov[0].iov_base, channel_input(&from).p);
	channel_parsed(&from, sizeof(octets));
	receive(&from, "something else", 14);
	channel_free(&from);
	send_some(&to, SIZE_MAX, &out);
	assert_int_equal(out.n, sizeof(octets));
	assert_memory_equal(out.p, octets, sizeof(octets));
	buf_free(&out);
	channel_free(&to);
}

/* What is first in a queue is lent when it is shorter, too; what stands behind it is copied. */
static void
test_first_is_borrowed(void **state)
{
	struct channel from, to;
	struct iovec iov[2];
	static char octets[3 * 4096];

	(void)state;
	memset(octets, 'x', sizeof(octets));
	channel_init(&from);
	channel_init(&to);
	receive(&from, octets, sizeof(octets));
	channel_pass(&to, &from, span_first(channel_input(&from), 4095));
	assert_int_equal(channel_iov(&to, iov, 1), 1);
	assert_ptr_not_equal(iov[0].iov_base, channel_input(&from).p);
	channel_drop(&to);
	channel_pass(&to, &from, span_first(channel_input(&from), 4096));
	channel_pass(&to, &from, span_from(channel_input(&from), 8192));
	assert_int_equal(channel_iov(&to, iov, 2), 2);
	assert_ptr_equal(iov[0].iov_base, channel_input(&from).p);
	assert_ptr_not_equal(iov[1].iov_base, channel_input(&from).p + 8192);
	channel_free(&from);
	channel_free(&to);
}

static void
test_neighbours_are_one_segment(void **state)
{
	struct channel from, to;
	struct span in;
	static char octets[50000];

	(void)state;
	memset(octets, 'x', sizeof(octets));
	channel_init(&from);
	channel_init(&to);
	receive(&from, octets, sizeof(octets));
	in = channel_input(&from);
	channel_pass(&to, &from, span_first(in, 40000));
	channel_pass(&to, &from, span_of(in.p + 40000, 10));
	channel_pass(&to, &from, span_of(in.p + 40010, 9990));
	assert_int_equal(to.n_segments, 1);
	assert_int_equal(to.queued, 50000);
	channel_free(&from);
	channel_free(&to);
}

/* Copied, borrowed, from elsewhere, sent octet by octet: the order stays. */
static void
test_order(void **state)
{
	static const char elsewhere[] = "elsewhere";
	struct channel from, to;
	struct buf out, want;
	static char octets[40000];

	(void)state;
	memset(octets, 'y', sizeof(octets));
	channel_init(&from);
	channel_init(&to);
	buf_init(&out, SENT_MAX);
	buf_init(&want, SENT_MAX);
	receive(&from, octets, sizeof(octets));
	for (int i = 0; i < 3; i++) {
		channel_put(&to, span_str("own"));
		channel_pass(&to, &from, channel_input(&from));
		channel_pass(&to, &from, span_str(elsewhere));
		channel_pass(&to, &from, span_first(channel_input(&from), 5));
		buf_str(&want, "own");
		buf_add(&want, span_of(octets, sizeof(octets)));
		buf_str(&want, "elsewhereyyyyy");
	}
	assert_int_equal(to.queued, want.n);
	assert_int_equal(to.released, want.n);
	while (to.queued > 0)
		send_some(&to, 777, &out);
	assert_true(span_eq(buf_span(&out), buf_span(&want)));
	assert_int_equal(to.sent, want.n);
	buf_free(&out);
	buf_free(&want);
	channel_free(&from);
	channel_free(&to);
}

/* More may be written behind what is half sent. */
static void
test_put_behind_a_part(void **state)
{
	struct channel c;
	struct buf out;

	(void)state;
	channel_init(&c);
	buf_init(&out, SENT_MAX);
	channel_put(&c, span_str("abc"));
	send_some(&c, 2, &out);
	channel_put(&c, span_str("def"));
	send_some(&c, SIZE_MAX, &out);
	assert_sent(&out, "abcdef");
	buf_free(&out);
	channel_free(&c);
}

static void
test_full(void **state)
{
	struct channel by_octets, by_segments, from;
	static char octets[CHANNEL_BLOCK];

	(void)state;
	channel_init(&by_octets);
	channel_init(&by_segments);
	channel_init(&from);
	memset(octets, 'x', sizeof(octets));
	channel_put(&by_octets, span_of(octets, CHANNEL_QUEUE_MAX - 1));
	assert_false(channel_full(&by_octets));
	channel_put(&by_octets, span_str("x"));
	assert_true(channel_full(&by_octets));
	channel_drop(&by_octets);
	assert_false(channel_full(&by_octets));

	receive(&from, octets, 300);
	while (!channel_full(&by_segments)) {
		channel_pass(&by_segments, &from, channel_input(&from));
		channel_put(&by_segments, span_str("x"));
	}
	assert_true(by_segments.n_segments <= CHANNEL_SEGMENTS_MAX + 2);
	channel_free(&by_octets);
	channel_free(&by_segments);
	channel_free(&from);
}

static void
test_nothing(void **state)
{
	struct channel from, to;

	(void)state;
	channel_init(&from);
	channel_init(&to);
	channel_put(&to, SPAN_NONE);
	channel_pass(&to, &from, SPAN_NONE);
	assert_int_equal(to.n_segments, 0);
	channel_drop(&to);
	channel_discard(&from);
	channel_free(&from);
	channel_free(&to);
}

/* ---- what somebody sees who watches ---- */

struct seen {
	struct buf parsed, queued, sent;
	uint64_t sent_to;
};

static void
on_parsed(void *arg, struct span s)
{
	buf_add(&((struct seen *)arg)->parsed, s);
}

static void
on_queued(void *arg, uint64_t at, struct span s)
{
	struct seen *seen = arg;

	assert_int_equal(at, seen->queued.n);
	buf_add(&seen->queued, s);
}

static void
on_sent(void *arg, uint64_t at, struct span s)
{
	struct seen *seen = arg;

	assert_true(at >= seen->sent_to); /* what was dropped lies in between */
	seen->sent_to = at + s.n;
	buf_add(&seen->sent, s);
}

static void
test_watched_T13(void **state)
{
	static char large[CHANNEL_BLOCK / 2];
	struct seen seen = {.sent_to = 0};
	const struct channel_watch watch = {on_parsed, on_queued, on_sent, &seen};
	struct channel a, b;
	struct buf out;

	(void)state;
	memset(large, 'x', sizeof(large));
	buf_init(&seen.parsed, SENT_MAX);
	buf_init(&seen.queued, SENT_MAX);
	buf_init(&seen.sent, SENT_MAX);
	buf_init(&out, SENT_MAX);
	channel_init(&a);
	channel_init(&b);
	a.watch = b.watch = &watch;
	receive(&a, large, sizeof(large));
	channel_put(&b, span_str("own"));
	channel_pass(&b, &a, channel_input(&a));
	channel_parsed(&a, 10);
	assert_int_equal(seen.parsed.n, 10);
	channel_discard(&a);
	assert_int_equal(seen.parsed.n, sizeof(large));
	assert_int_equal(seen.queued.n, 3 + sizeof(large));
	send_some(&b, 5, &out);
	assert_sent(&seen.sent, "ownxx");
	channel_drop(&b);
	assert_int_equal(seen.sent.n, 5);
	channel_put(&b, span_str("late"));
	send_some(&b, 4, &out);
	assert_sent(&seen.sent, "ownxxlate");
	assert_int_equal(seen.sent_to, 3 + sizeof(large) + 4);
	channel_free(&a);
	channel_free(&b);
	buf_free(&seen.parsed);
	buf_free(&seen.queued);
	buf_free(&seen.sent);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_input),
	    cmocka_unit_test(test_idle_holds_nothing),
	    cmocka_unit_test(test_block_is_full),
	    cmocka_unit_test(test_held),
	    cmocka_unit_test(test_held_when_all_is_parsed),
	    cmocka_unit_test(test_borrowed),
	    cmocka_unit_test(test_first_is_borrowed),
	    cmocka_unit_test(test_neighbours_are_one_segment),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_put_behind_a_part),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_watched_T13),
	};

	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
