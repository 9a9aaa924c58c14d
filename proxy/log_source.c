#include "log_source.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct log_source *
log_source_new(int fd, unsigned slot)
{
	struct log_source *s = calloc(1, sizeof(*s));

	if (s != NULL) {
		*s = (struct log_source){.fd = fd, .slot = slot, .first = true};
		s->p = malloc(LOG_SOURCE_MAX);
		if (s->p != NULL)
			return s;
		free(s);
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

void
log_source_free(struct log_source *s)
{
	if (s == NULL)
		return;
	if (s->fd >= 0)
		close(s->fd);
	if (s->xferlog != NULL)
		free(s->xferlog->p);
	free(s->xferlog);
	free(s->p);
	free(s);
}

size_t
log_source_whole(const struct log_source *s)
{
	return (size_t)(span_rfind(span_of(s->p, s->n), '\n') + 1);
}

void
log_source_cut(struct log_source *s, size_t from, size_t to)
{
	memmove(s->p + from, s->p + to, s->n - to);
	s->n -= to - from;
}

void
log_source_put(void *source, const char *line, size_t n)
{
	struct log_source *s = source;
	size_t whole = log_source_whole(s);

	if (n > LOG_SOURCE_MAX - s->n)
		return;
	memmove(s->p + whole + n, s->p + whole, s->n - whole);
	memcpy(s->p + whole, line, n);
	s->n += n;
}

/* Goes on with a line that is skipped in the octets from "from" on. */
static unsigned
skip(struct log_source *s, size_t from)
{
	ptrdiff_t lf = span_find(span_of(s->p + from, s->n - from), '\n');

	if (lf < 0) {
		s->n = from;
		return 0;
	}
	log_source_cut(s, from, from + (size_t)lf + 1);
	s->skipping = false;
	s->first = false;
	return 1;
}

/* Whoever read from this pipe before may have taken the beginning of a line along. */
static unsigned
check_first(struct log_source *s)
{
	struct span line = span_of(s->p, s->n);
	ptrdiff_t lf = span_find(line, '\n');

	if (lf < 0)
		return 0;
	s->first = false;
	if (span_starts(line, span_str(RECORD_LINE_START)) ||
	    span_starts(line, span_str(RECORD_XFERLOG_START)))
		return 0;
	log_source_cut(s, 0, (size_t)lf + 1);
	return 1;
}

/* One line goes over to the others of its kind. Returns how many were lost with it. */
static unsigned
put_apart(struct log_source *s, struct span line)
{
	size_t before;

	if (s->xferlog == NULL)
		s->xferlog = log_source_new(-1, s->slot);
	if (s->xferlog == NULL)
		return 1;
	before = s->xferlog->n;
	log_source_put(s->xferlog, (const char *)line.p, line.n);
	return s->xferlog->n == before;
}

/* Takes lines of an xferlog out of the whole lines. */
static unsigned
sort_out(struct log_source *s)
{
	const struct span mark = span_str(RECORD_XFERLOG_START);
	size_t whole = log_source_whole(s), kept = 0, n;
	unsigned lost = 0;

	if (span_find(span_of(s->p, whole), mark.p[0]) < 0)
		return 0;
	for (size_t at = 0; at < whole; at += n) {
		struct span line = span_of(s->p + at, whole - at);

		n = (size_t)span_find(line, '\n') + 1;
		line.n = n;
		if (span_starts(line, mark)) {
			lost += put_apart(s, span_from(line, mark.n));
			continue;
		}
		memmove(s->p + kept, line.p, n);
		kept += n;
	}
	log_source_cut(s, kept, whole);
	return lost;
}

static unsigned
end(struct log_source *s)
{
	size_t whole = log_source_whole(s);
	unsigned lost = s->n > whole || s->skipping ? 1 : 0;

	s->n = whole;
	s->skipping = false;
	close(s->fd);
	s->fd = -1;
	return lost;
}

unsigned
log_source_read(struct log_source *s)
{
	size_t from = s->n;
	ssize_t got = read(s->fd, s->p + from, LOG_TURN);
	unsigned lost = 0;

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (got <= 0)
		return end(s);
	s->n += (size_t)got;
	if (s->skipping)
		lost += skip(s, from);
	if (s->first)
		lost += check_first(s);
	lost += sort_out(s);
	if (s->n - log_source_whole(s) > RECORD_LINE_MAX) {
		s->n = log_source_whole(s);
		s->skipping = true;
	}
	return lost;
}
