#include "mime/charset.h"

#include <errno.h>
#include <iconv.h>

#define PIECE 1024 /* octets that are converted at a time */

struct charset {
	const char *name;
	const char *iconv_name; /* NULL: UTF-8, which is checked and not converted */
	size_t unit;		/* octets that are skipped where they mean nothing */
	bool ascii;		/* nothing above 0x7f is of it */
};

static const struct charset CHARSETS[] = {
    {"utf-8", NULL, 1, false},
    {"us-ascii", NULL, 1, true},
    {"iso-8859-1", "ISO-8859-1", 1, false},
    {"iso-8859-2", "ISO-8859-2", 1, false},
    {"iso-8859-3", "ISO-8859-3", 1, false},
    {"iso-8859-4", "ISO-8859-4", 1, false},
    {"iso-8859-5", "ISO-8859-5", 1, false},
    {"iso-8859-6", "ISO-8859-6", 1, false},
    {"iso-8859-7", "ISO-8859-7", 1, false},
    {"iso-8859-8", "ISO-8859-8", 1, false},
    {"iso-8859-9", "ISO-8859-9", 1, false},
    {"iso-8859-10", "ISO-8859-10", 1, false},
    {"iso-8859-13", "ISO-8859-13", 1, false},
    {"iso-8859-14", "ISO-8859-14", 1, false},
    {"iso-8859-15", "ISO-8859-15", 1, false},
    {"iso-8859-16", "ISO-8859-16", 1, false},
    {"windows-1250", "CP1250", 1, false},
    {"windows-1251", "CP1251", 1, false},
    {"windows-1252", "CP1252", 1, false},
    {"windows-1253", "CP1253", 1, false},
    {"windows-1254", "CP1254", 1, false},
    {"windows-1255", "CP1255", 1, false},
    {"windows-1256", "CP1256", 1, false},
    {"windows-1257", "CP1257", 1, false},
    {"windows-1258", "CP1258", 1, false},
    {"windows-874", "CP874", 1, false},
    {"koi8-r", "KOI8-R", 1, false},
    {"koi8-u", "KOI8-U", 1, false},
    {"macintosh", "MACINTOSH", 1, false},
    {"ibm437", "IBM437", 1, false},
    {"ibm850", "IBM850", 1, false},
    {"ibm852", "IBM852", 1, false},
    {"ibm866", "IBM866", 1, false},
    {"shift_jis", "CP932", 1, false},
    {"euc-jp", "EUC-JP", 1, false},
    {"iso-2022-jp", "ISO-2022-JP-2", 1, false},
    {"gb18030", "GB18030", 1, false},
    {"big5", "BIG5-HKSCS", 1, false},
    {"euc-kr", "UHC", 1, false},
    {"iso-2022-kr", "ISO-2022-KR", 1, false},
    {"utf-7", "UTF-7", 1, false},
    {"utf-16", "UTF-16", 2, false},
    {"utf-16le", "UTF-16LE", 2, false},
    {"utf-16be", "UTF-16BE", 2, false},
    {"utf-32", "UTF-32", 4, false},
};

#define N_CHARSETS (sizeof(CHARSETS) / sizeof(CHARSETS[0]))

