/*
 * run - one conversation of tests/vectors, and one run of it. What the files know of each other.
 */
#ifndef POSTERN_TESTS_VECTORS_RUN_H
#define POSTERN_TESTS_VECTORS_RUN_H

#include <jansson.h>

#include "fake_data.h"
#include "proxy/clients.h"
#include "proxy/config.h"
#include "proxy/relay.h"

#define LINES_MAX  4000
#define STREAM_MAX (4u << 20)
#define DNS_MAX	   64
#define NO_CUT	   ((size_t)-1)

/* What conversations of a protocol are about; the folder of a file has its name. */
struct dialect {
	const char *name;
	const struct relay_ops *ops;
	const char *config;
	uint16_t port;
	bool observed; /* each is also observed: observed.h */
};

struct transcript;
struct seen_data;

struct line {
	unsigned number;
	char *text;
};

struct one {
	const char *file;
	const struct dialect *dialect;
	char name[200];
	const char *gateway_only; /* why it is not observed; NULL: it is */
	struct line lines[LINES_MAX];
	size_t n_lines;
};

/* One run of one case. */
struct run {
	const struct one *one;
	struct config *config;
	struct relay_env env;
	struct clients *clients;
	struct client_row *client;
	struct relay *relay;
	struct record_session session; /* as the relay had them when it began */
	struct facts facts;
	struct transcript *transcript; /* NULL: it will not be observed */
	bool is_observer;
	uint64_t now;
	size_t cut; /* the only octet before which a write is cut, or NO_CUT */
	bool each_octet;
	size_t written;	   /* octets that peers have sent so far */
	struct buf got[2]; /* by the direction of the peer that got them */
	size_t seen[2];
	struct dns_answer *dns[DNS_MAX];
	size_t n_dns;
	json_t *records;			/* the observer's: once they are to be compared */
	struct buf said;			/* all of them as they came, but for their times */
	struct dns_question questions[DNS_MAX]; /* all that were asked */
	size_t n_questions;
	struct buf backlog[2]; /* sent by a peer and not read yet, by direction */
	bool holds[2];	       /* that peer takes nothing of what is queued for it */
	bool pressed;
	bool asked, failed;
	bool names_wait; /* questions stay open */
	struct fake_data *data;
	struct seen_data *seen_data; /* the observer's */
	struct data_ops data_ops;
	struct ftp_servers *ftp_servers;
};

/* The line begins with this word. */
static inline bool
is_word(const struct line *l, const char *word)
{
	size_t n = strlen(word);

	return strncmp(l->text, word, n) == 0 && (l->text[n] == ' ' || l->text[n] == '\0');
}

/* Whole, octet by octet, and cut at every place; prints what came of it. */
bool run_all_ways(const struct one *);

__attribute__((format(printf, 3, 4))) void complain(
    struct run *, const struct line *, const char *format, ...);
#endif
