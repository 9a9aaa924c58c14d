#include "ftp/command.h"

#include "core/telnet.h"

#define RESTART_MAX ((uint64_t)INT64_MAX) /* what an offset of a file can be */

const char *
ftp_fault_reply(enum ftp_fault f)
{
	static const char *const replies[] = {
#define X(id, reply, ends) reply,
	    FTP_FAULTS(X)
#undef X
	};

	return replies[f];
}

bool
ftp_fault_ends(enum ftp_fault f)
{
	static const bool ends_it[] = {
#define X(id, reply, ends) ends,
	    FTP_FAULTS(X)
#undef X
	};

	return ends_it[f];
}

static enum ftp_fault
of_hostport(enum ftp_hostport_fault f)
{
	return f == FTP_HOSTPORT_OK	  ? FTP_OK
	       : f == FTP_HOSTPORT_FAMILY ? FTP_ARGS_FAMILY
					  : FTP_ARGS_SYNTAX;
}

static enum ftp_fault
parse_args(struct ftp_detail *d)
{
	switch (d->verb->args) {
	case FTP_ARGS_NONE:
		return span_trim(d->args).n == 0 ? FTP_OK : FTP_ARGS_SYNTAX;
	case FTP_ARGS_OPTIONAL:
		return FTP_OK;
	case FTP_ARGS_REQUIRED:
		return d->args.n > 0 ? FTP_OK : FTP_ARGS_SYNTAX;
	case FTP_ARGS_HOSTPORT:
		return of_hostport(ftp_port_parse(d->args, &d->hostport));
	case FTP_ARGS_EPRT:
		return of_hostport(ftp_eprt_parse(d->args, &d->hostport));
	case FTP_ARGS_EPSV:
		return of_hostport(ftp_epsv_parse(d->args, &d->epsv));
	case FTP_ARGS_NUMBER:
		return span_u64(span_trim(d->args), RESTART_MAX, &d->restart) ? FTP_OK
									      : FTP_ARGS_SYNTAX;
	}
	return FTP_ARGS_SYNTAX;
}

static enum ftp_fault
line_fault(struct span raw, bool telnet, struct line_marks marks, size_t line_max)
{
	if (marks.bare_lf)
		return FTP_LINE_BARE_LF;
	if (marks.too_long || raw.n + 2 > line_max)
		return FTP_LINE_TOO_LONG;
	if (telnet)
		return FTP_LINE_TELNET;
	if (marks.nul)
		return FTP_LINE_NUL;
	if (marks.bare_cr)
		return FTP_LINE_BARE_CR;
	return span_trim(raw).n == 0 ? FTP_LINE_EMPTY : FTP_OK;
}

static bool
is_word(struct span word)
{
	for (size_t i = 0; i < word.n; i++)
		if (!octet_is_alnum(word.p[i]))
			return false;
	return word.n > 0;
}

/* Verb and arguments: one blank between them; what stands behind it belongs to the arguments. */
static enum ftp_fault
split(struct span line, struct ftp_detail *d)
{
	size_t n = 0;

	while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
		n++;
	d->word = span_first(line, n);
	d->args = span_from(line, n + 1);
	d->verb = ftp_verb_find(d->word);
	if (d->verb->verb == FTP_FOREIGN)
		return FTP_VERB_FOREIGN;
	/* blanks ahead of the verb and a tab behind it: one server takes them, another does not */
	if (n == 0 || (n < line.n && line.p[n] == '\t'))
		return FTP_ARGS_SYNTAX;
	if (d->verb->verb != FTP_UNKNOWN)
		return parse_args(d);
	return is_word(d->word) ? FTP_VERB_UNKNOWN : FTP_LINE_EMPTY;
}

void
ftp_command_parse(struct span raw, struct span line, bool telnet, struct line_marks marks,
    size_t line_max, struct ftp_detail *d)
{
	*d = (struct ftp_detail){.verb = ftp_verb_row(FTP_UNKNOWN)};
	d->fault = line_fault(raw, telnet, marks, line_max);
	if (d->fault == FTP_OK)
		d->fault = split(line, d);
}

bool
ftp_command_write(struct span word, struct span args, struct buf *out)
{
	return buf_add(out, word) && (args.n == 0 || buf_octet(out, ' ')) &&
	       telnet_write(args, out) && buf_str(out, "\r\n");
}

static bool
parts_words(uint8_t c)
{
	return c <= ' ' || c == 0x7f;
}

/* A word off the front of *args, blanks ahead of it too. */
static struct span
take_word(struct span *args)
{
	size_t n = 0;

	while (args->n > 0 && parts_words(args->p[0]))
		*args = span_from(*args, 1);
	while (n < args->n && !parts_words(args->p[n]))
		n++;
	struct span word = span_first(*args, n);

	*args = span_from(*args, n);
	return word;
}

bool
ftp_args_word_is(struct span *args, struct span word)
{
	struct span found = take_word(args);
	size_t at = 0;

	for (size_t i = 0; i < found.n; i++) {
		if (found.p[i] == '"' || found.p[i] == '\\')
			continue;
		if (at == word.n || octet_lower(found.p[i]) != octet_lower(word.p[at]))
			return false;
		at++;
	}
	return at == word.n;
}

bool
ftp_mdtm_sets_time(struct span args)
{
	struct span time = span_word(&args);
	size_t digits = 0;

	while (digits < time.n && octet_is_digit(time.p[digits]))
		digits++;
	return span_trim(args).n > 0 && (digits >= 14 || (digits == 8 && time.n == 8));
}

/* Would some client take this line between the first and the last for another reply? */
static bool
misleads(struct span line, struct span first)
{
	bool digits = line.n >= 3 && octet_is_digit(line.p[0]) && octet_is_digit(line.p[1]) &&
		      octet_is_digit(line.p[2]);

	return digits && !(line.n > 3 && span_starts(line, span_first(first, 4)));
}

bool
ftp_reply_write(struct span octets, struct buf *out)
{
	struct span first = octets, rest = octets;

	while (rest.n > 0) {
		ptrdiff_t lf = span_find(rest, '\n');
		struct span line = span_first(rest, lf < 0 ? rest.n : (size_t)lf + 1);

		rest = span_from(rest, line.n);
		if (line.p != first.p && rest.n > 0 && misleads(line, first) &&
		    !buf_octet(out, ' '))
			return false;
		if (!telnet_write(line, out))
			return false;
	}
	return true;
}
