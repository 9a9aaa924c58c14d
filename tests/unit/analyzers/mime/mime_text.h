/*
 * mime_text - what the parser says about a message, as text: one line a part, in the order of their
 * numbers. The same for every chunking.
 *
 *   "1.2 text/plain base64 +filename {anomaly}{ambiguous: one or: other} [content]"
 * and " or [content]" where "-" and "_" are characters of base64 to others.
 *
 * "~" in front: no header made this part. The encoding only where one was said. Behind all parts
 * "|" and the order in which they began and ended: "0 1 /1 /0".
 */
#ifndef POSTERN_TEST_MIME_TEXT_H
#define POSTERN_TEST_MIME_TEXT_H

#include <stdio.h>
#include <stdlib.h>

#include "core/buf.h"
#include "mime/mime.h"

#define MIME_TEXT_PARTS 64
#define MIME_TEXT_MAX	(1u << 20)

struct mime_text {
	struct buf body[MIME_TEXT_PARTS], url_safe[MIME_TEXT_PARTS], odd[MIME_TEXT_PARTS],
	    head[MIME_TEXT_PARTS];
	struct buf order, all;
	uint64_t off;		   /* of the last event of the message itself */
	bool two[MIME_TEXT_PARTS]; /* readings: url_safe is one */
	bool fields;		   /* write them too: "<name=value>" */
	bool failed;		   /* no memory */
	bool sizes;		   /* "(header encoded size lines)" */
};

static void
mime_text_init(struct mime_text *t)
{
	*t = (struct mime_text){0};
	for (size_t i = 0; i < MIME_TEXT_PARTS; i++) {
		buf_init(&t->body[i], MIME_TEXT_MAX);
		buf_init(&t->url_safe[i], MIME_TEXT_MAX);
		buf_init(&t->odd[i], MIME_TEXT_MAX);
		buf_init(&t->head[i], MIME_TEXT_MAX);
	}
	buf_init(&t->order, MIME_TEXT_MAX);
	buf_init(&t->all, MIME_TEXT_MAX);
}

static void
mime_text_free(struct mime_text *t)
{
	for (size_t i = 0; i < MIME_TEXT_PARTS; i++) {
		buf_free(&t->body[i]);
		buf_free(&t->url_safe[i]);
		buf_free(&t->odd[i]);
		buf_free(&t->head[i]);
	}
	buf_free(&t->order);
	buf_free(&t->all);
}

static void
mime_text_order(struct mime_text *t, const char *what, unsigned number)
{
	buf_str(&t->order, t->order.n > 0 ? " " : "");
	buf_str(&t->order, what);
	buf_u64(&t->order, number);
}

static void
mime_text_head(struct mime_text *t, const struct mime_part *p)
{
	struct buf *b = &t->head[p->number];

	buf_str(b, p->generated ? "~" : "");
	buf_str(b, p->path);
	buf_str(b, p->path[0] != '\0' ? " " : "");
	buf_add(b, p->type);
	if (p->encoding != MIME_7BIT || p->encoding_raw.n > 0) {
		buf_str(b, " ");
		buf_str(b, mime_encoding_name(p->encoding));
	}
	if (p->filename.n > 0) {
		buf_str(b, " +");
		buf_add(b, p->filename);
	}
}

static void
mime_text_sizes(struct mime_text *t, const struct mime_part *p)
{
	const uint64_t values[] = {p->offset, p->header_size, p->encoded_size, p->size, p->lines};
	struct buf *b = &t->head[p->number];

	for (size_t i = 0; t->sizes && i < sizeof(values) / sizeof(values[0]); i++) {
		buf_str(b, i == 0 ? " (" : " ");
		buf_u64(b, values[i]);
	}
	buf_str(b, t->sizes ? ")" : "");
}

static void
mime_text_event(struct mime_text *t, const struct mime_event *ev)
{
	const unsigned n = ev->part->number;

	if (n >= MIME_TEXT_PARTS)
		return;
	switch (ev->kind) {
	case MIME_PART_BEGIN:
		mime_text_order(t, "", n);
		break;
	case MIME_FIELD:
		if (!t->fields)
			break;
		buf_str(&t->odd[n], "<");
		buf_add(&t->odd[n], ev->name);
		buf_str(&t->odd[n], "=");
		buf_add(&t->odd[n], ev->octets);
		buf_str(&t->odd[n], ">");
		break;
	case MIME_HEADER_END:
		mime_text_head(t, ev->part);
		break;
	case MIME_BODY:
		buf_add(&t->body[n], ev->octets);
		break;
	case MIME_BODY_URL_SAFE:
		if (!t->two[n])
			buf_add(&t->url_safe[n], buf_span(&t->body[n]));
		t->two[n] = true;
		buf_add(&t->url_safe[n], ev->octets);
		break;
	case MIME_PART_END:
		mime_text_order(t, "/", n);
		mime_text_sizes(t, ev->part);
		break;
	case MIME_ANOMALY:
		buf_str(&t->odd[n], "{");
		buf_str(&t->odd[n], mime_anomaly_name(ev->anomaly));
		if (ev->detail != NULL && ev->anomaly == MIME_ODD_AMBIGUOUS) {
			buf_str(&t->odd[n], ": ");
			buf_str(&t->odd[n], ev->detail);
		}
		buf_str(&t->odd[n], "}");
		break;
	case MIME_MESSAGE_END:
		break;
	}
}

static struct span
mime_text_all(struct mime_text *t)
{
	for (size_t i = 0; i < MIME_TEXT_PARTS; i++) {
		if (t->head[i].n == 0)
			continue;
		buf_add(&t->all, buf_span(&t->head[i]));
		buf_str(&t->all, t->odd[i].n > 0 ? " " : "");
		buf_add(&t->all, buf_span(&t->odd[i]));
		buf_str(&t->all, t->body[i].n > 0 ? " [" : "");
		buf_add(&t->all, buf_span(&t->body[i]));
		buf_str(&t->all, t->body[i].n > 0 ? "]" : "");
		buf_str(&t->all, t->two[i] ? " or [" : "");
		buf_add(&t->all, buf_span(&t->url_safe[i]));
		buf_str(&t->all, t->two[i] ? "]" : "");
		buf_str(&t->all, "\n");
	}
	buf_str(&t->all, "|");
	buf_add(&t->all, buf_span(&t->order));
	return buf_span(&t->all);
}

/* Octets in a place of their own, exactly as long, so that nobody reads behind them unseen. */
static bool
mime_text_feed(struct mime_text *t, struct mime *m, struct span octets)
{
	uint8_t *own = malloc(octets.n + 1);
	size_t from = 0, used;
	enum an_status status = AN_MORE;
	struct mime_event ev;

	if (own == NULL)
		return false;
	if (octets.n > 0)
		memcpy(own + 1, octets.p, octets.n);
	do {
		status = mime_feed(m, span_of(own + 1 + from, octets.n - from), &used, &ev);
		from += used;
		if (status == AN_EVENT)
			mime_text_event(t, &ev);
	} while (status == AN_EVENT);
	free(own);
	return status == AN_MORE && from == octets.n;
}

static bool
mime_text_finish(struct mime_text *t, struct mime *m)
{
	struct mime_event ev;

	do {
		if (mime_finish(m, &ev) != AN_EVENT)
			return false;
		mime_text_event(t, &ev);
	} while (ev.kind != MIME_MESSAGE_END);
	return true;
}

#endif
