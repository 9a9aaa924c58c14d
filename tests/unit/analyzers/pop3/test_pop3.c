#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../alloc.h"
#include "core/buf.h"
#include "pop3/pop3.h"

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
#define HELLO S("+OK hi\r\n")
#define LOGIN C("USER u\r\nPASS p\r\n"), S("+OK\r\n+OK\r\n")

/*
 * A dialogue as a watcher sees it, who answers nothing himself. What comes out, per direction:
 *   "RETR=1@9 "     a command, its number and where it begins; "STAT!Not@9 " one with a fault
 *   "(AUTH)@9 "     a line of AUTH
 *   "RETR:+@4 "     +OK to it; "-" -ERR, "~" a challenge, "?" nothing that makes sense; "RETR:+..@4
 * " one that lines follow; "?:-@4 " a goodbye
 *   "<1 100>@9 "    a line of a list; ".@20 " its end
 *   "[octets]"      of a message, or behind STLS; "|@20 " the end of a message
 *   "{bare_lf}"     what is odd about the next one
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
    {"a session",
	{HELLO, LOGIN, C("STAT\r\n"), S("+OK 1 10\r\n"), C("RETR 1\r\n"), S("+OK\r\na\r\n.\r\n"),
	    C("DELE 1\r\n"), S("+OK\r\n"), C("QUIT\r\n"), S("+OK bye\r\n")},
	{"USER@0 PASS@8 STAT@16 RETR=1@22 DELE=1@30 QUIT@38 ",
	    ":+@0 USER:+@8 PASS:+@13 STAT:+@18 RETR:+..@28 [a\r\n]|@36 DELE:+@39 QUIT:+@44 "}},
    {"a command before the greeting waits for it", {C("USER u\r\n"), HELLO}, {"USER@0 ", ":+@0 "}},
    {"a server that refuses", {S("-ERR busy\r\n")}, {"", ":-@0 "}},
    {"no welcome", {S("220 mx\r\n")}, {"", "{no_server_welcome_message}:?@0 "}},
    {"P-005 lines follow by command and argument",
	{HELLO, LOGIN, C("LIST\r\nLIST 1\r\nUIDL\r\nUIDL 2\r\nCAPA\r\n"),
	    S("+OK\r\n1 10\r\n.\r\n+OK 1 10\r\n-ERR\r\n+OK 2 x\r\n+OK\r\nTOP\r\n.\r\n")},
	{"USER@0 PASS@8 LIST@16 LIST=1@22 UIDL@30 UIDL=2@36 CAPA@44 ",
	    ":+@0 USER:+@8 PASS:+@13 LIST:+..@18 <1 10>@23 .@29 LIST:+@32 UIDL:-@42 UIDL:+@48 "
	    "CAPA:+..@57 <TOP>@62 .@67 "}},
    {"P-005 pipelined messages",
	{HELLO, LOGIN, C("RETR 1\r\nTOP 2 0\r\nDELE 1\r\nQUIT\r\n"),
	    S("+OK\r\na\r\n.\r\n-ERR\r\n+OK\r\n+OK\r\n")},
	{"USER@0 PASS@8 RETR=1@16 TOP=2@24 DELE=1@33 QUIT@41 ",
	    ":+@0 USER:+@8 PASS:+@13 RETR:+..@18 [a\r\n]|@26 TOP:-@29 DELE:+@35 QUIT:+@40 "}},
    {"P-006 lines that nobody asked for",
	{HELLO, LOGIN, C("STAT\r\nNOOP\r\n"), S("+OK 1 10\r\n1 10\r\n+OK\r\n")},
	{"USER@0 PASS@8 STAT@16 NOOP@22 ",
	    ":+@0 USER:+@8 PASS:+@13 STAT:+@18 {invalid_reply}NOOP:?@28 "}},
    {"P-006 a reply that nobody asked for", {HELLO, S("+OK again\r\n")},
	{"", ":+@0 {unable_to_match_reply_with_request}?:?@8 "}},
    {"a goodbye that nobody asked for", {HELLO, S("-ERR timeout\r\n")}, {"", ":+@0 ?:-@8 "}},
    {"P-003 P-004 dots and strays",
	{HELLO, LOGIN, C("RETR 1\r\n"), S("+OK\r\n..\r\n.a\r\nb\n.\nc\r\n.\r\n")},
	{"USER@0 PASS@8 RETR=1@16 ",
	    ":+@0 USER:+@8 PASS:+@13 RETR:+..@18 [.\r\na\r\nb]{bare_lf}[\n.]{bare_lf}[\n]"
	    "{smuggling_sequence}@35 [c\r\n]|@38 "}},
    {"P-003 a dot, a CR and no LF", {HELLO, LOGIN, C("RETR 1\r\n"), S("+OK\r\n.\rx\r\n.\r\n")},
	{"USER@0 PASS@8 RETR=1@16 ",
	    ":+@0 USER:+@8 PASS:+@13 RETR:+..@18 {bare_cr}[\rx\r\n]|@28 "}},
    {"an empty message and an empty list",
	{HELLO, LOGIN, C("RETR 1\r\nUIDL\r\n"), S("+OK\r\n.\r\n+OK\r\n.\r\n")},
	{"USER@0 PASS@8 RETR=1@16 UIDL@24 ",
	    ":+@0 USER:+@8 PASS:+@13 RETR:+..@18 |@23 UIDL:+..@26 .@31 "}},
    {"stuffed dots in a list", {HELLO, LOGIN, C("UIDL\r\n"), S("+OK\r\n..\r\n.x\r\n.\r\n")},
	{"USER@0 PASS@8 UIDL@16 ", ":+@0 USER:+@8 PASS:+@13 UIDL:+..@18 <.>@23 <x>@27 .@31 "}},
    {"a list with a bare LF", {HELLO, LOGIN, C("UIDL\r\n"), S("+OK\r\n1 a\n.\n")},
	{"USER@0 PASS@8 UIDL@16 ", ":+@0 USER:+@8 PASS:+@13 UIDL:+..@18 {bare_lf}UIDL:?@23 "}},
    {"AUTH in steps",
	{HELLO, C("AUTH LOGIN\r\n"), S("+ a\r\n"), C("QUIT\r\n"), S("+\r\n"), C("\r\nSTAT\r\n"),
	    S("+OK\r\n"), S("+OK\r\n")},
	{"AUTH@0 (AUTH)@12 (AUTH)@18 STAT@20 ", ":+@0 AUTH:~@8 AUTH:~@13 AUTH:+@16 STAT:+@21 "}},
    {"AUTH that is given up",
	{HELLO, C("AUTH PLAIN\r\n"), S("+ \r\n"), C("*\r\nUSER u\r\n"), S("-ERR\r\n"),
	    S("+OK\r\n")},
	{"AUTH@0 (AUTH)@12 USER@15 ", ":+@0 AUTH:~@8 AUTH:-@12 USER:+@18 "}},
    {"AUTH without an argument", {HELLO, C("AUTH\r\nSTAT\r\n"), S("+OK\r\nPLAIN\r\n.\r\n")},
	{"AUTH@0 STAT!Not@6 ", ":+@0 AUTH:+..@8 <PLAIN>@13 .@20 "}},
    {"a challenge to another command", {HELLO, C("USER u\r\n"), S("+ x\r\n")},
	{"USER@0 ", ":+@0 {invalid_reply}USER:?@8 "}},
    {"a challenge to AUTH without an argument", {HELLO, C("AUTH\r\n"), S("+ x\r\n")},
	{"AUTH@0 ", ":+@0 {invalid_reply}AUTH:?@8 "}},
    {"APOP", {HELLO, C("APOP u 0123\r\nSTAT\r\n"), S("+OK\r\n"), S("+OK\r\n")},
	{"APOP@0 STAT@13 ", ":+@0 APOP:+@8 STAT:+@13 "}},
    {"a login that failed", {HELLO, C("USER u\r\nPASS p\r\nSTAT\r\n"), S("+OK\r\n-ERR\r\n")},
	{"USER@0 PASS@8 STAT!Not@16 ", ":+@0 USER:+@8 PASS:-@13 "}},
    {"P-017 STLS behind the login", {HELLO, LOGIN, C("STLS\r\n")},
	{"USER@0 PASS@8 STLS!Not@16 ", ":+@0 USER:+@8 PASS:+@13 "}},
    {"STLS", {HELLO, C("STLS\r\n\x16\x03"), S("+OK\r\n\x16\x03")},
	{"STLS@0 [\x16\x03]", ":+@0 STLS:+@8 [\x16\x03]"}},
    {"STLS that is refused", {HELLO, C("STLS\r\nUSER u\r\n"), S("-ERR\r\n"), S("+OK\r\n")},
	{"STLS@0 USER@6 ", ":+@0 STLS:-@8 USER:+@14 "}},
    {"behind QUIT nothing is heard ahead of its reply",
	{HELLO, LOGIN, C("QUIT\r\nDELE 1\r\n"), S("+OK\r\n")},
	{"USER@0 PASS@8 QUIT@16 DELE!Not=1@22 ", ":+@0 USER:+@8 PASS:+@13 QUIT:+@18 "}},
    {"P-013 another protocol", {HELLO, C("GET / HTTP/1.0\r\nUSER u\r\n")},
	{"{unknown_protocol}?!This@0 ", ":+@0 "}},
    {"P-013 a handshake", {HELLO, C("\x16\x03\x01")}, {"{unknown_protocol}?!This@0 ", ":+@0 "}},
    {"a bare LF ends no command", {HELLO, C("USER u\nPASS p\r\n")}, {"{bare_lf}?!A@0 ", ":+@0 "}},
    {"what makes no sense", {HELLO, C("\r\nFOO\r\nUSER\r\n USER u\r\nUSER\tu\r\n")},
	{"?!Unknown@0 ?!Unknown@2 USER!Wrong@7 ?!Wrong@13 USER!Wrong@22 ", ":+@0 "}},
};

struct watcher {
	struct pop3 *pop3;
	struct buf out[2], rest[2]; /* by direction */
	struct buf wire;	    /* of the server's, as events hand it out */
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
write_odd(struct watcher *w, const struct an_event *ev)
{
	if (ev->anomaly == AN_NONE)
		return;
	write_text(w, ev->dir, "{");
	buf_str(&w->out[ev->dir], an_anomaly_name(ev->anomaly));
	buf_str(&w->out[ev->dir], "}");
}

