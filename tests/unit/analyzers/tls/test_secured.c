#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "imap/imap.h"
#include "pop3/pop3.h"
#include "smtp/smtp.h"

/* A dialogue, whatever its protocol: TLS ends at its caller, and it begins anew inside. */
struct kind {
	void *(*create)(void);
	enum an_status (*feed)(
	    void *, enum an_dir, const uint8_t *, size_t, size_t *, struct an_event *);
	void (*secured)(void *);
	void (*destroy)(void *);
	const char *greeting, *upgrade, *ready; /* in the clear */
	const char *login, *taken;		/* inside: a command that needs no greeting */
};

#define KIND(name)                                                                                 \
	static void *name##_create(void)                                                           \
	{                                                                                          \
		return name##_new(NULL);                                                           \
	}                                                                                          \
	static enum an_status name##_feed_it(void *d, enum an_dir dir, const uint8_t *p, size_t n, \
	    size_t *used, struct an_event *ev)                                                     \
	{                                                                                          \
		return name##_feed(d, dir, p, n, used, ev);                                        \
	}                                                                                          \
	static void name##_secure(void *d)                                                         \
	{                                                                                          \
		name##_secured(d);                                                                 \
	}                                                                                          \
	static void name##_destroy(void *d)                                                        \
	{                                                                                          \
		name##_free(d);                                                                    \
	}

KIND(smtp)
KIND(pop3)
KIND(imap)

#define FUNCTIONS(name) name##_create, name##_feed_it, name##_secure, name##_destroy

static const struct kind kinds[] = {
    {FUNCTIONS(smtp), "220 mx\r\n", "STARTTLS\r\n", "220 go\r\n", "EHLO x\r\n", "250 mx\r\n"},
    {FUNCTIONS(pop3), "+OK hi\r\n", "STLS\r\n", "+OK go\r\n", "USER u\r\n", "+OK\r\n"},
    {FUNCTIONS(imap), "* OK hi\r\n", "a STARTTLS\r\n", "a OK go\r\n", "b LOGIN u p\r\n",
	"b OK in\r\n"},
};

/* Octet by octet; what of the events came last, which has to be one that is wanted. */
static void
say(const struct kind *k, void *d, enum an_dir dir, const char *octets, enum an_kind wanted)
{
	const uint8_t *p = (const uint8_t *)octets;
	struct an_event ev = {0};
	bool some = false;

	for (size_t i = 0; i < strlen(octets);) {
		size_t used = 0;
		enum an_status status = k->feed(d, dir, p + i, 1, &used, &ev);

		assert_true(status == AN_EVENT || (status == AN_MORE && used == 1));
		some = some || status == AN_EVENT;
		i += used;
	}
	assert_true(some);
	assert_int_equal(ev.kind, wanted);
	assert_int_equal(ev.anomaly, AN_NONE);
}

static void
upgrade(const struct kind *k, void *d)
{
	say(k, d, AN_C2S, k->upgrade, EV_COMMAND);
	say(k, d, AN_S2C, k->ready, EV_REPLY);
}

static void
test_N_017_a_dialogue_begins_anew_inside(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct kind *k = &kinds[i];
		void *d = k->create();

		say(k, d, AN_S2C, k->greeting, i == 2 ? EV_RESPONSE : EV_REPLY);
		upgrade(k, d);
		k->secured(d);
		say(k, d, AN_C2S, k->login, EV_COMMAND);
		say(k, d, AN_S2C, k->taken, EV_REPLY);
		k->destroy(d);
	}
}

/* Without it, what follows is opaque. */
static void
test_nobody_looks_into_what_passes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct kind *k = &kinds[i];
		void *d = k->create();

		say(k, d, AN_S2C, k->greeting, i == 2 ? EV_RESPONSE : EV_REPLY);
		upgrade(k, d);
		say(k, d, AN_C2S, "\x16\x03\x01", EV_OPAQUE);
		k->destroy(d);
	}
}

/* RFC 3207 s4.2: neither the envelope nor keywords of before count. */
static void
test_N_020_an_envelope_is_gone(void **state)
{
	const struct kind *k = &kinds[0];
	struct smtp *d = smtp_new(NULL);
	struct an_event ev;
	size_t used;

	(void)state;
	smtp_offer(d, SMTP_EXT_STARTTLS);
	say(k, d, AN_S2C, k->greeting, EV_REPLY);
	say(k, d, AN_C2S, "MAIL FROM:<a@example.org>\r\n", EV_COMMAND);
	say(k, d, AN_S2C, "250 ok\r\n", EV_REPLY);
	upgrade(k, d);
	smtp_secured(d);
	assert_int_equal(smtp_state(d), SMTP_ST_COMMAND);
	assert_int_equal(smtp_waiting(d), 0);
	/* the keyword was not offered in the clear; now nobody has said anything yet */
	assert_int_equal(
	    smtp_feed(d, AN_C2S, (const uint8_t *)"MAIL FROM:<a@b> SIZE=1\r\n", 24, &used, &ev),
	    AN_EVENT);
	assert_int_equal(ev.smtp->fault, SMTP_OK);
	smtp_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_N_017_a_dialogue_begins_anew_inside),
	    cmocka_unit_test(test_nobody_looks_into_what_passes),
	    cmocka_unit_test(test_N_020_an_envelope_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
