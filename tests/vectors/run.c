/*
 * Runs conversations of tests/vectors through the gate, between arrays instead of sockets.
 * The language is in README.md beside this file.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mime/analyzers_init.h"
#include "observed.h"
#include "proxy/ftp_servers.h"
#include "seen_data.h"

static const char smtp_config[] =
    "inside = {\"10.0.0.0/8\"}\n"
    "forward \"test\" { listen = \"127.0.0.1:2525\" to = \"10.0.0.25:25\" protocol = smtp }\n"
    "smtp { relay { local_domains = {\"local.example\", \".local.example\"} } }\n";
static const char ftp_config[] =
    "inside = {\"10.0.0.0/8\", \"fd00::/8\"}\n"
    "forward \"test\" { listen = \"127.0.0.1:2121\" to = \"10.0.0.25:21\" protocol = ftp }\n"
    "smtp { relay { check = off } }\n";
static const char pop3_config[] =
    "inside = {\"10.0.0.0/8\"}\n"
    "forward \"test\" { listen = \"127.0.0.1:2110\" to = \"10.0.0.25:110\" protocol = pop3 }\n"
    "smtp { relay { check = off } }\n";
static const char imap_config[] =
    "inside = {\"10.0.0.0/8\"}\n"
    "forward \"test\" { listen = \"127.0.0.1:2143\" to = \"10.0.0.25:143\" protocol = imap }\n"
    "smtp { relay { check = off } }\n";

static const struct dialect dialects[] = {
    {"smtp", &relay_smtp, smtp_config, 25, true},
    {"ftp", &relay_ftp, ftp_config, 21, true},
    {"pop3", &relay_pop3, pop3_config, 110, true},
    {"imap", &relay_imap, imap_config, 143, true},
};
#define DIALECTS (sizeof(dialects) / sizeof(dialects[0]))

/* unless a case says something of it itself */
static const struct {
	const char *name, *line;
} unsaid[] = {
    {"error_delay", "smtp { error_delay = 0 }\n"},
    {"sender_domain", "smtp { sender_domain { check = off } }\n"},
};

static const char preset_ehlo[] =
    "S: 220 mx ready\nc: 220 mx ready\nC: EHLO me\ns: EHLO me\n"
    "S: 250-mx\nS: 250-PIPELINING\nS: 250-SIZE 10000000\nS: 250-8BITMIME\nS: 250-SMTPUTF8\n"
    "S: 250-DSN\nS: 250-CHUNKING\nS: 250-BINARYMIME\nS: 250-AUTH PLAIN LOGIN\nS: 250-STARTTLS\n"
    "S: 250 ENHANCEDSTATUSCODES\n"
    "c: 250-mx\nc: 250-PIPELINING\nc: 250-SIZE 10000000\nc: 250-8BITMIME\nc: 250-SMTPUTF8\n"
    "c: 250-DSN\nc: 250-CHUNKING\nc: 250-BINARYMIME\nc: 250-AUTH PLAIN LOGIN\nc: 250-STARTTLS\n"
    "c: 250 ENHANCEDSTATUSCODES\n";
static const char preset_mail[] =
    "C: MAIL FROM:<a@b.example>\ns: MAIL FROM:<a@b.example>\nS: 250 ok\nc: 250 ok\n"
    "C: RCPT TO:<u@local.example>\ns: RCPT TO:<u@local.example>\nS: 250 ok\nc: 250 ok\n";
static const char preset_seen[] =
    "S: 220 mx ready\nC: EHLO me\nS: 250-mx\nS: 250-PIPELINING\nS: 250-CHUNKING\nS: 250 8BITMIME\n"
    "C: MAIL FROM:<a@b.example>\nS: 250 ok\nC: RCPT TO:<u@local.example>\nS: 250 ok\n";
static const char preset_login[] =
    "S: 220 files ready\nc: 220 files ready\nC: USER anna\ns: USER anna\n"
    "S: 331 password\nc: 331 password\nC: PASS s3cr3t\ns: PASS s3cr3t\n"
    "S: 230 welcome\nc: 230 welcome\n";
static const char preset_ftps[] =
    "S: 220 files ready\nc: 220 files ready\nC: AUTH TLS\ns: AUTH TLS\n"
    "S: 234 go\nc: 234 go\ntls server ok\ntls client ok\nC: USER anna\ns: USER anna\n"
    "S: 331 password\nc: 331 password\nC: PASS s3cr3t\ns: PASS s3cr3t\n"
    "S: 230 welcome\nc: 230 welcome\nC: PBSZ 0\ns: PBSZ 0\nS: 200 ok\nc: 200 PBSZ=0\n"
    "C: PROT P\ns: PROT P\nS: 200 private\nc: 200 private\n";
static const char preset_watched[] =
    "observed\nS: 220 ready\nC: USER anna\nS: 331 password\nC: PASS s3cr3t\nS: 230 in\n"
    "C: CWD /pub\nS: 250 ok\n";
static const char preset_pasv[] =
    "C: PASV\ns: PASV\nS: 227 Entering Passive Mode (10,0,0,25,19,137)\n"
    "data listening client 10.0.0.1:40001\n"
    "c: 227 Entering Passive Mode (10,0,0,1,156,65).\n";
static const char preset_port[] =
    "C: PORT 203,0,113,9,195,80\ns: PASV\nS: 227 Entering Passive Mode (10,0,0,25,19,137)\n"
    "c: 200 PORT command successful.\n";
static const char preset_mailbox[] =
    "S: +OK mailboxes ready\nc: +OK mailboxes ready\nC: USER anna\ns: USER anna\n"
    "S: +OK\nc: +OK\nC: PASS s3cr3t\ns: PASS s3cr3t\nS: +OK welcome\nc: +OK welcome\n";

static const char preset_imap[] =
    "S: * OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN] ready\n"
    "c: * OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN] ready\n"
    "C: a1 LOGIN anna s3cr3t\ns: a1 LOGIN anna s3cr3t\n"
    "S: a1 OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE UIDPLUS BINARY CATENATE MULTIAPPEND] "
    "welcome\n"
    "c: a1 OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE UIDPLUS BINARY CATENATE MULTIAPPEND] "
    "welcome\n";
static const char preset_inbox[] = "C: a2 SELECT INBOX\ns: a2 SELECT INBOX\n"
				   "S: * 10 EXISTS\nS: a2 OK [READ-WRITE] selected\n"
				   "c: * 10 EXISTS\nc: a2 OK [READ-WRITE] selected\n";

