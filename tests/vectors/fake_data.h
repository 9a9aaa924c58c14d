/*
 * fake_data - struct data_ops without sockets: what the gate asks for is written down in words, and
 * what happens to the connections comes from the script. README.md has the language.
 */
#ifndef POSTERN_TESTS_FAKE_DATA_H
#define POSTERN_TESTS_FAKE_DATA_H

#include "proxy/relay.h"

#define FAKE_TEXT_MAX 200

/* What somebody on the client's side sees of a pair: the connection between client and gateway. */
struct fake_seen {
	enum { SEEN_OPEN, SEEN_OCTETS, SEEN_END, SEEN_CUT, SEEN_NEVER } what;
	size_t pair;	      /* its number */
	struct endpoint told; /* where the client, or the gateway, was told to connect to */
	struct endpoint peer, at;
	struct span octets;
	const char *why; /* SEEN_CUT, SEEN_NEVER */
};

struct fake_data;

struct fake_data *fake_data_new(void);
/* False: a pair was never closed. */
bool fake_data_free(struct fake_data *);
/* Tells of that, as it happens. */
void fake_data_watch(
    struct fake_data *, void (*seen)(void *arg, const struct fake_seen *), void *arg);
/* For relay_env.data, its "open" but for the first argument, which is to be a struct fake_data. */
extern const struct data_ops fake_data_ops;
struct data_pair *fake_data_open(struct fake_data *, struct relay *);

/*
 * Each returns NULL, or what is wrong; text as in the script, without "data ".
 *   happens    "listening client 10.0.0.25:4000", "open server", "cut client reset", ...
 *   octets     flow through
 *   asked      the gate asked for this, behind what was looked for last
 *   never      it did not
 *   no_more    nothing behind what was looked for last
 */
const char *fake_data_happens(struct fake_data *, const char *text);
const char *fake_data_octets(struct fake_data *, struct span);
const char *fake_data_asked(struct fake_data *, const char *text);
const char *fake_data_never(struct fake_data *, const char *text);
const char *fake_data_no_more(struct fake_data *);
/* Is this line something that happens, or something that was asked? */
bool fake_data_is_news(const char *text);
/* All that was asked, to standard output. */
void fake_data_print(const struct fake_data *);

#endif
