#include "ftp/path.h"

void
ftp_path_init(struct ftp_path *path)
{
	path->cut = false;
	buf_init(&path->text, FTP_PATH_MAX);
}

void
ftp_path_free(struct ftp_path *path)
{
	path->cut = false;
	buf_free(&path->text);
}

void
ftp_path_forget(struct ftp_path *path)
{
	ftp_path_free(path);
}

/* What a path is built of, one component after the other. */
struct way {
	struct buf *out;
	bool cut;
};

/*
 * The last component goes; above what is known, and above "~user", ".." stays, and above "/" there
 * is nothing.
 */
static bool
add_up(struct way *w)
{
	struct span text = buf_span(w->out);
	ptrdiff_t slash = span_rfind(text, '/');
	struct span last = span_from(text, (size_t)(slash + 1));

	if (span_eq(text, span_str("/")))
		return true;
	if (text.n == 0 || span_eq(last, span_str("..")) || (slash < 0 && text.p[0] == '~'))
		return buf_str(w->out, text.n == 0 ? ".." : "/..");
	w->out->n = slash > 0 ? (size_t)slash : slash == 0 ? 1 : 0;
	return true;
}

/* False: no memory. What would pass the ceiling of the path is left out. */
static bool
add_component(struct way *w, struct span name)
{
	struct span text = buf_span(w->out);
	bool slash = text.n > 0 && text.p[text.n - 1] != '/';

	if (w->cut || name.n == 0 || span_eq(name, span_str(".")))
		return true;
	if (text.n + name.n + 3 > FTP_PATH_MAX) {
		w->cut = true;
		return true;
	}
	if (span_eq(name, span_str("..")))
		return add_up(w);
	return (!slash || buf_octet(w->out, '/')) && buf_add(w->out, name);
}

static bool
add_path(struct way *w, struct span path)
{
	if (path.n > 0 && path.p[0] == '/' && !buf_octet(w->out, '/'))
		return false;
	while (path.n > 0) {
		ptrdiff_t slash = span_find(path, '/');
		size_t n = slash < 0 ? path.n : (size_t)slash;

		if (!add_component(w, span_first(path, n)))
			return false;
		path = span_from(path, n + 1);
	}
	return true;
}

/* "/a" and "~user" begin anew, all else is below where we are. */
static bool
begins_anew(struct span name)
{
	return name.n > 0 && (name.p[0] == '/' || name.p[0] == '~');
}

/* out is empty, and shares nothing with base. */
static bool
resolve(struct span base, struct span name, struct buf *out, bool *cut)
{
	struct way w = {.out = out};
	bool ok = (begins_anew(name) || add_path(&w, base)) && add_path(&w, name);

	*cut = w.cut;
	return ok;
}

static bool
move(struct ftp_path *path, struct span base, struct span name)
{
	struct buf next;
	bool cut;

	buf_init(&next, FTP_PATH_MAX);
	if (!resolve(base, name, &next, &cut)) {
		buf_free(&next);
		return false;
	}
	path->cut = cut || (path->cut && !begins_anew(name) && base.n > 0);
	buf_free(&path->text);
	path->text = next;
	return true;
}

bool
ftp_path_enter(struct ftp_path *path, struct span args)
{
	return move(path, buf_span(&path->text), args);
}

bool
ftp_path_up(struct ftp_path *path)
{
	return move(path, buf_span(&path->text), span_str(".."));
}

bool
ftp_path_told(struct ftp_path *path, struct span text, bool *understood)
{
	struct buf name;
	bool ok;

	*understood = false;
	buf_init(&name, text.n);
	ok = ftp_257_parse(text, &name);
	if (ok && name.n > 0) {
		*understood = true;
		ok = move(path, SPAN_NONE, buf_span(&name));
	} else {
		ok = !name.failed;
	}
	buf_free(&name);
	return ok;
}

bool
ftp_path_of(const struct ftp_path *path, struct span name, struct buf *out, bool *cut)
{
	buf_clear(out);
	if (!resolve(buf_span(&path->text), name, out, cut))
		return false;
	*cut = *cut || (path->cut && !begins_anew(name));
	return true;
}

bool
ftp_257_parse(struct span text, struct buf *out)
{
	ptrdiff_t quote = span_find(text, '"');

	if (quote < 0)
		return false;
	text = span_from(text, (size_t)quote + 1);
	while ((quote = span_find(text, '"')) >= 0) {
		struct span behind = span_from(text, (size_t)quote + 1);
		bool doubled = behind.n > 0 && behind.p[0] == '"';

		if (!buf_add(out, span_first(text, (size_t)quote + (doubled ? 1 : 0))))
			return false;
		if (!doubled)
			return true;
		text = span_from(behind, 1);
	}
	return false;
}
