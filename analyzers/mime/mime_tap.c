/* Where octets of bodies go: through a decoder to the caller, or into another layer. */
#include <stdlib.h>

#include "mime/mime_state.h"

/* ---- octets on their way ---- */

/*
 * Is the order of what the taps say, of each other and of what they contain, to be seen from
 * outside? Not where there is but one source of events and of numbers of parts.
 */
static bool
order_shows(const struct layer *l)
{
	unsigned sources = 0;

	for (unsigned i = 0; i < l->n_taps; i++) {
		sources += mime_decoder_codes(l->taps[i]->decoder.kind);
		sources += l->taps[i]->sub != NULL;
		sources += l->taps[i]->scan != NULL;
	}
	return sources > 1 || (sources == 1 && l->n_taps > 1);
}

/* Can the octets go where they lie? Else somebody may want them when the caller has them no more.
 */
bool
can_lie(const struct layer *l)
{
	return l->n_taps == 1 && l->taps[0]->sub == NULL && l->taps[0]->scan == NULL;
}

/* Octets that may be given to them at once. */
size_t
run_limit(const struct layer *l, bool lies)
{
	if (lies || l->n_taps == 0)
		return MIME_RUN_MAX;
	return (order_shows(l) ? COPY_MAX : COPY_ALONE_MAX) - l->copied;
}

static void
run_copy(struct layer *l, size_t n)
{
	l->run = span_of(l->copy, n);
	l->run_at = 0;
	l->run_taps = l->n_taps;
}

void
flush_copy(struct layer *l)
{
	if (l->run.n > 0)
		l->flush = l->copied > 0;
	else if (l->copied > 0)
		run_copy(l, l->copied);
}

void
collect(struct layer *l, struct span s)
{
	if (s.n > 0)
		memcpy(l->copy + l->copied, s.p, s.n);
	l->copied += s.n;
}

/*
 * Octets for the taps. Where their order shows they are collected, so that it does not depend on
 * the chunking: they go on their way when there are COPY_MAX, or when a part begins or ends.
 */
void
to_taps(struct layer *l, struct span s, bool lies)
{
	if (l->n_taps == 0 || s.n == 0)
		return;
	if (lies) {
		l->run = s;
		l->run_at = 0;
		l->run_taps = l->n_taps;
		return;
	}
	collect(l, s);
	if (!order_shows(l))
		run_copy(l, l->copied);
	else if (l->copied >= COPY_MAX)
		run_copy(l, COPY_MAX);
}

/* ---- taps ---- */

struct tap *
tap_open(struct mime *m, struct layer *l, struct frame *f, struct frame *target,
    enum mime_encoding encoding)
{
	struct tap *t;

	if (l->n_taps == TAPS_MAX || m->n_taps == TAPS_ALL_MAX)
		return NULL;
	t = malloc(sizeof(*t));
	if (t != NULL)
		memset(t, 0, offsetof(struct tap, decoder));
	if (t == NULL || !mime_decoder_init(&t->decoder, encoding, layer_off(l, l->off))) {
		free(t);
		m->no_memory = true;
		return NULL;
	}
	flush_copy(l); /* what came before is none of it */
	t->frame = f;
	t->target = target == NULL ? f : target;
	l->taps[l->n_taps++] = t;
	m->n_taps++;
	return t;
}

void
tap_free(struct mime *m, struct tap *t)
{
	m->n_taps--;
	mime_decoder_free(&t->decoder);
	if (t->file != NULL)
		frame_free(m, t->file);
	if (t->target != t->frame)
		frame_free(m, t->target);
	free(t->scan);
	free(t->url_safe_out);
	free(t);
}

void
tap_scan(struct mime *m, struct tap *t)
{
	t->scan = malloc(sizeof(*t->scan));
	if (t->scan == NULL)
		m->no_memory = true;
	else
		mime_uu_init(t->scan, 0);
}

