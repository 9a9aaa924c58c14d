/*
 * Sessions that OpenSSL makes with itself, opened with the key log that it writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/alloc.h"
#include "tests/unit/proxy/tls_talk.h"
#include "tls/opening.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

/* What was read of a session. */
struct heard {
	struct buf octets[2];
	bool ended[2], secure;
	enum tls_opened over; /* MORE: read to its end */
};

static void
heard_free(struct heard *h)
{
	buf_free(&h->octets[AN_C2S]);
	buf_free(&h->octets[AN_S2C]);
}

/* The lines whose label is not "without"; NULL: all. */
static struct tls_keylog *
keylog_of(const struct talk *t, const char *without)
{
	struct tls_keylog *k = tls_keylog_new(100);
	struct span rest = buf_span(&t->keys);

	while (k != NULL && rest.n > 0) {
		size_t n = (size_t)span_find(rest, '\n');
		struct span line = span_first(rest, n);

		if (without == NULL || !span_starts(line, span_str(without)))
			tls_keylog_add(k, line);
		rest = span_from(rest, n + 1);
	}
	return k;
}

static void
feed(struct tls_opening *o, struct heard *h, enum an_dir dir, struct span in)
{
	struct span plain;
	size_t used;

	do {
		enum tls_opened said = tls_opening_feed(o, dir, in, &used, &plain);

		assert_true(used <= in.n);
		in = span_from(in, used);
		if (said == TLS_OPENING_OCTETS) {
			assert_true(plain.n > 0);
			buf_add(&h->octets[dir], plain);
		} else if (said == TLS_OPENING_END) {
			assert_false(h->ended[dir]);
			h->ended[dir] = true;
		} else if (said != TLS_OPENING_MORE) {
			h->over = said;
			return;
		}
	} while (in.n > 0);
}

static size_t
any_size(void)
{
	static uint32_t state = 8;

	state = state * 1664525 + 1013904223;
	return 1 + (state >> 8) % 3000;
}

/* piece: octets at a time, 0: any number of them. */
static struct heard
hear(const struct talk *t, struct tls_keylog *k, size_t piece)
{
	struct tls_opening *o = tls_opening_new(k);
	struct heard h = {.over = TLS_OPENING_BROKEN};

	buf_init(&h.octets[AN_C2S], 1 << 20);
	buf_init(&h.octets[AN_S2C], 1 << 20);
	if (o == NULL)
		return h;
	h.over = TLS_OPENING_MORE;
	for (size_t i = 0; i < t->n && h.over == TLS_OPENING_MORE; i++) {
		struct span rest = buf_span(&t->flight[i].octets);

		if (i == t->secure_at)
			h.secure = tls_opening_secure(o);
		while (rest.n > 0 && h.over == TLS_OPENING_MORE) {
			size_t n = piece > 0 ? piece : any_size();

			feed(o, &h, t->flight[i].dir, span_first(rest, n));
			rest = span_from(rest, n);
		}
	}
	tls_opening_free(o);
	return h;
}

static bool
is_prefix(const struct heard *h, const struct talk *t)
{
	return span_starts(buf_span(&t->said[AN_C2S]), buf_span(&h->octets[AN_C2S])) &&
	       span_starts(buf_span(&t->said[AN_S2C]), buf_span(&h->octets[AN_S2C]));
}

static bool
is_whole(const struct heard *h, const struct talk *t)
{
	return h->over == TLS_OPENING_MORE && h->ended[AN_C2S] && h->ended[AN_S2C] && h->secure &&
	       span_eq(buf_span(&t->said[AN_C2S]), buf_span(&h->octets[AN_C2S])) &&
	       span_eq(buf_span(&t->said[AN_S2C]), buf_span(&h->octets[AN_S2C]));
}

static const size_t pieces[] = {1 << 20, 16384, 1000, 7, 2, 1, 0, 0};

