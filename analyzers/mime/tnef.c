#include "mime/tnef.h"

#include <stdlib.h>

#include "mime/le.h"
#include "mime/mismatch.h"

#define SIGNATURE 0x223e9f78u
#define HEAD_SIZE 6 /* signature, key */
#define ATTR_SIZE 9 /* level, id, length */
#define SUM_SIZE  2

/* [MS-OXTNEF] s2.1.3.3: type and number of an attribute. */
#define ATT_RENDERING  0x00069002u /* begins an attachment */
#define ATT_TITLE      0x00018010u
#define ATT_DATA       0x0006800fu
#define ATT_PROPERTIES 0x00069005u
#define TITLE_MAX      256 /* octets */

/* MAPI properties ([MS-OXPROPS]) and types ([MS-OXCDATA] s2.11.1). */
#define PROP_FILENAME	   0x3704
#define PROP_LONG_FILENAME 0x3707
#define PROP_DATA	   0x3701
#define NAMED_FROM	   0x8000
#define TYPE_MULTIPLE	   0x1000
#define TYPE_OBJECT	   0x000d
#define TYPE_STRING8	   0x001e
#define TYPE_UNICODE	   0x001f
#define TYPE_BINARY	   0x0102
#define OBJECT_ID	   16 /* octets before an embedded object */

#define NESTED_MAX 16 /* containers that wait for their turn */

/* One container as its octets go by. */
struct reader {
	unsigned depth;
	uint8_t head[ATTR_SIZE];
	size_t n, need;
	bool begun, broken;
	uint32_t id;
	uint64_t left;	 /* octets of the attribute, with its checksum */
	uint64_t wanted; /* of these, for "data" */
	struct buf data;
	/* the attachment at work */
	bool attachment;
	struct buf title, name;
	uint64_t size;
};

struct nested {
	uint8_t *p;
	size_t n;
	unsigned depth;
};

struct tnef {
	struct members *m;
	struct reader outer;
	struct nested nested[NESTED_MAX];
	size_t n_nested;
};

static void
reader_init(struct reader *r, unsigned depth)
{
	*r = (struct reader){.depth = depth, .need = HEAD_SIZE, .size = MEMBER_SIZE_UNKNOWN};
	buf_init(&r->data, TNEF_PROPERTIES_MAX);
	buf_init(&r->title, TITLE_MAX);
	buf_init(&r->name, MEMBER_NAME_MAX);
}

static void
reader_free(struct reader *r)
{
	buf_free(&r->data);
	buf_free(&r->title);
	buf_free(&r->name);
}

struct tnef *
tnef_new(struct members *m)
{
	struct tnef *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->m = m;
	reader_init(&t->outer, 0);
	return t;
}

void
tnef_free(struct tnef *t)
{
	if (t == NULL)
		return;
	reader_free(&t->outer);
	for (size_t i = 0; i < t->n_nested; i++)
		free(t->nested[i].p);
	free(t);
}

/* ---- MAPI properties ---- */

/* Fields are read one after the other; "bad" stays set behind the first that is cut off. */
struct fields {
	struct span rest;
	bool bad;
};

static struct span
take(struct fields *f, uint64_t n)
{
	struct span taken = span_first(f->rest, n < SIZE_MAX ? (size_t)n : SIZE_MAX);

	f->bad = f->bad || n > f->rest.n;
	f->rest = span_from(f->rest, taken.n);
	return f->bad ? SPAN_NONE : taken;
}

static uint32_t
take32(struct fields *f)
{
	struct span s = take(f, 4);

	return s.n == 4 ? le32(s.p) : 0;
}

static uint64_t
padded(uint32_t n)
{
	return ((uint64_t)n + 3) / 4 * 4;
}

/* Octets of a value of fixed length; 0: its length stands before it. */
static size_t
value_size(unsigned type)
{
	switch (type) {
	case 0x0002: /* padded to four */
	case 0x0003:
	case 0x0004:
	case 0x000a:
	case 0x000b:
		return 4;
	case 0x0005:
	case 0x0006:
	case 0x0007:
	case 0x0014:
	case 0x0040:
		return 8;
	case 0x0048:
		return 16;
	default:
		return 0;
	}
}

static void
skip_name(struct fields *f)
{
	take(f, 16); /* of a set of properties */
	if (take32(f) == 0)
		take(f, 4);
	else
		take(f, padded(take32(f)));
}

