#include "content.h"

static const struct {
	const char *name, *text;
} rules[CONTENT_RULES] = {
#define X(id, name, text) [id] = {name, text},
    CONTENT_RULE_TABLE(X)
#undef X
};

enum check
content_does(const struct content_policy *p, enum content_rule rule)
{
	return p->rules[rule] < p->check ? p->rules[rule] : p->check;
}

static bool
has_words(char *const *words)
{
	return words != NULL && words[0] != NULL;
}

bool
content_armed(const struct content_policy *p, enum content_rule rule)
{
	if (content_does(p, rule) == CHECK_OFF)
		return false;
	switch ((int)rule) {
	case CONTENT_SHA256:
		return p->sha256.n > 0;
	case CONTENT_TYPE:
		return has_words(p->types);
	case CONTENT_EXTENSION:
		return has_words(p->extensions);
	case CONTENT_SIZE:
		return p->part_size > 0;
	default:
		return true;
	}
}

/* ---- words ---- */

bool
content_glob(const char *pattern, struct span text)
{
	const char *star = NULL;
	size_t at = 0, back = 0;

	while (at < text.n) {
		if (*pattern == '*') {
			star = ++pattern;
			back = at;
		} else if ((uint8_t)*pattern == octet_lower(text.p[at]) && *pattern != '\0') {
			pattern++;
			at++;
		} else if (star != NULL) {
			pattern = star;
			at = ++back;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* Without what a system leaves out at the end of a name. */
static struct span
without_tail(struct span name)
{
	while (name.n > 0 && (name.p[name.n - 1] <= ' ' || name.p[name.n - 1] == '.'))
		name.n--;
	return name;
}

static bool
ends_with(struct span name, struct span extension)
{
	name = without_tail(name);
	return name.n > extension.n && name.p[name.n - extension.n - 1] == '.' &&
	       span_iends(name, extension);
}

bool
content_has_extension(struct span name, const char *extension)
{
	static const uint8_t cuts[] = {'\0', ':'};
	struct span want = span_str(extension);

	if (ends_with(name, want))
		return true;
	for (size_t i = 0; i < sizeof(cuts); i++) {
		ptrdiff_t cut = span_find(name, cuts[i]);
		if (cut > 0 && ends_with(span_first(name, (size_t)cut), want))
			return true;
	}
	return false;
}

bool
content_may_refuse(const struct content_policy *p)
{
	for (unsigned i = 0; i < CONTENT_RULES; i++)
		if (content_does(p, (enum content_rule)i) == CHECK_ENFORCE &&
		    content_armed(p, (enum content_rule)i))
			return true;
	return false;
}

/* ---- the rules, each about one part ---- */

static bool
is_type(const struct content_policy *p, const struct mail_part *part)
{
	for (char *const *t = p->types; *t != NULL; t++)
		if (content_glob(*t, part->type) ||
		    (part->detected.n > 0 && content_glob(*t, part->detected)))
			return true;
	return false;
}

static bool
is_name(const struct content_policy *p, struct span name)
{
	for (char *const *e = p->extensions; *e != NULL; e++)
		if (content_has_extension(name, *e))
			return true;
	return false;
}

static bool
is_extension(const struct content_policy *p, const struct mail_part *part)
{
	if (is_name(p, part->filename))
		return true;
	for (size_t i = 0; i < part->n_names; i++)
		if (is_name(p, part->names[i]))
			return true;
	for (size_t i = 0; i < part->n_members; i++)
		if (!part->members[i].folder && is_name(p, part->members[i].name))
			return true;
	return false;
}

static bool
is_partial(const struct mail_part *part)
{
	return part->partial || span_eq(part->type, span_str("message/partial"));
}

/* Behind one of these there is more that nobody has looked at. */
static bool
ends_the_look(enum mime_anomaly what)
{
	return what == MIME_ODD_TOO_DEEP || what == MIME_ODD_TOO_MANY_PARTS;
}

static bool
is_incomplete(const struct mail_part *part)
{
	/* names that were not seen may be the ones that are not accepted */
	if (part->archive == MAIL_ARCHIVE_PARTIAL || (part->attachment && part->detection_left_out))
		return true;
	for (size_t i = 0; i < part->n_anomalies; i++)
		if (ends_the_look(part->anomalies[i].what))
			return true;
	return false;
}

static bool
applies(const struct content_policy *p, enum content_rule rule, const struct mail_part *part)
{
	switch (rule) {
	case CONTENT_SHA256:
		return (part->has_digests && digests_has(&p->sha256, part->sha256)) ||
		       (part->has_stop_sha256 && digests_has(&p->sha256, part->stop_sha256)) ||
		       (part->has_url_safe_sha256 &&
			   digests_has(&p->sha256, part->url_safe_sha256));
	case CONTENT_TYPE:
		return is_type(p, part);
	case CONTENT_EXTENSION:
		return is_extension(p, part);
	case CONTENT_MISMATCH:
		return part->mismatch != NULL;
	case CONTENT_BOMB:
		return part->bomb;
	case CONTENT_ENCRYPTED:
		return part->archive != MAIL_NO_ARCHIVE && part->encrypted;
	case CONTENT_PARTIAL:
		return is_partial(part);
	case CONTENT_SIZE:
		return part->shape == MIME_LEAF && part->size > p->part_size;
	case CONTENT_AMBIGUOUS:
		return part->ambiguous;
	case CONTENT_INCOMPLETE:
		return is_incomplete(part);
	case CONTENT_RULES:
		break;
	}
	return false;
}

/* ---- the message ---- */

struct finding {
	enum check does; /* OFF: nothing was found */
	enum content_rule rule;
	const struct mail_part *part; /* NULL: the message as a whole */
};

static void
note(struct finding *f, enum check does, enum content_rule rule, const struct mail_part *part)
{
	if (does > f->does)
		*f = (struct finding){does, rule, part};
}

/* The first part that gives cause, if any. */
static void
look(const struct content_policy *p, const struct mail *m, enum content_rule rule,
    struct finding *found)
{
	enum check does = content_does(p, rule);

	if (does <= found->does || !content_armed(p, rule))
		return;
	for (size_t i = 0; m != NULL && i < mail_parts(m); i++)
		if (applies(p, rule, mail_part(m, i))) {
			note(found, does, rule, mail_part(m, i));
			return;
		}
	if (rule == CONTENT_INCOMPLETE &&
	    (m == NULL || mail_broken(m) || mail_parts_left_out(m) > 0 ||
		mail_anomalies_left_out(m) > 0 || mail_facts_left_out(m)))
		note(found, does, rule, NULL);
}

/* Appends what there is room for. */
static void
add_text(char reply[VERDICT_REPLY_MAX + 1], const char *text)
{
	size_t n = strlen(reply);
	struct span s = span_first(span_str(text), VERDICT_REPLY_MAX - n);

	memcpy(reply + n, s.p, s.n);
	reply[n + s.n] = '\0';
}

static void
put_reply(const struct finding *f, bool file, char reply[VERDICT_REPLY_MAX + 1])
{
	const bool whole = f->part == NULL || (file && f->part->number == 0);

	reply[0] = '\0';
	add_text(reply, file ? "550 File refused: " : "550 5.7.1 Message refused: ");
	if (!whole && f->part->path[0] != '\0') {
		add_text(reply, "part ");
		add_text(reply, f->part->path);
		add_text(reply, ": ");
	}
	add_text(reply, rules[f->rule].text);
}

static void
conclude(const struct finding *f, bool file, bool may_hold, struct verdict *out)
{
	*out = (struct verdict){.action = VERDICT_PASS, .rule = "content", .reason = "clean"};
	if (f->does == CHECK_OFF)
		return;
	out->reason = rules[f->rule].name;
	put_reply(f, file, out->reply);
	if (f->does == CHECK_ENFORCE && may_hold)
		out->action = VERDICT_REFUSE;
	else
		out->would_refuse = true;
}

void
content_judge_name(const struct content_policy *p, struct span name, struct verdict *out)
{
	struct finding found = {.does = CHECK_OFF};

	for (char *const *e = p->extensions; e != NULL && *e != NULL; e++)
		if (content_has_extension(name, *e))
			note(&found, content_does(p, CONTENT_EXTENSION), CONTENT_EXTENSION, NULL);
	conclude(&found, true, true, out);
}

void
content_judge(
    const struct content_policy *p, const struct mail *m, bool may_hold, struct verdict *out)
{
	struct finding found = {.does = CHECK_OFF};

	for (unsigned i = 0; i < CONTENT_RULES; i++)
		look(p, m, (enum content_rule)i, &found);
	conclude(&found, m != NULL && mail_is_file(m), may_hold, out);
}
