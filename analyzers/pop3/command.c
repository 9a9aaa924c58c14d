#include "pop3/command.h"

const char *
pop3_fault_reply(enum pop3_fault f)
{
	static const char *const replies[] = {
#define X(id, reply, ends) reply,
	    POP3_FAULTS(X)
#undef X
	};

	return replies[f];
}

bool
pop3_fault_ends(enum pop3_fault f)
{
	static const bool ends_it[] = {
#define X(id, reply, ends) ends,
	    POP3_FAULTS(X)
#undef X
	};

	return ends_it[f];
}

static enum pop3_fault
line_fault(struct span line, struct line_marks marks)
{
	if (marks.bare_lf)
		return POP3_LINE_BARE_LF;
	if (marks.too_long)
		return POP3_LINE_TOO_LONG;
	if (marks.nul)
		return POP3_LINE_NUL;
	if (marks.bare_cr)
		return POP3_LINE_BARE_CR;
	return span_trim(line).n == 0 ? POP3_LINE_EMPTY : POP3_OK;
}

/* RFC 4422 s3.1, in any case. What else stands behind AUTH is none of POP3. */
static bool
is_mechanism(struct span word)
{
	for (size_t i = 0; i < word.n; i++)
		if (!octet_is_alnum(word.p[i]) && word.p[i] != '-' && word.p[i] != '_')
			return false;
	return word.n <= 20;
}

static bool
is_word(struct span word)
{
	for (size_t i = 0; i < word.n; i++)
		if (!octet_is_alnum(word.p[i]))
			return false;
	return word.n > 0;
}

/* Arguments of RETR, DELE, LIST, UIDL and TOP are numbers, each of them. */
static bool
takes_numbers(enum pop3_verb verb)
{
	return verb == POP3_RETR || verb == POP3_DELE || verb == POP3_LIST || verb == POP3_UIDL ||
	       verb == POP3_TOP;
}

static enum pop3_fault
parse_args(struct pop3_detail *d)
{
	struct span rest = d->args, word;
	unsigned words = 0;
	uint64_t number;

	while ((word = span_word(&rest)).n > 0) {
		words++;
		if (takes_numbers(d->verb->verb)) {
			if (!span_u64(word, UINT32_MAX, &number))
				return POP3_ARGS_SYNTAX;
			if (words == 1)
				d->number = (uint32_t)number;
		}
		if (d->verb->verb == POP3_AUTH && words == 1 && !is_mechanism(word))
			return POP3_ARGS_SYNTAX;
		if (words > d->verb->args_max && d->verb->args_max != POP3_ARGS_TEXT)
			return POP3_ARGS_SYNTAX;
	}
	d->initial = d->verb->verb == POP3_AUTH && words == 2;
	return words < d->verb->args_min ? POP3_ARGS_SYNTAX : POP3_OK;
}

static enum pop3_fault
split(struct span line, struct pop3_detail *d)
{
	size_t n = 0;

	while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
		n++;
	d->word = span_first(line, n);
	d->args = span_trim(span_from(line, n));
	d->verb = pop3_verb_find(d->word);
	if (d->verb->verb == POP3_FOREIGN)
		return POP3_VERB_FOREIGN;
	/* blanks ahead of the verb and a tab behind it: one server takes them, another does not */
	if (n == 0 || (n < line.n && line.p[n] == '\t'))
		return POP3_ARGS_SYNTAX;
	if (d->verb->verb == POP3_UNKNOWN)
		return is_word(d->word) ? POP3_VERB_UNKNOWN : POP3_LINE_EMPTY;
	return parse_args(d);
}

void
pop3_command_parse(struct span line, struct line_marks marks, const struct pop3_limits *limits,
    struct pop3_detail *d)
{
	size_t max = limits->line;

	*d = (struct pop3_detail){.verb = pop3_verb_row(POP3_UNKNOWN)};
	d->fault = line_fault(line, marks);
	if (d->fault != POP3_OK)
		return;
	d->fault = split(line, d);
	if (d->verb->verb == POP3_AUTH)
		max = limits->auth_line;
	if (line.n + 2 > max) {
		d->fault = POP3_LINE_TOO_LONG;
		d->word = d->args = SPAN_NONE;
		d->number = 0;
		d->initial = false;
	}
}

bool
pop3_command_write(const struct pop3_detail *d, struct span line, struct buf *out)
{
	struct span rest = d->args, word;

	buf_add(out, d->word);
	if (d->verb->args_max == POP3_ARGS_TEXT) {
		buf_add(out, span_from(line, d->word.n));
		return buf_str(out, "\r\n");
	}
	while ((word = span_word(&rest)).n > 0) {
		buf_octet(out, ' ');
		buf_add(out, word);
	}
	return buf_str(out, "\r\n") && !out->failed;
}
