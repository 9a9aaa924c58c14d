#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define DRAW_EVERY_MS 100
#define SOON_MS	      2000 /* before it nobody knows how long it takes */
#define BAR_MIN	      15   /* columns, with its percentage */
#define BAR_MAX	      40
#define BAR_WORTH     60 /* terminals as wide as that do without facts to have a bar */
#define WIDTH_MIN     20 /* of terminals that say less, or nothing: 80 */

struct progress {
	uint64_t began, drawn; /* milliseconds; drawn 0: never */
	bool shown;
};

/* ---- the text ---- */

/* "812 KiB", "1.2 GiB": at most four digits, no fraction of octets. */
static void
put_octets(uint64_t octets, char *out, size_t n)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)octets;
	size_t unit = 0;

	for (; value >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		value /= 1024;
	snprintf(out, n, "%.*f %s", unit > 0 && value < 9.95 ? 1 : 0, value, units[unit]);
}

static void
put_number(uint64_t number, char *out, size_t n)
{
	static const char units[] = " kMGTPE";
	double value = (double)number;
	size_t unit = 0;

	if (number < 100000) {
		snprintf(out, n, "%" PRIu64, number);
		return;
	}
	for (; value >= 999.5 && unit + 2 < sizeof(units); unit++)
		value /= 1000;
	snprintf(out, n, "%.*f%c", value < 9.95 ? 1 : 0, value, units[unit]);
}

/* By what went before; a total that was wrong leaves nothing. */
static void
put_left(const struct progress_facts *f, uint64_t ms, char *out, size_t n)
{
	uint64_t s;

	out[0] = '\0';
	if (f->total == 0 || f->octets == 0 || f->octets > f->total || ms < SOON_MS)
		return;
	s = (uint64_t)((double)ms / (double)f->octets * (double)(f->total - f->octets) / 1000 + 1);
	if (s < 3600)
		snprintf(out, n, "%" PRIu64 ":%02" PRIu64 " left", s / 60, s % 60);
	else
		snprintf(out, n, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64 " left", s / 3600,
		    s / 60 % 60, s % 60);
}

static void
put_read(const struct progress_facts *f, char *out, size_t n)
{
	char octets[16], total[16];

	put_octets(f->octets, octets, sizeof(octets));
	put_octets(f->total, total, sizeof(total));
	if (f->total > 0)
		snprintf(out, n, "%s of %s", octets, total);
	else
		snprintf(out, n, "%s", octets);
}

static void
put_speed(const struct progress_facts *f, uint64_t ms, char *out, size_t n)
{
	char octets[16];

	out[0] = '\0';
	if (ms == 0)
		return;
	put_octets((uint64_t)((double)f->octets * 1000 / (double)ms), octets, sizeof(octets));
	snprintf(out, n, "%s/s", octets);
}

static unsigned
percent(const struct progress_facts *f)
{
	return f->octets >= f->total ? 100 : (unsigned)((double)f->octets * 100 / (double)f->total);
}

/* "[=====>    ]  46%", in that many columns. */
static size_t
put_bar(const struct progress_facts *f, size_t columns, char *out)
{
	const size_t inner = columns - sizeof("[] 100%") + 1,
		     done = (size_t)((double)inner * percent(f) / 100);

	out[0] = '[';
	for (size_t i = 0; i < inner; i++)
		out[1 + i] = "=> "[(i >= done) + (i > done)];
	snprintf(out + 1 + inner, sizeof("] 100%"), "] %3u%%", percent(f));
	return columns;
}

enum { FACT_READ, FACT_SPEED, FACT_PACKETS, FACT_RECORDS, FACT_LEFT, FACTS };

struct fact {
	char text[48];
};

