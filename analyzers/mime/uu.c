#include "mime/uu.h"

#include "mime/line_begin.h"

#define LENGTH_MAX	 45 /* octets of a line: "M" */
#define LENGTH_POSSIBLE	 63
#define CHARACTERS(octs) (((octs) + 2) / 3 * 4)

enum state {
	OUTSIDE, /* text */
	FIRST,	 /* behind "begin": the next line tells whether it was one */
	INSIDE,
};

void
mime_uu_init(struct mime_uu *d, uint64_t off)
{
	memset(d, 0, offsetof(struct mime_uu, held));
	d->off = d->line = off;
	d->state = OUTSIDE;
}

static void
fault(struct mime_uu *d, const char *detail)
{
	mime_faults_add(&d->faults, MIME_ODD_UU, d->line, detail);
}

/* Without its line end and the blanks before it. */
static struct span
trimmed(struct span line)
{
	if (line.n > 0 && line.p[line.n - 1] == '\n')
		line.n--;
	while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' ' ||
				 line.p[line.n - 1] == '\t'))
		line.n--;
	return line;
}

bool
mime_uu_is_begin(struct span line, struct span *name, bool *base64)
{
	static const char UU[] = "begin ", BASE64[] = "begin-base64 ";
	struct span rest = trimmed(line), mode;

	*base64 = span_starts(rest, span_str(BASE64));
	if (!*base64 && !span_starts(rest, span_str(UU)))
		return false;
	rest = span_from(rest, *base64 ? sizeof(BASE64) - 1 : sizeof(UU) - 1);
	mode = span_word(&rest);
	*name = span_trim(rest);
	for (size_t i = 0; i < mode.n; i++)
		if (!octet_is_digit(mode.p[i]))
			return false;
	return (mode.n == 3 || mode.n == 4) && name->n > 0;
}

/* "begin 644" of which a digit is none of octal numbers. */
static bool
mode_is_odd(struct span line)
{
	struct span mode;

	span_word(&line);
	mode = span_word(&line);
	return span_find(mode, '8') >= 0 || span_find(mode, '9') >= 0;
}

static bool
is_end(const struct mime_uu *d, struct span line)
{
	line = trimmed(line);
	return span_eq(line, span_str("end")) || (d->base64 && span_eq(line, span_str("====")));
}

/*
 * The next line, with its LF: out of the input, or of what was held (d->n > 0 then). It stays the
 * next line until line_done(). A line longer than MIME_UU_LINE_MAX comes in pieces of that size.
 * *used: octets of the input that are held from now on. False: the line has no end yet; all of the
 * input is held.
 */
static bool
next_line(struct mime_uu *d, struct span in, size_t *used, struct span *line)
{
	size_t room = sizeof(d->held) - d->n;
	struct span head = span_first(in, room);
	ptrdiff_t lf = span_find(head, '\n');
	size_t n = lf >= 0 ? (size_t)lf + 1 : head.n;

	*used = 0;
	if (d->n == 0 && (lf >= 0 || n == room)) {
		*line = span_first(in, n);
		return true;
	}
	if (d->n == 0 || (d->held[d->n - 1] != '\n' && room > 0)) {
		if (in.n > 0)
			memcpy(d->held + d->n, in.p, n);
		d->n += n;
		*used = n;
	}
	*line = span_of(d->held, d->n);
	return d->n == sizeof(d->held) || (d->n > 0 && d->held[d->n - 1] == '\n') ||
	       (d->finished && d->n > 0);
}

/* The next line was dealt with. Returns the octets of the input that this takes. */
static size_t
line_done(struct mime_uu *d, struct span line)
{
	size_t used = d->n > 0 ? 0 : line.n;

	d->n = 0;
	d->off += line.n;
	d->middle = line.p[line.n - 1] != '\n';
	if (!d->middle)
		d->line = d->off;
	return used;
}

/* Could a line be "begin", by the octets of it that are there? */
static bool
may_begin(struct span line)
{
	static const char word[] = "begin";

	return line.n < sizeof(word) - 1 ? line.n > 0 && line.p[0] == 'b'
					 : memcmp(line.p, word, sizeof(word) - 1) == 0;
}

/* How many octets of the input are text whatever comes: up to a line that may be "begin". */
static size_t
sure_text(const struct mime_uu *d, struct span in)
{
	size_t n = 0;

	if (in.n == 0 || (!d->middle && may_begin(in)))
		return 0;
	do
		n += line_begin(span_from(in, n), 'b', 'b');
	while (n < in.n && !may_begin(span_from(in, n)));
	return n;
}

/* Six bits of a character. */
static uint32_t
six_bits(struct mime_uu *d, struct span line, size_t i)
{
	uint8_t c = i < line.n ? line.p[i] : ' ';

	if (c < ' ' || c > '`')
		fault(d, "octet outside the alphabet");
	return (uint32_t)(c - ' ') & 63;
}

/* One line of a file; returns how many octets it holds. */
static size_t
decode_line(struct mime_uu *d, struct span line, uint8_t *out)
{
	size_t n, characters;

	if (line.n > 0 && line.p[line.n - 1] == '\n')
		line.n--;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n == 0) {
		fault(d, "empty line");
		return 0;
	}
	n = six_bits(d, line, 0);
	if (n > LENGTH_MAX)
		fault(d, "line of more than 45 octets");
	line = span_from(line, 1);
	characters = CHARACTERS(n);
	if (line.n < characters)
		fault(d, "line is shorter than it says");
	if (n > 0 && line.n > characters + 1) /* some write a check digit */
		fault(d, "line is longer than it says");
	for (size_t i = 0, at = 0; i < n; i += 3, at += 4) {
		uint32_t bits = six_bits(d, line, at) << 18 | six_bits(d, line, at + 1) << 12 |
				six_bits(d, line, at + 2) << 6 | six_bits(d, line, at + 3);

		out[i] = (uint8_t)(bits >> 16);
		out[i + 1] = (uint8_t)(bits >> 8);
		out[i + 2] = (uint8_t)bits;
	}
	return n;
}