static const struct {
	const char *name, *lines[2];
} presets[] = {
    {"ehlo", {preset_ehlo, ""}},
    {"mail", {preset_ehlo, preset_mail}},
    {"seen", {preset_seen, ""}},
    {"login", {preset_login, ""}},
    {"ftps", {preset_ftps, ""}},
    {"watched", {preset_watched, ""}},
    {"pasv", {preset_pasv, ""}},
    {"port", {preset_port, ""}},
    {"imap", {preset_imap, ""}},
    {"inbox", {preset_imap, preset_inbox}},
    {"mailbox", {preset_mailbox, ""}},
};

void
complain(struct run *r, const struct line *l, const char *format, ...)
{
	va_list args;
	char how[40] = "whole";

	if (r->each_octet)
		snprintf(how, sizeof(how), "octet by octet");
	else if (r->cut != NO_CUT)
		snprintf(how, sizeof(how), "cut at %zu", r->cut);
	printf("%s:%u: %s (%s%s): ", r->one->file, l == NULL ? 0 : l->number, r->one->name, how,
	    r->is_observer ? ", observed" : "");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	r->failed = true;
}

/* ---- services of the relay ---- */

static uint64_t
fake_now(void *arg)
{
	return ((struct run *)arg)->now;
}

static const struct dns_answer *
find_answer(const struct run *r, const struct dns_question *q)
{
	for (size_t i = 0; i < r->n_dns; i++)
		if (r->dns[i]->question.type == q->type &&
		    strcmp(r->dns[i]->question.name, q->name) == 0)
			return r->dns[i];
	return NULL;
}

static void *
fake_ask(void *arg, struct relay *relay, const struct dns_question *q, size_t n, unsigned budget,
    struct answers *into)
{
	struct run *r = arg;

	(void)relay;
	(void)budget;
	for (size_t i = 0; i < n; i++) {
		const struct dns_answer *known = find_answer(r, &q[i]);

		if (r->n_questions < DNS_MAX)
			r->questions[r->n_questions++] = q[i];

		if (known != NULL)
			answers_put(into, known);
		else
			answers_fill(into, &q[i], 1, DNS_NXDOMAIN);
	}
	r->asked = true;
	return r;
}

static void
fake_unask(void *arg, void *handle)
{
	(void)handle;
	((struct run *)arg)->asked = false;
}

static void
fake_refused(void *arg, struct relay *relay)
{
	(void)arg;
	(void)relay;
}

static bool
fake_allow(void *arg, struct relay *relay, enum client_act act)
{
	struct run *r = arg;

	(void)relay;
	return clients_allow(r->clients, r->client, act, r->now);
}

static void
fake_take_back(void *arg, struct relay *relay, enum client_act act)
{
	(void)relay;
	clients_take_back(((struct run *)arg)->client, act);
}

static bool
fake_pressed(void *arg)
{
	return ((struct run *)arg)->pressed;
}

/* "2026-11-24T03:00:00.000000+0000" */
#define TIME_TEXT 31

static void
take_record(void *arg, const char *line, size_t n)
{
	struct run *r = arg;
	json_error_t error;
	json_t *record;

	if (n == 0 || line[n - 1] != '\n' || memchr(line, '\n', n - 1) != NULL) {
		complain(r, NULL, "a record is not exactly one line");
		return;
	}
	if (is_compared(span_of(line, n))) {
		buf_str(&r->said, RECORD_LINE_START);
		buf_add(
		    &r->said, span_from(span_of(line, n), strlen(RECORD_LINE_START) + TIME_TEXT));
	}
	if (r->is_observer)
		return;
	record = json_loadb(line, n, 0, &error);
	if (record == NULL)
		complain(r, NULL, "a record is no JSON: %s", error.text);
	else
		json_array_append_new(r->records, record);
}

static struct data_pair *
fake_open(void *arg, struct relay *relay)
{
	struct run *r = arg;

	return r->seen_data != NULL ? seen_data_open(r->seen_data, relay)
				    : fake_data_open(r->data, relay);
}

static bool
is_word(const struct line *l, const char *word)
{
	size_t n = strlen(word);

	return strncmp(l->text, word, n) == 0 && (l->text[n] == ' ' || l->text[n] == '\0');
}

/* ---- moving octets ---- */

static bool
take(struct run *r, enum an_dir dir)
{
	struct channel *c = relay_from(r->relay, dir);
	struct iovec iov[8];
	size_t n = channel_iov(c, iov, 8), sent = 0;

	if (r->holds[dir])
		return false;
	for (size_t i = 0; i < n; i++) {
		buf_add(&r->got[dir], span_of(iov[i].iov_base, iov[i].iov_len));
		if (dir == AN_C2S)
			transcript_octets(
			    r->transcript, AN_S2C, span_of(iov[i].iov_base, iov[i].iov_len));
		sent += iov[i].iov_len;
	}
	if (sent == 0)
		return false;
	channel_sent(c, sent);
	relay_wrote(r->relay, dir);
	return true;
}

/* What the gateway has done to the client's connection, once its queue has gone out. */
static void
note_end(struct run *r)
{
	if (r->relay->wish[AN_C2S] == WISH_RESET)
		transcript_peer(r->transcript, AN_S2C, PEER_GONE);
	else if (r->relay->wish[AN_C2S] == WISH_CLOSE && r->relay->client.queued == 0)
		transcript_peer(r->transcript, AN_S2C, PEER_EOF);
}

static void
collect(struct run *r)
{
	bool more = true;

	while (more) {
		more = r->asked && !r->names_wait;
		while (r->asked && !r->names_wait) {
			r->asked = false;
			relay_answered(r->relay);
		}
		for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
			more = take(r, dir) || more;
	}
	note_end(r);
}

/* Some of what a peer has sent is read, as far as there is room; false: nothing was. */
static bool
read_some(struct run *r, enum an_dir dir)
{
	struct buf *backlog = &r->backlog[dir];
	struct channel_room room;
	size_t n = backlog->n;

	if (r->relay->wish[dir] != WISH_NONE || r->relay->peer[dir] >= PEER_EOF)
		buf_clear(backlog); /* the socket is closed: what a peer sends goes nowhere */
	if (backlog->n == 0 || !relay_wants_read(r->relay, dir))
		return false;
	room = channel_room(relay_from(r->relay, dir));
	if (room.n < n)
		n = room.n;
	if (n == 0)
		return false;
	memcpy(room.p, backlog->p, n);
	memmove(backlog->p, backlog->p + n, backlog->n - n);
	backlog->n -= n;
	relay_received(r->relay, dir, n);
	collect(r);
	return true;
}

