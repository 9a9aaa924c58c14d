#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../alloc.h"
#include "ftp/ftp.h"

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
#define HELLO S("220 hi\r\n")

/*
 * A dialogue as a watcher sees it, who answers nothing himself. What comes out, per direction:
 *   "RETR@9 "       a command and where it begins; "RETR!501@9 " one with a fault; "+ABOR@9 " one
 *                   that a Synch stands in front of
 *   "RETR:226@4 "   a reply and the command that it answers; "RETR:150-@4 " a preliminary one;
 *                   "?:250@4 " to none; "PASV:227=192,0,2,1,4,0@4 "
 *   "{bare_lf}"     what is odd about the next one
 *   "[octets]"      behind AUTH
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
    {"one download",
	{HELLO, C("USER u\r\nPASS p\r\n"), S("331 password\r\n230 in\r\n"), C("PASV\r\n"),
	    S("227 Entering (192,0,2,1,4,0)\r\n"), C("RETR a\r\n"), S("150 here it comes\r\n"),
	    S("226 done\r\n"), C("QUIT\r\n"), S("221 bye\r\n")},
	{"USER@0 PASS@8 PASV@16 RETR@22 QUIT@30 ",
	    ":220@0 USER:331@8 PASS:230@22 PASV:227=192,0,2,1,4,0@30 RETR:150-@60 RETR:226@79 "
	    "QUIT:221@89 "}},
    {"the greeting may take a while", {S("120 in a minute\r\n"), C("USER u\r\n"), HELLO},
	{"USER@0 ", ":120-@0 :220@17 "}},
    {"a command before the greeting waits for it", {C("USER u\r\n"), HELLO},
	{"USER@0 ", ":220@0 "}},
    {"no greeting but 421", {S("421 full\r\n")}, {"", ":421@0 "}},
    {"pipelined", {HELLO, C("NOOP\r\nNOOP\r\nPWD\r\n"), S("200 a\r\n200 b\r\n257 \"/\"\r\n")},
	{"NOOP@0 NOOP@6 PWD@12 ", ":220@0 NOOP:200@8 NOOP:200@15 PWD:257@22 "}},
    {"an empty listing without 1xx", {HELLO, C("LIST\r\n"), S("226 nothing\r\n")},
	{"LIST@0 ", ":220@0 LIST:226@8 "}},
    {"F-020 ABOR during a transfer: two replies",
	{HELLO, C("RETR a\r\n"), S("150 go\r\n"), C("ABOR\r\n"), S("426 cut\r\n226 aborted\r\n")},
	{"RETR@0 ABOR@8 ", ":220@0 RETR:150-@8 RETR:426@16 ABOR:226@25 "}},
    {"F-018 ABOR with Synch",
	{HELLO, C("RETR a\r\n"), S("150 go\r\n"),
	    C("\xff\xf4\xff\xf2"
	      "ABOR\r\nNOOP\r\n"),
	    S("426 cut\r\n226 aborted\r\n200 ok\r\n")},
	{"RETR@0 +ABOR@12 NOOP@18 ", ":220@0 RETR:150-@8 RETR:426@16 ABOR:226@25 NOOP:200@38 "}},
    {"F-018 a Synch alone in front",
	{HELLO,
	    C("\xff\xf2"
	      "ABOR\r\n"),
	    S("225 nothing to abort\r\n")},
	{"+ABOR@2 ", ":220@0 ABOR:225@8 "}},
    {"STAT during a transfer",
	{HELLO, C("STOR a\r\n"), S("150 go\r\n"), C("STAT\r\nNOOP\r\n"),
	    S("211-status\r\n more\r\n211 end\r\n"), S("226 done\r\n200 ok\r\n")},
	{"STOR@0 STAT@8 NOOP@14 ", ":220@0 STOR:150-@8 STAT:211@16 STOR:226@44 NOOP:200@54 "}},
    {"NOOP and QUIT answered during a transfer",
	{HELLO, C("STOR a\r\n"), S("150 go\r\n"), C("NOOP\r\nQUIT\r\n"), S("221 bye\r\n200 ok\r\n"),
	    S("226 done\r\n")},
	{"STOR@0 NOOP@8 QUIT@14 ", ":220@0 STOR:150-@8 QUIT:221@16 NOOP:200@25 STOR:226@33 "}},
    {"STAT that a busy server refuses",
	{HELLO, C("RETR a\r\n"), S("150 go\r\n"), C("STAT\r\n"), S("502 not now\r\n226 done\r\n")},
	{"RETR@0 STAT@8 ", ":220@0 RETR:150-@8 STAT:502@16 RETR:226@29 "}},
    {"F-020 the reply to ABOR comes first",
	{HELLO, C("RETR a\r\n"), S("150 go\r\n"), C("ABOR\r\n"), S("225 aborted\r\n426 cut\r\n")},
	{"RETR@0 ABOR@8 ", ":220@0 RETR:150-@8 ABOR:225@16 RETR:426@29 "}},
    {"F-020 ABOR came too late",
	{HELLO, C("RETR a\r\n"), S("150 go\r\n"), C("ABOR\r\n"), S("226 done\r\n225 nothing\r\n")},
	{"RETR@0 ABOR@8 ", ":220@0 RETR:150-@8 RETR:226@16 ABOR:225@26 "}},
    {"two 1xx, REIN and its greetings",
	{HELLO, C("RETR a\r\n"), S("150 go\r\n110 MARK 1 = 2\r\n226 done\r\n"),
	    C("REIN\r\nUSER u\r\n"), S("120 soon\r\n220 again\r\n331 who\r\n")},
	{"RETR@0 REIN@8 USER@14 ",
	    ":220@0 RETR:150-@8 RETR:110-@16 RETR:226@32 REIN:120-@42 REIN:220@52 USER:331@63 "}},
    {"F-008 a 227 within another reply",
	{HELLO, C("RETR x\r\n"),
	    S("550-x\r\n227 Entering Passive Mode (10,0,0,1,0,22)\r\n550 end\r\n")},
	{"RETR@0 ", ":220@0 RETR:550@8 "}},
    {"F-008 a 227 as text of the greeting",
	{S("220 227 Entering Passive Mode (198,51,100,21,0,22)\r\n")}, {"", ":220@0 "}},
    {"F-007 a 227 in two pieces",
	{HELLO, C("PASV\r\n"), S("227 Entering Passive Mode (198,51,"), S("100,21,200,13)\r\n")},
	{"PASV@0 ", ":220@0 PASV:227=198,51,100,21,200,13@8 "}},
    {"F-009 a 227 to another command", {HELLO, C("CWD x\r\n"), S("227 x (10,0,0,1,4,0)\r\n")},
	{"CWD@0 ", ":220@0 {ftp_bad_data_address}CWD:227@8 "}},
    {"F-009 a 227 to EPSV", {HELLO, C("EPSV\r\n"), S("227 x (10,0,0,1,4,0)\r\n")},
	{"EPSV@0 ", ":220@0 {ftp_bad_data_address}EPSV:227@8 "}},
    {"F-009 a 227 to nothing", {HELLO, S("227 x (10,0,0,1,4,0)\r\n"), C("NOOP\r\n"), S("200\r\n")},
	{"NOOP@0 ", ":220@0 {unable_to_match_reply_with_request}?:227@8 NOOP:200@30 "}},
    {"F-017 229", {HELLO, C("EPSV\r\n"), S("229 x (|||6446|)\r\n")},
	{"EPSV@0 ", ":220@0 EPSV:229=0,0,0,0,25,46@8 "}},
    {"F-017 229 with an address", {HELLO, C("EPSV\r\n"), S("229 x (|1|203.0.113.5|6446|)\r\n")},
	{"EPSV@0 ", ":220@0 {ftp_bad_data_address}EPSV:229@8 "}},
    {"F-010 a reply from the client", {HELLO, C("227 x (1,2,3,4,5,6)\r\nNOOP\r\n")},
	{"{ftp_spoofed_dialogue}?!421@0 ", ":220@0 "}},
    {"F-010 a command from the server",
	{HELLO, C("NOOP\r\n"), S("PORT 192,0,2,1,0,22\r\n200 ok\r\n")},
	{"NOOP@0 ", ":220@0 {ftp_spoofed_dialogue}?:0@8 "}},
    {"F-013 HTTP", {HELLO, C("POST / HTTP/1.1\r\nHost: x\r\n\r\nPORT 1,2,3,4,5,6\r\n")},
	{"{unknown_protocol}?!421@0 ", ":220@0 "}},
    {"F-013 TLS from the first octet on", {HELLO, C("\x16\x03\x01\x02\n\r\n")},
	{"{unknown_protocol}?!421@0 ", ":220@0 "}},
    {"F-011 a bare LF ends what can be read", {HELLO, C("RETR a\nPORT 1,2,3,4,5,6\r\n")},
	{"{bare_lf}?!500@0 ", ":220@0 "}},
    {"F-011 a CR within", {HELLO, C("RETR a\rPORT 1,2,3,4,5,6\r\nNOOP\r\n")},
	{"{bare_cr}?!501@0 ", ":220@0 "}},
    {"F-011 a NUL within", {HELLO, C("RETR a\r\0b\r\nNOOP\r\n")},
	{"{nul_octet}?!501@0 ", ":220@0 "}},
    {"F-019 TELNET within a command", {HELLO, C("RE\xff\xf1TR a\r\nNOOP\r\n"), S("200 ok\r\n")},
	{"{evasive_telnet}?!500@0 NOOP@10 ", ":220@0 ?:200@8 "}},
    {"F-019 IAC IAC",
	{HELLO,
	    C("RETR a\xff\xff"
	      "b\r\nNOOP\r\n"),
	    S("550 no\r\n")},
	{"RETR@0 NOOP@11 ", ":220@0 RETR:550@8 "}},
    {"F-019 a file that begins with 255", {HELLO, C("\xff\xffNOOP\r\nNOOP\r\n")},
	{"?!500@0 NOOP@8 ", ":220@0 "}},
    {"F23 options in front of a command",
	{HELLO, C("\xff\xfb\x18NOOP\r\n\xff\xf1\xff\xf6NOOP\r\n"), S("200\r\n200\r\n")},
	{"{telnet_option}@0 NOOP@3 {telnet_option}@9 {telnet_option}@11 NOOP@13 ",
	    ":220@0 NOOP:200@8 NOOP:200@13 "}},
    {"F23 a LF that is an option", {HELLO, C("\xff\xfd\nNOOP\r\n")},
	{"{telnet_option}@0 NOOP@3 ", ":220@0 "}},
    {"F23 a subnegotiation in front", {HELLO, C("\xff\xfa\x18\x01\xff\xf0NOOP\r\nNOOP\r\n")},
	{"{evasive_telnet}?!500@0 NOOP@12 ", ":220@0 "}},
    {"F23 TELNET of the server",
	{S("\xff\xfd\x18"
	   "220-\xff\xff\r\n\xff\xf1"
	   "220 hi\r\n"),
	    C("NOOP\r\n"), S("200 ok\r\n")},
	{"NOOP@0 ", "{telnet_option}:220@0 NOOP:200@21 "}},
    {"F-025 whatever stands between",
	{S("230-Welcome\r\n230x not the end\r\n 230 indented\r\n\r\n220 other\r\n230-\r\n230 "
	   "end\r\n"),
	    S("200 ok\r\n")},
	{"", ":230@0 {unable_to_match_reply_with_request}?:200@74 "}},
    {"F-025 the code alone ends it", {S("220-a\r\nb\r\n220\r\n"), C("NOOP\r\n"), S("200\r\n")},
	{"NOOP@0 ", ":220@0 NOOP:200@15 "}},
    {"F-026 no code", {HELLO, C("NOOP\r\n"), S("hello\r\n200 ok\r\n")},
	{"NOOP@0 ", ":220@0 {invalid_reply}?:0@8 "}},
    {"F-026 no blank", {S("220hello\r\n")}, {"", "{invalid_reply}?:0@0 "}},
    {"a reply with bare LF", {S("220-a\nb\n220 hi\n"), C("NOOP\r\n"), S("200 ok\r\n")},
	{"NOOP@0 ", "{bare_lf}:220@0 NOOP:200@15 "}},
    {"AUTH passed", {HELLO, C("AUTH TLS\r\n"), S("234 go\r\n"), C("\x16\x03\x01"), S("\x16\x03")},
	{"AUTH@0 [\x16\x03\x01]", ":220@0 AUTH:234@8 [\x16\x03]"}},
    {"AUTH refused: what follows is read",
	{HELLO, C("AUTH TLS\r\nUSER u\r\n"), S("534 no\r\n"), S("331 go\r\n")},
	{"AUTH@0 USER@10 ", ":220@0 AUTH:534@8 USER:331@16 "}},
    {"ADAT completes what AUTH began",
	{HELLO, C("AUTH GSSAPI\r\n"), S("334 more\r\n"), C("ADAT YQ==\r\n"), S("335 more\r\n"),
	    C("ADAT YQ==\r\n"), S("235 done\r\n"), C("ENC x\r\n"), S("632 y\r\n")},
	{"AUTH@0 ADAT@13 ADAT@24 [ENC x\r\n]",
	    ":220@0 AUTH:334@8 ADAT:335@18 ADAT:235@28 [632 y\r\n]"}},
    {"an unknown command", {HELLO, C("XPWN\r\nNOOP\r\n"), S("500 what\r\n200 ok\r\n")},
	{"?!502@0 NOOP@6 ", ":220@0 ?:500@8 NOOP:200@18 "}},
};

struct watcher {
	struct ftp *ftp;
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
	if (ev->anomaly == AN_NONE)
		return;
	write_text(w, ev->dir, "{");
	buf_str(&w->out[ev->dir], an_anomaly_name(ev->anomaly));
	buf_str(&w->out[ev->dir], "}");
}

static void
write_command(struct watcher *w, const struct an_event *ev)
{
	write_text(w, ev->dir, ev->ftp->synch ? "+" : "");
	write_text(w, ev->dir, ev->ftp->verb->name);
	if (ev->ftp->fault != FTP_OK) {
		buf_str(&w->out[ev->dir], "!");
		buf_add(&w->out[ev->dir], span_first(span_str(ftp_fault_reply(ev->ftp->fault)), 3));
	}
}

static void
write_reply(struct watcher *w, const struct an_event *ev)
{
	char text[FTP_HOSTPORT_MAX];

	write_text(w, ev->dir, ev->ftp->verb->name);
	buf_str(&w->out[ev->dir], ":");
	buf_u64(&w->out[ev->dir], ev->ftp->code);
	if (ev->ftp->hostport.port != 0) {
		buf_str(&w->out[ev->dir], "=");
		buf_str(&w->out[ev->dir], ftp_port_text(&ev->ftp->hostport, text));
	}
	if (ev->ftp->preliminary)
		buf_str(&w->out[ev->dir], "-");
}

static void
write_event(struct watcher *w, const struct an_event *ev)
{
	write_odd(w, ev);
	switch ((int)ev->kind) {
	case EV_COMMAND:
		write_command(w, ev);
		break;
	case EV_REPLY:
		write_reply(w, ev);
		break;
	case EV_OPAQUE:
		write_octets(w, ev);
		return;
	case EV_ANOMALY:
		break;
	default:
		fail_msg("an event of kind %s", an_kind_name(ev->kind));
	}
	write_place(w, ev);
}

static enum an_status
step(struct watcher *w, enum an_dir dir)
{
	struct buf *rest = &w->rest[dir];
	struct an_event ev;
	size_t used;
	enum an_status status = ftp_feed(w->ftp, dir, rest->p, rest->n, &used, &ev);

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
	*w = (struct watcher){.ftp = ftp_new(NULL)};
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
	ftp_free(w->ftp);
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
		for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
			/* room that the test itself will not ask for any more */
			for (size_t i = 0; i < 512; i++) {
				buf_octet(&w.out[dir], 0);
				buf_octet(&w.rest[dir], 0);
			}
			buf_clear(&w.out[dir]);
			buf_clear(&w.rest[dir]);
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

