#include "mime/gzip.h"

#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#include "mime/le.h"
#include "mime/tar.h"

#define TRAILER 8	  /* RFC 1952 s2.3.1: CRC32, ISIZE */
#define WINDOW	(15 + 16) /* zlib: the largest window, gzip's header and trailer */
#define PIECE	65536	  /* octets that are given to zlib at once */

struct gzip {
	struct members *m;
	z_stream zlib;
	gz_header header;
	uint8_t name[MEMBER_NAME_MAX];
	struct tar *tar;
	uint8_t first[TAR_BLOCK]; /* of what is inflated: is it a tar archive? */
	size_t first_n;
	uint64_t in, out;
	uint64_t inflated_in; /* of in */
	bool stopped;	      /* nothing more is inflated */
	bool between;	      /* a member of the gzip file has just ended */
	bool complete;	      /* the last one has, and all was inflated */
	uint8_t last[TRAILER];
	uint8_t output[GZIP_OUT];
};

struct gzip *
gzip_new(struct members *m)
{
	struct gzip *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->m = m;
	if (inflateInit2(&g->zlib, WINDOW) != Z_OK) {
		free(g);
		return NULL;
	}
	/* one octet stays free: a name that is longer comes without its NUL */
	g->header = (gz_header){.name = g->name, .name_max = sizeof(g->name) - 1};
	inflateGetHeader(&g->zlib, &g->header);
	return g;
}

void
gzip_free(struct gzip *g)
{
	if (g == NULL)
		return;
	inflateEnd(&g->zlib);
	tar_free(g->tar);
	free(g);
}

static void
stop(struct gzip *g)
{
	g->stopped = true;
	g->m->partial = true;
}

static void
keep_last(struct gzip *g, struct span in)
{
	size_t n = in.n < TRAILER ? in.n : TRAILER;

	memmove(g->last, g->last + n, TRAILER - n);
	memcpy(g->last + TRAILER - n, in.p + in.n - n, n);
}

/* ---- what comes out ---- */

static void
take_output(struct gzip *g, struct span out)
{
	struct span first = span_first(out, TAR_BLOCK - g->first_n);

	g->out += out.n;
	memcpy(g->first + g->first_n, first.p, first.n);
	g->first_n += first.n;
	if (first.n > 0 && g->first_n == TAR_BLOCK && tar_is_header(g->first)) {
		if ((g->tar = tar_new(g->m)) == NULL) {
			g->m->nomem = true;
			stop(g);
			return;
		}
		tar_feed(g->tar, span_of(g->first, TAR_BLOCK));
	}
	if (g->tar != NULL)
		tar_feed(g->tar, span_from(out, first.n));
}

/* Enough was seen, or it costs too much to see more. */
static void
hold_budget(struct gzip *g)
{
	uint64_t in = g->inflated_in;

	if (g->m->budget->inflate == 0 || (g->out > GZIP_RATIO_FROM && g->out / BOMB_RATIO > in))
		stop(g);
	/* of a single file there is no more to see than how fast it grows, and its size at the end
	 */
	else if (g->tar == NULL && g->out > GZIP_RATIO_FROM)
		g->stopped = true;
}

/* One call of zlib. Octets taken. */
static size_t
inflate_some(struct gzip *g, struct span in)
{
	struct archive_budget *budget = g->m->budget;
	size_t room = budget->inflate < GZIP_OUT ? (size_t)budget->inflate : GZIP_OUT, n;
	int status;

	g->zlib.next_in = in.p;
	g->zlib.avail_in = (uInt)(in.n < PIECE ? in.n : PIECE);
	n = g->zlib.avail_in;
	g->zlib.next_out = g->output;
	g->zlib.avail_out = (uInt)room;
	status = inflate(&g->zlib, Z_NO_FLUSH);
	n -= g->zlib.avail_in;
	room -= g->zlib.avail_out;
	budget->inflate -= room;
	g->inflated_in += n;
	take_output(g, span_of(g->output, room));
	g->between = status == Z_STREAM_END;
	if (status == Z_STREAM_END) {
		inflateReset(&g->zlib);
	} else if (status != Z_OK && status != Z_BUF_ERROR) {
		members_fault(g->m, "deflated data is damaged");
		stop(g);
	}
	if (!g->stopped)
		hold_budget(g);
	return n;
}

/* zlib may hold back output that did not fit: then it is called without input, too. */
static void
inflate_all(struct gzip *g, struct span in)
{
	bool full = false;

	while (!g->stopped && (in.n > 0 || full)) {
		if (g->between && in.n > 0 && in.p[0] != 0x1f) {
			members_fault(g->m, "octets behind the end");
			g->stopped = g->complete = true;
			return;
		}
		in = span_from(in, inflate_some(g, in));
		full = g->zlib.avail_out == 0 && !g->between;
	}
}

void
gzip_feed(struct gzip *g, struct span in)
{
	if (in.n == 0)
		return;
	inflate_all(g, in);
	g->in += in.n;
	keep_last(g, in);
}

/* ---- the end ---- */

/* Octets that all of it would be, at the rate of what was seen. */
static uint64_t
estimate(const struct gzip *g)
{
	uint64_t rate = g->inflated_in > 0 ? g->out / g->inflated_in : 0;

	return rate > 0 && g->in > UINT64_MAX / rate ? UINT64_MAX : g->in * rate;
}

static void
add_single(struct gzip *g)
{
	struct member member = {
	    .name = span_of(g->name, strnlen((const char *)g->name, sizeof(g->name))),
	    .size = MEMBER_SIZE_UNKNOWN,
	    .packed = g->in,
	};

	if (g->complete || (!g->stopped && g->between))
		member.size = g->out;
	else if (g->in >= 18) /* a header and a trailer; modulo 2^32, but that is all there is */
		member.size = le32(g->last + 4);
	members_add(g->m, &member);
}

void
gzip_finish(struct gzip *g)
{
	if (!g->stopped && !g->between && g->in > 0) {
		members_fault(g->m, "the file ends within its data");
		g->m->partial = true;
	}
	if (g->tar == NULL) {
		add_single(g);
	} else if (!g->stopped) {
		tar_finish(g->tar);
	}
	if (g->out > GZIP_RATIO_FROM && g->inflated_in > 0 &&
	    g->out / g->inflated_in >= BOMB_RATIO && estimate(g) > BOMB_OCTETS)
		g->m->bomb = true;
}
