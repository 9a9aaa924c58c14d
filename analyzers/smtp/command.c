#include "smtp/command.h"

#define MECHANISM_MAX 20 /* RFC 4422 s3.1 */
#define CHUNK_MAX     ((uint64_t)INT64_MAX)

const char *
smtp_fault_reply(enum smtp_fault f)
{
	static const char *const replies[] = {
#define X(id, reply, ends) reply,
	    SMTP_FAULTS(X)
#undef X
	};

	return replies[f];
}

bool
smtp_fault_ends(enum smtp_fault f)
{
	static const bool ends_it[] = {
#define X(id, reply, ends) ends,
	    SMTP_FAULTS(X)
#undef X
	};

	return ends_it[f];
}

static bool
has_control(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return true;
	return false;
}

static bool
is_base64(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!octet_is_alnum(s.p[i]) && s.p[i] != '+' && s.p[i] != '/' && s.p[i] != '=')
			return false;
	return true;
}

struct span
smtp_auth_mechanism(struct span args)
{
	struct span word = span_word(&args);

	if (word.n > MECHANISM_MAX)
		return SPAN_NONE;
	for (size_t i = 0; i < word.n; i++)
		if (!octet_is_alnum(word.p[i]) && word.p[i] != '-' && word.p[i] != '_')
			return SPAN_NONE;
	return word;
}

/* mechanism [initial response] (RFC 4954 s4) */
static enum smtp_fault
parse_auth(struct smtp_detail *d)
{
	struct span rest = d->args, word;

	if (smtp_auth_mechanism(d->args).n == 0)
		return SMTP_ARGS_SYNTAX;
	span_word(&rest);
	word = span_word(&rest);
	return is_base64(word) && span_trim(rest).n == 0 ? SMTP_OK : SMTP_ARGS_SYNTAX;
}

/* count [LAST], the count without leading zeros, sign or anything a server might read otherwise */
static enum smtp_fault
parse_chunk(struct smtp_detail *d)
{
	struct span rest = d->args, count = span_word(&rest), last = span_word(&rest);

	if (!span_u64(count, CHUNK_MAX, &d->chunk) || (count.n > 1 && count.p[0] == '0'))
		return SMTP_BDAT_SYNTAX;
	d->last = span_ieq(last, span_str("LAST"));
	if ((last.n > 0 && !d->last) || span_trim(rest).n > 0)
		return SMTP_BDAT_SYNTAX;
	return SMTP_OK;
}

static enum smtp_fault
parse_path(struct smtp_detail *d, bool lenient, unsigned offered)
{
	bool is_mail = d->verb->verb == SMTP_MAIL;
	struct span keyword = span_str(is_mail ? "FROM:" : "TO:");
	struct span rest;

	if (!span_istarts(d->args, keyword))
		return SMTP_ARGS_SYNTAX;
	/* whether UTF-8 is welcome stands behind the path, or in another command: policy */
	d->path_fault = smtp_path_parse(
	    span_trim(span_from(d->args, keyword.n)), lenient, true, &d->path, &rest);
	if (d->path_fault != SMTP_PATH_OK)
		return SMTP_PATH_BAD;
	d->param_fault = smtp_params_parse(rest, is_mail, offered, &d->params, &d->param_bad);
	return d->param_fault == SMTP_PARAM_OK ? SMTP_OK : SMTP_PARAM_BAD;
}

/* EHLO and HELO name one host; what some other parser could take for more is refused. */
static enum smtp_fault
parse_helo(const struct smtp_detail *d)
{
	return span_find(d->args, ' ') < 0 && span_find(d->args, '\t') < 0 ? SMTP_OK
									   : SMTP_ARGS_SYNTAX;
}

