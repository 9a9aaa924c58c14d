#include "watch_command.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "capture_device.h"
#include "cli.h"
#include "clock.h"
#include "keylog_file.h"
#include "read_options.h"
#include "record_json.h"
#include "sandbox.h"

#define OUTPUT_BUFFER (256u << 10)
#define BATCH	      1024 /* frames between two looks at signals and clock */
#define FLUSH_MS      100
#define COUNT_MS      1000

struct watch {
	struct read_options options;
	struct capture_settings settings;
	struct reading reading;
	struct capture_device *device;
	struct capture_counts told; /* by the last record */
	uint64_t frames, counted_at, flushed_at;
};

static volatile sig_atomic_t ended, asked;

static void
on_signal(int number)
{
	if (number == SIGUSR1)
		asked = 1;
	else
		ended = 1;
}

/* They come in while it waits, and at no other time. */
static void
set_up_signals(sigset_t *while_waiting)
{
	static const int ours[] = {SIGINT, SIGTERM, SIGUSR1};
	const struct sigaction action = {.sa_handler = on_signal};
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		sigaction(ours[i], &action, NULL);
		sigaddset(&blocked, ours[i]);
	}
	signal(SIGPIPE, SIG_IGN); /* that nobody reads the records is seen when they are written */
	sigprocmask(SIG_BLOCK, &blocked, while_waiting);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigdelset(while_waiting, ours[i]);
}

/* ---- counts ---- */

/* EVE's names. The time is that of whoever counts: the capture's own is its last frame's. */
static void
record_counts(struct watch *w, const struct capture_counts *c)
{
	record_clock *of_frames = record_use_clock(NULL);
	struct json_writer *r = record_open(NULL, "stats", RECORD_NO_TX);

	json_open_object(r, "stats");
	json_open_object(r, "capture");
	record_put_text(r, "device", span_str(w->settings.device));
	record_put_int(r, "kernel_packets", c->frames);
	record_put_int(r, "kernel_drops", c->lost);
	record_put_int(r, "kernel_ifdrops", c->lost_device);
	json_close_object(r);
	json_close_object(r);
	record_close(r, reading_sink, &w->reading);
	record_use_clock(of_frames);
	w->told = *c;
}

/* A record whenever more was lost, once a second at most; and at the end. */
static void
count(struct watch *w, bool last)
{
	struct capture_counts c;

	capture_device_counts(w->device, &c);
	if (last || c.lost != w->told.lost || c.lost_device != w->told.lost_device)
		record_counts(w, &c);
}

static void
tell_counts(struct watch *w)
{
	struct capture_counts c;
	struct observer_stats s;

	capture_device_counts(w->device, &c);
	observer_stats(w->reading.observer, &s);
	fprintf(stderr,
	    "postern watch: %s: %" PRIu64 " frames, %" PRIu64 " lost for want of room, %" PRIu64
	    " lost by the device; %" PRIu64 " connections, %" PRIu64 " sessions, %" PRIu64
	    " records\n",
	    w->settings.device, w->frames, c.lost, c.lost_device, s.connections, s.sessions,
	    s.records);
}

/* ---- frames ---- */

static void
on_frame(void *arg, struct span octets, size_t length, const struct timeval *when)
{
	struct watch *w = arg;
	const struct observed_frame frame = {.source = w->settings.device,
	    .number = ++w->frames,
	    .when = *when,
	    .link = capture_device_link(w->device),
	    .octets = octets};

	(void)length; /* what a frame was cut by, IP says */
	observer_frame(w->reading.observer, &frame);
}

static void
look_at_clock(struct watch *w, bool idle)
{
	const uint64_t now = clock_ms();

	if (idle || now - w->flushed_at >= FLUSH_MS) {
		if (fflush(stdout) != 0)
			w->reading.unwritten = true;
		w->flushed_at = now;
	}
	if (now - w->counted_at >= COUNT_MS) {
		count(w, false);
		w->counted_at = now;
	}
}

/*
 * False: the device is lost, which was told. Secrets are written while the handshake is on, and
 * frames come in later: by then they are there.
 */
static bool
take(struct watch *w, int *n)
{
	const char *why;

	if (w->reading.keylog_file != NULL)
		keylog_file_refresh(w->reading.keylog_file);
	*n = capture_device_read(w->device, BATCH, on_frame, w, &why);
	if (*n < 0)
		fprintf(stderr, "postern watch: %s: %s\n", w->settings.device, why);
	return *n >= 0;
}

/* Frames, a signal, or the time to look at the clock. */
static void
wait_for_news(const struct watch *w, int ms, const sigset_t *while_waiting)
{
	const struct timespec most = {ms / 1000, ms % 1000 * 1000000L};
	struct pollfd fd = {capture_device_fd(w->device), POLLIN, 0};

	ppoll(&fd, 1, &most, while_waiting);
}

