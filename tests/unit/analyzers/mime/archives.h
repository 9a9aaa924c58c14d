/*
 * archives - builds small archives in memory, right and wrong ones, octet by octet.
 */
#ifndef POSTERN_TEST_ARCHIVES_H
#define POSTERN_TEST_ARCHIVES_H

#include <stdlib.h>
#include <string.h>

#include "mime/archive.h"

struct made {
	uint8_t *p;
	size_t n, cap;
};

static inline void
made_add(struct made *m, const void *p, size_t n)
{
	if (m->n + n > m->cap) {
		m->cap = (m->n + n) * 2;
		m->p = realloc(m->p, m->cap);
		if (m->p == NULL)
			abort();
	}
	if (n > 0)
		memcpy(m->p + m->n, p, n);
	m->n += n;
}

static inline void
made_le(struct made *m, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)(i < 8 ? value >> (8 * i) : 0);

		made_add(m, &c, 1);
	}
}

static inline void
made_set(struct made *m, size_t at, uint8_t value)
{
	if (m->p == NULL || at >= m->n)
		abort();
	m->p[at] = value;
}

static inline void
made_free(struct made *m)
{
	free(m->p);
	*m = (struct made){0};
}

/* ---- zip ---- */

struct zip_entry {
	const char *name;
	uint32_t size, packed;
	unsigned flags;
	const char *extra;
	size_t extra_n;
};

static inline void
zip_local(struct made *m, const struct zip_entry *e)
{
	made_le(m, 0x04034b50, 4);
	made_le(m, 20, 2);
	made_le(m, e->flags, 2);
	made_le(m, 8, 2);
	made_le(m, 0, 8);
	made_le(m, e->packed, 4);
	made_le(m, e->size, 4);
	made_le(m, strlen(e->name), 2);
	made_le(m, e->extra_n, 2);
	made_add(m, e->name, strlen(e->name));
	made_add(m, e->extra, e->extra_n);
}

static inline void
zip_central(struct made *m, const struct zip_entry *e, uint32_t at)
{
	made_le(m, 0x02014b50, 4);
	made_le(m, 20, 4);
	made_le(m, e->flags, 2);
	made_le(m, 8, 2);
	made_le(m, 0, 8);
	made_le(m, e->packed, 4);
	made_le(m, e->size, 4);
	made_le(m, strlen(e->name), 2);
	made_le(m, e->extra_n, 2);
	made_le(m, 0, 12 - 2); /* comment, disk, attributes */
	made_le(m, at, 4);
	made_add(m, e->name, strlen(e->name));
	made_add(m, e->extra, e->extra_n);
}

static inline void
zip_end(struct made *m, unsigned entries, size_t at, const char *comment)
{
	size_t size = m->n - at;

	made_le(m, 0x06054b50, 4);
	made_le(m, 0, 4);
	made_le(m, entries, 2);
	made_le(m, entries, 2);
	made_le(m, size, 4);
	made_le(m, at, 4);
	made_le(m, strlen(comment), 2);
	made_add(m, comment, strlen(comment));
}

/* Data of members: n times 'x'. */
static inline void
made_data(struct made *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		made_add(m, "x", 1);
}

/* ---- tar ---- */

static inline void
tar_header(struct made *m, const char *name, uint64_t size, char type)
{
	uint8_t b[512] = {0};
	unsigned sum = 0;

	memcpy(b, name, strlen(name));
	for (size_t i = 0; i < 11; i++)
		b[124 + 10 - i] = (uint8_t)('0' + (size >> (3 * i) & 7));
	b[156] = (uint8_t)type;
	memcpy(b + 257,
	    "ustar\0"
	    "00",
	    8);
	memset(b + 148, ' ', 8);
	for (size_t i = 0; i < sizeof(b); i++)
		sum += b[i];
	for (size_t i = 0; i < 6; i++)
		b[148 + 5 - i] = (uint8_t)('0' + (sum >> (3 * i) & 7));
	b[154] = 0;
	made_add(m, b, sizeof(b));
}

static inline void
tar_data(struct made *m, const char *text, size_t n)
{
	static const uint8_t zeros[512];

	made_add(m, text, n);
	made_add(m, zeros, (512 - n % 512) % 512);
}

/* ---- what a reader says, as text ---- */

#define DESCRIBED_MAX 4096

static inline void
described_add(char *to, const char *text, size_t n)
{
	size_t at = strlen(to);

	if (n > DESCRIBED_MAX - 1 - at)
		n = DESCRIBED_MAX - 1 - at;
	if (n > 0)
		memcpy(to + at, text, n);
	to[at + n] = '\0';
}

static inline void
described_number(char *to, uint64_t n)
{
	char digits[24];
	size_t i = sizeof(digits);

	if (n == MEMBER_SIZE_UNKNOWN) {
		described_add(to, "?", 1);
		return;
	}
	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	described_add(to, digits + i, sizeof(digits) - i);
}

static inline void
describe(const struct members *m, char *to)
{
	to[0] = '\0';
	for (size_t i = 0; i < m->n; i++) {
		struct member member = members_get(m, i);

		described_add(to, (const char *)member.name.p, member.name.n);
		described_add(to, "=", 1);
		described_number(to, member.size);
		described_add(to, "/", 1);
		described_number(to, member.packed);
		if (member.encrypted)
			described_add(to, "*", 1);
		if (member.folder)
			described_add(to, "D", 1);
		described_add(to, " ", 1);
	}
	if (m->left_out > 0) {
		described_add(to, "+", 1);
		described_number(to, m->left_out);
		described_add(to, " ", 1);
	}
	if (m->bomb)
		described_add(to, "BOMB ", 5);
	if (m->partial)
		described_add(to, "partial ", 8);
	if (m->fault != NULL) {
		described_add(to, "fault: ", 7);
		described_add(to, m->fault, strlen(m->fault));
	}
	if (m->ambiguities > 0) {
		described_add(to, "ambiguous: ", 11);
		described_add(to, m->ambiguous, strlen(m->ambiguous));
	}
}

/* chunk 0: cut once, at "cut". */
static inline void
read_archive(const char *type, struct span octets, size_t chunk, size_t cut, char *to)
{
	struct archive_budget budget = {ARCHIVE_BUDGET_MEMBERS, ARCHIVE_BUDGET_INFLATE};
	struct archive_reader *a = archive_reader_new(span_str(type), &budget);

	if (a == NULL)
		abort();
	if (chunk == 0) {
		archive_reader_feed(a, span_first(octets, cut));
		archive_reader_feed(a, span_from(octets, cut));
	}
	for (size_t at = 0; chunk > 0 && at < octets.n; at += chunk)
		archive_reader_feed(a, span_first(span_from(octets, at), chunk));
	archive_reader_finish(a);
	describe(archive_reader_members(a), to);
	archive_reader_free(a);
}

/* The same however it is cut: "want". */
static inline void
assert_archive(const char *type, const struct made *made, const char *want)
{
	struct span octets = span_of(made->p, made->n);
	char got[DESCRIBED_MAX];

	for (size_t cut = 0; cut <= octets.n; cut += octets.n > 4000 ? 997 : 1) {
		read_archive(type, octets, 0, cut, got);
		if (strcmp(got, want) != 0)
			fail_msg("cut at %zu: '%s' where '%s' was expected", cut, got, want);
	}
	for (size_t chunk = 1; chunk < 40; chunk = chunk * 2 + 1) {
		read_archive(type, octets, chunk, 0, got);
		if (strcmp(got, want) != 0)
			fail_msg("chunks of %zu: '%s' where '%s' was expected", chunk, got, want);
	}
}

#endif