/* ---- limits ---- */

static enum an_status
feed_once(struct ftp *s, enum an_dir dir, const char *octets, struct an_event *ev)
{
	size_t used;

	return ftp_feed(s, dir, (const uint8_t *)octets, strlen(octets), &used, ev);
}

static void
check_line(size_t n, size_t chunk, enum ftp_fault want)
{
	struct ftp *s = ftp_new(&(struct ftp_limits){.line = 600, .endless = 2000});
	char line[4096];
	struct an_event ev = {0};
	size_t at = 0, used;

	memset(line, 'a', sizeof(line));
	memcpy(line, (const char[]){'U', 'S', 'E', 'R', ' '}, 5);
	line[n - 2] = '\r';
	line[n - 1] = '\n';
	feed_once(s, AN_S2C, "220 hi\r\n", &ev);
	ev.ftp = NULL;
	while (at < n && ev.ftp == NULL) {
		size_t piece = chunk < n - at ? chunk : n - at;

		ftp_feed(s, AN_C2S, (const uint8_t *)line + at, piece, &used, &ev);
		at += used;
	}
	assert_non_null(ev.ftp);
	assert_int_equal(ev.ftp->fault, want);
	if (want == FTP_LINE_ENDLESS)
		assert_int_equal(at, 2001);
	ftp_free(s);
}

