#include "readings.h"

static void
add(struct readings *r, struct span host)
{
	if (r->n == READINGS_MAX)
		r->too_many = true;
	else
		r->hosts[r->n++] = host;
}

/* "@a,@b" */
static void
add_route(struct readings *r, struct span route)
{
	while (route.n > 0) {
		ptrdiff_t comma = span_find(route, ',');
		struct span hop = comma < 0 ? route : span_first(route, (size_t)comma);

		add(r, span_from(hop, 1));
		route = span_from(route, hop.n + 1);
	}
}

static bool
is_operator(uint8_t c)
{
	return c == '@' || c == '%' || c == '!' || c == ':' || c == ',';
}

/*
 * user@host, user%host, host!user, host::user (and ":" of a source route). before and after are
 * the operators next to the word, 0 at an end; between two colons there is no word.
 */
static bool
is_host(struct span word, uint8_t before, uint8_t after)
{
	if (word.n == 0 && before == ':' && after == ':')
		return false;
	return before == '@' || before == '%' || after == '!' || after == ':';
}

static void
add_local(struct readings *r, struct span local)
{
	uint8_t before = 0;

	for (size_t from = 0, i = 0; i <= local.n; i++) {
		uint8_t c = i < local.n ? local.p[i] : 0;
		struct span word = span_of(local.p + from, i - from);

		if (i < local.n && !is_operator(c))
			continue;
		if (is_host(word, before, c))
			add(r, word);
		r->operators = r->operators || c != 0;
		before = c;
		from = i + 1;
	}
}

bool
readings_make(struct readings *r, const struct smtp_path *path)
{
	memset(r, 0, sizeof(*r));
	buf_init(&r->plain, path->local.n);
	if (!smtp_path_local_plain(path, &r->plain))
		return false;
	add_route(r, path->route);
	add_local(r, buf_span(&r->plain));
	return true;
}

void
readings_free(struct readings *r)
{
	buf_free(&r->plain);
}
