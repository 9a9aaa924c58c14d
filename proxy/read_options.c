#include "read_options.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "keylog_file.h"
#include "mime/analyzers_init.h"
#include "sandbox.h"

/* Nobody's policy: ports and bounds as they are by default, and nothing is judged. */
static const char no_policy[] =
    "smtp { tls_ports = {465} relay { check = off } sender_domain { check = off } }\n"
    "ftp { tls_ports = {990} }\npop3 { tls_ports = {995} }\nimap { tls_ports = {993} }\n";

#define MIB (1u << 20)

void
read_options_default(struct read_options *o, const char *command)
{
	*o = (struct read_options){.command = command,
	    .extract_max = (uint64_t)EXTRACT_MAX_DEFAULT * MIB,
	    .memory = OBSERVER_MEMORY};
}

/* A number of MiB from 1 to max. */
static bool
take_mib(
    const struct read_options *o, const char *option, const char *text, uint64_t max, uint64_t *out)
{
	if (span_u64(span_str(text), max, out) && *out > 0) {
		*out *= MIB;
		return true;
	}
	fprintf(stderr, "postern %s: --%s: a number of MiB from 1 to %llu must stand here\n",
	    o->command, option, (unsigned long long)max);
	return false;
}

bool
read_options_take(struct read_options *o, int opt, const char *value)
{
	uint64_t octets;

	switch (opt) {
	case 'c':
		o->config = value;
		return true;
	case READ_OPTION_KEYLOG:
		o->keylog = value;
		return true;
	case READ_OPTION_RESOLVE:
		o->resolve = true;
		return true;
	case READ_OPTION_EXTRACT:
		o->extract = value;
		return true;
	case READ_OPTION_EXTRACT_MAX:
		return take_mib(o, "extract-max", value, UINT32_MAX, &o->extract_max);
	case READ_OPTION_MEMORY:
		if (!take_mib(o, "memory", value, READ_MEMORY_MAX, &octets))
			return false;
		o->memory = (size_t)octets;
		return true;
	case READ_OPTION_CHECKSUMS:
		o->checksums = true;
		return true;
	default:
		fprintf(
		    stderr, "postern %s: unknown option, or one without its value\n", o->command);
		return false;
	}
}

void
reading_sink(void *reading, const char *line, size_t n)
{
	struct reading *r = reading;

	if (fwrite(line, 1, n, stdout) != n)
		r->unwritten = true;
}

static bool
resolve(void *arg, const struct dns_question *q, size_t n, struct answers *into)
{
	struct reading *r = arg;

	return resolver_now_ask(r->resolver, q, n, r->config->dns_budget * 1000u, into) == NULL;
}

static struct config *
read_config(const struct read_options *o)
{
	return o->config != NULL
		   ? config_read(o->config, stderr)
		   : config_parse("defaults", no_policy, sizeof(no_policy) - 1, stderr);
}

static int
cannot(const struct read_options *o, const char *why)
{
	fprintf(stderr, "postern %s: %s\n", o->command, why != NULL ? why : "out of memory");
	return EXIT_FAILED;
}

static bool
open_keylog(struct reading *r, const struct read_options *o)
{
	if (o->live) {
		r->keylog_file = keylog_file_open(o->keylog, stderr);
		r->keylog = r->keylog_file == NULL ? NULL : keylog_file_keys(r->keylog_file);
	} else {
		r->keylog = keylog_file_read(o->keylog, stderr);
	}
	return r->keylog != NULL;
}

static bool
more_keys(void *keylog_file)
{
	return keylog_file_refresh(keylog_file);
}

const char *
reading_user(const struct reading *r, const struct read_options *o)
{
	const char *why;

	if (o->config != NULL)
		return r->config->user;
	return sandbox_check_user("postern", &why) ? "postern" : "nobody";
}

static void
tell(void *arg, const char *line)
{
	const struct read_options *o = arg;

	fprintf(stderr, "postern %s: %s\n", o->command, line);
}

static bool
open_extract(struct reading *r, const struct read_options *o)
{
	const struct passwd *user = NULL;
	struct extract_settings settings = {.dir = o->extract,
	    .max = o->extract_max,
	    .tell = tell,
	    .tell_arg = (void *)(uintptr_t)o,
	    .uid = (uid_t)-1,
	    .gid = (gid_t)-1};

	if (o->extract == NULL)
		return true;
	if (o->live && geteuid() == 0)
		user = getpwnam(reading_user(r, o));
	if (user != NULL) {
		settings.uid = user->pw_uid;
		settings.gid = user->pw_gid;
	}
	r->extract = extract_new(&settings);
	if (r->extract != NULL)
		extract_use(r->extract, &r->config->mime.options);
	return r->extract != NULL;
}

int
reading_begin(struct reading *r, const struct read_options *o)
{
	struct observer_env env = {.sink = reading_sink,
	    .sink_arg = r,
	    .resolve_arg = r,
	    .memory = o->memory,
	    .checksums = o->checksums};
	const char *why = NULL;

	*r = (struct reading){.config = read_config(o)};
	if (r->config == NULL)
		return EXIT_USAGE;
	if (!record_init() || !analyzers_init(r->config->mime.types == TYPES_SYSTEM, &why))
		return cannot(o, why != NULL ? why : "cannot set up records");
	if (o->keylog != NULL && !open_keylog(r, o))
		return EXIT_FAILED;
	if (!open_extract(r, o))
		return EXIT_FAILED;
	if (o->resolve && (r->resolver = resolver_now_new(r->config->resolvers)) == NULL)
		return cannot(o, NULL);
	env.config = r->config;
	env.keylog = r->keylog;
	env.more_keys = r->keylog_file != NULL ? more_keys : NULL;
	env.keys_arg = r->keylog_file;
	env.resolve = o->resolve ? resolve : NULL;
	r->observer = observer_new(&env);
	return r->observer == NULL ? cannot(o, NULL) : EXIT_FINE;
}

int
reading_end(struct reading *r, const struct read_options *o)
{
	int code = EXIT_FINE;

	if (r->observer != NULL)
		observer_end(r->observer);
	if (r->observer != NULL && (fflush(stdout) != 0 || ferror(stdout) || r->unwritten)) {
		fprintf(stderr, "postern %s: standard output: %s\n", o->command, strerror(errno));
		code = EXIT_FAILED;
	}
	if (r->extract != NULL && extract_failed(r->extract))
		code = EXIT_FAILED;
	observer_free(r->observer);
	extract_free(r->extract);
	resolver_now_free(r->resolver);
	if (r->keylog_file != NULL)
		keylog_file_close(r->keylog_file);
	else
		tls_keylog_free(r->keylog);
	if (r->config != NULL)
		analyzers_end();
	config_free(r->config);
	return code;
}
