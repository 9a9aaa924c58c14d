/*
 * param - values of Content-Type and Content-Disposition: what they say, and their parameters
 * (RFC 2045 s5.1, RFC 2183, RFC 2231 s3 and s4).
 *
 * As the common mail programs read them: comments and blanks anywhere, quoted strings with quoted
 * pairs, a missing ";" between parameters, blanks around "=", quotes that never close, values with
 * characters that should have been quoted. RFC 2231: sections in any order, language, charset,
 * percent. Nothing is silently chosen: a parameter that stands twice is there twice, and where a
 * program that knows no RFC 2231 would read something else, that reading is there too.
 *
 * Linear in time (n log n in the number of sections); at most the stated number of parameters.
 *
 * Faults, offsets in the value (of what is within a parameter: of its value):
 *   MIME_ODD_PARAMETER   any deviation from the grammar; detail says which
 *   MIME_ODD_CHARSET, MIME_ODD_TEXT  of an RFC 2231 value
 *   MIME_ODD_WORD, ...   of encoded words in a value (word.h)
 *   MIME_ODD_TOO_MANY_PARAMETERS  the rest is counted in left_out
 *   MIME_ODD_AMBIGUOUS   the same parameter twice with two values; RFC 2231 beside a plain one with
 *                        another value; two types in one value; a quoted pair that some programs
 *                        read as two characters
 */
#ifndef POSTERN_MIME_PARAM_H
#define POSTERN_MIME_PARAM_H

#include "mime/fault.h"
#include "mime/mime.h"

#define PARAM_MAX	 256 /* parameters (and sections of them), when the caller names none */
#define PARAM_READINGS	 3   /* of one parameter, at most */
#define PARAM_OUTPUT_MAX 24  /* octets kept for one of the value, at most */
#define PARAM_ENTRY_MAX	 256 /* octets of memory, of each reading while it is read */

enum param_of {
	PARAM_OF_TYPE,
	PARAM_OF_DISPOSITION,
};

struct param_value {
	struct span main; /* "text/plain", "attachment": lower case; empty: there is none */
	struct mime_parameter *parameters; /* in the order of their beginnings */
	size_t n;
	uint64_t left_out;
	struct mime_faults faults;
	uint8_t *octets; /* that the spans point into */
	size_t held;	 /* octets of memory: of these and of parameters */
};

/*
 * value: of the field, unfolded or not. max: 0 for PARAM_MAX. *out is filled in, and must be given
 * to param_value_free(). False: no memory, nothing to free.
 */
bool param_parse(struct span value, enum param_of, size_t max, struct param_value *out);
void param_value_free(struct param_value *);

/* The nth (from 0) reading of a parameter, the one that most programs choose first; or NULL. */
const struct mime_parameter *param_find(const struct param_value *, const char *name, size_t nth);

#endif
