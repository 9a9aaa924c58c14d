#include <stdlib.h>

#include "printable.h"
#include "record_email.h"
#include "record_json.h"

/* A text inside record_smtp.texts. */
struct text {
	uint32_t at, n;
	bool cut;
};

struct reply {
	const char *command;
	unsigned code;
	enum record_source source;
	struct text rcpt, enhanced, text;
};

struct record_smtp {
	struct buf texts; /* printable already; the structs below point into it by offset */
	struct text helo, from, mechanism, user;
	bool has_helo, has_from, has_auth, authenticated;
	struct text *rcpts;
	size_t n_rcpts, max_rcpts, rcpts_left_out;
	struct reply *replies;
	size_t n_replies, max_replies, n_rcpt_replies, replies_left_out;
	enum {
		JUDGED_NOT,
		JUDGED_PASS,
		JUDGED_UNDECIDED,
		JUDGED_REPORT,
		JUDGED_REFUSE,
	} judged; /* in this order a later verdict takes the place of an earlier one */
	const char *rule, *reason;
	struct text verdict_reply;
	const char *transfer; /* NULL: no message was begun */
	uint64_t size, missing;
	bool inspected;
	const struct mail *mail;
};

struct record_smtp *
record_smtp_new(void)
{
	struct record_smtp *r = calloc(1, sizeof(*r));

	if (r != NULL)
		buf_init(&r->texts, RECORD_SMTP_MAX);
	return r;
}

void
record_smtp_free(struct record_smtp *r)
{
	if (r == NULL)
		return;
	buf_free(&r->texts);
	free(r->rcpts);
	free(r->replies);
	free(r);
}

/* One more item in a list that grows by doubling, from one on; NULL: no memory. */
static void *
more(void *list, size_t n, size_t *max, size_t item)
{
	size_t grown = *max == 0 ? 1 : 2 * *max;

	if (n < *max)
		return list;
	list = realloc(list, grown * item);
	if (list != NULL)
		*max = grown;
	return list;
}

/* Keeps before + s + after, where s comes from a peer and may be cut. */
static struct text
keep(struct record_smtp *r, const char *before, struct span s, const char *after)
{
	struct text t = {.at = (uint32_t)r->texts.n, .cut = true};

	if (r->texts.n > RECORD_SMTP_MAX - RECORD_TEXT_MAX)
		return t;
	buf_str(&r->texts, before);
	t.cut = !printable(s, RECORD_TEXT_MAX - strlen(before) - strlen(after), &r->texts);
	buf_str(&r->texts, after);
	t.n = (uint32_t)r->texts.n - t.at;
	return t;
}

/* Addresses stand in brackets, as EVE writes them. */
static struct text
keep_path(struct record_smtp *r, struct span s)
{
	return keep(r, "<", s, ">");
}

void
record_smtp_helo(struct record_smtp *r, struct span helo)
{
	if (r == NULL)
		return;
	r->helo = keep(r, "", helo, "");
	r->has_helo = true;
}

void
record_smtp_from(struct record_smtp *r, struct span from)
{
	if (r == NULL)
		return;
	r->from = keep_path(r, from);
	r->has_from = true;
}

void
record_smtp_rcpt(struct record_smtp *r, struct span rcpt)
{
	struct text *rcpts = NULL;

	if (r == NULL)
		return;
	if (r->n_rcpts < RECORD_RCPT_MAX && r->texts.n < RECORD_SMTP_MAX / 2)
		rcpts = more(r->rcpts, r->n_rcpts, &r->max_rcpts, sizeof(*rcpts));
	if (rcpts == NULL) {
		r->rcpts_left_out++;
		return;
	}
	r->rcpts = rcpts;
	rcpts[r->n_rcpts++] = keep_path(r, rcpt);
}

void
record_smtp_auth(struct record_smtp *r, struct span mechanism, struct span user, bool done)
{
	if (r == NULL)
		return;
	r->mechanism = keep(r, "", mechanism, "");
	r->user = keep(r, "", user, "");
	r->has_auth = true;
	r->authenticated = done;
}

