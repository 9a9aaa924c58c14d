#include "answers.h"

#include <stdlib.h>

struct entry {
	struct dns_question question;
	enum dns_status status;
	bool secure;
	size_t n;
	/* n of them when that was asked, else NULL */
	struct dns_mx *mx;
	struct ip *address;	    /* of A or AAAA */
	char (*host)[DNS_NAME_MAX]; /* of PTR */
	struct dns_tlsa *tlsa;
	struct dns_txt *txt;
};

struct answers {
	size_t n;
	struct entry *entries[ANSWERS_MAX];
};

struct answers *
answers_new(void)
{
	return calloc(1, sizeof(struct answers));
}

static void
entry_free(struct entry *entry)
{
	if (entry == NULL)
		return;
	free(entry->mx);
	free(entry->address);
	free(entry->host);
	free(entry->tlsa);
	free(entry->txt);
	free(entry);
}

void
answers_free(struct answers *answers)
{
	if (answers == NULL)
		return;
	for (size_t i = 0; i < answers->n; i++)
		entry_free(answers->entries[i]);
	free(answers);
}

static const struct entry *
find(const struct answers *answers, enum dns_type type, const char *name)
{
	size_t n = strlen(name) + 1;

	for (size_t i = 0; answers != NULL && i < answers->n; i++) {
		const struct dns_question *q = &answers->entries[i]->question;

		if (q->type == type && strlen(q->name) + 1 == n && memcmp(q->name, name, n) == 0)
			return answers->entries[i];
	}
	return NULL;
}

static void *
copy_of(const void *records, size_t n, size_t size)
{
	void *copy = calloc(n, size);

	if (copy != NULL)
		memcpy(copy, records, n * size);
	return copy;
}

static bool
copy_records(struct entry *entry, const struct dns_answer *answer)
{
	size_t n = entry->n = answer->n;

	switch (answer->question.type) {
	case DNS_MX:
		entry->mx = copy_of(answer->mx, n, sizeof(answer->mx[0]));
		return entry->mx != NULL;
	case DNS_PTR:
		entry->host = copy_of(answer->host, n, sizeof(answer->host[0]));
		return entry->host != NULL;
	case DNS_A:
	case DNS_AAAA:
		entry->address = copy_of(answer->address, n, sizeof(answer->address[0]));
		return entry->address != NULL;
	case DNS_TLSA:
		entry->tlsa = copy_of(answer->tlsa, n, sizeof(answer->tlsa[0]));
		return entry->tlsa != NULL;
	case DNS_TXT:
		entry->txt = copy_of(answer->txt, n, sizeof(answer->txt[0]));
		return entry->txt != NULL;
	}
	return false;
}

static bool
put(struct answers *answers, const struct dns_question *question, enum dns_status status,
    bool secure, const struct dns_answer *records)
{
	struct entry *entry;

	if (find(answers, question->type, question->name) != NULL)
		return true;
	if (answers->n == ANSWERS_MAX)
		return false;
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return false;
	entry->question = *question;
	entry->status = status;
	entry->secure = secure;
	if (records != NULL && !copy_records(entry, records)) {
		entry_free(entry);
		return false;
	}
	answers->entries[answers->n++] = entry;
	return true;
}

bool
answers_put(struct answers *answers, const struct dns_answer *answer)
{
	bool records = answer->status == DNS_OK && answer->n > 0;

	/* The rules rely on it: an answer that is "ok" has records. */
	return put(answers, &answer->question,
	    answer->status == DNS_OK && !records ? DNS_NODATA : answer->status, answer->secure,
	    records ? answer : NULL);
}

bool
answers_fill(
    struct answers *answers, const struct dns_question *questions, size_t n, enum dns_status status)
{
	for (size_t i = 0; i < n; i++)
		if (!put(answers, &questions[i], status, false, NULL))
			return false;
	return true;
}

bool
answers_status(
    const struct answers *answers, enum dns_type type, const char *name, enum dns_status *status)
{
	const struct entry *entry = find(answers, type, name);

	if (entry == NULL)
		return false;
	*status = entry->status;
	return true;
}

size_t
answers_count(const struct answers *answers, enum dns_type type, const char *name)
{
	const struct entry *entry = find(answers, type, name);

	return entry == NULL ? 0 : entry->n;
}

const struct dns_mx *
answers_mx(const struct answers *answers, const char *name, size_t i)
{
	return &find(answers, DNS_MX, name)->mx[i];
}

const struct ip *
answers_address(const struct answers *answers, enum dns_type type, const char *name, size_t i)
{
	return &find(answers, type, name)->address[i];
}

const char *
answers_host(const struct answers *answers, const char *name, size_t i)
{
	return find(answers, DNS_PTR, name)->host[i];
}

const struct dns_tlsa *
answers_tlsa(const struct answers *answers, const char *name, size_t i)
{
	return &find(answers, DNS_TLSA, name)->tlsa[i];
}

const struct dns_txt *
answers_txt(const struct answers *answers, const char *name, size_t i)
{
	return &find(answers, DNS_TXT, name)->txt[i];
}

bool
answers_secure(const struct answers *answers, enum dns_type type, const char *name)
{
	const struct entry *entry = find(answers, type, name);

	return entry != NULL && entry->secure;
}
