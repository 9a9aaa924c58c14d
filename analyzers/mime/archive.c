#include "mime/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdlib.h>

#include "mime/gzip.h"
#include "mime/le.h"
#include "mime/tar.h"
#include "mime/tnef.h"
#include "mime/zip.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

/* Entries that libarchive is asked for: each costs it work, also those beyond our budget. */
#define ENTRIES_MAX 10000

enum reader { ZIP, TAR, GZIP, TNEF, PULL };

/* By the types of detect.h, ours and those of the system's database. */
static const struct {
	const char *type; /* a whole one, or a prefix that ends in "." */
	enum reader reader;
} types[] = {
    {"application/zip", ZIP},
    {"application/java-archive", ZIP},
    {"application/epub+zip", ZIP},
    {"application/vnd.openxmlformats-officedocument.", ZIP},
    {"application/vnd.oasis.opendocument.", ZIP},
    {"application/vnd.android.package-archive", ZIP},
    {"application/vnd.ms-appx", ZIP},
    {"application/vnd.ms-visio.", ZIP},
    /* self-extracting ones: a program, and then the archive */
    {"application/vnd.microsoft.portable-executable", ZIP},
    {"application/x-dosexec", ZIP},
    {"application/x-tar", TAR},
    {"application/gzip", GZIP},
    {"application/x-gzip", GZIP},
    {"application/vnd.ms-tnef", TNEF},
    {"application/ms-tnef", TNEF},
    {"application/x-rar", PULL},
    {"application/vnd.rar", PULL},
    {"application/x-7z-compressed", PULL},
    {"application/vnd.ms-cab-compressed", PULL},
    {"application/x-iso9660-image", PULL},
    {"application/x-lzh-compressed", PULL},
    {"application/x-cpio", PULL},
    {"application/x-archive", PULL},
    {"application/vnd.debian.binary-package", PULL},
};

struct archive_reader {
	struct members m;
	enum reader reader;
	union {
		struct zip *zip;
		struct tar *tar;
		struct gzip *gzip;
		struct tnef *tnef;
	} of;
	struct buf prefix;
	uint64_t whole;
	bool beyond; /* there is more than the prefix */
};

/*
 * libarchive asks the locale for the names' character encoding. In this one it converts between
 * UTF-8 and UTF-16 by itself, where another would make it load a table from a file.
 */
static locale_t utf8;

bool
archive_global_init(const char **why)
{
	if (utf8 != (locale_t)0)
		return true;
	if ((utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0)) != (locale_t)0)
		return true;
	*why = "the locale C.UTF-8 is not there";
	return false;
}

void
archive_global_end(void)
{
	if (utf8 != (locale_t)0)
		freelocale(utf8);
	utf8 = (locale_t)0;
}

static size_t
find_type(struct span type)
{
	size_t i = 0;

	for (; i < nitems(types); i++) {
		struct span row = span_str(types[i].type);

		if (row.p[row.n - 1] == '.' ? span_starts(type, row) : span_eq(type, row))
			break;
	}
	return i;
}

bool
archive_is(struct span type)
{
	return find_type(type) < nitems(types);
}

static bool
open_reader(struct archive_reader *a)
{
	switch (a->reader) {
	case ZIP:
		return (a->of.zip = zip_new(&a->m)) != NULL;
	case TAR:
		return (a->of.tar = tar_new(&a->m)) != NULL;
	case GZIP:
		return (a->of.gzip = gzip_new(&a->m)) != NULL;
	case TNEF:
		return (a->of.tnef = tnef_new(&a->m)) != NULL;
	case PULL:
		break;
	}
	buf_init(&a->prefix, ARCHIVE_PREFIX);
	return true;
}

struct archive_reader *
archive_reader_new(struct span type, struct archive_budget *budget)
{
	size_t i = find_type(type);
	struct archive_reader *a;

	if (i == nitems(types) || (a = calloc(1, sizeof(*a))) == NULL)
		return NULL;
	a->reader = types[i].reader;
	members_init(&a->m, budget);
	if (open_reader(a))
		return a;
	free(a);
	return NULL;
}

void
archive_reader_free(struct archive_reader *a)
{
	if (a == NULL)
		return;
	if (a->reader == ZIP)
		zip_free(a->of.zip);
	else if (a->reader == TAR)
		tar_free(a->of.tar);
	else if (a->reader == GZIP)
		gzip_free(a->of.gzip);
	else if (a->reader == TNEF)
		tnef_free(a->of.tnef);
	buf_free(&a->prefix);
	members_free(&a->m);
	free(a);
}

/* ---- what libarchive reads ---- */