static void
write_command(struct watcher *w, const struct an_event *ev)
{
	struct buf *out = &w->out[ev->dir];

	write_text(w, ev->dir, ev->pop3->verb->name);
	if (ev->pop3->fault != POP3_OK) {
		struct span said = span_from(span_str(pop3_fault_reply(ev->pop3->fault)), 5);

		buf_str(out, "!");
		buf_add(out, span_word(&said));
	}
	if (ev->pop3->number > 0) {
		buf_str(out, "=");
		buf_u64(out, ev->pop3->number);
	}
}

static void
write_reply(struct watcher *w, const struct an_event *ev)
{
	const struct pop3_detail *d = ev->pop3;

	write_text(w, ev->dir, d->verb->name);
	buf_str(&w->out[ev->dir], ev->octets.n == 0 ? ":?"
				  : d->challenge    ? ":~"
				  : d->ok	    ? ":+"
						    : ":-");
	if (d->lines_follow)
		buf_str(&w->out[ev->dir], "..");
	buf_add(&w->wire, d->wire);
}

static void
write_line(struct watcher *w, const struct an_event *ev)
{
	write_text(w, ev->dir, "<");
	buf_add(&w->out[ev->dir], ev->octets);
	buf_str(&w->out[ev->dir], ">");
	buf_add(&w->wire, ev->pop3->wire);
}

