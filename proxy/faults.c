#include "faults.h"

#include <stdlib.h>

#include "printable.h"

void
faults_init(struct faults *f)
{
	*f = (struct faults){.n = 0};
}

void
faults_free(struct faults *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->fault[i].text);
	free(f->syntax);
	faults_init(f);
}

/* A file may hold what a terminal would obey. NULL: no memory. */
static char *__attribute__((format(printf, 1, 0))) format_text(const char *format, va_list ap)
{
	char text[FAULT_TEXT_MAX];
	struct buf out;

	vsnprintf(text, sizeof(text), format, ap);
	buf_init(&out, FAULT_TEXT_MAX);
	printable(span_str(text), FAULT_TEXT_MAX - 1, &out);
	if (!buf_octet(&out, '\0')) {
		buf_free(&out);
		return NULL;
	}
	return (char *)out.p;
}

static bool __attribute__((format(printf, 4, 0)))
keep(struct faults *f, unsigned line, bool warning, const char *format, va_list ap)
{
	char *text = f->n == FAULTS_MAX ? NULL : format_text(format, ap);

	if (text == NULL)
		return false;
	f->fault[f->n++] = (struct fault){line, text, warning};
	return true;
}

void
faults_add(struct faults *f, unsigned line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (!keep(f, line, false, format, ap))
		f->left_out++;
	va_end(ap);
}

void
faults_warn(struct faults *f, unsigned line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (keep(f, line, true, format, ap))
		f->warnings++;
	va_end(ap);
}

void
faults_syntax(struct faults *f, unsigned line, const char *format, va_list ap)
{
	if (f->syntax_line != 0 && f->syntax_line <= line)
		return;
	free(f->syntax);
	f->syntax = format_text(format, ap);
	f->syntax_line = line;
}

bool
faults_any(const struct faults *f)
{
	return f->n > f->warnings || f->left_out > 0 || f->syntax_line != 0;
}

/* By line; on one line in the order in which they were found. */
static void
sort_by_line(struct faults *f)
{
	for (size_t i = 1; i < f->n; i++) {
		struct fault moved = f->fault[i];
		size_t to = i;
		for (; to > 0 && f->fault[to - 1].line > moved.line; to--)
			f->fault[to] = f->fault[to - 1];
		f->fault[to] = moved;
	}
}

void
faults_tell(struct faults *f, const char *file, FILE *err)
{
	sort_by_line(f);
	for (size_t i = 0; i < f->n; i++)
		if (f->syntax_line == 0 || f->fault[i].line <= f->syntax_line)
			fprintf(err, "%s:%u: %s%s\n", file, f->fault[i].line,
			    f->fault[i].warning ? "warning: " : "", f->fault[i].text);
	if (f->syntax_line != 0)
		fprintf(err, "%s:%u: %s\n", file, f->syntax_line,
		    f->syntax != NULL ? f->syntax : "out of memory");
	if (f->left_out > 0)
		fprintf(err, "%s: %zu more\n", file, f->left_out);
}
