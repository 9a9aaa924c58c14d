/*
 * board_gateway - what the supervisor knows of the gateway as a whole, on a page that it alone
 * writes and the process behind "postern status" reads. See board.h.
 *
 * Every function takes NULL and does nothing then.
 */
#ifndef POSTERN_BOARD_GATEWAY_H
#define POSTERN_BOARD_GATEWAY_H

#include "config.h"

#define GATEWAY_PORTS	 128 /* of both lists */
#define GATEWAY_TEXT_MAX 512 /* octets with the NUL; a longer text is cut */
#define GATEWAY_PATH_MAX 1024

enum guard_state {
	GUARD_NONE,    /* nothing is intercepted, so there is nothing to guard */
	GUARD_BLOCK,   /* the ports are closed while nobody inspects them */
	GUARD_BYPASS,  /* on_exit = bypass: a dead gateway is an open gate */
	GUARD_MISSING, /* it should be there and is not */
	GUARD_STATES
};

/* What goes up, or is set; all of it numbers. */
enum gateway_number {
	GATEWAY_STARTED, /* milliseconds since 1970 */
	GATEWAY_MODE,	 /* enum intercept_mode */
	GATEWAY_GUARD,	 /* enum guard_state */
	GATEWAY_MENDED,	 /* how often guard or tables were put back */
	GATEWAY_GENERATION,
	GATEWAY_RELOADED, /* when the configuration in force was read, like STARTED */
	GATEWAY_RELOADS,  /* that were done */
	GATEWAY_RELOADS_REFUSED,
	GATEWAY_REFUSED_AT,  /* when, like STARTED; 0: never */
	GATEWAY_WORKERS,     /* as configured */
	GATEWAY_RESTARTS,    /* of workers that had ended by themselves */
	GATEWAY_BACKING_OFF, /* slots that wait before they are started again */
	GATEWAY_LOG_RESTARTS,
	GATEWAY_LOG_TROUBLE, /* 1: the log cannot be written now */
	GATEWAY_LOG_LOST,    /* lines that the logger lost */
	GATEWAY_LOG_ROTATIONS,
	GATEWAY_CAPTURES, /* sections of the configuration in force */
	GATEWAY_CAPTURE_FRAMES,
	GATEWAY_CAPTURE_OCTETS,
	GATEWAY_CAPTURE_FILES,
	GATEWAY_CAPTURE_REMOVED,  /* files that made room for others */
	GATEWAY_CAPTURE_LOST,	  /* frames that could not be written */
	GATEWAY_CAPTURE_LEFT_OUT, /* records that waited for a refusal: no room */
	GATEWAY_CAPTURE_RESTARTS,
	GATEWAY_CAPTURE_TROUBLE, /* 1: files cannot be written now */
	GATEWAY_NUMBERS
};

struct gateway_port {
	uint32_t protocol; /* enum protocol */
	uint32_t port;
};

struct gateway_page {
	uint64_t magic, version, size;
	uint64_t number[GATEWAY_NUMBERS];
	uint64_t seq; /* odd: what follows is being written */
	uint64_t n_intercepted, n_unserved;
	struct gateway_port intercepted[GATEWAY_PORTS], unserved[GATEWAY_PORTS];
	char gateway_version[32];
	char config[GATEWAY_PATH_MAX];
	char
	    refusal[GATEWAY_TEXT_MAX]; /* first line of what was wrong at the last refused reload */
	char log[GATEWAY_PATH_MAX];
	char log_trouble[GATEWAY_TEXT_MAX];
};

#define GATEWAY_MAGIC UINT64_C(0x6574614774735080)

/*
 * The page, with version and time of start. *readable is for the status process, and the caller's.
 * NULL: errno.
 */
struct gateway_page *gateway_page_new(int *readable);

void gateway_set(struct gateway_page *, enum gateway_number, uint64_t value);
void gateway_add(struct gateway_page *, enum gateway_number, uint64_t n);
/* This configuration is in force from now on: mode, paths, ports, workers, generation. */
void gateway_config(struct gateway_page *, const struct config *, unsigned generation);
/* A reload was refused; line: the first one of what was said, cut at its end. */
void gateway_reload_refused(struct gateway_page *, const char *line);
/* why: what the log's trouble is; NULL: there is none any more. */
void gateway_log_trouble(struct gateway_page *, const char *why);
/* A port of the configuration that is intercepted, or is not because nobody here speaks it. */
void gateway_port(struct gateway_page *, enum protocol, unsigned port, bool served);

/* For readers: a copy that holds together, with its lists and texts bounded. */
void gateway_read(const struct gateway_page *, struct gateway_page *copy);
const char *guard_name(enum guard_state);
const char *mode_name(enum intercept_mode);

#endif
