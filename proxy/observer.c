#include "observer.h"

#include <stdlib.h>
#include <unistd.h>

#include "observed.h"
#include "observed_protocol.h"
#include "record_json.h"

#define TCP	 6
#define UDP	 17
#define DNS_PORT 53

#define LEAP_SECONDS (CONNECTION_IDLE_SECONDS / 2)

/* Records are written in the time of the capture: one observer in a process, as one clock. */
static struct timeval capture_time;

static void
tell_time(struct timeval *t)
{
	*t = capture_time;
}

/* ---- services for relays ---- */

static uint64_t
now_ms(void *arg)
{
	const struct observer *o = arg;

	return (uint64_t)o->now.tv_sec * 1000u + (uint64_t)o->now.tv_usec / 1000u;
}

static void
not_counted(void *arg, struct relay *r)
{
	(void)arg;
	(void)r;
}

static bool
always(void *arg, struct relay *r, enum client_act act)
{
	(void)arg;
	(void)r;
	(void)act;
	return true;
}

static void
nothing_taken(void *arg, struct relay *r, enum client_act act)
{
	(void)arg;
	(void)r;
	(void)act;
}

static bool
never_pressed(void *arg)
{
	(void)arg;
	return false;
}

static void
counting_sink(void *arg, const char *line, size_t n)
{
	struct observer *o = arg;

	o->stats.records++;
	o->env.sink(o->env.sink_arg, line, n);
}

bool
observed_find_keys(const struct observer *o)
{
	return o->env.more_keys != NULL && o->env.more_keys(o->env.keys_arg);
}

/* ---- what is wrong with a source ---- */

static struct json_writer *
open_decode(const char *event)
{
	struct json_writer *w = record_open(NULL, "anomaly", RECORD_NO_TX);

	json_open_object(w, "anomaly");
	record_put(w, "type", "decode");
	record_put(w, "event", event);
	return w;
}

static void
close_decode(struct observer *o, struct json_writer *w)
{
	json_close_object(w);
	record_close(w, counting_sink, o);
}

void
observer_damage(
    struct observer *o, const char *source, uint64_t number, const char *event, const char *detail)
{
	struct json_writer *w = open_decode(event);

	record_put_text(w, "source", span_str(source));
	record_put_int(w, "packet", number);
	if (detail != NULL)
		record_put_text(w, "detail", span_str(detail));
	close_decode(o, w);
}

/* Of frames there may be too many: those beyond OBSERVER_ANOMALIES are one number at the end. */
static void
odd_frame(struct observer *o, const struct observed_frame *f, const char *event)
{
	if (o->anomalies++ < OBSERVER_ANOMALIES)
		observer_damage(o, f->source, f->number, event, NULL);
}

/* What has no packet of its own. */
static void
record_counts(struct observer *o)
{
	struct connections_stats tcp;

	connections_stats(o->connections, &tcp);
	const struct {
		const char *event;
		uint64_t n;
	} rows[] = {
	    {"more_frames_malformed",
		o->anomalies > OBSERVER_ANOMALIES ? o->anomalies - OBSERVER_ANOMALIES : 0},
	    {"fragments_lost", packets_lost(o->packets)},
	    {"segment_checksum", tcp.bad_checksums},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json_writer *w;

		if (rows[i].n == 0)
			continue;
		w = open_decode(rows[i].event);
		record_put_int(w, "count", rows[i].n);
		close_decode(o, w);
	}
}

/* ---- connections ---- */

static void
let_go(struct observed *of)
{
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
		buf_free(&of->held[dir]);
	of->is = OBSERVED_NOTHING;
}

static void
begin_session(struct observed *of, enum protocol p, bool implicit)
{
	of->session = observed_session_new(of, p, implicit);
	if (of->session == NULL) {
		let_go(of);
		return;
	}
	of->is = OBSERVED_SESSION;
	/* whoever greets has spoken first */
	for (int i = 1; i >= 0; i--) {
		enum an_dir dir = (enum an_dir)i;

		if (of->held[dir].n > 0)
			observed_session_octets(of->session, dir, buf_span(&of->held[dir]));
		if (of->ended[dir])
			observed_session_peer(of->session, dir, PEER_EOF);
		buf_free(&of->held[dir]);
	}
}

