/*
 * digest_list - a file of SHA-256 digests into memory (digests.h has its form).
 */
#ifndef POSTERN_DIGEST_LIST_H
#define POSTERN_DIGEST_LIST_H

#include "digests.h"
#include "faults.h"

/*
 * into    empty, and sealed afterwards
 * faults  gains one at "line" when it cannot be read or a line of it is wrong: "what: FILE: ..."
 */
void digest_list_read(
    const char *path, struct digests *into, const char *what, unsigned line, struct faults *faults);

#endif
