#include "mime_tree.h"

#include "printable.h"

#define TEXT_SHOWN    200 /* octets of one text */
#define MEMBERS_SHOWN 20
#define DIGEST_SHOWN  8	 /* octets of it */
#define COLUMN_MAX    60 /* a column is no wider for the sake of one long entry */

static void
put_text(struct span text, FILE *out)
{
	struct buf shown;
	bool whole;

	buf_init(&shown, TEXT_SHOWN);
	whole = printable(text, TEXT_SHOWN, &shown);
	fwrite(shown.p, 1, shown.n, out);
	if (!whole)
		fputs("...", out);
	buf_free(&shown);
}

static void
put_field(const char *name, struct span text, FILE *out)
{
	if (text.n == 0)
		return;
	fprintf(out, "%-8s ", name);
	put_text(text, out);
	putc('\n', out);
}

static void
put_addresses(const char *name, const struct span *each, size_t n, FILE *out)
{
	if (n == 0)
		return;
	fprintf(out, "%-8s ", name);
	for (size_t i = 0; i < n && i < 5; i++) {
		fputs(i > 0 ? ", " : "", out);
		put_text(each[i], out);
	}
	if (n > 5)
		fprintf(out, ", and %zu more", n - 5);
	putc('\n', out);
}

/* "812 B", "1.4 MiB" */
static void
size_text(uint64_t n, char text[24])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)n;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(text, 24, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/* Columns of a part: where it is, what it is, how it is encoded. */
struct columns {
	int path, type;
};

static int
wider(int width, size_t n)
{
	return n > COLUMN_MAX || (int)n <= width ? width : (int)n;
}

static size_t
indent(const struct mail_part *p)
{
	return p->depth < 20 ? (size_t)2 * p->depth : 40;
}

static const char *
path_of(const struct mail_part *p)
{
	return p->path[0] != '\0' ? p->path : "-";
}

static struct columns
measure(const struct mail *m)
{
	struct columns c = {4, 4};

	for (size_t i = 0; i < mail_parts(m); i++) {
		const struct mail_part *p = mail_part(m, i);

		c.path = wider(c.path, indent(p) + strlen(path_of(p)));
		c.type = wider(c.type, p->type.n);
	}
	return c;
}

static void
put_note(const char *before, const char *text, FILE *out)
{
	fprintf(out, "           ! %s%s\n", before, text);
}

static void
put_odd(const struct mail_part *p, FILE *out)
{
	if (p->detected.n > 0 && !span_eq(p->detected, p->type)) {
		fputs("           is ", out);
		put_text(p->detected, out);
		putc('\n', out);
	}
	if (p->mismatch != NULL)
		put_note("mismatch: ", p->mismatch, out);
	if (p->encrypted)
		put_note("", "encrypted: nobody but its recipient sees what is inside", out);
	if (p->bomb)
		put_note("", "would unpack to far more than it is", out);
	for (size_t i = 0; i < p->n_anomalies; i++) {
		const struct mail_anomaly *a = &p->anomalies[i];

		fprintf(out, "           ! %s at octet %ju", mime_anomaly_name(a->what),
		    (uintmax_t)a->off);
		if (a->detail != NULL) {
			fputs(": ", out);
			put_text(span_str(a->detail), out);
		}
		putc('\n', out);
	}
}

static void
put_members(const struct mail_part *p, FILE *out)
{
	char size[24];

	for (size_t i = 0; i < p->n_members && i < MEMBERS_SHOWN; i++) {
		const struct mail_member *one = &p->members[i];

		size_text(one->size, size);
		fprintf(out, "           %10s  ", one->size == UINT64_MAX ? "" : size);
		put_text(one->name, out);
		fputs(one->encrypted ? " (encrypted)\n" : "\n", out);
	}
	if (p->n_members > MEMBERS_SHOWN)
		fprintf(out, "                       and %zu more\n", p->n_members - MEMBERS_SHOWN);
	if (p->archive == MAIL_ARCHIVE_PARTIAL)
		put_note("", "not all that is in this archive could be listed", out);
}

/* What only a part with content of its own has. */
static void
put_content(const struct mail *m, const struct mail_part *p, struct columns c, FILE *out)
{
	char size[24];

	size_text(p->size, size);
	fprintf(out, "%*s  %-16s  %10s", p->type.n < (size_t)c.type ? c.type - (int)p->type.n : 0,
	    "", mime_encoding_name(p->encoding), size);
	if (mail_options(m)->sha256) {
		fputs("  ", out);
		for (size_t i = 0; i < DIGEST_SHOWN && p->has_digests; i++)
			fprintf(out, "%02x", p->sha256[i]);
		fprintf(out, "%*s", p->has_digests ? 0 : 2 * DIGEST_SHOWN, "");
	}
	if (p->filename.n > 0) {
		fputs("  ", out);
		put_text(p->filename, out);
	}
}

static void
put_part(const struct mail *m, const struct mail_part *p, struct columns c, FILE *out)
{
	int in = (int)indent(p);

	fprintf(out, "%*s%-*s  ", in, "", c.path > in ? c.path - in : 0, path_of(p));
	put_text(p->type, out);
	if (p->shape == MIME_LEAF)
		put_content(m, p, c, out);
	putc('\n', out);
	put_odd(p, out);
	put_members(p, out);
}

static void
put_heading(const struct mail *m, struct columns c, FILE *out)
{
	fprintf(
	    out, "\n%-*s  %-*s  %-16s  %10s", c.path, "PART", c.type, "TYPE", "ENCODING", "SIZE");
	if (mail_options(m)->sha256)
		fprintf(out, "  %-16s", "SHA-256");
	fputs("  FILE NAME\n", out);
}

static void
put_left_out(const struct mail *m, FILE *out)
{
	if (mail_parts_left_out(m) > 0)
		fprintf(out, "and %ju more parts\n", (uintmax_t)mail_parts_left_out(m));
	if (mail_anomalies_left_out(m) > 0)
		fprintf(out, "and %ju more oddities\n", (uintmax_t)mail_anomalies_left_out(m));
	if (mail_broken(m))
		fputs("! there was no memory to look at the rest of it\n", out);
}

void
mime_tree_print(const struct mail *m, FILE *out)
{
	const struct mail_header *h = mail_header(m);
	struct columns c = measure(m);

	put_field("From", h->from, out);
	put_addresses("To", h->to, h->n_to, out);
	put_addresses("Cc", h->cc, h->n_cc, out);
	put_field("Date", h->date, out);
	put_field("Subject", h->subject, out);
	put_heading(m, c, out);
	for (size_t i = 0; i < mail_parts(m); i++)
		put_part(m, mail_part(m, i), c, out);
	put_left_out(m, out);
	fputs(mail_urls(m) > 0 ? "\n" : "", out);
	for (size_t i = 0; i < mail_urls(m); i++)
		put_field("URL", mail_url(m, i), out);
	if (mail_urls_left_out(m) > 0)
		fprintf(out, "and %ju more URLs\n", (uintmax_t)mail_urls_left_out(m));
}
