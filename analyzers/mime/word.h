/*
 * word - encoded words in header fields (RFC 2047, language suffix RFC 2231 s5).
 *
 * Finds them in a value and puts UTF-8 in their place. Words that follow each other are joined,
 * the blanks between them dropped, and where charset and language agree their octets are decoded
 * as one run: characters that were cut in two come out whole. What is no word, or of an unknown
 * charset, stays as it came. Linear in time; output at most MIME_WORD_GROWTH times the input.
 *
 * Faults, offsets in the value:
 *   MIME_ODD_WORD      longer than 75 octets; blanks, or "?", inside; not set apart by blanks; bad
 *                      base64 or "=XX" inside; in a place where none may be (MIME_WORDS_PARAMETER)
 *   MIME_ODD_CHARSET   unknown charset
 *   MIME_ODD_TEXT      octets that are none of the charset
 *   MIME_ODD_8BIT_HEADER  octets above 0x7f outside of words that are not UTF-8
 *   MIME_ODD_NUL       a NUL
 */
#ifndef POSTERN_MIME_WORD_H
#define POSTERN_MIME_WORD_H

#include "core/buf.h"
#include "mime/fault.h"

#define MIME_WORD_GROWTH 4

enum mime_words {
	MIME_WORDS_TEXT,      /* Subject, Comments, ... */
	MIME_WORDS_PHRASE,    /* a display name, outside of quotes */
	MIME_WORDS_COMMENT,   /* inside of brackets */
	MIME_WORDS_PARAMETER, /* where some programs write them and none may be: quoted strings */
};

/*
 * Appends the decoded value. False: out is full or no memory. faults may be NULL. Fits out whenever
 * it has room for MIME_WORD_GROWTH times the value.
 */
bool mime_words_decode(
    struct span value, enum mime_words where, struct buf *out, struct mime_faults *faults);

/* Is there anything in the value that mime_words_decode() would change? */
bool mime_words_any(struct span value);

#endif
