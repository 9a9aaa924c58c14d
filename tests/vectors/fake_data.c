#include "fake_data.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PAIRS_MAX 64
#define ASKED_MAX 512

enum leg_state { LEG_NONE, LEG_WAITS, LEG_OPEN, LEG_GONE };

struct data_pair {
	struct fake_data *data;
	struct relay *relay;
	enum leg_state legs[DATA_LEGS];
	struct data_flow flow;
	bool flows, by, released, over, closed;
	struct data_count count;
	struct endpoint told;
	struct buf unsent; /* a download: octets that the client does not have yet */
	bool seen_over;
};

struct fake_data {
	struct data_pair pairs[PAIRS_MAX];
	size_t n_pairs;
	char asked[ASKED_MAX][FAKE_TEXT_MAX];
	size_t n_asked, seen;
	const char *fault; /* the gate broke the contract */
	void (*watcher)(void *arg, const struct fake_seen *);
	void *watcher_arg;
};

static const char *const leg_names[] = {"client", "server"};

struct fake_data *
fake_data_new(void)
{
	return calloc(1, sizeof(struct fake_data));
}

bool
fake_data_free(struct fake_data *d)
{
	bool all = d->fault == NULL;

	for (size_t i = 0; i < d->n_pairs; i++)
		all = all && d->pairs[i].closed;
	for (size_t i = 0; i < d->n_pairs; i++)
		buf_free(&d->pairs[i].unsent);
	free(d);
	return all;
}

/* ---- what is seen of it on the client's side ---- */

void
fake_data_watch(struct fake_data *d, void (*seen)(void *arg, const struct fake_seen *), void *arg)
{
	d->watcher = seen;
	d->watcher_arg = arg;
}

static void
show(struct data_pair *p, struct fake_seen seen)
{
	struct fake_data *d = p->data;

	if (d->watcher == NULL || p->by || p->seen_over)
		return;
	seen.pair = (size_t)(p - d->pairs);
	seen.told = p->told;
	p->seen_over = seen.what >= SEEN_END;
	d->watcher(d->watcher_arg, &seen);
}

/* Octets of a download reach the client but for what is held back. */
static void
show_unsent(struct data_pair *p)
{
	size_t held = p->released ? 0 : p->flow.hold;
	struct span all = buf_span(&p->unsent), out;

	if (all.n <= held)
		return;
	out = span_first(all, all.n - held);
	show(p, (struct fake_seen){.what = SEEN_OCTETS, .octets = out});
	buf_drop(&p->unsent, out.n);
}

/* The gateway has closed what was open: a reset, but for ends that were ones. */
static void
show_reset(struct data_pair *p)
{
	if (p->legs[DATA_CLIENT] == LEG_OPEN)
		show(p, (struct fake_seen){.what = SEEN_CUT, .why = "reset"});
}

static void
show_news(struct data_pair *p, const struct data_news *news)
{
	bool up = p->flow.dir == AN_C2S, client = news->leg == DATA_CLIENT;

	if (news->what == DATA_LISTENING && client)
		p->told = news->at;
	else if (news->what == DATA_OPEN && client)
		show(p, (struct fake_seen){.what = SEEN_OPEN, .peer = news->peer, .at = news->at});
	else if (news->what == DATA_UNREACHABLE && client)
		show(p, (struct fake_seen){.what = SEEN_NEVER, .why = news->why});
	else if (news->what == DATA_CUT && client)
		show(p, (struct fake_seen){.what = SEEN_CUT, .why = news->why});
	else if (news->what == DATA_CUT)
		show_reset(p);
	else if (news->what == (up ? DATA_SOURCE_END : DATA_DONE)) {
		p->released = true;
		show_unsent(p);
		show(p, (struct fake_seen){.what = SEEN_END});
	}
}

/* ---- what the gate asks for ---- */

