#include <stdlib.h>

#include "imap_gate.h"

struct known_size {
	uint32_t number, uid;
	uint64_t octets;
};

struct known_structure {
	uint64_t number, uid;
	struct imap_part *parts; /* their texts lie behind them */
	size_t n;
};

/* Rings: the oldest makes room. */
struct imap_known {
	struct known_size *sizes; /* NULL: none has come */
	size_t next_size, next_structure;
	struct known_structure structures[IMAP_KNOWN_STRUCTURES];
};

struct imap_known *
imap_known_new(void)
{
	return calloc(1, sizeof(struct imap_known));
}

void
imap_known_free(struct imap_known *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < IMAP_KNOWN_STRUCTURES; i++)
		free(k->structures[i].parts);
	free(k->sizes);
	free(k);
}

/* Rows without a number and a UID are empty. */
static bool
is_same(uint64_t number, uint64_t uid, uint64_t row_number, uint64_t row_uid)
{
	if (uid != 0 && row_uid != 0)
		return uid == row_uid;
	return number != 0 && number == row_number;
}

/* ---- sizes ---- */

void
imap_known_size(struct imap_known *k, uint64_t number, uint64_t uid, uint64_t octets)
{
	if (k->sizes == NULL)
		k->sizes = calloc(IMAP_KNOWN_SIZES, sizeof(*k->sizes));
	if (k->sizes == NULL)
		return;
	k->sizes[k->next_size] = (struct known_size){(uint32_t)number, (uint32_t)uid, octets};
	k->next_size = (k->next_size + 1) % IMAP_KNOWN_SIZES;
}

/* The newest row first. */
uint64_t
imap_known_size_of(const struct imap_known *k, uint64_t number, uint64_t uid)
{
	for (size_t i = 1; k->sizes != NULL && i <= IMAP_KNOWN_SIZES; i++) {
		const struct known_size *row =
		    &k->sizes[(k->next_size + IMAP_KNOWN_SIZES - i) % IMAP_KNOWN_SIZES];

		if (is_same(number, uid, row->number, row->uid))
			return row->octets;
	}
	return 0;
}

/* ---- structures ---- */

#define PART_TEXTS 6

static void
texts_of(struct imap_part *p, struct span *texts[PART_TEXTS])
{
	texts[0] = &p->type;
	texts[1] = &p->subtype;
	texts[2] = &p->parameters;
	texts[3] = &p->encoding;
	texts[4] = &p->disposition;
	texts[5] = &p->id;
}

static size_t
octets_of(const struct imap_structure *s)
{
	size_t n = 0;

	for (size_t i = 0; i < imap_structure_parts(s); i++) {
		const struct imap_part *p = imap_structure_part(s, i);

		n += sizeof(*p) + p->type.n + p->subtype.n + p->parameters.n + p->encoding.n +
		     p->disposition.n + p->id.n;
	}
	return n;
}

static void
copy_parts(const struct imap_structure *s, struct imap_part *to)
{
	size_t n = imap_structure_parts(s);
	uint8_t *room = (uint8_t *)(to + n);

	for (size_t i = 0; i < n; i++) {
		struct span *texts[PART_TEXTS];

		to[i] = *imap_structure_part(s, i);
		texts_of(&to[i], texts);
		for (size_t t = 0; t < PART_TEXTS; t++) {
			if (texts[t]->n > 0)
				memcpy(room, texts[t]->p, texts[t]->n);
			texts[t]->p = room;
			room += texts[t]->n;
		}
	}
}

void
imap_known_structure(
    struct imap_known *k, uint64_t number, uint64_t uid, const struct imap_structure *s)
{
	struct known_structure *row = &k->structures[k->next_structure];
	size_t octets = octets_of(s);

	free(row->parts);
	*row = (struct known_structure){.number = number, .uid = uid};
	k->next_structure = (k->next_structure + 1) % IMAP_KNOWN_STRUCTURES;
	if (octets == 0)
		return;
	row->parts = malloc(octets);
	if (row->parts == NULL)
		return;
	row->n = imap_structure_parts(s);
	copy_parts(s, row->parts);
}

const struct imap_part *
imap_known_part(const struct imap_known *k, uint64_t number, uint64_t uid, struct span path)
{
	for (size_t i = 1; i <= IMAP_KNOWN_STRUCTURES; i++) {
		const struct known_structure *row =
		    &k->structures[(k->next_structure + IMAP_KNOWN_STRUCTURES - i) %
				   IMAP_KNOWN_STRUCTURES];

		if (!is_same(number, uid, row->number, row->uid))
			continue;
		for (size_t p = 0; p < row->n; p++)
			if (span_eq(span_str(row->parts[p].path), path))
				return &row->parts[p];
	}
	return NULL;
}

/* ---- numbers ---- */

void
imap_known_uid(struct imap_known *k, uint64_t number, uint64_t uid)
{
	for (size_t i = 0; k->sizes != NULL && i < IMAP_KNOWN_SIZES; i++)
		if (k->sizes[i].number == number && k->sizes[i].uid == 0)
			k->sizes[i].uid = (uint32_t)uid;
	for (size_t i = 0; i < IMAP_KNOWN_STRUCTURES; i++)
		if (k->structures[i].number == number && k->structures[i].uid == 0)
			k->structures[i].uid = uid;
}

/* What a number becomes: that of nobody, or one less. */
static uint64_t
renumbered(uint64_t number, uint64_t gone)
{
	if (gone == 0 || number == gone)
		return 0;
	return number > gone ? number - 1 : number;
}

void
imap_known_expunged(struct imap_known *k, uint64_t gone)
{
	for (size_t i = 0; k->sizes != NULL && i < IMAP_KNOWN_SIZES; i++)
		k->sizes[i].number = (uint32_t)renumbered(k->sizes[i].number, gone);
	for (size_t i = 0; i < IMAP_KNOWN_STRUCTURES; i++)
		k->structures[i].number = renumbered(k->structures[i].number, gone);
}
