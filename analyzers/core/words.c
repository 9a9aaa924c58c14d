#include "core/words.h"

static int
compare(struct span word, const char *name)
{
	size_t i = 0;

	for (; i < word.n && name[i] != '\0'; i++) {
		uint8_t a = octet_lower(word.p[i]), b = octet_lower((uint8_t)name[i]);

		if (a != b)
			return a < b ? -1 : 1;
	}
	return i < word.n ? 1 : name[i] != '\0' ? -1 : 0;
}

const void *
words_find(struct span word, const void *rows, size_t n, size_t size)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *row = (const char *)rows + middle * size;
		const char *name;
		int order;

		memcpy(&name, row, sizeof(name));
		order = compare(word, name);
		if (order == 0)
			return row;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
