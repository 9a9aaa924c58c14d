#include "dialogue.h"

#include "tests/unit/alloc.h"

static void
in_order(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_S2C, A | P, 0, 0, "220 ready");
	say(&d, AN_C2S, A | P, 0, 9, "QUIT");
	said(&d, "< 220 ready\n> QUIT\n");
	say(&d, AN_C2S, A | F, 4, 9, "");
	say(&d, AN_S2C, A | F, 9, 5, "221");
	said(&d, "> end\n< 221\n< end\nclosed\n");
	say(&d, AN_C2S, A, 5, 13, "");
	dialogue_end(&d, "");
}

static void
early_segments_wait(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A, 6, 0, "ghi");
	say(&d, AN_C2S, A, 3, 0, "def");
	say(&d, AN_C2S, A | F, 9, 0, "j");
	said(&d, "");
	say(&d, AN_C2S, A, 0, 0, "abc");
	said(&d, "> abc\n> def\n> ghi\n> j\n> end\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

/* 16 octets are left of the client's numbers when it begins. */
static void
numbers_wrap(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, true);
	shake(&d);
	say(&d, AN_C2S, A, 0, 0, "0123456789");
	say(&d, AN_C2S, A, 20, 0, "cc");
	say(&d, AN_C2S, A, 10, 0, "aaaaaaaaaa");
	say(&d, AN_C2S, A, 12, 0, "aaaaaaaacc");
	said(&d, "> 0123456789\n> aaaaaaaaaa\n> cc\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
X_002_what_came_first_stays(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, true);
	shake(&d);
	say(&d, AN_C2S, A, 0, 0, "abcdef");
	say(&d, AN_C2S, A, 0, 0, "abcdef");
	say(&d, AN_C2S, A, 3, 0, "defghi");
	said(&d, "> abcdef\n> ghi\n");
	say(&d, AN_C2S, A, 3, 0, "dXfghij");
	said(&d, "> conflict 4 Xfghi\n> j\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
X_002_also_among_what_waits(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A, 4, 0, "ef");
	say(&d, AN_C2S, A, 8, 0, "ij");
	say(&d, AN_C2S, A, 3, 0, "dEfghIjk");
	said(&d, "> conflict 4 Ef\n> conflict 8 Ij\n");
	say(&d, AN_C2S, A, 0, 0, "abcDe");
	said(&d, "> abc\n> conflict 3 D\n> d\n> ef\n> gh\n> ij\n> k\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
a_probe_is_no_conflict(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, true);
	shake(&d);
	say(&d, AN_C2S, A, 0, 0, "abc");
	say(&d, AN_C2S, A, 2, 0, "X");
	said(&d, "> abc\n");
	say(&d, AN_C2S, A, 1, 0, "X");
	said(&d, "> conflict 1 X\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

/* What is older than CONNECTION_COMPARE, or lies in a gap, is not there to be compared. */
static void
X_002_only_what_is_kept_is_compared(void **state)
{
	static uint8_t many[CONNECTION_COMPARE];
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, true);
	shake(&d);
	memset(many, 'm', sizeof(many));
	say(&d, AN_C2S, A, 0, 0, "abc");
	for (uint32_t at = 0; at < sizeof(many); at += 1024)
		say_span(&d, AN_C2S, A, 3 + at, 0, span_of(many, 1024));
	buf_clear(&d.text);
	say(&d, AN_C2S, A, 0, 0, "xyzmn");
	said(&d, "> conflict 4 n\n");
	dialogue_end(&d, "evicted\nclosed\n");

	dialogue_begin(&d, true);
	shake(&d);
	say(&d, AN_C2S, A, 3, 0, "def");
	say(&d, AN_S2C, A, 0, 6, "");
	say(&d, AN_C2S, A, 0, 0, "xyzdeX");
	said(&d, "> gap 3\n> def\n> conflict 5 X\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
X_003_a_hole_is_given_up_when_it_was_acknowledged(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A, 3, 0, "def");
	say(&d, AN_S2C, A, 0, 3, ""); /* of the hole, not yet of what is behind it */
	said(&d, "");
	say(&d, AN_S2C, A, 0, 4, "");
	said(&d, "> gap 3\n> def\n");
	say(&d, AN_C2S, A, 0, 0, "abc"); /* too late */
	said(&d, "");
	dialogue_end(&d, "evicted\nclosed\n");
}

/* An answer stands behind what it answers, also where the capture lost that. */
static void
X_003_an_answer_gives_up_what_it_answers(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A, 0, 0, "NOOP");
	say(&d, AN_S2C, A, 0, 9, "");
	said(&d, "> NOOP\n");
	say(&d, AN_S2C, A, 0, 9, "250");
	said(&d, "> gap 5\n< 250\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
X_003_at_the_end_holes_are_given_up(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A, 3, 0, "def");
	say(&d, AN_C2S, A, 8, 0, "ij");
	say(&d, AN_C2S, A | F, 12, 0, "");
	say(&d, AN_S2C, A, 0, 0, "abc");
	say(&d, AN_C2S, A, 13, 9, "");
	said(&d, "< abc\n");
	dialogue_end(
	    &d, "> gap 3\n> def\n> gap 2\n> ij\n> gap 2\n> end\n< gap 6\nevicted\nclosed\n");
}

static void
X_003_a_lost_fin_is_no_gap(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A, 0, 0, "abc");
	say(&d, AN_S2C, A, 0, 4, "");
	say(&d, AN_S2C, R, 0, 0, "");
	said(&d, "> abc\n< reset\nclosed\n");
	dialogue_end(&d, "");
}

static void
X_003_what_the_capture_cut_is_a_gap(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	d.missing = 5;
	say(&d, AN_C2S, A, 0, 0, "abc");
	said(&d, "> abc\n> gap 5\n");
	d.missing = 4;
	say(&d, AN_C2S, A, 10, 0, "kl");
	say(&d, AN_C2S, A, 8, 0, "ij");
	said(&d, "> ij\n> kl\n> gap 4\n");
	d.missing = 1;
	say(&d, AN_C2S, A | F, 16, 0, "");
	said(&d, "> gap 1\n> end\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
X_004_joined_in_the_middle(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	say(&d, AN_S2C, A, 100, 50, "");
	say(&d, AN_S2C, A | F, 100, 50, "");
	say(&d, AN_S2C, R, 100, 50, "");
	said(&d, "");
	d.off[AN_S2C] = 0;
	say(&d, AN_S2C, A, 100, 50, "250 ok"); /* the port says who serves */
	said(&d, "open joined\n< 250 ok\n");
	say(&d, AN_C2S, A, 53, 106, "QUIT");
	said(&d, "");
	say(&d, AN_C2S, A, 50, 106, "\r\n.");
	said(&d, "> \r\n.\n> QUIT\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
X_004_nothing_begins_with_a_probe(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	assert_true(say_span(&d, AN_C2S, A, 9, 0, span_of("\0", 1)));
	said(&d, "");
	say(&d, AN_C2S, A, 10, 0, "NOOP");
	said(&d, "open joined\n> NOOP\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
X_004_one_direction_only(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	say(&d, AN_C2S, A, 0, 0, "");
	said(&d, "");
	say(&d, AN_C2S, A, 0, 20, "EHLO");
	say(&d, AN_C2S, A, 8, 40, "MAIL"); /* nobody acknowledges anything here */
	said(&d, "open\n> EHLO\n");
	say(&d, AN_C2S, A, 4, 30, "ME\r\n");
	say(&d, AN_C2S, A | F, 12, 60, "");
	said(&d, "> ME\r\n\n> MAIL\n> end\n");
	dialogue_end(&d, "evicted\nclosed\n"); /* and of the server no gap is said */
}

static void
X_004_half_of_the_handshake(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	say(&d, AN_S2C, S | A, (uint32_t)-1, 0, "");
	say(&d, AN_C2S, A, 4, 0, "ME");
	said(&d, "open\n");
	say(&d, AN_C2S, A, 0, 0, "EHLO");
	said(&d, "> EHLO\n> ME\n");
	dialogue_end(&d, "evicted\nclosed\n");

	dialogue_begin(&d, false);
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	say(&d, AN_S2C, A, 0, 0, "220 hello");
	said(&d, "open\n< 220 hello\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

/* From an end to itself (CVE-1999-0016): whatever it is, there is one direction. */
static void
both_ends_the_same(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	d.client_port = SERVER_PORT;
	d.same_host = true;
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	say(&d, AN_C2S, A, 0, 0, "abc");
	say(&d, AN_S2C, S | A, (uint32_t)-1, 0, "");
	said(&d, "open\n> abc\n> stray syn\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
half_open_says_nothing(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	say(&d, AN_S2C, R | A, 0, 0, "");
	say(&d, AN_C2S, S, 100, 0, "");
	dialogue_end(&d, "");
}

static void
X_005_resets_out_of_the_window(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A, 0, 0, "abcdef");
	say(&d, AN_S2C, A, 0, 6, "");
	said(&d, "> abcdef\n");
	say(&d, AN_C2S, R, 5, 0, "");
	say(&d, AN_C2S, R, 6 + 4096 + 1, 0, "");
	said(&d, "> stray reset\n> stray reset\n");
	say(&d, AN_C2S, A, 6, 0, "ghi");
	say(&d, AN_C2S, R, 6 + 4096, 0, "");
	said(&d, "> ghi\n> reset\nclosed\n");
	dialogue_end(&d, "");
}

/* Without a window only the next number counts. */
static void
X_005_resets_where_no_window_is_known(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	say(&d, AN_C2S, A, 0, 0, "abc");
	say(&d, AN_C2S, R, 4, 0, "");
	said(&d, "open joined\n> abc\n> stray reset\n");
	say(&d, AN_C2S, R, 3, 0, "");
	said(&d, "> reset\nclosed\n");
	dialogue_end(&d, "");
}

/* Whoever goes on behind a reset shows that it did not count: it is a new one, joined. */
static void
X_005_a_reset_that_did_not_arrive(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A, 0, 0, "abc");
	say(&d, AN_S2C, A, 0, 3, "x");
	d.hops = 3;
	say(&d, AN_C2S, R, 3, 0, "");
	said(&d, "> abc\n< x\n> stray hops\n> reset\nclosed\n");
	d.hops = 64;
	say(&d, AN_S2C, A, 1, 3, "on its way"); /* late */
	said(&d, "");
	say(&d, AN_C2S, A, 3, 1, "def");
	said(&d, "open joined\n> def\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
X_005_octets_far_behind_the_window(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_S2C, A, 0, 0, "");
	say(&d, AN_C2S, A, 1000000, 0, "blind");
	say(&d, AN_C2S, A, 2000000, 0, "blind");
	said(&d, "> stray octets\n");
	say(&d, AN_C2S, A, 0, 0, "abc");
	said(&d, "> abc\n");
	dialogue_end(&d, "> stray octets\nevicted\nclosed\n");
}

/* A capture that lost much is told from one that never had it by what the receiver acknowledges. */
static void
X_003_gigabytes_may_be_lost(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_S2C, A, 3000000000u, 0, "tail");
	said(&d, "< stray octets\n");
	say(&d, AN_C2S, A, 0, 3000000004u, "");
	said(&d, "< gap 3000000000\n< tail\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

/* More than the window allowed to be sent: the client's octets show that it was not. */
static void
X_005_an_answer_that_acknowledges_too_much(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A, 0, 0, "abc");
	say(&d, AN_S2C, A, 0, 3, "");
	say(&d, AN_S2C, A, 0, 1000000, "250");
	say(&d, AN_C2S, A, 3, 3, "def");
	said(&d, "> abc\n< 250\n> def\n");
	say(&d, AN_S2C, R, 3, 0, "");
	dialogue_end(&d, "< reset\nclosed\n");
}

static void
X_005_urgent_octets_stay_in_line(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A | U, 0, 0, "ab");
	say(&d, AN_C2S, A | U, 2, 0, "cd");
	said(&d, "> stray urgent\n> ab\n> cd\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
X_005_syn_with_data(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, true);
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	said(&d, "");
	dialogue_end(&d, "");

	dialogue_begin(&d, true); /* the server takes it */
	d.isn[AN_C2S]--;	  /* SYN's own number comes ahead of the octets */
	say(&d, AN_C2S, S, 0xffffffff, 0, "EHLO");
	say(&d, AN_S2C, S | A, (uint32_t)-1, 4, "");
	said(&d, "open\n> EHLO\n");
	say(&d, AN_C2S, A, 4, 0, " me");
	said(&d, ">  me\n");
	dialogue_end(&d, "evicted\nclosed\n");

	dialogue_begin(&d, true); /* it does not */
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "fake");
	say(&d, AN_S2C, S | A, (uint32_t)-1, 0, "");
	said(&d, "open\n> stray syn-data\n");
	say(&d, AN_C2S, A, 0, 0, "real");
	said(&d, "> real\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

/* Of two SYN the server answers one. */
static void
X_005_the_servers_answer_says_which_syn(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	say(&d, AN_C2S, S, 5000, 0, "decoy");
	say(&d, AN_S2C, S | A, (uint32_t)-1, 0, "");
	say(&d, AN_C2S, A, 0, 0, "abc");
	said(&d, "open\n> abc\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
X_005_syn_within_a_connection(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A, 0, 0, "abc");
	say(&d, AN_C2S, S, (uint32_t)-1, 0, ""); /* once more */
	said(&d, "> abc\n");
	say(&d, AN_C2S, S, 500000, 0, "");
	said(&d, "> stray syn\n");
	say(&d, AN_C2S, A, 3, 0, "def");
	said(&d, "> def\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
X_005_octets_behind_a_fin(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A | F, 3, 0, "");
	say(&d, AN_C2S, A, 0, 0, "abcdef");
	said(&d, "> stray octets\n> abc\n> end\n");
	say(&d, AN_C2S, A | F, 5, 0, "");
	said(&d, "> stray fin\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
ports_are_used_again(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	say(&d, AN_C2S, A | F, 0, 0, "one");
	say(&d, AN_S2C, A | F, 0, 4, "");
	said(&d, "> one\n> end\n< end\nclosed\n");
	say(&d, AN_C2S, A | F, 0, 0, "one"); /* late */
	say(&d, AN_C2S, A, 3, 0, "X");	     /* and a probe in the place of the FIN */
	said(&d, "");
	d.isn[AN_C2S] -= 1000; /* numbers that octets of the old one had */
	d.isn[AN_S2C] -= 1000;
	shake(&d);
	say(&d, AN_C2S, A, 0, 0, "two");
	said(&d, "> two\n");
	d.isn[AN_C2S] += 100000; /* its end is not in the capture, but both agree on a new one */
	d.isn[AN_S2C] += 100000;
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	said(&d, "> stray syn\n");
	say(&d, AN_S2C, S | A, (uint32_t)-1, 0, "");
	said(&d, "evicted\nclosed\nopen\n");
	d.now += 61ull * SECOND; /* or one has been silent */
	d.isn[AN_C2S] += 100000;
	d.isn[AN_S2C] += 100000;
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	said(&d, "evicted\nclosed\n");
	dialogue_end(&d, "");
}

static void
silence_ends_them(void **state)
{
	struct connections_stats stats;
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	d.client_port++;
	d.now += (CONNECTION_IDLE_SECONDS - 1) * (uint64_t)SECOND;
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	said(&d, "");
	d.now += 2ull * SECOND;
	d.client_port++;
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	said(&d, "evicted\nclosed\n");
	d.now += 59ull * SECOND;
	d.client_port++;
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	connections_stats(d.cs, &stats);
	assert_int_equal(stats.evicted, 1);
	assert_int_equal(stats.alive, 2); /* the first that was half open is gone */
	dialogue_end(&d, "");
}

/* A packet whose time is damaged ends nothing; two of them are believed. */
static void
X_001_one_packet_makes_no_time(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	shake(&d);
	d.client_port++;
	d.now += 1000000ull * SECOND;
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	d.client_port--;
	d.now -= 1000000ull * SECOND;
	say(&d, AN_C2S, A, 0, 0, "abc");
	said(&d, "> abc\n");
	d.client_port++;
	d.now += 1000000ull * SECOND;
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	said(&d, "");
	say(&d, AN_C2S, S, (uint32_t)-1, 0, "");
	said(&d, "evicted\nclosed\n");
	dialogue_end(&d, "");
}

/* A clock that goes back ends nothing. */
static void
time_may_go_back(void **state)
{
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	d.now = 10000ull * SECOND;
	shake(&d);
	d.now = 5;
	say(&d, AN_C2S, A, 0, 0, "abc");
	said(&d, "> abc\n");
	dialogue_end(&d, "evicted\nclosed\n");
}

static void
checksums_when_asked_for(void **state)
{
	struct connections_stats stats;
	struct dialogue d;
	struct connections_env env = {.happened = heard,
	    .server_port = is_server_port,
	    .arg = &d,
	    .memory = 16u << 20,
	    .checksums = true};

	(void)state;
	dialogue_begin(&d, false);
	connections_free(d.cs);
	d.cs = connections_new(&env);
	say(&d, AN_C2S, S, (uint32_t)-1, 0, ""); /* its checksum is 0 */
	connections_stats(d.cs, &stats);
	assert_int_equal(stats.bad_checksums, 1);
	assert_int_equal(stats.alive, 0);
	dialogue_end(&d, "");
}

static void
no_segment(void **state)
{
	struct packet packet = {.protocol = 6, .payload = span_of("short", 5)};
	struct dialogue d;

	(void)state;
	dialogue_begin(&d, false);
	assert_false(connections_read(d.cs, &packet, 1));
	dialogue_end(&d, "");
}

static void
talk(struct dialogue *d)
{
	say(d, AN_C2S, S, (uint32_t)-1, 0, "");
	say(d, AN_S2C, S | A, (uint32_t)-1, 0, "");
	for (uint32_t i = 0; i < 40; i++)
		say(d, AN_C2S, A, 10 * (40 - i), 0, "0123456789");
	say(d, AN_C2S, A, 0, 0, "0123456789");
	say(d, AN_S2C, A, 0, 410, "done");
}

/* Without memory there are gaps, or nothing: never other octets (the text is looked at by heard()).
 */
static void
memory_runs_out(void **state)
{
	struct connections_env env = {
	    .happened = heard, .server_port = is_server_port, .memory = 1, .compare = true};
	static const uint8_t room[16384];
	struct dialogue d;
	unsigned n;

	(void)state;
	alloc_fail_at(1);
	assert_null(connections_new(&env));
	assert_true(alloc_failed());
	alloc_fail_at(2);
	assert_null(connections_new(&env));
	assert_true(alloc_failed());
	for (n = 1;; n++) {
		struct span text, line;
		bool failed;

		dialogue_begin(&d, true);
		assert_true(buf_add(&d.text, span_of(room, sizeof(room))));
		buf_clear(&d.text);
		alloc_fail_at(n);
		talk(&d);
		failed = alloc_failed();
		connections_end(d.cs);
		for (text = buf_span(&d.text); text.n > 0; text = span_from(text, line.n + 1)) {
			line = span_first(text, (size_t)span_find(text, '\n'));
			if (span_starts(line, span_str("> 0")))
				assert_true(span_eq(line, span_str("> 0123456789")));
		}
		connections_free(d.cs);
		buf_free(&d.text);
		if (!failed)
			break;
	}
	assert_true(n > 80);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(in_order),
	    cmocka_unit_test(early_segments_wait),
	    cmocka_unit_test(numbers_wrap),
	    cmocka_unit_test(X_002_what_came_first_stays),
	    cmocka_unit_test(X_002_also_among_what_waits),
	    cmocka_unit_test(a_probe_is_no_conflict),
	    cmocka_unit_test(X_002_only_what_is_kept_is_compared),
	    cmocka_unit_test(X_003_a_hole_is_given_up_when_it_was_acknowledged),
	    cmocka_unit_test(X_003_an_answer_gives_up_what_it_answers),
	    cmocka_unit_test(X_003_at_the_end_holes_are_given_up),
	    cmocka_unit_test(X_003_a_lost_fin_is_no_gap),
	    cmocka_unit_test(X_003_what_the_capture_cut_is_a_gap),
	    cmocka_unit_test(X_003_gigabytes_may_be_lost),
	    cmocka_unit_test(X_004_joined_in_the_middle),
	    cmocka_unit_test(X_004_nothing_begins_with_a_probe),
	    cmocka_unit_test(X_004_one_direction_only),
	    cmocka_unit_test(X_004_half_of_the_handshake),
	    cmocka_unit_test(both_ends_the_same),
	    cmocka_unit_test(half_open_says_nothing),
	    cmocka_unit_test(X_005_resets_out_of_the_window),
	    cmocka_unit_test(X_005_resets_where_no_window_is_known),
	    cmocka_unit_test(X_005_a_reset_that_did_not_arrive),
	    cmocka_unit_test(X_005_octets_far_behind_the_window),
	    cmocka_unit_test(X_005_urgent_octets_stay_in_line),
	    cmocka_unit_test(X_005_syn_with_data),
	    cmocka_unit_test(X_005_the_servers_answer_says_which_syn),
	    cmocka_unit_test(X_005_syn_within_a_connection),
	    cmocka_unit_test(X_005_octets_behind_a_fin),
	    cmocka_unit_test(ports_are_used_again),
	    cmocka_unit_test(silence_ends_them),
	    cmocka_unit_test(X_001_one_packet_makes_no_time),
	    cmocka_unit_test(time_may_go_back),
	    cmocka_unit_test(X_005_an_answer_that_acknowledges_too_much),
	    cmocka_unit_test(checksums_when_asked_for),
	    cmocka_unit_test(no_segment),
	    cmocka_unit_test(memory_runs_out),
	};

	return cmocka_run_group_tests_name("tcp connections", tests, NULL, NULL);
}