static void
move(struct run *r)
{
	collect(r);
	while (read_some(r, AN_C2S) || read_some(r, AN_S2C))
		continue;
}

static void
deliver(struct run *r, enum an_dir dir, const uint8_t *p, size_t n)
{
	buf_add(&r->backlog[dir], span_of(p, n));
	if (dir == AN_C2S && r->relay->wish[dir] == WISH_NONE)
		transcript_octets(r->transcript, dir, span_of(p, n));
	if (r->seen_data != NULL)
		seen_data_go_on(r->seen_data);
	move(r);
}

static void
send_octets(struct run *r, enum an_dir dir, const uint8_t *p, size_t n)
{
	size_t begin = r->written;

	r->written += n;
	if (r->each_octet) {
		for (size_t i = 0; i < n; i++)
			deliver(r, dir, p + i, 1);
	} else if (r->cut > begin && r->cut < begin + n) {
		deliver(r, dir, p, r->cut - begin);
		deliver(r, dir, p + (r->cut - begin), n - (r->cut - begin));
	} else {
		deliver(r, dir, p, n);
	}
}

/* ---- the language ---- */

/* What is behind the number at s; NULL: there is none. */
static const char *
number_at(const char *s, int base, unsigned long *out)
{
	char *end;

	*out = strtoul(s, &end, base);
	return end == s ? NULL : end;
}

/* A line of these words and a number. */
static bool
number_behind(const struct line *l, const char *words, unsigned long *out)
{
	const size_t n = strlen(words);

	return strncmp(l->text, words, n) == 0 && number_at(l->text + n, 10, out) != NULL;
}

static void
unescape(const char *s, struct buf *out)
{
	for (; *s != '\0'; s++) {
		unsigned long value;
		char two[3];

		if (*s != '\\') {
			buf_octet(out, (uint8_t)*s);
			continue;
		}
		switch (*++s) {
		case 'r':
			buf_octet(out, '\r');
			break;
		case 'n':
			buf_octet(out, '\n');
			break;
		case 't':
			buf_octet(out, '\t');
			break;
		case '0':
			buf_octet(out, '\0');
			break;
		case 'x':
			snprintf(two, sizeof(two), "%.2s", s + 1);
			if (number_at(two, 16, &value) != NULL) {
				buf_octet(out, (uint8_t)value);
				s += 2;
			}
			break;
		default:
			buf_octet(out, (uint8_t)*s);
			break;
		}
	}
}

/* "{n*text}": what is behind it, and text with its NUL in part; NULL: s is none, or text too long.
 */
static const char *
repeated(const char *s, unsigned long *times, char *part, size_t size)
{
	const char *at = *s == '{' ? number_at(s + 1, 10, times) : NULL;
	size_t n = at != NULL && *at == '*' ? strcspn(at + 1, "}") : 0;

	if (n == 0 || n >= size || at[1 + n] != '}')
		return NULL;
	memcpy(part, at + 1, n);
	part[n] = '\0';
	return at + 1 + n + 1;
}

/* "{n*text}" stands for text n times. */
static void
expand(const char *s, struct buf *out)
{
	while (*s != '\0') {
		unsigned long times;
		char part[200];
		const char *end = repeated(s, &times, part, sizeof(part));

		if (end != NULL) {
			for (unsigned long i = 0; i < times; i++)
				unescape(part, out);
			s = end;
			continue;
		}
		size_t n = strcspn(s + 1, "{") + 1;
		char *piece = strndup(s, n);

		unescape(piece, out);
		free(piece);
		s += n;
	}
}

static void
octets_of(const struct line *l, struct buf *out)
{
	const char *text = l->text + 2;

	expand(*text == ' ' ? text + 1 : text, out);
	if (l->text[1] == ':')
		buf_str(out, "\r\n");
}

static void
print_octets(const char *what, struct span s)
{
	printf("    %s \"", what);
	for (size_t i = 0; i < s.n && i < 300; i++)
		if (s.p[i] >= 0x20 && s.p[i] < 0x7f)
			putchar(s.p[i]);
		else
			printf("\\x%02x", s.p[i]);
	printf("\"\n");
}

static bool
contains(struct span s, struct span what)
{
	for (; s.n >= what.n && s.n > 0; s = span_from(s, 1))
		if (span_starts(s, what))
			return true;
	return false;
}

static void
expect(struct run *r, const struct line *l, enum an_dir dir)
{
	struct span rest = span_from(buf_span(&r->got[dir]), r->seen[dir]);
	struct buf want;
	bool prefix = l->text[1] == '~';

	if (l->text[1] == '.') {
		if (rest.n > 0) {
			complain(r, l, "more was received than expected");
			print_octets("got", rest);
		}
		return;
	}
	buf_init(&want, STREAM_MAX);
	octets_of(l, &want);
	if (l->text[1] == '!') {
		if (contains(buf_span(&r->got[dir]), buf_span(&want)))
			complain(r, l, "this must never have been received");
		buf_free(&want);
		return;
	}
	if (!span_starts(rest, buf_span(&want))) {
		complain(r, l, "something else was received");
		print_octets("want", buf_span(&want));
		print_octets("got ", rest);
	}
	r->seen[dir] += want.n < rest.n ? want.n : rest.n;
	if (prefix) {
		ptrdiff_t end = span_find(span_from(buf_span(&r->got[dir]), r->seen[dir]), '\n');

		r->seen[dir] += end < 0 ? 0 : (size_t)end + 1;
	}
	buf_free(&want);
}

/* ---- dns NAME TYPE status | records ---- */

static void
add_mx(struct dns_answer *a, const char *text)
{
	struct dns_mx *mx = &a->mx[a->n++];
	unsigned long preference = 0;
	const char *host = number_at(text, 10, &preference);
	struct ip ip;

	if (host == NULL)
		host = "";
	host += strspn(host, " ");
	snprintf(mx->host, sizeof(mx->host), "%.*s", (int)strcspn(host, " "), host);
	mx->preference = (uint16_t)preference;
	if (strcmp(mx->host, ".") == 0)
		mx->host[0] = '\0';
	mx->is_address = ip_parse(span_str(mx->host), &ip);
}

