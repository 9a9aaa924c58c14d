/*
 * alloc - memory that runs out: the n-th request of the code under test is refused, all before and
 * behind it are served.
 *
 * A test that is linked with alloc.o and ALLOC_WRAP (see the Makefile) has its requests and those
 * of our libraries counted; those of other libraries are not.
 *
 *	for (unsigned n = 1; alloc_fail_at(n), work(), alloc_failed(); n++)
 *		;
 */
#ifndef POSTERN_TESTS_ALLOC_H
#define POSTERN_TESTS_ALLOC_H

#include <stdbool.h>

/* The n-th request from now on is refused; 0: none is. */
void alloc_fail_at(unsigned n);
/* Was a request refused since alloc_fail_at()? Afterwards none is any more. */
bool alloc_failed(void);

#endif
