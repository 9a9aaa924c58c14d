#include "login_tie.h"

#include "record_tls.h"

void
login_offered(struct relay *r, struct span mechanism)
{
	r->plus_offered = r->plus_offered || sasl_is_plus(mechanism);
}

/* NULL: it failed for other reasons. */
static const char *
why(const struct relay *r, const struct sasl *s)
{
	switch (sasl_tie(s)) {
	case SASL_CHANNEL:
		return "channel_binding";
	case SASL_CHANNEL_MISSED:
		return r->plus_offered ? "channel_binding_missed" : NULL;
	case SASL_CHANNEL_MAYBE:
		return "channel_binding_possible";
	case SASL_CERTIFICATE:
		return "client_certificate";
	case SASL_FREE:
		break;
	}
	return NULL;
}

void
login_failed(const struct relay *r, const struct sasl *s)
{
	struct record_tls t = {
	    .action = "intercepted", .rule = r->tls_said.rule, .reason = r->tls_said.reason};
	char rule[TLS_RULE_TEXT];

	if (s == NULL || !r->facts.tls || (t.failure = why(r, s)) == NULL)
		return;
	tls_rule_to_pass(&r->facts, &r->tls_asked, false, rule);
	t.to_pass = rule;
	t.mechanism = s->mechanism;
	record_tls(&r->session, &t, r->env->sink, r->env->sink_arg);
}
