#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../alloc.h"
#include "smtp/smtp.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define OUT_MAX	  65536
#define STEPS_MAX 12

#define C(octets)                                                                                  \
	{                                                                                          \
		AN_C2S, (octets), sizeof(octets) - 1                                               \
	}
#define S(octets)                                                                                  \
	{                                                                                          \
		AN_S2C, (octets), sizeof(octets) - 1                                               \
	}

#define EHLO C("EHLO me\r\n"), S("250 mx\r\n")
#define MAIL                                                                                       \
	C("MAIL FROM:<a@b.example>\r\nRCPT TO:<u@local.example>\r\n"), S("250 ok\r\n250 ok\r\n")

/*
 * A dialogue as a watcher sees it, who answers nothing himself. What comes out, per direction:
 *   "MAIL@9 "      a command and where it begins; "MAIL!501@9 " one with a fault
 *   "MAIL:250@4 "  a reply and the command that it answers; "?:250@4 " to none
 *   "[octets]"     of a body, or behind STARTTLS; "{bare_lf}" for a stray or what is odd
 *   "end chunk secret " ends of a message and of a chunk, a line of AUTH
 */
struct row {
	const char *name;
	struct step {
		enum an_dir dir;
		const char *octets;
		size_t n;
	} steps[STEPS_MAX];
	const char *want[2];
};

