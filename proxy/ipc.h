/*
 * ipc - what the supervisor and the other processes say to each other: messages of one fixed
 * size over a SOCK_SEQPACKET pair, some with descriptors.
 *
 * Both ends check all of it: the size, the type, whether this side may say it, the number of
 * descriptors, the bounds of every field. What does not hold is garbage, and whoever sent it is
 * ended by the supervisor; a process that gets garbage from its supervisor ends itself.
 */
#ifndef POSTERN_IPC_H
#define POSTERN_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ip.h"

#define IPC_FDS_MAX 64 /* descriptors in one message */

enum ipc_type {
	/* supervisor to worker */
	IPC_LISTENER = 1, /* 1 fd; a: enum ipc_listener, b: number of the forward, or protocol */
	IPC_SERVE,	  /* all listeners were given: accept */
	IPC_SOCKETS,	  /* 1 to IPC_FDS_MAX fds, transparent sockets; a: 4 or 6 */
	IPC_RETIRE,	  /* accept no more, end within a seconds */
	IPC_SIGNER,	  /* 1 fd: the socket to the signer that runs now (signer.h) */

	/* worker to supervisor */
	IPC_READY,	  /* set up, sandbox closed: give me listeners */
	IPC_SERVING,	  /* IPC_SERVE was done */
	IPC_MORE_SOCKETS, /* a: 4 or 6, b: how many, 1 to IPC_SOCKETS_MAX */

	/*
	 * Data connections, worker to supervisor; a: a number of the worker's own, which the answer
	 * has too. IPC_DATA_FORGET and IPC_DATA_COUNT speak of an earlier number of EXPECT or PASS;
	 * EXPECT or PASS with the same number and flow again: its time begins anew, and its count
	 * goes on. Ports of flows are 1024 and more, the one of BIND is 20 or 0.
	 *
	 * They are heeded in their order, and as long as a worker does not read its answers no
	 * more than one message of it is: ipc_send() may say IPC_AGAIN to it, which is no fault.
	 */
	IPC_DATA_EXPECT, /* flow, for b seconds: its connection comes to this worker */
	IPC_DATA_PASS,	 /* flow, for b seconds: its connection passes unproxied, and is counted */
	IPC_DATA_FORGET, /* what a was; no answer */
	IPC_DATA_COUNT,	 /* octets of what a was, so far */
	IPC_DATA_LISTEN, /* flow.destination: listen there, on a port of ftp.data_ports; b: 0 */
	IPC_DATA_BIND,	 /* flow.destination and flow.port: a socket that speaks from there; b: 0 */

	/* ... and the answer: a: the number, b: enum ipc_data; 1 fd with IPC_DATA_DONE of LISTEN,
	 * BIND, that does not block; octets: of IPC_DATA_COUNT, to the server and from it, headers
	 * of IP and TCP counted
	 */
	IPC_DATA_ANSWER,

	IPC_TLS_OFFERED, /* worker to supervisor: flow.destination and flow.port offer STARTTLS; a:
			    enum protocol */

	/* supervisor to logger */
	IPC_LOG_FILE, /* 1 fd, opened to append to: lines of kind a (enum log_kind) go there */
	IPC_LOG_PIPE, /* 1 fd, the reading end; a: the slot of its worker, or IPC_SLOT_SUPERVISOR */

	/* logger to supervisor */
	IPC_LOG_ROTATE, /* the file is large or old enough (a: why, enum ipc_rotate) */
	IPC_LOG_CLOSED, /* the last pipe was read to its end, all is written; it ends */

	/* supervisor to status */
	IPC_BOARD,	/* 1 fd, a worker's page, to read; a: its slot, b: the number of the page */
	IPC_BOARD_GONE, /* that worker is gone; a, b: as above */

	/* supervisor to signer */
	IPC_SIGNER_PEER, /* 1 fd: a worker's socket */

	/* supervisor to the process that writes captures */
	IPC_TAP_DIRECTORY, /* 1 fd, O_PATH: where the files of section a go; one for each, first of
			      all */
	IPC_TAP_PIPE,	   /* 1 fd, the reading end (tap_pipe.h); a: a number for it */
	IPC_TAP_ROTATE,	   /* begin new files */

	IPC_TYPE_COUNT
};

enum log_kind {
	LOG_EVE,
	LOG_XFERLOG, /* none was given: such lines are dropped */
	LOG_FILES
};

enum ipc_listener {
	IPC_LISTEN_FORWARD, /* b: index of the forward section */
	IPC_LISTEN_CAUGHT4, /* intercepted sessions; b: enum protocol */
	IPC_LISTEN_CAUGHT6,
	IPC_LISTEN_DATA4, /* data connections that were expected; b: their local port */
	IPC_LISTEN_DATA6,
	IPC_LISTEN_COUNT
};

enum ipc_data {
	IPC_DATA_DONE,	   /* the kernel knows; the socket is here */
	IPC_DATA_TOO_MANY, /* the table is full, no port is free */
	IPC_DATA_FAILED,   /* the kernel refused; another session has this very hole; it is over */
	IPC_DATA_RESULTS
};

enum ipc_rotate { IPC_ROTATE_SIZE, IPC_ROTATE_AGE, IPC_ROTATE_COUNT };

#define IPC_SOCKETS_MAX	     1024
#define IPC_DATA_SECONDS_MAX 3600
#define IPC_DATA_PORT_MIN    1024 /* of a flow; those below are some service's: RFC 2577 s3 */
#define IPC_SLOT_SUPERVISOR  UINT32_MAX

/* A connection that is going to come; all zero where the type has none. */
struct ipc_flow {
	struct ip source, destination; /* of one family; source IP_NONE: any */
	uint16_t port;		       /* of the destination */
};

struct ipc_message {
	uint32_t type; /* enum ipc_type */
	uint32_t a, b; /* as the type says; else 0 */
	struct ipc_flow flow;
	uint64_t octets[2];
};

/* Who the other end is, and so what it may say. */
enum ipc_peer {
	IPC_FROM_SUPERVISOR_TO_WORKER,
	IPC_FROM_SUPERVISOR_TO_LOGGER,
	IPC_FROM_SUPERVISOR_TO_STATUS,
	IPC_FROM_SUPERVISOR_TO_SIGNER,
	IPC_FROM_SUPERVISOR_TO_TAP,
	IPC_FROM_WORKER,
	IPC_FROM_LOGGER,
};

enum ipc_result {
	IPC_OK,
	IPC_AGAIN,   /* nothing there, or no room */
	IPC_CLOSED,  /* the other end is gone */
	IPC_GARBAGE, /* *why says what was wrong with it; the other end is to be ended */
};

/* Two ends, close-on-exec and non-blocking. False: errno. */
bool ipc_pair(int ends[2]);

/* fds: n of them go along, and stay open here. IPC_OK, IPC_AGAIN or IPC_CLOSED. Never blocks. */
enum ipc_result ipc_send(int end, const struct ipc_message *, const int fds[], size_t n);

/*
 * *n descriptors (close-on-exec, the caller's from here on) are put into fds; with any other
 * result than IPC_OK there are none. *why is a constant.
 */
enum ipc_result ipc_receive(int end, enum ipc_peer, struct ipc_message *, int fds[IPC_FDS_MAX],
    size_t *n, const char **why);

#endif
