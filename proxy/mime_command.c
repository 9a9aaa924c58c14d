#include "mime_command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "mime/analyzers_init.h"
#include "mime_tree.h"
#include "printable.h"
#include "record_email.h"
#include "record_json.h"

#define PIECE	  (64u << 10)
/* Octets of JSON of one message: more than the facts of the largest one make. */
#define EMAIL_MAX ((size_t)256 << 20)

/* A run over files. */
struct reading {
	struct mail_options options;
	bool json, failed;
	bool many; /* messages are told apart by a heading */
	unsigned shown;
};

/* An mbox is told by its first line; its messages begin behind lines like that. */
struct source {
	struct reading *reading;
	const char *path;
	struct mail *mail;
	bool mbox, begun;
	bool line_start;   /* at the start of a line */
	bool may_begin;	   /* the line before was empty, or there is none */
	const char *blank; /* an empty line that waits: "\n", "\r\n", or "" */
	bool skipping;	   /* in a From_ line */
	unsigned number;
	struct buf held; /* the start of a line that may become a From_ line */
};

static void
complain(struct reading *r, const char *path, const char *why)
{
	struct buf name;

	buf_init(&name, RECORD_TEXT_MAX);
	printable(
	    span_str(strcmp(path, "-") == 0 ? "standard input" : path), RECORD_TEXT_MAX, &name);
	fprintf(stderr, "postern mime: %.*s: %s\n", (int)name.n, (const char *)name.p, why);
	buf_free(&name);
	r->failed = true;
}

/* ---- one message ---- */

static void
heading(struct source *b)
{
	struct reading *r = b->reading;
	struct buf name;

	if (r->shown++ > 0)
		putchar('\n');
	if (!r->many && !b->mbox)
		return;
	buf_init(&name, RECORD_TEXT_MAX);
	printable(span_str(b->path), RECORD_TEXT_MAX, &name);
	printf("== %.*s", (int)name.n, (const char *)name.p);
	if (b->mbox)
		printf(", message %u", b->number);
	putchar('\n');
	buf_free(&name);
}

static void
print_json(const struct source *b)
{
	struct json_writer w;
	struct buf line;

	buf_init(&line, EMAIL_MAX);
	json_begin(&w, &line);
	json_open_object(&w, NULL);
	record_put_text(&w, "file", span_str(b->path));
	if (b->mbox)
		record_put_int(&w, "message", b->number);
	record_email(&w, b->mail, EMAIL_MAX, false);
	json_close_object(&w);
	buf_octet(&line, '\n');
	if (line.failed)
		complain(b->reading, b->path, "out of memory");
	else
		fwrite(line.p, 1, line.n, stdout);
	buf_free(&line);
}

static void
end_message(struct source *b)
{
	if (b->mail == NULL)
		return;
	b->number++;
	mail_finish(b->mail);
	if (mail_broken(b->mail))
		complain(b->reading, b->path, "out of memory");
	if (b->reading->json) {
		print_json(b);
	} else {
		heading(b);
		mime_tree_print(b->mail, stdout);
	}
	mail_free(b->mail);
	b->mail = NULL;
}

static bool
begin_message(struct source *b)
{
	b->mail = mail_new(&b->reading->options);
	if (b->mail == NULL)
		complain(b->reading, b->path, "out of memory");
	return b->mail != NULL;
}

static void
feed(struct source *b, struct span octets)
{
	if (octets.n > 0 && b->mail != NULL)
		mail_feed(b->mail, octets);
}

/* ---- mbox ---- */

static const char from_line[] = "From ";
#define FROM_N (sizeof(from_line) - 1)

static bool
is_empty_line(struct span s)
{
	return span_eq(s, span_str("\n")) || span_eq(s, span_str("\r\n"));
}

/* Enough of a line is held to say what it is. */
static bool
is_told(struct span held)
{
	return held.n == FROM_N || held.p[held.n - 1] == '\n' ||
	       (!span_starts(span_str(from_line), held) && !span_eq(held, span_str("\r")));
}

/* The beginning of a line: an empty one may belong to a From_ line behind it, and waits. */
static void
give_line_start(struct source *b)
{
	struct span held = buf_span(&b->held);
	bool empty = is_empty_line(held);

	feed(b, span_str(b->blank));
	b->blank = !empty ? "" : held.n == 1 ? "\n" : "\r\n";
	b->may_begin = empty;
	if (!empty)
		feed(b, held);
	b->line_start = held.n > 0 && held.p[held.n - 1] == '\n';
	buf_clear(&b->held);
}

/* Returns how many octets it took. */
static size_t
take_line_start(struct source *b, struct span s)
{
	for (size_t n = 1; n <= s.n; n++) {
		buf_octet(&b->held, s.p[n - 1]);
		if (!is_told(buf_span(&b->held)))
			continue;
		if (b->may_begin && span_eq(buf_span(&b->held), span_str(from_line))) {
			end_message(b);
			buf_clear(&b->held);
			b->blank = "";
			b->skipping = true;
			b->line_start = false;
		} else {
			give_line_start(b);
		}
		return n;
	}
	return s.n;
}