static const struct row rows[] = {
    {"one mail",
	{S("220 mx\r\n"), EHLO, MAIL, C("DATA\r\n"), S("354 go\r\n"), C("x\r\n..\r\n.\r\nQUIT\r\n"),
	    S("250 queued\r\n221 bye\r\n")},
	{"EHLO@0 MAIL@9 RCPT@34 DATA@61 [x\r\n.\r\n]end QUIT@77 ",
	    ":220@0 EHLO:250@8 MAIL:250@16 RCPT:250@24 DATA:354@32 .:250@40 QUIT:221@52 "}},
    {"S-025 a command before the greeting waits for it", {C("EHLO me\r\n"), S("220 mx\r\n")},
	{"EHLO@0 ", ":220@0 "}},
    {"S-030 DATA refused",
	{S("220 mx\r\n"), EHLO, MAIL, C("DATA\r\n"), S("554 no\r\n"), C("RSET\r\n")},
	{"EHLO@0 MAIL@9 RCPT@34 DATA@61 RSET@67 ",
	    ":220@0 EHLO:250@8 MAIL:250@16 RCPT:250@24 DATA:554@32 "}},
    {"what follows DATA waits for its reply",
	{S("220 mx\r\n"), EHLO, MAIL, C("DATA\r\nQUIT\r\n.\r\n"), S("354 go\r\n")},
	{"EHLO@0 MAIL@9 RCPT@34 DATA@61 [QUIT\r\n]end ",
	    ":220@0 EHLO:250@8 MAIL:250@16 RCPT:250@24 DATA:354@32 "}},
    {"S-001 strays in a body",
	{S("220 mx\r\n"), EHLO, MAIL, C("DATA\r\n"), S("354 go\r\n"), C("a\n.\nb\r\n.\r\n")},
	{"EHLO@0 MAIL@9 RCPT@34 DATA@61 [a]{bare_lf}[.]{bare_lf}{smuggling_sequence}[b\r\n]end ",
	    ":220@0 EHLO:250@8 MAIL:250@16 RCPT:250@24 DATA:354@32 "}},
    {"S-055 two chunks and the next mail",
	{S("220 mx\r\n"), EHLO, MAIL, C("BDAT 3\r\nabcBDAT 4 LAST\r\nd\r\n.MAIL FROM:<>\r\n"),
	    S("250 3\r\n250 4\r\n250 ok\r\n")},
	{"EHLO@0 MAIL@9 RCPT@34 BDAT@61 [abc]chunk BDAT@72 [d\r\n.]end MAIL@89 ",
	    ":220@0 EHLO:250@8 MAIL:250@16 RCPT:250@24 BDAT:250@32 BDAT:250@39 MAIL:250@46 "}},
    {"S-054 an empty last chunk", {S("220 mx\r\n"), EHLO, MAIL, C("BDAT 0 LAST\r\nRSET\r\n")},
	{"EHLO@0 MAIL@9 RCPT@34 BDAT@61 end RSET@74 ",
	    ":220@0 EHLO:250@8 MAIL:250@16 RCPT:250@24 "}},
    {"S-056 an end mark in a chunk is content",
	{S("220 mx\r\n"), EHLO, MAIL, C("BDAT 12 LAST\r\n\r\n.\r\nQUIT\r\n\r")},
	{"EHLO@0 MAIL@9 RCPT@34 BDAT@61 [\r\n.\r\nQUIT\r\n]{bare_cr}end ",
	    ":220@0 EHLO:250@8 MAIL:250@16 RCPT:250@24 "}},
    {"S-051 a chunk without count ends what can be read",
	{S("220 mx\r\n"), EHLO, C("BDAT x\r\nNOOP\r\n")},
	{"EHLO@0 BDAT!521@9 ", ":220@0 EHLO:250@8 "}},
    {"S-038 AUTH, lines that look like commands",
	{S("220 mx\r\n"), EHLO, C("AUTH LOGIN\r\n"), S("334 a\r\n"), C("QUIT\r\n"), S("334 b\r\n"),
	    C("*\r\n"), S("501 no\r\n"), C("NOOP\r\n")},
	{"EHLO@0 AUTH@9 secret@21 secret@27 NOOP@30 ",
	    ":220@0 EHLO:250@8 AUTH:334@16 AUTH:334@23 AUTH:501@30 "}},
    {"STARTTLS",
	{S("220 mx\r\n"), EHLO, C("STARTTLS\r\n"), S("220 go\r\n"), C("\x16\x03\x01"),
	    S("\x16\x03")},
	{"EHLO@0 STARTTLS@9 [\x16\x03\x01]", ":220@0 EHLO:250@8 STARTTLS:220@16 [\x16\x03]"}},
    {"N-013 STARTTLS refused",
	{S("220 mx\r\n"), EHLO, C("STARTTLS\r\n"), S("454 no\r\n"), C("NOOP\r\n")},
	{"EHLO@0 STARTTLS@9 NOOP@19 ", ":220@0 EHLO:250@8 STARTTLS:454@16 "}},
    {"S-034 a reply to nothing", {S("220 mx\r\n"), EHLO, S("250 what\r\n")},
	{"EHLO@0 ", ":220@0 EHLO:250@8 ?:250@16 "}},
    {"S-032 no reply: nothing behind it is read",
	{S("220 mx\r\n"), EHLO, C("NOOP\r\n"), S("hello\r\n250 ok\r\n")},
	{"EHLO@0 NOOP@9 ", ":220@0 EHLO:250@8 ?:0"}},
    {"S-033 mixed codes",
	{S("220 mx\r\n"), C("EHLO me\r\n"), S("250-a\r\n550 b\r\n"), C("NOOP\r\n")},
	{"EHLO@0 NOOP@9 ", ":220@0 EHLO:550@8 "}},
    {"S-019 a bare LF ends what can be read", {S("220 mx\r\n"), C("NOOP\nNOOP\r\n")},
	{"NOOP!550@0 ", ":220@0 "}},
    {"S-041 an unknown command", {S("220 mx\r\n"), C("TURN\r\nNOOP\r\n")},
	{"?!502@0 NOOP@6 ", ":220@0 "}},
    {"S-026 another protocol", {S("220 mx\r\n"), C("GET / HTTP/1.1\r\nHost: x\r\n")},
	{"GET!221@0 ", ":220@0 "}},
};

struct watcher {
	struct smtp *smtp;
	struct buf out[2], rest[2]; /* by direction */
	bool open[2];		    /* "[" is written, "]" is not */
};

static void
write_text(struct watcher *w, enum an_dir dir, const char *text)
{
	if (w->open[dir])
		buf_str(&w->out[dir], "]");
	w->open[dir] = false;
	buf_str(&w->out[dir], text);
}

static void
write_octets(struct watcher *w, const struct an_event *ev)
{
	if (!w->open[ev->dir])
		buf_str(&w->out[ev->dir], "[");
	w->open[ev->dir] = true;
	buf_add(&w->out[ev->dir], ev->octets);
}

static void
write_place(struct watcher *w, const struct an_event *ev)
{
	buf_str(&w->out[ev->dir], "@");
	buf_u64(&w->out[ev->dir], ev->off);
	buf_str(&w->out[ev->dir], " ");
}

