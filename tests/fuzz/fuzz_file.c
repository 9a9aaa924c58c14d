/*
 * fuzz_file - a file, its name and its chunking. The first octet holds options (1: small limits,
 * 2: called .eml, 4: no detection, 8: a piece), the second how many octets are fed at once; the
 * others are the file.
 *
 * Every input is read three times: whole, in those pieces, and octet by octet, each piece in a
 * place of its own. Claims: everything that is known is the same every time; part 0 is the file,
 * with all its octets; parts lie within their parents, and within what was fed; bounds hold.
 */

#include "core/buf.h"
#include "fuzz.h"
#include "mime/analyzers_init.h"
#include "mime/mail.h"

#define INPUT_MAX (1u << 16)
#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

static uint64_t
sum_octets(uint64_t sum, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum = (sum ^ ((const uint8_t *)p)[i]) * FNV_PRIME;
	return sum;
}

static uint64_t
sum_number(uint64_t sum, uint64_t n)
{
	return sum_octets(sum, &n, sizeof(n));
}

static uint64_t
sum_span(uint64_t sum, struct span s)
{
	return sum_octets(sum_number(sum, s.n), s.p, s.n);
}

static uint64_t
sum_lists(uint64_t sum, const struct mail_part *p)
{
	for (size_t i = 0; i < p->n_names; i++)
		sum = sum_span(sum, p->names[i]);
	for (size_t i = 0; i < p->n_members; i++)
		sum = sum_number(sum_span(sum, p->members[i].name), p->members[i].size);
	for (size_t i = 0; i < p->n_anomalies; i++)
		sum = sum_number(
		    sum_number(sum, p->anomalies[i].what), (uint64_t)p->anomalies[i].off);
	return sum_span(sum, span_str(p->mismatch == NULL ? "" : p->mismatch));
}

static uint64_t
sum_part(uint64_t sum, const struct mail_part *p)
{
	const struct span texts[] = {p->type, p->detected, p->charset, p->disposition, p->filename,
	    span_str(p->path), span_of(p->sha256, sizeof(p->sha256))};
	const uint64_t numbers[] = {p->parent, p->depth, p->shape, p->encoding, p->offset, p->size,
	    p->encoded_size, p->lines, p->stop_size, p->archive, p->attachment, p->encrypted,
	    p->bomb, p->ambiguous, p->partial, p->generated, p->members_left_out};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		sum = sum_span(sum, texts[i]);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sum = sum_number(sum, numbers[i]);
	return sum_lists(sum, p);
}

static void
claim_part(const struct mail *m, const struct mail_part *p, size_t i)
{
	fuzz_claim(p->number == i && p->offset <= mail_size(m));
	fuzz_claim(i == 0 ? p->depth == 0 : p->parent < i);
	if (i > 0)
		fuzz_claim(p->depth == mail_part(m, p->parent)->depth + 1);
	for (size_t k = 0; k < p->n_anomalies; k++)
		fuzz_claim(p->anomalies[k].off <= mail_size(m));
}

static uint64_t
claim_all(const struct mail *m)
{
	const struct mail_part *file = mail_part(m, 0);
	uint64_t sum = FNV_BASIS;

	fuzz_claim(mail_finished(m) && !mail_broken(m) && mail_is_file(m));
	fuzz_claim(mail_parts(m) >= 1 && mail_parts(m) <= mail_options(m)->parts);
	fuzz_claim(mail_is_message(m) || mail_parts(m) == 1);
	fuzz_claim(file->size == mail_size(m) && file->attachment && file->has_digests);
	for (size_t i = 0; i < mail_parts(m); i++) {
		claim_part(m, mail_part(m, i), i);
		sum = sum_part(sum, mail_part(m, i));
	}
	fuzz_claim(mail_urls(m) <= mail_options(m)->urls_max);
	for (size_t i = 0; i < mail_urls(m); i++)
		sum = sum_span(sum, mail_url(m, i));
	return sum_number(sum_span(sum, mail_header(m)->subject), mail_parts_left_out(m));
}

static uint64_t
read_in(const struct mail_options *o, uint8_t options, struct span octets, size_t piece)
{
	struct mail *m = mail_file_new(o, span_str(options & 2 ? "a.eml" : "a"), options & 8);
	uint64_t sum;

	fuzz_claim(m != NULL);
	while (octets.n > 0) {
		struct span some = span_first(octets, piece);
		uint8_t *own = malloc(some.n);

		fuzz_claim(own != NULL);
		memcpy(own, some.p, some.n);
		fuzz_claim(mail_feed(m, span_of(own, some.n)));
		free(own);
		octets = span_from(octets, some.n);
	}
	mail_finish(m);
	sum = claim_all(m);
	mail_free(m);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct mail_options o;
	struct span octets;
	const char *why;
	uint64_t whole;

	if (n < 2 || n > INPUT_MAX)
		return 0;
	fuzz_claim(analyzers_init(false, &why));
	mail_options_default(&o);
	if (p[0] & 1) {
		o.mime = (struct mime_limits){.header = 4096, .fields = 4, .depth = 3, .parts = 8};
		o.parts = 4;
		o.detected = o.members = o.urls_max = o.recipients = 2;
	}
	o.types = !(p[0] & 4);
	octets = span_of(p + 2, n - 2);
	whole = read_in(&o, p[0], octets, octets.n + 1);
	fuzz_claim(whole == read_in(&o, p[0], octets, p[1] == 0 ? 256 : p[1]));
	if (octets.n < 8192)
		fuzz_claim(whole == read_in(&o, p[0], octets, 1));
	return 0;
}