static void
add_answer(struct run *r, const struct line *l)
{
	char name[254], type[8];
	int used = 0;
	struct dns_answer *a = calloc(1, sizeof(*a));
	const char *rest;

	if (sscanf(l->text, "dns %253s %7s %n", name, type, &used) < 2 || r->n_dns == DNS_MAX) {
		complain(r, l, "dns NAME TYPE ANSWER");
		free(a);
		return;
	}
	rest = l->text + used;
	dns_question_set(&a->question,
	    strcmp(type, "MX") == 0    ? DNS_MX
	    : strcmp(type, "PTR") == 0 ? DNS_PTR
	    : strcmp(type, "A") == 0   ? DNS_A
				       : DNS_AAAA,
	    span_str(name));
	a->status = strcmp(rest, "nxdomain") == 0   ? DNS_NXDOMAIN
		    : strcmp(rest, "nodata") == 0   ? DNS_NODATA
		    : strcmp(rest, "servfail") == 0 ? DNS_FAILED
		    : strcmp(rest, "timeout") == 0  ? DNS_TIMEOUT
						    : DNS_OK;
	if (a->status == DNS_OK) {
		char *copy = strdup(rest), *save = NULL;

		for (char *t = strtok_r(copy, ",", &save); t != NULL;
		     t = strtok_r(NULL, ",", &save)) {
			while (*t == ' ')
				t++;
			if (a->question.type == DNS_MX)
				add_mx(a, t);
			else if (a->question.type == DNS_PTR)
				snprintf(a->host[a->n++], DNS_NAME_MAX, "%s", t);
			else if (!ip_parse(span_str(t), &a->address[a->n++]))
				complain(r, l, "no address: %s", t);
		}
		free(copy);
	}
	r->dns[r->n_dns++] = a;
}

/* ---- record PATH VALUE ---- */

static bool
value_is(const json_t *v, const char *want)
{
	char *end;

	if (json_is_string(v))
		return strcmp(json_string_value(v), want) == 0;
	if (json_is_integer(v))
		return json_integer_value(v) == strtoll(want, &end, 10) && *end == '\0';
	if (json_is_boolean(v))
		return strcmp(json_is_true(v) ? "true" : "false", want) == 0;
	return false;
}

#define VALUES_MAX 1024 /* of one record that a path may lead to */

/* The first name of a path, what v has under it, and the rest of the path. */
static const json_t *
step(const json_t *v, const char **path)
{
	size_t n = strcspn(*path, ".");
	const json_t *below = json_object_getn(v, *path, n);

	*path += n + ((*path)[n] == '.');
	return below;
}

/* A name in the path that is an array is looked through. */
static bool
has_value(const json_t *v, const char *path, const char *want)
{
	struct {
		const json_t *v;
		const char *path;
	} todo[VALUES_MAX] = {{v, path}};
	size_t n = 1, i;
	const json_t *item;

	while (n > 0) {
		const char *rest = todo[--n].path;

		v = todo[n].v;
		if (json_is_array(v)) {
			assert(n + json_array_size(v) <= VALUES_MAX);
			json_array_foreach(v, i, item)
			{
				todo[n].v = item;
				todo[n++].path = rest;
			}
		} else if (*rest == '\0') {
			if (strcmp(want, "*") == 0 || value_is(v, want))
				return true;
		} else if ((v = step(v, &rest)) != NULL) {
			todo[n].v = v;
			todo[n++].path = rest;
		}
	}
	return false;
}

/* What all records have under the first name of the path. */
static void
print_objects(const struct run *r, const char *path)
{
	char name[80];
	size_t i;
	const json_t *record;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(path, "."), path);
	json_array_foreach(r->records, i, record)
	{
		char *text = json_dumps(json_object_get(record, name), JSON_COMPACT);

		if (text != NULL)
			printf("    %s\n", text);
		free(text);
	}
}

static void
expect_record(struct run *r, const struct line *l)
{
	char path[200], want[1000] = "";

	sscanf(l->text, "record %199s %999[^\n]", path, want);
	if (strcmp(want, "-") == 0) {
		if (has_value(r->records, path, "*"))
			complain(r, l, "a record has %s", path);
	} else if (!has_value(r->records, path, want)) {
		complain(r, l, "no record has %s = %s", path, want);
		print_objects(r, path);
	}
}

/* No record has these octets, anywhere. */
static void
expect_no_record(struct run *r, const struct line *l)
{
	struct buf what;
	char *all = json_dumps(r->records, JSON_COMPACT);

	buf_init(&what, STREAM_MAX);
	expand(l->text + strlen("record! "), &what);
	if (contains(span_str(all), buf_span(&what)))
		complain(r, l, "a record has this in it");
	free(all);
	buf_free(&what);
}

static void
expect_count(struct run *r, const struct line *l)
{
	char type[40];
	const char *number;
	unsigned long want = 0, n = 0;
	size_t i;
	const json_t *record;

	snprintf(type, sizeof(type), "%s", l->text + strlen("records "));
	type[strcspn(type, " ")] = '\0';
	number = l->text + strlen("records ") + strlen(type);
	if (number_at(number, 10, &want) == NULL)
		complain(r, l, "records TYPE NUMBER");
	json_array_foreach(r->records, i, record) n +=
	    strcmp(json_string_value(json_object_get(record, "event_type")), type) == 0;
	if (n != want) {
		complain(r, l, "there are %lu records of that type", n);
		print_objects(r, type);
	}
}

static void
expect_asked(struct run *r, const struct line *l)
{
	static const char *const types[] = {
	    [DNS_A] = "A", [DNS_PTR] = "PTR", [DNS_AAAA] = "AAAA", [DNS_MX] = "MX"};
	char name[254], type[8] = "";

	if (strcmp(l->text, "asked -") == 0) {
		if (r->n_questions > 0)
			complain(r, l, "%s was asked for", r->questions[0].name);
		return;
	}
	sscanf(l->text, "asked %253s %7s", name, type);
	for (size_t i = 0; i < r->n_questions; i++)
		if (strcmp(r->questions[i].name, name) == 0 &&
		    strcmp(types[r->questions[i].type], type) == 0)
			return;
	complain(r, l, "nobody asked for that");
}

