#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/mount.h>

#include "own_network.h"
#include "sysctl.h"

#define EARLY_DEMUX "/proc/sys/net/ipv4/tcp_early_demux"
#define FORWARD4    "/proc/sys/net/ipv4/ip_forward"
#define FORWARD6    "/proc/sys/net/ipv6/conf/all/forwarding"
#define IPV6_OFF    "/proc/sys/net/ipv6/conf/all/disable_ipv6"

static int
value(const char *path)
{
	char text[16] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return (int)strtol(text, NULL, 10);
}

static void
forwarding_is_needed_and_never_set(void **state)
{
	char why[SYSCTL_TEXT_MAX];

	(void)state;
	write_text(FORWARD4, "0");
	write_text(FORWARD6, "0");
	assert_false(sysctl_forwards(false, why));
	assert_string_equal(why,
	    "net.ipv4.ip_forward is 0: nothing is forwarded, so nothing is intercepted; run: "
	    "sysctl -w net.ipv4.ip_forward=1");
	assert_false(sysctl_forwards(true, why));
	assert_non_null(strstr(why, "run: sysctl -w net.ipv6.conf.all.forwarding=1"));
	assert_int_equal(value(FORWARD4), 0);
	assert_int_equal(value(FORWARD6), 0);
	write_text(FORWARD4, "1");
	assert_true(sysctl_forwards(false, why));
	assert_false(sysctl_forwards(true, why));
	write_text(FORWARD6, "1");
	assert_true(sysctl_forwards(true, why));
}

static void
source_check_by_mark_is_refused(void **state)
{
	char why[SYSCTL_TEXT_MAX];

	(void)state;
	assert_true(sysctl_source_check(why));
	write_text("/proc/sys/net/ipv4/conf/all/src_valid_mark", "1");
	assert_false(sysctl_source_check(why));
	assert_string_equal(why,
	    "net.ipv4.conf.all.src_valid_mark is 1: the kernel drops every IPv4 packet that is "
	    "intercepted; run: sysctl -w net.ipv4.conf.all.src_valid_mark=0");
}

static void
ipv6_can_be_switched_off(void **state)
{
	(void)state;
	assert_true(sysctl_ipv6());
	write_text(IPV6_OFF, "1");
	assert_false(sysctl_ipv6());
}

static void
early_demux_goes_off_and_comes_back(void **state)
{
	struct early_demux d = {0};
	char why[SYSCTL_TEXT_MAX];

	(void)state;
	write_text(EARLY_DEMUX, "1");
	assert_false(early_demux_is_off(why));
	assert_non_null(strstr(why, "run: sysctl -w net.ipv4.tcp_early_demux=0"));
	assert_int_equal(value(EARLY_DEMUX), 1);
	assert_true(early_demux_off(&d, why));
	assert_int_equal(value(EARLY_DEMUX), 0);
	assert_true(early_demux_is_off(why));
	/* a reload asks again; the 0 is still ours */
	assert_true(early_demux_off(&d, why));
	assert_true(early_demux_restore(&d, why));
	assert_int_equal(value(EARLY_DEMUX), 1);
	/* what somebody did since is theirs */
	write_text(EARLY_DEMUX, "0");
	assert_true(early_demux_restore(&d, why));
	assert_int_equal(value(EARLY_DEMUX), 0);
}

/* The administrator's, or left behind by one that was killed. */
static void
early_demux_that_was_off_stays_off(void **state)
{
	struct early_demux d = {0};
	char why[SYSCTL_TEXT_MAX];

	(void)state;
	write_text(EARLY_DEMUX, "0");
	assert_true(early_demux_off(&d, why));
	assert_true(early_demux_restore(&d, why));
	assert_int_equal(value(EARLY_DEMUX), 0);
}

/* Mounts of the test's own; together with the network where that needs a user namespace. */
static int
own_mounts(void **state)
{
	own_network(state);
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	return 0;
}

static void
read_only_settings_give_one_line(void **state)
{
	struct early_demux d = {0};
	char why[SYSCTL_TEXT_MAX];

	(void)state;
	write_text(EARLY_DEMUX, "1");
	assert_int_equal(mount("/proc/sys", "/proc/sys", NULL, MS_BIND | MS_REC, NULL), 0);
	assert_int_equal(mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_false(early_demux_off(&d, why));
	assert_string_equal(why,
	    "cannot set net.ipv4.tcp_early_demux to 0: Read-only file system; set it yourself, and "
	    "intercept.sysctl = no");
	assert_true(early_demux_restore(&d, why));
	assert_int_equal(value(EARLY_DEMUX), 1);
	assert_int_equal(umount2("/proc/sys", MNT_DETACH), 0);
}

static void
missing_settings_give_one_line(void **state)
{
	struct early_demux d = {0};
	char why[SYSCTL_TEXT_MAX];

	(void)state;
	assert_int_equal(mount("none", "/proc/sys/net", "tmpfs", 0, NULL), 0);
	assert_false(sysctl_ipv6());
	assert_false(sysctl_forwards(false, why));
	assert_string_equal(why, "cannot read net.ipv4.ip_forward: No such file or directory");
	assert_false(sysctl_forwards(true, why));
	assert_false(early_demux_is_off(why));
	assert_string_equal(why, "cannot read net.ipv4.tcp_early_demux: No such file or directory");
	assert_false(early_demux_off(&d, why));
	assert_int_equal(umount2("/proc/sys/net", MNT_DETACH), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(forwarding_is_needed_and_never_set, own_network),
	    cmocka_unit_test_setup(source_check_by_mark_is_refused, own_network),
	    cmocka_unit_test_setup(ipv6_can_be_switched_off, own_network),
	    cmocka_unit_test_setup(early_demux_goes_off_and_comes_back, own_network),
	    cmocka_unit_test_setup(early_demux_that_was_off_stays_off, own_network),
	    cmocka_unit_test_setup(read_only_settings_give_one_line, own_mounts),
	    cmocka_unit_test_setup(missing_settings_give_one_line, own_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
