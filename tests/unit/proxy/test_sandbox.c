#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "sandbox_child.h"

/* ---- V-006, V-008: the drop ---- */

/* The rest of the line that begins with name. */
static const char *
status_line(const char *text, const char *name)
{
	static char line[256];
	const char *at = strstr(text, name);

	MUST(at != NULL);
	at += strlen(name);
	at += strspn(at, " \t");
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
	return line;
}

static void
read_status(char *text, size_t max)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, max - 1);

	MUST(n > 0);
	text[n] = '\0';
	close(fd);
}

static void
must_be_ids(const char *line, unsigned id)
{
	char want[64];

	snprintf(want, sizeof(want), "%u\t%u\t%u\t%u", id, id, id, id);
	MUST(strcmp(line, want) == 0);
}

/* Something to lose in the two sets that a change of the user leaves as they are. */
static void
raise_ambient(void)
{
	MUST(capng_get_caps_process() == 0);
	MUST(capng_update(CAPNG_ADD, CAPNG_INHERITABLE, CAP_NET_RAW) == 0);
	MUST(capng_apply(CAPNG_SELECT_CAPS) == 0);
	MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) == 0);
}

static void
must_have_no_capability(const char *text)
{
	static const char none[] = "0000000000000000";

	MUST(strcmp(status_line(text, "\nCapInh:"), none) == 0);
	MUST(strcmp(status_line(text, "\nCapPrm:"), none) == 0);
	MUST(strcmp(status_line(text, "\nCapEff:"), none) == 0);
	MUST(strcmp(status_line(text, "\nCapAmb:"), none) == 0);
}

static void
drop_and_look(const void *arg)
{
	const struct passwd *user = getpwnam(ANYBODY);
	struct rlimit core;
	char text[8192];

	(void)arg;
	MUST(user != NULL);
	raise_ambient();
	drop();
	read_status(text, sizeof(text));
	must_be_ids(status_line(text, "\nUid:"), user->pw_uid);
	must_be_ids(status_line(text, "\nGid:"), user->pw_gid);
	MUST(status_line(text, "\nGroups:")[0] == '\0');
	must_have_no_capability(text);
	MUST(strcmp(status_line(text, "\nCapBnd:"), "0000000000000000") == 0);
	MUST(strcmp(status_line(text, "\nNoNewPrivs:"), "1") == 0);
	MUST(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
	MUST(umask(0) == 077);
	MUST(getcwd(text, sizeof(text)) != NULL && strcmp(text, "/") == 0);
}

/* V-008: every id, every group, every set of capabilities. */
static void
test_drop(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_and_look, NULL), 0);
}

static void
drop_and_return(const void *arg)
{
	(void)arg;
	drop();
	MUST(setuid(0) != 0 && errno == EPERM);
	MUST(setresuid(0, 0, 0) != 0 && errno == EPERM);
	MUST(setgid(0) != 0 && errno == EPERM);
	MUST(setgroups(1, &(gid_t){0}) != 0 && errno == EPERM);
	MUST(open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
}

static void
test_no_way_back(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_and_return, NULL), 0);
}

/* V-006: what belongs to root cannot be opened or traced by others of the same user. */
static void
drop_and_hide(const void *arg)
{
	struct stat st;

	(void)arg;
	drop();
	MUST(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	MUST(stat("/proc/self/mem", &st) == 0);
	MUST(st.st_uid == 0);
}

static void
test_not_dumpable(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_and_hide, NULL), 0);
}

/* V-006: the kernel says whether it wrote a core. */
static void
drop_and_crash(const void *arg)
{
	static const struct rlimit much = {RLIM_INFINITY, RLIM_INFINITY};

	(void)arg;
	setrlimit(RLIMIT_CORE, &much);
	drop();
	signal(SIGQUIT, SIG_DFL);
	raise(SIGQUIT);
}

static void
test_no_core(void **state)
{
	int status;

	(void)state;
	status = in_child(drop_and_crash, NULL);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT && !WCOREDUMP(status));
}

/* Started as a user that was given a capability: it stays that user, and loses it. */
static void
drop_without_root(const void *arg)
{
	char text[8192];

	(void)arg;
	MUST(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
	MUST(setresgid(1, 1, 1) == 0 && setresuid(1, 1, 1) == 0);
	raise_ambient();
	drop();
	read_status(text, sizeof(text));
	must_be_ids(status_line(text, "\nUid:"), 1);
	must_have_no_capability(text);
	MUST(strcmp(status_line(text, "\nNoNewPrivs:"), "1") == 0);
}

static void
test_drop_without_root(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_without_root, NULL), 0);
}

/* Another /etc/passwd, for this process alone. */
static void
see_users(const char *passwd)
{
	char name[] = P_tmpdir "/postern-passwd-XXXXXX";
	int fd = mkstemp(name);

	MUST(fd >= 0 && write(fd, passwd, strlen(passwd)) == (ssize_t)strlen(passwd));
	MUST(fchmod(fd, 0644) == 0);
	close(fd);
	MUST(unshare(CLONE_NEWNS) == 0);
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	MUST(mount(name, "/etc/passwd", NULL, MS_BIND, NULL) == 0);
	MUST(unlink(name) == 0);
}

struct refused {
	const char *user, *why;
};

static void
try_user(const void *arg)
{
	const struct refused *r = arg;
	const char *why = NULL;

	see_users("root:x:0:0::/:/bin/sh\ntoor:x:0:7::/:/bin/sh\nops:x:7:0::/:/bin/sh\n");
	MUST(!sandbox_check_user(r->user, &why));
	MUST(strcmp(why, r->why) == 0);
	why = NULL;
	MUST(!sandbox_drop(r->user, &why));
	MUST(strcmp(why, r->why) == 0);
}

/* V-008: as root without somebody to become. */
static void
test_users_refused(void **state)
{
	static const struct refused refused[] = {
	    {"root", "user \"root\" is root: name one that may do nothing"},
	    {"toor", "user \"toor\" is root: name one that may do nothing"},
	    {"ops", "user \"ops\" is of the group of root: give it its own"},
	    {"nobody-like-this", "user \"nobody-like-this\" does not exist"},
	    {"", "user \"\" does not exist"},
	};
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++)
		assert_int_equal(in_child(try_user, &refused[i]), 0);
	assert_true(sandbox_check_user(ANYBODY, &why));
}

static void
close_undropped(const void *arg)
{
	const char *why = NULL;

	(void)arg;
	MUST(!sandbox_close(SANDBOX_WORKER, &why) && why != NULL); /* as root */
	MUST(setresuid(1, 1, 1) == 0);
	why = NULL;
	MUST(!sandbox_close(SANDBOX_WORKER, &why) && why != NULL);
	MUST(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
}

/* V-008 */
static void
test_close_needs_drop(void **state)
{
	(void)state;
	assert_int_equal(in_child(close_undropped, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_drop),
	    cmocka_unit_test(test_no_way_back),
	    cmocka_unit_test(test_not_dumpable),
	    cmocka_unit_test(test_no_core),
	    cmocka_unit_test(test_drop_without_root),
	    cmocka_unit_test(test_users_refused),
	    cmocka_unit_test(test_close_needs_drop),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
