/*
 * fuzz_word - encoded words, and the address lists that hold them. The first octet is the place
 * where they stand, the others are the value.
 *
 * Claims: never more octets than MIME_WORD_GROWTH times the value; what has no word in it comes out
 * as it is; what is UTF-8 stays UTF-8; faults lie in the value. Of addresses: bounds hold, name
 * and address lie in the text.
 */
#include "fuzz.h"
#include "mime/address_list.h"
#include "mime/charset.h"
#include "mime/word.h"

#define ADDRESSES 20

static void
claim_addresses(struct span value)
{
	struct address_list list;

	address_list_init(&list, ADDRESSES);
	fuzz_claim(address_list_add(&list, value));
	fuzz_claim(list.n <= ADDRESSES && (list.left_out == 0 || list.n == ADDRESSES));
	fuzz_claim(list.n + list.left_out <= value.n);
	fuzz_claim(list.faults.n <= MIME_FAULTS_MAX);
	for (size_t i = 0; i < list.n; i++) {
		const struct address *a = &list.each[i];

		fuzz_claim(fuzz_inside(a->name, a->text) && fuzz_inside(a->address, a->text));
		fuzz_claim(a->text.n <= (MIME_WORD_GROWTH + 1) * ADDRESS_PIECE_MAX + 3);
	}
	for (unsigned i = 0; i < list.faults.n; i++)
		fuzz_claim(list.faults.each[i].off <= value.n + 1);
	address_list_free(&list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span value = span_from(span_of(p, n), 1);
	enum mime_words where = n > 0 ? (enum mime_words)(p[0] & 3) : MIME_WORDS_TEXT;
	struct mime_faults faults = {.n = 0};
	struct buf out;

	fuzz_claim(charset_init());
	buf_init(&out, MIME_WORD_GROWTH * value.n);
	fuzz_claim(mime_words_decode(value, where, &out, &faults));
	if (!mime_words_any(value))
		fuzz_claim(span_eq(buf_span(&out), value));
	fuzz_claim(!span_is_utf8(value) || span_is_utf8(buf_span(&out)));
	fuzz_claim(faults.n < MIME_FAULTS_MAX);
	for (unsigned i = 0; i < faults.n; i++)
		fuzz_claim(faults.each[i].off < value.n);
	buf_free(&out);
	claim_addresses(value);
	return 0;
}
