#include "mime/zip.h"

#include <stdlib.h>

#include "mime/le.h"

/* APPNOTE s4.3: signatures as little-endian numbers, and the fixed part of each record in octets.
 */
#define SIG_LOCAL      0x04034b50u
#define SIG_DESCRIPTOR 0x08074b50u
#define SIG_CENTRAL    0x02014b50u
#define SIG_SIGNATURE  0x05054b50u
#define SIG_EXTRA      0x08064b50u
#define SIG_END64      0x06064b50u
#define SIG_LOCATOR64  0x07064b50u
#define SIG_END	       0x06054b50u
#define SIG_SPAN       0x30304b50u /* "PK00": a split archive that fitted into one */
#define SIG_SIZE       4

#define LOCAL_SIZE	30
#define CENTRAL_SIZE	46
#define END_SIZE	22
#define END64_SIZE	56
#define LOCATOR64_SIZE	20
#define DESCRIPTOR_MAX	24
#define DESCRIPTOR_SIZE 16

#define AGAIN_MAX 64 /* more than the longest fixed part */

#define FLAG_ENCRYPTED	0x0001
#define FLAG_DESCRIPTOR 0x0008
#define FLAG_MASKED	0x2000 /* the local header hides what the encrypted directory says */

#define EXTRA_ZIP64   0x0001
#define EXTRA_UNICODE 0x7075 /* Info-ZIP: the name once more, in UTF-8 */

#define UNKNOWN32 0xffffffffu
#define METHODS	  100 /* the highest known number of a method is 99 (AES) */

enum state {
	RECORD,	   /* of known or unfolding length */
	DATA,	   /* of known length: "skip" */
	OPEN_DATA, /* up to a descriptor */
	SEARCH,	   /* nothing that belongs to a record, up to the next signature */
};

/* What a header says about a member. */
struct entry {
	struct span name, unicode;
	unsigned flags, method;
	uint64_t size, packed, at;
	bool wide; /* has a ZIP64 extra field */
};

struct local {
	uint64_t at, end; /* of header and data, end of known data only, else at */
	size_t member;
	bool in_central, named;
};

struct zip {
	struct members *m;
	enum state state;
	uint64_t at; /* offset of the next octet */
	struct buf record;
	size_t need;
	uint64_t skip;
	/* scan for signatures */
	unsigned matched; /* octets of one */
	uint8_t third;
	uint8_t past[DESCRIPTOR_MAX + SIG_SIZE]; /* last octets, the newest at the end */
	/* the member at work */
	struct local *local; /* NULL: not listed */
	uint64_t data_at, gap_at;
	bool descriptor;
	/* the archive at work: others may follow it in the same octets */
	uint64_t base, directory_at, directory_n, entries64;
	size_t first_local, hint;
	bool in_directory, ended, any;
	struct local *locals;
	size_t n_locals, cap_locals;
	uint64_t locals_left_out;
	/* octets that looked like a record and are none: looked at again from the second one on */
	uint8_t again[AGAIN_MAX];
	size_t again_n;
};

struct zip *
zip_new(struct members *m)
{
	struct zip *z = calloc(1, sizeof(*z));

	if (z == NULL)
		return NULL;
	z->m = m;
	z->state = RECORD;
	z->need = SIG_SIZE;
	buf_init(&z->record, ZIP_RECORD_MAX);
	return z;
}

void
zip_free(struct zip *z)
{
	if (z == NULL)
		return;
	buf_free(&z->record);
	free(z->locals);
	free(z);
}

/* ---- headers ---- */

/* One value of a ZIP64 extra field, which has only those whose place in the header is all ones. */
static void
take_wide(uint64_t *value, struct span *field)
{
	if (*value != UNKNOWN32)
		return;
	if (field->n >= 8)
		*value = le64(field->p);
	*field = span_from(*field, 8);
}

static void
read_extra(struct entry *e, struct span extra)
{
	while (extra.n >= 4) {
		unsigned id = le16(extra.p);
		struct span field = span_first(span_from(extra, 4), le16(extra.p + 2));

		extra = span_from(extra, 4 + field.n);
		if (id == EXTRA_ZIP64) {
			e->wide = true;
			take_wide(&e->size, &field);
			take_wide(&e->packed, &field);
			take_wide(&e->at, &field);
		} else if (id == EXTRA_UNICODE && field.n > 5 && field.p[0] == 1) {
			e->unicode = span_from(field, 5);
		}
	}
}

