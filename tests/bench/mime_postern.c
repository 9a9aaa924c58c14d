/*
 * mime_postern - how fast messages are read that lie in memory (mime_work.h).
 *
 * WORK: tree: parts, headers, decoded octets; sha256: and the digest of each leaf; all: and
 * everything else that a record says (types, archives, URLs). Each message has a struct mail of its
 * own, made and given back as the gateway does, and is fed in pieces of 64 KiB, as from a socket.
 */
#include <err.h>
#include <stdlib.h>

#include "mime/analyzers_init.h"
#include "mime/mail.h"
#include "mime_work.h"

#define PIECE ((size_t)64 << 10)

struct reading {
	const uint8_t *octets;
	struct mail_options options;
};

static struct mail_options
options_of(const char *work)
{
	struct mail_options o;

	mail_options_default(&o);
	if (strcmp(work, "all") == 0)
		return o;
	o.sha256 = strcmp(work, "sha256") == 0;
	if (!o.sha256 && strcmp(work, "tree") != 0)
		errx(2, "%s: neither tree nor sha256 nor all", work);
	o.types = o.archives = o.urls = false;
	return o;
}

static void
add(struct mime_found *found, const struct mail_part *part)
{
	if (part->shape != MIME_LEAF)
		return;
	found->leaves++;
	found->octets += part->size;
	if (part->has_digests)
		mime_found_digest(found, part->sha256);
}

static void
read_message(void *arg, size_t start, size_t end, struct mime_found *found)
{
	const struct reading *r = arg;
	struct span s = span_of(r->octets + start, end - start);
	struct mail *m = mail_new(&r->options);

	if (m == NULL)
		err(1, NULL);
	for (; s.n > 0; s = span_from(s, PIECE))
		mail_feed(m, span_first(s, PIECE));
	mail_finish(m);
	if (mail_broken(m))
		errx(1, "no memory");
	for (size_t i = 0; i < mail_parts(m); i++)
		add(found, mail_part(m, i));
	mail_free(m);
}

int
main(int argc, char **argv)
{
	struct mime_work work = mime_work_open(argc, argv);
	struct reading r = {.octets = work.octets, .options = options_of(work.name)};
	const char *why;

	if (!analyzers_init(false, &why))
		errx(1, "%s", why);
	mime_work_do(&work, read_message, &r);
	analyzers_end();
	return 0;
}