static void
write_event(struct watcher *w, const struct an_event *ev)
{
	write_odd(w, ev);
	switch ((int)ev->kind) {
	case EV_COMMAND:
		write_command(w, ev);
		break;
	case EV_SECRET:
		write_text(w, ev->dir, "(AUTH)");
		break;
	case EV_REPLY:
		write_reply(w, ev);
		break;
	case EV_LINE:
		write_line(w, ev);
		break;
	case EV_BODY:
	case EV_OPAQUE:
		write_octets(w, ev);
		if (ev->kind == EV_BODY && ev->pop3->dot)
			buf_str(&w->wire, ".");
		if (ev->dir == AN_S2C)
			buf_add(&w->wire, ev->kind == EV_BODY ? ev->pop3->wire : ev->octets);
		return;
	case EV_LINES_END:
	case EV_BODY_END:
		write_text(w, ev->dir, ev->kind == EV_BODY_END ? "|" : ".");
		buf_str(&w->wire, ".\r\n");
		break;
	case EV_ANOMALY:
		break;
	default:
		fail_msg("an event of kind %s", an_kind_name(ev->kind));
	}
	buf_str(&w->out[ev->dir], "@");
	buf_u64(&w->out[ev->dir], ev->off);
	buf_str(&w->out[ev->dir], " ");
}

