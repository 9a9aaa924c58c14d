#include "mime/members.h"

#include <stdlib.h>

#include "mime/mismatch.h"

#define NAME_IN_DETAIL 100 /* octets */
#define NEST_MIN       4   /* archives of one size and nothing else: that many are a nest of them */

struct member_row {
	size_t name_at, name_n;
	uint64_t size, packed;
	bool encrypted, folder;
};

void
members_init(struct members *m, struct archive_budget *budget)
{
	*m = (struct members){.budget = budget};
	buf_init(&m->names, MEMBERS_NAMES_MAX);
}

void
members_free(struct members *m)
{
	buf_free(&m->names);
	free(m->rows);
	m->rows = NULL;
	m->n = m->cap = 0;
}

static uint64_t
add_known(uint64_t sum, uint64_t more)
{
	if (more == MEMBER_SIZE_UNKNOWN)
		return sum;
	return more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
}

static bool
make_room(struct members *m)
{
	size_t cap = m->cap == 0 ? 8 : m->cap * 2;
	struct member_row *rows;

	if (m->n < m->cap)
		return true;
	if ((rows = realloc(m->rows, cap * sizeof(*rows))) == NULL) {
		m->nomem = true;
		return false;
	}
	m->rows = rows;
	m->cap = cap;
	return true;
}

bool
members_add(struct members *m, const struct member *member)
{
	struct span name = span_first(member->name, MEMBER_NAME_MAX);

	m->size = add_known(m->size, member->size);
	m->packed = add_known(m->packed, member->packed);
	m->encrypted = m->encrypted || member->encrypted;
	if (m->budget->members == 0 || name.n > m->names.max - m->names.n || !make_room(m) ||
	    !buf_add(&m->names, name)) {
		m->left_out++;
		m->partial = true;
		return false;
	}
	m->budget->members--;
	m->rows[m->n++] = (struct member_row){
	    .name_at = m->names.n - name.n,
	    .name_n = name.n,
	    .size = member->size,
	    .packed = member->packed,
	    .encrypted = member->encrypted,
	    .folder = member->folder,
	};
	return true;
}

struct member
members_get(const struct members *m, size_t i)
{
	const struct member_row *row = &m->rows[i];

	return (struct member){
	    .name = span_first(span_from(buf_span(&m->names), row->name_at), row->name_n),
	    .size = row->size,
	    .packed = row->packed,
	    .encrypted = row->encrypted,
	    .folder = row->folder,
	};
}

void
members_set_sizes(struct members *m, size_t i, uint64_t size, uint64_t packed)
{
	struct member_row *row = &m->rows[i];

	if (row->size == MEMBER_SIZE_UNKNOWN)
		m->size = add_known(m->size, size);
	if (row->packed == MEMBER_SIZE_UNKNOWN)
		m->packed = add_known(m->packed, packed);
	row->size = size;
	row->packed = packed;
}

/* ---- what is odd ---- */

static size_t
put(char *to, size_t n, struct span text)
{
	text = span_first(text, MEMBERS_DETAIL_MAX - 1 - n);
	memcpy(to + n, text.p, text.n);
	to[n + text.n] = '\0';
	return n + text.n;
}

/* In quotes; what no terminal should get becomes "?". */
static size_t
put_name(char *to, size_t n, struct span name)
{
	bool utf8 = span_is_utf8(name);

	if (name.n == 0)
		return n;
	name = span_first(name, NAME_IN_DETAIL);
	n = put(to, n, span_str(" \""));
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];
		bool odd = c < 0x20 || c == 0x7f || c == '"' || (c > 0x7f && !utf8);

		n = put(to, n, odd ? span_str("?") : span_of(&c, 1));
	}
	return put(to, n, span_str("\""));
}

void
members_ambiguous(
    struct members *m, const char *a, struct span name_a, const char *b, struct span name_b)
{
	size_t n = 0;

	if (m->ambiguities < UINT32_MAX)
		m->ambiguities++;
	if (m->ambiguities > 1)
		return;
	n = put(m->ambiguous, n, span_str(a));
	n = put_name(m->ambiguous, n, name_a);
	n = put(m->ambiguous, n, span_str("; "));
	n = put(m->ambiguous, n, span_str(b));
	put_name(m->ambiguous, n, name_b);
}

void
members_fault(struct members *m, const char *fault)
{
	if (m->fault == NULL)
		m->fault = fault;
}

/* Archives of one size and nothing else: what unpacks to them unpacks to many times more. */
static bool
is_nest(const struct members *m)
{
	if (m->n < NEST_MIN)
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (class_of_name(members_get(m, i).name) != CLASS_ARCHIVE ||
		    m->rows[i].size != m->rows[0].size)
			return false;
	return true;
}

/* A quine: the archive is a member of itself. */
static bool
holds_itself(const struct members *m, uint64_t whole)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->rows[i].size == whole &&
		    class_of_name(members_get(m, i).name) == CLASS_ARCHIVE)
			return true;
	return false;
}

void
members_judge(struct members *m, uint64_t whole)
{
	if (m->size > BOMB_OCTETS && m->size / BOMB_RATIO > whole)
		m->bomb = true;
	if (is_nest(m) || holds_itself(m, whole))
		m->bomb = true;
}
