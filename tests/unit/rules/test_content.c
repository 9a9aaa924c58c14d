/*
 * The policy alone: what is known of a message is made up here, in place of a parsed one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "content.h"

/* ---- a message of our own ---- */

struct mail {
	struct mail_part parts[8];
	size_t n;
	uint64_t left_out, anomalies_left_out;
	bool broken, facts_left_out, file;
};

bool
mail_is_file(const struct mail *m)
{
	return m->file;
}

size_t
mail_parts(const struct mail *m)
{
	return m->n;
}

const struct mail_part *
mail_part(const struct mail *m, size_t i)
{
	return &m->parts[i];
}

uint64_t
mail_parts_left_out(const struct mail *m)
{
	return m->left_out;
}

uint64_t
mail_anomalies_left_out(const struct mail *m)
{
	return m->anomalies_left_out;
}

bool
mail_facts_left_out(const struct mail *m)
{
	return m->facts_left_out;
}

bool
mail_broken(const struct mail *m)
{
	return m->broken;
}

static struct mail_part *
add(struct mail *m, const char *path, const char *type, const char *name)
{
	struct mail_part *p = &m->parts[m->n++];

	*p = (struct mail_part){.shape = MIME_LEAF, .number = (unsigned)m->n - 1};
	memcpy(p->path, path, strlen(path) + 1);
	p->type = span_str(type);
	if (name != NULL) {
		p->filename = span_str(name);
		p->attachment = true;
	}
	return p;
}

/* ---- policies ---- */

static struct content_policy
all_of(enum check check)
{
	struct content_policy p = {.check = CHECK_ENFORCE};

	for (unsigned i = 0; i < CONTENT_RULES; i++)
		p.rules[i] = check;
	return p;
}

static struct verdict
judged(const struct content_policy *p, const struct mail *m)
{
	struct verdict v;

	content_judge(p, m, true, &v);
	assert_string_equal(v.rule, "content");
	return v;
}

static void
refused_for(
    const struct content_policy *p, const struct mail *m, const char *reason, const char *reply)
{
	struct verdict v = judged(p, m);

	assert_int_equal(v.action, VERDICT_REFUSE);
	assert_false(v.would_refuse);
	assert_string_equal(v.reason, reason);
	assert_string_equal(v.reply, reply);
}

static void
passes(const struct content_policy *p, const struct mail *m)
{
	struct verdict v = judged(p, m);

	assert_int_equal(v.action, VERDICT_PASS);
	assert_false(v.would_refuse);
	assert_string_equal(v.reason, "clean");
	assert_string_equal(v.reply, "");
}

/* ---- words ---- */

static void
test_globs(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} rows[] = {{"image/*", "image/png", true}, {"image/*", "image/", true},
	    {"image/*", "imag", false}, {"*/x-dosexec", "application/x-dosexec", true},
	    {"*/x-dosexec", "application/x-dosexec2", false},
	    {"application/vnd.*.macro*", "application/vnd.ms-excel.sheet.macroenabled.12", true},
	    {"application/vnd.*.macro*", "application/vnd.ms-excel", false}, {"*", "", true},
	    {"*", "a/b", true}, {"", "", true}, {"", "a", false}, {"a", "", false},
	    {"image/png", "Image/PNG", true}, {"image/png", "image/png2", false},
	    {"a*b*c", "abbbcbc", true}, {"a*b*c", "abbbcbd", false}, {"**a**", "a", true}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (content_glob(rows[i].pattern, span_str(rows[i].text)) != rows[i].match)
			fail_msg("%s and %s", rows[i].pattern, rows[i].text);
	assert_false(content_glob("a", span_of("a\0", 2)));
}

