#include "interception_service.h"

#include <stdio.h>
#include <stdlib.h>

#include "interception_advice.h"

#define SAY_EVERY 60 /* seconds between two records about something that lasts */

struct interception_service {
	struct event_base *base;
	struct gateway_page *page;
	void (*note)(void *, const char *, const char *);
	void *arg;
	const struct config *config;	   /* in force; NULL: none is */
	struct interception *interception; /* NULL: nothing is taken off the wire */
	struct event *news;		   /* somebody changed the firewall */
	unsigned trouble_for; /* looks at a firewall that was broken, or could not be seen */
	unsigned open_for;    /* seconds in which no worker served, under bypass */
};

struct interception_service *
interception_service_new(struct event_base *base, struct gateway_page *page,
    void (*note)(void *, const char *, const char *), void *arg)
{
	struct interception_service *i = calloc(1, sizeof(*i));

	if (i != NULL)
		*i = (struct interception_service){
		    .base = base, .page = page, .note = note, .arg = arg};
	return i;
}

struct interception *
interception_service_tables(const struct interception_service *i)
{
	return i->interception;
}

/* ---- what is going on ---- */

static void
show_guard(struct interception_service *i, bool intact)
{
	enum guard_state state = GUARD_MISSING;

	if (i->interception == NULL)
		state = GUARD_NONE;
	else if (i->config->intercept.on_exit_bypass)
		state = GUARD_BYPASS;
	else if (intact)
		state = GUARD_BLOCK;
	gateway_set(i->page, GATEWAY_GUARD, state);
}

static void
watch(struct interception_service *i, bool all)
{
	char why[INTERCEPTION_TEXT_MAX];
	enum interception_state state = interception_watch(i->interception, all, why);

	/* of what nobody could look at the last word stays */
	if (state != INTERCEPTION_UNSEEN)
		show_guard(i, interception_tables_intact(i->interception));
	if (state == INTERCEPTION_MENDED) {
		gateway_add(i->page, GATEWAY_MENDED, 1);
		i->note(i->arg, "firewall_mended", why);
	}
	if (state == INTERCEPTION_INTACT || state == INTERCEPTION_MENDED)
		i->trouble_for = 0;
	else if (i->trouble_for++ % SAY_EVERY == 0)
		i->note(i->arg,
		    state == INTERCEPTION_UNSEEN ? "firewall_unseen" : "firewall_broken", why);
}

static void
on_news(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	watch(arg, false);
}

/* Whoever chose bypass is told again and again when it is one. */
static void
say_if_open(struct interception_service *i, unsigned serving)
{
	if (!i->config->intercept.on_exit_bypass || serving > 0)
		i->open_for = 0;
	else if (i->open_for++ % SAY_EVERY == 0)
		i->note(i->arg, "uninspected", "no worker serves: connections pass by");
}

void
interception_service_tick(struct interception_service *i, unsigned serving)
{
	if (i->interception == NULL)
		return;
	watch(i, true);
	say_if_open(i, serving);
}

/* ---- into force ---- */

static void
on_advice(void *arg, const char *line)
{
	struct interception_service *i = arg;

	i->note(i->arg, "firewall_advice", line);
}

static bool
stop(struct interception_service *i, char why[INTERCEPTION_TEXT_MAX])
{
	struct interception *was = i->interception;

	if (i->news != NULL)
		event_free(i->news);
	i->news = NULL;
	i->interception = NULL;
	return was == NULL || interception_stop(was, why);
}

static bool
start(struct interception_service *i, const struct config *c, const enum protocol served[],
    size_t n, char why[INTERCEPTION_TEXT_MAX])
{
	char left[INTERCEPTION_TEXT_MAX];

	i->interception = interception_start(c, served, n, why);
	if (i->interception == NULL)
		return false;
	i->news =
	    event_new(i->base, interception_fd(i->interception), EV_READ | EV_PERSIST, on_news, i);
	if (i->news != NULL && event_add(i->news, NULL) == 0)
		return true;
	stop(i, left);
	snprintf(why, INTERCEPTION_TEXT_MAX, "out of memory");
	return false;
}

bool
interception_service_apply(
    struct interception_service *i, const struct config *c, char why[INTERCEPTION_TEXT_MAX])
{
	enum protocol served[PROTOCOL_COUNT];
	size_t n = interception_protocols(served);
	bool done;

	if (c->mode == INTERCEPT_OFF)
		done = stop(i, why);
	else if (i->interception == NULL)
		done = start(i, c, served, n, why);
	else
		done = interception_reload(i->interception, c, served, n, why);
	if (!done)
		return false;
	i->config = c;
	i->open_for = 0;
	show_guard(i, true);
	interception_advice(c, on_advice, i);
	return true;
}

bool
interception_service_free(struct interception_service *i, char why[INTERCEPTION_TEXT_MAX])
{
	bool stopped = i == NULL || stop(i, why);

	free(i);
	return stopped;
}