/* The first value of a property; the others are passed by. */
static struct span
take_values(struct fields *f, unsigned type)
{
	size_t fixed = value_size(type & ~(unsigned)TYPE_MULTIPLE);
	bool counted = fixed == 0 || (type & TYPE_MULTIPLE) != 0;
	uint32_t n = counted ? take32(f) : 1, length;
	struct span first = SPAN_NONE, value;

	if (fixed != 0 && n > 0) {
		first = take(f, (uint64_t)fixed * n);
		return first;
	}
	for (uint32_t i = 0; i < n && !f->bad; i++) {
		length = take32(f);
		value = span_first(take(f, padded(length)), length);
		if (i == 0)
			first = value;
	}
	return first;
}

/* UTF-16 to UTF-8; a surrogate without its pair becomes U+FFFD. */
static void
add_wide(struct buf *out, struct span s)
{
	for (size_t i = 0; i + 1 < s.n; i += 2) {
		uint32_t c = le16(s.p + i);
		uint32_t low = i + 3 < s.n ? le16(s.p + i + 2) : 0;

		if (c == 0)
			return;
		if (c >= 0xd800 && c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
		} else if (c >= 0xd800 && c < 0xe000) {
			c = 0xfffd;
		}
		if (c < 0x80) {
			buf_octet(out, (uint8_t)c);
			continue;
		}
		if (c >= 0x10000)
			buf_octet(out, (uint8_t)(0xf0 | c >> 18));
		if (c >= 0x800)
			buf_octet(out, (uint8_t)((c < 0x10000 ? 0xe0 : 0x80) |
						 (c >> 12 & (c < 0x10000 ? 0x0f : 0x3f))));
		buf_octet(out,
		    (uint8_t)((c < 0x800 ? 0xc0 : 0x80) | (c >> 6 & (c < 0x800 ? 0x1f : 0x3f))));
		buf_octet(out, (uint8_t)(0x80 | (c & 0x3f)));
	}
}

static void
set_name(struct reader *r, unsigned type, struct span value)
{
	ptrdiff_t nul = span_find(value, '\0');

	buf_clear(&r->name);
	if ((type & ~(unsigned)TYPE_MULTIPLE) == TYPE_UNICODE)
		add_wide(&r->name, span_first(value, MEMBER_NAME_MAX));
	else
		buf_add(&r->name,
		    span_first(nul >= 0 ? span_first(value, (size_t)nul) : value, MEMBER_NAME_MAX));
}

static void
keep_nested(struct tnef *t, struct reader *r, struct span octets)
{
	struct nested *next = &t->nested[t->n_nested];

	octets = span_from(octets, OBJECT_ID);
	if (octets.n < HEAD_SIZE || le32(octets.p) != SIGNATURE)
		return;
	if (r->depth + 1 >= TNEF_DEPTH || t->n_nested == NESTED_MAX) {
		t->m->partial = true;
		return;
	}
	if ((next->p = malloc(octets.n)) == NULL) {
		t->m->nomem = t->m->partial = true;
		return;
	}
	memcpy(next->p, octets.p, octets.n);
	next->n = octets.n;
	next->depth = r->depth + 1;
	t->n_nested++;
}

/* The octets of an embedded container may be cut: what is there of it is followed. */
static void
take_object(struct tnef *t, struct reader *r, struct fields *f)
{
	uint32_t n = take32(f), length = n > 0 ? take32(f) : 0;

	r->size = length;
	keep_nested(t, r, span_first(f->rest, length));
	take(f, padded(length));
	for (uint32_t i = 1; i < n && !f->bad; i++)
		take(f, padded(take32(f)));
}

static void
take_properties(struct tnef *t, struct reader *r)
{
	struct fields f = {.rest = buf_span(&r->data)};
	uint32_t n = take32(&f);

	for (uint32_t i = 0; i < n && !f.bad; i++) {
		uint32_t tag = take32(&f);
		unsigned type = tag & 0xffff, id = tag >> 16;
		struct span value;

		if (id >= NAMED_FROM)
			skip_name(&f);
		if (id == PROP_DATA && type == TYPE_OBJECT) {
			take_object(t, r, &f);
			continue;
		}
		value = take_values(&f, type);
		if (f.bad)
			break;
		if (id == PROP_LONG_FILENAME || (id == PROP_FILENAME && r->name.n == 0))
			set_name(r, type, value);
		else if (id == PROP_DATA && type == TYPE_BINARY)
			r->size = value.n;
	}
	if (f.bad) {
		members_fault(t->m, "properties are cut off");
		t->m->partial = true;
	}
}

/* ---- attributes ---- */

/* Programs show the one or the other name. */
static void
compare_names(struct tnef *t, struct reader *r, struct member *member)
{
	struct span title = buf_span(&r->title), name = buf_span(&r->name);

	if (title.n == 0 || name.n == 0 || class_of_name(title) == class_of_name(name))
		return;
	members_ambiguous(t->m, "title", title, "long file name", name);
	member->name = title;
	members_add(t->m, member);
}

