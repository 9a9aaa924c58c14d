#include "mime/mail_state.h"
#include "mime/mismatch.h"
#include "mime/word.h"

void
mail_keep(struct mail *m, struct span text, struct span *out)
{
	arena_copy(&m->facts, span_first(text, MAIL_TEXT_MAX), out);
}

/* A copy with its NUL; NULL: there is none, or no room. */
static const char *
keep_detail(struct mail *m, const char *detail)
{
	struct span text;

	if (detail == NULL)
		return NULL;
	text = span_first(span_str(detail), MAIL_TEXT_MAX);
	char *copy = arena_alloc(&m->facts, text.n + 1);
	if (copy != NULL)
		memcpy(copy, text.p, text.n);
	return copy;
}

void
mail_note(
    struct mail *m, struct mail_row *row, enum mime_anomaly what, uint64_t off, const char *detail)
{
	struct mail_anomaly *list = NULL;
	size_t n;

	if (row != NULL && what == MIME_ODD_AMBIGUOUS)
		row->part.ambiguous = true;
	if (row != NULL && m->n_anomalies < m->options.mime.anomalies)
		list = arena_grow(&m->facts, (struct mail_anomaly *)(uintptr_t)row->part.anomalies,
		    row->part.n_anomalies, &row->anomalies_cap, sizeof(*list));
	if (list == NULL) {
		m->anomalies_left_out++;
		return;
	}
	m->n_anomalies++;
	n = row->part.n_anomalies++;
	row->part.anomalies = list;
	list[n] = (struct mail_anomaly){what, off, keep_detail(m, detail)};
}

/* ---- names ---- */

#define NAME_END 256 /* octets of the end of one that is too long */

static bool
is_known_name(const struct mail_part *p, struct span name)
{
	for (size_t i = 0; i < p->n_names; i++)
		if (span_eq(p->names[i], name))
			return true;
	return false;
}

static void
add_name(struct mail *m, struct mail_row *row, struct span name)
{
	struct mail_part *p = &row->part;
	struct span *list, copy;

	if (name.n == 0 || p->n_names == MAIL_NAMES_MAX || is_known_name(p, name))
		return;
	list = arena_grow(&m->facts, (struct span *)(uintptr_t)p->names, p->n_names,
	    &row->names_cap, sizeof(*list));
	if (list == NULL || !arena_copy(&m->facts, name, &copy))
		return;
	list[p->n_names++] = copy;
	p->names = list;
}

/* What is too long is kept by its two ends: the extension stands at the second. */
static void
add_ends(struct mail *m, struct mail_row *row, struct span name)
{
	if (name.n > MAIL_TEXT_MAX)
		add_name(m, row, span_from(name, name.n - NAME_END));
	add_name(m, row, span_first(name, MAIL_TEXT_MAX));
}

/* A name as it stands there, and as programs read it that decode words where none may be. */
static bool
add_readings(struct mail *m, struct mail_row *row, struct span name)
{
	struct buf text;
	bool ok;

	add_ends(m, row, name);
	if (!mime_words_any(name))
		return true;
	buf_init(&text, name.n * MIME_WORD_GROWTH + 1);
	ok = mime_words_decode(name, MIME_WORDS_PARAMETER, &text, NULL);
	if (ok)
		add_ends(m, row, buf_span(&text));
	buf_free(&text);
	return ok;
}

/* Whatever stands under this name among the parameters of a field. */
static bool
add_parameters(struct mail *m, struct mail_row *row, const struct mime_parameter *each, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((span_eq(each[i].name, span_str("filename")) ||
			span_eq(each[i].name, span_str("name"))) &&
		    !add_readings(m, row, each[i].value))
			return false;
	return true;
}

static bool
collect_names(struct mail *m, struct mail_row *row, const struct mime_part *from)
{
	if (!add_readings(m, row, from->filename) ||
	    !add_parameters(m, row, from->disposition_parameters, from->n_disposition_parameters) ||
	    !add_parameters(m, row, from->parameters, from->n_parameters))
		return false;
	names_worst_first((struct span *)(uintptr_t)row->part.names, row->part.n_names);
	return true;
}

/* ---- the header ---- */

static bool
is_in_related(const struct mail *m, const struct mail_part *p)
{
	if (p->number == 0)
		return m->related;
	return p->parent < m->n_rows &&
	       span_eq(m->rows[p->parent]->part.type, span_str("multipart/related"));
}