/* hold PEER, take PEER: it stops, and goes on, taking what is queued for it. */
static void
hold_or_take(struct run *r, const struct line *l)
{
	enum an_dir dir = strstr(l->text, "client") != NULL ? AN_C2S : AN_S2C;

	r->holds[dir] = is_word(l, "hold");
	move(r);
}

/* The gateway reads no more than it can pass on: the rest waits with the peer that sent it. */
static void
expect_waits(struct run *r, const struct line *l)
{
	enum an_dir dir = strstr(l->text, "client") != NULL ? AN_C2S : AN_S2C;

	if (r->backlog[dir].n == 0)
		complain(r, l, "everything was read");
	if (relay_to(r->relay, dir)->queued > CHANNEL_QUEUE_MAX + CHANNEL_BLOCK)
		complain(r, l, "%zu octets are queued", relay_to(r->relay, dir)->queued);
}

static void
expect_wish(struct run *r, const struct line *l)
{
	char side[10], want[10];
	enum relay_wish wish;

	sscanf(l->text, "wish %9s %9s", side, want);
	wish = r->relay->wish[strcmp(side, "client") == 0 ? AN_C2S : AN_S2C];
	if (strcmp(want, wish == WISH_RESET ? "reset" : wish == WISH_CLOSE ? "close" : "none") != 0)
		complain(r, l, "the %s side is not to be closed like that", side);
}

/* The last records are written when the relay goes. */
static void
close_relay(struct run *r)
{
	relay_free(r->relay);
	r->relay = NULL;
}

/* ---- data connections ---- */

static const char *
show_octets(struct run *r, const char *text)
{
	struct buf octets;
	size_t piece;
	const char *wrong = NULL;

	buf_init(&octets, STREAM_MAX);
	expand(text, &octets);
	piece = r->each_octet ? 1 : r->cut == NO_CUT ? octets.n : r->cut;
	for (struct span rest = buf_span(&octets); wrong == NULL && rest.n > 0;
	     rest = span_from(rest, piece))
		wrong = fake_data_octets(r->data, span_first(rest, piece));
	buf_free(&octets);
	return wrong;
}

/* "NUMBER WHAT": a connection that is seen; "octets" cut like all others. */
static const char *
seen_line(struct run *r, const char *text)
{
	struct buf octets;
	const char *wrong = NULL, *begin = strstr(text, " octets ");
	size_t piece;

	if (begin == NULL)
		return seen_data_line(r->seen_data, text, SPAN_NONE);
	buf_init(&octets, STREAM_MAX);
	expand(begin + strlen(" octets "), &octets);
	piece = r->each_octet ? 1 : r->cut == NO_CUT ? octets.n : r->cut;
	for (struct span rest = buf_span(&octets); wrong == NULL && rest.n > 0;
	     rest = span_from(rest, piece)) {
		wrong = seen_data_line(r->seen_data, text, span_first(rest, piece));
		seen_data_go_on(r->seen_data);
	}
	buf_free(&octets);
	return wrong;
}

static void
data_line(struct run *r, const struct line *l)
{
	const char *text = l->text + strcspn(l->text, " "), *wrong;

	text += *text == ' ';
	if (r->seen_data != NULL)
		wrong = seen_line(r, text);
	else if (is_word(l, "data."))
		wrong = fake_data_no_more(r->data);
	else if (is_word(l, "data!"))
		wrong = fake_data_never(r->data, text);
	else if (strncmp(text, "octets ", 7) == 0)
		wrong = show_octets(r, text + 7);
	else if (fake_data_is_news(text))
		wrong = fake_data_happens(r->data, text);
	else
		wrong = fake_data_asked(r->data, text);
	if (wrong != NULL) {
		complain(r, l, "%s", wrong);
		fake_data_print(r->data);
	}
	if (r->seen_data != NULL)
		seen_data_go_on(r->seen_data);
	relay_run(r->relay);
	move(r);
}

static void
tick(struct run *r, unsigned seconds)
{
	uint64_t until = r->now + seconds * 1000u;
	uint64_t due;

	while ((due = relay_deadline(r->relay)) != 0 && due <= until) {
		r->now = due > r->now ? due : r->now + 1;
		relay_expired(r->relay);
		move(r);
	}
	r->now = until;
}

