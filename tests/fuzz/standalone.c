/*
 * standalone - replays inputs through a fuzz harness, with any compiler.
 *
 *	fuzz_x FILE|FOLDER...
 *
 * Folders are read with all that is below them, in the order of their names. Every file is named
 * on standard output before its turn, so that after a crash the last name is the one to look at.
 * The empty input is always the first. Exit code 0: all went through; 2: a file could not be read.
 */
#include <err.h>
#include <fts.h>
#include <sys/stat.h>

#include "fuzz.h"

#define INPUT_MAX (1u << 20) /* octets */

/* The input has storage of just its size, so that a sanitizer sees one octet too far. */
static void
replay(FILE *f, size_t n, const char *path)
{
	uint8_t *p = malloc(n > 0 ? n : 1);

	if (p == NULL)
		err(2, "%s", path);
	if (fread(p, 1, n, f) != n)
		err(2, "%s", path);
	LLVMFuzzerTestOneInput(p, n);
	free(p);
}

static void
replay_file(const FTSENT *entry)
{
	FILE *f = fopen(entry->fts_accpath, "rb");

	if (f == NULL)
		err(2, "%s", entry->fts_path);
	if (entry->fts_statp->st_size > (off_t)INPUT_MAX)
		errx(2, "%s: longer than %u octets", entry->fts_path, INPUT_MAX);
	puts(entry->fts_path);
	fflush(stdout);
	replay(f, (size_t)entry->fts_statp->st_size, entry->fts_path);
	fclose(f);
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

int
main(int argc, char **argv)
{
	size_t files = 0;
	FTSENT *entry;
	FTS *walk;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|FOLDER...\n", argv[0]);
		return 2;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	walk = fts_open(argv + 1, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	if (walk == NULL)
		err(2, "%s", argv[1]);
	while ((entry = fts_read(walk)) != NULL) {
		if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR ||
		    entry->fts_info == FTS_NS)
			errx(2, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
		if (entry->fts_info != FTS_F)
			continue;
		replay_file(entry);
		files++;
	}
	fts_close(walk);
	printf("%zu inputs\n", files);
	return 0;
}
