/*
 * fuzz_param - values of Content-Type and Content-Disposition. The first octet: which of them (its
 * lowest bit), and how many parameters at most (the others; 0: the default).
 *
 * Claims: spans lie in the octets that are kept, which are no more than PARAM_OUTPUT_MAX times the
 * value; parameters and their readings are no more than allowed; names and the type are lower case;
 * every RFC 2231 reading has its plain one; what is not named is not found.
 */
#include "fuzz.h"
#include "mime/charset.h"
#include "mime/param.h"

static void
claim_lower(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		fuzz_claim(octet_lower(s.p[i]) == s.p[i]);
}

static void
claim_parameter(const struct param_value *v, size_t i, struct span kept)
{
	const struct mime_parameter *p = &v->parameters[i];

	fuzz_claim(p->name.n > 0);
	claim_lower(p->name);
	fuzz_claim(
	    fuzz_inside(p->name, kept) && fuzz_inside(p->value, kept) && fuzz_inside(p->raw, kept));
	if (p->reading == MIME_RFC2231)
		fuzz_claim(i + 1 < v->n && p[1].reading == MIME_NOT_RFC2231 &&
			   span_eq(p->name, p[1].name));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span value = span_from(span_of(p, n), 1);
	size_t max = n > 0 ? p[0] >> 1 : 0;
	struct param_value v;
	struct span kept;

	fuzz_claim(charset_init());
	fuzz_claim(
	    param_parse(value, n > 0 && p[0] & 1 ? PARAM_OF_TYPE : PARAM_OF_DISPOSITION, max, &v));
	kept = span_of(v.octets, value.n * PARAM_OUTPUT_MAX);
	max = max == 0 ? PARAM_MAX : max;
	fuzz_claim(v.n <= max * PARAM_READINGS);
	fuzz_claim((v.left_out > 0) == mime_faults_has(&v.faults, MIME_ODD_TOO_MANY_PARAMETERS));
	fuzz_claim(fuzz_inside(v.main, kept));
	claim_lower(v.main);
	for (size_t i = 0; i < v.n; i++)
		claim_parameter(&v, i, kept);
	for (unsigned i = 0; i < v.faults.n; i++)
		fuzz_claim(v.faults.each[i].off <= value.n);
	fuzz_claim(param_find(&v, "", 0) == NULL);
	if (v.n > 0)
		fuzz_claim(v.left_out > 0 || v.n <= value.n * PARAM_READINGS);
	param_value_free(&v);
	return 0;
}