/* "2.1.0" at the front of a reply's text (RFC 2034 s4: class, subject, detail); else empty. */
static struct span
enhanced_code(struct span text)
{
	struct span rest = text, code = span_word(&rest), part;
	size_t dots = 0, digits = 0;

	if (code.n < 5 || code.n > 9 || (code.p[0] != '2' && code.p[0] != '4' && code.p[0] != '5'))
		return SPAN_NONE;
	for (part = code; part.n > 0; part = span_from(part, 1)) {
		if (part.p[0] == '.') {
			if (digits == 0)
				return SPAN_NONE;
			dots++;
			digits = 0;
		} else if (!octet_is_digit(part.p[0]) || ++digits > 3)
			return SPAN_NONE;
	}
	return dots == 2 && digits > 0 && code.p[1] == '.' ? code : SPAN_NONE;
}

/* What a line of a reply says, without "250-" and, when code is not empty, the enhanced code. */
static struct span
line_text(struct span line, struct span code)
{
	if (line.n >= 3 && octet_is_digit(line.p[0]) && octet_is_digit(line.p[1]) &&
	    octet_is_digit(line.p[2]))
		line = span_from(line, 4);
	if (code.n > 0 && span_starts(line, code))
		line = span_from(line, code.n);
	return span_trim(line);
}

/* All lines of a reply as one text, " / " between them. */
static struct text
keep_reply_text(struct record_smtp *r, struct span reply, struct span code)
{
	struct text t = {.at = (uint32_t)r->texts.n};
	bool whole = true;

	while (whole && reply.n > 0) {
		struct span line = line_text(record_take_line(&reply), code);
		size_t room = RECORD_TEXT_MAX - (r->texts.n - t.at);

		if (r->texts.n > t.at) {
			whole = printable(span_str(" / "), room, &r->texts);
			room = RECORD_TEXT_MAX - (r->texts.n - t.at);
		}
		whole = whole && printable(line, room, &r->texts);
	}
	t.n = (uint32_t)r->texts.n - t.at;
	t.cut = !whole;
	return t;
}

/* Recipients may not crowd out the replies that decide: the last places and texts are not theirs.
 */
static struct reply *
next_reply(struct record_smtp *r, bool to_rcpt)
{
	struct reply *replies;
	size_t texts = to_rcpt ? RECORD_SMTP_MAX / 8 * 7 : RECORD_SMTP_MAX;

	if (r->n_replies == RECORD_REPLY_MAX || r->texts.n + 3 * RECORD_TEXT_MAX > texts ||
	    (to_rcpt && r->n_rcpt_replies == RECORD_REPLY_RCPT))
		return NULL;
	replies = more(r->replies, r->n_replies, &r->max_replies, sizeof(*replies));
	if (replies == NULL)
		return NULL;
	r->replies = replies;
	r->n_rcpt_replies += to_rcpt;
	return &replies[r->n_replies++];
}

void
record_smtp_reply(struct record_smtp *r, const char *command, struct span rcpt, unsigned code,
    struct span reply, enum record_source source)
{
	struct span rest = reply, enhanced;
	struct reply *new;

	if (r == NULL)
		return;
	new = next_reply(r, rcpt.n > 0);
	if (new == NULL) {
		r->replies_left_out++;
		return;
	}
	enhanced = enhanced_code(line_text(record_take_line(&rest), SPAN_NONE));
	*new = (struct reply){.command = command, .code = code, .source = source};
	if (rcpt.n > 0)
		new->rcpt = keep_path(r, rcpt);
	new->enhanced = keep(r, "", enhanced, "");
	new->text = keep_reply_text(r, reply, enhanced);
}

/* A refused STARTTLS is no word on the mail: one that is stays, whichever came first. */
static bool
is_about_mail(const char *rule)
{
	return strcmp(rule, "starttls") != 0;
}

void
record_smtp_verdict(struct record_smtp *r, const struct verdict *v)
{
	int judged = v->action == VERDICT_REFUSE ? JUDGED_REFUSE
		     : v->would_refuse		 ? JUDGED_REPORT
		     : v->undecided		 ? JUDGED_UNDECIDED
						 : JUDGED_PASS;

	if (r == NULL || v->action == VERDICT_ASK || judged < (int)r->judged ||
	    (judged == (int)r->judged && judged != JUDGED_PASS && is_about_mail(r->rule)))
		return;
	r->judged = (unsigned)judged;
	r->rule = v->rule;
	r->reason = v->reason;
	r->verdict_reply = keep(r, "", span_str(v->reply), "");
}

void
record_smtp_message(struct record_smtp *r, uint64_t size, const char *transfer)
{
	if (r == NULL)
		return;
	r->size = size;
	r->transfer = transfer;
}

void
record_smtp_missing(struct record_smtp *r, uint64_t missing)
{
	if (r != NULL)
		r->missing = missing;
}

