/*
 * fuzz_tar - tar archives. The first octet chooses the length of the pieces.
 *
 * Claims: whole and in pieces the same members with the same faults; budgets and bounds hold.
 */
#include "archive_reader.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	fuzz_archive("application/x-tar", p, n);
	return 0;
}