/* Offsets of decoded content have no place in the message: the body's own stands for them. */
static uint64_t
place(const struct layer *l, const struct tap *t, uint64_t off)
{
	return mime_decoder_codes(t->decoder.kind) || l->source != NULL
		   ? layer_off(l, t->frame->body)
		   : t->frame->body + off;
}

static void
file_begins(struct mime *m, const struct layer *l, struct tap *t, const struct mime_uu_event *ev)
{
	struct frame *text = t->target;
	struct mime_said *said;
	uint64_t off = place(l, t, ev->off);

	say(m, text, MIME_ODD_INLINE_UU, off, NULL);
	if (m->parts >= m->limits.parts) {
		say(m, text, MIME_ODD_TOO_MANY_PARTS, off, NULL);
		return;
	}
	text->generated++;
	t->file = frame_begin(m, text, off, true);
	if (t->file == NULL)
		return;
	said = &t->file->said;
	t->file->part.type = span_str("application/octet-stream");
	t->file->part.disposition = span_str("attachment");
	t->file->part.encoding = ev->base64 ? MIME_BASE64 : MIME_UUENCODE;
	frame_path(t->file, text);
	if (!arena_copy(&said->arena, ev->name, &t->file->part.filename_raw))
		m->no_memory = true;
	t->file->part.filename = t->file->part.filename_raw;
	queue_event(m, t->file, MIME_HEADER_END, off, SPAN_NONE);
}

static void
file_event(struct mime *m, const struct layer *l, struct tap *t, const struct mime_uu_event *ev)
{
	uint64_t off = place(l, t, ev->off);

	if (ev->what == MIME_UU_BEGIN)
		file_begins(m, l, t, ev);
	if (t->file == NULL)
		return;
	if (t->scan->faults.n < t->scan_told)
		t->scan_told = 0;
	say_faults(m, t->file, &t->scan->faults, &t->scan_told, place(l, t, 0));
	if (ev->what == MIME_UU_DATA && ev->octets.n > 0) {
		t->file->part.size += ev->octets.n;
		queue_event(m, t->file, MIME_BODY, off, ev->octets);
	}
	if (ev->what == MIME_UU_END) {
		t->file->part.encoded_size = t->file->part.size;
		frame_end(m, t->file, off);
		t->file = NULL;
		mime_faults_reset(&t->scan->faults);
		t->scan_told = 0;
	}
}

/* One event of the files in a text, and what of the text is before it; false: all was taken. */
static bool
scan(struct mime *m, const struct layer *l, struct tap *t)
{
	struct mime_uu_event ev = {.what = MIME_UU_TEXT};
	size_t used;

	if (!t->scanning)
		return false;
	while (ev.what == MIME_UU_TEXT) {
		mime_uu_feed(t->scan, t->scan_left, &used, &ev);
		t->scan_left = span_from(t->scan_left, used);
	}
	t->scanning = ev.what != MIME_UU_MORE;
	file_event(m, l, t, &ev);
	return true;
}

/* The other alphabet is read too, from the octets on in which its first character is. */
static void
begin_url_safe(struct mime *m, struct tap *t, const struct mime_base64 *before)
{
	t->url_safe_out = malloc(MIME_BASE64_ROOM(MIME_RUN_MAX));
	if (t->url_safe_out == NULL)
		m->no_memory = true;
	t->url_safe = *before;
	t->url_safe.url_safe = true;
}

static void
tell_url_safe(struct mime *m, const struct layer *l, struct tap *t, size_t n)
{
	queue_event(
	    m, t->target, MIME_BODY_URL_SAFE, layer_off(l, l->off), span_of(t->url_safe_out, n));
}

/* Of base64 that the caller gets: both readings, where there are two. */
static struct span
decode_base64(struct mime *m, struct layer *l, struct tap *t)
{
	const struct mime_base64 before = t->decoder.base64;
	const struct span out = mime_decoder_feed(&t->decoder, l->run);

	if (t->url_safe_out == NULL && t->decoder.base64.url_seen)
		begin_url_safe(m, t, &before);
	if (t->url_safe_out != NULL)
		tell_url_safe(m, l, t, mime_base64_feed(&t->url_safe, l->run, t->url_safe_out));
	return out;
}