/* What was on the wire when the signal came is handed over CAPTURE_TIMEOUT_MS later. */
static bool
take_the_rest(struct watch *w, const sigset_t *while_waiting)
{
	const uint64_t until = clock_ms() + 2 * CAPTURE_TIMEOUT_MS;
	int n;

	while (clock_ms() < until && !w->reading.unwritten) {
		if (!take(w, &n))
			return false;
		if (n == 0)
			wait_for_news(w, CAPTURE_TIMEOUT_MS / 4, while_waiting);
	}
	return true;
}

static bool
watch(struct watch *w, const sigset_t *while_waiting)
{
	int n = 0;

	while (!ended && !w->reading.unwritten) {
		if (!take(w, &n))
			return false;
		look_at_clock(w, n == 0);
		wait_for_news(w, n == 0 ? COUNT_MS : 0, while_waiting);
		if (asked) {
			asked = 0;
			tell_counts(w);
		}
	}
	return take_the_rest(w, while_waiting);
}

/* ---- the command ---- */

static int
cannot(const char *why)
{
	fprintf(stderr, "postern watch: %s\n", why);
	return EXIT_FAILED;
}

/* From here on it is nobody, and can do nothing but what it is here for. */
static int
lock_up(struct watch *w)
{
	const struct extract *extract = w->reading.extract;
	const char *why = "";

	if (!sandbox_drop(reading_user(&w->reading, &w->options), &why))
		return cannot(why);
	if (extract != NULL && !extract_may_write(w->reading.extract))
		return EXIT_FAILED;
	if (!sandbox_close(extract != NULL ? SANDBOX_WATCH_EXTRACT : SANDBOX_WATCH, &why))
		return cannot(why);
	return EXIT_FINE;
}

static int
run(struct watch *w)
{
	sigset_t while_waiting;
	int code = reading_begin(&w->reading, &w->options), last;

	if (code == EXIT_FINE) {
		w->device = capture_device_open(&w->settings, stderr);
		code = w->device == NULL ? EXIT_FAILED : lock_up(w);
	}
	if (code == EXIT_FINE) {
		set_up_signals(&while_waiting);
		fprintf(stderr, "postern watch: %s: watching\n", w->settings.device);
		if (!watch(w, &while_waiting))
			code = EXIT_FAILED;
		count(w, true);
	}
	last = reading_end(&w->reading, &w->options);
	capture_device_close(w->device);
	return code != EXIT_FINE ? code : last;
}

enum {
	OPTION_FILTER = READ_OPTION_OWN,
	OPTION_PROMISCUOUS,
	OPTION_BUFFER,
};

static bool
wrong(const char *what)
{
	fprintf(stderr, "postern watch: %s\n", what);
	return false;
}

static bool
take_buffer(struct watch *w, const char *text)
{
	uint64_t mib;

	if (!span_u64(span_str(text), CAPTURE_BUFFER_MIB_MAX, &mib) || mib == 0)
		return wrong("--buffer: a number of MiB from 1 to 1024 must stand here");
	w->settings.buffer = (unsigned)mib;
	return true;
}

static bool
take_option(struct watch *w, int opt, const char *value)
{
	switch (opt) {
	case 'i':
		w->settings.device = value;
		return value[0] != '\0' || wrong("-i: the name of a device must stand here");
	case OPTION_FILTER:
		w->settings.filter = value;
		return true;
	case OPTION_PROMISCUOUS:
		w->settings.promiscuous = true;
		return true;
	case OPTION_BUFFER:
		return take_buffer(w, value);
	case READ_OPTION_RESOLVE:
		return wrong("--resolve: who watches asks nobody; answers on the wire are seen");
	default:
		return read_options_take(&w->options, opt, value);
	}
}

static bool
take_options(struct watch *w, int argc, char **argv)
{
	static const struct option options[] = {READ_OPTIONS,
	    {"filter", required_argument, NULL, OPTION_FILTER},
	    {"promiscuous", no_argument, NULL, OPTION_PROMISCUOUS},
	    {"buffer", required_argument, NULL, OPTION_BUFFER}, {NULL, 0, NULL, 0}};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "c:i:", options, NULL)) != -1)
		if (!take_option(w, opt, optarg))
			return false;
	if (optind < argc)
		return wrong("takes options alone, and no file");
	return w->settings.device != NULL || wrong("names no device: -i DEVICE");
}

int
watch_command(int argc, char **argv)
{
	static char output[OUTPUT_BUFFER];
	struct watch w = {.frames = 0};

	read_options_default(&w.options, "watch");
	w.options.live = true;
	if (!take_options(&w, argc, argv)) {
		commands_usage(stderr);
		return EXIT_USAGE;
	}
	setvbuf(stdout, output, _IOFBF, sizeof(output));
	return run(&w);
}