static void
write_odd(struct watcher *w, const struct an_event *ev)
{
	write_text(w, ev->dir, "{");
	buf_str(&w->out[ev->dir], an_anomaly_name(ev->anomaly));
	buf_str(&w->out[ev->dir], "}");
}

static void
write_command(struct watcher *w, const struct an_event *ev)
{
	write_text(w, ev->dir, ev->smtp->verb->name);
	if (ev->smtp->fault != SMTP_OK) {
		buf_str(&w->out[ev->dir], "!");
		buf_add(
		    &w->out[ev->dir], span_first(span_str(smtp_fault_reply(ev->smtp->fault)), 3));
	}
	write_place(w, ev);
}

static void
write_reply(struct watcher *w, const struct an_event *ev)
{
	write_text(w, ev->dir, ev->smtp->verb->name);
	buf_str(&w->out[ev->dir], ":");
	buf_u64(&w->out[ev->dir], ev->smtp->code);
	if (ev->smtp->code != 0)
		write_place(w, ev);
}

static void
write_event(struct watcher *w, const struct an_event *ev)
{
	switch ((int)ev->kind) {
	case EV_COMMAND:
		write_command(w, ev);
		break;
	case EV_SECRET:
		write_text(w, ev->dir, "secret");
		write_place(w, ev);
		break;
	case EV_REPLY:
		write_reply(w, ev);
		break;
	case EV_BODY:
		if (ev->anomaly == AN_NONE)
			write_octets(w, ev);
		else
			write_odd(w, ev);
		break;
	case EV_BODY_END:
		write_text(w, ev->dir, "end ");
		break;
	case EV_CHUNK_END:
		write_text(w, ev->dir, "chunk ");
		break;
	case EV_OPAQUE:
		write_octets(w, ev);
		break;
	case EV_ANOMALY:
		write_odd(w, ev);
		break;
	}
}

static bool
step(struct watcher *w, enum an_dir dir)
{
	struct buf *rest = &w->rest[dir];
	struct an_event ev;
	size_t used;
	enum an_status status = smtp_feed(w->smtp, dir, rest->p, rest->n, &used, &ev);

	assert_int_not_equal(status, AN_NOMEM);
	assert_true(used <= rest->n);
	assert_true(status != AN_WAIT || used == 0);
	assert_true(status != AN_MORE || used == rest->n);
	if (status == AN_EVENT) {
		assert_int_equal(ev.dir, dir);
		write_event(w, &ev);
	}
	buf_drop(rest, used);
	return status == AN_EVENT;
}

/* As long as a direction gets anywhere: what waits may go on when the other one has spoken. */
static void
feed(struct watcher *w, enum an_dir dir, const char *octets, size_t n)
{
	buf_add(&w->rest[dir], span_of(octets, n));
	while (step(w, dir) || step(w, an_other(dir)))
		continue;
}

static void
begin(struct watcher *w)
{
	*w = (struct watcher){.smtp = smtp_new(NULL)};
	assert_non_null(w->smtp);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_init(&w->out[dir], OUT_MAX);
		buf_init(&w->rest[dir], OUT_MAX);
	}
}

static void
end(struct watcher *w, const struct row *row, size_t cut)
{
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		write_text(w, dir, "");
		if (!span_eq(buf_span(&w->out[dir]), span_str(row->want[dir])))
			fail_msg("cut %zu, direction %d: '%.*s' where '%s' was expected", cut,
			    (int)dir, (int)w->out[dir].n, (const char *)w->out[dir].p,
			    row->want[dir]);
		buf_free(&w->out[dir]);
		buf_free(&w->rest[dir]);
	}
	smtp_free(w->smtp);
}

/* Every step whole, but for the one in which octet number "cut" is: that one in two. */
static void
play(const struct row *row, size_t cut)
{
	struct watcher w;
	size_t at = 0;

	begin(&w);
	for (size_t i = 0; i < STEPS_MAX && row->steps[i].n > 0; i++) {
		const struct step *s = &row->steps[i];
		size_t first = cut > at && cut < at + s->n ? cut - at : s->n;

		feed(&w, s->dir, s->octets, first);
		feed(&w, s->dir, s->octets + first, s->n - first);
		at += s->n;
	}
	end(&w, row, cut);
}

