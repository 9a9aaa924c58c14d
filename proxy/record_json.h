/*
 * record_json - what all records share: the envelope, texts that say when they were cut, the line.
 * For the files that write records; everybody else needs record.h.
 */
#ifndef POSTERN_RECORD_JSON_H
#define POSTERN_RECORD_JSON_H

#include <jansson.h>

#include "record.h"

/* A record without tx_id. */
#define RECORD_NO_TX UINT32_MAX

/* The envelope; session may be NULL. The caller hands it to record_close(). NULL: no memory. */
json_t *record_open(const struct record_session *, const char *event_type, uint32_t tx_id);
/* "upstream", where the session has a server leg. Returns it for more fields, or NULL. */
json_t *record_upstream(json_t *record, const struct record_session *);
/* Writes the line and frees the record. */
void record_close(json_t *record, record_sink *, void *arg);

/* Texts of ours, and texts that went through printable() before. */
void record_put(json_t *object, const char *key, const char *text);
void record_put_span(json_t *object, const char *key, struct span text);
/* Any text: goes through printable(), and is cut at RECORD_TEXT_MAX. */
void record_put_text(json_t *object, const char *key, struct span text);
/* The same; an empty one is left away. */
void record_put_if(json_t *object, const char *key, struct span text);
/* The same as a value by itself; *whole is set to false when it was cut. */
json_t *record_text(struct span text, bool *whole);
void record_put_int(json_t *object, const char *key, uint64_t value);
void record_put_bool(json_t *object, const char *key, bool value);
/* "<key>_truncated": true */
void record_put_cut(json_t *object, const char *key);
void record_put_time(json_t *object, const char *key, const struct timeval *);
/* src_ip, src_port, dest_ip, dest_port of a connection; and its community_id. */
void record_put_leg(json_t *object, const struct endpoint *from, const struct endpoint *to);
/* "verdict"; NULL: nothing. */
void record_put_verdict(json_t *record, const struct verdict *);
/* A new object in record. */
json_t *record_put_object(json_t *record, const char *key);

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

#endif
