#include "addresses.h"

#include <stdlib.h>

#include "ere.h"
#include "names.h"

#define NO_MEMORY "does not fit into memory"

struct addresses {
	bool null;
	struct names exact;
	struct domains *domains;
	struct ere *expressions[ADDRESSES_EXPRESSIONS_MAX];
	size_t n_expressions;
};

/* ---- one address ---- */

/* What stands behind the "@", in the one form in which it is compared. */
static void
domain_text(const struct smtp_path *path, const char *domain, struct buf *out)
{
	char ip[IP_TEXT_MAX];

	switch (path->domain_kind) {
	case SMTP_DOMAIN_NAME:
		buf_str(out, domain);
		break;
	case SMTP_DOMAIN_LITERAL:
		buf_octet(out, '[');
		buf_str(out, ip_text(&path->address, ip));
		buf_octet(out, ']');
		break;
	case SMTP_DOMAIN_TAGGED:
		buf_octet(out, '[');
		buf_add(out, path->domain);
		buf_octet(out, ']');
		break;
	case SMTP_DOMAIN_NONE:
		break;
	}
}

/* The local part with quotes only where they are needed, the "@" behind it too. */
static struct span
local_text(const struct smtp_path *path, const struct buf *canonical)
{
	struct span inside = span_of(canonical->p + 1, canonical->n - 2);
	ptrdiff_t at = span_rfind(inside, '@');

	return path->domain_kind == SMTP_DOMAIN_NONE || at < 0 ? inside
							       : span_first(inside, (size_t)at + 1);
}

bool
mailbox_make(struct mailbox *m, const struct smtp_path *path, const char *domain)
{
	struct buf canonical, text;
	bool ok;

	m->null = path->null;
	memcpy(m->domain, domain, strlen(domain) + 1);
	buf_init(&canonical, 2 * MAILBOX_TEXT_MAX);
	buf_init(&text, MAILBOX_TEXT_MAX - 1);
	if (smtp_path_canonical(path, &canonical)) {
		buf_add(&text, local_text(path, &canonical));
		domain_text(path, domain, &text);
	}
	ok = !canonical.failed && !text.failed;
	for (size_t i = 0; i < text.n; i++)
		m->text[i] = (char)octet_lower(text.p[i]);
	m->text[text.n] = '\0';
	buf_free(&canonical);
	buf_free(&text);
	return ok;
}

/* ---- a set of them ---- */

struct addresses *
addresses_new(void)
{
	struct addresses *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	names_init(&set->exact);
	set->domains = domains_new();
	if (set->domains != NULL)
		return set;
	addresses_free(set);
	return NULL;
}

void
addresses_free(struct addresses *set)
{
	if (set == NULL)
		return;
	names_free(&set->exact);
	domains_free(set->domains);
	for (size_t i = 0; i < set->n_expressions; i++)
		ere_free(set->expressions[i]);
	free(set);
}

/* What is wrong with the pattern, or NULL: so do the functions below. */
static const char *
add_expression(struct addresses *set, struct span pattern)
{
	const char *why;

	if (pattern.n < 2 || pattern.p[pattern.n - 1] != '/')
		return "is an expression without the \"/\" that ends it";
	if (set->n_expressions == ADDRESSES_EXPRESSIONS_MAX)
		return "is one expression too many; 256 may stand here";
	set->expressions[set->n_expressions] = ere_new(span_of(pattern.p + 1, pattern.n - 2), &why);
	if (set->expressions[set->n_expressions] == NULL)
		return why;
	set->n_expressions++;
	return NULL;
}

static const char *
add_exact(struct addresses *set, struct span pattern)
{
	char domain[DOMAIN_TEXT_MAX] = "";
	struct smtp_path path;
	struct mailbox mailbox;
	struct span rest;
	struct buf text;
	enum smtp_path_fault fault;
	const char *why = NULL;

	buf_init(&text, 2 * MAILBOX_TEXT_MAX);
	buf_octet(&text, '<');
	buf_add(&text, pattern);
	buf_octet(&text, '>');
	fault = smtp_path_parse(buf_span(&text), false, true, &path, &rest);
	if (text.failed || fault != SMTP_PATH_OK || rest.n > 0 || path.null || path.route.n > 0 ||
	    (path.domain_kind == SMTP_DOMAIN_NAME && !domain_canonical(path.domain, domain)))
		why = "is no address";
	else if (path.domain_kind == SMTP_DOMAIN_NONE)
		why = "has no \"@\"; with one in front of it, it is a domain";
	else if (!mailbox_make(&mailbox, &path, domain) ||
		 !names_add(&set->exact, span_str(mailbox.text)))
		why = NO_MEMORY;
	buf_free(&text);
	return why;
}

bool
addresses_add(struct addresses *set, const char *pattern, const char **why)
{
	*why = NULL;
	if (pattern[0] == '/')
		*why = add_expression(set, span_str(pattern));
	else if (pattern[0] == '@')
		domains_add(set->domains, pattern + 1, why);
	else if (span_eq(span_str(pattern), span_str("<>")))
		set->null = true;
	else
		*why = add_exact(set, span_str(pattern));
	return *why == NULL;
}

bool
addresses_has(const struct addresses *set, const struct mailbox *m)
{
	struct span text = span_str(m->text);

	if (m->null ? set->null : names_has(&set->exact, text))
		return true;
	if (m->domain[0] != '\0' && domains_has(set->domains, m->domain))
		return true;
	for (size_t i = 0; i < set->n_expressions; i++)
		if (ere_matches(set->expressions[i], text))
			return true;
	return false;
}

bool
addresses_empty(const struct addresses *set)
{
	return !set->null && set->exact.n == 0 && domains_empty(set->domains) &&
	       set->n_expressions == 0;
}