static struct entry
read_local(struct span r)
{
	size_t name = le16(r.p + 26);
	struct entry e = {
	    .name = span_first(span_from(r, LOCAL_SIZE), name),
	    .flags = le16(r.p + 6),
	    .method = le16(r.p + 8),
	    .packed = le32(r.p + 18),
	    .size = le32(r.p + 22),
	};

	read_extra(&e, span_from(r, LOCAL_SIZE + name));
	return e;
}

static struct entry
read_central(struct span r)
{
	size_t name = le16(r.p + 28), extra = le16(r.p + 30);
	struct entry e = {
	    .name = span_first(span_from(r, CENTRAL_SIZE), name),
	    .flags = le16(r.p + 8),
	    .method = le16(r.p + 10),
	    .packed = le32(r.p + 20),
	    .size = le32(r.p + 24),
	    .at = le32(r.p + 42),
	};

	read_extra(&e, span_first(span_from(r, CENTRAL_SIZE + name), extra));
	return e;
}

static struct member
as_member(const struct entry *e, bool sizes)
{
	return (struct member){
	    .name = e->name,
	    .size = sizes ? e->size : MEMBER_SIZE_UNKNOWN,
	    .packed = sizes ? e->packed : MEMBER_SIZE_UNKNOWN,
	    .encrypted = (e->flags & FLAG_ENCRYPTED) != 0,
	    .folder = e->name.n > 0 && e->name.p[e->name.n - 1] == '/',
	};
}

/* The second name that a header has: some programs use it, others do not. */
static void
compare_unicode(struct zip *z, const struct entry *e)
{
	struct member m = as_member(e, false);

	if (e->unicode.n == 0 || span_eq(e->unicode, e->name) || !span_is_ascii(e->name))
		return; /* it is there for names that are not ASCII: nobody compares those */
	members_ambiguous(z->m, "name", e->name, "unicode name", e->unicode);
	m.name = e->unicode;
	members_add(z->m, &m);
}

/* ---- local headers ---- */

static bool
list_local(struct zip *z, const struct member *member)
{
	size_t cap = z->cap_locals == 0 ? 8 : z->cap_locals * 2;
	struct local *locals;

	z->local = NULL;
	if (z->n_locals == z->cap_locals) {
		if ((locals = realloc(z->locals, cap * sizeof(*locals))) == NULL) {
			z->m->nomem = true;
			return false;
		}
		z->locals = locals;
		z->cap_locals = cap;
	}
	if (!members_add(z->m, member))
		return false;
	z->local = &z->locals[z->n_locals++];
	*z->local = (struct local){.member = z->m->n - 1};
	return true;
}

static void
end_member(struct zip *z, uint64_t end)
{
	if (z->local != NULL)
		z->local->end = end;
	z->gap_at = z->at;
}

static void
take_local(struct zip *z, struct span record)
{
	struct entry e = read_local(record);
	uint64_t at = z->at - record.n;
	bool open = (e.flags & FLAG_DESCRIPTOR) != 0 && e.packed == 0;
	struct member member = as_member(&e, !open);

	z->any = true;
	z->descriptor = (e.flags & FLAG_DESCRIPTOR) != 0;
	z->in_directory = false;
	z->data_at = z->at;
	if (list_local(z, &member)) {
		z->local->at = z->local->end = at;
		z->local->named = (e.flags & FLAG_MASKED) == 0;
	} else {
		z->locals_left_out++;
	}
	compare_unicode(z, &e);
	z->matched = 0;
	if (open) {
		memset(z->past, 0, sizeof(z->past));
		z->state = OPEN_DATA;
		return;
	}
	end_member(z, e.packed > UINT64_MAX - z->at ? UINT64_MAX : z->at + e.packed);
	z->skip = e.packed;
	z->state = DATA;
}

/* ---- the central directory ---- */

