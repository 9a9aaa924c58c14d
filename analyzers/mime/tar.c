#include "mime/tar.h"

#include <stdlib.h>

/* Fields of a header: offset, octets (POSIX pax, "ustar Interchange Format"). */
#define NAME_AT		    0
#define NAME_SIZE	    100
#define SIZE_AT		    124
#define SIZE_SIZE	    12
#define SUM_AT		    148
#define SUM_SIZE	    8
#define TYPE_AT		    156
#define MAGIC_AT	    257
#define PREFIX_AT	    345
#define PREFIX_SIZE	    155
/* GNU: more headers of a sparse file follow */
#define SPARSE_MORE_AT	    482
#define SPARSE_NEXT_MORE_AT 504

enum state {
	HEADER,
	SPARSE,	  /* further header blocks of a sparse file */
	EXTENDED, /* data of a header that describes the next one */
	SKIP,
	DONE,
};

struct tar {
	struct members *m;
	enum state state;
	uint8_t block[TAR_BLOCK];
	size_t n;
	uint64_t skip; /* octets, with padding */
	/* for the next member */
	char extended_type;
	uint64_t extended_left;
	struct buf extended;
	struct buf name;
	bool has_name, has_size;
	uint64_t size;
	uint64_t sparse_size;
	unsigned zero_blocks;
};

struct tar *
tar_new(struct members *m)
{
	struct tar *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->m = m;
	buf_init(&t->extended, TAR_EXTENDED_MAX);
	buf_init(&t->name, MEMBER_NAME_MAX);
	return t;
}

void
tar_free(struct tar *t)
{
	if (t == NULL)
		return;
	buf_free(&t->extended);
	buf_free(&t->name);
	free(t);
}

static void
stop(struct tar *t, const char *fault)
{
	members_fault(t->m, fault);
	t->m->partial = true;
	t->state = DONE;
}

/* ---- fields ---- */

/* Octal digits between blanks and NULs, or base 256 (GNU) with the first bit set. */
static bool
read_number(const uint8_t *p, size_t n, uint64_t *out)
{
	uint64_t value = 0;
	size_t i = 0;

	if ((p[0] & 0x80) != 0) {
		value = p[0] & 0x7f;
		for (i = 1; i < n; i++) {
			if (value > UINT64_MAX >> 8)
				return false; /* also every negative number */
			value = value << 8 | p[i];
		}
		*out = value;
		return true;
	}
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(p[i] - '0'); /* 12 digits are 36 bits */
	if (i < n && p[i] != ' ' && p[i] != '\0')
		return false;
	*out = value;
	return true;
}

/* Old programs summed up signed characters. */
bool
tar_is_header(const uint8_t *block)
{
	uint64_t want, sum = 0;
	int64_t signed_sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++) {
		uint8_t c = i >= SUM_AT && i < SUM_AT + SUM_SIZE ? ' ' : block[i];

		sum += c;
		signed_sum += (int8_t)c;
	}
	return read_number(block + SUM_AT, SUM_SIZE, &want) && want != 0 &&
	       (want == sum || (int64_t)want == signed_sum);
}

static struct span
read_text(const uint8_t *p, size_t n)
{
	return span_of(p, strnlen((const char *)p, n));
}

/* The name that the header itself has. */
static void
read_name(struct tar *t)
{
	struct span prefix = read_text(t->block + PREFIX_AT, PREFIX_SIZE);

	buf_clear(&t->name);
	/* GNU's own magic is "ustar " and has other fields in this place */
	if (prefix.n > 0 && memcmp(t->block + MAGIC_AT, "ustar\0", 6) == 0) {
		buf_add(&t->name, prefix);
		buf_octet(&t->name, '/');
	}
	buf_add(&t->name, read_text(t->block + NAME_AT, NAME_SIZE));
}

static void
set_name(struct tar *t, struct span name)
{
	buf_clear(&t->name);
	if (!buf_add(&t->name, span_first(name, MEMBER_NAME_MAX)))
		t->m->nomem = true;
	t->has_name = true;
}

/* ---- headers that describe the next one ---- */

/* "27 path=a/long/name\n": the number is that of all octets of the record. */
static bool
next_record(struct span *rest, struct span *key, struct span *value)
{
	ptrdiff_t blank = span_find(*rest, ' '), equals;
	struct span record;
	uint64_t n;

	if (blank <= 0 || !span_u64(span_first(*rest, (size_t)blank), rest->n, &n) ||
	    n < (uint64_t)blank + 2)
		return false;
	record = span_from(span_first(*rest, (size_t)n - 1), (size_t)blank + 1);
	*rest = span_from(*rest, (size_t)n);
	equals = span_find(record, '=');
	if (equals < 0)
		return false;
	*key = span_first(record, (size_t)equals);
	*value = span_from(record, (size_t)equals + 1);
	return true;
}

