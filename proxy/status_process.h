/*
 * status_process - answers how the gateway is: on the unix socket that "postern status" asks, and
 * over HTTP for Prometheus. Unprivileged; it sees pages that others write, and nothing else of the
 * gateway. Whatever is sent to it, nobody waits for it.
 *
 * The unix socket takes one line, "status" or "sessions", gives one JSON object, and closes. It
 * answers root and the user who has started the gateway (SO_PEERCRED). The HTTP socket knows
 * GET /metrics.
 */
#ifndef POSTERN_STATUS_PROCESS_H
#define POSTERN_STATUS_PROCESS_H

#define STATUS_ROLE "status-process"

/* Descriptors of the role, from PROCESS_FD on; listeners only where they are announced. */
enum status_fd {
	STATUS_FD_IPC,
	STATUS_FD_GATEWAY, /* the supervisor's page, to read */
	STATUS_FD_BASE,	   /* status_base_new() */
	STATUS_FD_LISTENERS
};

/*
 * argv: the role, the user to become, the uid that may ask, and the listeners that follow: "s" the
 * unix socket, "m" the metrics, "sm" both, in this order. Returns when the supervisor is gone.
 */
int status_main(int argc, char **argv);

#endif