static struct span
decode(struct mime *m, struct layer *l, struct tap *t)
{
	if (t->decoder.kind == MIME_BASE64 && t->sub == NULL && !t->mute)
		return decode_base64(m, l, t);
	return mime_decoder_feed(&t->decoder, l->run);
}

static struct span
decode_end(struct mime *m, struct layer *l, struct tap *t)
{
	if (t->url_safe_out != NULL)
		tell_url_safe(m, l, t, mime_base64_finish(&t->url_safe, t->url_safe_out));
	return mime_decoder_finish(&t->decoder);
}

static void
deliver(struct mime *m, struct layer *l, struct tap *t, struct span out)
{
	const struct mime_faults *faults = mime_decoder_faults(&t->decoder);

	if (faults != NULL)
		say_faults(m, t->target, faults, &t->told, 0);
	if (out.n == 0 || t->mute)
		return;
	if (t->decoder.kind == MIME_BASE64 && t->decoder.base64.stopped &&
	    t->decoder.base64.size > t->decoder.base64.stop_size)
		t->target->part.stop_size = t->decoder.base64.stop_size;
	if (t->sub == NULL ||
	    (t->frame->part.shape == MIME_MESSAGE && t->frame->part.encoding == t->decoder.kind))
		t->target->part.size += out.n;
	if (t->sub != NULL)
		t->sub->in = out;
	else
		queue_event(m, t->target, MIME_BODY, layer_off(l, l->off), out);
	if (t->scan != NULL) {
		t->scan_left = out;
		t->scanning = true;
	}
}

/* They have arrived everywhere; what was collected behind them may follow. */
static void
run_arrived(struct layer *l)
{
	const size_t n = l->run.n;

	l->run_at = 0;
	if (l->run.p != l->copy) {
		l->run = SPAN_NONE;
		return;
	}
	l->copied -= n;
	memmove(l->copy, l->copy + n, l->copied);
	if (l->copied >= COPY_MAX) {
		l->run = span_of(l->copy, COPY_MAX);
	} else {
		l->run = span_of(l->copy, l->flush ? l->copied : 0);
		l->flush = false;
	}
}

void
tap_run(struct mime *m, struct layer *l)
{
	struct tap *t;

	if (l->run_at > 0 && scan(m, l, l->taps[l->run_at - 1]))
		return;
	if (l->run_at == l->run_taps) {
		run_arrived(l);
		return;
	}
	t = l->taps[l->run_at];
	deliver(m, l, t, decode(m, l, t));
	l->run_at++;
}

/* The last event of the files in a text; true: there was one. */
static bool
scan_finish(struct mime *m, struct layer *l, struct tap *t)
{
	struct mime_uu_event ev;

	if (t->scan == NULL || t->scan_finished)
		return false;
	mime_uu_finish(t->scan, &ev);
	t->scan_finished = ev.what == MIME_UU_MORE;
	file_event(m, l, t, &ev);
	return true;
}

/* Parts that are no frame of this layer end with their tap. */
static void
target_ends(struct mime *m, struct layer *l, struct tap *t)
{
	if (t->target == t->frame)
		return;
	t->target->part.encoded_size = t->frame->part.encoded_size;
	t->target->part.lines = t->frame->part.lines;
	frame_end(m, t->target, layer_off(l, l->off));
	t->target = t->frame;
}

void
tap_close(struct mime *m, struct layer *l)
{
	struct tap *t = l->taps[l->n_taps - 1];

	if (!t->finished) {
		t->finished = true;
		deliver(m, l, t, decode_end(m, l, t));
		return;
	}
	if (scan(m, l, t) || scan_finish(m, l, t))
		return;
	if (t->sub != NULL && t->sub->state != L_DONE) {
		t->sub->eof = true;
		return;
	}
	if (t->sub != NULL)
		layer_free(m, t->sub);
	target_ends(m, l, t);
	l->n_taps--;
	tap_free(m, t);
}
