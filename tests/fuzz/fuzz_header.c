/*
 * fuzz_header - octets of a header to its fields, and those to what they say of a part. The first
 * octet: 1: little of the header is kept, 2: within a multipart/digest, the others: how many
 * parameters of one field at most (0: the default). The second: octets that are fed at once.
 *
 * Every input is read three times: whole, in those pieces, and octet by octet. Claims: fields, what
 * ends the header and where, and what is said of the part are the same every time; each call takes
 * octets or says something; no more is kept than the limit, nor than MIME_SAID_MAX; names have
 * neither blanks nor NULs, values no line feed; what is in lower case is that.
 */
#include "fuzz.h"
#include "mime/charset.h"
#include "mime/mime_header.h"
#include "mime/mime_part.h"

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u
#define ROOM	  (1u << 20) /* octets that what is said may take */

struct options {
	size_t limit;
	bool digest;
	unsigned parameters;
};

struct reading {
	struct mime_header header;
	struct mime_said said;
	struct mime_part part;
	const struct options *options;
	uint64_t sum, taken;
	bool over;
};

static void
sum_number(struct reading *r, uint64_t n)
{
	r->sum = (r->sum ^ n) * FNV_PRIME;
}

static void
sum_span(struct reading *r, struct span s)
{
	sum_number(r, s.n);
	for (size_t i = 0; i < s.n; i++)
		sum_number(r, s.p[i]);
}

static void
claim_lower(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		fuzz_claim(octet_lower(s.p[i]) == s.p[i]);
}

/* ---- fields ---- */

static void
say_field(struct reading *r, const struct mime_field *f)
{
	struct mime_faults faults = {0};
	const unsigned parameters =
	    r->options->parameters == 0 ? PARAM_MAX : r->options->parameters;

	fuzz_claim(mime_said_field(&r->said, f->name, f->value, ROOM, parameters, &faults));
	fuzz_claim(r->said.n_types <= MIME_SAID_MAX && r->said.n_encodings <= MIME_SAID_MAX);
	for (unsigned i = 0; i < faults.n; i++) {
		fuzz_claim(faults.each[i].off <= f->value.n);
		sum_number(r, faults.each[i].what);
		sum_number(r, faults.each[i].off);
	}
}

static void
field(struct reading *r)
{
	struct mime_field f;

	fuzz_claim(r->header.text.n > 0 && r->header.text.n <= r->options->limit);
	f = mime_field_of(&r->header.text);
	fuzz_claim(f.name.n <= MIME_NAME_MAX);
	for (size_t i = 0; i < f.name.n; i++)
		fuzz_claim(f.name.p[i] > ' ');
	fuzz_claim(span_find(f.value, '\n') < 0);
	sum_span(r, f.name);
	sum_span(r, f.value);
	sum_number(r, f.odd_name);
	say_field(r, &f);
}

static void
ends(struct reading *r, enum mime_header_what what)
{
	struct span line = what == MIME_HEADER_BODY ? mime_header_line(&r->header) : SPAN_NONE;

	fuzz_claim(line.n <= MIME_NAME_MAX && line.n <= r->taken);
	if (mime_header_pending(&r->header) && what == MIME_HEADER_MORE)
		field(r);
	sum_number(r, what);
	sum_number(r, r->taken - line.n);
	r->over = true;
}

static void
feed(struct reading *r, struct span piece)
{
	while (!r->over && piece.n > 0) {
		size_t used;
		bool memory;
		enum mime_header_what what = mime_header_feed(&r->header, piece, &used, &memory);

		fuzz_claim(memory && used <= piece.n && (used > 0 || what != MIME_HEADER_MORE));
		r->taken += used;
		piece = span_from(piece, used);
		if (what == MIME_HEADER_MORE)
			fuzz_claim(piece.n == 0);
		else if (what == MIME_HEADER_BLANK || what == MIME_HEADER_BODY)
			ends(r, what);
		else if (what == MIME_HEADER_FIELD)
			field(r);
		if (what == MIME_HEADER_FIELD || what == MIME_HEADER_MBOX)
			mime_header_next(&r->header);
	}
}

/* ---- what they say ---- */

static void
claim_part(struct reading *r)
{
	const struct mime_part *p = &r->part;
	const struct span texts[] = {p->type, p->encoding_raw, p->charset, p->disposition,
	    p->filename, p->filename_raw, p->content_id, p->description};

	fuzz_claim(p->type.n > 0 && (unsigned)p->encoding < MIME_ENCODINGS);
	claim_lower(p->type);
	claim_lower(p->disposition);
	claim_lower(p->charset);
	fuzz_claim(p->encoding_raw.n <= MIME_SAID_TEXT_MAX);
	fuzz_claim(p->content_id.n <= MIME_SAID_TEXT_MAX && p->description.n <= MIME_SAID_TEXT_MAX);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		sum_span(r, texts[i]);
	for (size_t i = 0; i < p->n_parameters; i++)
		sum_span(r, p->parameters[i].value);
	sum_number(r, (uint64_t)mime_body_of(p->type) * MIME_ENCODINGS + p->encoding);
}

static uint64_t
read_in(struct span octets, size_t piece, const struct options *o)
{
	struct reading r = {.options = o, .sum = FNV_BASIS};

	mime_header_init(&r.header, o->limit);
	mime_said_init(&r.said, o->digest);
	for (; octets.n > 0 && !r.over; octets = span_from(octets, piece))
		feed(&r, span_first(octets, piece));
	if (!r.over)
		ends(&r, MIME_HEADER_MORE);
	sum_number(&r, r.header.went_on * 8u + r.header.bare_cr * 4u + r.header.cr_blank * 2u +
			   r.header.too_long);
	fuzz_claim(mime_said_settle(&r.said, &r.part));
	claim_part(&r);
	mime_said_free(&r.said);
	mime_header_free(&r.header);
	return r.sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span octets = span_from(span_of(p, n), 2);
	struct options o;
	uint64_t whole;

	if (n < 2)
		return 0;
	fuzz_claim(charset_init());
	o = (struct options){.limit = p[0] & 1 ? (size_t)4 * MIME_NAME_MAX : (size_t)256 << 10,
	    .digest = p[0] & 2,
	    .parameters = p[0] >> 2};
	whole = read_in(octets, octets.n, &o);
	fuzz_claim(read_in(octets, (size_t)p[1] + 1, &o) == whole);
	fuzz_claim(read_in(octets, 1, &o) == whole);
	return 0;
}
