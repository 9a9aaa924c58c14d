#include "session.h"

#include <stdlib.h>

#include "budget.h"
#include "clock.h"
#include "due.h"
#include "session_connect.h"
#include "session_parts.h"

#define CLOSE_MS  30000 /* a peer takes what is queued for it before its socket is closed */
#define LINGER_MS 2000	/* a client reads our last words before its socket is closed */

uint64_t
session_now(void *arg)
{
	(void)arg;
	return clock_ms();
}

/* Descriptors that a session may need. */
static unsigned
cost_of(enum protocol p)
{
	return p == PROTOCOL_FTP ? BUDGET_PER_FTP_SESSION : BUDGET_PER_SESSION;
}

bool
sessions_full(const struct sessions *all)
{
	return all->count >= all->max ||
	       (all->count > 0 && all->taken + BUDGET_PER_SESSION > all->descriptors);
}

bool
sessions_pressed(const struct sessions *all)
{
	const unsigned percent = all->config->limits.pressure;

	return (uint64_t)all->count * 100u >= (uint64_t)all->max * percent ||
	       (uint64_t)all->taken * 100u >= (uint64_t)all->descriptors * percent;
}

static void
end(struct session *s)
{
	struct sessions *all = s->all;
	unsigned cost = cost_of(s->arrival->protocol);

	connect_over(s);
	side_close(&s->side[AN_C2S], false);
	side_close(&s->side[AN_S2C], false);
	deadlines_leave(all->deadlines, s->seat);
	upgrade_free(&s->upgrade);
	relay_free(s->relay);
	clients_leave(all->clients, s->client);
	*s->link = s->next;
	if (s->next != NULL)
		s->next->link = s->link;
	free(s);
	all->count--;
	all->taken -= cost;
	all->ended(all->arg);
}

/* What the relay wants of a socket. */
static void
grant_wish(struct side *side)
{
	struct session *s = side->session;
	enum relay_wish wish = s->relay->wish[side->dir];
	bool gone = s->relay->peer[side->dir] == PEER_GONE;

	if (side->fd < 0 || side->lingering || wish == WISH_NONE)
		return;
	if (wish == WISH_RESET || gone || upgrade_shakes(&s->upgrade, side->dir)) {
		side_close(side, wish == WISH_RESET);
	} else if (relay_from(s->relay, side->dir)->queued > 0) {
		return;
	} else if (side->dir == AN_S2C || s->relay->peer[AN_C2S] == PEER_EOF) {
		side_say_end(side);
		side_close(side, false);
	} else {
		/* closing now would reset a client that still sends, and lose our last words */
		side_say_end(side);
		shutdown(side->fd, SHUT_WR);
		side->lingering = true;
		s->close_until = session_now(NULL) + LINGER_MS;
	}
}

/* False: no memory. */
static bool
update_events(struct side *side)
{
	struct relay *r = side->session->relay;
	const struct upgrade *u = &side->session->upgrade;

	if (side->fd < 0)
		return true;
	if (side_is_connecting(side))
		return side_want_writable(side, true);
	if (upgrade_shakes(u, side->dir) && !side->lingering) {
		side_want_readable(side, upgrade_wants_read(u, side->dir));
		return side_want_writable(side, upgrade_wants_write(u, side->dir));
	}
	side_want_readable(side, side->lingering || relay_wants_read(r, side->dir));
	return side_want_writable(side, relay_from(r, side->dir)->queued > 0);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a == 0 ? b : b == 0 || a < b ? a : b;
}

/* The alarm of all goes off when the first of them is due, or earlier, and is then set again. */
static void
set_alarm(struct sessions *all)
{
	const uint64_t at = deadlines_first(all->deadlines);
	uint64_t now, rest;
	struct timeval tv;

	if (at == 0 || (all->alarm_at != 0 && all->alarm_at <= at))
		return;
	now = session_now(NULL);
	rest = at > now ? at - now : 0;
	tv = (struct timeval){(time_t)(rest / 1000u), (suseconds_t)(rest % 1000u * 1000u)};
	/* without memory for it, it is tried again with the next event of any session */
	all->alarm_at = event_add(&all->alarm, &tv) == 0 ? at : 0;
}

