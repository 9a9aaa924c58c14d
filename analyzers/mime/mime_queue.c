/* Events, anomalies, and the beginning and end of parts. */
#include <stdlib.h>

#include "mime/mime_state.h"

struct mime_event *
queue_event(
    struct mime *m, const struct frame *f, enum mime_kind kind, uint64_t off, struct span octets)
{
	struct mime_event *ev;

	if (m->queued == QUEUE_MAX) { /* a step has bounded events: the bound is not met */
		m->no_memory = true;
		return &m->queue[QUEUE_MAX - 1];
	}
	ev = &m->queue[m->queued++];
	*ev = (struct mime_event){.kind = kind, .part = &f->part, .off = off, .octets = octets};
	return ev;
}

/* That a part is ambiguous is told whatever else was: a thousand trifles must not hide it. */
static bool
is_first_reading(const struct frame *f, enum mime_anomaly what)
{
	return what == MIME_ODD_AMBIGUOUS && f->ambiguous == 0;
}

/* May this one be told? Each kind once of a part, but for a few of those that deceive. */
static bool
may_say(struct mime *m, struct frame *f, enum mime_anomaly what)
{
	if (m->queued + 2 >= QUEUE_MAX)
		return false;
	if (is_first_reading(f, what)) {
		f->told |= (uint64_t)1 << what;
		return true;
	}
	if (m->told > m->limits.anomalies)
		return false;
	if (what == MIME_ODD_AMBIGUOUS) {
		/* half of what may be told: they must not hide the rest */
		if (f->ambiguous == AMBIGUOUS_MAX || m->ambiguous > m->limits.anomalies / 2)
			return false;
		f->ambiguous++;
		m->ambiguous++;
	} else if (f->told & ((uint64_t)1 << what)) {
		return false;
	}
	f->told |= (uint64_t)1 << what;
	return true;
}

static void
tell(struct mime *m, struct frame *f, enum mime_anomaly what, uint64_t off, const char *detail)
{
	bool first = is_first_reading(f, what), counts = true;

	if (!may_say(m, f, what))
		return;
	if (first) {
		f->ambiguous = 1;
		counts = m->ambiguous++ <= m->limits.anomalies / 2;
	}
	if (counts && m->told++ == m->limits.anomalies) {
		queue_event(m, f, MIME_ANOMALY, off, SPAN_NONE)->anomaly =
		    MIME_ODD_TOO_MANY_ANOMALIES;
		if (!first)
			return;
	}
	queue_event(m, f, MIME_ANOMALY, off, SPAN_NONE)->anomaly = what;
	m->queue[m->queued - 1].detail = detail;
}

void
say(struct mime *m, struct frame *f, enum mime_anomaly what, uint64_t off, const char *detail)
{
	_Static_assert(MIME_ANOMALY_COUNT <= 64, "one bit for each");
	tell(m, f, what, off, detail);
}

static size_t
add_text(char *to, size_t n, struct span text)
{
	for (size_t i = 0; i < text.n && i < 72 && n < DETAIL_MAX - 1; i++)
		to[n++] = (char)(text.p[i] >= ' ' && text.p[i] < 0x7f ? text.p[i] : '?');
	to[n] = '\0';
	return n;
}

/* "what: one or: other", cut, nothing but printable ASCII. */
void
say_two(struct mime *m, struct frame *f, uint64_t off, const char *what, struct span one,
    const char * or, struct span other)
{
	char *detail = m->details[m->queued < QUEUE_MAX ? m->queued : QUEUE_MAX - 1];
	size_t n = add_text(detail, 0, span_str(what));

	n = add_text(detail, n, one);
	n = add_text(detail, n, span_str(or));
	add_text(detail, n, other);
	tell(m, f, MIME_ODD_AMBIGUOUS, off, detail);
}

void
say_faults(struct mime *m, struct frame *f, const struct mime_faults *faults, unsigned *told,
    uint64_t base)
{
	for (; *told < faults->n; (*told)++)
		tell(m, f, faults->each[*told].what, base + faults->each[*told].off,
		    faults->each[*told].detail);
}

struct frame *
frame_begin(struct mime *m, struct frame *parent, uint64_t off, bool generated)
{
	struct frame *f = malloc(sizeof(*f));

	if (f == NULL) {
		m->no_memory = true;
		return NULL;
	}
	memset(f, 0, offsetof(struct frame, said));
	mime_said_init(&f->said, parent != NULL && !generated &&
				     span_ieq(parent->part.type, span_str("multipart/digest")));
	f->in_header = true;
	f->part.number = m->parts++;
	f->part.parent = parent == NULL ? 0 : parent->part.number;
	f->part.depth = parent == NULL ? 0 : parent->part.depth + 1;
	f->part.generated = generated;
	f->part.offset = off;
	f->part.stop_size = UINT64_MAX;
	queue_event(m, f, MIME_PART_BEGIN, off, SPAN_NONE);
	return f;
}

/* What does not fit is left out: such a part has the path of the one it is in. */
static void
add_number(char *path, unsigned number)
{
	char digits[12];
	size_t n = strlen(path), d = sizeof(digits);

	do {
		digits[--d] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	if (n > 0)
		digits[--d] = '.';
	if (n + (sizeof(digits) - d) >= MIME_PATH_MAX)
		return;
	memcpy(path + n, digits + d, sizeof(digits) - d);
	path[n + sizeof(digits) - d] = '\0';
}

/*
 * IMAP's numbers (RFC 3501 s6.4.5). Parts that no header made are not among them: 0 stands before
 * the number of one that stands beside others.
 */
void
frame_path(struct frame *f, const struct frame *parent)
{
	char *path = f->part.path;
	const bool multipart = f->part.shape == MIME_MULTIPART;

	if (parent != NULL)
		memcpy(path, parent->part.path, MIME_PATH_MAX);
	if (parent == NULL || (parent->part.shape == MIME_MESSAGE && !f->part.generated)) {
		if (!multipart)
			add_number(path, 1);
		return;
	}
	if (f->part.generated && parent->part.shape != MIME_LEAF)
		add_number(path, 0);
	add_number(path, f->part.generated ? parent->generated : parent->children);
}

void
frame_end(struct mime *m, struct frame *f, uint64_t off)
{
	queue_event(m, f, MIME_PART_END, off, SPAN_NONE);
	if (f->part.number == 0) { /* the end of the message speaks of it once more */
		m->root = f;
		return;
	}
	f->below = m->dead;
	m->dead = f;
}

void
frame_free(struct mime *m, struct frame *f)
{
	m->kept -= f->said.held;
	mime_said_free(&f->said);
	free(f);
}

void
frames_bury(struct mime *m)
{
	while (m->dead != NULL) {
		struct frame *f = m->dead;

		m->dead = f->below;
		frame_free(m, f);
	}
}