static bool
speaks_tls(const struct observed *of)
{
	return of->held[AN_S2C].n == 0 && of->held[AN_C2S].n > 0 && of->held[AN_C2S].p[0] == 0x16;
}

/* What a connection says of itself counts more than its port, where it is clear. */
static void
recognise(struct observed *of)
{
	const struct endpoint server = observed_endpoint(&of->tcp->server);
	enum protocol by_port = PROTOCOL_FTP, said = PROTOCOL_FTP;
	bool implicit = false;
	const bool listed = observed_port(of->observer->env.config, &server, &by_port, &implicit);
	const enum guess g =
	    observed_guess(buf_span(&of->held[AN_C2S]), buf_span(&of->held[AN_S2C]), &said);

	if (listed && implicit && speaks_tls(of))
		begin_session(of, by_port, true);
	else if (g == GUESS_FOUND)
		begin_session(of, said, false);
	else if (listed)
		begin_session(of, by_port, false);
	else if (g == GUESS_NONE)
		let_go(of);
}

static void
hold(struct observed *of, enum an_dir dir, struct span octets)
{
	if (!buf_add(&of->held[dir], span_first(octets, OBSERVED_WAITING_MAX)))
		let_go(of);
	else
		recognise(of);
}

static void
on_open(struct observer *o, struct connection *tcp)
{
	struct observed *of = calloc(1, sizeof(*of));
	struct observed_session *s;

	tcp->of = of;
	if (of == NULL)
		return;
	of->observer = o;
	of->tcp = tcp;
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++)
		buf_init(&of->held[dir], OBSERVED_WAITING_MAX);
	of->pair = observed_data_claim(o, of);
	if (of->pair == NULL)
		return;
	of->is = OBSERVED_DATA;
	s = observed_data_session(of->pair);
	observed_session_settle(s);
	observed_session_leave(s);
}

static void
on_closed(struct connection *tcp)
{
	struct observed *of = tcp->of;
	struct observed_session *s = of->pair == NULL ? NULL : observed_data_session(of->pair);

	if (s != NULL) {
		observed_data_over(of->pair, "capture_end");
		observed_session_leave(s);
	}
	observed_session_over(of->session, of->evicted ? "evicted" : "capture_end");
	let_go(of);
	free(of);
	tcp->of = NULL;
}

static enum an_anomaly
stray_of(enum connection_oddity oddity)
{
	switch (oddity) {
	case ODDITY_SYN_DATA:
		return AN_SYN_DATA;
	case ODDITY_URGENT:
		return AN_URGENT;
	case ODDITY_HOPS:
		return AN_HOPS;
	case ODDITY_NONE:
	case ODDITY_RESET:
	case ODDITY_OCTETS:
	case ODDITY_SYN:
	case ODDITY_FIN:
		break;
	}
	return AN_STRAY;
}

static void
of_session(struct observed *of, const struct connection_event *ev)
{
	struct observed_session *s = of->session;

	switch (ev->what) {
	case CONNECTION_OCTETS:
		observed_session_octets(s, ev->dir, ev->octets);
		break;
	case CONNECTION_GAP:
		observed_session_gap(s, ev->dir, ev->n);
		break;
	case CONNECTION_END:
		observed_session_peer(s, ev->dir, PEER_EOF);
		break;
	case CONNECTION_RESET:
		observed_session_peer(s, ev->dir, PEER_GONE);
		break;
	case CONNECTION_CONFLICT:
		observed_session_anomaly(s, AN_CONFLICT, ev->dir, ev->off);
		break;
	case CONNECTION_STRAY:
		observed_session_anomaly(s, stray_of(ev->oddity), ev->dir, ev->off);
		break;
	case CONNECTION_OPEN:
	case CONNECTION_EVICTED:
	case CONNECTION_CLOSED:
		break;
	}
}