static enum an_status
step(struct watcher *w, enum an_dir dir)
{
	struct buf *rest = &w->rest[dir];
	struct an_event ev;
	size_t used;
	enum an_status status = pop3_feed(w->pop3, dir, rest->p, rest->n, &used, &ev);

	assert_true(used <= rest->n);
	assert_true(status != AN_WAIT || used == 0);
	assert_true(status != AN_MORE || used == rest->n);
	if (status == AN_EVENT) {
		assert_int_equal(ev.dir, dir);
		write_event(w, &ev);
	}
	buf_drop(rest, used);
	return status;
}

/* As long as a direction gets anywhere: what waits may go on when the other one has spoken. */
static enum an_status
feed(struct watcher *w, enum an_dir dir, const char *octets, size_t n)
{
	enum an_status one, other = AN_MORE;

	buf_add(&w->rest[dir], span_of(octets, n));
	do {
		one = step(w, dir);
		if (one != AN_EVENT && one != AN_NOMEM)
			other = step(w, an_other(dir));
	} while (one != AN_NOMEM && other != AN_NOMEM && (one == AN_EVENT || other == AN_EVENT));
	return one == AN_NOMEM ? one : other;
}

static void
begin(struct watcher *w)
{
	*w = (struct watcher){.pop3 = pop3_new(NULL)};
	buf_init(&w->wire, OUT_MAX);
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_init(&w->out[dir], OUT_MAX);
		buf_init(&w->rest[dir], OUT_MAX);
	}
}

static void
end(struct watcher *w)
{
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_free(&w->out[dir]);
		buf_free(&w->rest[dir]);
	}
	buf_free(&w->wire);
	pop3_free(w->pop3);
}

/* What the server sent is what its events say was on the wire, to the last octet. */
static void
compare_wire(const struct watcher *w, const struct row *row, size_t cut)
{
	struct buf sent;

	if (strstr(row->want[AN_S2C], ":?@") != NULL) /* its rest is not handed out */
		return;
	buf_init(&sent, OUT_MAX);
	for (size_t i = 0; i < STEPS_MAX; i++)
		if (row->steps[i].dir == AN_S2C)
			buf_add(&sent, span_of(row->steps[i].octets, row->steps[i].n));
	if (!span_eq(buf_span(&sent), buf_span(&w->wire)))
		fail_msg("cut %zu: other octets on the wire: '%.*s'", cut, (int)w->wire.n,
		    (const char *)w->wire.p);
	buf_free(&sent);
}

static void
compare(struct watcher *w, const struct row *row, size_t cut)
{
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		write_text(w, dir, "");
		if (!span_eq(buf_span(&w->out[dir]), span_str(row->want[dir])))
			fail_msg("cut %zu, direction %d: '%.*s' where '%s' was expected", cut,
			    (int)dir, (int)w->out[dir].n, (const char *)w->out[dir].p,
			    row->want[dir]);
	}
	compare_wire(w, row, cut);
}