static void
test_F22_lines(void **state)
{
	(void)state;
	for (size_t chunk = 1; chunk < 4096; chunk = chunk * 3 + 1) {
		check_line(600, chunk, FTP_OK);
		check_line(601, chunk, FTP_LINE_TOO_LONG);
		check_line(2000, chunk, FTP_LINE_TOO_LONG);
		check_line(2001, chunk, FTP_LINE_TOO_LONG);
		check_line(2002, chunk, FTP_LINE_ENDLESS);
		check_line(4000, chunk, FTP_LINE_ENDLESS);
	}
}

/* 1000 lines of 4096 octets pass the limit of a whole reply; 1001 short ones that of lines. */
static void
test_F_025_reply_limits(void **state)
{
	static const struct {
		size_t lines, line;
		bool ends;
		enum an_anomaly what;
	} replies[] = {
	    {998, 100, true, AN_NONE},
	    {999, 100, true, AN_REPLY_TOO_LONG},
	    {2000, 10, false, AN_REPLY_TOO_LONG},
	    {1000, 4096, true, AN_REPLY_TOO_LONG},
	    {1, 4096, true, AN_NONE},
	    {1, 4097, true, AN_REPLY_LINE_TOO_LONG},
	};

	(void)state;
	for (size_t i = 0; i < nitems(replies); i++) {
		struct ftp *s = ftp_new(NULL);
		struct an_event ev = {0};
		char line[5000];
		size_t used;
		enum an_status status = feed_once(s, AN_S2C, "220-hi\r\n", &ev);

		memset(line, 'a', sizeof(line));
		line[replies[i].line - 2] = '\r';
		line[replies[i].line - 1] = '\n';
		for (size_t k = 0; k < replies[i].lines && status == AN_MORE; k++)
			status =
			    ftp_feed(s, AN_S2C, (const uint8_t *)line, replies[i].line, &used, &ev);
		if (status == AN_MORE && replies[i].ends)
			status = feed_once(s, AN_S2C, "220 hi\r\n", &ev);
		assert_int_equal(status, AN_EVENT);
		assert_int_equal(ev.anomaly, replies[i].what);
		assert_int_equal(ev.ftp->code, replies[i].what == AN_NONE ? 220 : 0);
		ftp_free(s);
	}
}

