/*
 * record_json - what all records share: the envelope, texts that say when they were cut, the line.
 * For the files that write records; everybody else needs record.h.
 */
#ifndef POSTERN_RECORD_JSON_H
#define POSTERN_RECORD_JSON_H

#include "json_writer.h"
#include "record.h"

/* A record without tx_id. */
#define RECORD_NO_TX UINT32_MAX

/*
 * The envelope of a new record, whose object is open; session may be NULL. One at a time in a
 * process, until record_close().
 */
struct json_writer *record_open(
    const struct record_session *, const char *event_type, uint32_t tx_id);
/* Opens "upstream", where the session has a server leg; false: it has none, nothing is open. */
bool record_open_upstream(struct json_writer *, const struct record_session *);
/* The same with nothing more in it. */
void record_upstream(struct json_writer *, const struct record_session *);
/* Writes the line; one that found no room is not written. */
void record_close(struct json_writer *, record_sink *, void *arg);

/* Texts of ours. */
void record_put(struct json_writer *, const char *key, const char *text);
/* Any text: goes through printable(), and is cut at RECORD_TEXT_MAX. */
void record_put_text(struct json_writer *, const char *key, struct span text);
/* The same; an empty one is left away. */
void record_put_if(struct json_writer *, const char *key, struct span text);
/* The same as an item of a list; false: it was cut. */
bool record_put_item(struct json_writer *, struct span text);
/* At most INT64_MAX. */
void record_put_int(struct json_writer *, const char *key, uint64_t value);
/* "<key>_truncated": true */
void record_put_cut(struct json_writer *, const char *key);
void record_put_time(struct json_writer *, const char *key, const struct timeval *);
/* src_ip, src_port, dest_ip, dest_port of a connection; and its community_id. */
void record_put_leg(struct json_writer *, const struct endpoint *from, const struct endpoint *to);
/* "verdict"; NULL: nothing. */
void record_put_verdict(struct json_writer *, const struct verdict *);

/* Takes a line with its end off the front of *rest; its end (LF, CR LF) is not in it. */
struct span record_take_line(struct span *rest);

struct record_date {
	int year;
	unsigned month, day; /* from 1 */
	unsigned weekday;    /* 0: Sunday */
	unsigned hour, minute, second;
};
/* UTC. By hand, because gmtime_r() reads a time zone file, which a sandbox forbids. */
struct record_date record_date_of(const struct timeval *);
/* "2026-11-24T03:00:00.000000+0000", as EVE writes it; UTC. Years are of four digits. */
#define RECORD_TIME_MAX 32
void record_time_text(const struct timeval *, char text[RECORD_TIME_MAX]);

#endif