static size_t
length(const struct row *row)
{
	size_t n = 0;

	for (size_t i = 0; i < STEPS_MAX; i++)
		n += row->steps[i].n;
	return n;
}

/* Every step whole, but for the one in which octet number "cut" is: that one in two. */
static void
test_row(void **state)
{
	const struct row *row = *state;

	for (size_t cut = 0; cut < length(row); cut++) {
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
		compare(&w, row, cut);
		end(&w);
	}
}

static void
test_octet_by_octet(void **state)
{
	const struct row *row = *state;
	struct watcher w;

	begin(&w);
	for (size_t i = 0; i < STEPS_MAX; i++)
		for (size_t k = 0; k < row->steps[i].n; k++)
			feed(&w, row->steps[i].dir, row->steps[i].octets + k, 1);
	compare(&w, row, length(row));
	end(&w);
}

/* Room that the test itself will not ask for any more. */
static void
make_room(struct buf *b)
{
	for (size_t i = 0; i < 512; i++)
		buf_octet(b, 0);
	buf_clear(b);
}

/* Each request for memory fails once: the dialogue says so, and nothing is lost. */
static void
test_no_memory(void **state)
{
	const struct row *row = *state;
	bool done = false;

	for (unsigned n = 1; !done; n++) {
		struct watcher w;
		enum an_status status = AN_MORE;

		begin(&w);
		make_room(&w.wire);
		for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
			make_room(&w.out[dir]);
			make_room(&w.rest[dir]);
		}
		alloc_fail_at(n);
		for (size_t i = 0; i < STEPS_MAX && status != AN_NOMEM; i++)
			for (size_t k = 0; k < row->steps[i].n && status != AN_NOMEM; k++)
				status = feed(&w, row->steps[i].dir, row->steps[i].octets + k, 1);
		done = !alloc_failed();
		assert_int_equal(status == AN_NOMEM, !done);
		if (done)
			compare(&w, row, length(row));
		end(&w);
	}
}

static void
test_no_memory_at_all(void **state)
{
	(void)state;
	alloc_fail_at(1);
	assert_null(pop3_new(NULL));
	assert_true(alloc_failed());
	pop3_free(NULL);
}

/* ---- limits ---- */

static enum an_status
feed_once(struct pop3 *s, enum an_dir dir, const char *octets, struct an_event *ev)
{
	size_t used;

	return pop3_feed(s, dir, (const uint8_t *)octets, strlen(octets), &used, ev);
}

struct limit {
	const char *begin;
	size_t n; /* octets with CR LF */
	enum pop3_fault want;
	size_t used; /* 0: all */
};

static void
check_line(const struct limit *l, size_t chunk)
{
	struct pop3 *s = pop3_new(NULL);
	static char line[80000];
	struct an_event ev = {0};
	size_t at = 0, used;

	memset(line, 'a', sizeof(line));
	memcpy(line, l->begin, strlen(l->begin));
	line[l->n - 2] = '\r';
	line[l->n - 1] = '\n';
	feed_once(s, AN_S2C, "+OK hi\r\n", &ev);
	ev.pop3 = NULL;
	while (at < l->n && ev.pop3 == NULL) {
		size_t piece = chunk < l->n - at ? chunk : l->n - at;

		pop3_feed(s, AN_C2S, (const uint8_t *)line + at, piece, &used, &ev);
		at += used;
	}
	assert_non_null(ev.pop3);
	assert_int_equal(ev.pop3->fault, l->want);
	assert_int_equal(at, l->used == 0 ? l->n : l->used);
	pop3_free(s);
}

static void
test_P_001_command_lines(void **state)
{
	static const struct limit limits[] = {
	    {"USER ", 255, POP3_OK, 0},
	    {"USER ", 512, POP3_OK, 0},
	    {"USER ", 513, POP3_LINE_TOO_LONG, 0},
	    {"USER ", 8192, POP3_LINE_TOO_LONG, 0},
	    {"USER ", 8193, POP3_LINE_TOO_LONG, 0},
	    {"USER ", 8194, POP3_LINE_ENDLESS, 8193},
	    {"USER ", 65536, POP3_LINE_ENDLESS, 8193},
	    {"aut ", 65536, POP3_LINE_ENDLESS, 8193},
	    {"AUTHX ", 9000, POP3_LINE_ENDLESS, 8193},
	};

	(void)state;
	for (size_t i = 0; i < nitems(limits); i++)
		for (size_t chunk = 1; chunk < 80000; chunk = chunk * 3 + 1)
			check_line(&limits[i], chunk);
}