static void
test_row(void **state)
{
	const struct row *row = *state;
	struct watcher w;
	size_t n = 0;

	for (size_t i = 0; i < STEPS_MAX; i++)
		n += row->steps[i].n;
	for (size_t cut = 0; cut < n; cut++)
		play(row, cut);
	begin(&w);
	for (size_t i = 0; i < STEPS_MAX; i++)
		for (size_t k = 0; k < row->steps[i].n; k++)
			feed(&w, row->steps[i].dir, row->steps[i].octets + k, 1);
	end(&w, row, n);
}

/* ---- who stands in between ---- */

static enum an_status
feed_once(struct smtp *s, enum an_dir dir, const char *octets, struct an_event *ev)
{
	size_t used;

	return smtp_feed(s, dir, (const uint8_t *)octets, strlen(octets), &used, ev);
}

static void
test_answered_by_the_caller(void **state)
{
	struct smtp *s = smtp_new(NULL);
	struct an_event ev;

	(void)state;
	feed_once(s, AN_S2C, "220 mx\r\n", &ev);
	feed_once(s, AN_C2S, "NOOP\r\n", &ev);
	feed_once(s, AN_C2S, "RCPT TO:<r@evil.example>\r\n", &ev);
	smtp_answered(s, 550);
	assert_int_equal(smtp_waiting(s), 2); /* its turn comes behind NOOP's */
	feed_once(s, AN_C2S, "RSET\r\n", &ev);
	feed_once(s, AN_S2C, "250 noop\r\n", &ev);
	assert_int_equal(ev.smtp->verb->verb, SMTP_NOOP);
	assert_int_equal(smtp_waiting(s), 1);
	feed_once(s, AN_S2C, "250 reset\r\n", &ev);
	assert_int_equal(ev.smtp->verb->verb, SMTP_RSET);
	assert_int_equal(smtp_waiting(s), 0);
	smtp_free(s);
}

/* DATA that the caller refuses leaves the client among commands. */
static void
test_refused_by_the_caller(void **state)
{
	struct smtp *s = smtp_new(NULL);
	struct an_event ev;

	(void)state;
	feed_once(s, AN_S2C, "220 mx\r\n", &ev);
	feed_once(s, AN_C2S, "DATA\r\n", &ev);
	assert_int_equal(smtp_state(s), SMTP_ST_SYNC);
	assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_WAIT);
	smtp_answered(s, 503);
	assert_int_equal(smtp_state(s), SMTP_ST_COMMAND);
	assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_EVENT);
	smtp_free(s);
}

/* Only what the client waits for lets it go on, not a command with a fault ahead of that. */
static void
test_a_fault_ahead_of_data_S_001(void **state)
{
	static const char *const faults[] = {"EHLO\r\n", "STARTTLS now\r\n", "EHLO \x01\r\n"};
	struct an_event ev;

	(void)state;
	for (size_t i = 0; i < nitems(faults); i++) {
		struct smtp *s = smtp_new(NULL);

		feed_once(s, AN_S2C, "220 mx\r\n", &ev);
		feed_once(s, AN_C2S, "NOOP\r\n", &ev);
		feed_once(s, AN_C2S, faults[i], &ev);
		assert_int_not_equal(ev.smtp->fault, SMTP_OK);
		smtp_answered(s, 501);
		feed_once(s, AN_C2S, "DATA\r\n", &ev);
		feed_once(s, AN_S2C, "250 noop\r\n", &ev);
		assert_int_equal(smtp_state(s), SMTP_ST_SYNC);
		feed_once(s, AN_S2C, "354 go\r\n", &ev);
		assert_int_equal(smtp_state(s), SMTP_ST_DATA);
		smtp_free(s);
	}
}

static void
test_sent_by_the_caller(void **state)
{
	struct smtp *s = smtp_new(NULL);
	struct an_event ev;
	uint64_t slot;

	(void)state;
	feed_once(s, AN_S2C, "220 mx\r\n", &ev);
	slot = smtp_sent(s, SMTP_RSET);
	feed_once(s, AN_C2S, "NOOP\r\n", &ev);
	assert_true(ev.slot > slot);
	feed_once(s, AN_S2C, "250 reset\r\n", &ev);
	assert_true(ev.smtp->own);
	assert_true(ev.slot == slot);
	feed_once(s, AN_S2C, "250 noop\r\n", &ev);
	assert_false(ev.smtp->own);
	smtp_free(s);
}

