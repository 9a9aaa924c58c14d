#include "observed_names.h"

#include <stdlib.h>

#define BUCKETS	      4096 /* a power of two */
#define HEADER	      12
#define FLAG_RESPONSE 0x80

struct name {
	struct name *next;  /* in its bucket */
	struct name *newer; /* in the order of coming */
	struct dns_question question;
	size_t n;
	uint8_t message[];
};

struct observed_names {
	struct name *buckets[BUCKETS];
	struct name *oldest, *newest;
	size_t count, octets;
};

struct observed_names *
observed_names_new(void)
{
	return calloc(1, sizeof(struct observed_names));
}

static size_t
bucket_of(const struct dns_question *q)
{
	uint64_t h = 14695981039346656037u + (uint64_t)q->type; /* FNV-1a */

	for (const char *p = q->name; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211u;
	return (h ^ h >> 32) & (BUCKETS - 1);
}

static void
drop_oldest(struct observed_names *names)
{
	struct name *old = names->oldest, **at = &names->buckets[bucket_of(&old->question)];

	while (*at != old)
		at = &(*at)->next;
	*at = old->next;
	names->oldest = old->newer;
	if (names->newest == old)
		names->newest = NULL;
	names->count--;
	names->octets -= sizeof(*old) + old->n;
	free(old);
}

void
observed_names_free(struct observed_names *names)
{
	while (names != NULL && names->oldest != NULL)
		drop_oldest(names);
	free(names);
}

/* ---- the question in a message ---- */

/* The labels behind the header, without compression: nothing stands ahead of them. */
static bool
read_name(struct span *rest, char text[DNS_NAME_MAX])
{
	size_t n = 0;

	while (rest->n > 0 && rest->p[0] != 0) {
		struct span label = span_first(span_from(*rest, 1), rest->p[0]);

		if (label.n != rest->p[0] || label.n > 63 || n + label.n + 1 >= DNS_NAME_MAX)
			return false;
		if (n > 0)
			text[n++] = '.';
		memcpy(text + n, label.p, label.n);
		n += label.n;
		*rest = span_from(*rest, label.n + 1);
	}
	text[n] = '\0';
	*rest = span_from(*rest, 1);
	return n > 0;
}

static unsigned
u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static bool
is_asked_for(unsigned type)
{
	static const enum dns_type types[] = {DNS_A, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_TLSA};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i] == type)
			return true;
	return false;
}

static bool
read_question(struct span message, struct dns_question *q)
{
	struct span rest = span_from(message, HEADER);
	char name[DNS_NAME_MAX];

	if (message.n < HEADER || !(message.p[2] & FLAG_RESPONSE) || u16(message.p + 4) != 1 ||
	    !read_name(&rest, name) || rest.n < 4 || u16(rest.p + 2) != 1 ||
	    !is_asked_for(u16(rest.p)))
		return false;
	return dns_question_set(q, (enum dns_type)u16(rest.p), span_str(name));
}

static bool
same(const struct dns_question *a, const struct dns_question *b)
{
	return a->type == b->type && strcmp(a->name, b->name) == 0;
}

void
observed_names_add(struct observed_names *names, struct span message)
{
	struct dns_question q;
	struct name *new, **bucket;

	if (message.n > OBSERVED_NAME_PACKET || !read_question(message, &q) ||
	    (new = malloc(sizeof(*new) + message.n)) == NULL)
		return;
	bucket = &names->buckets[bucket_of(&q)];
	*new = (struct name){.next = *bucket, .question = q, .n = message.n};
	memcpy(new->message, message.p, message.n);
	*bucket = new; /* ahead of an older answer to the same question */
	if (names->newest != NULL)
		names->newest->newer = new;
	else
		names->oldest = new;
	names->newest = new;
	names->count++;
	names->octets += sizeof(*new) + new->n;
	while (names->oldest != NULL &&
	       (names->count > OBSERVED_NAMES_MAX || names->octets > OBSERVED_NAMES_OCTETS))
		drop_oldest(names);
}

bool
observed_names_find(
    const struct observed_names *names, const struct dns_question *q, struct answers *into)
{
	const struct name *found = names->buckets[bucket_of(q)];
	struct dns_answer *answer;
	bool put;

	while (found != NULL && !same(&found->question, q))
		found = found->next;
	if (found == NULL || (answer = malloc(sizeof(*answer))) == NULL)
		return false;
	dns_parse(span_of(found->message, found->n), q, answer);
	put = answers_put(into, answer);
	free(answer);
	return put;
}
