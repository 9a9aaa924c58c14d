#include <stdlib.h>

#include "mime/mail_state.h"

void
mail_options_default(struct mail_options *o)
{
	*o = (struct mail_options){.sha256 = true,
	    .types = true,
	    .archives = true,
	    .urls = true,
	    .mime = {.anomalies = 1000},
	    .parts = 1000,
	    .detected = 64,
	    .members = ARCHIVE_BUDGET_MEMBERS,
	    .urls_max = 100,
	    .recipients = 100};
}

/* An archive that is open: libarchive's prefix and what it makes of it, or a reader of ours. */
#define READER_MAX     ((size_t)3 << 20)
/* Contexts of digests, and what OpenSSL keeps for them. */
#define DIGESTS_OCTETS ((size_t)3 << 10)

size_t
mail_octets_max(const struct mail_options *o)
{
	size_t leaf = DETECT_LATE + DIGESTS_OCTETS;
	size_t head = (size_t)MAIL_LISTS * o->recipients *
		      ((size_t)3 * ADDRESS_PIECE_MAX + sizeof(struct address));

	return sizeof(struct mail) + MAIL_FACTS_MAX + MAIL_LEAVES_MAX * leaf +
	       (o->archives ? (size_t)LEAF_READERS_MAX * READER_MAX : 0) +
	       (o->urls ? ((size_t)o->urls_max + 1) * URL_MAX : 0) + head +
	       mime_octets_max(&o->mime);
}

struct mail *
mail_make(const struct mail_options *o)
{
	struct mail *m = malloc(sizeof(*m));

	if (m == NULL)
		return NULL;
	memset(m, 0, offsetof(struct mail, leaves));
	for (size_t i = 0; i < MAIL_LEAVES_MAX; i++)
		leaf_never_used(&m->leaves[i]);
	m->options = *o;
	arena_init(&m->facts, MAIL_FACTS_MAX);
	m->shared = (struct leaf_shared){.options = &m->options,
	    .budget = {.members = o->members, .inflate = ARCHIVE_BUDGET_INFLATE}};
	if (o->urls)
		m->shared.urls = urls_new(o->urls_max);
	if (m->shared.urls != NULL || !o->urls)
		return m;
	mail_free(m);
	return NULL;
}

struct mail *
mail_with_parser(const struct mail_options *o)
{
	struct mail *m = mail_make(o);

	if (m == NULL)
		return NULL;
	m->mime = mime_new(&o->mime);
	if (m->mime != NULL)
		return m;
	mail_free(m);
	return NULL;
}

struct mail *
mail_new(const struct mail_options *o)
{
	struct mail *m = mail_with_parser(o);

	if (m != NULL)
		mail_sink_begin(m);
	return m;
}

/* What is only needed while octets come; a sink that has not heard of an end hears that it was cut.
 */
static void
stop(struct mail *m)
{
	mail_sink_end(m, false);
	mime_free(m->mime);
	m->mime = NULL;
	mail_head_free(m);
	for (size_t i = 0; i < MAIL_LEAVES_MAX; i++)
		leaf_free(&m->leaves[i]);
	for (size_t i = 0; i < m->n_rows; i++)
		m->rows[i]->leaf = NULL;
}

void
mail_free(struct mail *m)
{
	if (m == NULL)
		return;
	stop(m);
	urls_free(m->shared.urls);
	arena_free(&m->facts);
	free(m);
}

/* ---- events ---- */

/* NULL: it is one that was left out. */
static struct mail_row *
row_of(const struct mail *m, const struct mime_part *part)
{
	return part->number < m->n_rows ? m->rows[part->number] : NULL;
}

/* Where it is in what was fed. */
static uint64_t
place(const struct mail *m, uint64_t off)
{
	return off > m->before ? off - m->before : 0;
}

/* Rows stand by number: once a part was left out, all behind it are. */
static bool
begin_part(struct mail *m, const struct mime_part *part)
{
	struct mail_row **rows, *row = NULL;

	if (part->number == m->n_rows && m->n_rows < m->options.parts) {
		rows = arena_grow(
		    &m->facts, m->rows, m->n_rows, &m->rows_cap, sizeof(struct mail_row *));
		if (rows != NULL) {
			m->rows = rows;
			row = arena_alloc(&m->facts, sizeof(*row));
		}
	}
	if (row == NULL) {
		m->parts_left_out++;
		return !m->facts.failed;
	}
	row->part.number = part->number;
	row->part.parent = part->parent;
	row->part.depth = part->depth;
	row->part.offset = place(m, part->offset);
	row->part.stop_size = row->part.url_safe_size = UINT64_MAX;
	m->rows[m->n_rows++] = row;
	return part->number == 0 || mail_part_child(m, m->rows[part->parent], part);
}

