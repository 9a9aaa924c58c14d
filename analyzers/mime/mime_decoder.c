#include "mime/mime_decoder.h"

#include <stdlib.h>

bool
mime_decoder_codes(enum mime_encoding e)
{
	return e == MIME_BASE64 || e == MIME_QUOTED_PRINTABLE || e == MIME_UUENCODE;
}

/* Octets that come out of MIME_RUN_MAX, and of what may be held, at most. */
static size_t
room(enum mime_encoding e)
{
	if (e == MIME_BASE64)
		return MIME_BASE64_ROOM(MIME_RUN_MAX);
	if (e == MIME_QUOTED_PRINTABLE)
		return MIME_QP_ROOM(MIME_RUN_MAX);
	return MIME_RUN_MAX + MIME_UU_LINE_MAX + MIME_BASE64_ROOM(MIME_UU_LINE_MAX);
}

bool
mime_decoder_init(struct mime_decoder *d, enum mime_encoding kind, uint64_t off)
{
	d->kind = kind;
	d->out = NULL;
	d->began = false;
	if (!mime_decoder_codes(kind))
		return true;
	d->out = malloc(room(kind));
	if (d->out == NULL)
		return false;
	if (kind == MIME_BASE64)
		mime_base64_init(&d->base64, off);
	else if (kind == MIME_QUOTED_PRINTABLE)
		mime_qp_init(&d->qp, off);
	else
		mime_uu_init(&d->uu, off);
	return true;
}

void
mime_decoder_free(struct mime_decoder *d)
{
	free(d->out);
	d->out = NULL;
}

/* Files only: the text around them is what the part does not consist of. */
static size_t
add_file(struct mime_decoder *d, const struct mime_uu_event *ev, size_t n)
{
	if (ev->what == MIME_UU_BEGIN)
		d->began = true;
	if (ev->what != MIME_UU_DATA || ev->octets.n == 0)
		return n;
	memcpy(d->out + n, ev->octets.p, ev->octets.n);
	return n + ev->octets.n;
}

static size_t
feed_uu(struct mime_decoder *d, struct span in)
{
	struct mime_uu_event ev;
	size_t n = 0, used;

	do {
		mime_uu_feed(&d->uu, in, &used, &ev);
		in = span_from(in, used);
		n = add_file(d, &ev, n);
	} while (ev.what != MIME_UU_MORE);
	return n;
}

struct span
mime_decoder_feed(struct mime_decoder *d, struct span in)
{
	if (d->kind == MIME_BASE64)
		return span_of(d->out, mime_base64_feed(&d->base64, in, d->out));
	if (d->kind == MIME_QUOTED_PRINTABLE)
		return span_of(d->out, mime_qp_feed(&d->qp, in, d->out));
	if (d->kind == MIME_UUENCODE)
		return span_of(d->out, feed_uu(d, in));
	return in;
}

static size_t
finish_uu(struct mime_decoder *d)
{
	struct mime_uu_event ev;
	size_t n = 0;

	do {
		mime_uu_finish(&d->uu, &ev);
		n = add_file(d, &ev, n);
	} while (ev.what != MIME_UU_MORE);
	if (!d->began)
		mime_faults_add(&d->uu.faults, MIME_ODD_UU, d->uu.off, "no begin line");
	return n;
}

struct span
mime_decoder_finish(struct mime_decoder *d)
{
	if (d->kind == MIME_BASE64)
		return span_of(d->out, mime_base64_finish(&d->base64, d->out));
	if (d->kind == MIME_QUOTED_PRINTABLE)
		return span_of(d->out, mime_qp_finish(&d->qp, d->out));
	if (d->kind == MIME_UUENCODE)
		return span_of(d->out, finish_uu(d));
	return SPAN_NONE;
}

struct mime_faults *
mime_decoder_faults(struct mime_decoder *d)
{
	if (d->kind == MIME_BASE64)
		return &d->base64.faults;
	if (d->kind == MIME_QUOTED_PRINTABLE)
		return &d->qp.faults;
	return d->kind == MIME_UUENCODE ? &d->uu.faults : NULL;
}