static void
put_facts(const struct progress_facts *f, uint64_t ms, struct fact facts[FACTS])
{
	char packets[24], records[24];

	put_number(f->packets, packets, sizeof(packets));
	put_number(f->records, records, sizeof(records));
	put_read(f, facts[FACT_READ].text, sizeof(facts->text));
	put_speed(f, ms, facts[FACT_SPEED].text, sizeof(facts->text));
	snprintf(facts[FACT_PACKETS].text, sizeof(facts->text), "%s packets", packets);
	snprintf(facts[FACT_RECORDS].text, sizeof(facts->text), "%s records", records);
	put_left(f, ms, facts[FACT_LEFT].text, sizeof(facts->text));
}

/* What a narrow terminal does without, the first of these first. */
static size_t
fit(struct fact facts[FACTS], size_t width)
{
	static const unsigned least[] = {
	    FACT_SPEED, FACT_RECORDS, FACT_PACKETS, FACT_READ, FACT_LEFT};
	size_t n = 0, next = 0;

	for (unsigned i = 0; i < FACTS; i++)
		n += facts[i].text[0] == '\0' ? 0 : strlen(facts[i].text) + 2;
	for (; n > width + 2; next++) {
		char *text = facts[least[next]].text;

		n -= text[0] == '\0' ? 0 : strlen(text) + 2;
		text[0] = '\0';
	}
	return n;
}

size_t
progress_text(
    const struct progress_facts *f, uint64_t ms, size_t width, char out[PROGRESS_TEXT_MAX])
{
	struct fact facts[FACTS];
	size_t n = 0, taken, bar;

	if (width > PROGRESS_TEXT_MAX - 1)
		width = PROGRESS_TEXT_MAX - 1;
	put_facts(f, ms, facts);
	taken = fit(facts, f->total > 0 && width >= BAR_WORTH ? width - BAR_MIN - 2 : width);
	bar = width > taken ? width - taken : 0;
	if (bar > BAR_MAX)
		bar = BAR_MAX;
	if (f->total > 0 && bar >= BAR_MIN)
		n = put_bar(f, bar, out);
	for (unsigned i = 0; i < FACTS; i++) {
		const size_t length = strlen(facts[i].text);

		if (length == 0)
			continue;
		if (n > 0)
			n += (size_t)snprintf(out + n, PROGRESS_TEXT_MAX - n, "  ");
		memcpy(out + n, facts[i].text, length);
		n += length;
	}
	out[n] = '\0';
	return n;
}

/* ---- the terminal ---- */

static uint64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* What knows no carriage return alone would fill with lines. */
static bool
is_for_it(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term != NULL && term[0] != '\0' &&
	       strcmp(term, "dumb") != 0;
}

/* The last column stays empty: some terminals begin a new line when it is written. */
static size_t
width_now(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < WIDTH_MIN)
		return 79;
	return size.ws_col - 1u;
}

struct progress *
progress_new(void)
{
	struct progress *p = is_for_it() ? calloc(1, sizeof(*p)) : NULL;

	if (p != NULL)
		p->began = now();
	return p;
}

void
progress_free(struct progress *p)
{
	progress_hide(p);
	free(p);
}

/* In one call: what else goes to the terminal is not mixed into it. */
static void
write_line(const char *text, size_t n)
{
	while (n > 0) {
		ssize_t went = write(STDERR_FILENO, text, n);

		if (went <= 0)
			return;
		text += went;
		n -= (size_t)went;
	}
}

void
progress_show(struct progress *p, const struct progress_facts *f)
{
	static const char clear[] = "\r\033[K";
	char line[sizeof(clear) + PROGRESS_TEXT_MAX];
	uint64_t at;
	size_t n;

	if (p == NULL)
		return;
	at = now();
	if (at - p->began < DRAW_EVERY_MS || (p->drawn != 0 && at - p->drawn < DRAW_EVERY_MS))
		return;
	memcpy(line, clear, sizeof(clear) - 1);
	n = progress_text(f, at - p->began, width_now(), line + sizeof(clear) - 1);
	write_line(line, sizeof(clear) - 1 + n);
	p->drawn = at;
	p->shown = true;
}

void
progress_hide(struct progress *p)
{
	static const char clear[] = "\r\033[K";

	if (p == NULL || !p->shown)
		return;
	write_line(clear, sizeof(clear) - 1);
	p->shown = false;
}
