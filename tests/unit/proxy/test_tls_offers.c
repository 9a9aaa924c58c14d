/*
 * Which servers were seen to offer STARTTLS: case N-014 of SECURITY.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tls_offers.h"

#define NOW 1800000000u

static struct tls_offer
server(uint8_t last, uint16_t port, enum protocol protocol)
{
	const uint8_t octets[] = {192, 0, 2, last};

	return (struct tls_offer){.protocol = protocol, .ip = ip_v4(octets), .port = port};
}

static void
test_N_014_a_server_is_known_for_thirty_days(void **state)
{
	struct tls_offer mx = server(1, 25, PROTOCOL_SMTP), other = server(2, 25, PROTOCOL_SMTP),
			 port = server(1, 587, PROTOCOL_SMTP),
			 spoken = server(1, 25, PROTOCOL_POP3);
	struct tls_offers *t, *reader;
	int fd;

	(void)state;
	t = tls_offers_new(&fd);
	assert_non_null(t);
	reader = tls_offers_open(fd);
	assert_non_null(reader);
	assert_true(tls_offers_age(reader, &mx, NOW) == UINT64_MAX);
	tls_offers_note(t, &mx, NOW);
	assert_true(tls_offers_age(reader, &mx, NOW) == 0);
	assert_true(
	    tls_offers_age(reader, &mx, NOW + TLS_OFFERS_KNOWN - 1) == TLS_OFFERS_KNOWN - 1);
	assert_true(tls_offers_age(reader, &mx, NOW + TLS_OFFERS_KNOWN) == UINT64_MAX);
	assert_true(tls_offers_age(reader, &mx, NOW - 1) == UINT64_MAX); /* a clock that was set */
	assert_true(tls_offers_age(reader, &other, NOW) == UINT64_MAX);
	assert_true(tls_offers_age(reader, &port, NOW) == UINT64_MAX);
	assert_true(tls_offers_age(reader, &spoken, NOW) == UINT64_MAX);
	tls_offers_note(t, &mx, NOW + 100);
	assert_true(tls_offers_age(reader, &mx, NOW + 100) == 0);
	tls_offers_close(reader);
	tls_offers_close(t);
	close(fd);
}

static void
test_a_reader_cannot_write(void **state)
{
	struct tls_offer mx = server(1, 25, PROTOCOL_SMTP);
	struct tls_offers *t, *reader;
	int fd;

	(void)state;
	t = tls_offers_new(&fd);
	assert_non_null(t);
	reader = tls_offers_open(fd);
	tls_offers_note(reader, &mx, NOW);
	assert_true(tls_offers_age(t, &mx, NOW) == UINT64_MAX);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	tls_offers_close(reader);
	tls_offers_close(t);
	close(fd);
}

/* More servers than there are places: those of late are known, and nothing else is touched. */
static void
test_old_ones_make_room(void **state)
{
	struct tls_offers *t;
	unsigned known = 0;
	int fd;

	(void)state;
	t = tls_offers_new(&fd);
	assert_non_null(t);
	for (unsigned i = 0; i < 4 * TLS_OFFERS_MAX; i++) {
		struct tls_offer o = server((uint8_t)(i >> 16), (uint16_t)i, PROTOCOL_IMAP);

		tls_offers_note(t, &o, NOW + i);
		assert_true(tls_offers_age(t, &o, NOW + i) == 0);
	}
	for (unsigned i = 0; i < 4 * TLS_OFFERS_MAX; i++) {
		struct tls_offer o = server((uint8_t)(i >> 16), (uint16_t)i, PROTOCOL_IMAP);

		known += tls_offers_age(t, &o, NOW + i) != UINT64_MAX;
	}
	assert_int_equal(known, TLS_OFFERS_MAX);
	tls_offers_close(t);
	close(fd);
}

static void
test_without_a_page_nothing_is_known(void **state)
{
	struct tls_offer mx = server(1, 25, PROTOCOL_SMTP);

	(void)state;
	tls_offers_note(NULL, &mx, NOW);
	assert_true(tls_offers_age(NULL, &mx, NOW) == UINT64_MAX);
	tls_offers_close(NULL);
	assert_null(tls_offers_open(-1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_N_014_a_server_is_known_for_thirty_days),
	    cmocka_unit_test(test_a_reader_cannot_write),
	    cmocka_unit_test(test_old_ones_make_room),
	    cmocka_unit_test(test_without_a_page_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
