#include "sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define CAPABILITY_BITS 64

/* Returns false, so that it can stand behind "return". */
static bool __attribute__((format(printf, 2, 3))) refuse(const char **why, const char *format, ...)
{
	static char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	*why = text;
	return false;
}

/* ---- the user ---- */

struct ids {
	uid_t uid;
	gid_t gid;
};

static bool
look_up(const char *user, struct ids *ids, const char **why)
{
	const struct passwd *found;

	errno = 0;
	found = getpwnam(user);
	if (found == NULL && errno != 0)
		return refuse(why, "user \"%s\": %s", user, strerror(errno));
	if (found == NULL)
		return refuse(why, "user \"%s\" does not exist", user);
	if (found->pw_uid == 0)
		return refuse(why, "user \"%s\" is root: name one that may do nothing", user);
	if (found->pw_gid == 0)
		return refuse(why, "user \"%s\" is of the group of root: give it its own", user);
	*ids = (struct ids){found->pw_uid, found->pw_gid};
	return true;
}

bool
sandbox_check_user(const char *user, const char **why)
{
	struct ids ids;

	return look_up(user, &ids, why);
}

/* Real, effective or saved: with one of them the others can be had. */
static bool
is_root(void)
{
	uid_t real, effective, saved;

	return getresuid(&real, &effective, &saved) != 0 || real == 0 || effective == 0 ||
	       saved == 0;
}

static bool
can_come_back(void)
{
	gid_t real, effective, saved;

	if (getresgid(&real, &effective, &saved) != 0 || real == 0 || effective == 0 || saved == 0)
		return true;
	return is_root() || setuid(0) == 0 || setgid(0) == 0 || getgroups(0, NULL) != 0;
}

/* The bounding set goes first: emptying it takes a capability. */
static bool
become(const char *user, const char **why)
{
	struct ids ids = {0};

	if (!look_up(user, &ids, why))
		return false;
	capng_clear(CAPNG_SELECT_BOUNDS);
	if (capng_apply(CAPNG_SELECT_BOUNDS) != 0)
		return refuse(why, "cannot give up capabilities for good: CAP_SETPCAP is missing");
	if (setgroups(0, NULL) != 0 || setresgid(ids.gid, ids.gid, ids.gid) != 0 ||
	    setresuid(ids.uid, ids.uid, ids.uid) != 0)
		return refuse(why, "cannot become user \"%s\": %s", user, strerror(errno));
	if (can_come_back())
		return refuse(why, "cannot become user \"%s\": there is a way back", user);
	return true;
}

/* ---- capabilities ---- */

static bool
has_capability(capng_type_t set)
{
	for (unsigned bit = 0; bit < CAPABILITY_BITS; bit++)
		if (capng_have_capability(set, bit) != 0)
			return true;
	return false;
}

static bool
drop_capabilities(bool bounding_too, const char **why)
{
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_apply(CAPNG_SELECT_CAPS) != 0 || capng_apply(CAPNG_SELECT_AMBIENT) != 0)
		return refuse(why, "cannot give up capabilities: %s", strerror(errno));
	if (capng_get_caps_process() != 0)
		return refuse(why, "cannot read which capabilities are left");
	if (has_capability(CAPNG_EFFECTIVE) || has_capability(CAPNG_PERMITTED) ||
	    has_capability(CAPNG_INHERITABLE) || has_capability(CAPNG_AMBIENT) ||
	    (bounding_too && has_capability(CAPNG_BOUNDING_SET)))
		return refuse(why, "cannot give up capabilities: some are left");
	return true;
}

bool
sandbox_drop(const char *user, const char **why)
{
	static const struct rlimit none = {0, 0};
	bool from_root = is_root();

	if (capng_get_caps_process() != 0)
		return refuse(why, "cannot read which capabilities there are");
	if (from_root && !become(user, why))
		return false;
	if (!drop_capabilities(from_root, why))
		return false;
	umask(077);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0 ||
	    chdir("/") != 0)
		return refuse(why, "cannot give up privileges: %s", strerror(errno));
	return true;
}