static void
test_no_reply_will_come(void **state)
{
	struct smtp *s = smtp_new(NULL);
	struct an_event ev;

	(void)state;
	feed_once(s, AN_S2C, "220 mx\r\n", &ev);
	feed_once(s, AN_C2S, "NOOP\r\n", &ev);
	feed_once(s, AN_C2S, "NOOP\r\n", &ev);
	assert_true(smtp_answered_oldest(s, 451));
	assert_true(smtp_answered_oldest(s, 451));
	assert_false(smtp_answered_oldest(s, 451));
	smtp_free(s);
}

/* With all slots taken the client waits, and goes on when one is free. */
static void
test_slots(void **state)
{
	struct smtp *s = smtp_new(NULL);
	struct an_event ev;

	(void)state;
	feed_once(s, AN_S2C, "220 mx\r\n", &ev);
	for (int i = 0; i < SMTP_SLOTS; i++)
		assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_EVENT);
	assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_WAIT);
	assert_int_not_equal(smtp_sent(s, SMTP_RSET), UINT64_MAX); /* the caller's own fit */
	feed_once(s, AN_S2C, "250 ok\r\n", &ev);
	feed_once(s, AN_S2C, "250 ok\r\n", &ev);
	assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_EVENT);
	smtp_free(s);
}

/* Wherever the first ones stand when they become too few, replies find their commands. */
static void
test_slots_that_become_many(void **state)
{
	struct an_event ev;

	(void)state;
	for (int before = 0; before < 12; before++) {
		struct smtp *s = smtp_new(NULL);

		feed_once(s, AN_S2C, "220 mx\r\n", &ev);
		for (int i = 0; i < before; i++) {
			feed_once(s, AN_C2S, "NOOP\r\n", &ev);
			feed_once(s, AN_S2C, "250 ok\r\n", &ev);
		}
		for (int i = 0; i < 20; i++)
			feed_once(s, AN_C2S, i % 3 == 0 ? "RSET\r\n" : "NOOP\r\n", &ev);
		for (int i = 0; i < 20; i++) {
			assert_int_equal(feed_once(s, AN_S2C, "250 ok\r\n", &ev), AN_EVENT);
			assert_int_equal(ev.slot, 1 + before + i);
			assert_int_equal(ev.smtp->verb->verb, i % 3 == 0 ? SMTP_RSET : SMTP_NOOP);
		}
		assert_int_equal(smtp_waiting(s), 0);
		smtp_free(s);
	}
}

/* Without memory for more of them a command is not taken, and those that wait stay. */
static void
test_memory_that_runs_out(void **state)
{
	struct smtp *s = smtp_new(NULL);
	struct an_event ev;
	unsigned waiting = 0;

	(void)state;
	feed_once(s, AN_S2C, "220 mx\r\n", &ev);
	alloc_fail_at(1);
	while (feed_once(s, AN_C2S, "NOOP\r\n", &ev) == AN_EVENT)
		waiting++;
	assert_true(alloc_failed());
	assert_int_equal(smtp_waiting(s), waiting);
	assert_int_not_equal(smtp_sent(s, SMTP_RSET), UINT64_MAX);
	assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_EVENT);
	assert_int_equal(smtp_waiting(s), waiting + 2);
	smtp_free(s);
}

static void
test_names(void **state)
{
	(void)state;
	for (int i = SMTP_ST_GREETING; i <= SMTP_ST_OPAQUE; i++)
		assert_non_null(smtp_state_name((enum smtp_state)i));
	assert_string_equal(smtp_state_name(SMTP_ST_CHUNK), "chunk");
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_answered_by_the_caller),
	    cmocka_unit_test(test_refused_by_the_caller),
	    cmocka_unit_test(test_a_fault_ahead_of_data_S_001),
	    cmocka_unit_test(test_sent_by_the_caller),
	    cmocka_unit_test(test_no_reply_will_come),
	    cmocka_unit_test(test_slots),
	    cmocka_unit_test(test_slots_that_become_many),
	    cmocka_unit_test(test_memory_that_runs_out),
	    cmocka_unit_test(test_names),
	};
	struct CMUnitTest tests[nitems(fixed) + nitems(rows)];

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < nitems(rows); i++)
		tests[nitems(fixed) + i] = (struct CMUnitTest){
		    rows[i].name, test_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
	return cmocka_run_group_tests_name("smtp", tests, NULL, NULL);
}
