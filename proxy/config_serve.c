#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "config_text.h"
#include "relay.h"

bool
config_is_roots_own(const struct config *c, FILE *err)
{
	struct stat st;

	/* one that has no name any more is nobody's to open */
	if (geteuid() != 0 || stat(c->path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink == 0 ||
	    (st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0))
		return true;
	fprintf(err,
	    "%s: others than root may change it (owner %u, mode %04o); it must be root's, and "
	    "nobody else may write it\n",
	    c->path, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777u);
	return false;
}

static bool
is_spoken(enum protocol p)
{
	return relay_ops_of(p) != NULL;
}

static void
say_not_spoken(const char *file, const struct forward *f, FILE *err)
{
	const char *between = "";

	fprintf(err, "%s: forward \"%s\": protocol %s needs a later version; this one speaks ",
	    file, f->name, protocol_name(f->protocol));
	for (unsigned p = 0; p < PROTOCOL_COUNT; p++)
		if (is_spoken((enum protocol)p)) {
			fprintf(err, "%s%s", between, protocol_name((enum protocol)p));
			between = ", ";
		}
	fputc('\n', err);
}

bool
config_can_run(const struct config *c, FILE *err)
{
	const char *file = config_text_name(c->path);

	if (!config_is_roots_own(c, err))
		return false;
	if (c->n_forwards == 0 && c->mode == INTERCEPT_OFF) {
		fprintf(err,
		    "%s: intercept.mode: off, and there is no forward section: there is nothing to "
		    "serve\n",
		    file);
		return false;
	}
	for (size_t i = 0; i < c->n_forwards; i++)
		if (!is_spoken(c->forwards[i].protocol)) {
			say_not_spoken(file, &c->forwards[i], err);
			return false;
		}
	return true;
}