static enum smtp_fault
parse_args(struct smtp_detail *d, bool lenient, unsigned offered)
{
	switch (d->verb->args) {
	case SMTP_ARGS_NONE:
		return d->args.n == 0 ? SMTP_OK : SMTP_ARGS_SYNTAX;
	case SMTP_ARGS_CHUNK:
		return parse_chunk(d);
	case SMTP_ARGS_PATH:
		return parse_path(d, lenient, offered);
	case SMTP_ARGS_REQUIRED:
		if (d->args.n == 0)
			return SMTP_ARGS_SYNTAX;
		break;
	case SMTP_ARGS_OPTIONAL:
		break;
	}
	if (d->verb->verb == SMTP_AUTH)
		return parse_auth(d);
	if (d->verb->verb == SMTP_EHLO || d->verb->verb == SMTP_HELO)
		return parse_helo(d);
	return SMTP_OK;
}

static enum smtp_fault
line_fault(struct span line, struct line_marks marks)
{
	if (marks.bare_lf)
		return SMTP_LINE_BARE_LF;
	if (marks.too_long)
		return SMTP_LINE_TOO_LONG;
	if (marks.bare_cr)
		return SMTP_LINE_BARE_CR;
	if (has_control(line))
		return SMTP_LINE_CONTROL;
	if (!span_is_utf8(line))
		return SMTP_LINE_UTF8;
	return span_trim(line).n == 0 ? SMTP_LINE_EMPTY : SMTP_OK;
}

void
smtp_command_parse(struct span line, struct line_marks marks, size_t line_max, bool lenient_paths,
    unsigned offered, struct smtp_detail *d)
{
	struct span rest = line;

	*d = (struct smtp_detail){.verb = smtp_verb_row(SMTP_UNKNOWN)};
	d->word = span_word(&rest);
	d->args = span_trim(rest);
	d->verb = smtp_verb_find(d->word);
	d->fault = line_fault(line, marks);
	if (d->fault != SMTP_OK)
		return;
	if (line.n + 2 > line_max && d->verb->verb != SMTP_AUTH)
		d->fault = SMTP_LINE_TOO_LONG;
	else if (d->verb->verb == SMTP_UNKNOWN)
		d->fault = SMTP_VERB_UNKNOWN;
	else if (d->verb->verb == SMTP_FOREIGN)
		d->fault = SMTP_VERB_FOREIGN;
	else
		d->fault = parse_args(d, lenient_paths, offered);
}

static bool
path_refusal(const struct smtp_detail *d, struct buf *out)
{
	bool is_mail = d->verb->verb == SMTP_MAIL;

	if (d->path_fault == SMTP_PATH_NOT_ASCII)
		return buf_str(out, "553 5.6.7 Error: ") &&
		       buf_str(out, smtp_path_why(d->path_fault));
	return buf_str(out, is_mail ? "501 5.1.7 Error: " : "501 5.1.3 Error: ") &&
	       buf_str(out, smtp_path_why(d->path_fault));
}

static bool
param_refusal(const struct smtp_detail *d, struct buf *out)
{
	const char *text =
	    d->param_fault == SMTP_PARAM_UNKNOWN    ? "555 5.5.4 Error: unsupported parameter"
	    : d->param_fault == SMTP_PARAM_BAD_SIZE ? "501 5.5.4 Error: bad message size"
						    : "501 5.5.4 Error: bad parameter syntax";

	return buf_str(out, text);
}

bool
smtp_command_refusal(const struct smtp_detail *d, struct buf *out)
{
	if (d->fault == SMTP_PATH_BAD)
		return path_refusal(d, out);
	if (d->fault == SMTP_PARAM_BAD)
		return param_refusal(d, out);
	return buf_str(out, smtp_fault_reply(d->fault));
}

static bool
canonical_path(const struct smtp_detail *d, struct buf *out)
{
	return buf_str(out, d->verb->verb == SMTP_MAIL ? "FROM:" : "TO:") &&
	       smtp_path_canonical(&d->path, out) && smtp_params_canonical(&d->params, out);
}

bool
smtp_command_canonical(const struct smtp_detail *d, struct buf *out)
{
	if (!buf_str(out, d->verb->name))
		return false;
	if (d->verb->args == SMTP_ARGS_PATH) {
		if (!buf_octet(out, ' ') || !canonical_path(d, out))
			return false;
	} else if (d->args.n > 0) {
		if (!buf_octet(out, ' ') || !buf_add(out, d->args))
			return false;
	}
	return buf_str(out, "\r\n");
}
