#include "json_writer.h"

#include "printable.h"

void
json_begin(struct json_writer *w, struct buf *out)
{
	*w = (struct json_writer){.out = out, .first = true};
}

/* buf_add() in place where there is room: what is written are many short pieces. */
static inline void
put(struct buf *b, const void *octets, size_t n)
{
	if (n == 0)
		return;
	if (b->failed || n > b->cap - b->n) {
		buf_add(b, span_of(octets, n));
		return;
	}
	memcpy(b->p + b->n, octets, n);
	b->n += n;
}

/* What stands before a value: a comma, and its key. */
static void
before(struct json_writer *w, const char *key)
{
	static const char comma[] = ",\"";
	const size_t from = w->first ? 1 : 0, n = key == NULL ? 1 : 2;

	put(w->out, comma + from, n - from);
	w->first = false;
	if (key == NULL)
		return;
	put(w->out, key, strlen(key));
	put(w->out, "\":", 2);
}

static void
open(struct json_writer *w, const char *key, uint8_t bracket)
{
	before(w, key);
	put(w->out, &bracket, 1);
	w->first = true;
}

static void
close(struct json_writer *w, uint8_t bracket)
{
	put(w->out, &bracket, 1);
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
	size_t n = printable_eights(s);

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
	put(w->out, "\"", 1);
	while (text.n > 0) {
		size_t n = plain_run(text);

		put(w->out, text.p, n);
		if (n < text.n)
			escape(w->out, text.p[n++]);
		text = span_from(text, n);
	}
	put(w->out, "\"", 1);
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