static void
test_P_009_O8_lines_of_AUTH(void **state)
{
	static const struct limit limits[] = {
	    {"auth PLAIN ", 12288, POP3_OK, 0},
	    {"AUTH XOAUTH2 ", 12288, POP3_OK, 0},
	    {"AUTH PLAIN ", 12289, POP3_LINE_TOO_LONG, 0},
	    {"AUTH PLAIN ", 12290, POP3_LINE_ENDLESS, 12289},
	};

	(void)state;
	for (size_t i = 0; i < nitems(limits); i++)
		for (size_t chunk = 1; chunk < 80000; chunk = chunk * 3 + 1)
			check_line(&limits[i], chunk);
}

static void
check_answer(const char *command, const char *head, size_t n, bool fits, size_t chunk)
{
	struct pop3 *s = pop3_new(NULL);
	struct an_event ev = {0};
	char line[4096];
	size_t at = 0, used;

	memset(line, '1', sizeof(line));
	line[n - 2] = '\r';
	line[n - 1] = '\n';
	memcpy(line, (const char[]){'+', 'O', 'K', ' '}, 4);
	feed_once(s, AN_S2C, "+OK hi\r\n", &ev);
	feed_once(s, AN_C2S, command, &ev);
	if (*head != '\0')
		feed_once(s, AN_S2C, head, &ev);
	ev.pop3 = NULL;
	while (at < n && ev.pop3 == NULL) {
		size_t piece = chunk < n - at ? chunk : n - at;

		pop3_feed(s, AN_S2C, (const uint8_t *)line + at, piece, &used, &ev);
		at += used;
	}
	assert_non_null(ev.pop3);
	assert_int_equal(ev.anomaly, fits ? AN_NONE : AN_REPLY_LINE_TOO_LONG);
	assert_true(at <= 2049);
	pop3_free(s);
}

static void
test_reply_lines(void **state)
{
	static const size_t lengths[] = {2048, 2049, 2050, 4000};

	(void)state;
	for (size_t i = 0; i < nitems(lengths); i++)
		for (size_t chunk = 1; chunk < 5000; chunk = chunk * 3 + 1) {
			check_answer("USER u\r\n", "", lengths[i], i == 0, chunk);
			check_answer("CAPA\r\n", "+OK\r\n", lengths[i], i == 0, chunk);
		}
}

static void
test_long_line_of_a_message(void **state)
{
	struct pop3 *s = pop3_new(&(struct pop3_limits){.body_line = 20});
	struct an_event ev;
	static const char text[] = "0123456789012345678\r\nx\r\n.\r\n";
	size_t at = 0, used, odd = 0;

	(void)state;
	feed_once(s, AN_S2C, "+OK\r\n", &ev);
	feed_once(s, AN_C2S, "APOP u 0\r\n", &ev);
	feed_once(s, AN_S2C, "+OK\r\n", &ev);
	feed_once(s, AN_C2S, "RETR 1\r\n", &ev);
	feed_once(s, AN_S2C, "+OK\r\n", &ev);
	assert_true(pop3_in_lines(s));
	do {
		pop3_feed(s, AN_S2C, (const uint8_t *)text + at, sizeof(text) - 1 - at, &used, &ev);
		at += used;
		odd += ev.kind == EV_ANOMALY && ev.anomaly == AN_LONG_BODY_LINE;
	} while (ev.kind != EV_BODY_END);
	assert_int_equal(odd, 1);
	assert_false(pop3_in_lines(s));
	pop3_free(s);
}

/* ---- who stands in between ---- */