/* ---- who stands in between ---- */

static void
test_answered_by_the_caller(void **state)
{
	struct ftp *s = ftp_new(NULL);
	struct an_event ev;

	(void)state;
	feed_once(s, AN_S2C, "220 hi\r\n", &ev);
	feed_once(s, AN_C2S, "NOOP\r\n", &ev);
	feed_once(s, AN_C2S, "PORT 10,0,0,9,0,25\r\n", &ev);
	ftp_answered(s, 500);
	assert_int_equal(ftp_waiting(s), 2); /* its turn comes behind NOOP's */
	feed_once(s, AN_C2S, "PWD\r\n", &ev);
	feed_once(s, AN_S2C, "200 noop\r\n", &ev);
	assert_int_equal(ev.ftp->verb->verb, FTP_NOOP);
	assert_int_equal(ftp_waiting(s), 1);
	assert_int_equal(ftp_oldest_verb(s)->verb, FTP_PWD);
	feed_once(s, AN_S2C, "257 \"/\"\r\n", &ev);
	assert_int_equal(ev.ftp->verb->verb, FTP_PWD);
	assert_int_equal(ftp_waiting(s), 0);
	assert_int_equal(ftp_oldest_verb(s)->verb, FTP_NONE);
	ftp_free(s);
}

/* AUTH that the caller refuses leaves the client among commands. */
static void
test_refused_by_the_caller(void **state)
{
	struct ftp *s = ftp_new(NULL);
	struct an_event ev;

	(void)state;
	feed_once(s, AN_S2C, "220 hi\r\n", &ev);
	feed_once(s, AN_C2S, "AUTH TLS\r\n", &ev);
	assert_int_equal(ftp_state(s), FTP_ST_SYNC);
	assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_WAIT);
	ftp_answered(s, 534);
	assert_int_equal(ftp_state(s), FTP_ST_COMMAND);
	assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_EVENT);
	ftp_free(s);
}