/* The picture in a page. */
static bool
is_related(const struct mail *m, const struct mail_part *p)
{
	return is_in_related(m, p) &&
	       (p->content_id.n > 0 || span_eq(p->disposition, span_str("inline")));
}

static bool
is_attachment(const struct mail *m, const struct mail_part *p)
{
	if (p->shape != MIME_LEAF)
		return false;
	if (span_eq(p->disposition, span_str("attachment")) || p->filename.n > 0 || p->n_names > 0)
		return true;
	return !span_starts(p->type, span_str("text/")) &&
	       !span_starts(p->type, span_str("message/")) && !is_related(m, p);
}

/* Everything that a header says: known at its end. */
static void
copy_header(struct mail *m, struct mail_part *p, const struct mime_part *from)
{
	if (m->alone)
		mail_alone_path(m, from, p->path);
	else
		memcpy(p->path, from->path, sizeof(p->path));
	p->shape = from->shape;
	p->generated = from->generated;
	p->type_declared = from->type_declared;
	p->encoding = from->encoding;
	if (!m->alone || p->number > 0 || m->typed)
		mail_keep(m, from->type, &p->type);
	mail_keep(m, from->encoding_raw, &p->encoding_raw);
	mail_keep(m, from->charset, &p->charset);
	mail_keep(m, from->disposition, &p->disposition);
	mail_keep(m, from->filename, &p->filename);
	mail_keep(m, from->filename_raw, &p->filename_raw);
	mail_keep(m, from->content_id, &p->content_id);
}

static struct leaf *
free_leaf(struct mail *m)
{
	for (size_t i = 0; i < MAIL_LEAVES_MAX; i++)
		if (!m->leaves[i].busy)
			return &m->leaves[i];
	return NULL;
}

static bool
begin_leaf(struct mail *m, struct mail_row *row)
{
	struct mail_part *p = &row->part;
	struct leaf *leaf = free_leaf(m);

	p->detection_left_out = true;
	if (leaf == NULL)
		return true;
	if (leaf->shared == NULL && !leaf_new(leaf, &m->shared))
		return false;
	/* what a multipart has outside of its parts is shown as text, if at all */
	if (!leaf_begin(leaf, p->shape == MIME_MULTIPART ? span_str("text/plain") : p->type))
		return false;
	row->leaf = leaf;
	leaf->may_have_files = p->shape == MIME_MULTIPART ||
			       span_starts(p->type, span_str("text/")) ||
			       p->encoding == MIME_YENC || p->encoding == MIME_BINHEX;
	leaf->coded = (struct coded_scan){0};
	leaf->coded_told = false;
	p->detection_left_out = m->options.types && !leaf->detects;
	return true;
}

bool
mail_part_header(struct mail *m, struct mail_row *row, const struct mime_part *from)
{
	struct mail_part *p = &row->part;

	copy_header(m, p, from);
	if (!collect_names(m, row, from))
		return false;
	p->encrypted = span_eq(p->type, span_str("multipart/encrypted"));
	p->attachment = is_attachment(m, p);
	if (p->shape == MIME_LEAF && row->leaf == NULL && !begin_leaf(m, row))
		return false;
	return !m->facts.failed;
}

/* ---- the content ---- */

/* A file within a text is one by its name: rules ask for it as for the part's own. */
static void
note_coded(struct mail *m, struct mail_row *row, enum coded_file what, uint64_t off)
{
	add_name(m, row, row->leaf->coded.name);
	if (!row->leaf->coded_told)
		mail_note(
		    m, row, MIME_ODD_INLINE_CODED, off, what == CODED_YENC ? "yEnc" : "BinHex");
	row->leaf->coded_told = true;
}

bool
mail_part_body(struct mail *m, struct mail_row *row, const struct mime_event *ev)
{
	struct span rest = ev->octets;
	enum coded_file what;
	struct leaf *leaf;
	size_t used;

	if (row->leaf == NULL && row->part.shape == MIME_MULTIPART && !begin_leaf(m, row))
		return false;
	leaf = row->leaf;
	if (leaf == NULL)
		return true;
	while (leaf->may_have_files && rest.n > 0) {
		what = coded_scan_feed(&leaf->coded, rest, &used);
		rest = span_from(rest, used);
		if (what != CODED_NONE)
			note_coded(m, row, what, ev->part->offset);
	}
	return !m->facts.failed && leaf_feed(leaf, ev->octets, ev->part->stop_size);
}

