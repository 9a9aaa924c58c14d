/*
 * records - lines that a record_sink was given, and what stands in them. Behind cmocka.h.
 */
#ifndef POSTERN_TESTS_RECORDS_H
#define POSTERN_TESTS_RECORDS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/span.h"

#define SUNK_MAX 8

struct sunk {
	char *each[SUNK_MAX];
	size_t n;
};

static inline void
sink(void *arg, const char *line, size_t n)
{
	struct sunk *s = arg;

	assert_true(s->n < SUNK_MAX);
	assert_true(n > 0 && line[n - 1] == '\n' && memchr(line, '\n', n - 1) == NULL);
	assert_true(span_is_utf8(span_of(line, n)));
	s->each[s->n++] = strndup(line, n);
}

static inline void
sunk_free(struct sunk *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->each[i]);
	*s = (struct sunk){0};
}

static inline json_t *
parsed(const struct sunk *s, size_t i)
{
	json_error_t error;
	json_t *json;

	assert_true(i < s->n);
	json = json_loads(s->each[i], JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (json == NULL)
		fail_msg("%s in %s", error.text, s->each[i]);
	return json;
}

/* The value at a path of keys and indices: "ftp.reply.0"; NULL: there is none. */
static inline json_t *
at(json_t *json, const char *path)
{
	char key[64];
	size_t n;

	for (; json != NULL && *path != '\0'; path += n + (path[n] == '.')) {
		n = strcspn(path, ".");
		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		json = json_is_array(json) ? json_array_get(json, strtoul(key, NULL, 10))
					   : json_object_get(json, key);
	}
	return json;
}

static inline void
assert_text(json_t *json, const char *path, const char *want)
{
	const char *text = json_string_value(at(json, path));

	if (text == NULL || strcmp(text, want) != 0)
		fail_msg("%s is '%s', not '%s'", path, text == NULL ? "(nothing)" : text, want);
}

static inline void
assert_int(json_t *json, const char *path, json_int_t want)
{
	if (!json_is_integer(at(json, path)) || json_integer_value(at(json, path)) != want)
		fail_msg("%s is %lld, not %lld", path, json_integer_value(at(json, path)), want);
}

#endif
