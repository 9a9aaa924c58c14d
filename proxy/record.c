#include "record.h"

#include "record_json.h"

void
record_anomaly(const struct record_session *s, const char *event, enum an_dir dir, uint64_t off,
    const char *detail, record_sink *sink, void *arg)
{
	json_t *record = record_open(s, "anomaly", RECORD_NO_TX);
	json_t *anomaly;

	record_put(record, "direction", dir == AN_C2S ? "to_server" : "to_client");
	anomaly = record_put_object(record, "anomaly");
	record_put(anomaly, "type", "applayer");
	record_put(anomaly, "event", event);
	record_put(anomaly, "layer", "proto_parser");
	record_put_int(anomaly, "offset", off);
	if (detail != NULL)
		record_put_text(anomaly, "detail", span_str(detail));
	record_upstream(record, s);
	record_close(record, sink, arg);
}

void
record_flow(
    const struct record_session *s, const struct record_flow *f, record_sink *sink, void *arg)
{
	json_t *record = record_open(s, "flow", RECORD_NO_TX);
	json_t *flow = record_put_object(record, "flow"), *upstream;
	struct timeval end;

	gettimeofday(&end, NULL);
	record_put_int(flow, "bytes_toserver", f->bytes_toserver);
	record_put_int(flow, "bytes_toclient", f->bytes_toclient);
	record_put_time(flow, "start", &s->started);
	record_put_time(flow, "end", &end);
	record_put_int(flow, "age", f->duration_ms / 1000);
	record_put_int(flow, "duration_ms", f->duration_ms);
	record_put(flow, "state", f->state);
	record_put(flow, "reason", f->reason);
	record_put_int(flow, "tx_cnt", f->tx_count);
	record_put_bool(flow, "opaque", f->opaque);
	upstream = record_upstream(record, s);
	if (upstream != NULL) {
		record_put_int(upstream, "bytes_toserver", f->up_bytes_toserver);
		record_put_int(upstream, "bytes_toclient", f->up_bytes_toclient);
	}
	record_close(record, sink, arg);
}

void
record_stats(const char *name, uint64_t value, const char *text, record_sink *sink, void *arg)
{
	json_t *record = record_open(NULL, "stats", RECORD_NO_TX);
	json_t *stats = record_put_object(record, "stats");

	record_put_int(stats, name, value);
	if (text != NULL)
		record_put_text(stats, "text", span_str(text));
	record_close(record, sink, arg);
}

static json_t *
lost_of_worker(const struct record_lost *worker)
{
	json_t *object = json_object();

	record_put_int(object, "slot", worker->slot);
	record_put_int(object, "lost", worker->lines);
	return object;
}

void
record_log_lost(
    const struct record_lost workers[], size_t n, uint64_t supervisor, record_sink *sink, void *arg)
{
	json_t *record = record_open(NULL, "stats", RECORD_NO_TX);
	json_t *stats = record_put_object(record, "stats"), *list = json_array();
	uint64_t sum = supervisor;

	for (size_t i = 0; i < n; i++) {
		sum += workers[i].lines;
		json_array_append_new(list, lost_of_worker(&workers[i]));
	}
	record_put_int(stats, "log_lines_lost", sum);
	json_object_set_new_nocheck(stats, "workers", list);
	if (supervisor > 0)
		record_put_int(stats, "supervisor", supervisor);
	record_put(stats, "text", "the log could not be written");
	record_close(record, sink, arg);
}
