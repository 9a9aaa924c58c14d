/*
 * json_writer - JSON (RFC 8259) that is written as it is said, into one buffer: no tree, no
 * allocation of its own.
 *
 * What is opened has to be closed in turn; the caller sees to it. Keys are constants of ours that
 * need no escapes; inside of a list, and of the outermost value, key is NULL. A buffer that is
 * full, or for which there is no memory, has failed: then nothing of it may be used but what
 * json_back() leaves. Each function is linear in what it writes.
 */
#ifndef POSTERN_JSON_WRITER_H
#define POSTERN_JSON_WRITER_H

#include "core/buf.h"

struct json_writer {
	struct buf *out;
	bool first; /* nothing stands yet in the object or list that is open */
};

/* Begins behind what is in the buffer, which stays the caller's. */
void json_begin(struct json_writer *, struct buf *);

void json_open_object(struct json_writer *, const char *key);
void json_close_object(struct json_writer *);
void json_open_list(struct json_writer *, const char *key);
void json_close_list(struct json_writer *);
/* text: well-formed UTF-8. Quotes, backslashes and C0 controls are escaped, and nothing else is. */
void json_text(struct json_writer *, const char *key, struct span text);
void json_number(struct json_writer *, const char *key, uint64_t value);
void json_truth(struct json_writer *, const char *key, bool value);

/* A place to come back to, between two values of what is open. */
struct json_mark {
	size_t n;
	bool first, failed;
};
struct json_mark json_mark(const struct json_writer *);
/* Takes back all that was written since, also what made the buffer fail. */
void json_back(struct json_writer *, struct json_mark);

#endif