static const struct {
	const char *alias, *name;
} ALIASES[] = {
    {"utf8", "utf-8"},
    {"unicode-1-1-utf-8", "utf-8"},
    {"utf-8mb4", "utf-8"},
    {"ascii", "us-ascii"},
    {"ansi_x3.4-1968", "us-ascii"},
    {"iso646-us", "us-ascii"},
    {"us", "us-ascii"},
    {"646", "us-ascii"},
    {"latin1", "iso-8859-1"},
    {"latin-1", "iso-8859-1"},
    {"l1", "iso-8859-1"},
    {"iso8859-1", "iso-8859-1"},
    {"iso88591", "iso-8859-1"},
    {"iso_8859-1", "iso-8859-1"},
    {"8859-1", "iso-8859-1"},
    {"latin2", "iso-8859-2"},
    {"iso8859-2", "iso-8859-2"},
    {"iso_8859-2", "iso-8859-2"},
    {"latin3", "iso-8859-3"},
    {"latin4", "iso-8859-4"},
    {"cyrillic", "iso-8859-5"},
    {"iso8859-5", "iso-8859-5"},
    {"arabic", "iso-8859-6"},
    {"iso-8859-6-e", "iso-8859-6"},
    {"iso-8859-6-i", "iso-8859-6"},
    {"greek", "iso-8859-7"},
    {"iso8859-7", "iso-8859-7"},
    {"hebrew", "iso-8859-8"},
    {"iso-8859-8-e", "iso-8859-8"},
    {"iso-8859-8-i", "iso-8859-8"},
    {"latin5", "iso-8859-9"},
    {"iso8859-9", "iso-8859-9"},
    {"latin6", "iso-8859-10"},
    {"latin9", "iso-8859-15"},
    {"latin-9", "iso-8859-15"},
    {"iso8859-15", "iso-8859-15"},
    {"iso_8859-15", "iso-8859-15"},
    {"latin10", "iso-8859-16"},
    {"cp1250", "windows-1250"},
    {"x-cp1250", "windows-1250"},
    {"cp1251", "windows-1251"},
    {"x-cp1251", "windows-1251"},
    {"win-1251", "windows-1251"},
    {"cp1252", "windows-1252"},
    {"x-cp1252", "windows-1252"},
    {"x-ansi", "windows-1252"},
    {"cp1253", "windows-1253"},
    {"cp1254", "windows-1254"},
    {"cp1255", "windows-1255"},
    {"cp1256", "windows-1256"},
    {"cp1257", "windows-1257"},
    {"cp1258", "windows-1258"},
    {"cp874", "windows-874"},
    {"tis-620", "windows-874"},
    {"iso-8859-11", "windows-874"},
    {"koi8r", "koi8-r"},
    {"koi", "koi8-r"},
    {"cskoi8r", "koi8-r"},
    {"koi8u", "koi8-u"},
    {"koi8-ru", "koi8-u"},
    {"mac", "macintosh"},
    {"x-mac-roman", "macintosh"},
    {"cp437", "ibm437"},
    {"cp850", "ibm850"},
    {"cp852", "ibm852"},
    {"cp866", "ibm866"},
    {"shift-jis", "shift_jis"},
    {"sjis", "shift_jis"},
    {"x-sjis", "shift_jis"},
    {"ms_kanji", "shift_jis"},
    {"windows-31j", "shift_jis"},
    {"cp932", "shift_jis"},
    {"x-euc-jp", "euc-jp"},
    {"eucjp", "euc-jp"},
    {"iso-2022-jp-1", "iso-2022-jp"},
    {"iso-2022-jp-2", "iso-2022-jp"},
    {"csiso2022jp", "iso-2022-jp"},
    {"gb2312", "gb18030"},
    {"gb_2312-80", "gb18030"},
    {"gbk", "gb18030"},
    {"x-gbk", "gb18030"},
    {"cp936", "gb18030"},
    {"euc-cn", "gb18030"},
    {"chinese", "gb18030"},
    {"big5-hkscs", "big5"},
    {"x-x-big5", "big5"},
    {"cp950", "big5"},
    {"cn-big5", "big5"},
    {"ks_c_5601-1987", "euc-kr"},
    {"ksc5601", "euc-kr"},
    {"ks_c_5601", "euc-kr"},
    {"korean", "euc-kr"},
    {"cp949", "euc-kr"},
    {"windows-949", "euc-kr"},
    {"unicode-1-1-utf-7", "utf-7"},
    {"utf7", "utf-7"},
    {"utf16", "utf-16"},
    {"unicode", "utf-16le"},
    {"ucs-2", "utf-16"},
};

/* Open for the life of the process. */
static iconv_t opened[N_CHARSETS];
static bool is_open;

bool
charset_init(void)
{
	for (size_t i = 0; !is_open && i < N_CHARSETS; i++) {
		opened[i] = (iconv_t)0;
		if (CHARSETS[i].iconv_name == NULL)
			continue;
		opened[i] = iconv_open("UTF-8", CHARSETS[i].iconv_name);
		if (opened[i] != (iconv_t)-1)
			continue;
		while (i-- > 0)
			if (opened[i] != (iconv_t)0)
				iconv_close(opened[i]);
		return false;
	}
	is_open = true;
	return true;
}

void
charset_close(void)
{
	for (size_t i = 0; is_open && i < N_CHARSETS; i++)
		if (opened[i] != (iconv_t)0)
			iconv_close(opened[i]);
	is_open = false;
}

