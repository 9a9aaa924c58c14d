/*
 * bench_mime - how fast a message is parsed that lies in memory.
 *
 *	bench_mime FILE SECONDS tree|sha256|all
 *
 * tree: parts, headers, decoded octets; sha256: and the digest of each leaf; all: and everything
 * else that a record says (types, archives, URLs). Fed in pieces of 64 KiB, as from a socket.
 * Prints MB/s of the message (10^6 octets), and how many leaves and decoded octets it has.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mime/analyzers_init.h"
#include "mime/mail.h"

#define PIECE ((size_t)64 << 10)

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct span
read_whole(const char *path)
{
	FILE *f = fopen(path, "rb");
	long n;
	uint8_t *p;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) <= 0)
		err(1, "%s", path);
	rewind(f);
	p = malloc((size_t)n);
	if (p == NULL || fread(p, 1, (size_t)n, f) != (size_t)n)
		err(1, "%s", path);
	fclose(f);
	return span_of(p, (size_t)n);
}

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
parse(const struct mail_options *options, struct span s, size_t *leaves, uint64_t *octets)
{
	struct mail *m = mail_new(options);

	if (m == NULL)
		err(1, NULL);
	for (; s.n > 0; s = span_from(s, PIECE))
		mail_feed(m, span_first(s, PIECE));
	mail_finish(m);
	if (mail_broken(m))
		errx(1, "no memory");
	*leaves = 0;
	*octets = 0;
	for (size_t i = 0; i < mail_parts(m); i++) {
		if (mail_part(m, i)->shape != MIME_LEAF)
			continue;
		(*leaves)++;
		*octets += mail_part(m, i)->size;
	}
	mail_free(m);
}

int
main(int argc, char **argv)
{
	struct mail_options options;
	const char *why;
	struct span message;
	double seconds, start, end;
	uint64_t octets;
	size_t leaves;
	unsigned rounds = 0;

	if (argc != 4)
		errx(2, "usage: bench_mime FILE SECONDS tree|sha256|all");
	options = options_of(argv[3]);
	message = read_whole(argv[1]);
	seconds = strtod(argv[2], NULL);
	if (!analyzers_init(false, &why))
		errx(1, "%s", why);
	start = now();
	do {
		parse(&options, message, &leaves, &octets);
		rounds++;
		end = now();
	} while (end - start < seconds);
	printf("%.1f %zu %ju\n", (double)message.n * rounds / 1e6 / (end - start), leaves,
	    (uintmax_t)octets);
	analyzers_end();
	return 0;
}
