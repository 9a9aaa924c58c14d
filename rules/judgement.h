/*
 * judgement - one command on trial: what is known about it, and the verdict that is being made.
 *
 * The checks (relay, sender, client_name) see only this. They look answers up here, and every way
 * in which one of them can end is one call: pass, refuse, undecided.
 */
#ifndef POSTERN_JUDGEMENT_H
#define POSTERN_JUDGEMENT_H

#include "policy.h"

struct judgement {
	const struct policy *policy;
	const struct facts *facts;
	const struct answers *answers;
	const struct smtp_path *path; /* NULL: the command has none */
	struct span subject;	      /* what replies name: an address, a host; p NULL: nothing */
	bool utf8;		      /* SMTPUTF8 is in force: replies may carry UTF-8 */
	char domain[DOMAIN_TEXT_MAX]; /* of path, canonical; "": it has no host name */
	struct verdict *out;
};

/* One way to refuse: all constants. */
struct refusal {
	const char *rule, *reason;
	const char *status; /* "550 5.7.1" */
	const char *text;
};

void judgement_pass(struct judgement *, const char *rule, const char *reason);

/*
 * Replies "STATUS <subject>... TEXT", without the subject where there is none. CHECK_REPORT:
 * the verdict passes and says what it would have been.
 */
void judgement_refuse(struct judgement *, enum check, const struct refusal *);

/*
 * The answer to a question. False: there is none yet; the question has been noted, once.
 * Several may be noted before judgement_undecided().
 */
bool judgement_answer(struct judgement *, enum dns_type, const char *name, enum dns_status *);
/* A question was noted since the judgement began. */
bool judgement_asks(const struct judgement *);
void judgement_undecided(struct judgement *, const char *rule);

/* Neither "yes" nor "no such thing": the resolver could not tell. */
static inline bool
dns_unknown(enum dns_status status)
{
	return status == DNS_FAILED || status == DNS_TIMEOUT;
}

#endif
