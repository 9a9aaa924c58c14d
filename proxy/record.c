#include "record.h"

#include <string.h>

#include "record_json.h"

/* What is said of a capture's streams, not of what their octets mean. */
static bool
is_of_stream(const char *event)
{
	static const enum an_anomaly of_streams[] = {
	    AN_GAP, AN_JOINED, AN_UNHEARD, AN_CONFLICT, AN_STRAY, AN_SYN_DATA, AN_URGENT, AN_HOPS};

	for (size_t i = 0; i < sizeof(of_streams) / sizeof(of_streams[0]); i++)
		if (strcmp(event, an_anomaly_name(of_streams[i])) == 0)
			return true;
	return false;
}

void
record_anomaly(const struct record_session *s, const char *event, enum an_dir dir, uint64_t off,
    const char *detail, record_sink *sink, void *arg)
{
	struct json_writer *w = record_open(s, "anomaly", RECORD_NO_TX);

	record_put(w, "direction", dir == AN_C2S ? "to_server" : "to_client");
	json_open_object(w, "anomaly");
	record_put(w, "type", is_of_stream(event) ? "stream" : "applayer");
	record_put(w, "event", event);
	if (!is_of_stream(event))
		record_put(w, "layer", "proto_parser");
	record_put_int(w, "offset", off);
	if (detail != NULL)
		record_put_text(w, "detail", span_str(detail));
	json_close_object(w);
	record_upstream(w, s);
	record_close(w, sink, arg);
}

void
record_flow(
    const struct record_session *s, const struct record_flow *f, record_sink *sink, void *arg)
{
	struct json_writer *w = record_open(s, "flow", RECORD_NO_TX);
	struct timeval end;

	record_now(&end);
	json_open_object(w, "flow");
	record_put_int(w, "bytes_toserver", f->bytes_toserver);
	record_put_int(w, "bytes_toclient", f->bytes_toclient);
	record_put_time(w, "start", &s->started);
	record_put_time(w, "end", &end);
	record_put_int(w, "age", f->duration_ms / 1000);
	record_put_int(w, "duration_ms", f->duration_ms);
	record_put(w, "state", f->state);
	record_put(w, "reason", f->reason);
	record_put_int(w, "tx_cnt", f->tx_count);
	json_truth(w, "opaque", f->opaque);
	json_close_object(w);
	if (record_open_upstream(w, s)) {
		record_put_int(w, "bytes_toserver", f->up_bytes_toserver);
		record_put_int(w, "bytes_toclient", f->up_bytes_toclient);
		json_close_object(w);
	}
	record_close(w, sink, arg);
}

void
record_stats(const char *name, uint64_t value, const char *text, record_sink *sink, void *arg)
{
	struct json_writer *w = record_open(NULL, "stats", RECORD_NO_TX);

	json_open_object(w, "stats");
	record_put_int(w, name, value);
	if (text != NULL)
		record_put_text(w, "text", span_str(text));
	json_close_object(w);
	record_close(w, sink, arg);
}

static void
put_lost(struct json_writer *w, const struct record_lost workers[], size_t n)
{
	json_open_list(w, "workers");
	for (size_t i = 0; i < n; i++) {
		json_open_object(w, NULL);
		record_put_int(w, "slot", workers[i].slot);
		record_put_int(w, "lost", workers[i].lines);
		json_close_object(w);
	}
	json_close_list(w);
}

void
record_log_lost(
    const struct record_lost workers[], size_t n, uint64_t supervisor, record_sink *sink, void *arg)
{
	struct json_writer *w = record_open(NULL, "stats", RECORD_NO_TX);
	uint64_t sum = supervisor;

	for (size_t i = 0; i < n; i++)
		sum += workers[i].lines;
	json_open_object(w, "stats");
	record_put_int(w, "log_lines_lost", sum);
	put_lost(w, workers, n);
	if (supervisor > 0)
		record_put_int(w, "supervisor", supervisor);
	record_put(w, "text", "the log could not be written");
	json_close_object(w);
	record_close(w, sink, arg);
}