static void
log_in(struct pop3 *s)
{
	struct an_event ev;

	feed_once(s, AN_S2C, "+OK hi\r\n", &ev);
	feed_once(s, AN_C2S, "APOP u 0\r\n", &ev);
	feed_once(s, AN_S2C, "+OK\r\n", &ev);
	assert_int_equal(pop3_phase(s), POP3_TRANSACTION);
}

static void
test_answered_by_the_caller(void **state)
{
	struct pop3 *s = pop3_new(NULL);
	struct an_event ev;

	(void)state;
	log_in(s);
	feed_once(s, AN_C2S, "NOOP\r\n", &ev);
	feed_once(s, AN_C2S, "DELE 1\r\n", &ev);
	pop3_answered(s, false);
	assert_int_equal(pop3_waiting(s), 2); /* its turn comes behind NOOP's */
	feed_once(s, AN_C2S, "STAT\r\n", &ev);
	feed_once(s, AN_S2C, "+OK\r\n", &ev);
	assert_int_equal(ev.pop3->verb->verb, POP3_NOOP);
	assert_int_equal(pop3_waiting(s), 1);
	assert_true(pop3_oldest(s) == 4);
	feed_once(s, AN_S2C, "+OK 1 1\r\n", &ev);
	assert_int_equal(ev.pop3->verb->verb, POP3_STAT);
	assert_int_equal(pop3_waiting(s), 0);
	pop3_answered(s, false); /* nothing is there to be answered */
	pop3_free(s);
}

/* A login that the caller refuses leaves the client among commands. */
/* Only the reply that the client waits for lets it go on, not one to a fault ahead of that. */
static void
test_a_fault_ahead_of_STLS_N_006(void **state)
{
	struct pop3 *s = pop3_new(NULL);
	struct an_event ev;

	(void)state;
	feed_once(s, AN_S2C, "+OK hi\r\n", &ev);
	feed_once(s, AN_C2S, "USER anna\r\n", &ev);
	feed_once(s, AN_C2S, "STLS now\r\n", &ev);
	assert_int_not_equal(ev.pop3->fault, POP3_OK);
	pop3_answered(s, false);
	feed_once(s, AN_C2S, "STLS\r\n", &ev);
	assert_int_equal(feed_once(s, AN_C2S, "CAPA\r\n", &ev), AN_WAIT);
	feed_once(s, AN_S2C, "+OK\r\n", &ev);
	assert_int_equal(feed_once(s, AN_C2S, "CAPA\r\n", &ev), AN_WAIT);
	feed_once(s, AN_S2C, "+OK\r\n", &ev);
	assert_int_equal(pop3_phase(s), POP3_OPAQUE);
	pop3_free(s);
}

static void
test_refused_by_the_caller(void **state)
{
	struct pop3 *s = pop3_new(NULL);
	struct an_event ev;

	(void)state;
	feed_once(s, AN_S2C, "+OK hi\r\n", &ev);
	feed_once(s, AN_C2S, "PASS x\r\n", &ev);
	assert_int_equal(feed_once(s, AN_C2S, "USER u\r\n", &ev), AN_WAIT);
	pop3_answered(s, false);
	assert_int_equal(pop3_phase(s), POP3_AUTHORIZATION);
	assert_int_equal(feed_once(s, AN_C2S, "USER u\r\n", &ev), AN_EVENT);
	pop3_free(s);
}

static void
test_no_reply_will_come(void **state)
{
	struct pop3 *s = pop3_new(NULL);
	struct an_event ev;

	(void)state;
	log_in(s);
	feed_once(s, AN_C2S, "LIST\r\n", &ev);
	feed_once(s, AN_C2S, "NOOP\r\n", &ev);
	feed_once(s, AN_S2C, "+OK\r\n", &ev);
	assert_true(pop3_in_lines(s));
	assert_true(pop3_answered_oldest(s, false));
	assert_false(pop3_in_lines(s));
	assert_true(pop3_answered_oldest(s, false));
	assert_false(pop3_answered_oldest(s, false));
	pop3_free(s);
}

