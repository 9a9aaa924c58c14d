#include "tests/unit/alloc.h"

#include <stddef.h>

/* The linker puts the wraps in the place of the functions, and gives these their old names. */
void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__real_reallocarray(void *, size_t, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void *__wrap_reallocarray(void *, size_t, size_t);

static unsigned left; /* requests until one is refused; 0: none will be */
static bool refused;

void
alloc_fail_at(unsigned n)
{
	left = n;
	refused = false;
}

bool
alloc_failed(void)
{
	left = 0;
	return refused;
}

static bool
refuse(void)
{
	if (left == 0 || --left > 0)
		return false;
	refused = true;
	return true;
}

void *
__wrap_malloc(size_t n)
{
	return refuse() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return refuse() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return refuse() ? NULL : __real_realloc(p, n);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return refuse() ? NULL : __real_reallocarray(p, n, size);
}
