#include "keylog_file.h"
struct tls_keylog *
keylog_file_read(const char *path, FILE *err)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	FILE *f = fopen(path, "re");
	struct tls_keylog *k = tls_keylog_new(1u << 20);
	(void)err;
	if (f == NULL || k == NULL)
		return NULL;
	while ((n = getline(&line, &cap, f)) > 0)
		tls_keylog_add(k, span_of(line, (size_t)n - 1));
	fclose(f);
	return k;
}
