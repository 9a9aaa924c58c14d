/*
 * mail_print - everything that is known of a mail, as text to compare.
 */
#ifndef POSTERN_TESTS_MAIL_PRINT_H
#define POSTERN_TESTS_MAIL_PRINT_H

#include <stdint.h>
#include <stdio.h>

#include "mime/mail.h"

static inline void
hex(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

struct print {
	char *text;
	size_t n;
};

static inline struct print
print_of(const struct mail *m)
{
	struct print p = {NULL, 0};
	FILE *out = open_memstream(&p.text, &p.n);

	for (size_t i = 0; i < mail_parts(m); i++) {
		const struct mail_part *part = mail_part(m, i);
		char text[65] = "";

		hex(part->sha256, 32, text);
		fprintf(out, "%s %.*s %.*s %ju %ju %ju %ju %s %zu %zu %s %d\n", part->path,
		    (int)part->type.n, (const char *)part->type.p, (int)part->detected.n,
		    (const char *)part->detected.p, (uintmax_t)part->offset, (uintmax_t)part->size,
		    (uintmax_t)part->encoded_size, (uintmax_t)part->lines, text, part->n_names,
		    part->n_members, part->mismatch != NULL ? part->mismatch : "",
		    part->attachment);
		for (size_t k = 0; k < part->n_anomalies; k++)
			fprintf(out, "  %s %ju\n", mime_anomaly_name(part->anomalies[k].what),
			    (uintmax_t)part->anomalies[k].off);
	}
	for (size_t i = 0; i < mail_urls(m); i++)
		fprintf(out, "%.*s\n", (int)mail_url(m, i).n, (const char *)mail_url(m, i).p);
	fprintf(
	    out, "%.*s\n", (int)mail_header(m)->subject.n, (const char *)mail_header(m)->subject.p);
	fclose(out);
	return p;
}

#endif
