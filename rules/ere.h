/*
 * ere - POSIX extended regular expressions (IEEE Std 1003.1 s9.4), compiled once.
 *
 * Not libc's: a matcher that keeps what it learns grows with what strangers send, and one that
 * tries again never ends. This one goes through the text once with the set of states it may be in:
 * at most ERE_STATES_MAX steps for every octet, no memory, whatever expression and text are.
 *
 * Matches without regard to the case of ASCII letters, octet by octet: a letter beyond ASCII is
 * several. No back-references, no collating elements, no GNU escapes.
 */
#ifndef POSTERN_ERE_H
#define POSTERN_ERE_H

#include "core/span.h"

#define ERE_STATES_MAX 1024 /* an octet of the expression is about one; {n} multiplies */

struct ere;

/* NULL: *why says what is wrong (a constant: "has a ( that nothing closes"). */
struct ere *ere_new(struct span expression, const char **why);
void ere_free(struct ere *); /* NULL is fine */
/* Does it match anywhere in the text? */
bool ere_matches(const struct ere *, struct span text);

#endif