static void
of_data(struct observed *of, const struct connection_event *ev)
{
	struct observed_session *s = observed_data_session(of->pair);

	if (ev->what == CONNECTION_OCTETS)
		observed_data_octets(of->pair, ev->dir, ev->octets);
	else if (ev->what == CONNECTION_GAP)
		observed_data_gap(of->pair);
	else if (ev->what == CONNECTION_END)
		observed_data_end(of->pair, ev->dir);
	else if (ev->what == CONNECTION_RESET)
		observed_data_over(of->pair, "reset");
	observed_session_leave(s);
}

/*
 * Of a connection that has said nothing clear yet: what is missing now will not tell either. Where
 * that is the very first (a greeting), it is one whose beginning the capture does not have.
 */
static void
of_unknown(struct observed *of, const struct connection_event *ev)
{
	if (ev->what == CONNECTION_OCTETS)
		hold(of, ev->dir, ev->octets);
	else if (ev->what == CONNECTION_END)
		of->ended[ev->dir] = true;
	else if (ev->what == CONNECTION_GAP && of->held[AN_C2S].n == 0 && of->held[AN_S2C].n == 0)
		of->missing[ev->dir] = true;
	else if (ev->what == CONNECTION_GAP)
		let_go(of);
}

/* What it takes counts for the bound: who is silent longest gives way. */
static void
weigh(struct observer *o, struct observed *of)
{
	size_t size = sizeof(*of) + of->held[AN_C2S].n + of->held[AN_S2C].n;

	if (of->is == OBSERVED_SESSION)
		size += observed_session_size(of->session);
	else if (of->is == OBSERVED_DATA)
		size += OBSERVED_MESSAGE_SIZE;
	connections_own(o->connections, of->tcp, size);
}

static void
happened(void *arg, struct connection *tcp, const struct connection_event *ev)
{
	struct observed *of = tcp->of;

	if (ev->what == CONNECTION_OPEN) {
		on_open(arg, tcp);
		return;
	}
	if (of == NULL)
		return;
	if (ev->what == CONNECTION_EVICTED)
		of->evicted = !of->observer->ending;
	if (ev->what == CONNECTION_CLOSED)
		on_closed(tcp);
	else if (of->is == OBSERVED_SESSION)
		of_session(of, ev);
	else if (of->is == OBSERVED_DATA)
		of_data(of, ev);
	else if (of->is == OBSERVED_UNKNOWN)
		of_unknown(of, ev);
	if (ev->what == CONNECTION_OCTETS)
		weigh(arg, of);
}

static bool
is_server_port(void *arg, uint16_t port)
{
	const struct observer *o = arg;
	const struct endpoint any = {.port = port};
	enum protocol p;
	bool implicit;

	return observed_port(o->env.config, &any, &p, &implicit);
}

/* ---- frames ---- */

static void
read_udp(struct observer *o, const struct packet *p)
{
	const struct span in = p->payload;

	if (in.n > 8 && ((unsigned)in.p[0] << 8 | in.p[1]) == DNS_PORT && p->missing == 0)
		observed_names_add(o->names, span_from(in, 8));
}

/* The frame's own: connections know what to think of one that is far ahead of all others. */
static uint64_t
microseconds(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000u + (uint64_t)t->tv_usec;
}

static void
malformed(struct observer *o, const struct observed_frame *f, const char *event)
{
	o->stats.malformed++;
	odd_frame(o, f, event);
}

