#include "tcp/table.h"

#include <stdlib.h>

#include "core/sip.h"

bool
table_init(struct table *t, size_t connections, const uint64_t seed[2])
{
	*t = (struct table){.buckets = 64, .seed = {seed[0], seed[1]}};
	while (t->buckets < connections)
		t->buckets *= 2;
	t->bucket = calloc(t->buckets, sizeof(struct flow *));
	return t->bucket != NULL;
}

void
table_free(struct table *t)
{
	free(t->bucket);
}

size_t
table_memory(const struct table *t)
{
	return t->buckets * sizeof(struct flow *);
}

/* ---- buckets ---- */

static void
sip_address(struct sip *s, const struct packet_address *a)
{
	uint64_t word[2];

	memcpy(word, a->octets, sizeof(word));
	sip_word(s, word[0]);
	if (a->v6)
		sip_word(s, word[1]);
}

static int
compare_ends(const struct connection_end *a, const struct connection_end *b)
{
	int d = memcmp(a->address.octets, b->address.octets, sizeof(a->address.octets));

	return d != 0 ? d : (int)a->port - (int)b->port;
}

/* The same for both directions. */
static size_t
bucket_of(const struct table *t, const struct connection_end *a, const struct connection_end *b)
{
	struct sip s = sip_begin(t->seed);
	bool turned = compare_ends(a, b) > 0;
	const struct connection_end *low = turned ? b : a, *high = turned ? a : b;

	sip_address(&s, &low->address);
	sip_address(&s, &high->address);
	sip_word(&s, (uint64_t)low->address.v6 << 33 | (uint64_t)high->address.v6 << 32 |
			 (uint64_t)low->port << 16 | high->port);
	return (size_t)sip_end(&s) & (t->buckets - 1);
}

static bool
same_end(const struct connection_end *a, const struct connection_end *b)
{
	return a->port == b->port && a->address.v6 == b->address.v6 &&
	       memcmp(a->address.octets, b->address.octets, sizeof(a->address.octets)) == 0;
}

struct flow *
table_find(const struct table *t, const struct connection_end *from,
    const struct connection_end *to, enum an_dir *dir)
{
	struct flow *f = t->bucket[bucket_of(t, from, to)];

	for (; f != NULL; f = f->chained) {
		const struct connection *c = &f->connection;

		if (same_end(&c->client, from) && same_end(&c->server, to)) {
			*dir = AN_C2S;
			return f;
		}
		if (same_end(&c->client, to) && same_end(&c->server, from)) {
			*dir = AN_S2C;
			return f;
		}
	}
	return NULL;
}

/* ---- order of age ---- */

static void
join_list(struct table *t, struct flow *f)
{
	f->younger = NULL;
	f->older = t->of[f->state].youngest;
	*(f->older != NULL ? &f->older->younger : &t->of[f->state].oldest) = f;
	t->of[f->state].youngest = f;
	t->of[f->state].n++;
}

static void
leave_list(struct table *t, struct flow *f)
{
	*(f->older != NULL ? &f->older->younger : &t->of[f->state].oldest) = f->younger;
	*(f->younger != NULL ? &f->younger->older : &t->of[f->state].youngest) = f->older;
	t->of[f->state].n--;
}

void
table_add(struct table *t, struct flow *f)
{
	size_t at = bucket_of(t, &f->connection.client, &f->connection.server);

	f->chained = t->bucket[at];
	t->bucket[at] = f;
	join_list(t, f);
}

void
table_remove(struct table *t, struct flow *f)
{
	struct flow **at = &t->bucket[bucket_of(t, &f->connection.client, &f->connection.server)];

	while (*at != f)
		at = &(*at)->chained;
	*at = f->chained;
	leave_list(t, f);
}

void
table_touch(struct table *t, struct flow *f, enum flow_state state)
{
	if (f->state == state && f->younger == NULL)
		return;
	leave_list(t, f);
	f->state = state;
	join_list(t, f);
}
