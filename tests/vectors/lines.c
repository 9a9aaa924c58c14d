#include "lines.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "observed.h"
#include "seen_data.h"

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

void
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

void
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
void
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

void
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