static void
read_packet(struct observer *o, const struct observed_frame *f, struct span ip)
{
	struct packet p;

	switch (packets_read(o->packets, ip, (uint64_t)o->now.tv_sec, &p)) {
	case PACKET_WHOLE:
		if (p.contradicted)
			odd_frame(o, f, "fragment_overlap");
		break;
	case PACKET_KEPT:
		return;
	case PACKET_CONFLICT:
		odd_frame(o, f, "fragment_overlap");
		return;
	case PACKET_MALFORMED:
		malformed(o, f, "packet_malformed");
		return;
	}
	if (p.protocol == UDP)
		read_udp(o, &p);
	else if (p.protocol != TCP)
		o->stats.other++;
	else if (!connections_read(o->connections, &p, microseconds(&f->when)))
		malformed(o, f, "segment_malformed");
}

static bool
is_later(const struct timeval *a, const struct timeval *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_usec > b->tv_usec;
}

/* As the connections have it: where it leaps, a second frame has to say so, too. */
static void
set_clock(struct observer *o, const struct timeval *when)
{
	if (o->leap.tv_sec != 0 && !is_later(&o->leap, when))
		o->now = o->leap;
	o->leap.tv_sec = 0;
	if (is_later(when, &o->now)) {
		if (o->now.tv_sec != 0 && when->tv_sec - o->now.tv_sec > LEAP_SECONDS)
			o->leap = *when;
		else
			o->now = *when;
	}
	capture_time = o->now;
}

void
observer_frame(struct observer *o, const struct observed_frame *f)
{
	struct span ip;

	/* a damaged file may have times with more microseconds than a second has */
	if (f->when.tv_usec >= 0 && f->when.tv_usec < 1000000)
		set_clock(o, &f->when);
	o->stats.frames++;
	o->stats.octets += f->octets.n;
	switch (frame_packet(f->link, f->octets, &ip)) {
	case FRAME_IP:
		read_packet(o, f, ip);
		break;
	case FRAME_OTHER:
		o->stats.other++;
		break;
	case FRAME_MALFORMED:
		malformed(o, f, "frame_malformed");
		break;
	}
}

void
observer_end(struct observer *o)
{
	o->ending = true;
	packets_end(o->packets);
	connections_end(o->connections);
	record_counts(o);
}

/* ---- one observer ---- */

static void
make_relay_env(struct observer *o)
{
	o->data_ops = observed_data_ops;
	o->relay_env = (struct relay_env){
	    .config = o->env.config,
	    .observed = true,
	    .sink = counting_sink,
	    .sink_arg = o,
	    .now = now_ms,
	    .ask = observed_ask,
	    .unask = observed_unask,
	    .refused = not_counted,
	    .allow = always,
	    .take_back = nothing_taken,
	    .pressed = never_pressed,
	    .data = &o->data_ops,
	    .arg = o,
	};
}

struct observer *
observer_new(const struct observer_env *env)
{
	struct observer *o = calloc(1, sizeof(*o));
	struct connections_env tcp = {.happened = happened,
	    .server_port = is_server_port,
	    .memory = env->memory,
	    .compare = true,
	    .checksums = env->checksums};

	if (o == NULL)
		return NULL;
	o->env = *env;
	if (getentropy(tcp.seed, sizeof(tcp.seed)) < 0) {
		free(o);
		return NULL;
	}
	make_relay_env(o);
	tcp.arg = o;
	o->packets = packets_new(tcp.seed);
	o->connections = connections_new(&tcp);
	o->names = observed_names_new(tcp.seed);
	capture_time = (struct timeval){0};
	record_use_clock(tell_time);
	if (o->packets != NULL && o->connections != NULL && o->names != NULL)
		return o;
	observer_free(o);
	return NULL;
}

void
observer_free(struct observer *o)
{
	if (o == NULL)
		return;
	connections_free(o->connections);
	packets_free(o->packets);
	observed_names_free(o->names);
	record_use_clock(NULL);
	free(o);
}

void
observer_stats(const struct observer *o, struct observer_stats *out)
{
	struct connections_stats tcp;

	connections_stats(o->connections, &tcp);
	*out = o->stats;
	out->connections = tcp.connections;
	out->evicted = tcp.evicted;
	out->memory_peak = tcp.memory_peak;
}