static bool
peer_line(struct run *r, const struct line *l)
{
	static const struct {
		const char *word;
		enum an_dir dir;
		enum relay_peer what;
	} rows[] = {
	    {"C-eof", AN_C2S, PEER_EOF},
	    {"C-reset", AN_C2S, PEER_GONE},
	    {"S-eof", AN_S2C, PEER_EOF},
	    {"S-reset", AN_S2C, PEER_GONE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (is_word(l, rows[i].word)) {
			if (rows[i].dir == AN_C2S)
				transcript_peer(r->transcript, AN_C2S, rows[i].what);
			relay_peer(r->relay, rows[i].dir, rows[i].what);
			move(r);
			return true;
		}
	return false;
}

/* ---- tls PEER ok | WHY, tls. PEER: the owner's part of a handshake, which is the script's ---- */

/* Reasons are constants that outlive the relay. NULL: none of these. */
static const char *
tls_end(const char *how)
{
	static const char *const ends[] = {
	    "tls_handshake", "tls_verify", "tls_timeout", "tls_cut", "tls_refused"};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(ends[i], how) == 0)
			return ends[i];
	return NULL;
}

static void
handshake(struct run *r, const struct line *l)
{
	char side[10] = "", how[40] = "";
	const char *why;
	enum an_dir dir;

	sscanf(l->text, "%*s %9s %39s", side, how);
	dir = strcmp(side, "client") == 0 ? AN_C2S : AN_S2C;
	if (is_word(l, "tls.")) {
		if (r->relay->tls[dir] == RELAY_SHAKING)
			complain(r, l, "a handshake was asked for");
		return;
	}
	why = tls_end(how);
	if (r->relay->tls[dir] != RELAY_SHAKING)
		complain(r, l, "no handshake was asked for");
	else if (relay_from(r->relay, dir)->queued > 0)
		complain(r, l, "octets are still queued for that peer");
	else if (why == NULL && strcmp(how, "ok") != 0)
		complain(r, l, "how can a handshake end by \"%s\"?", how);
	else if (why == NULL && r->backlog[dir].n > 0)
		complain(r, l, "octets lie ahead of the handshake");
	if (r->failed)
		return;
	if (dir == AN_C2S)
		transcript_tls(r->transcript, why);
	relay_upgraded(r->relay, dir, why);
	move(r);
}

/* What is said of the whole session: its relay goes first, and with it the last records. */
static bool
afterwards(struct run *r, const struct line *l)
{
	static const struct {
		const char *word;
		void (*expect)(struct run *, const struct line *);
	} rows[] = {{"record", expect_record}, {"record!", expect_no_record},
	    {"records", expect_count}, {"asked", expect_asked}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (is_word(l, rows[i].word)) {
			close_relay(r);
			rows[i].expect(r, l);
			return true;
		}
	return false;
}

/* Read before the conversation begins. */
static bool
set_up_before(const struct line *l)
{
	return is_word(l, "config") || is_word(l, "from") || is_word(l, "dns") ||
	       is_word(l, "unreached") || is_word(l, "outside") || is_word(l, "to") ||
	       is_word(l, "intercepted") || is_word(l, "tls-keys") || is_word(l, "tls-required") ||
	       is_word(l, "gateway-only") || is_word(l, "observed") || is_word(l, "joined");
}

/* Look-ups take their time from here on, or are answered. */
static bool
names_line(struct run *r, const struct line *l)
{
	if (!is_word(l, "names-wait") && !is_word(l, "names-come"))
		return false;
	r->names_wait = is_word(l, "names-wait");
	collect(r);
	return true;
}

static void
other_line(struct run *r, const struct line *l)
{
	unsigned long number;
	char reason[80];

	if (set_up_before(l) || afterwards(r, l))
		return;
	if (r->relay == NULL) {
		complain(r, l, "records are looked at when all is said");
		return;
	}
	if (names_line(r, l) || peer_line(r, l))
		return;
	if (is_word(l, "tls") || is_word(l, "tls.")) {
		handshake(r, l);
		return;
	}
	if (is_word(l, "data") || is_word(l, "data!") || is_word(l, "data.")) {
		data_line(r, l);
		return;
	}
	if (number_behind(l, "tick ", &number)) {
		tick(r, (unsigned)number);
	} else if (sscanf(l->text, "end %79s", reason) == 1) {
		if (r->relay->reason == NULL || strcmp(r->relay->reason, reason) != 0)
			complain(r, l, "the session ended by: %s",
			    r->relay->reason == NULL ? "(it goes on)" : r->relay->reason);
	} else if (strcmp(l->text, "goes-on") == 0) {
		if (r->relay->reason != NULL)
			complain(r, l, "the session ended by: %s", r->relay->reason);
	} else if (is_word(l, "wish")) {
		expect_wish(r, l);
	} else if (is_word(l, "hold") || is_word(l, "take")) {
		hold_or_take(r, l);
	} else if (is_word(l, "unheard")) {
		relay_unheard(r->relay);
	} else if (number_behind(l, "gap client ", &number)) {
		relay_gap(r->relay, AN_C2S, number);
	} else if (number_behind(l, "gap server ", &number)) {
		relay_gap(r->relay, AN_S2C, number);
	} else if (is_word(l, "waits")) {
		expect_waits(r, l);
	} else if (is_word(l, "pressed")) {
		r->pressed = true;
	} else {
		complain(r, l, "what is \"%s\"?", l->text);
	}
}

static bool
is_sender(const struct line *l, char who)
{
	return l->text[0] == who && (l->text[1] == ':' || l->text[1] == '|');
}

/* NUL: nobody says this line. */
static char
sender(const struct line *l)
{
	const char who = l->text[0];

	if (is_sender(l, 'C') || is_sender(l, 'S'))
		return who;
	return '\0';
}

static bool
is_expectation(const struct line *l, char who)
{
	return l->text[0] == who && l->text[1] != '\0' && strchr(":|~.!", l->text[1]) != NULL;
}

static void
play(struct run *r)
{
	const struct one *o = r->one;

	for (size_t i = 0; i < o->n_lines && !r->failed; i++) {
		const struct line *l = &o->lines[i];
		const char who = sender(l);

		if (who != '\0' && r->relay == NULL) {
			complain(r, l, "records are looked at when all is said");
		} else if (who != '\0') {
			struct buf out;

			buf_init(&out, STREAM_MAX);
			for (; i < o->n_lines && is_sender(&o->lines[i], who); i++)
				octets_of(&o->lines[i], &out);
			i--;
			send_octets(r, who == 'C' ? AN_C2S : AN_S2C, out.p, out.n);
			buf_free(&out);
		} else if (is_expectation(l, 'c')) {
			expect(r, l, AN_C2S);
		} else if (is_expectation(l, 's')) {
			expect(r, l, AN_S2C);
		} else {
			other_line(r, l);
		}
	}
}

/* ---- one run ---- */

static bool
configures(const struct one *o, const char *name)
{
	for (size_t i = 0; i < o->n_lines; i++)
		if (is_word(&o->lines[i], "config") && strstr(o->lines[i].text, name) != NULL)
			return true;
	return false;
}

static struct config *
configure(const struct one *o)
{
	char path[40];
	FILE *f = tmpfile();
	struct config *c;

	if (f == NULL)
		return NULL;
	fputs(o->dialect->config, f);
	for (size_t i = 0; i < sizeof(unsaid) / sizeof(unsaid[0]); i++)
		if (!configures(o, unsaid[i].name))
			fputs(unsaid[i].line, f);
	for (size_t i = 0; i < o->n_lines; i++)
		if (is_word(&o->lines[i], "config"))
			fprintf(f, "%s\n", o->lines[i].text + strlen("config "));
	fflush(f);
	snprintf(path, sizeof(path), "/dev/fd/%d", fileno(f));
	c = config_read(path, stdout);
	fclose(f);
	return c;
}

/* As it is in forward mode, with a gateway at 10.0.0.1; "intercepted": between the two. */
static void
place_legs(
    struct run *r, struct record_session *session, const struct facts *facts, struct endpoint *up)
{
	bool between = session->forward == NULL;
	struct ip gateway;

	ip_parse(span_str(facts->server.family == IP_V6 ? "fd00::1" : "10.0.0.1"), &gateway);
	session->up_server = (struct endpoint){facts->server, r->one->dialect->port};
	session->server = session->up_server;
	if (!between) {
		ip_parse(span_str(facts->client.family == IP_V6 ? "fd00::1" : "10.0.0.1"),
		    &session->server.ip);
		session->server.port = 2121;
	}
	up->ip = between && r->config->mode == INTERCEPT_TPROXY ? facts->client : gateway;
}

/* A relay asks only whether there are keys: whoever shakes hands has their use. */
static const char some_keys;

static void
start(struct run *r)
{
	struct record_session session = {.flow_id = 1, .forward = "test"};
	struct facts facts = {0};
	struct endpoint up = {.port = 40000};
	bool reached = true, outside = false, keys = false, joined = false, observed = false;

	ip_parse(span_str("203.0.113.9"), &facts.client);
	ip_parse(span_str("10.0.0.25"), &facts.server);
	for (size_t i = 0; i < r->one->n_lines; i++) {
		const struct line *l = &r->one->lines[i];

		if (is_word(l, "from"))
			ip_parse(span_str(l->text + 5), &facts.client);
		if (is_word(l, "to"))
			ip_parse(span_str(l->text + 3), &facts.server);
		if (is_word(l, "intercepted") || is_word(l, "observed"))
			session.forward = NULL;
		if (is_word(l, "dns"))
			add_answer(r, l);
		if (is_word(l, "unreached"))
			reached = false;
		if (is_word(l, "outside"))
			outside = true;
		if (is_word(l, "tls-keys"))
			keys = true;
		if (is_word(l, "observed"))
			observed = true;
		if (is_word(l, "joined"))
			joined = true;
		if (is_word(l, "tls-required"))
			facts.tls_required = true;
	}
	policy_place(r->config->policy, &facts);
	facts.server_inside = !outside;
	session.client = (struct endpoint){facts.client, 5555};
	place_legs(r, &session, &facts, &up);
	r->env = (struct relay_env){.config = r->config,
	    .sink = take_record,
	    .sink_arg = r,
	    .now = fake_now,
	    .ask = fake_ask,
	    .unask = fake_unask,
	    .refused = fake_refused,
	    .allow = fake_allow,
	    .take_back = fake_take_back,
	    .pressed = fake_pressed,
	    .data = &r->data_ops,
	    .ftp_servers = r->ftp_servers,
	    .tls_keys = keys ? (const void *)&some_keys : NULL,
	    .arg = r};
	if (observed) {
		r->seen_data = seen_data_new();
		r->env.observed = true;
		session.up_server = (struct endpoint){.port = 0};
	}
	r->data_ops = observed ? *seen_data_ops() : fake_data_ops;
	r->data_ops.open = fake_open;
	r->now = 1000;
	clients_enter(r->clients, &facts.client, r->now, &r->client);
	r->session = session;
	r->facts = facts;
	r->relay = relay_new(r->one->dialect->ops, &r->env, &session, &facts);
	if (reached)
		relay_connected(r->relay, &up);
	if (joined)
		relay_joined(r->relay);
}

/* No gateway stands in between in the first place. */
static bool
is_observed(const struct one *o)
{
	for (size_t i = 0; i < o->n_lines; i++)
		if (is_word(&o->lines[i], "observed"))
			return true;
	return false;
}

static void
write_down(void *arg, const struct fake_seen *seen)
{
	transcript_data(arg, seen);
}

/* Octets that all peers sent; 0 when it failed. */
static size_t
run_one(const struct one *o, struct config *config, size_t cut, bool each_octet)
{
	struct run *r = calloc(1, sizeof(*r));
	const char *wrong;
	size_t written;

	*r = (struct run){.one = o, .config = config, .cut = cut, .each_octet = each_octet};
	r->records = json_array();
	buf_init(&r->said, STREAM_MAX);
	r->clients = clients_new(&config->limits);
	r->data = fake_data_new();
	r->ftp_servers = ftp_servers_new();
	if (o->dialect->observed && o->gateway_only == NULL && !is_observed(o))
		r->transcript = transcript_new(&r->now);
	fake_data_watch(r->data, write_down, r->transcript);
	buf_init(&r->got[0], STREAM_MAX);
	buf_init(&r->got[1], STREAM_MAX);
	buf_init(&r->backlog[0], STREAM_MAX);
	buf_init(&r->backlog[1], STREAM_MAX);
	start(r);
	play(r);
	close_relay(r);
	wrong = r->seen_data == NULL ? NULL : seen_data_free(r->seen_data);
	if (wrong != NULL)
		complain(r, NULL, "%s", wrong);
	if (!fake_data_free(r->data))
		complain(r, NULL, "data connections were left open, or used wrongly");
	if (r->transcript != NULL && !r->failed)
		observe(r);
	ftp_servers_free(r->ftp_servers);
	written = r->failed ? 0 : r->written + 1;
	json_decref(r->records);
	buf_free(&r->said);
	clients_free(r->clients);
	transcript_free(r->transcript);
	buf_free(&r->got[0]);
	buf_free(&r->got[1]);
	buf_free(&r->backlog[0]);
	buf_free(&r->backlog[1]);
	for (size_t i = 0; i < r->n_dns; i++)
		free(r->dns[i]);
	free(r);
	return written;
}

/*
 * Long conversations are cut at every octet near their end, and before that at places that are
 * spread evenly, so many that all runs together move about WORK_MAX octets.
 */
#define CUT_ALL	 200
#define WORK_MAX (8u << 20)

/* Under the sanitizers each run takes five times as long: there it is every third place. */
#ifdef __SANITIZE_ADDRESS__
#define STEP 3
#else
#define STEP 1
#endif

static size_t
next_cut(size_t cut, size_t n)
{
	size_t step = n <= WORK_MAX / n ? 1 : n / (WORK_MAX / n + 1);

	return cut + (cut + CUT_ALL >= n ? 1 : step) * STEP;
}

static bool
run_all_ways(const struct one *o)
{
	struct config *config = configure(o);
	size_t n = config == NULL ? 0 : run_one(o, config, NO_CUT, false);
	bool ok = n > 0 && run_one(o, config, NO_CUT, true) > 0;

	for (size_t cut = 1; ok && cut < n; cut = next_cut(cut, n))
		ok = run_one(o, config, cut, false) > 0;
	config_free(config);
	printf("%s %s", ok ? "ok" : "not ok", o->name);
	if (o->gateway_only != NULL)
		printf(" (not observed: %s)", o->gateway_only);
	printf("\n");
	return ok;
}

static void
add_line(struct one *o, unsigned number, const char *text)
{
	char *copy;

	if (o->n_lines == LINES_MAX) {
		printf("%s:%u: the case is too long\n", o->file, number);
		exit(2);
	}
	copy = strdup(text);
	copy[strcspn(copy, "\n")] = '\0';
	o->lines[o->n_lines].number = number;
	o->lines[o->n_lines++].text = copy;
}

static void
add_preset(struct one *o, unsigned number, const char *name)
{
	size_t n = strcspn(name, "\n"), i = 0;

	while (i < sizeof(presets) / sizeof(presets[0]) &&
	       !(strlen(presets[i].name) == n && strncmp(presets[i].name, name, n) == 0))
		i++;
	if (i == sizeof(presets) / sizeof(presets[0])) {
		printf("%s:%u: there is no such preset\n", o->file, number);
		exit(2);
	}
	for (size_t part = 0; part < 2; part++)
		for (const char *at = presets[i].lines[part]; *at != '\0';
		     at += strcspn(at, "\n") + 1)
			add_line(o, number, at);
}

static void
clear(struct one *o)
{
	for (size_t i = 0; i < o->n_lines; i++)
		free(o->lines[i].text);
	o->n_lines = 0;
	o->name[0] = '\0';
}

struct tally {
	unsigned passed, failed;
	unsigned observed, gateway_only; /* of those that passed */
	const char *only;		 /* NULL: all cases; else those with this in their name */
};

static const char *
why_gateway_only(const struct one *o)
{
	for (size_t i = 0; i < o->n_lines; i++)
		if (is_word(&o->lines[i], "gateway-only"))
			return o->lines[i].text + strlen("gateway-only ");
	return NULL;
}

static void
run_case(struct one *o, struct tally *t)
{
	if (t->only != NULL && strstr(o->name, t->only) == NULL)
		return;
	o->gateway_only = why_gateway_only(o);
	if (!run_all_ways(o)) {
		t->failed++;
		return;
	}
	t->passed++;
	t->observed += o->dialect->observed && o->gateway_only == NULL;
	t->gateway_only += o->gateway_only != NULL;
}

/* ---- with NAME | first | second ...: the case once per such line, {1} being "first" ---- */

#define COLUMNS_MAX 8

struct row {
	char text[1000];
	const char *column[COLUMNS_MAX]; /* [0]: the name */
	size_t n;
};

static void
split_row(const char *line, struct row *row)
{
	char *at;

	snprintf(row->text, sizeof(row->text), "%s", line + strlen("with "));
	row->column[0] = row->text;
	for (row->n = 1; row->n < COLUMNS_MAX; row->n++) {
		at = strstr((char *)(uintptr_t)row->column[row->n - 1], " | ");
		if (at == NULL)
			break;
		*at = '\0';
		row->column[row->n] = at + strlen(" | ");
	}
}

static void
fill_in(const char *s, const struct row *row, struct buf *out)
{
	while (*s != '\0') {
		size_t i = s[0] == '{' && s[1] >= '0' && s[1] <= '9' && s[2] == '}'
			       ? (size_t)(s[1] - '0')
			       : COLUMNS_MAX;

		if (i < row->n) {
			buf_str(out, row->column[i]);
			s += 3;
		} else {
			buf_octet(out, (uint8_t)*s++);
		}
	}
	buf_octet(out, '\0');
}

static void
run_row(const struct one *o, const char *line, struct tally *t)
{
	static struct one filled;
	struct row row = {.n = 0};

	split_row(line, &row);
	filled.file = o->file;
	filled.dialect = o->dialect;
	snprintf(filled.name, sizeof(filled.name), "%.120s: %.70s", o->name, row.column[0]);
	for (size_t i = 0; i < o->n_lines; i++) {
		struct buf text;

		if (is_word(&o->lines[i], "with"))
			continue;
		buf_init(&text, STREAM_MAX);
		fill_in(o->lines[i].text, &row, &text);
		add_line(&filled, o->lines[i].number, (const char *)text.p);
		buf_free(&text);
	}
	run_case(&filled, t);
	clear(&filled);
}

static void
finish_case(struct one *o, struct tally *t)
{
	bool rows = false;

	for (size_t i = 0; i < o->n_lines; i++)
		if (is_word(&o->lines[i], "with")) {
			rows = true;
			run_row(o, o->lines[i].text, t);
		}
	if (o->name[0] != '\0' && !rows)
		run_case(o, t);
	clear(o);
}

/* The protocol has its name in the path: ".../ftp/basics.vec". */
static const struct dialect *
dialect_of(const char *path)
{
	char folder[20];

	for (size_t i = 1; i < DIALECTS; i++) {
		snprintf(folder, sizeof(folder), "/%s/", dialects[i].name);
		if (strstr(path, folder) != NULL)
			return &dialects[i];
	}
	return &dialects[0];
}

static const struct dialect *
dialect_named(const char *name)
{
	for (size_t i = 0; i < DIALECTS; i++)
		if (strncmp(name, dialects[i].name, strlen(dialects[i].name)) == 0)
			return &dialects[i];
	return &dialects[0];
}

static void
run_file(const char *path, struct tally *t)
{
	static struct one o;
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t cap = 0;
	unsigned number = 0;

	if (f == NULL) {
		printf("%s: cannot be read\n", path);
		t->failed++;
		return;
	}
	o.file = path;
	o.dialect = dialect_of(path);
	while (getline(&text, &cap, f) > 0) {
		number++;
		if (strncmp(text, "== ", 3) == 0) {
			finish_case(&o, t);
			snprintf(
			    o.name, sizeof(o.name), "%.*s", (int)strcspn(text + 3, "\n"), text + 3);
		} else if (strncmp(text, "protocol ", 9) == 0) {
			o.dialect = dialect_named(text + 9);
		} else if (o.name[0] == '\0' || text[0] == '#' || text[0] == '\n') {
			continue;
		} else if (strncmp(text, "preset ", 7) == 0) {
			add_preset(&o, number, text + 7);
		} else {
			add_line(&o, number, text);
		}
	}
	finish_case(&o, t);
	free(text);
	fclose(f);
}

int
main(int argc, char **argv)
{
	struct tally t = {.only = getenv("ONLY")};
	const char *why;

	if (!analyzers_init(false, &why)) {
		printf("%s\n", why);
		return 2;
	}
	for (int i = 1; i < argc; i++)
		run_file(argv[i], &t);
	analyzers_end();
	printf("%u passed, %u failed; %u of them also observed, %u for a gateway only\n", t.passed,
	    t.failed, t.observed, t.gateway_only);
	return t.failed > 0 || t.passed == 0;
}