/* PORT is answered here, PASV asked in its place: its 227 is nobody else's. */
static void
test_F2_sent_by_the_caller(void **state)
{
	struct ftp *s = ftp_new(NULL);
	struct an_event ev;
	uint64_t slot;

	(void)state;
	feed_once(s, AN_S2C, "220 hi\r\n", &ev);
	feed_once(s, AN_C2S, "PORT 192,0,2,10,200,13\r\n", &ev);
	assert_int_equal(ev.ftp->hostport.port, 51213);
	ftp_answered(s, 200);
	slot = ftp_sent(s, FTP_PASV);
	assert_true(slot == ev.slot + 1);
	feed_once(s, AN_S2C, "227 x (192,0,2,1,4,0)\r\n", &ev);
	assert_true(ev.ftp->own);
	assert_true(ev.slot == slot);
	assert_int_equal(ev.ftp->hostport.port, 1024);
	feed_once(s, AN_C2S, "RETR a\r\n", &ev);
	feed_once(s, AN_S2C, "150 go\r\n", &ev);
	assert_false(ev.ftp->own);
	assert_true(ev.ftp->preliminary);
	assert_true(ftp_transferring(s));
	feed_once(s, AN_S2C, "226 done\r\n", &ev);
	assert_false(ftp_transferring(s));
	ftp_free(s);
}