void
record_smtp_mail(struct record_smtp *r, const struct mail *mail)
{
	if (r == NULL)
		return;
	r->inspected = true;
	r->mail = mail;
}

/* ---- writing ---- */

static struct span
text_span(const struct record_smtp *r, struct text t)
{
	return t.n == 0 ? SPAN_NONE : span_of(r->texts.p + t.at, t.n);
}

static void
put_text(struct json_writer *w, const char *key, const struct record_smtp *r, struct text t)
{
	json_text(w, key, text_span(r, t));
	if (t.cut)
		record_put_cut(w, key);
}

static void
put_rcpts(struct json_writer *w, const struct record_smtp *r)
{
	bool cut = false;

	json_open_list(w, "rcpt_to");
	for (size_t i = 0; i < r->n_rcpts; i++) {
		json_text(w, NULL, text_span(r, r->rcpts[i]));
		cut = cut || r->rcpts[i].cut;
	}
	json_close_list(w);
	if (cut)
		record_put_cut(w, "rcpt_to");
	if (r->rcpts_left_out > 0)
		record_put_int(w, "rcpt_left_out", r->rcpts_left_out);
}

static void
put_reply(struct json_writer *w, const struct record_smtp *r, const struct reply *reply)
{
	json_open_object(w, NULL);
	record_put(w, "command", reply->command);
	if (reply->rcpt.n > 0)
		put_text(w, "rcpt", r, reply->rcpt);
	record_put_int(w, "code", reply->code);
	if (reply->enhanced.n > 0)
		put_text(w, "enhanced", r, reply->enhanced);
	put_text(w, "text", r, reply->text);
	record_put(w, "source", reply->source == RECORD_SERVER ? "server" : "gateway");
	json_close_object(w);
}

static void
put_replies(struct json_writer *w, const struct record_smtp *r)
{
	json_open_list(w, "replies");
	for (size_t i = 0; i < r->n_replies; i++)
		put_reply(w, r, &r->replies[i]);
	json_close_list(w);
	if (r->replies_left_out > 0)
		record_put_int(w, "replies_left_out", r->replies_left_out);
}

static void
put_auth(struct json_writer *w, const struct record_smtp *r)
{
	json_open_object(w, "auth");
	put_text(w, "mechanism", r, r->mechanism);
	if (r->user.n > 0)
		put_text(w, "user", r, r->user);
	json_truth(w, "authenticated", r->authenticated);
	json_close_object(w);
}

static void
put_verdict(struct json_writer *w, const struct record_smtp *r)
{
	json_open_object(w, "verdict");
	record_put(w, "action",
	    r->judged == JUDGED_REFUSE	    ? "refuse"
	    : r->judged == JUDGED_REPORT    ? "report"
	    : r->judged == JUDGED_UNDECIDED ? "undecided"
					    : "pass");
	record_put(w, "rule", r->rule);
	record_put(w, "reason", r->reason);
	if (r->verdict_reply.n > 0)
		put_text(w, "reply", r, r->verdict_reply);
	json_close_object(w);
}

static void
put_smtp(struct json_writer *w, const struct record_smtp *r, const char *state)
{
	json_open_object(w, "smtp");
	if (r->has_helo)
		put_text(w, "helo", r, r->helo);
	if (r->has_from)
		put_text(w, "mail_from", r, r->from);
	if (r->n_rcpts > 0)
		put_rcpts(w, r);
	put_replies(w, r);
	record_put(w, "state", state);
	if (r->transfer != NULL) {
		record_put_int(w, "size", r->size);
		record_put(w, "transfer", r->transfer);
	}
	if (r->missing > 0)
		record_put_int(w, "missing", r->missing);
	if (r->has_auth)
		put_auth(w, r);
	json_close_object(w);
}

void
record_smtp_write(struct record_smtp *r, const struct record_session *s, unsigned tx_id,
    const char *state, record_sink *sink, void *arg)
{
	const struct record_about about = {.session = s, .tx_id = tx_id};
	struct json_writer *w;

	if (r == NULL)
		return;
	w = record_open(s, "smtp", tx_id);
	put_smtp(w, r, state);
	if (r->inspected)
		record_email(w, r->mail, RECORD_EMAIL_MAX, false);
	record_upstream(w, s);
	if (r->judged != JUDGED_NOT)
		put_verdict(w, r);
	record_close(w, sink, arg);
	record_files(r->mail, &about, sink, arg);
}