void
session_update_deadline(struct session *s)
{
	uint64_t due = earlier(relay_deadline(s->relay), s->connect_until);

	if (s->relay->reason != NULL && s->close_until == 0)
		s->close_until = session_now(NULL) + CLOSE_MS;
	due = earlier(earlier(due, s->close_until), s->upgrade.until);
	if (due == 0)
		return;
	deadlines_by(s->all->deadlines, s->seat, later_of(due, s->all->soonest));
	set_alarm(s->all);
}

static bool
go_on_upgrading(struct session *s)
{
	const struct side *server = &s->side[AN_S2C];
	const int fds[] = {s->side[AN_C2S].fd, side_is_connecting(server) ? -1 : server->fd};

	return upgrade_run(&s->upgrade, fds);
}

void
session_settle(struct session *s)
{
	bool more = true;

	while (more) {
		more = side_write_out(&s->side[AN_C2S]);
		more = side_write_out(&s->side[AN_S2C]) || more;
		more = go_on_upgrading(s) || more;
		more = side_read_on(&s->side[AN_C2S]) || more;
		more = side_read_on(&s->side[AN_S2C]) || more;
	}
	grant_wish(&s->side[AN_C2S]);
	grant_wish(&s->side[AN_S2C]);
	if (s->side[AN_C2S].fd < 0 && s->side[AN_S2C].fd < 0 && s->relay->reason != NULL) {
		end(s);
		return;
	}
	if (!update_events(&s->side[AN_C2S]) || !update_events(&s->side[AN_S2C])) {
		relay_end(s->relay, "no_memory", WISH_RESET, WISH_RESET);
		side_close(&s->side[AN_C2S], true);
		side_close(&s->side[AN_S2C], true);
		end(s);
		return;
	}
	session_update_deadline(s);
}

/* Something that it waits for may be due. */
static void
expire(struct session *s, uint64_t now)
{
	if (s->connect_until != 0 && s->connect_until <= now)
		connect_failed(s);
	if (s->close_until != 0 && s->close_until <= now) {
		side_close(&s->side[AN_C2S], s->relay->client.queued > 0);
		side_close(&s->side[AN_S2C], s->relay->server.queued > 0);
	}
	upgrade_expired(&s->upgrade, now);
	if (relay_deadline(s->relay) != 0 && relay_deadline(s->relay) <= now)
		relay_expired(s->relay);
	session_settle(s);
}

static void
on_alarm(evutil_socket_t fd, short what, void *arg)
{
	struct sessions *all = arg;
	const uint64_t now = session_now(NULL);
	struct session *s;

	(void)fd;
	(void)what;
	all->alarm_at = 1; /* earlier than any: it is set once, behind them all */
	all->soonest = now + 1;
	while ((s = deadlines_take(all->deadlines, now)) != NULL)
		expire(s, now);
	all->alarm_at = 0;
	set_alarm(all);
}

void
sessions_start(struct sessions *all)
{
	event_assign(&all->alarm, all->base, -1, 0, on_alarm, all);
}

static void
wake(void *session)
{
	session_settle(session);
}

void
session_begin(struct session *s)
{
	struct sessions *all = s->all;

	s->upgrade = (struct upgrade){.relay = s->relay, .wake = wake, .owner = s};
	s->next = all->first;
	s->link = &all->first;
	if (all->first != NULL)
		all->first->link = &s->next;
	all->first = s;
	all->count++;
	all->taken += cost_of(s->arrival->protocol);
}

void
session_turn_away(struct session *s, const char *reason)
{
	side_close(&s->side[AN_S2C], false);
	connect_over(s);
	relay_turn_away(s->relay, reason);
}

void
sessions_end(struct sessions *all)
{
	while (all->first != NULL)
		end(all->first);
	if (all->alarm_at != 0)
		event_del(&all->alarm);
}
