#include "mime/detect.h"

#include <magic.h>
#include <stdlib.h>

#include "mime/textscan.h"
#include "mime/types_magic.h"

#define UNKNOWN_TYPE "application/octet-stream"
#define ISO_TYPE     "application/x-iso9660-image"
#define PDF_TYPE     "application/pdf"
#define PDF_WITHIN   1024  /* octets from the first: readers look for its mark in these */
#define ISO_MARK_AT  32769 /* ECMA-119 s8.1: sector 16, behind the type of the descriptor */
#define MAGIC_OFF                                                                                  \
	(MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR | MAGIC_NO_CHECK_APPTYPE |                   \
	    MAGIC_NO_CHECK_ELF | MAGIC_NO_CHECK_TEXT | MAGIC_NO_CHECK_CDF | MAGIC_NO_CHECK_CSV |   \
	    MAGIC_NO_CHECK_TOKENS | MAGIC_NO_CHECK_ENCODING | MAGIC_NO_CHECK_JSON)

/* libmagic's handle, one a process: it is used between two calls of detect_feed() only. */
static magic_t magic;
static void *database; /* ours; NULL: the system's */

static bool
load_ours(const char **why)
{
	size_t n = types_magic_n;

	if ((database = malloc(n)) == NULL) {
		*why = "no memory for the database of file types";
		return false;
	}
	memcpy(database, types_magic, n);
	if (magic_load_buffers(magic, &database, &n, 1) != 0) {
		*why = "libmagic does not take our file types: it is another version than at build "
		       "time";
		return false;
	}
	return true;
}

bool
detect_global_init(bool system_types, const char **why)
{
	if (magic != NULL)
		return true;
	if ((magic = magic_open(MAGIC_MIME_TYPE | MAGIC_OFF)) == NULL) {
		*why = "no memory for libmagic";
		return false;
	}
	if (!system_types && load_ours(why))
		return true;
	if (system_types && magic_load(magic, NULL) == 0)
		return true;
	if (system_types)
		*why =
		    "the system's database of file types cannot be loaded (package libmagic-mgc)";
	detect_global_end();
	return false;
}

void
detect_global_end(void)
{
	if (magic != NULL)
		magic_close(magic);
	magic = NULL;
	free(database);
	database = NULL;
}

static void
set_type(char *type, const char *from)
{
	size_t n = strlen(from);

	if (n >= DETECT_TYPE_MAX)
		n = DETECT_TYPE_MAX - 1;
	memcpy(type, from, n);
	type[n] = '\0';
}

/* Octets behind the end may be any: libmagic sees NULs there. */
static bool
may_begin(const struct types_begin *t, struct span s)
{
	if (s.n < t->at)
		return false;
	s = span_first(span_from(s, t->at), t->n);
	for (size_t i = 0; i < s.n; i++)
		if (((s.p[i] ^ t->octets[i]) & t->mask[i]) != 0)
			return false;
	return true;
}

/* A look by libmagic costs more than all else of a small file: seldom is one of its types possible.
 */
static bool
may_have_type(struct span prefix)
{
	if (database == NULL)
		return true;
	for (size_t i = 0; i < types_begin_n; i++)
		if (may_begin(&types_begin[i], prefix))
			return true;
	return false;
}

/* A PDF behind something else; "": nothing that is known. */
static const char *
type_behind(struct span prefix)
{
	static const char mark[] = "%PDF-1.";
	const struct span within = span_first(span_from(prefix, 1), PDF_WITHIN + sizeof(mark) - 2);

	if (within.n == 0)
		return "";
	return memmem(within.p, within.n, mark, sizeof(mark) - 1) != NULL ? PDF_TYPE : "";
}

/* "": none that is known. */
static const char *
magic_type(struct span prefix)
{
	const char *found = may_have_type(prefix) ? magic_buffer(magic, prefix.p, prefix.n) : NULL;

	if (found != NULL && strcmp(found, UNKNOWN_TYPE) != 0 && strcmp(found, "text/plain") != 0 &&
	    found[0] != '\0')
		return found;
	return database == NULL ? "" : type_behind(prefix);
}

/* Octets that are text without doubt belong to no type of our database: textscan knows those. */
static bool
needs_magic(const char *text, const char *charset)
{
	if (magic == NULL)
		return false;
	return database == NULL || text == NULL || strcmp(charset, "unknown-8bit") == 0;
}

void
detect_look(struct span prefix, char *type, const char **charset)
{
	const char *text, *found;

	*charset = NULL;
	if (prefix.n == 0) {
		set_type(type, "application/x-empty");
		return;
	}
	text = textscan_look(prefix, charset);
	set_type(type, text != NULL ? text : UNKNOWN_TYPE);
	/* a text of a kind that we know is told better by us than by a large database */
	if (text != NULL && strcmp(text, "text/plain") != 0)
		return;
	if (!needs_magic(text, *charset))
		return;
	found = magic_type(prefix);
	if (found[0] == '\0')
		return;
	set_type(type, found);
	*charset = NULL;
}

void
detect_init(struct detect *d)
{
	*d = (struct detect){0};
	buf_init(&d->prefix, DETECT_LATE);
}

void
detect_free(struct detect *d)
{
	buf_free(&d->prefix);
}

static void
decide(struct detect *d)
{
	struct span prefix = buf_span(&d->prefix);

	if (!d->started)
		detect_look(span_first(prefix, DETECT_PREFIX), d->type, &d->charset);
	d->started = true;
	if (prefix.n > ISO_MARK_AT &&
	    span_starts(span_from(prefix, ISO_MARK_AT), span_str("CD001")))
		set_type(d->type, ISO_TYPE);
}

static bool
is_unknown(const struct detect *d)
{
	return strcmp(d->type, UNKNOWN_TYPE) == 0;
}

/* Takes what fits of octets. False: no memory. */
static bool
keep(struct detect *d, struct span octets, size_t max, size_t *used)
{
	struct span taken = span_first(span_from(octets, *used), max - d->prefix.n);

	if (!buf_add(&d->prefix, taken))
		return false;
	*used += taken.n;
	return true;
}

bool
detect_feed(struct detect *d, struct span octets, size_t *used)
{
	*used = 0;
	if (d->done) {
		*used = octets.n;
		return false;
	}
	if (!d->started && !(d->nomem = !keep(d, octets, DETECT_PREFIX, used)) &&
	    d->prefix.n == DETECT_PREFIX) {
		decide(d);
		d->done = !is_unknown(d);
	}
	if (!d->done && d->started && !(d->nomem = !keep(d, octets, DETECT_LATE, used)) &&
	    d->prefix.n == DETECT_LATE) {
		decide(d);
		d->done = true;
	}
	if (d->nomem && !d->started)
		set_type(d->type, UNKNOWN_TYPE);
	d->done = d->done || d->nomem;
	return d->done;
}

bool
detect_finish(struct detect *d)
{
	if (d->done)
		return false;
	decide(d);
	return d->done = true;
}

struct span
detect_prefix(const struct detect *d)
{
	return buf_span(&d->prefix);
}

struct span
detect_type(const struct detect *d)
{
	return d->done ? span_str(d->type) : SPAN_NONE;
}
