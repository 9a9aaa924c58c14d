#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log_state.h"

/* What the logger writes everybody else sees at once, also a process that maps it later. */
static void
test_shared(void **state)
{
	struct log_state *writes, *reads;
	int fd, reader;

	(void)state;
	assert_true(log_state_new(&fd, &reader));
	writes = log_state_map(fd, true);
	reads = log_state_map(reader, false);
	assert_non_null(writes);
	assert_non_null(reads);
	close(fd);
	assert_false(log_state_trouble(reads));
	assert_int_equal(log_state_lost(reads), 0);
	atomic_store(&writes->trouble, 1);
	atomic_store(&writes->slots[0].lost, 2);
	atomic_store(&writes->slots[LOG_SLOT_SUPERVISOR].lost, 3);
	assert_true(log_state_trouble(reads));
	assert_int_equal(log_state_lost(reads), 5);
	log_state_unmap(writes);
	log_state_unmap(reads);
	reads = log_state_map(reader, false);
	assert_int_equal(log_state_lost(reads), 5);
	log_state_unmap(reads);
	log_state_unmap(NULL);
	close(reader);
}

/* A worker that was taken over can neither write nor make it shorter. */
static void
test_reader_cannot_write(void **state)
{
	struct stat st;
	int fd, reader;

	(void)state;
	assert_true(log_state_new(&fd, &reader));
	/* nor open it again, to write, by way of /proc/self/fd */
	assert_int_equal(fstat(reader, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true((fcntl(fd, F_GETFD) & fcntl(reader, F_GETFD) & FD_CLOEXEC) != 0);
	assert_null(log_state_map(reader, true));
	assert_int_equal(errno, EACCES);
	assert_int_equal(write(reader, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	close(reader);
	close(fd);
}

/* Nothing else is taken for one: a look at it could be a SIGBUS. */
static void
test_others(void **state)
{
	int ends[2], fd = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_null(log_state_map(ends[0], false));
	assert_null(log_state_map(-1, false));
	assert_int_equal(ftruncate(fd, sizeof(struct log_state)), 0);
	assert_null(log_state_map(fd, false));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_null(log_state_map(fd, false));
	assert_int_equal(errno, EINVAL);
	close(fd);
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shared),
	    cmocka_unit_test(test_reader_cannot_write),
	    cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests_name("log_state", tests, NULL, NULL);
}
