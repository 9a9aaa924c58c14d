/*
 * A part without the message that it is in: the parser gets a header in front that says what is
 * known of it.
 */
#include "mime/mail_state.h"

/* Whatever it says, it is within the line. */
static bool
feed(struct mail *m, struct span text)
{
	while (text.n > 0) {
		size_t n = 0;
		bool ok;

		while (n < text.n && text.p[n] != '\r' && text.p[n] != '\n' && text.p[n] != '\0')
			n++;
		m->before += n;
		ok = mail_parse(m, span_first(text, n));
		text = span_from(text, n);
		if (ok && text.n > 0) {
			m->before++;
			ok = mail_parse(m, span_str(" "));
			text = span_from(text, 1);
		}
		if (!ok)
			return false;
	}
	return true;
}

static bool
end_line(struct mail *m)
{
	m->before += 2;
	return mail_parse(m, span_str("\r\n"));
}

/* A field, where there is something to say. */
static bool
field(struct mail *m, const char *name, struct span value)
{
	return value.n == 0 || (feed(m, span_str(name)) && feed(m, value) && end_line(m));
}

static bool
type_field(struct mail *m, const struct mail_said *said)
{
	const struct span parameters = span_trim(said->parameters);
	const bool semicolon = parameters.n > 0 && parameters.p[0] != ';';

	if (said->type.n == 0)
		return true;
	return feed(m, span_str("Content-Type: ")) && feed(m, said->type) &&
	       (said->subtype.n == 0 || feed(m, span_str("/"))) && feed(m, said->subtype) &&
	       (!semicolon || feed(m, span_str("; "))) && feed(m, parameters) && end_line(m);
}

static bool
header(struct mail *m, const struct mail_said *said)
{
	const struct span encoding = said->decoded ? span_str("binary") : said->encoding;

	return field(m, "MIME-Version: ", span_str("1.0")) && type_field(m, said) &&
	       field(m, "Content-Transfer-Encoding: ", encoding) &&
	       field(m, "Content-Disposition: ", said->disposition) &&
	       field(m, "Content-ID: ", said->content_id) && end_line(m);
}

struct mail *
mail_part_new(const struct mail_options *o, const struct mail_said *said)
{
	struct mail *m = mail_with_parser(o);
	const struct span path = said->path.n > 0 ? said->path : span_str("1");

	if (m == NULL)
		return NULL;
	m->alone = true;
	m->typed = said->type.n > 0;
	m->related = said->related;
	if (arena_copy(&m->facts, span_first(path, MIME_PATH_MAX - 1), &m->path) && header(m, said))
		return m;
	mail_free(m);
	return NULL;
}

/*
 * The parser's own: "1" for one that is a leaf or a message, and "1.2" for what is in it; "" for a
 * multipart, and "2" for what is in it. What does not fit is left out.
 */
void
mail_alone_path(const struct mail *m, const struct mime_part *from, char out[MIME_PATH_MAX])
{
	const enum mime_shape root = from->number == 0 ? from->shape : m->rows[0]->part.shape;
	const bool multipart = root == MIME_MULTIPART;
	const struct span rest = span_from(span_str(from->path), multipart ? 0 : 1);
	size_t n = m->path.n;

	memcpy(out, m->path.p, n);
	if (rest.n > 0 && n + 1 + rest.n < MIME_PATH_MAX) {
		if (multipart)
			out[n++] = '.';
		memcpy(out + n, rest.p, rest.n);
		n += rest.n;
	}
	out[n] = '\0';
}