static struct local *
find_local(struct zip *z, uint64_t at)
{
	size_t low = z->first_local, high = z->n_locals;

	if (z->hint < z->n_locals && z->locals[z->hint].at == at)
		return &z->locals[z->hint++]; /* they come in the same order, mostly */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (z->locals[middle].at == at) {
			z->hint = middle + 1;
			return &z->locals[middle];
		}
		if (z->locals[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void
compare(struct zip *z, const struct local *local, const struct entry *e)
{
	struct member there = members_get(z->m, local->member), here = as_member(e, true);

	if (local->named && !span_eq(there.name, span_first(e->name, MEMBER_NAME_MAX))) {
		members_ambiguous(z->m, "local header", there.name, "central directory", e->name);
		members_add(z->m, &here);
	} else if (there.encrypted != here.encrypted) {
		members_ambiguous(z->m,
		    there.encrypted ? "local header: encrypted" : "local header: clear", there.name,
		    here.encrypted ? "central directory: encrypted" : "central directory: clear",
		    e->name);
	} else if (local->named && there.size != MEMBER_SIZE_UNKNOWN &&
		   (there.size != e->size || there.packed != e->packed)) {
		members_ambiguous(z->m, "size in local header", there.name,
		    "another in central directory", e->name);
	}
}

/* A record of the directory whose local header was not met on the way. */
static void
take_hidden(struct zip *z, const struct entry *e)
{
	struct member member = as_member(e, true);
	bool inside = e->at < z->at;

	if (z->locals_left_out > 0)
		return; /* it may be one of these */
	members_add(z->m, &member);
	if (inside && z->n_locals > z->first_local) {
		members_ambiguous(z->m, "data of another member", SPAN_NONE,
		    "a member by the central directory", e->name);
		z->m->bomb = true; /* members that overlap have no other use */
	} else {
		members_ambiguous(z->m, "no local header", SPAN_NONE, "central directory", e->name);
	}
}

/* Who goes by the central directory sees it under each of its names. */
static void
take_twice(struct zip *z, const struct local *local, const struct entry *e)
{
	const struct member member = as_member(e, true);

	if (!span_eq(members_get(z->m, local->member).name, span_first(e->name, MEMBER_NAME_MAX)))
		members_add(z->m, &member);
}

static void
take_central(struct zip *z, struct span record)
{
	struct entry e = read_central(record);
	struct local *local;

	if (!z->in_directory) {
		z->directory_at = z->at - record.n;
		z->directory_n = 0;
	}
	z->any = z->in_directory = true;
	z->directory_n++;
	compare_unicode(z, &e);
	local = find_local(z, e.at);
	if (local == NULL && z->base > 0 && e.at <= UINT64_MAX - z->base)
		local = find_local(z, z->base + e.at);
	if (local == NULL) {
		take_hidden(z, &e);
	} else if (local->in_central) {
		take_twice(z, local, &e);
		members_ambiguous(z->m, "one member", members_get(z->m, local->member).name,
		    "twice in the central directory", e.name);
		z->m->bomb = true;
	} else {
		local->in_central = true;
		compare(z, local, &e);
	}
}

static void
take_end(struct zip *z, struct span record)
{
	uint64_t entries = le16(record.p + 10), size = le32(record.p + 12),
		 at = le32(record.p + 16);
	uint64_t start = z->in_directory ? z->directory_at : z->at - record.n;
	uint64_t n = z->in_directory ? z->directory_n : 0;

	if (entries == 0xffff && z->entries64 != UINT64_MAX && z->entries64 != 0)
		entries = z->entries64;
	if (le16(record.p + 4) != 0 && le16(record.p + 4) != 0xffff)
		z->m->partial = true; /* one disk of several */
	else if (entries != n)
		members_ambiguous(z->m, "entries of the central directory", SPAN_NONE,
		    "another number at its end", SPAN_NONE);
	else if (at != UNKNOWN32 && at != start && at + z->base != start)
		members_ambiguous(z->m, "central directory", SPAN_NONE,
		    "another place by the end record", SPAN_NONE);
	else if (size != UNKNOWN32 && z->entries64 == 0 && size != z->at - record.n - start)
		members_ambiguous(z->m, "size of the central directory", SPAN_NONE,
		    "another by the end record", SPAN_NONE);
	for (size_t i = z->first_local; i < z->n_locals; i++)
		if (!z->locals[i].in_central)
			members_ambiguous(z->m, "local header",
			    members_get(z->m, z->locals[i].member).name,
			    "not in the central directory", SPAN_NONE);
	z->ended = true;
	z->state = SEARCH; /* the comment, and whatever is behind it */
	z->matched = 0;
}

/* ---- records ---- */

static bool
is_plausible(struct span r, uint32_t signature)
{
	if (signature == SIG_LOCAL)
		return le16(r.p + 8) < METHODS && le16(r.p + 26) > 0;
	if (signature == SIG_CENTRAL)
		return le16(r.p + 10) < METHODS && le16(r.p + 28) > 0;
	return true;
}

/* Octets of the part of a record that is always there. */
static size_t
fixed_size(uint32_t signature)
{
	static const struct {
		uint32_t signature;
		size_t n;
	} records[] = {
	    {SIG_LOCAL, LOCAL_SIZE},
	    {SIG_CENTRAL, CENTRAL_SIZE},
	    {SIG_END, END_SIZE},
	    {SIG_END64, END64_SIZE},
	    {SIG_LOCATOR64, LOCATOR64_SIZE},
	    {SIG_DESCRIPTOR, DESCRIPTOR_SIZE},
	    {SIG_SPAN, SIG_SIZE},
	    {SIG_SIGNATURE, 6},
	    {SIG_EXTRA, 8},
	};

	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		if (records[i].signature == signature)
			return records[i].n;
	return 0;
}

/* Octets of the whole record that begins with r, as far as r tells; 0: it is none. */
static size_t
record_size(struct span r)
{
	uint32_t signature = le32(r.p);
	size_t fixed = fixed_size(signature);

	if (r.n < fixed || fixed == 0)
		return fixed;
	if (!is_plausible(r, signature))
		return 0;
	if (signature == SIG_LOCAL)
		return fixed + le16(r.p + 26) + le16(r.p + 28);
	if (signature == SIG_CENTRAL)
		return fixed + le16(r.p + 28) + (size_t)le16(r.p + 30) + le16(r.p + 32);
	return fixed;
}

static void
begin_record(struct zip *z)
{
	buf_clear(&z->record);
	z->need = SIG_SIZE;
	z->state = RECORD;
}

/* What was taken for a record is none. */
static void
begin_search(struct zip *z)
{
	struct span rest = span_from(buf_span(&z->record), 1);

	memcpy(z->again, rest.p, rest.n);
	z->again_n = rest.n;
	z->at -= rest.n;
	buf_clear(&z->record);
	z->state = SEARCH;
	z->matched = 0;
}

/* These have data whose size the header says. */
static void
skip_data(struct zip *z, uint64_t n)
{
	z->skip = n;
	z->state = DATA;
	z->gap_at = z->at + (n > UINT64_MAX - z->at ? 0 : n);
}

static void
take_record(struct zip *z, struct span r)
{
	z->gap_at = z->at;
	buf_clear(&z->record); /* its octets stay until the next one is written */
	z->need = SIG_SIZE;
	switch (le32(r.p)) {
	case SIG_LOCAL:
		take_local(z, r);
		break;
	case SIG_CENTRAL:
		take_central(z, r);
		break;
	case SIG_END:
		take_end(z, r);
		break;
	case SIG_END64:
		z->entries64 = le64(r.p + 32);
		skip_data(z, le64(r.p + 4) >= 44 ? le64(r.p + 4) - 44 : 0);
		break;
	case SIG_SIGNATURE:
		skip_data(z, le16(r.p + 4));
		break;
	case SIG_EXTRA: /* of an encrypted central directory, which is not to be read */
		z->m->encrypted = z->m->partial = true;
		skip_data(z, le32(r.p + 4));
		break;
	default: /* a descriptor behind data of known size, or a mark of a split archive */
		break;
	}
}

static size_t
feed_record(struct zip *z, struct span in)
{
	struct span take = span_first(in, z->need - z->record.n);
	size_t whole;

	if (!buf_add(&z->record, take)) {
		z->m->nomem = true;
		buf_clear(&z->record);
		z->state = SEARCH;
		z->at += take.n;
		return take.n;
	}
	z->at += take.n;
	if (z->record.n < z->need)
		return take.n;
	whole = record_size(buf_span(&z->record));
	if (whole == 0)
		begin_search(z);
	else if (whole > z->need)
		z->need = whole;
	else
		take_record(z, buf_span(&z->record));
	return take.n;
}

/* ---- what is between records ---- */

static void
remember(struct zip *z, struct span octets)
{
	size_t max = sizeof(z->past), n = octets.n < max ? octets.n : max;

	memmove(z->past, z->past + n, max - n);
	memcpy(z->past + max - n, octets.p + octets.n - n, n);
}

/* True: with c a signature is complete that a record may begin with. */
static bool
match_signature(struct zip *z, uint8_t c)
{
	if (z->matched == 3 && ((z->third == 1 && c == 2) || (z->third == 3 && c == 4) ||
				   (z->third == 5 && c == 6) || (z->third == 6 && c == 6))) {
		z->matched = 0;
		return true;
	}
	if (z->matched == 1 && c == 'K') {
		z->matched = 2;
	} else if (z->matched == 2 && (c == 1 || c == 3 || c == 5 || c == 6)) {
		z->matched = 3;
		z->third = c;
	} else {
		z->matched = c == 'P';
	}
	return false;
}

/* Takes octets up to and including the next signature, or all. True: one is complete. */
static bool
scan(struct zip *z, struct span in, size_t *used)
{
	size_t i = 0;
	bool found = false;

	while (i < in.n && !found) {
		if (z->matched == 0) {
			ptrdiff_t at = span_find(span_from(in, i), 'P');

			if (at < 0) {
				i = in.n;
				break;
			}
			i += (size_t)at;
		}
		found = match_signature(z, in.p[i++]);
	}
	remember(z, span_first(in, i));
	z->at += i;
	*used = i;
	return found;
}

/* The octets before the signature are a descriptor of just the data before it (s4.3.9). */
static bool
read_descriptor(struct zip *z, uint64_t *size, uint64_t *packed, uint64_t *data_end)
{
	static const struct {
		size_t n, packed_at;
		bool signature, wide;
	} forms[] = {
	    {16, 8, true, false}, {24, 8, true, true}, {12, 4, false, false}, {20, 4, false, true}};
	uint64_t data = z->at - SIG_SIZE - z->data_at;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const uint8_t *p = z->past + sizeof(z->past) - SIG_SIZE - forms[i].n;

		if (data < forms[i].n || (forms[i].signature && le32(p) != SIG_DESCRIPTOR))
			continue;
		p += forms[i].packed_at;
		*packed = forms[i].wide ? le64(p) : le32(p);
		*size = forms[i].wide ? le64(p + 8) : le32(p + 4);
		*data_end = z->at - SIG_SIZE - forms[i].n;
		if (*packed == data - forms[i].n)
			return true;
	}
	return false;
}

/* A signature stands in past: a record begins with it. */
static void
resume(struct zip *z)
{
	begin_record(z);
	buf_add(&z->record, span_of(z->past + sizeof(z->past) - SIG_SIZE, SIG_SIZE));
	z->need = record_size(buf_span(&z->record));
}

static void
leave_open_data(struct zip *z)
{
	uint64_t size, packed, end;

	if (read_descriptor(z, &size, &packed, &end)) {
		if (z->local != NULL)
			members_set_sizes(z->m, z->local->member, size, packed);
		end_member(z, end);
		resume(z);
	} else if (z->past[sizeof(z->past) - 2] == 1) {
		/* the central directory: what is within a member is packed, and does not look so */
		members_ambiguous(z->m, "data whose descriptor does not fit", SPAN_NONE,
		    "central directory", SPAN_NONE);
		end_member(z, z->at - SIG_SIZE);
		resume(z);
	}
}

/* Another archive behind the end of one, or the first one behind something else. */
static void
begin_archive(struct zip *z, uint64_t at)
{
	z->base = at;
	z->first_local = z->hint = z->n_locals;
	z->entries64 = 0;
	z->in_directory = z->ended = false;
}

static void
leave_search(struct zip *z)
{
	uint64_t at = z->at - SIG_SIZE, gap = at - z->gap_at;

	if (z->ended) {
		members_ambiguous(
		    z->m, "end of the archive", SPAN_NONE, "another one behind it", SPAN_NONE);
		begin_archive(z, at);
	} else if (!z->any) {
		begin_archive(z, at);
	} else if (!z->descriptor || gap > DESCRIPTOR_MAX) {
		members_ambiguous(z->m, "octets between members", SPAN_NONE,
		    "members by their headers", SPAN_NONE);
	}
	resume(z);
}

static size_t
feed_data(struct zip *z, struct span in)
{
	size_t n = in.n < z->skip ? in.n : (size_t)z->skip;

	z->skip -= n;
	z->at += n;
	if (z->skip == 0) {
		z->gap_at = z->at;
		begin_record(z);
	}
	return n;
}

static size_t
feed_scan(struct zip *z, struct span in)
{
	size_t used;

	if (scan(z, in, &used)) {
		if (z->state == OPEN_DATA)
			leave_open_data(z);
		else
			leave_search(z);
	}
	return used;
}

static size_t
step(struct zip *z, struct span in)
{
	switch (z->state) {
	case RECORD:
		return feed_record(z, in);
	case DATA:
		return feed_data(z, in);
	case OPEN_DATA:
	case SEARCH:
		break;
	}
	return feed_scan(z, in);
}

/* Octets that are to be looked at again come first; what is put back meanwhile, before them. */
static void
step_again(struct zip *z)
{
	uint8_t octets[AGAIN_MAX];
	size_t n = z->again_n, used;

	memcpy(octets, z->again, n);
	z->again_n = 0;
	used = step(z, span_of(octets, n));
	memcpy(z->again + z->again_n, octets + used, n - used);
	z->again_n += n - used;
}

void
zip_feed(struct zip *z, struct span in)
{
	while (in.n > 0 || z->again_n > 0 || (z->state == DATA && z->skip == 0)) {
		if (z->again_n > 0)
			step_again(z);
		else
			in = span_from(in, step(z, in));
	}
}

void
zip_finish(struct zip *z)
{
	if (z->any && !z->ended) {
		members_fault(z->m, "the archive ends before the end of its central directory");
		z->m->partial = true;
	}
}
