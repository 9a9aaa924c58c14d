/*
 * charset - text of a declared charset to UTF-8.
 *
 * An allow-list of charsets, opened once by charset_init() before the sandbox closes (iconv_open
 * reads files); any other is unknown, and its text stays as it came. Nothing here fails on bad
 * octets: each becomes U+FFFD. Per process: not for two threads at once.
 */
#ifndef POSTERN_MIME_CHARSET_H
#define POSTERN_MIME_CHARSET_H

#include "core/buf.h"

#define CHARSET_GROWTH 4 /* octets of UTF-8 for one of input, at most */

/* Opens all of them. False: one is not there. Calling it again does nothing. */
bool charset_init(void);
/* Closes them: before a process ends, so that leak checkers see no leak. */
void charset_close(void);

struct charset;

/*
 * label: a name or an alias (IANA's and those that mail programs write), any case, blanks and
 * quotes around it do not matter. NULL: unknown, or charset_init() was not called.
 */
const struct charset *charset_find(struct span label);
/* Lower case, the name that MIME prefers: "utf-8". */
const char *charset_name(const struct charset *);

enum charset_result {
	CHARSET_OK,
	CHARSET_BAD,  /* at least one U+FFFD stands for octets that are none of this charset */
	CHARSET_FULL, /* out is full or there is no memory: it holds the first whole characters */
};

/* Appends text as UTF-8: at most CHARSET_GROWTH * text.n octets. */
enum charset_result charset_to_utf8(const struct charset *, struct span text, struct buf *out);
/* UTF-8 checked: as it is, with U+FFFD for each ill-formed sequence. Needs no charset_init(). */
enum charset_result charset_clean_utf8(struct span text, struct buf *out);

#endif
