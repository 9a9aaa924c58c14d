/*
 * status_render - how the gateway is, as JSON and as Prometheus text. docs/status.md has every
 * field and every metric.
 *
 * Texts come out printable, numbers within 2^50: whatever stood on a page.
 */
#ifndef POSTERN_STATUS_RENDER_H
#define POSTERN_STATUS_RENDER_H

#include "board_gateway.h"
#include "status_door.h"
#include "status_totals.h"

struct evbuffer;

struct status_view {
	struct status_totals *totals;
	const struct gateway_page *gateway;
	struct door_stats asked, scraped; /* the socket of the command, the one of Prometheus */
};

/* One object and a newline. False: no memory; out is as it was. */
bool status_json(const struct status_view *, struct evbuffer *out);
/* One object with a list of all sessions, at most STATUS_SESSIONS, and a newline. */
bool status_sessions_json(const struct status_view *, struct evbuffer *out);
/* Prometheus' text format 0.0.4. */
bool status_metrics(const struct status_view *, struct evbuffer *out);

/* ---- what both name ---- */

extern const char *const status_leg_names[BOARD_LEGS];
extern const char *const status_message_names[BOARD_MESSAGES];
extern const char *const status_state_names[BOARD_STATES];
extern const char *const status_phase_names[BOARD_PHASES];
extern const char *const status_action_names[BOARD_TALLY_KINDS]; /* of verdicts; else NULL */

#endif
