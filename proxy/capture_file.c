#include "capture_file.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RECORD_HEADER 16 /* of a frame in a pcap file; near enough for pcapng */

struct capture_file {
	pcap_t *pcap; /* owns the stream */
	char *buffer;
	enum frame_link link;
	uint64_t number, size, position;
};

/* libpcap's messages end in a full stop sometimes, and never in a line end. */
static void
tell(char why[CAPTURE_FILE_WHY], const char *what, const char *detail)
{
	snprintf(why, CAPTURE_FILE_WHY, "%s%s%s", what, detail[0] != '\0' ? ": " : "", detail);
}

static FILE *
open_stream(const char *path, char why[CAPTURE_FILE_WHY])
{
	FILE *stream = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");

	if (stream == NULL)
		tell(why, "cannot be opened", strerror(errno));
	return stream;
}

static uint64_t
size_of(FILE *stream)
{
	struct stat st;

	return fstat(fileno(stream), &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

static bool
understand(struct capture_file *f, char why[CAPTURE_FILE_WHY])
{
	const int type = pcap_datalink(f->pcap);
	const char *name = pcap_datalink_val_to_name(type);
	char text[64];

	if (frame_link_of(type, &f->link))
		return true;
	snprintf(text, sizeof(text), "%d (%s)", type, name == NULL ? "unknown" : name);
	tell(why, "its link layer is not understood", text);
	return false;
}

struct capture_file *
capture_file_open(const char *path, size_t buffer, char why[CAPTURE_FILE_WHY])
{
	char error[PCAP_ERRBUF_SIZE] = "";
	struct capture_file *f = calloc(1, sizeof(*f));
	FILE *stream = f == NULL ? NULL : open_stream(path, why);

	if (f == NULL)
		tell(why, "out of memory", "");
	if (stream == NULL) {
		free(f);
		return NULL;
	}
	f->size = size_of(stream);
	f->buffer = malloc(buffer);
	if (f->buffer != NULL)
		setvbuf(stream, f->buffer, _IOFBF, buffer);
	f->pcap = pcap_fopen_offline(stream, error);
	if (f->pcap == NULL) {
		tell(why, "is no capture", error);
		fclose(stream);
	}
	if (f->pcap != NULL && understand(f, why))
		return f;
	capture_file_close(f);
	return NULL;
}

void
capture_file_close(struct capture_file *f)
{
	if (f == NULL)
		return;
	if (f->pcap != NULL)
		pcap_close(f->pcap);
	free(f->buffer);
	free(f);
}

enum captured_verdict
capture_file_next(struct capture_file *f, struct captured *out, char why[CAPTURE_FILE_WHY])
{
	struct pcap_pkthdr *header;
	const u_char *octets;
	int got = pcap_next_ex(f->pcap, &header, &octets);

	if (got == PCAP_ERROR_BREAK) /* the end */
		return CAPTURED_END;
	f->number++;
	if (got != 1) {
		tell(why, "cannot be read any further", pcap_geterr(f->pcap));
		return CAPTURED_DAMAGE;
	}
	f->position += RECORD_HEADER + header->caplen;
	*out = (struct captured){.when = header->ts, .octets = span_of(octets, header->caplen)};
	return CAPTURED_FRAME;
}

enum frame_link
capture_file_link(const struct capture_file *f)
{
	return f->link;
}

uint64_t
capture_file_number(const struct capture_file *f)
{
	return f->number;
}

uint64_t
capture_file_size(const struct capture_file *f)
{
	return f->size;
}

uint64_t
capture_file_position(const struct capture_file *f)
{
	return f->position < f->size ? f->position : f->size;
}