/* With all slots taken the client waits, and goes on when one is free. */
static void
test_P_005_too_many_commands(void **state)
{
	struct pop3 *s = pop3_new(NULL);
	struct an_event ev;

	(void)state;
	log_in(s);
	for (unsigned i = 0; i < POP3_SLOTS; i++)
		assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_EVENT);
	assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_WAIT);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(feed_once(s, AN_S2C, "+OK\r\n", &ev), AN_EVENT);
		assert_true(ev.slot == i + 2);
		assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_EVENT);
	}
	pop3_free(s);
}

static void
test_O2_phases(void **state)
{
	struct pop3 *s = pop3_new(NULL);
	struct an_event ev;

	(void)state;
	assert_string_equal(pop3_phase_name(pop3_phase(s)), "greeting");
	feed_once(s, AN_S2C, "+OK hi\r\n", &ev);
	assert_string_equal(pop3_phase_name(pop3_phase(s)), "authorization");
	feed_once(s, AN_C2S, "AUTH PLAIN x\r\n", &ev);
	assert_true(ev.pop3->initial);
	feed_once(s, AN_S2C, "+OK [X/Y] in\r\n", &ev);
	assert_true(span_eq(ev.pop3->code, span_str("X/Y")));
	assert_string_equal(pop3_phase_name(pop3_phase(s)), "transaction");
	feed_once(s, AN_C2S, "QUIT\r\n", &ev);
	assert_int_equal(pop3_phase(s), POP3_TRANSACTION);
	feed_once(s, AN_S2C, "+OK\r\n", &ev);
	assert_string_equal(pop3_phase_name(pop3_phase(s)), "update");
	pop3_free(s);
}

/* RFC 1939 s6: QUIT in AUTHORIZATION, or one that is refused, deletes nothing. */
static void
test_O9_no_update(void **state)
{
	struct pop3 *s = pop3_new(NULL);
	struct an_event ev;

	(void)state;
	log_in(s);
	feed_once(s, AN_C2S, "QUIT\r\n", &ev);
	feed_once(s, AN_S2C, "-ERR some were not removed\r\n", &ev);
	assert_int_equal(pop3_phase(s), POP3_TRANSACTION);
	pop3_free(s);
	s = pop3_new(NULL);
	feed_once(s, AN_S2C, "+OK hi\r\n", &ev);
	feed_once(s, AN_C2S, "QUIT\r\n", &ev);
	feed_once(s, AN_S2C, "+OK\r\n", &ev);
	assert_int_equal(pop3_phase(s), POP3_AUTHORIZATION);
	pop3_free(s);
}

int
main(void)
{
	static const struct CMUnitTest singles[] = {
	    cmocka_unit_test(test_no_memory_at_all),
	    cmocka_unit_test(test_P_001_command_lines),
	    cmocka_unit_test(test_P_009_O8_lines_of_AUTH),
	    cmocka_unit_test(test_reply_lines),
	    cmocka_unit_test(test_long_line_of_a_message),
	    cmocka_unit_test(test_answered_by_the_caller),
	    cmocka_unit_test(test_a_fault_ahead_of_STLS_N_006),
	    cmocka_unit_test(test_refused_by_the_caller),
	    cmocka_unit_test(test_no_reply_will_come),
	    cmocka_unit_test(test_P_005_too_many_commands),
	    cmocka_unit_test(test_O2_phases),
	    cmocka_unit_test(test_O9_no_update),
	};
	struct CMUnitTest tests[nitems(singles) + 3 * nitems(rows)];
	CMUnitTestFunction const all[] = {test_row, test_octet_by_octet, test_no_memory};
	size_t n = nitems(singles);

	memcpy(tests, singles, sizeof(singles));
	for (size_t i = 0; i < nitems(rows); i++)
		for (size_t k = 0; k < nitems(all); k++)
			tests[n++] = (struct CMUnitTest){.name = rows[i].name,
			    .test_func = all[k],
			    .initial_state = (void *)(uintptr_t)&rows[i]};
	return cmocka_run_group_tests_name("pop3", tests, NULL, NULL);
}
