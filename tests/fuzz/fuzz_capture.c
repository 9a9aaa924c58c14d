/*
 * fuzz_capture - a whole capture, as "postern read" takes it: any octets as pcap or pcapng through
 * libpcap, their frames through the observer, with a configuration that judges.
 *
 * What is claimed, whatever the capture has:
 *  - every record is one line of JSON of bounded length, with what every record has;
 *  - records are in the order of time;
 *  - every session that began has its flow record when the capture is over; those of frames that
 *    cannot be read are bounded;
 *  - what connections may have is not more than they were given.
 * Leaks, and what is read out of bounds, are the sanitizers' to see.
 */
#include <jansson.h>
#include <pcap/pcap.h>

#include "fuzz.h"
#include "mime/analyzers_init.h"
#include "proxy/observer.h"

#define MEMORY (8u << 20)

static const char judging[] = "inside = {\"192.0.2.0/24\", \"2001:db8:25::/48\"}\n"
			      "smtp {\n"
			      "	relay { local_domains = {\"campus.example\"} }\n"
			      "	tls_ports = {465}\n"
			      "}\n"
			      "content { check = enforce part_size = 5000 }\n"
			      "ftp { read_only = yes }\n"
			      "pop3 { read_only = yes }\n"
			      "imap { read_only = yes }\n";

struct heard {
	char time[64]; /* of the record before this one */
	uint64_t flows, damage, records;
};

static void
count_anomaly(struct heard *h, const json_t *record)
{
	const char *type =
	    json_string_value(json_object_get(json_object_get(record, "anomaly"), "type"));

	fuzz_claim(type != NULL);
	if (strcmp(type, "decode") == 0)
		fuzz_claim(++h->damage <= OBSERVER_ANOMALIES + 1);
}

static void
take_record(void *arg, const char *line, size_t n)
{
	struct heard *h = arg;
	json_error_t error;
	json_t *record = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
	const char *type, *time;

	fuzz_claim(record != NULL);
	fuzz_claim(n <= RECORD_LINE_MAX && memchr(line, '\n', n) == line + n - 1);
	type = json_string_value(json_object_get(record, "event_type"));
	time = json_string_value(json_object_get(record, "timestamp"));
	fuzz_claim(type != NULL && time != NULL && strlen(time) < sizeof(h->time));
	fuzz_claim(strcmp(h->time, time) <= 0);
	snprintf(h->time, sizeof(h->time), "%s", time);
	h->records++;
	if (strcmp(type, "flow") == 0)
		h->flows++;
	if (strcmp(type, "anomaly") == 0)
		count_anomaly(h, record);
	json_decref(record);
}

/* Once for all inputs: a configuration does not change. */
static const struct config *
configuration(void)
{
	static struct config *made;
	const char *why;

	if (made != NULL)
		return made;
	made = config_parse("judging", judging, sizeof(judging) - 1, stderr);
	if (made == NULL || !record_init() || !analyzers_init(false, &why))
		abort();
	return made;
}

static void
read_frames(struct observer *o, pcap_t *p)
{
	struct observed_frame frame = {.source = "input"};
	struct pcap_pkthdr *header;
	const u_char *octets;
	int got;

	if (!frame_link_of(pcap_datalink(p), &frame.link))
		return;
	while ((got = pcap_next_ex(p, &header, &octets)) == 1) {
		frame.number++;
		frame.when = header->ts;
		frame.octets = span_of(octets, header->caplen);
		observer_frame(o, &frame);
	}
	if (got != PCAP_ERROR_BREAK)
		observer_damage(o, frame.source, frame.number + 1, "capture_damaged", NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct heard heard = {.time = ""};
	const struct observer_env env = {
	    .config = configuration(), .sink = take_record, .sink_arg = &heard, .memory = MEMORY};
	char why[PCAP_ERRBUF_SIZE];
	struct observer_stats stats;
	struct observer *o;
	pcap_t *pcap;
	FILE *stream;

	if (n == 0) /* fmemopen() has no file of nothing */
		return 0;
	stream = fmemopen((void *)(uintptr_t)p, n, "rb");
	if (stream == NULL)
		abort();
	pcap = pcap_fopen_offline(stream, why);
	if (pcap == NULL) {
		fclose(stream);
		return 0;
	}
	o = observer_new(&env);
	if (o == NULL)
		abort();
	read_frames(o, pcap);
	observer_end(o);
	observer_stats(o, &stats);
	fuzz_claim(stats.records == heard.records && stats.sessions == heard.flows);
	fuzz_claim(stats.memory_peak <= MEMORY);
	observer_free(o);
	pcap_close(pcap);
	return 0;
}
