#include "certificate_command.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "domains.h"
#include "own_certificate.h"

/* A host without a name has mail all the same. */
#define NO_NAME "localhost"

struct wanted {
	const char *name; /* NULL: this host's */
	const char *certificate, *key;
};

static int
wrong(const char *why, const char *what)
{
	fprintf(stderr, "postern certificate: %s%s\n", why, what);
	commands_usage(stderr);
	return EXIT_USAGE;
}

static int
make(const struct wanted *w)
{
	char host[HOST_NAME_MAX + 1] = "", name[DOMAIN_TEXT_MAX] = NO_NAME;
	const char *why;

	if (w->name != NULL && !domain_canonical(span_str(w->name), name))
		return wrong("no host name: ", w->name);
	if (w->name == NULL && gethostname(host, sizeof(host) - 1) == 0 &&
	    !domain_canonical(span_str(host), name))
		memcpy(name, NO_NAME, sizeof(NO_NAME));
	switch (own_certificate_make(name, w->certificate, w->key, &why)) {
	case OWN_MADE:
		printf("%s: certificate for %s; its key: %s\n", w->certificate, name, w->key);
		break;
	case OWN_THERE:
		printf("%s, %s: are there, and stay as they are\n", w->certificate, w->key);
		break;
	case OWN_FAILED:
		fprintf(stderr, "postern certificate: %s\n", why);
		return EXIT_FAILED;
	}
	return fflush(stdout) == 0 ? EXIT_FINE : EXIT_FAILED;
}

int
certificate_command(int argc, char **argv)
{
	static const struct option options[] = {
	    {"name", required_argument, NULL, 'n'}, {NULL, 0, NULL, 0}};
	struct wanted w = {NULL, OWN_CERTIFICATE_PATH, OWN_KEY_PATH};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt != 'n')
			return wrong("unknown option, or one without its value", "");
		w.name = optarg;
	}
	if (optind == argc || strcmp(argv[optind], "make") != 0)
		return wrong("what is to be done? ", "make");
	if (argc - optind == 3) {
		w.certificate = argv[optind + 1];
		w.key = argv[optind + 2];
	} else if (argc - optind != 1) {
		return wrong("make takes two files, or none", "");
	}
	return make(&w);
}
