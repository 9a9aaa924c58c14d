#include "mime/coded.h"

#include "mime/line_begin.h"

/* How the lines begin that announce a file. */
static const char YENC[] = "=ybegin ", BINHEX[] = "(This file must be converted with BinHex";

/* ---- yEnc ---- */

static bool
take_number(struct span word, const char *key, uint64_t *out)
{
	size_t n = strlen(key);

	return span_starts(word, span_str(key)) && span_u64(span_from(word, n), UINT64_MAX, out);
}

/* The name comes last and may have blanks in it. */
bool
yenc_begin(struct span line, struct yenc_begin *y)
{
	bool has_line = false, has_size = false;
	struct span word;

	*y = (struct yenc_begin){0};
	if (!span_starts(line, span_str(YENC)))
		return false;
	line = span_from(line, sizeof(YENC) - 1);
	for (;;) {
		struct span rest = span_trim(line);

		if (span_starts(rest, span_str("name="))) {
			y->name = span_from(rest, 5);
			break;
		}
		if ((word = span_word(&line)).n == 0)
			break;
		has_line = take_number(word, "line=", &y->line) || has_line;
		has_size = take_number(word, "size=", &y->size) || has_size;
		(void)(take_number(word, "part=", &y->part) ||
		       take_number(word, "total=", &y->total));
	}
	return has_line && has_size;
}

/* ---- BinHex ---- */

bool
binhex_announced(struct span line)
{
	return span_istarts(span_trim(line), span_str(BINHEX));
}

#define BINHEX_HEAD (1 + 63 + 1 + 4 + 4 + 2 + 4 + 4 + 2)
#define BINHEX_RUN  0x90 /* the octet before it, so many times; 0: this octet itself */

static int
binhex_sextet(uint8_t c)
{
	static const char alphabet[] =
	    "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
	const char *at = c == 0 ? NULL : strchr(alphabet, c);

	return at == NULL ? -1 : (int)(at - alphabet);
}

struct run {
	uint8_t out[BINHEX_HEAD];
	size_t n;
	bool pending;
};

static void
add_octet(struct run *r, uint8_t c)
{
	size_t times = 1;

	if (r->pending) {
		r->pending = false;
		times = c == 0 ? 1 : c - 1u;
		c = c == 0 ? BINHEX_RUN : r->n > 0 ? r->out[r->n - 1] : 0;
	} else if (c == BINHEX_RUN) {
		r->pending = true;
		return;
	}
	for (; times > 0 && r->n < sizeof(r->out); times--)
		r->out[r->n++] = c;
}

static void
decode_head(struct span text, struct run *r)
{
	unsigned bits = 0, n = 0;

	for (size_t i = 0; i < text.n && r->n < sizeof(r->out); i++) {
		int v = binhex_sextet(text.p[i]);

		if (text.p[i] == '\r' || text.p[i] == '\n')
			continue;
		if (v < 0)
			return;
		bits = (bits << 6 | (unsigned)v) & 0xffff;
		n += 6;
		if (n >= 8) {
			n -= 8;
			add_octet(r, (uint8_t)(bits >> n));
		}
	}
}

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool
binhex_header(struct span text, struct binhex *b)
{
	struct run r = {.n = 0};
	const uint8_t *p;
	size_t n;

	*b = (struct binhex){0};
	while (text.n > 0 && text.p[0] <= ' ')
		text = span_from(text, 1);
	if (text.n == 0 || text.p[0] != ':')
		return false;
	decode_head(span_from(text, 1), &r);
	n = r.n > 0 ? r.out[0] : 0;
	if (n == 0 || n >= BINHEX_NAME_MAX || r.n < n + 22)
		return false;
	memcpy(b->name, r.out + 1, n);
	b->name_n = n;
	p = r.out + 1 + n + 1; /* behind the version */
	memcpy(b->type, p, 4);
	memcpy(b->creator, p + 4, 4);
	b->data = be32(p + 10);
	b->resource = be32(p + 14);
	return true;
}

/* ---- both, in a text that streams by ---- */

enum { LINE_BEGINS, IN_LINE, OTHER_LINE, BEHIND_BINHEX };

#define BINHEX_LOOK 192 /* octets in which its header stands */

/* Could a line go on like this? */
static bool
may_be_coded(struct span line)
{
	return span_starts(line, span_first(span_str(YENC), line.n)) ||
	       span_istarts(line, span_first(span_str(BINHEX), line.n));
}

/* A line is complete, with its LF if it has one. */
static enum coded_file
look_at_coded(struct coded_scan *s, bool ended)
{
	struct span line = span_of(s->held, s->n);
	struct yenc_begin y;

	s->state = ended ? LINE_BEGINS : OTHER_LINE;
	s->n = 0;
	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	if (yenc_begin(line, &y)) {
		s->name = y.name;
		return CODED_YENC;
	}
	if (ended && binhex_announced(line))
		s->state = BEHIND_BINHEX;
	return CODED_NONE;
}

static enum coded_file
look_at_binhex(struct coded_scan *s)
{
	struct binhex b;
	bool found = binhex_header(span_of(s->held, s->n), &b);

	s->state = OTHER_LINE;
	s->n = 0;
	if (!found)
		return CODED_NONE;
	memcpy(s->binhex, b.name, b.name_n);
	s->name = span_of((const uint8_t *)s->binhex, b.name_n);
	return CODED_BINHEX;
}

static enum coded_file
coded_octet(struct coded_scan *s, uint8_t c)
{
	s->held[s->n++] = c;
	if (s->state == BEHIND_BINHEX)
		return s->n == BINHEX_LOOK ? look_at_binhex(s) : CODED_NONE;
	s->state = IN_LINE;
	if (c == '\n' || s->n == sizeof(s->held))
		return look_at_coded(s, c == '\n');
	if (!may_be_coded(span_of(s->held, s->n))) {
		s->state = OTHER_LINE;
		s->n = 0;
	}
	return CODED_NONE;
}

/* Most lines are told by their first octet. Returns how many octets are of such ones. */
static size_t
pass_lines(struct coded_scan *s, struct span in)
{
	size_t n;

	if (in.n == 0 || (s->state == LINE_BEGINS && (in.p[0] == '=' || in.p[0] == '(')))
		return 0;
	n = line_begin(in, '=', '(');
	s->state = in.p[n - 1] == '\n' ? LINE_BEGINS : OTHER_LINE;
	return n;
}

enum coded_file
coded_scan_feed(struct coded_scan *s, struct span in, size_t *used)
{
	enum coded_file found = CODED_NONE;
	size_t i = 0;

	while (i < in.n && found == CODED_NONE) {
		if (s->state == OTHER_LINE || s->state == LINE_BEGINS)
			i += pass_lines(s, span_from(in, i));
		if (i < in.n)
			found = coded_octet(s, in.p[i++]);
	}
	*used = i;
	return found;
}

enum coded_file
coded_scan_finish(struct coded_scan *s)
{
	if (s->state == BEHIND_BINHEX)
		return look_at_binhex(s);
	return s->state == IN_LINE ? look_at_coded(s, false) : CODED_NONE;
}

/* ---- AppleSingle, AppleDouble ---- */

bool
apple_file(struct span prefix)
{
	return span_starts(prefix, span_of("\0\x05\x16\x00", 4)) ||
	       span_starts(prefix, span_of("\0\x05\x16\x07", 4));
}