__attribute__((format(printf, 2, 3))) static void
note(struct fake_data *d, const char *format, ...)
{
	va_list args;

	if (d->n_asked == ASKED_MAX) {
		d->fault = "too much was asked for";
		return;
	}
	va_start(args, format);
	vsnprintf(d->asked[d->n_asked++], FAKE_TEXT_MAX, format, args);
	va_end(args);
}

static void
demand(struct data_pair *p, bool ok, const char *what)
{
	if (!ok || p->closed)
		p->data->fault = p->closed ? "a pair was used that is closed" : what;
}

static const char *
print_endpoint(const struct endpoint *e, char text[80])
{
	char address[IP_TEXT_MAX], port[8] = "any";

	if (e->port != 0)
		snprintf(port, sizeof(port), "%u", e->port);
	if (e->ip.family == IP_NONE)
		snprintf(text, 80, "any%s%s", e->port != 0 ? ":" : "", e->port != 0 ? port : "");
	else
		snprintf(text, 80, e->ip.family == IP_V6 ? "[%s]:%s" : "%s:%s",
		    ip_text(&e->ip, address), port);
	return text;
}

struct data_pair *
fake_data_open(struct fake_data *d, struct relay *relay)
{
	struct data_pair *p;

	if (d->n_pairs == PAIRS_MAX)
		return NULL;
	p = &d->pairs[d->n_pairs++];
	*p = (struct data_pair){.data = d, .relay = relay};
	buf_init(&p->unsent, 64u << 20);
	return p;
}

static void
fake_listen(struct data_pair *p, const struct data_hole *hole, unsigned seconds)
{
	struct endpoint from = {.ip = hole->from};
	char at[80], address[80];

	demand(p, p->legs[hole->leg] == LEG_NONE, "a leg was asked for twice");
	demand(p, seconds > 0, "a hole for no time");
	p->legs[hole->leg] = LEG_WAITS;
	print_endpoint(&from, address);
	address[strlen(address) - strlen(":any")] = '\0';
	note(p->data, "listens %s %s for %s", leg_names[hole->leg], print_endpoint(&hole->at, at),
	    address);
}

static void
fake_dial(struct data_pair *p, const struct data_dial *dial, unsigned seconds)
{
	char to[80], from[80];

	demand(p, p->legs[dial->leg] == LEG_NONE, "a leg was asked for twice");
	demand(p, seconds > 0 && dial->to.port != 0, "a dial to nowhere");
	p->legs[dial->leg] = LEG_WAITS;
	if (dial->leg == DATA_CLIENT)
		p->told = dial->to;
	note(p->data, "dials %s %s from %s", leg_names[dial->leg], print_endpoint(&dial->to, to),
	    print_endpoint(&dial->from, from));
}

static bool
fake_let_by(struct data_pair *p, const struct endpoint *client, const struct endpoint *server,
    unsigned seconds)
{
	char from[80], to[80];

	demand(p, p->legs[DATA_CLIENT] == LEG_NONE && seconds > 0, "let by twice");
	p->by = true;
	note(p->data, "lets by %s to %s", print_endpoint(client, from), print_endpoint(server, to));
	return true;
}

static void
fake_flow(struct data_pair *p, const struct data_flow *flow)
{
	static const char *const in_tls[2][2] = {
	    {"", " server in TLS"}, {" client in TLS", " in TLS"}};
	char hold[32] = "";

	demand(p, !p->flows && flow->stall > 0 && flow->hold <= DATA_HOLD_MAX, "a flow twice");
	p->flow = *flow;
	p->flows = true;
	if (flow->hold > 0)
		snprintf(hold, sizeof(hold), " holding %zu", flow->hold);
	note(p->data, "flows %s%s%s%s", flow->dir == AN_C2S ? "up" : "down",
	    flow->look ? " looked at" : "", hold,
	    in_tls[flow->protected[DATA_CLIENT]][flow->protected[DATA_SERVER]]);
}

static void
fake_release(struct data_pair *p)
{
	demand(p, true, "");
	p->released = true;
	show_unsent(p);
	note(p->data, "releases");
}