/* Could the line behind "begin" be of a file? */
static bool
may_be_data(const struct mime_uu *d, struct span line)
{
	struct span rest = trimmed(line);
	size_t n, characters;

	if (is_end(d, line))
		return true;
	if (d->base64)
		return rest.n > 0 && span_find(rest, ' ') < 0;
	if (rest.n == 0 || rest.p[0] < ' ' || rest.p[0] > '`')
		return false;
	n = (size_t)(rest.p[0] - ' ') & 63;
	characters = CHARACTERS(n);
	/* blanks at its end may be gone; what is far too long is prose */
	return rest.n - 1 <= characters + 2 && rest.n >= 1 + characters / 4;
}

static void
faults_of_base64(struct mime_uu *d)
{
	for (unsigned i = 0; i < d->decoder.faults.n; i++) {
		const struct mime_fault *f = &d->decoder.faults.each[i];

		mime_faults_add(&d->faults, f->what, f->off, f->detail);
	}
}

static size_t
data(struct mime_uu *d, struct span line, uint8_t *out)
{
	size_t n;

	if (!d->base64)
		return d->middle ? 0 : decode_line(d, line, out);
	d->decoder.off = d->off;
	n = mime_base64_feed(&d->decoder, line, out);
	faults_of_base64(d);
	return n;
}

/* A line that is none of the file, or the end of all. */
static size_t
leave(struct mime_uu *d, struct span line, struct mime_uu_event *ev)
{
	size_t n = d->base64 ? mime_base64_finish(&d->decoder, d->out) : 0;

	faults_of_base64(d);
	ev->off = d->off;
	if (n > 0) {
		ev->what = MIME_UU_DATA;
		ev->octets = span_of(d->out, n);
		return 0;
	}
	ev->what = MIME_UU_END;
	if (line.n > 0 && is_end(d, line)) {
		d->state = OUTSIDE;
		return line_done(d, line);
	}
	fault(d, d->state == FIRST ? "no data behind begin" : "no end");
	d->state = OUTSIDE;
	return 0;
}

static bool
leaves(const struct mime_uu *d, struct span line)
{
	struct span name;
	bool base64;

	if (d->middle)
		return false;
	return is_end(d, line) || mime_uu_is_begin(line, &name, &base64) ||
	       (d->state == FIRST && !may_be_data(d, line));
}

/* A file: lines of it until the room for their octets is used up, or until a line that is none. */
static void
inside(struct mime_uu *d, struct span in, size_t *used, struct mime_uu_event *ev)
{
	size_t n = 0, held;
	struct span line;

	ev->off = d->off;
	while (n + MIME_BASE64_ROOM(MIME_UU_LINE_MAX) <= sizeof(d->out)) {
		bool whole = next_line(d, span_from(in, *used), &held, &line);

		*used += held;
		if (!whole)
			break;
		if (leaves(d, line)) {
			if (n == 0)
				*used += leave(d, line, ev);
			break;
		}
		n += data(d, line, d->out + n);
		d->state = INSIDE;
		*used += line_done(d, line);
	}
	if (n > 0) {
		ev->what = MIME_UU_DATA;
		ev->octets = span_of(d->out, n);
	}
}

static void
outside(struct mime_uu *d, struct span in, size_t *used, struct mime_uu_event *ev)
{
	size_t n = d->n == 0 ? sure_text(d, in) : 0;
	struct span line, name;
	bool base64, whole;

	ev->off = d->off;
	if (n > 0) {
		ev->what = MIME_UU_TEXT;
		ev->octets = span_first(in, n);
		*used = line_done(d, ev->octets);
		return;
	}
	if (!next_line(d, in, used, &line))
		return;
	whole = !d->middle && (line.p[line.n - 1] == '\n' || line.n < sizeof(d->held));
	if (whole && mime_uu_is_begin(line, &name, &base64)) {
		if (mode_is_odd(line))
			fault(d, "mode is not octal");
		ev->what = MIME_UU_BEGIN;
		ev->base64 = d->base64 = base64;
		ev->name = span_of(d->name, span_first(name, sizeof(d->name)).n);
		memcpy(d->name, name.p, ev->name.n);
		d->state = FIRST;
	} else {
		ev->what = MIME_UU_TEXT;
		ev->octets = line;
	}
	*used += line_done(d, line);
	if (d->state == FIRST)
		mime_base64_init(&d->decoder, d->off);
}

void
mime_uu_feed(struct mime_uu *d, struct span in, size_t *used, struct mime_uu_event *ev)
{
	*used = 0;
	*ev = (struct mime_uu_event){.what = MIME_UU_MORE, .off = d->off};
	if (d->state == OUTSIDE)
		outside(d, in, used, ev);
	else
		inside(d, in, used, ev);
}

void
mime_uu_finish(struct mime_uu *d, struct mime_uu_event *ev)
{
	size_t used;

	d->finished = true;
	mime_uu_feed(d, SPAN_NONE, &used, ev);
	if (ev->what == MIME_UU_MORE && d->state != OUTSIDE)
		leave(d, SPAN_NONE, ev);
}
