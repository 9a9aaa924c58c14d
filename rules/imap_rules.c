#include "retrieval_rules.h"

/* One way to refuse: all constants. */
struct imap_refusal {
	const char *reason, *reply;
};

static const struct imap_refusal unknown = {"unknown", "BAD Unknown command"};
static const struct imap_refusal denied = {"denied", "NO [CANNOT] Command not allowed here"};
static const struct imap_refusal opaque = {"denied", "NO [CANNOT] Compression is not available"};
static const struct imap_refusal read_only = {"read_only", "NO [NOPERM] Nothing is changed here"};
static const struct imap_refusal no_tls = {"tls", "NO [CANNOT] TLS is not available"};
static const struct imap_refusal tls_hidden = {"tls", "BAD Unknown command"};
static const struct imap_refusal twice = {"tls", "BAD TLS is active already"};
static const struct imap_refusal clear = {"needs_tls", "NO [PRIVACYREQUIRED] Use STARTTLS first"};
static const struct imap_refusal no_login = {
    "privacy_required", "NO [PRIVACYREQUIRED] LOGIN is disabled"};

static void
fill(struct verdict *out, enum verdict_action action, const char *reason, const char *reply)
{
	size_t n = strlen(reply);

	*out = (struct verdict){
	    .action = action, .rule = action == VERDICT_PASS ? "none" : "imap", .reason = reason};
	memcpy(out->reply, reply, n < VERDICT_REPLY_MAX ? n : VERDICT_REPLY_MAX);
}

/* A command, or the one that a capability offers. */
struct asked {
	const struct imap_verb_row *verb;
	struct span word, args;
	bool uid;
	bool more; /* behind args comes a literal */
};

/* Does the next argument, as a server reads it, say the word? */
static bool
says(struct span word, struct span *args)
{
	bool quoted;
	size_t at = 0;

	*args = span_trim(*args);
	if (args->n == 0 || args->p[0] != '"')
		return span_ieq(word, span_word(args));
	for (*args = span_from(*args, 1), quoted = true; quoted && args->n > 0;) {
		uint8_t c = args->p[0];

		if (c == '\\' && args->n > 1)
			c = args->p[1];
		else
			quoted = c != '"';
		*args = span_from(*args, args->p[0] == '\\' ? 2 : 1);
		if (quoted && (at >= word.n || octet_lower(word.p[at++]) != octet_lower(c)))
			return false;
	}
	return at == word.n;
}

/* "EXPUNGE" is UID EXPUNGE too, "UID EXPUNGE" nothing else; words of the arguments may follow. */
static bool
entry_denies(const char *entry, const struct asked *a)
{
	struct span rest = span_str(entry), args = a->args, word = span_word(&rest);

	if (span_ieq(word, span_str("UID"))) {
		if (!a->uid)
			return false;
		word = span_word(&rest);
	}
	if (!span_ieq(word, a->word))
		return false;
	while ((word = span_word(&rest)).n > 0) {
		if (span_trim(args).n == 0 && a->more) /* who knows what it will say */
			return true;
		if (!says(word, &args))
			return false;
	}
	return true;
}

static bool
is_denied(const struct retrieval_policy *policy, const struct asked *a)
{
	for (size_t i = 0; policy->deny != NULL && policy->deny[i] != NULL; i++)
		if (entry_denies(policy->deny[i], a))
			return true;
	return false;
}

static const struct imap_refusal *
refusal_of(const struct retrieval_policy *policy, const struct asked *a)
{
	if (a->verb->verb == IMAP_UNKNOWN && policy->refuse_unknown)
		return &unknown;
	if (a->verb->verb == IMAP_COMPRESS)
		return &opaque;
	if (is_denied(policy, a))
		return &denied;
	if (policy->read_only && a->verb->writes)
		return &read_only;
	if (policy->needs_tls &&
	    (a->verb->verb == IMAP_LOGIN || a->verb->verb == IMAP_AUTHENTICATE))
		return &clear;
	if (a->verb->verb == IMAP_STARTTLS && policy->in_tls)
		return &twice;
	if (a->verb->verb != IMAP_STARTTLS || starttls_passes(policy->starttls))
		return NULL;
	return policy->starttls == STARTTLS_HIDE ? &tls_hidden : &no_tls;
}

void
imap_judge(const struct retrieval_policy *policy, const struct an_event *ev, bool login_disabled,
    struct verdict *out)
{
	const struct imap_detail *d = ev->imap;
	const struct asked asked = {.verb = d->verb,
	    .word = d->word,
	    .args = d->args,
	    .uid = d->uid,
	    .more = d->literal.announced};
	const struct imap_refusal *refusal;

	/* whether a verb that is in no table may pass is a question of the policy's */
	if (d->fault != IMAP_OK && d->fault != IMAP_VERB_UNKNOWN) {
		fill(out, VERDICT_REFUSE, "syntax", imap_fault_reply(d->fault));
		return;
	}
	refusal = refusal_of(policy, &asked);
	if (refusal == NULL && login_disabled && d->verb->verb == IMAP_LOGIN)
		refusal = &no_login;
	if (refusal != NULL)
		fill(out, VERDICT_REFUSE, refusal->reason, refusal->reply);
	else
		fill(out, VERDICT_PASS, "none", "");
}

/* "AUTH=PLAIN", "COMPRESS=DEFLATE", "THREAD=REFS", "MOVE": the command behind a capability. */
static struct asked
command_behind(struct span capability)
{
	ptrdiff_t at = span_find(capability, '=');
	struct span name = span_first(capability, at < 0 ? capability.n : (size_t)at);
	struct asked a = {.args = at < 0 ? SPAN_NONE : span_from(capability, (size_t)at + 1)};

	a.word = span_ieq(name, span_str("AUTH")) ? span_str("AUTHENTICATE") : name;
	a.verb = imap_verb_find(a.word);
	return a;
}

bool
imap_capability_passes(const struct retrieval_policy *policy, struct span capability)
{
	struct asked asked = command_behind(capability);

	if (asked.verb->verb == IMAP_UNKNOWN) /* no command, but what others may do more */
		return !is_denied(policy, &asked);
	return refusal_of(policy, &asked) == NULL;
}
