/*
 * fuzz_imap_structure - BODYSTRUCTURE: any octets, whole and octet by octet.
 *
 * Claims: what is read is the same for both; it keeps its bounds; no text can end the line of a
 * header; a path is found, and leads to the first part that has it; octets behind the end of a
 * structure make it none.
 */
#include "fuzz.h"
#include "imap/structure.h"

static struct imap_structure *
read_in_pieces(struct span in, size_t step)
{
	struct imap_structure *s = imap_structure_new();

	fuzz_claim(s != NULL);
	for (; in.n > 0; in = span_from(in, step)) {
		/* storage of just its size: what reads beyond it is seen */
		struct span piece = span_first(in, step);
		uint8_t *copy = malloc(piece.n);

		if (copy == NULL)
			abort();
		memcpy(copy, piece.p, piece.n);
		fuzz_claim(imap_structure_feed(s, span_of(copy, piece.n)));
		free(copy);
	}
	return s;
}

static void
claim_harmless(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		fuzz_claim(text.p[i] >= ' ' && text.p[i] != 0x7f);
}

static size_t
claim_part(const struct imap_structure *s, const struct imap_part *part)
{
	const struct span texts[] = {part->type, part->subtype, part->parameters, part->encoding,
	    part->disposition, part->id};
	struct span path = span_str(part->path);
	size_t n = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		claim_harmless(texts[i]);
		n += texts[i].n;
	}
	fuzz_claim(path.n < sizeof(part->path));
	if (path.n > 0)
		fuzz_claim(imap_structure_find(s, path) != NULL);
	return n;
}

static void
claim_same(const struct imap_part *a, const struct imap_part *b)
{
	fuzz_claim(strcmp(a->path, b->path) == 0 && a->size == b->size);
	fuzz_claim(span_eq(a->type, b->type) && span_eq(a->subtype, b->subtype));
	fuzz_claim(span_eq(a->parameters, b->parameters) && span_eq(a->encoding, b->encoding));
	fuzz_claim(span_eq(a->disposition, b->disposition) && span_eq(a->id, b->id));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct imap_structure *whole = read_in_pieces(span_of(p, n), SIZE_MAX);
	struct imap_structure *octets = read_in_pieces(span_of(p, n), 1);
	size_t texts = 0;

	fuzz_claim(imap_structure_whole(whole) == imap_structure_whole(octets));
	fuzz_claim(imap_structure_left_out(whole) == imap_structure_left_out(octets));
	fuzz_claim(imap_structure_parts(whole) == imap_structure_parts(octets));
	fuzz_claim(imap_structure_parts(whole) <= STRUCTURE_PARTS);
	for (size_t i = 0; i < imap_structure_parts(whole); i++) {
		texts += claim_part(whole, imap_structure_part(whole, i));
		claim_same(imap_structure_part(whole, i), imap_structure_part(octets, i));
	}
	fuzz_claim(texts <= STRUCTURE_TEXT + 9 * STRUCTURE_PARTS); /* MULTIPART is a constant */
	if (imap_structure_whole(whole)) {
		fuzz_claim(imap_structure_feed(whole, span_str("x")));
		fuzz_claim(!imap_structure_whole(whole));
	}
	imap_structure_free(whole);
	imap_structure_free(octets);
	return 0;
}
