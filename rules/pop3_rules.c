#include "retrieval_rules.h"

/* One way to refuse: all constants. */
struct pop3_refusal {
	const char *reason, *reply;
};

static const struct pop3_refusal unknown = {"unknown", "-ERR Unknown command"};
static const struct pop3_refusal denied = {"denied", "-ERR Command not allowed here"};
static const struct pop3_refusal read_only = {"read_only", "-ERR This mailbox is read-only"};
static const struct pop3_refusal no_tls = {"tls", "-ERR TLS is not available"};
static const struct pop3_refusal twice = {"tls", "-ERR TLS is active already"};
static const struct pop3_refusal clear = {"needs_tls", "-ERR Use STLS first"};
static const struct pop3_refusal tls_hidden = {"tls", "-ERR Unknown command"};

static void
fill(struct verdict *out, enum verdict_action action, const char *reason, const char *reply)
{
	size_t n = strlen(reply);

	*out = (struct verdict){
	    .action = action, .rule = action == VERDICT_PASS ? "none" : "pop3", .reason = reason};
	memcpy(out->reply, reply, n < VERDICT_REPLY_MAX ? n : VERDICT_REPLY_MAX);
}

/* An entry of the list is a verb, or a verb with the first words of its arguments. */
static bool
entry_denies(const char *entry, struct span word, struct span args)
{
	struct span rest = span_str(entry), wanted;

	if (!span_ieq(span_word(&rest), word))
		return false;
	while ((wanted = span_word(&rest)).n > 0)
		if (!span_ieq(wanted, span_word(&args)))
			return false;
	return true;
}

static bool
is_denied(const struct retrieval_policy *policy, struct span word, struct span args)
{
	if (policy->deny == NULL)
		return false;
	for (size_t i = 0; policy->deny[i] != NULL; i++)
		if (entry_denies(policy->deny[i], word, args))
			return true;
	return false;
}

static bool
logs_in(enum pop3_verb verb)
{
	return verb == POP3_USER || verb == POP3_PASS || verb == POP3_APOP || verb == POP3_AUTH;
}

static const struct pop3_refusal *
refusal_of(const struct retrieval_policy *policy, const struct pop3_verb_row *verb,
    struct span word, struct span args)
{
	/* XTND XMIT has the client send a message, which nobody here follows */
	if (verb->verb == POP3_XTND || (verb->verb == POP3_UNKNOWN && policy->refuse_unknown))
		return &unknown;
	if (is_denied(policy, word, args))
		return &denied;
	if (policy->read_only && verb->writes)
		return &read_only;
	if (policy->needs_tls && logs_in(verb->verb))
		return &clear;
	if (verb->verb == POP3_STLS && policy->in_tls)
		return &twice;
	if (verb->verb != POP3_STLS || starttls_passes(policy->starttls))
		return NULL;
	return policy->starttls == STARTTLS_HIDE ? &tls_hidden : &no_tls;
}

void
pop3_judge(const struct retrieval_policy *policy, const struct an_event *ev, struct verdict *out)
{
	const struct pop3_detail *d = ev->pop3;
	const struct pop3_refusal *refusal;

	/* whether a verb that is in no table may pass is a question of the policy's */
	if (d->fault != POP3_OK && d->fault != POP3_VERB_UNKNOWN) {
		fill(out, VERDICT_REFUSE, "syntax", pop3_fault_reply(d->fault));
		return;
	}
	refusal = refusal_of(policy, d->verb, d->word, d->args);
	if (refusal != NULL)
		fill(out, VERDICT_REFUSE, refusal->reason, refusal->reply);
	else
		fill(out, VERDICT_PASS, "none", "");
}

/* Capabilities that are no commands (RFC 2449 s6, 3206, 5034, 6856). */
static bool
is_known(struct span word)
{
	static const char *const names[] = {"AUTH-RESP-CODE", "EXPIRE", "IMPLEMENTATION",
	    "LOGIN-DELAY", "PIPELINING", "RESP-CODES", "SASL-IR"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_ieq(word, span_str(names[i])))
			return true;
	return false;
}

bool
pop3_capability_passes(const struct retrieval_policy *policy, struct span capability)
{
	struct span rest = capability, word = span_word(&rest);

	if (span_ieq(word, span_str("SASL"))) /* of AUTH it says which mechanisms */
		word = span_str("AUTH");
	if (is_known(word))
		return true;
	return refusal_of(policy, pop3_verb_find(word), word, SPAN_NONE) == NULL;
}

bool
pop3_mechanism_passes(const struct retrieval_policy *policy, struct span mechanism)
{
	struct span auth = span_str("AUTH");

	return refusal_of(policy, pop3_verb_find(auth), auth, mechanism) == NULL;
}