static const struct charset *
by_name(struct span name)
{
	for (size_t i = 0; i < N_CHARSETS; i++)
		if (span_ieq(name, span_str(CHARSETS[i].name)))
			return &CHARSETS[i];
	return NULL;
}

const struct charset *
charset_find(struct span label)
{
	const struct charset *found;

	label = span_trim(label);
	while (label.n > 1 && (label.p[0] == '"' || label.p[0] == '\'') &&
	       label.p[label.n - 1] == label.p[0])
		label = span_trim(span_of(label.p + 1, label.n - 2));
	if (!is_open)
		return NULL;
	found = by_name(label);
	for (size_t i = 0; found == NULL && i < sizeof(ALIASES) / sizeof(ALIASES[0]); i++)
		if (span_ieq(label, span_str(ALIASES[i].alias)))
			found = by_name(span_str(ALIASES[i].name));
	return found;
}

const char *
charset_name(const struct charset *c)
{
	return c->name;
}

/* Appends what fits, in whole characters. False: not all of it did. */
static bool
append(struct buf *out, struct span utf8)
{
	size_t n = out->max - out->n;

	if (utf8.n <= n)
		return buf_add(out, utf8);
	while (n > 0 && (utf8.p[n] & 0xc0) == 0x80)
		n--;
	buf_add(out, span_first(utf8, n));
	return false;
}

static bool
append_replacement(struct buf *out)
{
	return append(out, span_str("\xef\xbf\xbd"));
}

/*
 * Length of the well-formed character at p, or 0; then *bad is the length of what one U+FFFD stands
 * for: the longest beginning of a character that could have been one (Unicode 15, s3.9).
 */
static size_t
character(const uint8_t *p, size_t n, size_t *bad)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t length = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	*bad = 1;
	if (length == 1)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : low;
	high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : high;
	for (size_t i = 1; i < length; i++) {
		if (i >= n || p[i] < low || p[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
		*bad = i + 1;
	}
	return length;
}

enum charset_result
charset_clean_utf8(struct span text, struct buf *out)
{
	enum charset_result result = CHARSET_OK;
	size_t from = 0, i = 0, bad;

	if (span_is_utf8(text))
		return append(out, text) ? CHARSET_OK : CHARSET_FULL;
	while (i < text.n) {
		size_t n = character(text.p + i, text.n - i, &bad);

		if (n > 0) {
			i += n;
			continue;
		}
		result = CHARSET_BAD;
		if (!append(out, span_of(text.p + from, i - from)) || !append_replacement(out))
			return CHARSET_FULL;
		i += bad;
		from = i;
	}
	return append(out, span_from(text, from)) ? result : CHARSET_FULL;
}

static enum charset_result
convert(const struct charset *c, iconv_t cd, struct span text, struct buf *out)
{
	enum charset_result result = CHARSET_OK;
	char *in = (char *)(uintptr_t)text.p;
	size_t left = text.n;
	bool flushed = false;

	iconv(cd, NULL, NULL, NULL, NULL);
	while (!flushed) {
		char piece[PIECE], *to = piece;
		size_t room = sizeof(piece), before = left;
		/* some hold a letter back until they know what is put on it: ask for it at the end
		 */
		bool all = left == 0;
		size_t done = iconv(cd, all ? NULL : &in, all ? NULL : &left, &to, &room);
		int why = done == (size_t)-1 ? errno : 0;

		flushed = all;
		if (!append(out, span_of(piece, sizeof(piece) - room)))
			return CHARSET_FULL;
		if (why == 0 || all || (why == E2BIG && left < before))
			continue;
		before = why == EINVAL || left < c->unit ? left : c->unit;
		in += before;
		left -= before;
		result = CHARSET_BAD;
		if (!append_replacement(out))
			return CHARSET_FULL;
	}
	return result;
}

enum charset_result
charset_to_utf8(const struct charset *c, struct span text, struct buf *out)
{
	enum charset_result result;

	if (c->iconv_name != NULL)
		return convert(c, opened[c - CHARSETS], text, out);
	result = charset_clean_utf8(text, out);
	return result == CHARSET_OK && c->ascii && !span_is_ascii(text) ? CHARSET_BAD : result;
}