static void
test_no_reply_will_come(void **state)
{
	struct ftp *s = ftp_new(NULL);
	struct an_event ev;

	(void)state;
	feed_once(s, AN_S2C, "220 hi\r\n", &ev);
	feed_once(s, AN_C2S, "NOOP\r\n", &ev);
	feed_once(s, AN_C2S, "NOOP\r\n", &ev);
	assert_true(ftp_answered_oldest(s, 421));
	assert_true(ftp_answered_oldest(s, 421));
	assert_false(ftp_answered_oldest(s, 421));
	ftp_answered(s, 421); /* nothing is there to be answered */
	ftp_free(s);
}

/* With all slots taken the client waits, and goes on when one is free (F-012). */
static void
test_F_012_slots(void **state)
{
	struct ftp *s = ftp_new(NULL);
	struct an_event ev;

	(void)state;
	feed_once(s, AN_S2C, "220 hi\r\n", &ev);
	for (int i = 0; i < FTP_SLOTS; i++)
		assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_EVENT);
	assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_WAIT);
	assert_int_not_equal(ftp_sent(s, FTP_PASV), UINT64_MAX); /* the caller's own fit */
	feed_once(s, AN_S2C, "200 ok\r\n", &ev);
	feed_once(s, AN_S2C, "200 ok\r\n", &ev);
	assert_int_equal(feed_once(s, AN_C2S, "NOOP\r\n", &ev), AN_EVENT);
	ftp_free(s);
}