static void
fake_reset(struct data_pair *p)
{
	demand(p, true, "");
	p->over = true;
	show_reset(p);
	note(p->data, "resets");
}

static void
fake_drop(struct data_pair *p, enum data_leg leg, bool reset)
{
	demand(p, true, "");
	if (leg == DATA_CLIENT)
		show_reset(p);
	p->legs[leg] = LEG_GONE;
	note(p->data, "drops %s%s", leg_names[leg], reset ? " reset" : "");
}

static const struct data_count *
fake_count(const struct data_pair *p)
{
	return &p->count;
}

static void
fake_close(struct data_pair *p)
{
	if (p == NULL)
		return;
	demand(p, true, "");
	p->closed = true;
	show_reset(p);
	note(p->data, "closes");
}

static struct data_pair *
fake_open(void *arg, struct relay *relay)
{
	return fake_data_open(arg, relay);
}

const struct data_ops fake_data_ops = {
    .open = fake_open,
    .listen = fake_listen,
    .dial = fake_dial,
    .let_by = fake_let_by,
    .flow = fake_flow,
    .release = fake_release,
    .reset = fake_reset,
    .drop = fake_drop,
    .count = fake_count,
    .close = fake_close,
};

const char *
fake_data_asked(struct fake_data *d, const char *text)
{
	if (d->fault != NULL)
		return d->fault;
	for (size_t i = d->seen; i < d->n_asked; i++)
		if (strcmp(d->asked[i], text) == 0) {
			d->seen = i + 1;
			return NULL;
		}
	return "the gate did not ask for that";
}

const char *
fake_data_never(struct fake_data *d, const char *text)
{
	for (size_t i = 0; i < d->n_asked; i++)
		if (strncmp(d->asked[i], text, strlen(text)) == 0)
			return "the gate asked for that";
	return NULL;
}

const char *
fake_data_no_more(struct fake_data *d)
{
	return d->seen < d->n_asked ? "the gate asked for more" : NULL;
}

void
fake_data_print(const struct fake_data *d)
{
	for (size_t i = 0; i < d->n_asked; i++)
		printf("    %s %s\n", i < d->seen ? " " : ">", d->asked[i]);
}

/* ---- what happens ---- */

/* The last one that can still hear of something. */
static struct data_pair *
live_pair(struct fake_data *d)
{
	for (size_t i = d->n_pairs; i > 0; i--)
		if (!d->pairs[i - 1].closed && !d->pairs[i - 1].over)
			return &d->pairs[i - 1];
	return NULL;
}

static bool
read_endpoint(const char *text, struct endpoint *out)
{
	const char *colon = strrchr(text, ':');
	struct span address;
	uint64_t port;

	if (colon == NULL || !span_u64(span_str(colon + 1), 65535, &port))
		return false;
	address = span_of(text, (size_t)(colon - text));
	if (address.n > 2 && address.p[0] == '[')
		address = span_first(span_from(address, 1), address.n - 2);
	out->port = (uint16_t)port;
	return ip_parse(address, &out->ip);
}

static const struct {
	const char *word;
	enum data_what what;
	bool of_leg;
} happenings[] = {
    {"listening", DATA_LISTENING, true},
    {"open", DATA_OPEN, true},
    {"unreachable", DATA_UNREACHABLE, true},
    {"intruder", DATA_INTRUDER, true},
    {"source-end", DATA_SOURCE_END, false},
    {"done", DATA_DONE, false},
    {"cut", DATA_CUT, true},
};
#define HAPPENINGS (sizeof(happenings) / sizeof(happenings[0]))

static size_t
find_happening(const char *text)
{
	size_t i = 0, n = strcspn(text, " ");

	while (i < HAPPENINGS &&
	       (strlen(happenings[i].word) != n || strncmp(happenings[i].word, text, n) != 0))
		i++;
	return i;
}

bool
fake_data_is_news(const char *text)
{
	return find_happening(text) < HAPPENINGS;
}

