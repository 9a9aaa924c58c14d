#include "ftp/features.h"

/* A line off the front of *rest, without its CR LF. */
static struct span
take_line(struct span *rest)
{
	ptrdiff_t lf = span_find(*rest, '\n');
	size_t n = lf < 0 ? rest->n : (size_t)lf;
	struct span line = span_first(*rest, n);

	*rest = span_from(*rest, n + 1);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* Of a line that is indented: "KEYWORD[ params]". */
static bool
is_feature(struct span line, struct span *keyword, struct span *params)
{
	if (line.n == 0 || (line.p[0] != ' ' && line.p[0] != '\t'))
		return false;
	*params = span_trim(line);
	*keyword = span_word(params);
	*params = span_trim(*params);
	return keyword->n > 0;
}

static bool
add_line(struct buf *out, struct span line)
{
	return buf_add(out, line) && buf_str(out, "\r\n");
}

static bool
add_feature(const struct ftp_feature_filter *filter, struct span line, struct buf *out)
{
	struct span keyword, params, instead = SPAN_NONE;

	if (!is_feature(line, &keyword, &params) ||
	    !filter->keep(filter->arg, keyword, params, &instead))
		return true;
	return buf_octet(out, ' ') && add_line(out, instead.n > 0 ? instead : span_trim(line));
}

bool
ftp_features_rewrite(struct span reply, const struct ftp_feature_filter *filter, struct buf *out)
{
	bool ok = add_line(out, take_line(&reply));

	while (ok && reply.n > 0) {
		struct span line = take_line(&reply);

		ok = reply.n == 0 ? add_line(out, line) : add_feature(filter, line, out);
	}
	return ok;
}

bool
ftp_features_has(struct span reply, const char *name)
{
	struct span keyword, params;

	take_line(&reply);
	while (reply.n > 0) {
		struct span line = take_line(&reply);

		if (reply.n > 0 && is_feature(line, &keyword, &params) &&
		    span_ieq(keyword, span_str(name)))
			return true;
	}
	return false;
}