static void
test_extensions(void **state)
{
	static const struct {
		const char *name, *extension;
		bool match;
	} rows[] = {{"a.exe", "exe", true}, {"A.EXE", "exe", true}, {"a.exe.txt", "exe", false},
	    {"a.txt.exe", "exe", true}, {"aexe", "exe", false}, {"exe", "exe", false},
	    {".exe", "exe", true}, {"a.exe ", "exe", true}, {"a.exe. . .", "exe", true},
	    {"a.exe\t", "exe", true}, {"a.tar.gz", "tar.gz", true}, {"a.tar.gz", "gz", true},
	    {"a.gz", "tar.gz", false}, {"a.exe:x", "exe", true}, {"a.txt:b.exe", "exe", true},
	    {"", "exe", false}, {"...", "exe", false}, {"dir/a.exe", "exe", true},
	    {"a.exe/b.txt", "exe", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (content_has_extension(span_str(rows[i].name), rows[i].extension) !=
		    rows[i].match)
			fail_msg("%s and %s", rows[i].name, rows[i].extension);
	assert_true(content_has_extension(span_of("a.exe\0.txt", 10), "exe"));
	assert_true(content_has_extension(span_of("a.exe\0\0", 7), "exe"));
}

/* ---- rules ---- */

static void
test_types_declared_and_detected_M9(void **state)
{
	char *types[] = {(char[]){"image/*"}, (char[]){"application/x-dosexec"}, NULL};
	struct content_policy p = all_of(CHECK_ENFORCE);
	struct mail m = {.n = 0};
	struct mail_part *part = add(&m, "1", "application/pdf", "invoice.pdf");

	(void)state;
	p.types = types;
	passes(&p, &m);
	part->detected = span_str("application/x-dosexec");
	refused_for(&p, &m, "types",
	    "550 5.7.1 Message refused: part 1: files of this type are not accepted");
	part->detected = SPAN_NONE;
	part->type = span_str("image/png");
	memcpy(part->path, "1.2.1", sizeof("1.2.1"));
	refused_for(&p, &m, "types",
	    "550 5.7.1 Message refused: part 1.2.1: files of this type are not accepted");
}

static void
test_extensions_of_all_names_M9_M_024(void **state)
{
	char *extensions[] = {(char[]){"exe"}, (char[]){"js"}, NULL};
	struct content_policy p = all_of(CHECK_ENFORCE);
	struct mail m = {.n = 0};
	struct mail_part *part = add(&m, "2", "application/octet-stream", "a.txt");
	struct span names[] = {span_str("b.js"), span_str("a.txt")};

	(void)state;
	p.extensions = extensions;
	passes(&p, &m);
	part->names = names;
	part->n_names = 2;
	refused_for(&p, &m, "extensions",
	    "550 5.7.1 Message refused: part 2: files of this name are not accepted");
}

static void
test_extensions_in_archives_M9(void **state)
{
	char *extensions[] = {(char[]){"exe"}, NULL};
	struct content_policy p = all_of(CHECK_ENFORCE);
	struct mail m = {.n = 0};
	struct mail_part *part = add(&m, "2", "application/zip", "a.zip");
	struct mail_member members[] = {{.name = span_str("doc/"), .folder = true},
	    {.name = span_str("folder.exe"), .folder = true}, {.name = span_str("doc/setup.exe")}};

	(void)state;
	p.extensions = extensions;
	part->archive = MAIL_ARCHIVE;
	part->members = members;
	part->n_members = 2;
	passes(&p, &m);
	part->n_members = 3;
	assert_string_equal(judged(&p, &m).reason, "extensions");
}

static void
test_digest_M9_M13(void **state)
{
	struct content_policy p = all_of(CHECK_ENFORCE);
	struct mail m = {.n = 0};
	struct mail_part *part = add(&m, "3", "application/zip", "a.zip");
	uint8_t list[2 * DIGEST_SIZE] = {1};

	(void)state;
	assert_true(digests_borrow(&p.sha256, span_of(list, DIGEST_SIZE)));
	passes(&p, &m);
	part->sha256[0] = 1;
	passes(&p, &m); /* it has none */
	part->has_digests = true;
	assert_string_equal(judged(&p, &m).reason, "sha256");
	part->sha256[31] = 1;
	passes(&p, &m);
	part->stop_sha256[0] = 1; /* what programs have that stop at the padding */
	part->has_stop_sha256 = true;
	assert_string_equal(judged(&p, &m).reason, "sha256");
	part->has_stop_sha256 = false;
	passes(&p, &m);
	part->url_safe_sha256[0] = 1; /* and those to whom "-" is "+" */
	part->has_url_safe_sha256 = true;
	assert_string_equal(judged(&p, &m).reason, "sha256");
}

static void
test_what_is_odd_about_a_part_M9(void **state)
{
	struct content_policy p = all_of(CHECK_ENFORCE);
	struct mail m = {.n = 0};
	struct mail_part *part = add(&m, "1", "application/zip", "a.zip");

	(void)state;
	passes(&p, &m);
	part->mismatch = "an executable that says it is a document";
	assert_string_equal(judged(&p, &m).reason, "mismatch");
	part->mismatch = NULL;
	part->bomb = true;
	assert_string_equal(judged(&p, &m).reason, "bomb");
	part->bomb = false;
	part->encrypted = true; /* a letter to its recipient is no archive */
	passes(&p, &m);
	part->archive = MAIL_ARCHIVE_PARTIAL;
	assert_string_equal(judged(&p, &m).reason, "encrypted_archive");
	part->encrypted = false;
	part->ambiguous = true;
	assert_string_equal(judged(&p, &m).reason, "ambiguous");
	part->ambiguous = false;
	part->type = span_str("message/partial");
	assert_string_equal(judged(&p, &m).reason, "partial");
}

static void
test_size_M9(void **state)
{
	struct content_policy p = all_of(CHECK_ENFORCE);
	struct mail m = {.n = 0};
	struct mail_part *part = add(&m, "1", "application/zip", "a.zip");

	(void)state;
	part->size = 1001;
	passes(&p, &m);
	p.part_size = 1000;
	assert_string_equal(judged(&p, &m).reason, "size");
	part->shape = MIME_MULTIPART;
	passes(&p, &m);
	part->shape = MIME_LEAF;
	part->size = 1000;
	passes(&p, &m);
}

static void
test_what_was_not_seen_M_020_M_040(void **state)
{
	struct content_policy p = all_of(CHECK_ENFORCE);
	struct mail m = {.n = 0};
	struct mail_part *part = add(&m, "1", "application/zip", "a.zip");
	static const char reply[] = "550 5.7.1 Message refused: it has more than can be looked at";
	static const struct mail_anomaly odd[] = {
	    {.what = MIME_ODD_TOO_DEEP}, {.what = MIME_ODD_TOO_MANY_PARTS}};

	(void)state;
	passes(&p, &m);
	m.left_out = 1;
	refused_for(&p, &m, "incomplete", reply);
	m.left_out = 0;
	m.anomalies_left_out = 1; /* one that is ambiguous may be among them */
	refused_for(&p, &m, "incomplete", reply);
	m.anomalies_left_out = 0;
	m.facts_left_out = true; /* one of its parts may lack its name */
	refused_for(&p, &m, "incomplete", reply);
	m.facts_left_out = false;
	m.broken = true;
	refused_for(&p, &m, "incomplete", reply);
	m.broken = false;
	part->detection_left_out = true;
	assert_string_equal(judged(&p, &m).reason, "incomplete");
	part->detection_left_out = false;
	part->archive = MAIL_ARCHIVE;
	passes(&p, &m);
	part->archive = MAIL_ARCHIVE_PARTIAL; /* a name may stand where nobody saw it */
	assert_string_equal(judged(&p, &m).reason, "incomplete");
	part->archive = MAIL_ARCHIVE;
	part->n_anomalies = 1;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		part->anomalies = &odd[i];
		assert_string_equal(judged(&p, &m).reason, "incomplete");
	}
	refused_for(&p, NULL, "incomplete", reply);
	p.rules[CONTENT_INCOMPLETE] = CHECK_OFF;
	passes(&p, &m);
	passes(&p, NULL);
}

/* ---- which one, and how much of it ---- */

static void
test_report_and_off(void **state)
{
	struct content_policy p = all_of(CHECK_REPORT);
	struct mail m = {.n = 0};
	struct verdict v;

	(void)state;
	add(&m, "1", "a/b", "c")->ambiguous = true;
	v = judged(&p, &m);
	assert_int_equal(v.action, VERDICT_PASS);
	assert_true(v.would_refuse);
	assert_string_equal(v.reason, "ambiguous");
	p.rules[CONTENT_AMBIGUOUS] = CHECK_ENFORCE;
	p.check = CHECK_REPORT; /* at most so much */
	assert_int_equal(content_does(&p, CONTENT_AMBIGUOUS), CHECK_REPORT);
	assert_true(judged(&p, &m).would_refuse);
	p.check = CHECK_OFF;
	passes(&p, &m);
	p.check = CHECK_ENFORCE;
	p.rules[CONTENT_AMBIGUOUS] = CHECK_OFF;
	passes(&p, &m);
}

static void
test_nothing_is_held_back_where_nothing_can_be(void **state)
{
	struct content_policy p = all_of(CHECK_ENFORCE);
	struct mail m = {.n = 0};
	struct verdict v;

	(void)state;
	add(&m, "1", "a/b", "c")->bomb = true;
	content_judge(&p, &m, false, &v);
	assert_int_equal(v.action, VERDICT_PASS);
	assert_true(v.would_refuse);
}

/* One that refuses goes before one that reports, of two alike the one that says more. */
static void
test_the_strictest_counts(void **state)
{
	struct content_policy p = all_of(CHECK_REPORT);
	struct mail m = {.n = 0};

	(void)state;
	add(&m, "1", "a/b", "c")->ambiguous = true;
	add(&m, "2", "a/b", "c")->mismatch = "x";
	assert_string_equal(judged(&p, &m).reason, "mismatch");
	p.rules[CONTENT_AMBIGUOUS] = CHECK_ENFORCE;
	refused_for(&p, &m, "ambiguous",
	    "550 5.7.1 Message refused: part 1: mail programs read it in different ways");
	p.rules[CONTENT_MISMATCH] = CHECK_ENFORCE;
	assert_string_equal(judged(&p, &m).reason, "mismatch");
}

/* The root of a message has no path; the longest path leaves the reply whole. */
static void
test_replies_are_bounded(void **state)
{
	struct content_policy p = all_of(CHECK_ENFORCE);
	struct mail m = {.n = 0};
	struct mail_part *part = add(&m, "", "multipart/mixed", NULL);

	(void)state;
	part->ambiguous = true;
	refused_for(&p, &m, "ambiguous",
	    "550 5.7.1 Message refused: mail programs read it in different ways");
	memset(part->path, '1', sizeof(part->path) - 1);
	assert_true(strlen(judged(&p, &m).reply) > 250);
	assert_true(strlen(judged(&p, &m).reply) <= VERDICT_REPLY_MAX);
}

/* A file that FTP carries: no enhanced code, and no path where it is the file itself. */
static void
test_files(void **state)
{
	struct content_policy p = all_of(CHECK_ENFORCE);
	struct mail m = {.file = true};
	struct mail_part *file = add(&m, "1", "", "a"), *below = add(&m, "1.1", "a/b", "c");

	(void)state;
	passes(&p, &m);
	below->mismatch = "x";
	refused_for(
	    &p, &m, "mismatch", "550 File refused: part 1.1: it is not what its name or type says");
	file->mismatch = "x";
	refused_for(&p, &m, "mismatch", "550 File refused: it is not what its name or type says");
	file->mismatch = below->mismatch = NULL;
	file->partial = true;
	refused_for(&p, &m, "partial", "550 File refused: pieces of a whole are not accepted");
	p.rules[CONTENT_PARTIAL] = CHECK_OFF;
	passes(&p, &m);
	m.broken = true;
	refused_for(&p, &m, "incomplete", "550 File refused: it has more than can be looked at");
}

static void
test_armed(void **state)
{
	struct content_policy p = all_of(CHECK_ENFORCE);

	(void)state;
	assert_false(content_armed(&p, CONTENT_TYPE));
	assert_false(content_armed(&p, CONTENT_EXTENSION));
	assert_false(content_armed(&p, CONTENT_SHA256));
	assert_false(content_armed(&p, CONTENT_SIZE));
	assert_true(content_armed(&p, CONTENT_MISMATCH));
	p.check = CHECK_OFF;
	assert_false(content_armed(&p, CONTENT_MISMATCH));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_globs),
	    cmocka_unit_test(test_extensions),
	    cmocka_unit_test(test_types_declared_and_detected_M9),
	    cmocka_unit_test(test_extensions_of_all_names_M9_M_024),
	    cmocka_unit_test(test_extensions_in_archives_M9),
	    cmocka_unit_test(test_digest_M9_M13),
	    cmocka_unit_test(test_what_is_odd_about_a_part_M9),
	    cmocka_unit_test(test_size_M9),
	    cmocka_unit_test(test_what_was_not_seen_M_020_M_040),
	    cmocka_unit_test(test_report_and_off),
	    cmocka_unit_test(test_nothing_is_held_back_where_nothing_can_be),
	    cmocka_unit_test(test_the_strictest_counts),
	    cmocka_unit_test(test_replies_are_bounded),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_armed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