/* Reasons live as long as news say: for ever. */
static const char *
why_of(const char *word)
{
	static const char *const whys[] = {"refused", "timeout", "no_hole", "reset", "stalled",
	    "unreachable", "no_descriptor", "closed", "address", "other_flow", "tls_cut",
	    "tls_verify", "tls_not_resumed"};

	for (size_t i = 0; i < sizeof(whys) / sizeof(whys[0]); i++)
		if (strcmp(whys[i], word) == 0)
			return whys[i];
	return NULL;
}

static const char *
change_leg(struct data_pair *p, const struct data_news *news)
{
	enum leg_state *leg = &p->legs[news->leg];

	switch (news->what) {
	case DATA_LISTENING:
	case DATA_INTRUDER:
		return *leg == LEG_WAITS || p->by ? NULL : "that leg does not wait";
	case DATA_OPEN:
		if (*leg != LEG_WAITS)
			return "that leg does not wait";
		*leg = LEG_OPEN;
		return NULL;
	case DATA_UNREACHABLE:
		if (*leg != LEG_WAITS && !p->by)
			return "that leg does not wait";
		*leg = LEG_GONE;
		return NULL;
	case DATA_CUT:
		p->over = true;
		return *leg == LEG_OPEN ? NULL : "that leg is not open";
	case DATA_SOURCE_END:
		return p->flows ? NULL : "nothing flows";
	case DATA_DONE:
		p->over = p->flows || p->by;
		return p->over ? NULL : "nothing flows";
	}
	return "what?";
}

/* "LEG [ENDPOINT] [at ENDPOINT] [WHY]" */
static const char *
read_news(const char *text, struct data_news *news)
{
	char words[6][80] = {{0}};
	int n = sscanf(text, "%*s %79s %79s %79s %79s", words[0], words[1], words[2], words[3]);
	int at = 0;

	if (happenings[find_happening(text)].of_leg) {
		if (n < 1)
			return "of which leg?";
		news->leg = strcmp(words[at++], "client") == 0 ? DATA_CLIENT : DATA_SERVER;
	}
	if (at < n && read_endpoint(words[at], &news->peer)) {
		if (news->what == DATA_LISTENING)
			news->at = news->peer;
		at++;
	}
	if (at + 1 < n && strcmp(words[at], "at") == 0) {
		if (!read_endpoint(words[at + 1], &news->at))
			return "at what?";
		at += 2;
	}
	if (at < n) {
		news->why = why_of(words[at]);
		return news->why == NULL ? "no such reason" : NULL;
	}
	return NULL;
}

const char *
fake_data_happens(struct fake_data *d, const char *text)
{
	struct data_news news = {.what = happenings[find_happening(text)].what};
	struct data_pair *p = live_pair(d);
	const char *wrong;

	if (d->fault != NULL)
		return d->fault;
	if (p == NULL)
		return "there is no pair that this could happen to";
	wrong = read_news(text, &news);
	if (wrong == NULL)
		wrong = change_leg(p, &news);
	if (wrong == NULL)
		show_news(p, &news);
	if (wrong == NULL)
		relay_data_news(p->relay, p, &news);
	return wrong;
}

const char *
fake_data_octets(struct fake_data *d, struct span octets)
{
	struct data_pair *p = live_pair(d);

	if (p == NULL || !p->flows)
		return "nothing flows";
	if (p->legs[DATA_CLIENT] != LEG_OPEN || p->legs[DATA_SERVER] != LEG_OPEN)
		return "not both legs are open";
	p->count.octets[DATA_CLIENT] += octets.n;
	p->count.octets[DATA_SERVER] += octets.n;
	if (p->flow.dir == AN_C2S)
		show(p, (struct fake_seen){.what = SEEN_OCTETS, .octets = octets});
	else if (buf_add(&p->unsent, octets))
		show_unsent(p);
	if (p->flow.look)
		relay_data_octets(p->relay, p, octets);
	return NULL;
}