static void
take_pax(struct tar *t)
{
	struct span rest = buf_span(&t->extended), key, value;

	while (next_record(&rest, &key, &value)) {
		if (span_eq(key, span_str("path")) || span_eq(key, span_str("GNU.sparse.name")))
			set_name(t, value);
		else if (span_eq(key, span_str("size")))
			t->has_size = span_u64(value, UINT64_MAX, &t->size);
	}
	if (rest.n > 0)
		members_fault(t->m, "a record of an extended header is none");
}

static void
take_extended(struct tar *t)
{
	struct span text = buf_span(&t->extended);

	if (t->extended_type == 'x')
		take_pax(t);
	else if (t->extended_type == 'L')
		set_name(t, read_text(text.p, text.n));
	/* what "g" and "K" (the target of a link) say does not matter here */
	buf_clear(&t->extended);
}

/* ---- headers of members ---- */

/* Links, devices, folders: no data follows, whatever the size says. */
static bool
has_no_data(char type)
{
	return type >= '1' && type <= '6';
}

static uint64_t
padded(uint64_t n)
{
	return n > UINT64_MAX - TAR_BLOCK ? UINT64_MAX
					  : (n + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

static void
skip(struct tar *t, uint64_t n)
{
	t->skip = padded(n);
	t->state = t->skip > 0 ? SKIP : HEADER;
}

static void
take_member(struct tar *t, char type, uint64_t size)
{
	struct member member;

	if (!t->has_name)
		read_name(t);
	if (t->has_size && t->size != size)
		members_ambiguous(t->m, "size in the header", buf_span(&t->name),
		    "another in the extended header", SPAN_NONE);
	if (t->has_size)
		size = t->size;
	if (has_no_data(type) && size > 0) {
		members_ambiguous(t->m, "a link or folder without data", buf_span(&t->name),
		    "with as much as its size says", SPAN_NONE);
		size = 0;
	}
	member = (struct member){
	    .name = buf_span(&t->name),
	    .size = size,
	    .packed = size,
	    .folder = type == '5' || span_iends(buf_span(&t->name), span_str("/")),
	};
	members_add(t->m, &member);
	t->has_name = t->has_size = false;
	t->sparse_size = size;
	if (type == 'S' && t->block[SPARSE_MORE_AT] != 0)
		t->state = SPARSE;
	else
		skip(t, size);
}

static bool
is_zero(const uint8_t *block)
{
	return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK - 1) == 0;
}

/* Two blocks of zeros end an archive; some programs read on behind them. */
static void
take_header(struct tar *t)
{
	char type = (char)t->block[TYPE_AT];
	uint64_t size;

	if (is_zero(t->block)) {
		t->zero_blocks += t->zero_blocks < 2;
		return;
	}
	if (!tar_is_header(t->block)) {
		stop(t, "the checksum of a header does not fit");
		return;
	}
	if (!read_number(t->block + SIZE_AT, SIZE_SIZE, &size)) {
		stop(t, "a size is no number");
		return;
	}
	if (t->zero_blocks > 0)
		members_ambiguous(
		    t->m, "end of the archive", SPAN_NONE, "members behind it", SPAN_NONE);
	t->zero_blocks = 0;
	if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
		t->extended_type = type;
		t->extended_left = size;
		skip(t, size);
		if (t->state == SKIP)
			t->state = EXTENDED;
	} else {
		take_member(t, type, size);
	}
}

static void
take_block(struct tar *t)
{
	if (t->state == HEADER)
		take_header(t);
	else if (t->block[SPARSE_NEXT_MORE_AT] == 0)
		skip(t, t->sparse_size);
}

/* ---- octets ---- */

static size_t
feed_block(struct tar *t, struct span in)
{
	struct span take = span_first(in, TAR_BLOCK - t->n);

	memcpy(t->block + t->n, take.p, take.n);
	t->n += take.n;
	if (t->n == TAR_BLOCK) {
		t->n = 0;
		take_block(t);
	}
	return take.n;
}

static size_t
feed_skip(struct tar *t, struct span in)
{
	size_t n = in.n < t->skip ? in.n : (size_t)t->skip;
	size_t wanted = n < t->extended_left ? n : (size_t)t->extended_left;

	if (t->state == EXTENDED) {
		size_t room = t->extended.max - t->extended.n;

		if (wanted > room)
			members_fault(t->m, "an extended header is too long");
		if (!buf_add(&t->extended, span_first(in, wanted < room ? wanted : room)))
			t->m->nomem = true;
		t->extended_left -= wanted;
	}
	t->skip -= n;
	if (t->skip == 0) {
		if (t->state == EXTENDED)
			take_extended(t);
		t->state = HEADER;
	}
	return n;
}

void
tar_feed(struct tar *t, struct span in)
{
	while (in.n > 0 && t->state != DONE)
		in = span_from(in, t->state == HEADER || t->state == SPARSE ? feed_block(t, in)
									    : feed_skip(t, in));
}

void
tar_finish(struct tar *t)
{
	if (t->state != DONE && (t->state != HEADER || t->n > 0 || t->has_name))
		stop(t, "the archive ends within a member");
	t->state = DONE;
}