static void
test_octets_255(void **state)
{
	struct ftp *s = ftp_new(NULL);
	struct an_event ev;

	(void)state;
	feed_once(s, AN_S2C, "220 a\xff\xff\r\n", &ev);
	assert_true(span_eq(ev.octets, span_str("220 a\xff\r\n")));
	assert_true(span_eq(ev.ftp->text, span_str("a\xff")));
	feed_once(s, AN_C2S, "RETR b\xff\xff\r\n", &ev);
	assert_true(span_eq(ev.octets, span_str("RETR b\xff")));
	assert_true(span_eq(ev.ftp->args, span_str("b\xff")));
	ftp_free(s);
}

static void
test_strays_in_a_reply_are_blanks(void **state)
{
	static const char reply[] = "257 \"a\r\0b\"\r\n";
	struct ftp *s = ftp_new(NULL);
	struct an_event ev;
	size_t used;

	(void)state;
	assert_int_equal(
	    ftp_feed(s, AN_S2C, (const uint8_t *)reply, sizeof(reply) - 1, &used, &ev), AN_EVENT);
	assert_int_equal(ev.anomaly, AN_BARE_CR);
	assert_true(span_eq(ev.octets, span_str("257 \"a  b\"\r\n")));
	ftp_free(s);
}

static void
test_names(void **state)
{
	(void)state;
	for (int i = FTP_ST_GREETING; i <= FTP_ST_OPAQUE; i++)
		assert_non_null(ftp_state_name((enum ftp_state)i));
	assert_string_equal(ftp_state_name(FTP_ST_SYNC), "sync");
	ftp_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest fixed[] = {
	    cmocka_unit_test(test_F22_lines),
	    cmocka_unit_test(test_F_025_reply_limits),
	    cmocka_unit_test(test_answered_by_the_caller),
	    cmocka_unit_test(test_refused_by_the_caller),
	    cmocka_unit_test(test_F2_sent_by_the_caller),
	    cmocka_unit_test(test_no_reply_will_come),
	    cmocka_unit_test(test_F_012_slots),
	    cmocka_unit_test(test_octets_255),
	    cmocka_unit_test(test_strays_in_a_reply_are_blanks),
	    cmocka_unit_test(test_names),
	};
	struct CMUnitTest tests[nitems(fixed) + 3 * nitems(rows)];
	size_t n = nitems(fixed);

	memcpy(tests, fixed, sizeof(fixed));
	for (size_t i = 0; i < nitems(rows); i++) {
		void *row = (void *)(uintptr_t)&rows[i];

		tests[n++] = (struct CMUnitTest){rows[i].name, test_row, NULL, NULL, row};
		tests[n++] =
		    (struct CMUnitTest){rows[i].name, test_octet_by_octet, NULL, NULL, row};
		tests[n++] = (struct CMUnitTest){rows[i].name, test_no_memory, NULL, NULL, row};
	}
	return cmocka_run_group_tests_name("ftp", tests, NULL, NULL);
}