static void
expect_opened(const struct talk_how *how)
{
	struct talk t;
	struct tls_keylog *k;

	talk_make(&t, how);
	k = keylog_of(&t, NULL);
	for (size_t i = 0; i < nitems(pieces); i++) {
		struct heard h = hear(&t, k, pieces[i]);

		if (!is_whole(&h, &t))
			fail_msg("%s %s, pieces of %zu: %d, %zu and %zu octets of %zu and %zu",
			    how->name, how->cipher == NULL ? "" : how->cipher, pieces[i], h.over,
			    h.octets[0].n, h.octets[1].n, t.said[0].n, t.said[1].n);
		heard_free(&h);
	}
	tls_keylog_free(k);
	talk_free(&t);
}

static void
every_cipher_is_opened(void **state)
{
	static const struct {
		int version;
		const char *cipher;
		bool ecdsa;
	} rows[] = {
	    {TLS1_VERSION, "ECDHE-RSA-AES128-SHA", false},
	    {TLS1_VERSION, "AES256-SHA", false},
	    {TLS1_VERSION, "DHE-RSA-AES256-SHA", false},
	    {TLS1_1_VERSION, "ECDHE-RSA-AES128-SHA", false},
	    {TLS1_1_VERSION, "AES256-SHA", false},
	    {TLS1_2_VERSION, "AES128-SHA", false},
	    {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-SHA", true},
	    {TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA256", false},
	    {TLS1_2_VERSION, "AES256-SHA256", false},
	    {TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA384", false},
	    {TLS1_2_VERSION, "AES128-GCM-SHA256", false},
	    {TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384", false},
	    {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-CCM", true},
	    {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-CCM8", true},
	    {TLS1_2_VERSION, "AES256-CCM", false},
	    {TLS1_2_VERSION, "DHE-RSA-AES128-CCM8", false},
	    {TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305", false},
	    {TLS1_2_VERSION, "DHE-RSA-CHACHA20-POLY1305", false},
	    {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", false},
	    {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", false},
	    {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", false},
	    {TLS1_3_VERSION, "TLS_AES_128_CCM_SHA256", false},
	    {TLS1_3_VERSION, "TLS_AES_128_CCM_8_SHA256", false},
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct talk_how how = {.name = "full",
		    .version = rows[i].version,
		    .cipher = rows[i].cipher,
		    .ecdsa = rows[i].ecdsa};

		expect_opened(&how);
		how.name = "MAC-then-encrypt";
		how.no_etm = true;
		if (how.version < TLS1_3_VERSION)
			expect_opened(&how);
	}
}

static void
every_course_is_followed(void **state)
{
	static const struct talk_how hows[] = {
	    {"ticket, 1.2", TLS1_2_VERSION, .again = TALK_BY_TICKET},
	    {"session ID, 1.2", TLS1_2_VERSION, .again = TALK_BY_ID},
	    {"session ID, 1.0", TLS1_VERSION, .again = TALK_BY_ID},
	    {"ticket, 1.1", TLS1_1_VERSION, .again = TALK_BY_TICKET},
	    {"PSK", TLS1_3_VERSION, .again = TALK_BY_TICKET},
	    {"PSK, kept by the server", TLS1_3_VERSION, .again = TALK_BY_ID},
	    {"HelloRetryRequest", TLS1_3_VERSION, .retry = true},
	    {"PSK after HelloRetryRequest", TLS1_3_VERSION, .again = TALK_BY_TICKET, .retry = true},
	    {"0-RTT", TLS1_3_VERSION, .early = TALK_EARLY},
	    {"0-RTT, ChaCha20", TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256",
		.early = TALK_EARLY},
	    {"0-RTT refused", TLS1_3_VERSION, .early = TALK_EARLY_REFUSED},
	    {"0-RTT and HelloRetryRequest", TLS1_3_VERSION, .early = TALK_EARLY_RETRIED},
	    {"KeyUpdate", TLS1_3_VERSION, .updates = true},
	    {"client certificate, 1.0", TLS1_VERSION, .asks_client = true},
	    {"client certificate, 1.2", TLS1_2_VERSION, .asks_client = true},
	    {"client certificate, 1.3", TLS1_3_VERSION, .asks_client = true},
	    {"renegotiation, 1.0", TLS1_VERSION, .renegotiates = true},
	    {"renegotiation, 1.2", TLS1_2_VERSION, .renegotiates = true},
	    {"renegotiation, CBC", TLS1_2_VERSION, "AES128-SHA", .renegotiates = true},
	    {"fragments, 1.0", TLS1_VERSION, .fragment = 512},
	    {"fragments, 1.2", TLS1_2_VERSION, .asks_client = true, .fragment = 512},
	    {"fragments, 1.3", TLS1_3_VERSION, .asks_client = true, .fragment = 512},
	};

	(void)state;
	for (size_t i = 0; i < nitems(hows); i++)
		expect_opened(&hows[i]);
}

/* Flights of a session; octets go behind what is there. */
static enum tls_opened
hear_flights(const struct talk *t, struct tls_keylog *k, size_t from, size_t to, struct heard *h)
{
	struct tls_opening *o = tls_opening_new(k);

	for (size_t i = from; i < to && h->over == TLS_OPENING_MORE; i++)
		feed(o, h, t->flight[i].dir, buf_span(&t->flight[i].octets));
	tls_opening_free(o);
	return h->over;
}

/*
 * GnuTLS writes no line for a session that is resumed up to TLS 1.2. Its secret is that of the
 * session that began it, where that was read too.
 */
static void
a_resumed_session_needs_no_line(void **state)
{
	static const struct talk_how hows[] = {
	    {.version = TLS1_2_VERSION, .again = TALK_BY_TICKET, .keeps_first = true},
	    {.version = TLS1_2_VERSION, .again = TALK_BY_ID, .keeps_first = true},
	    {.version = TLS1_VERSION, .again = TALK_BY_ID, .keeps_first = true},
	};

	(void)state;
	for (size_t i = 0; i < nitems(hows); i++) {
		struct talk t;
		struct tls_keylog *k = tls_keylog_new(100);
		struct heard h = {.over = TLS_OPENING_MORE}, alone = {.over = TLS_OPENING_MORE};
		struct span keys;

		buf_init(&h.octets[AN_C2S], 1 << 20);
		buf_init(&h.octets[AN_S2C], 1 << 20);
		talk_make(&t, &hows[i]);
		keys = buf_span(&t.keys);
		tls_keylog_add(k, span_first(keys, (size_t)span_find(keys, '\n')));
		assert_int_equal(hear_flights(&t, k, t.n_first, t.n, &alone), TLS_OPENING_NO_KEYS);
		assert_int_equal(hear_flights(&t, k, 0, t.n_first, &h), TLS_OPENING_MORE);
		h.ended[AN_C2S] = h.ended[AN_S2C] = false;
		assert_int_equal(hear_flights(&t, k, t.n_first, t.n, &h), TLS_OPENING_MORE);
		h.secure = true;
		assert_true(is_whole(&h, &t));
		heard_free(&h);
		tls_keylog_free(k);
		talk_free(&t);
	}
}

/* ---- what cannot be read ---- */

static const struct talk_how kinds[] = {
    {.name = "CBC, 1.0", .version = TLS1_VERSION, .no_etm = true},
    {.name = "CBC", .version = TLS1_2_VERSION, .cipher = "AES128-SHA256", .no_etm = true},
    {.name = "encrypt-then-MAC", .version = TLS1_2_VERSION, .cipher = "AES128-SHA"},
    {.name = "GCM", .version = TLS1_2_VERSION, .cipher = "AES128-GCM-SHA256"},
    {.name = "CCM", .version = TLS1_2_VERSION, .cipher = "AES128-CCM8"},
    {.name = "ChaCha20", .version = TLS1_2_VERSION, .cipher = "ECDHE-RSA-CHACHA20-POLY1305"},
    {.name = "1.3", .version = TLS1_3_VERSION, .updates = true},
    {.name = "1.3, 0-RTT", .version = TLS1_3_VERSION, .early = TALK_EARLY},
    {.name = "1.3, CCM", .version = TLS1_3_VERSION, .cipher = "TLS_AES_128_CCM_SHA256"},
};

/* An octet in any place: never anything that was not said, and behind the handshake an end. */
static void
an_altered_octet_ends_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(kinds); i++) {
		struct talk t;
		struct tls_keylog *k;

		talk_make(&t, &kinds[i]);
		k = keylog_of(&t, NULL);
		for (size_t f = 0; f < t.n; f++) {
			struct buf *octets = &t.flight[f].octets;
			size_t step = 1 + octets->n / 40;

			for (size_t at = 0; at < octets->n; at += at < 12 ? 1 : step) {
				struct heard h;

				octets->p[at] ^= (uint8_t)(1u << at % 8);
				h = hear(&t, k, 5000);
				octets->p[at] ^= (uint8_t)(1u << at % 8);
				assert_true(is_prefix(&h, &t));
				if (f >= t.secure_at)
					assert_false(is_whole(&h, &t));
				if (f >= t.secure_at && at > 4 && octets->n - at > 40)
					assert_int_equal(h.over, TLS_OPENING_BROKEN);
				heard_free(&h);
			}
		}
		tls_keylog_free(k);
		talk_free(&t);
	}
}

/* Records that are dropped, and that come twice. */
static void
a_hole_ends_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(kinds); i++)
		for (int twice = 0; twice <= 1; twice++) {
			struct talk t;
			struct tls_keylog *k;
			struct heard h;
			struct buf *octets, copy;

			talk_make(&t, &kinds[i]);
			k = keylog_of(&t, NULL);
			octets = &t.flight[t.secure_at].octets;
			buf_init(&copy, octets->n);
			buf_add(&copy, buf_span(octets));
			if (!twice)
				buf_clear(octets);
			else
				assert_true(buf_add(octets, buf_span(&copy)));
			h = hear(&t, k, 5000);
			assert_int_equal(h.over, TLS_OPENING_BROKEN);
			heard_free(&h);
			buf_free(&copy);
			tls_keylog_free(k);
			talk_free(&t);
		}
}

static void
missing_keys_are_said(void **state)
{
	static const struct {
		struct talk_how how;
		const char *without;
	} rows[] = {
	    {{.version = TLS1_VERSION}, "CLIENT_RANDOM"},
	    {{.version = TLS1_2_VERSION}, "CLIENT_RANDOM"},
	    {{.version = TLS1_2_VERSION, .again = TALK_BY_TICKET}, "CLIENT_RANDOM"},
	    {{.version = TLS1_3_VERSION}, "CLIENT"},
	    {{.version = TLS1_3_VERSION}, "SERVER_HANDSHAKE"},
	    {{.version = TLS1_3_VERSION}, "CLIENT_HANDSHAKE"},
	    {{.version = TLS1_3_VERSION}, "SERVER_TRAFFIC"},
	    {{.version = TLS1_3_VERSION}, "CLIENT_TRAFFIC"},
	    {{.version = TLS1_3_VERSION, .early = TALK_EARLY}, "CLIENT_EARLY"},
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct talk t;
		struct tls_keylog *k;

		talk_make(&t, &rows[i].how);
		k = keylog_of(&t, rows[i].without);
		for (size_t j = 0; j < nitems(pieces); j++) {
			struct heard h = hear(&t, k, pieces[j]);

			assert_int_equal(h.over, TLS_OPENING_NO_KEYS);
			assert_true(is_prefix(&h, &t));
			heard_free(&h);
		}
		tls_keylog_free(k);
		talk_free(&t);
	}
}

/* A refused 0-RTT needs no key: nobody has it but the client. */
static void
refused_early_data_needs_no_key(void **state)
{
	static const enum talk_early earlies[] = {TALK_EARLY_REFUSED, TALK_EARLY_RETRIED};

	(void)state;
	for (size_t i = 0; i < nitems(earlies); i++) {
		struct talk t;
		struct tls_keylog *k;
		struct heard h;

		talk_make(&t, &(struct talk_how){.version = TLS1_3_VERSION, .early = earlies[i]});
		k = keylog_of(&t, "CLIENT_EARLY");
		h = hear(&t, k, 100);
		assert_true(is_whole(&h, &t));
		heard_free(&h);
		tls_keylog_free(k);
		talk_free(&t);
	}
}

/* A line of the key log is added whenever one is missing. */
static void
feed_late(struct tls_opening *o, struct tls_keylog *k, struct span *keys, enum an_dir dir,
    struct span in, struct buf *octets)
{
	struct span plain;
	size_t used;
	enum tls_opened said;

	while ((said = tls_opening_feed(o, dir, in, &used, &plain)) != TLS_OPENING_MORE) {
		in = span_from(in, used);
		assert_int_not_equal(said, TLS_OPENING_BROKEN);
		if (said == TLS_OPENING_OCTETS) {
			buf_add(octets, plain);
		} else if (said == TLS_OPENING_NO_KEYS) {
			size_t n = (size_t)span_find(*keys, '\n');

			assert_true(keys->n > 0);
			tls_keylog_add(k, span_first(*keys, n));
			*keys = span_from(*keys, n + 1);
		}
	}
}

/* The keys come after the octets that need them: the same octets are fed once more. */
static void
hear_late(const struct talk *t, size_t piece)
{
	struct tls_keylog *k = tls_keylog_new(100);
	struct tls_opening *o = tls_opening_new(k);
	struct span keys = buf_span(&t->keys);
	struct buf octets[2];

	buf_init(&octets[AN_C2S], 1 << 20);
	buf_init(&octets[AN_S2C], 1 << 20);
	for (size_t i = 0; i < t->n; i++) {
		enum an_dir dir = t->flight[i].dir;
		struct span rest = buf_span(&t->flight[i].octets);

		for (; rest.n > 0; rest = span_from(rest, piece))
			feed_late(o, k, &keys, dir, span_first(rest, piece), &octets[dir]);
	}
	for (int dir = AN_C2S; dir <= AN_S2C; dir++) {
		assert_true(span_eq(buf_span(&t->said[dir]), buf_span(&octets[dir])));
		buf_free(&octets[dir]);
	}
	tls_opening_free(o);
	tls_keylog_free(k);
}

static void
keys_may_come_late(void **state)
{
	static const struct talk_how hows[] = {
	    {.version = TLS1_2_VERSION},
	    {.version = TLS1_3_VERSION},
	    {.version = TLS1_3_VERSION, .early = TALK_EARLY},
	};

	(void)state;
	for (size_t i = 0; i < nitems(hows); i++) {
		struct talk t;

		talk_make(&t, &hows[i]);
		hear_late(&t, 1 << 20);
		hear_late(&t, 1000);
		hear_late(&t, 1);
		talk_free(&t);
	}
}

#define LITERAL(s) span_of(s, sizeof(s) - 1)

static void
what_is_no_tls_is_broken(void **state)
{
	static const struct {
		enum an_dir dir;
		const char *octets;
		size_t n;
	} rows[] = {
	    {AN_C2S, "NOOP\r\n", 6}, {AN_S2C, "* OK\r\n", 6},
	    {AN_C2S, "\x80\x2e\x01\x03\x01", 5},	     /* SSL 2 */
	    {AN_C2S, "\x16\x03\x01\x48\x01", 5},	     /* longer than a record may be */
	    {AN_C2S, "\x16\x02\x01\0\0", 5},		     /* another version */
	    {AN_C2S, "\x17\x03\x03\0\x01x", 6},		     /* application data, in the clear */
	    {AN_C2S, "\x18\x03\x03\0\x01x", 6},		     /* a heartbeat */
	    {AN_C2S, "\x14\x03\x03\0\x01\x01", 6},	     /* ChangeCipherSpec */
	    {AN_C2S, "\x16\x03\x03\0\x04\x14\0\0\0", 9},     /* Finished */
	    {AN_C2S, "\x16\x03\x03\0\x05\x01\0\0\x01x", 10}, /* a hello that is none */
	    {AN_C2S, "\x16\x03\x03\0\x04\x01\x01\0\x01", 9}, /* and one that is too long */
	    {AN_S2C, "\x16\x03\x03\0\x04\x02\0\0\0", 9},     /* the server's comes first */
	    {AN_S2C, "\x15\x03\x03\0\x01\x02", 6},	     /* half an alert */
	};
	struct tls_keylog *k = tls_keylog_new(1);

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		for (size_t piece = 1; piece <= rows[i].n; piece++) {
			struct tls_opening *o = tls_opening_new(k);
			struct heard h = {.over = TLS_OPENING_MORE};
			struct span rest = span_of(rows[i].octets, rows[i].n);

			for (; rest.n > 0; rest = span_from(rest, piece))
				feed(o, &h, rows[i].dir, span_first(rest, piece));
			assert_int_equal(h.over, TLS_OPENING_BROKEN);
			feed(o, &h, (enum an_dir) !rows[i].dir, LITERAL("x"));
			assert_int_equal(h.over, TLS_OPENING_BROKEN);
			tls_opening_free(o);
		}
	tls_keylog_free(k);
}

/* A server that does not want to: it says so in the clear. */
static void
alerts_end_a_direction(void **state)
{
	struct tls_keylog *k = tls_keylog_new(1);
	struct tls_opening *o = tls_opening_new(k);
	struct heard h = {0};

	(void)state;
	feed(o, &h, AN_S2C, LITERAL("\x15\x03\x01\0\x02\x01\x5a")); /* a warning */
	assert_false(h.ended[AN_S2C]);
	feed(o, &h, AN_S2C, LITERAL("\x15\x03\x01\0\x02\x02\x28"));
	assert_true(h.ended[AN_S2C] && !h.ended[AN_C2S]);
	feed(o, &h, AN_S2C, LITERAL("whatever"));
	assert_int_equal(h.over, TLS_OPENING_MORE);
	tls_opening_free(o);
	tls_keylog_free(k);
}

/* An empty record whose tag is of nobody. */
static void
an_empty_record_is_verified(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(kinds); i++) {
		uint8_t record[64] = {23, 3, 3, 0, 59};
		struct talk t;
		struct tls_keylog *k;
		struct heard h;

		for (size_t n = 0; n <= 59; n++) {
			struct buf *octets;

			if (n % 8 != 0 && n != 59)
				continue;
			record[4] = (uint8_t)n;
			talk_make(&t, &kinds[i]);
			k = keylog_of(&t, NULL);
			octets = &t.flight[t.secure_at].octets;
			buf_clear(octets);
			buf_add(octets, span_of(record, 5 + n));
			h = hear(&t, k, 5000);
			assert_int_equal(h.over, TLS_OPENING_BROKEN);
			heard_free(&h);
			tls_keylog_free(k);
			talk_free(&t);
		}
	}
}

static void
memory_that_runs_out_is_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(kinds); i++) {
		struct talk t;
		unsigned n;

		talk_make(&t, &kinds[i]);
		for (n = 1;; n++) {
			struct tls_keylog *k;
			struct heard h;

			alloc_fail_at(n);
			k = keylog_of(&t, NULL);
			if (k != NULL) {
				h = hear(&t, k, 700);
				assert_true(is_prefix(&h, &t));
				heard_free(&h);
			}
			tls_keylog_free(k);
			if (!alloc_failed())
				break;
		}
		assert_true(n > 8);
		talk_free(&t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_cipher_is_opened),
	    cmocka_unit_test(every_course_is_followed),
	    cmocka_unit_test(a_resumed_session_needs_no_line),
	    cmocka_unit_test(an_altered_octet_ends_it),
	    cmocka_unit_test(a_hole_ends_it),
	    cmocka_unit_test(missing_keys_are_said),
	    cmocka_unit_test(refused_early_data_needs_no_key),
	    cmocka_unit_test(keys_may_come_late),
	    cmocka_unit_test(what_is_no_tls_is_broken),
	    cmocka_unit_test(alerts_end_a_direction),
	    cmocka_unit_test(an_empty_record_is_verified),
	    cmocka_unit_test(memory_that_runs_out_is_survived),
	};
	int failed;

	talk_setup();
	failed = cmocka_run_group_tests_name("tls opening", tests, NULL, NULL);
	talk_teardown();
	return failed;
}