static void
end_attachment(struct tnef *t, struct reader *r)
{
	struct member member = {.size = r->size, .packed = r->size};

	if (!r->attachment)
		return;
	member.name = buf_span(r->name.n > 0 ? &r->name : &r->title);
	members_add(t->m, &member);
	compare_names(t, r, &member);
	r->attachment = false;
}

static void
begin_attribute(struct tnef *t, struct reader *r)
{
	uint32_t length = le32(r->head + 5);

	r->id = le32(r->head + 1);
	r->left = (uint64_t)length + SUM_SIZE;
	buf_clear(&r->data);
	r->wanted = 0;
	if (r->id == ATT_TITLE)
		r->wanted = length < TITLE_MAX ? length : TITLE_MAX;
	else if (r->id == ATT_PROPERTIES)
		r->wanted = length < TNEF_PROPERTIES_MAX ? length : TNEF_PROPERTIES_MAX;
	if (r->id != ATT_RENDERING) {
		if (r->id == ATT_DATA)
			r->size = length;
		return;
	}
	end_attachment(t, r);
	r->attachment = true;
	r->size = MEMBER_SIZE_UNKNOWN;
	buf_clear(&r->title);
	buf_clear(&r->name);
}

static void
end_attribute(struct tnef *t, struct reader *r)
{
	struct span data = buf_span(&r->data);

	if (r->id == ATT_TITLE && data.n > 0) {
		buf_clear(&r->title);
		buf_add(&r->title, span_of(data.p, strnlen((const char *)data.p, data.n)));
		r->attachment = true;
	} else if (r->id == ATT_PROPERTIES) {
		take_properties(t, r);
		r->attachment = true;
	}
	r->id = 0;
}

static void
take_head(struct tnef *t, struct reader *r)
{
	r->n = 0;
	if (r->begun) {
		begin_attribute(t, r);
		return;
	}
	r->begun = true;
	r->need = ATTR_SIZE;
	if (le32(r->head) != SIGNATURE) {
		r->broken = true;
		members_fault(t->m, "no TNEF signature");
	}
}

static void
check_level(struct tnef *t, struct reader *r)
{
	if (!r->begun || r->head[0] == 1 || r->head[0] == 2)
		return;
	r->broken = true; /* message and attachment are all the levels there are */
	members_fault(t->m, "octets that are no attribute");
}

static void
reader_feed(struct tnef *t, struct reader *r, struct span in)
{
	while (in.n > 0 && !r->broken) {
		size_t n = in.n;

		if (r->left == 0) {
			n = n < r->need - r->n ? n : r->need - r->n;
			memcpy(r->head + r->n, in.p, n);
			r->n += n;
			check_level(t, r);
			if (r->n == r->need && !r->broken)
				take_head(t, r);
		} else {
			size_t wanted = (size_t)r->wanted;

			n = n < r->left ? n : (size_t)r->left;
			wanted = wanted < n ? wanted : n;
			if (!buf_add(&r->data, span_first(in, wanted)))
				t->m->nomem = true;
			r->wanted -= wanted;
			r->left -= n;
			if (r->left == 0)
				end_attribute(t, r);
		}
		in = span_from(in, n);
	}
}

/* What a cut attribute says counts as far as it came. */
static void
reader_finish(struct tnef *t, struct reader *r)
{
	if (r->left > SUM_SIZE || (r->begun && r->n > 0 && !r->broken)) {
		members_fault(t->m, "the container ends within an attribute");
		t->m->partial = true;
	}
	if (r->left > SUM_SIZE && r->id == ATT_DATA)
		r->size = MEMBER_SIZE_UNKNOWN;
	if (r->left > 0 && !r->broken)
		end_attribute(t, r);
	end_attachment(t, r);
}

/* Containers in containers, one after the other: what they hold in turn is put at the end. */
static void
read_nested(struct tnef *t)
{
	for (size_t i = 0; i < t->n_nested; i++) {
		struct reader r;

		reader_init(&r, t->nested[i].depth);
		reader_feed(t, &r, span_of(t->nested[i].p, t->nested[i].n));
		reader_finish(t, &r);
		reader_free(&r);
		free(t->nested[i].p);
		t->nested[i].p = NULL;
	}
	t->n_nested = 0;
}

void
tnef_feed(struct tnef *t, struct span in)
{
	reader_feed(t, &t->outer, in);
}

void
tnef_finish(struct tnef *t)
{
	reader_finish(t, &t->outer);
	read_nested(t);
}
