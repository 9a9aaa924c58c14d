/*
 * archive_reader - what the harnesses of archives have in common: the octets are read whole and in
 * pieces, and both readings must say the same and hold their bounds.
 */
#ifndef POSTERN_FUZZ_ARCHIVE_READER_H
#define POSTERN_FUZZ_ARCHIVE_READER_H

#include "fuzz.h"
#include "mime/archive.h"

static inline struct archive_reader *
read_in_pieces(const char *type, struct span octets, size_t piece, struct archive_budget *budget)
{
	struct archive_reader *a;

	*budget = (struct archive_budget){20, 1 << 20};
	a = archive_reader_new(span_str(type), budget);
	fuzz_claim(a != NULL);
	for (size_t at = 0; at < octets.n; at += piece)
		archive_reader_feed(a, span_first(span_from(octets, at), piece));
	archive_reader_finish(a);
	return a;
}

static inline void
claim_bounds(const struct members *m, const struct archive_budget *budget)
{
	fuzz_claim(m->n <= 20 && m->n + budget->members == 20);
	fuzz_claim(m->left_out == 0 || m->partial);
	fuzz_claim(budget->inflate <= 1 << 20);
	fuzz_claim(strnlen(m->ambiguous, sizeof(m->ambiguous)) < sizeof(m->ambiguous));
	fuzz_claim((m->ambiguities > 0) == (m->ambiguous[0] != '\0'));
	fuzz_claim(m->names.n <= MEMBERS_NAMES_MAX);
	for (size_t i = 0; i < m->n; i++)
		fuzz_claim(members_get(m, i).name.n <= MEMBER_NAME_MAX &&
			   fuzz_inside(members_get(m, i).name, buf_span(&m->names)));
}

static inline void
claim_same(const struct members *a, const struct members *b)
{
	fuzz_claim(a->n == b->n && a->left_out == b->left_out);
	fuzz_claim(a->size == b->size && a->packed == b->packed);
	fuzz_claim(a->bomb == b->bomb && a->partial == b->partial && a->encrypted == b->encrypted);
	fuzz_claim(a->fault == b->fault && a->ambiguities == b->ambiguities);
	fuzz_claim(strcmp(a->ambiguous, b->ambiguous) == 0);
	for (size_t i = 0; i < a->n; i++) {
		struct member x = members_get(a, i), y = members_get(b, i);

		fuzz_claim(span_eq(x.name, y.name) && x.size == y.size && x.packed == y.packed);
		fuzz_claim(x.encrypted == y.encrypted && x.folder == y.folder);
	}
}

/* The first octet says how long the pieces are. */
static inline void
fuzz_archive(const char *type, const uint8_t *p, size_t n)
{
	struct span octets = span_from(span_of(p, n), 1);
	struct archive_budget of_whole, of_pieces;
	struct archive_reader *whole = read_in_pieces(type, octets, n + 1, &of_whole);
	struct archive_reader *pieces =
	    read_in_pieces(type, octets, n > 0 ? p[0] % 64 + 1u : 1, &of_pieces);

	claim_bounds(archive_reader_members(whole), &of_whole);
	claim_bounds(archive_reader_members(pieces), &of_pieces);
	claim_same(archive_reader_members(whole), archive_reader_members(pieces));
	archive_reader_free(whole);
	archive_reader_free(pieces);
}

#endif