static bool
mbox_feed(struct source *b, struct span s)
{
	while (s.n > 0) {
		ptrdiff_t end;
		size_t n;

		if (b->line_start) {
			s = span_from(s, take_line_start(b, s));
			continue;
		}
		end = span_find(s, '\n');
		n = end < 0 ? s.n : (size_t)end + 1;
		if (!b->skipping)
			feed(b, span_first(s, n));
		b->line_start = end >= 0;
		if (b->line_start && b->skipping) {
			b->skipping = b->may_begin = false;
			if (!begin_message(b))
				return false;
		}
		s = span_from(s, n);
	}
	return true;
}

/* ---- one file ---- */

static bool
take(struct source *b, struct span s)
{
	if (!b->begun) {
		b->begun = true;
		b->mbox = span_starts(s, span_str(from_line));
		b->line_start = b->may_begin = true;
		b->blank = "";
		if (!b->mbox && !begin_message(b))
			return false;
	}
	if (b->mbox)
		return mbox_feed(b, s);
	feed(b, s);
	return true;
}

/* Reads until there are at least FROM_N octets, or the end. -1: errno. */
static ssize_t
read_piece(int fd, uint8_t *p)
{
	size_t n = 0;
	ssize_t got;

	do {
		got = read(fd, p + n, PIECE - n);
		if (got > 0)
			n += (size_t)got;
	} while ((got < 0 && errno == EINTR) || (got > 0 && n < FROM_N));
	return got < 0 ? -1 : (ssize_t)n;
}

static void
read_file(struct reading *r, const char *path, int fd)
{
	struct source b = {.reading = r, .path = path};
	uint8_t *piece = malloc(PIECE);
	ssize_t n = -1;

	buf_init(&b.held, FROM_N);
	if (piece == NULL)
		errno = ENOMEM;
	while (piece != NULL && (n = read_piece(fd, piece)) > 0)
		if (!take(&b, span_of(piece, (size_t)n)))
			break;
	if (n < 0) {
		complain(r, path, strerror(errno));
	} else if (!b.begun) {
		take(&b, SPAN_NONE);
		end_message(&b);
	} else {
		if (b.held.n > 0)
			feed(&b, span_str(b.blank));
		feed(&b, buf_span(&b.held));
		end_message(&b);
	}
	mail_free(b.mail);
	buf_free(&b.held);
	free(piece);
}

static bool
is_folder(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A message, an mbox, standard input. */
static void
show_file(struct reading *r, const char *path)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		complain(r, path, strerror(errno));
	else if (is_folder(fd))
		complain(r, path, "is a folder, and no Maildir: it has neither cur nor new");
	else
		read_file(r, path, fd);
	if (fd >= 0 && !is_stdin)
		close(fd);
}

/* ---- Maildir ---- */

static int
no_dots(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* A Maildir may lack one of its folders; one that cannot be read is told. */
static void
show_folder(struct reading *r, const char *path, const char *sub)
{
	struct dirent **names;
	char *folder = NULL, *file;
	int n;

	if (asprintf(&folder, "%s/%s", path, sub) < 0) {
		complain(r, path, "out of memory");
		return;
	}
	n = scandir(folder, &names, no_dots, alphasort);
	if (n < 0 && errno != ENOENT)
		complain(r, folder, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (asprintf(&file, "%s/%s", folder, names[i]->d_name) >= 0) {
			show_file(r, file);
			free(file);
		} else {
			complain(r, folder, "out of memory");
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	free(folder);
}

static bool
is_maildir(const char *path)
{
	static const char *const subs[] = {"cur", "new"};
	struct stat st;
	char *sub;
	bool found = false;

	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]) && !found; i++) {
		if (asprintf(&sub, "%s/%s", path, subs[i]) < 0)
			return false;
		found = stat(sub, &st) == 0 && S_ISDIR(st.st_mode);
		free(sub);
	}
	return found;
}

static void
show(struct reading *r, const char *path)
{
	if (strcmp(path, "-") == 0 || !is_maildir(path)) {
		show_file(r, path);
		return;
	}
	r->many = true;
	show_folder(r, path, "cur");
	show_folder(r, path, "new");
}

/* ---- the command ---- */

/* False: an option that is none, or no file; that was told. */
static bool
take_options(int argc, char **argv, struct reading *r)
{
	static const struct option options[] = {
	    {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) == 'j')
		r->json = true;
	if (opt == -1 && optind < argc)
		return true;
	fputs(opt == -1 ? "postern mime: names no file; \"-\" is standard input\n"
			: "postern mime: unknown option\n",
	    stderr);
	commands_usage(stderr);
	return false;
}

int
mime_command(int argc, char **argv)
{
	struct reading r = {.json = false};
	const char *why = NULL;

	if (!take_options(argc, argv, &r))
		return EXIT_USAGE;
	if (!record_init() || !analyzers_init(false, &why)) {
		fprintf(stderr, "postern mime: %s\n", why != NULL ? why : "cannot set up records");
		return EXIT_FAILED;
	}
	mail_options_default(&r.options);
	r.many = argc - optind > 1;
	for (int i = optind; i < argc; i++)
		show(&r, argv[i]);
	analyzers_end();
	if (fflush(stdout) != 0 || ferror(stdout))
		r.failed = true;
	return r.failed ? EXIT_FAILED : EXIT_FINE;
}
