#include "read_command.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "capture_file.h"
#include "cli.h"
#include "progress.h"
#include "read_options.h"

#define OUTPUT_BUFFER (256u << 10)
/* read(2) of a page at a time costs more than what is read; more than this leaves the cache before
   it is looked at */
#define FILE_BUFFER   (128u << 10)
#define FILE_BUFFERS  (16u << 20) /* of all files */
#define SHOW_EVERY    1024	  /* frames between two looks at the progress */

/* One file, with the frame that is next. */
struct source {
	const char *path;
	struct capture_file *file;
	struct captured next;
	bool over;
};

struct reader {
	struct reading reading;
	struct source *sources;
	size_t n;
	struct progress *progress;
	uint64_t frames;
	bool failed;
};

/* ---- sources ---- */

static void
complain(struct reader *r, const struct source *s, const char *why)
{
	progress_hide(r->progress);
	if (s->file == NULL)
		fprintf(stderr, "postern read: %s: %s\n", s->path, why);
	else
		fprintf(stderr, "postern read: %s: packet %llu: %s\n", s->path,
		    (unsigned long long)capture_file_number(s->file), why);
	r->failed = true;
}

static volatile sig_atomic_t interrupted;

static void
advance(struct reader *r, struct source *s)
{
	char why[CAPTURE_FILE_WHY];

	switch (capture_file_next(s->file, &s->next, why)) {
	case CAPTURED_FRAME:
		return;
	case CAPTURED_DAMAGE:
		if (interrupted) /* it is the reading that is */
			break;
		complain(r, s, why);
		observer_damage(r->reading.observer, s->path, capture_file_number(s->file),
		    "capture_damaged", why);
		break;
	case CAPTURED_END:
		break;
	}
	s->over = true;
}

static void
open_source(struct reader *r, struct source *s, const char *path)
{
	const size_t share = FILE_BUFFERS / r->n,
		     least = share < CAPTURE_FILE_BUFFER_MIN ? CAPTURE_FILE_BUFFER_MIN : share;
	char why[CAPTURE_FILE_WHY];

	*s = (struct source){.path = path,
	    .file = capture_file_open(path, least < FILE_BUFFER ? least : FILE_BUFFER, why)};
	if (s->file == NULL) {
		complain(r, s, why);
		s->over = true;
		return;
	}
	advance(r, s);
}

static bool
is_earlier(const struct timeval *a, const struct timeval *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_usec < b->tv_usec;
}

/* That whose frame is the oldest; NULL: all are over. */
static struct source *
next_source(struct reader *r)
{
	struct source *first = NULL;

	for (struct source *s = r->sources; s < r->sources + r->n; s++)
		if (!s->over && (first == NULL || is_earlier(&s->next.when, &first->next.when)))
			first = s;
	return first;
}

/* ---- progress ---- */

static void
show(struct reader *r)
{
	struct progress_facts facts = {.packets = r->frames};
	struct observer_stats stats;
	bool sized = true;

	if (r->progress == NULL || r->frames % SHOW_EVERY != 0)
		return;
	observer_stats(r->reading.observer, &stats);
	facts.records = stats.records;
	for (const struct source *s = r->sources; s < r->sources + r->n; s++) {
		if (s->file == NULL)
			continue;
		sized = sized && capture_file_size(s->file) > 0;
		facts.total += capture_file_size(s->file);
		facts.octets += capture_file_position(s->file);
	}
	if (!sized) {
		facts.total = 0;
		facts.octets = stats.octets;
	}
	progress_show(r->progress, &facts);
}

/* ---- reading ---- */

static void
on_signal(int number)
{
	interrupted = number;
}

/* A read(2) that waits for a pipe ends, too. */
static void
set_up_signals(void)
{
	const struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void
read_all(struct reader *r)
{
	struct source *s;

	while (!interrupted && (s = next_source(r)) != NULL) {
		const struct observed_frame frame = {.source = s->path,
		    .number = capture_file_number(s->file),
		    .when = s->next.when,
		    .link = capture_file_link(s->file),
		    .octets = s->next.octets};

		observer_frame(r->reading.observer, &frame);
		r->frames++;
		show(r);
		advance(r, s);
		if (r->reading.unwritten) /* whoever read the records is gone */
			return;
	}
}

/* A capture in many pieces has more of them than a process usually opens files. */
static void
allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int
read_files(struct reader *r, const struct read_options *o, char **paths)
{
	int code = reading_begin(&r->reading, o);

	r->sources = calloc(r->n, sizeof(*r->sources));
	if (r->sources == NULL && code == EXIT_FINE) {
		fputs("postern read: out of memory\n", stderr);
		code = EXIT_FAILED;
	}
	if (code != EXIT_FINE) {
		free(r->sources);
		reading_end(&r->reading, o);
		return code;
	}
	allow_many_files();
	r->progress = progress_new();
	for (size_t i = 0; i < r->n; i++)
		open_source(r, &r->sources[i], paths[i]);
	read_all(r);
	progress_free(r->progress);
	code = reading_end(&r->reading, o);
	for (size_t i = 0; i < r->n; i++)
		capture_file_close(r->sources[i].file);
	free(r->sources);
	return code == EXIT_FINE && r->failed ? EXIT_FAILED : code;
}

/* What is gone by once cannot be read twice. */
static bool
names_standard_input_twice(char **paths, size_t n)
{
	size_t times = 0;

	for (size_t i = 0; i < n; i++)
		times += strcmp(paths[i], "-") == 0;
	return times > 1;
}

int
read_command(int argc, char **argv)
{
	static const struct option options[] = {READ_OPTIONS, {NULL, 0, NULL, 0}};
	static char output[OUTPUT_BUFFER];
	struct read_options o;
	struct reader r = {.n = 0};
	int opt;

	read_options_default(&o, "read");
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "c:", options, NULL)) != -1)
		if (!read_options_take(&o, opt, optarg)) {
			commands_usage(stderr);
			return EXIT_USAGE;
		}
	if (optind == argc) {
		fputs("postern read: names no file; \"-\" is standard input\n", stderr);
		commands_usage(stderr);
		return EXIT_USAGE;
	}
	if (names_standard_input_twice(argv + optind, (size_t)(argc - optind))) {
		fputs("postern read: standard input can be read once: \"-\"\n", stderr);
		return EXIT_USAGE;
	}
	setvbuf(stdout, output, _IOFBF, sizeof(output));
	set_up_signals();
	r.n = (size_t)(argc - optind);
	return read_files(&r, &o, argv + optind);
}