/* To the parser part 0 of a file is a message/rfc822: of that one only what is odd counts. */
static bool
is_for_nobody(const struct mail *m, const struct mime_event *ev)
{
	return ev->part->number < m->head && ev->kind != MIME_ANOMALY;
}

bool
mail_event(struct mail *m, const struct mime_event *ev)
{
	struct mail_row *row = row_of(m, ev->part);

	if (is_for_nobody(m, ev))
		return true;
	switch (ev->kind) {
	case MIME_PART_BEGIN:
		return begin_part(m, ev->part);
	case MIME_FIELD:
		return ev->part->number != m->head || mail_head_field(m, ev);
	case MIME_HEADER_END:
		if (ev->part->number == m->head && !mail_head_end(m))
			return false;
		return row == NULL || mail_part_header(m, row, ev->part);
	case MIME_BODY:
		return row == NULL || mail_part_body(m, row, ev);
	case MIME_BODY_URL_SAFE:
		return row == NULL || row->leaf == NULL ||
		       leaf_feed_url_safe(row->leaf, ev->octets);
	case MIME_PART_END:
		return row == NULL || mail_part_end(m, row, ev->part);
	case MIME_ANOMALY:
		mail_note(m, row, ev->anomaly, place(m, ev->off), ev->detail);
		return !m->facts.failed;
	case MIME_MESSAGE_END:
		break;
	}
	return true;
}

static void
give_up(struct mail *m)
{
	m->broken = true;
	stop(m);
}

bool
mail_parse(struct mail *m, struct span octets)
{
	enum an_status status = AN_EVENT;
	struct mime_event ev;
	size_t used;

	while (m->mime != NULL && status == AN_EVENT) {
		status = mime_feed(m->mime, octets, &used, &ev);
		if (status == AN_NOMEM || (status == AN_EVENT && !mail_event(m, &ev)))
			return false;
		octets = span_from(octets, used);
	}
	return true;
}

bool
mail_feed(struct mail *m, struct span octets)
{
	m->size += octets.n;
	if (m->broken || m->finished)
		return !m->broken;
	mail_sink_feed(m, octets);
	if (mail_is_file(m) ? mail_file_feed(m, octets) : mail_parse(m, octets))
		return true;
	give_up(m);
	return false;
}

void
mail_finish(struct mail *m)
{
	struct mime_event ev = {.kind = MIME_BODY};

	if (mail_is_file(m) && !m->broken && !m->finished && !mail_file_finish(m))
		give_up(m);
	while (m->mime != NULL && ev.kind != MIME_MESSAGE_END)
		if (mime_finish(m->mime, &ev) != AN_EVENT || !mail_event(m, &ev))
			give_up(m);
	mail_sink_end(m, true); /* nothing, where it was given up */
	stop(m);
	m->finished = true;
}

/* ---- what is known ---- */

bool
mail_broken(const struct mail *m)
{
	return m->broken;
}

bool
mail_finished(const struct mail *m)
{
	return m->finished;
}

const struct mail_options *
mail_options(const struct mail *m)
{
	return &m->options;
}

uint64_t
mail_size(const struct mail *m)
{
	return m->size;
}

size_t
mail_parts(const struct mail *m)
{
	return m->n_rows;
}

const struct mail_part *
mail_part(const struct mail *m, size_t i)
{
	return &m->rows[i]->part;
}

uint64_t
mail_parts_left_out(const struct mail *m)
{
	return m->parts_left_out;
}

bool
mail_facts_left_out(const struct mail *m)
{
	return m->facts.full;
}

uint64_t
mail_anomalies_left_out(const struct mail *m)
{
	return m->anomalies_left_out;
}

const struct mail_header *
mail_header(const struct mail *m)
{
	return &m->header;
}

size_t
mail_urls(const struct mail *m)
{
	return m->shared.urls == NULL ? 0 : urls_count(m->shared.urls);
}

struct span
mail_url(const struct mail *m, size_t i)
{
	return urls_get(m->shared.urls, i);
}

uint64_t
mail_urls_left_out(const struct mail *m)
{
	return m->shared.urls == NULL ? 0 : urls_left_out(m->shared.urls);
}
