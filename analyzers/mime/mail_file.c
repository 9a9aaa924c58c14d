/*
 * A file that is no message, or not only one: it is row 0, which no parser knows of. Where it is a
 * message the parser gets a header in front that makes it message/rfc822: its part 0 stands for
 * that row, and all others hang below it with their numbers and paths.
 */
#include "mime/mail_state.h"

#define HEADER "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n"

static bool
is_called_message(struct span name)
{
	static const uint8_t tail[] = {' ', '.'};

	while (name.n > 0 && memchr(tail, name.p[name.n - 1], sizeof(tail)) != NULL)
		name.n--;
	return span_iends(name, span_str(".eml"));
}

/* An archive has its members, whatever it is called. */
static bool
is_message(const struct mail_row *file)
{
	struct span type = detect_type(&file->leaf->detect);

	return span_eq(type, span_str("message/rfc822")) ||
	       (is_called_message(file->part.filename) && !archive_is(type));
}

/* Its first octets, once they have told what it is. */
static bool
decide(struct mail *m, struct span prefix)
{
	m->file = is_message(m->rows[0]) ? MAIL_FILE_MESSAGE : MAIL_FILE_OTHER;
	if (m->file == MAIL_FILE_OTHER)
		return true;
	m->mime = mime_new(&m->options.mime);
	return m->mime != NULL && mail_parse(m, span_str(HEADER)) && mail_parse(m, prefix);
}

struct mail *
mail_file_new(const struct mail_options *o, struct span name, bool partial)
{
	const struct mime_part file = {.path = "1",
	    .encoding = MIME_BINARY,
	    .disposition = span_str("attachment"),
	    .filename = name,
	    .filename_raw = name,
	    .stop_size = UINT64_MAX};
	const struct mime_event begin = {.kind = MIME_PART_BEGIN, .part = &file};
	struct mail *m = mail_make(o);

	if (m == NULL)
		return NULL;
	if (m->options.parts == 0)
		m->options.parts = 1;
	if (!mail_event(m, &begin) || m->n_rows == 0 || !mail_part_header(m, m->rows[0], &file)) {
		mail_free(m);
		return NULL;
	}
	m->rows[0]->part.partial = partial;
	m->rows[0]->leaf->no_urls = true; /* those of a message are looked for in its texts */
	m->file = MAIL_FILE_UNDECIDED;
	m->head = 1;
	m->before = sizeof(HEADER) - 1;
	return m;
}

bool
mail_file_feed(struct mail *m, struct span octets)
{
	struct leaf *leaf = m->rows[0]->leaf;
	const uint64_t before = leaf->size;
	struct span prefix;

	if (!leaf_feed(leaf, octets, UINT64_MAX))
		return false;
	if (m->file == MAIL_FILE_UNDECIDED && (!leaf->detects || leaf->detect.done)) {
		prefix = detect_prefix(&leaf->detect);
		if (!decide(m, prefix))
			return false;
		if (prefix.n > before)
			octets = span_from(octets, (size_t)(prefix.n - before));
	}
	return m->file != MAIL_FILE_MESSAGE || mail_parse(m, octets);
}

bool
mail_file_finish(struct mail *m)
{
	struct mail_row *file = m->rows[0];
	const struct mime_part end = {.encoded_size = m->size, .size = m->size};

	if (!leaf_settle(file->leaf))
		return false;
	if (m->file == MAIL_FILE_UNDECIDED && !decide(m, detect_prefix(&file->leaf->detect)))
		return false;
	return mail_part_end(m, file, &end);
}

bool
mail_is_file(const struct mail *m)
{
	return m->file != MAIL_FILE_NOT;
}

bool
mail_is_message(const struct mail *m)
{
	return m->file == MAIL_FILE_NOT || m->file == MAIL_FILE_MESSAGE;
}
