#include "imap/fetch.h"

bool
imap_item_is_structure(struct span name)
{
	return span_ieq(name, span_str("BODYSTRUCTURE")) || span_ieq(name, span_str("BODY"));
}

/* "1.2" off the front of a section, and the dot behind it. */
static struct span
take_path(struct span *section)
{
	const uint8_t *p = section->p;
	size_t n = 0, end;

	while (n < section->n && (octet_is_digit(p[n]) || p[n] == '.'))
		n++;
	end = n > 0 && p[n - 1] == '.' ? n - 1 : n;
	*section = span_from(*section, n);
	return span_of(p, end);
}

static enum imap_content
content_of(struct span section, bool binary)
{
	struct span rest = section, path = take_path(&rest), word = span_word(&rest);

	if (word.n == 0 && path.n == 0)
		return IMAP_WHOLE;
	if (word.n == 0)
		return binary ? IMAP_DECODED : IMAP_PART;
	if (span_ieq(word, span_str("TEXT")))
		return IMAP_TEXT;
	if (span_ieq(word, span_str("MIME")))
		return IMAP_MIME_HEADER;
	if (span_ieq(word, span_str("HEADER")) || span_ieq(word, span_str("HEADER.FIELDS")) ||
	    span_ieq(word, span_str("HEADER.FIELDS.NOT")))
		return IMAP_HEADER;
	return IMAP_PART; /* a section of some extension's: something of the message all the same */
}

/* <origin>, or <origin.length> as some servers have it */
static void
read_origin(struct span rest, struct imap_detail *d)
{
	struct span number = span_from(rest, 1);
	size_t n = 0;

	if (rest.n == 0 || rest.p[0] != '<')
		return;
	while (n < number.n && octet_is_digit(number.p[n]))
		n++;
	d->sliced = span_u64(span_first(number, n), UINT64_MAX, &d->origin);
}

static bool
read_section(struct span name, const char *prefix, bool binary, struct imap_detail *d)
{
	struct span rest = span_from(name, strlen(prefix));
	ptrdiff_t end = span_rfind(rest, ']');

	if (!span_istarts(name, span_str(prefix)) || end < 0)
		return false;
	d->section = span_first(rest, (size_t)end);
	d->content = content_of(d->section, binary);
	read_origin(span_from(rest, (size_t)end + 1), d);
	return true;
}

/* RFC 3501's names. */
static enum imap_content
old_content(struct span name)
{
	static const struct {
		const char *name;
		enum imap_content content;
	} old[] = {
	    {"RFC822", IMAP_WHOLE},
	    {"RFC822.HEADER", IMAP_HEADER},
	    {"RFC822.TEXT", IMAP_TEXT},
	};

	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
		if (span_ieq(name, span_str(old[i].name)))
			return old[i].content;
	return IMAP_NO_CONTENT;
}

bool
imap_item_is_content(struct span begin)
{
	return span_istarts(begin, span_str("BODY[")) || span_istarts(begin, span_str("BINARY[")) ||
	       old_content(begin) != IMAP_NO_CONTENT;
}

void
imap_item_parse(struct span name, struct imap_detail *d)
{
	d->item = name;
	if (!read_section(name, "BODY[", false, d) && !read_section(name, "BINARY[", true, d))
		d->content = old_content(name);
}
