#include "json_writer.h"

void
json_begin(struct json_writer *w, struct buf *out)
{
	*w = (struct json_writer){.out = out, .first = true};
}

/* What stands before a value: a comma, and its key. */
static void
before(struct json_writer *w, const char *key)
{
	if (!w->first)
		buf_octet(w->out, ',');
	w->first = false;
	if (key == NULL)
		return;
	buf_octet(w->out, '"');
	buf_str(w->out, key);
	buf_add(w->out, span_of("\":", 2));
}

static void
open(struct json_writer *w, const char *key, uint8_t bracket)
{
	before(w, key);
	buf_octet(w->out, bracket);
	w->first = true;
}

static void
close(struct json_writer *w, uint8_t bracket)
{
	buf_octet(w->out, bracket);
	w->first = false;
}

void
json_open_object(struct json_writer *w, const char *key)
{
	open(w, key, '{');
}

void
json_close_object(struct json_writer *w)
{
	close(w, '}');
}

void
json_open_list(struct json_writer *w, const char *key)
{
	open(w, key, '[');
}

void
json_close_list(struct json_writer *w)
{
	close(w, ']');
}

/* Octets at the front of s that are written as they are. */
static size_t
plain_run(struct span s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= ' ' && s.p[n] != '"' && s.p[n] != '\\')
		n++;
	return n;
}

static void
escape(struct buf *out, uint8_t c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	static const char digit[] = "0123456789ABCDEF";
	const char *at = c == 0 ? NULL : strchr(from, c);
	const char hex[] = {digit[c >> 4], digit[c & 0xf]};

	buf_octet(out, '\\');
	if (at != NULL) {
		buf_octet(out, (uint8_t)to[at - from]);
		return;
	}
	buf_str(out, "u00");
	buf_add(out, span_of(hex, sizeof(hex)));
}

void
json_text(struct json_writer *w, const char *key, struct span text)
{
	before(w, key);
	buf_octet(w->out, '"');
	while (text.n > 0) {
		size_t n = plain_run(text);

		buf_add(w->out, span_first(text, n));
		if (n < text.n)
			escape(w->out, text.p[n++]);
		text = span_from(text, n);
	}
	buf_octet(w->out, '"');
}

void
json_number(struct json_writer *w, const char *key, uint64_t value)
{
	before(w, key);
	buf_u64(w->out, value);
}

void
json_truth(struct json_writer *w, const char *key, bool value)
{
	before(w, key);
	buf_str(w->out, value ? "true" : "false");
}

struct json_mark
json_mark(const struct json_writer *w)
{
	return (struct json_mark){w->out->n, w->first, w->out->failed};
}

void
json_back(struct json_writer *w, struct json_mark m)
{
	w->out->n = m.n;
	w->out->failed = m.failed;
	w->first = m.first;
}
