/*
 * read_options - what "read" and "watch" have in common: options, the configuration that judges,
 * and an observer that writes its records to standard output.
 */
#ifndef POSTERN_READ_OPTIONS_H
#define POSTERN_READ_OPTIONS_H

#include "extract.h"
#include "observer.h"
#include "resolver_now.h"

#define READ_MEMORY_MAX 65536u /* MiB */

struct read_options {
	const char *command;  /* "read", "watch": for messages */
	const char *config;   /* path; NULL: nothing is judged */
	const char *keylog;   /* path; NULL: none */
	const char *extract;  /* path; NULL: nothing is kept */
	uint64_t extract_max; /* octets */
	size_t memory;	      /* octets */
	bool resolve, checksums;
	/*
	 * Frames are still to come: the key log is followed. Root will be reading_user(), whose
	 * what it makes becomes.
	 */
	bool live;
};

enum read_option {
	READ_OPTION_KEYLOG = 256,
	READ_OPTION_RESOLVE,
	READ_OPTION_EXTRACT,
	READ_OPTION_EXTRACT_MAX,
	READ_OPTION_MEMORY,
	READ_OPTION_CHECKSUMS,
	READ_OPTION_OWN, /* from here on: the command's own */
};

/* Rows for getopt_long(), to be followed by the command's own; with "c:" as short options. */
#define READ_OPTIONS                                                                               \
	{"keylog", required_argument, NULL, READ_OPTION_KEYLOG},                                   \
	    {"resolve", no_argument, NULL, READ_OPTION_RESOLVE},                                   \
	    {"extract", required_argument, NULL, READ_OPTION_EXTRACT},                             \
	    {"extract-max", required_argument, NULL, READ_OPTION_EXTRACT_MAX},                     \
	    {"memory", required_argument, NULL, READ_OPTION_MEMORY},                               \
	{                                                                                          \
		"checksums", no_argument, NULL, READ_OPTION_CHECKSUMS                              \
	}

void read_options_default(struct read_options *, const char *command);
/* opt: what getopt_long() returned, 'c' or one of the above. False: it is wrong, and that was told.
 */
bool read_options_take(struct read_options *, int opt, const char *value);

/* Everything that stands behind an observer. */
struct reading {
	struct config *config;
	struct tls_keylog *keylog;
	struct keylog_file *keylog_file; /* live: where it comes from */
	struct resolver_now *resolver;
	struct extract *extract;
	struct observer *observer;
	bool unwritten; /* standard output has failed */
};

/* The exit code; not EXIT_FINE: that was told, and reading_end() is to be called all the same. */
int reading_begin(struct reading *, const struct read_options *);
/* Who root becomes: whom the configuration names, else "postern", else "nobody". */
const char *reading_user(const struct reading *, const struct read_options *);
/* A record_sink on a reading: standard output. */
void reading_sink(void *reading, const char *line, size_t n);
/* Ends the observer and frees everything; the exit code. */
int reading_end(struct reading *, const struct read_options *);

#endif