static void
add_entry(struct archive_reader *a, struct archive_entry *entry)
{
	const char *name = archive_entry_pathname_utf8(entry);
	struct member member = {.size = MEMBER_SIZE_UNKNOWN, .packed = MEMBER_SIZE_UNKNOWN};

	if (name == NULL)
		name = archive_entry_pathname(entry);
	if (name != NULL)
		member.name = span_str(name);
	if (archive_entry_size_is_set(entry) && archive_entry_size(entry) >= 0)
		member.size = (uint64_t)archive_entry_size(entry);
	member.encrypted = archive_entry_is_encrypted(entry) != 0;
	member.folder = archive_entry_filetype(entry) == AE_IFDIR;
	members_add(&a->m, &member);
}

static void
list_entries(struct archive_reader *a, struct archive *from)
{
	struct archive_entry *entry;
	int status = ARCHIVE_OK;

	for (size_t i = 0; i < ENTRIES_MAX && status != ARCHIVE_EOF; i++) {
		status = archive_read_next_header(from, &entry);
		if (status == ARCHIVE_EOF)
			return;
		if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
			break;
		add_entry(a, entry);
	}
	a->m.partial = true;
	if (archive_read_has_encrypted_entries(from) > 0)
		a->m.encrypted = true;
	else if (!a->beyond)
		members_fault(&a->m, "the list of members is damaged or of an unknown kind");
}

/* Only what has no reader of our own, and no filters: nothing is to be unpacked. */
static void
support(struct archive *from)
{
	archive_read_support_format_rar(from);
	archive_read_support_format_rar5(from);
	archive_read_support_format_7zip(from);
	archive_read_support_format_cab(from);
	archive_read_support_format_iso9660(from);
	archive_read_support_format_lha(from);
	archive_read_support_format_cpio(from);
	archive_read_support_format_ar(from);
}

/* RAR 5's numbers: seven bits an octet, the least significant first. Behind the end: 0. */
static uint64_t
take_number(struct span *s)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t c = 0x80;

	while (s->n > 0 && shift < 63 && (c & 0x80) != 0) {
		c = s->p[0];
		value |= (uint64_t)(c & 0x7f) << shift;
		shift += 7;
		*s = span_from(*s, 1);
	}
	return value;
}

/*
 * To step over a member of a solid RAR 5 archive libarchive unpacks it, which may be thousands of
 * times as much work as there are octets: such an archive is not opened.
 */
static bool
costs_too_much(struct span s)
{
	uint64_t flags;

	if (!span_starts(s, span_of("Rar!\x1a\7\1\0", 8)))
		return false;
	s = span_from(s, 8 + 4); /* signature, CRC */
	take_number(&s);	 /* size of the header */
	if (take_number(&s) != 1)
		return false; /* not the main header: its list is encrypted */
	flags = take_number(&s);
	if ((flags & 1) != 0)
		take_number(&s);
	if ((flags & 2) != 0)
		take_number(&s);
	return (take_number(&s) & 4) != 0;
}

static void
pull(struct archive_reader *a)
{
	struct archive *from;
	locale_t before;

	a->m.partial = a->beyond || a->m.nomem;
	if (costs_too_much(buf_span(&a->prefix))) {
		a->m.partial = true;
		return;
	}
	if ((from = archive_read_new()) == NULL) {
		a->m.nomem = a->m.partial = true;
		return;
	}
	before = utf8 != (locale_t)0 ? uselocale(utf8) : (locale_t)0;
	support(from);
	if (archive_read_open_memory(from, a->prefix.p, a->prefix.n) == ARCHIVE_OK) {
		list_entries(a, from);
	} else {
		a->m.partial = true;
		members_fault(&a->m, "the archive cannot be read");
	}
	archive_read_free(from);
	if (utf8 != (locale_t)0)
		uselocale(before);
}

static void
keep(struct archive_reader *a, struct span octets)
{
	struct span taken = span_first(octets, a->prefix.max - a->prefix.n);

	a->beyond = a->beyond || taken.n < octets.n;
	if (!buf_add(&a->prefix, taken))
		a->m.nomem = a->beyond = true;
}

/* ---- any of them ---- */

void
archive_reader_feed(struct archive_reader *a, struct span octets)
{
	a->whole += octets.n;
	switch (a->reader) {
	case ZIP:
		zip_feed(a->of.zip, octets);
		break;
	case TAR:
		tar_feed(a->of.tar, octets);
		break;
	case GZIP:
		gzip_feed(a->of.gzip, octets);
		break;
	case TNEF:
		tnef_feed(a->of.tnef, octets);
		break;
	case PULL:
		keep(a, octets);
		break;
	}
}

void
archive_reader_finish(struct archive_reader *a)
{
	switch (a->reader) {
	case ZIP:
		zip_finish(a->of.zip);
		break;
	case TAR:
		tar_finish(a->of.tar);
		break;
	case GZIP:
		gzip_finish(a->of.gzip);
		break;
	case TNEF:
		tnef_finish(a->of.tnef);
		break;
	case PULL:
		pull(a);
		break;
	}
	if (a->reader != TAR && a->reader != TNEF) /* these pack nothing */
		members_judge(&a->m, a->whole);
}

const struct members *
archive_reader_members(const struct archive_reader *a)
{
	return &a->m;
}
