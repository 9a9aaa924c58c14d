#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "mime_work.h"

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
processor(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Nothing but the file: what is counted as memory of the program begins with it. */
static void
read_whole(struct mime_work *w, const char *path)
{
	FILE *f = fopen(path, "rb");
	long n;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) <= 0)
		err(1, "%s", path);
	rewind(f);
	w->n = (size_t)n;
	w->octets = malloc(w->n);
	if (w->octets == NULL || fread(w->octets, 1, w->n, f) != w->n)
		err(1, "%s", path);
	fclose(f);
}

static void
add_end(struct mime_work *w, size_t end)
{
	w->ends = reallocarray(w->ends, w->n_ends + 1, sizeof(*w->ends));
	if (w->ends == NULL)
		err(1, NULL);
	w->ends[w->n_ends++] = end;
}

static void
read_index(struct mime_work *w, const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t cap = 0, end = 0;

	if (f == NULL)
		err(1, "%s", path);
	while (getline(&line, &cap, f) > 0) {
		end += strtoul(line, NULL, 10);
		add_end(w, end);
	}
	free(line);
	fclose(f);
	if (end != w->n)
		errx(1, "%s: of %zu octets, and there are %zu", path, end, w->n);
}

struct mime_work
mime_work_open(int argc, char **argv)
{
	struct mime_work w = {.messages = 1};

	if (argc != 4 && argc != 6)
		errx(2, "usage: %s FILE SECONDS WORK [MESSAGES INDEX]", argv[0]);
	w.seconds = strtod(argv[2], NULL);
	w.name = argv[3];
	read_whole(&w, argv[1]);
	if (argc == 4) {
		add_end(&w, w.n);
		return w;
	}
	w.messages = strtoull(argv[4], NULL, 10);
	read_index(&w, argv[5]);
	return w;
}

void
mime_found_digest(struct mime_found *found, const uint8_t *sha256)
{
	uint64_t first = 0;

	for (size_t i = 0; i < sizeof(first); i++)
		first = first << 8 | sha256[i];
	found->digests += first;
}

void
mime_work_do(const struct mime_work *w,
    void (*read)(void *arg, size_t start, size_t end, struct mime_found *), void *arg)
{
	struct mime_found found = {0};
	uint64_t messages = 0, times = 0;
	double start = now(), before = processor(), took;

	do {
		for (size_t i = 0; i < w->n_ends; i++)
			read(arg, i > 0 ? w->ends[i - 1] : 0, w->ends[i], &found);
		messages += w->n_ends;
		times++;
		took = now() - start;
	} while (took < w->seconds || messages < w->messages);
	printf("%.3f %ju %.6f %.6f %ju %ju %ju\n", (double)w->n * (double)times / 1e6 / took,
	    (uintmax_t)messages, took, processor() - before, (uintmax_t)found.leaves,
	    (uintmax_t)found.octets, (uintmax_t)found.digests);
}