/* ---- the end ---- */

static void
keep_members(struct mail *m, struct mail_part *p, const struct members *from)
{
	struct mail_member *list =
	    from->n > 0 ? arena_alloc(&m->facts, from->n * sizeof(*list)) : NULL;

	for (size_t i = 0; list != NULL && i < from->n; i++) {
		struct member one = members_get(from, i);

		if (!arena_copy(&m->facts, one.name, &list[i].name))
			break;
		list[i].size = one.size;
		list[i].packed = one.packed;
		list[i].encrypted = one.encrypted;
		list[i].folder = one.folder;
		p->n_members++;
	}
	p->members = list;
	p->members_left_out = from->left_out + (from->n - p->n_members);
	p->archive = from->partial || p->members_left_out > 0 ? MAIL_ARCHIVE_PARTIAL : MAIL_ARCHIVE;
}

static void
take_archive(struct mail *m, struct mail_row *row, const struct members *from)
{
	struct mail_part *p = &row->part;

	keep_members(m, p, from);
	p->encrypted = p->encrypted || from->encrypted;
	p->bomb = from->bomb;
	if (from->ambiguous[0] != '\0')
		mail_note(m, row, MIME_ODD_AMBIGUOUS, p->offset, from->ambiguous);
	if (from->fault != NULL)
		mail_note(m, row, MIME_ODD_ARCHIVE, p->offset, from->fault);
}

/* Its octets are over. */
static bool
finish_leaf(struct mail *m, struct mail_row *row)
{
	struct mail_part *p = &row->part;
	struct leaf *leaf = row->leaf;
	enum coded_file what = leaf->may_have_files ? coded_scan_finish(&leaf->coded) : CODED_NONE;

	if (what != CODED_NONE)
		note_coded(m, row, what, p->offset);
	names_worst_first((struct span *)(uintptr_t)p->names, p->n_names);
	return leaf_finish(leaf);
}

/* They stood outside of the parts of a multipart. */
static bool
drop_leaf(struct mail *m, struct mail_row *row)
{
	if (!finish_leaf(m, row))
		return false;
	leaf_drop(row->leaf);
	row->leaf = NULL;
	row->part.detection_left_out = false;
	return true;
}

bool
mail_part_child(struct mail *m, struct mail_row *row, const struct mime_part *child)
{
	if (child->generated || row->part.shape != MIME_MULTIPART || row->leaf == NULL)
		return true;
	return drop_leaf(m, row) && !m->facts.failed;
}

static bool
end_leaf(struct mail *m, struct mail_row *row)
{
	struct mail_part *p = &row->part;
	struct leaf *leaf = row->leaf;

	if (!finish_leaf(m, row) || !leaf_digests(leaf, p))
		return false;
	if (leaf->detects)
		mail_keep(m, detect_type(&leaf->detect), &p->detected);
	p->encrypted = p->encrypted || sealed_is_encrypted(leaf->sealed);
	if (leaf->archive != NULL)
		take_archive(m, row, archive_reader_members(leaf->archive));
	else if (leaf->archive_left_out)
		p->archive = MAIL_ARCHIVE_PARTIAL;
	leaf_end(leaf);
	row->leaf = NULL;
	return true;
}

static const char *
deception(const struct mail_part *p)
{
	const char *why = mismatch_look(
	    p->type_declared ? p->type : SPAN_NONE, p->detected, p->names, p->n_names);

	for (size_t i = 0; why == NULL && i < p->n_names; i++)
		why = name_trick(p->names[i]);
	return why;
}

bool
mail_part_end(struct mail *m, struct mail_row *row, const struct mime_part *from)
{
	struct mail_part *p = &row->part;

	p->header_size = from->header_size;
	if (m->alone && p->number == 0)
		p->header_size = 0; /* nobody sent it */
	p->encoded_size = from->encoded_size;
	p->size = from->size;
	p->lines = from->lines;
	if (row->leaf != NULL && from->shape == MIME_MULTIPART && !drop_leaf(m, row))
		return false;
	if (row->leaf != NULL && !end_leaf(m, row))
		return false;
	if (p->shape != from->shape) { /* no part came */
		p->shape = from->shape;
		p->attachment = is_attachment(m, p);
	}
	if (p->shape == MIME_LEAF)
		p->mismatch = deception(p);
	return !m->facts.failed;
}
