/*
 * trial - a policy, a session, a scripted resolver and one command line: what will be said?
 *
 * The gateway 198.51.100.0/24 stands before mx.local.example (192.0.2.25); the networks inside
 * are 192.0.2.0/24 and 2001:db8:1::/48; local.example and all below it are local.
 */
#ifndef POSTERN_TESTS_TRIAL_H
#define POSTERN_TESTS_TRIAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/ip.h"
#include "policy.h"
#include "smtp/command.h"
#include "smtp/smtp.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

/* A test of its own for every row, so that the summary names it. */
#define ROWS(table, function)                                                                      \
	for (size_t i = 0; i < nitems(table); i++)                                                 \
		tests[n++] = (struct CMUnitTest){                                                  \
		    table[i].name, function, NULL, NULL, (void *)(uintptr_t)&table[i]};

/* What the resolver says: records, separated by blanks; "." is the root; NULL: see status. */
struct zone {
	enum dns_type type;
	const char *name;
	enum dns_status status;
	const char *records;
};

struct trial {
	struct policy *policy;
	struct facts facts;
	const struct zone *zone; /* ends with a name of NULL; what it lacks is DNS_NXDOMAIN */
	unsigned asked;		 /* questions, over all rounds */
	unsigned exts;		 /* what the client was offered */
	struct verdict verdict;
};

static inline struct ip
ip_of(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(span_str(text), &ip));
	return ip;
}

static inline void
trial_begin(struct trial *t)
{
	const char *why;

	memset(t, 0, sizeof(*t));
	t->policy = policy_new();
	assert_non_null(t->policy);
	assert_true(networks_add(t->policy->inside, "192.0.2.0/24", &why));
	assert_true(networks_add(t->policy->inside, "2001:db8:1::/48", &why));
	assert_true(domains_add(t->policy->relay.local_domains, "local.example", &why));
	assert_true(domains_add(t->policy->relay.local_domains, ".local.example", &why));
	policy_seal(t->policy);
	t->facts.client = ip_of("203.0.113.7");
	t->facts.server = ip_of("192.0.2.25");
	policy_place(t->policy, &t->facts);
	t->exts = SMTP_EXT_SMTPUTF8 | SMTP_EXT_8BITMIME | SMTP_EXT_DSN | SMTP_EXT_SIZE;
}

static inline void
trial_end(struct trial *t)
{
	policy_free(t->policy);
}

static inline void
answer_records(struct dns_answer *answer, const char *records)
{
	struct span rest = span_str(records), word;

	while ((word = span_word(&rest)).n > 0) {
		struct ip ip;

		if (answer->question.type == DNS_PTR) {
			memcpy(answer->host[answer->n++], word.p, word.n);
			continue;
		}
		if (answer->question.type != DNS_MX) {
			assert_true(ip_parse(word, &answer->address[answer->n++]));
			continue;
		}
		if (!span_eq(word, span_str(".")))
			memcpy(answer->mx[answer->n].host, word.p, word.n);
		answer->mx[answer->n].is_address = ip_parse(word, &ip);
		answer->n++;
	}
}

static inline void
answer(struct trial *t, struct answers *answers, const struct dns_question *question)
{
	struct dns_answer answer = {.status = DNS_NXDOMAIN, .question = *question};
	const struct zone *z = t->zone;

	for (; z != NULL && z->name != NULL; z++)
		if (z->type == question->type && strcmp(z->name, question->name) == 0) {
			answer.status = z->status;
			if (z->records != NULL)
				answer_records(&answer, z->records);
			break;
		}
	t->asked++;
	assert_true(answers_put(answers, &answer));
}

/* Judges until nothing is asked any more. */
static inline void
trial_judge(struct trial *t, const char *line)
{
	struct smtp_detail detail;
	struct an_event ev = {.kind = EV_COMMAND, .octets = span_str(line), .smtp = &detail};
	struct line_marks marks = {0};
	struct answers *answers = answers_new();

	assert_non_null(answers);
	memset(&detail, 0, sizeof(detail));
	smtp_command_parse(ev.octets, marks, 65536, false, t->exts, &detail);
	t->asked = 0;
	for (unsigned round = 0;; round++) {
		assert_true(round <= 3); /* MX; its first host; the others */
		memset(&t->verdict, 0xa5, sizeof(t->verdict));
		policy_judge(t->policy, &t->facts, &ev, answers, &t->verdict);
		if (t->verdict.action != VERDICT_ASK)
			break;
		assert_true(t->verdict.n_questions > 0);
		for (size_t i = 0; i < t->verdict.n_questions; i++)
			answer(t, answers, &t->verdict.questions[i]);
	}
	answers_free(answers);
}

/* reply: its beginning; NULL: the command passes, and nothing would have been said. */
static inline void
assert_said(const struct trial *t, const char *reply, const char *rule, const char *reason)
{
	const struct verdict *v = &t->verdict;

	assert_string_equal(v->rule, rule);
	assert_string_equal(v->reason, reason);
	assert_false(v->would_refuse);
	if (reply == NULL) {
		assert_int_equal(v->action, VERDICT_PASS);
		assert_string_equal(v->reply, "");
		return;
	}
	assert_int_equal(v->action, VERDICT_REFUSE);
	if (!span_starts(span_str(v->reply), span_str(reply)))
		fail_msg("'%s' does not begin with '%s'", v->reply, reply);
}

/* The check only reports. */
static inline void
assert_would_say(const struct trial *t, const char *reply, const char *reason)
{
	assert_int_equal(t->verdict.action, VERDICT_PASS);
	assert_true(t->verdict.would_refuse);
	assert_string_equal(t->verdict.reason, reason);
	if (!span_starts(span_str(t->verdict.reply), span_str(reply)))
		fail_msg("'%s' does not begin with '%s'", t->verdict.reply, reply);
}

#endif
