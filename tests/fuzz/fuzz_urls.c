/*
 * fuzz_urls - texts with URLs. The first octet chooses html or text, and the length of the pieces.
 *
 * Claims: whole and in pieces the same URLs; each is bounded, begins as one does, comes once and
 * has no blank or control character in it.
 */
#include "fuzz.h"
#include "mime/urls.h"

#define KEPT 8

static struct urls *
read_in_pieces(struct span text, bool html, size_t piece)
{
	struct urls *u = urls_new(KEPT);

	fuzz_claim(u != NULL);
	urls_begin(u, html);
	for (size_t at = 0; at < text.n; at += piece)
		fuzz_claim(urls_feed(u, span_first(span_from(text, at), piece)));
	fuzz_claim(urls_end(u));
	return u;
}

static void
claim_url(struct span url, bool html)
{
	fuzz_claim(url.n > 2 && url.n <= URL_MAX);
	fuzz_claim(span_starts(url, span_str("http://")) ||
		   span_starts(url, span_str("https://")) || span_starts(url, span_str("ftp://")) ||
		   (html && span_starts(url, span_str("//"))));
	for (size_t i = 0; i < url.n; i++)
		fuzz_claim(url.p[i] > ' ' && url.p[i] != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span text = span_from(span_of(p, n), 1);
	bool html = n > 0 && (p[0] & 1) != 0;
	struct urls *whole = read_in_pieces(text, html, n + 1);
	struct urls *pieces = read_in_pieces(text, html, n > 0 ? (p[0] >> 1) % 64 + 1u : 1);

	fuzz_claim(urls_count(whole) == urls_count(pieces) && urls_count(whole) <= KEPT);
	fuzz_claim(urls_left_out(whole) == urls_left_out(pieces));
	for (size_t i = 0; i < urls_count(whole); i++) {
		claim_url(urls_get(whole, i), html);
		fuzz_claim(span_eq(urls_get(whole, i), urls_get(pieces, i)));
		for (size_t k = 0; k < i; k++)
			fuzz_claim(!span_eq(urls_get(whole, i), urls_get(whole, k)));
	}
	urls_free(whole);
	urls_free(pieces);
	return 0;
}
