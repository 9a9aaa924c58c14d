#include "mime/mime_state.h"

/* The limit that is given, or the default that stands behind it in mime.h. */
static size_t
limit(size_t given, size_t otherwise)
{
	return given != 0 ? given : otherwise;
}

/* A line must be told from a field, whatever the limit. */
size_t
header_room(size_t limit, bool inner)
{
	size_t room = inner ? limit / INNER_HEADER : limit;

	return room < (size_t)4 * MIME_NAME_MAX ? (size_t)4 * MIME_NAME_MAX : room;
}

size_t
mime_octets_max(const struct mime_limits *l)
{
	size_t header = limit(l->header, 256u << 10), boundary = limit(l->boundary, 2048);
	size_t frames = limit(l->depth, 100) + LAYERS_MAX + 2;
	/* with the part of its reading, and that of a file in it */
	size_t tap = sizeof(struct tap) + 2 * MIME_BASE64_ROOM(MIME_RUN_MAX) +
		     sizeof(struct mime_uu) + 2 * sizeof(struct frame) + MIME_SAID_ARENA_MAX;
	size_t layer = sizeof(struct layer) + COPY_ALONE_MAX + 4 * boundary +
		       2 * (BLANKS_MAX + MIME_NAME_MAX) + (boundary + 1) * sizeof(uint16_t);
	size_t headers = header_room(header, false) + (LAYERS_MAX - 1) * header_room(header, true);
	size_t frame = sizeof(struct frame) + MIME_SAID_ARENA_MAX +
		       READINGS_MAX * (sizeof(struct mime_boundary) + boundary) +
		       (MIME_SAID_MAX + 1) * (size_t)KEPT_VALUE_MIN;
	size_t value = header < MIME_SAID_VALUE_MAX ? header : MIME_SAID_VALUE_MAX;
	/* one that is read, its two halfway forms, and twice what comes of it while that grows */
	size_t read = (2 * PARAM_OUTPUT_MAX + 4) * value +
		      limit(l->parameters, PARAM_MAX) * PARAM_READINGS * PARAM_ENTRY_MAX;
	size_t values = KEPT_VALUES_MAX + read;

	return sizeof(struct mime) + LAYERS_MAX * layer + headers + TAPS_ALL_MAX * tap +
	       frames * frame + values;
}
