#include "observed_names.h"

#include <stdlib.h>

#include "core/sip.h"

#define BUCKETS	      4096 /* a power of two */
#define HEADER	      12
#define FLAG_RESPONSE 0x80

struct name {
	struct name *next;	    /* in its bucket */
	struct name *older, *newer; /* in the order of coming */
	struct dns_question question;
	size_t n;
	uint8_t message[];
};

struct observed_names {
	struct name *buckets[BUCKETS];
	struct name *oldest, *newest;
	size_t count, octets;
	uint64_t seed[2];
};

struct observed_names *
observed_names_new(const uint64_t seed[2])
{
	struct observed_names *names = calloc(1, sizeof(*names));

	if (names != NULL)
		memcpy(names->seed, seed, sizeof(names->seed));
	return names;
}

static size_t
bucket_of(const struct observed_names *names, const struct dns_question *q)
{
	struct sip s = sip_begin(names->seed);
	size_t n = strlen(q->name), piece;
	uint64_t word = (uint64_t)q->type << 32 | n;

	sip_word(&s, word);
	for (size_t at = 0; at < n; at += piece) {
		piece = n - at < sizeof(word) ? n - at : sizeof(word);
		word = 0;
		memcpy(&word, q->name + at, piece);
		sip_word(&s, word);
	}
	return sip_end(&s) & (BUCKETS - 1);
}

static bool
same(const struct dns_question *a, const struct dns_question *b)
{
	return a->type == b->type && strcmp(a->name, b->name) == 0;
}

/* Where it hangs, or would. */
static struct name **
place_of(struct observed_names *names, const struct dns_question *q)
{
	struct name **at = &names->buckets[bucket_of(names, q)];

	while (*at != NULL && !same(&(*at)->question, q))
		at = &(*at)->next;
	return at;
}

/* What stands there, if anything does. */
static void
drop(struct observed_names *names, struct name **at)
{
	struct name *old = *at;

	if (old == NULL)
		return;
	*at = old->next;
	*(old->older != NULL ? &old->older->newer : &names->oldest) = old->newer;
	*(old->newer != NULL ? &old->newer->older : &names->newest) = old->older;
	names->count--;
	names->octets -= sizeof(*old) + old->n;
	free(old);
}

static void
drop_oldest(struct observed_names *names)
{
	drop(names, place_of(names, &names->oldest->question));
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

void
observed_names_add(struct observed_names *names, struct span message)
{
	struct dns_question q;
	struct name *new, **at;

	if (message.n > OBSERVED_NAME_PACKET || !read_question(message, &q) ||
	    (new = malloc(sizeof(*new) + message.n)) == NULL)
		return;
	at = place_of(names, &q);
	drop(names, at); /* an older answer to the same question */
	*new = (struct name){.next = *at, .older = names->newest, .question = q, .n = message.n};
	memcpy(new->message, message.p, message.n);
	*at = new;
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
	const struct name *found = names->buckets[bucket_of(names, q)];
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
