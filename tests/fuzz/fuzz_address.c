/*
 * fuzz_address - what follows "MAIL FROM:" or "RCPT TO:": the path and its parameters.
 *
 * The first octet holds the options (lenient, SMTPUTF8, MAIL, keywords offered; in its lowest
 * four bits, so that "0" to "?" name them all), the others are the text.
 *
 * Claims: all spans lie in the text; what is accepted keeps its bounds; its canonical form is
 * no longer than what stood in the brackets, is accepted by the strict parser, means the same
 * and is its own canonical form.
 */
#include "fuzz.h"
#include "smtp/params.h"
#include "smtp/path.h"

static void
claim_path_spans(const struct smtp_path *path, struct span rest, struct span text)
{
	fuzz_claim(fuzz_inside(rest, text));
	fuzz_claim(fuzz_inside(path->raw, text));
	fuzz_claim(fuzz_inside(path->route, path->raw));
	fuzz_claim(fuzz_inside(path->local, path->raw));
	fuzz_claim(fuzz_inside(path->domain, path->raw));
	fuzz_claim(path->ascii == span_is_ascii(path->raw));
	fuzz_claim((path->address.family != IP_NONE) <= (path->domain_kind == SMTP_DOMAIN_LITERAL));
}

/* What every receiver of an accepted path may rely on. */
static void
claim_path_bounds(const struct smtp_path *path, bool utf8)
{
	fuzz_claim(path->raw.n <= SMTP_PATH_MAX);
	fuzz_claim(span_is_utf8(path->raw));
	fuzz_claim(utf8 || path->ascii);
	for (size_t i = 0; i < path->raw.n; i++)
		fuzz_claim(path->raw.p[i] >= ' ' && path->raw.p[i] != 0x7f);
	if (path->null) {
		fuzz_claim(path->raw.n == 0);
		return;
	}
	fuzz_claim(path->local.n > 0 && path->local.n <= SMTP_LOCAL_MAX);
	fuzz_claim(path->quoted || span_find(path->local, '@') < 0);
	fuzz_claim((path->domain.n == 0) == (path->domain_kind == SMTP_DOMAIN_NONE));
	fuzz_claim(path->domain.n <= SMTP_DOMAIN_MAX);
	fuzz_claim(path->address.family != IP_NONE || path->domain_kind != SMTP_DOMAIN_LITERAL);
	if (path->domain_kind == SMTP_DOMAIN_NAME)
		for (size_t i = 0; i < path->domain.n; i++)
			fuzz_claim(octet_is_alnum(path->domain.p[i]) || path->domain.p[i] >= 0x80 ||
				   path->domain.p[i] == '-' || path->domain.p[i] == '.');
}

static void
claim_same_meaning(const struct smtp_path *a, const struct smtp_path *b)
{
	struct buf plain_a, plain_b;

	buf_init(&plain_a, SMTP_LOCAL_MAX);
	buf_init(&plain_b, SMTP_LOCAL_MAX);
	fuzz_claim(a->null == b->null);
	fuzz_claim(a->domain_kind == b->domain_kind);
	fuzz_claim(span_eq(a->domain, b->domain));
	fuzz_claim(ip_eq(&a->address, &b->address));
	fuzz_claim(smtp_path_local_plain(a, &plain_a));
	fuzz_claim(smtp_path_local_plain(b, &plain_b));
	fuzz_claim(span_eq(buf_span(&plain_a), buf_span(&plain_b)));
	buf_free(&plain_a);
	buf_free(&plain_b);
}

static void
claim_canonical(const struct smtp_path *path, bool utf8)
{
	struct smtp_path again;
	struct buf first, second;
	struct span rest;

	buf_init(&first, path->raw.n + 2);
	buf_init(&second, path->raw.n + 2);
	fuzz_claim(smtp_path_canonical(path, &first));
	fuzz_claim(smtp_path_parse(buf_span(&first), false, utf8, &again, &rest) == SMTP_PATH_OK);
	fuzz_claim(rest.n == 0);
	fuzz_claim(again.route.n == 0 && !again.trailing_dot);
	claim_same_meaning(path, &again);
	fuzz_claim(smtp_path_canonical(&again, &second));
	fuzz_claim(span_eq(buf_span(&first), buf_span(&second)));
	buf_free(&first);
	buf_free(&second);
}

static void
claim_params(struct span text, bool is_mail, unsigned offered)
{
	struct smtp_params params, again;
	struct span bad;
	struct buf first, second;

	if (smtp_params_parse(text, is_mail, offered, &params, &bad) != SMTP_PARAM_OK) {
		fuzz_claim(bad.n > 0 && fuzz_inside(bad, text));
		return;
	}
	fuzz_claim(bad.n == 0);
	fuzz_claim((params.used & ~offered) == 0);
	fuzz_claim(params.size <= INT64_MAX);
	fuzz_claim(fuzz_inside(params.text, text));

	buf_init(&first, text.n + 1);
	fuzz_claim(smtp_params_canonical(&params, &first));
	fuzz_claim(
	    smtp_params_parse(buf_span(&first), is_mail, offered, &again, &bad) == SMTP_PARAM_OK);
	fuzz_claim(again.used == params.used && again.size == params.size &&
		   again.body == params.body && again.smtputf8 == params.smtputf8);
	buf_init(&second, text.n + 1);
	fuzz_claim(smtp_params_canonical(&again, &second));
	fuzz_claim(span_eq(buf_span(&first), buf_span(&second)));
	buf_free(&first);
	buf_free(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span text = span_from(span_of(p, n), 1);
	unsigned options = n > 0 ? p[0] : 0;
	bool lenient = (options & 1) != 0, utf8 = (options & 2) != 0, is_mail = (options & 4) != 0;
	enum smtp_path_fault fault;
	struct smtp_path path;
	struct span rest;

	fault = smtp_path_parse(text, lenient, utf8, &path, &rest);
	claim_path_spans(&path, rest, text);
	if (fault == SMTP_PATH_OK) {
		claim_path_bounds(&path, utf8);
		claim_canonical(&path, utf8);
	}
	if (fault == SMTP_PATH_DOUBLE_AT) {
		fuzz_claim(path.domain_kind != SMTP_DOMAIN_NONE && path.domain.n > 0);
		fuzz_claim(span_find(path.local, '@') >= 0);
	}
	claim_params(rest, is_mail, (options & 8) != 0 ? ~0u : 0);
	return 0;
}
