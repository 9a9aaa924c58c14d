#include "capture_device.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILTER_MAX    8192
#define WHY_MAX	      512
#define DEVICE_FAULTS 2 /* files of counters that make up ps_ifdrop */

struct capture_device {
	pcap_t *pcap;
	enum frame_link link;
	int faults[DEVICE_FAULTS]; /* descriptors; -1: there is no such counter */
	uint64_t faults_before;	   /* their sum when it was opened */
	struct pcap_stat last;
	struct capture_counts counts;
	char why[WHY_MAX];
};

/* ---- what is wanted ---- */

/*
 * TCP on whatever port: FTP's data connections have any, and so has what its first octets tell.
 * DNS answers. And what may have such in it and does not show it where a filter looks: fragments
 * behind the first, tunnels, packets of IPv6 with headers in between, frames with tags (outer ones
 * are gone before the kernel filters: what is tagged here is tagged twice), MPLS, PPPoE.
 */
static const char wanted[] =
    "tcp or udp port 53"
    " or (ip proto 17 and (ip[6:2] & 0x1fff) != 0)"
    " or ip proto 4 or ip proto 41 or ip proto 47"
    " or (ip6 and (ip6[6] = 0 or ip6[6] = 4 or ip6[6] = 41 or ip6[6] = 43 or ip6[6] = 44"
    " or ip6[6] = 47 or ip6[6] = 51 or ip6[6] = 60 or ip6[6] = 135 or ip6[6] = 139"
    " or ip6[6] = 140))"
    " or ether proto 0x8100 or ether proto 0x88a8 or ether proto 0x9100"
    " or ether proto 0x8847 or ether proto 0x8848 or ether proto 0x8864";

/* Ours comes first: "vlan" and "mpls" in the other would shift what ours looks at. */
bool
capture_filter(const char *and, char *out, size_t n)
{
	int length = and == NULL ? snprintf(out, n, "%s", wanted)
				 : snprintf(out, n, "(%s) and (%s)", wanted, and);

	return length >= 0 && (size_t)length < n;
}

/* ---- opening ---- */

static bool __attribute__((format(printf, 3, 4)))
complain(FILE *err, const struct capture_settings *s, const char *format, ...)
{
	va_list args;

	fprintf(err, "postern watch: %s: ", s->device);
	va_start(args, format);
	vfprintf(err, format, args);
	va_end(args);
	fputc('\n', err);
	return false;
}

/* Those that are up: the others have nothing to show. */
static void
tell_devices(FILE *err)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_if_t *all = NULL;
	const char *between = "postern watch: there are: ";

	if (pcap_findalldevs(&all, why) != 0)
		return;
	for (const pcap_if_t *one = all; one != NULL; one = one->next)
		if ((one->flags & PCAP_IF_UP) != 0) {
			fprintf(err, "%s%s", between, one->name);
			between = ", ";
		}
	if (between[0] == ',')
		fputc('\n', err);
	pcap_freealldevs(all);
}

static bool
set_up(pcap_t *p, const struct capture_settings *s)
{
	const unsigned mib = s->buffer == 0 ? CAPTURE_BUFFER_MIB : s->buffer;

	return pcap_set_snaplen(p, CAPTURE_SNAPLEN) == 0 &&
	       pcap_set_promisc(p, s->promiscuous) == 0 &&
	       pcap_set_timeout(p, CAPTURE_TIMEOUT_MS) == 0 &&
	       pcap_set_buffer_size(p, (int)(mib << 20)) == 0;
}

static bool
activate(pcap_t *p, const struct capture_settings *s, FILE *err)
{
	const int status = pcap_activate(p);

	if (status == 0)
		return true;
	if (status == PCAP_ERROR_NO_SUCH_DEVICE) {
		complain(err, s, "there is no such device");
		tell_devices(err);
		return false;
	}
	if (status == PCAP_ERROR_PERM_DENIED)
		return complain(err, s, "may not be watched: that takes root, or CAP_NET_RAW");
	if (status == PCAP_ERROR_IFACE_NOT_UP)
		return complain(err, s, "is not up");
	complain(err, s, "%s%s%s", pcap_statustostr(status), pcap_geterr(p)[0] != '\0' ? ": " : "",
	    pcap_geterr(p));
	return status > 0; /* a warning */
}

/* The own expression is tried alone first: "tcp) or (udp" must not be one. */
static bool
filter(pcap_t *p, const struct capture_settings *s, FILE *err)
{
	char text[FILTER_MAX];
	struct bpf_program program;
	bool ok;

	if (s->filter != NULL) {
		if (pcap_compile(p, &program, s->filter, 1, PCAP_NETMASK_UNKNOWN) != 0)
			return complain(err, s, "--filter: %s", pcap_geterr(p));
		pcap_freecode(&program);
	}
	if (!capture_filter(s->filter, text, sizeof(text)))
		return complain(err, s, "--filter: is longer than a filter can be");
	if (pcap_compile(p, &program, text, 1, PCAP_NETMASK_UNKNOWN) != 0)
		return complain(
		    err, s, "%s%s", s->filter != NULL ? "--filter: " : "", pcap_geterr(p));
	ok = pcap_setfilter(p, &program) == 0;
	pcap_freecode(&program);
	return ok || complain(err, s, "takes no filter: %s", pcap_geterr(p));
}

/* ---- what the device itself loses ---- */

/*
 * libpcap opens these files each time that it is asked, and only for a promiscuous device; whoever
 * has locked itself up cannot open any.
 */
static void
open_faults(struct capture_device *d, const char *device)
{
	static const char *const names[DEVICE_FAULTS] = {"rx_missed_errors", "rx_fifo_errors"};
	char path[256];

	for (size_t i = 0; i < DEVICE_FAULTS; i++) {
		int n = snprintf(
		    path, sizeof(path), "/sys/class/net/%s/statistics/%s", device, names[i]);

		d->faults[i] = n > 0 && (size_t)n < sizeof(path) && strchr(device, '/') == NULL
				   ? open(path, O_RDONLY | O_CLOEXEC)
				   : -1;
	}
}

static uint64_t
count_faults(const struct capture_device *d)
{
	uint64_t sum = 0, one;
	char text[32];
	ssize_t n;

	for (size_t i = 0; i < DEVICE_FAULTS; i++) {
		n = d->faults[i] < 0 ? -1 : pread(d->faults[i], text, sizeof(text), 0);
		if (n > 0 && span_u64(span_trim(span_of(text, (size_t)n)), UINT64_MAX, &one))
			sum += one;
	}
	return sum;
}

static bool
open_pcap(struct capture_device *d, const struct capture_settings *s, FILE *err)
{
	char why[PCAP_ERRBUF_SIZE];

	d->pcap = pcap_create(s->device, why);
	if (d->pcap == NULL)
		return complain(err, s, "%s", why);
	if (!set_up(d->pcap, s))
		return complain(err, s, "%s", pcap_geterr(d->pcap));
	if (!activate(d->pcap, s, err) || !filter(d->pcap, s, err))
		return false;
	if (!frame_link_of(pcap_datalink(d->pcap), &d->link))
		return complain(err, s, "its link layer is not understood (%s)",
		    pcap_datalink_val_to_description_or_dlt(pcap_datalink(d->pcap)));
	return pcap_setnonblock(d->pcap, 1, why) == 0 || complain(err, s, "%s", why);
}

struct capture_device *
capture_device_open(const struct capture_settings *s, FILE *err)
{
	struct capture_device *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		complain(err, s, "no memory");
		return NULL;
	}
	open_faults(d, s->device);
	if (!open_pcap(d, s, err)) {
		capture_device_close(d);
		return NULL;
	}
	d->faults_before = count_faults(d);
	return d;
}

void
capture_device_close(struct capture_device *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < DEVICE_FAULTS; i++)
		if (d->faults[i] >= 0)
			close(d->faults[i]);
	if (d->pcap != NULL)
		pcap_close(d->pcap);
	free(d);
}

enum frame_link
capture_device_link(const struct capture_device *d)
{
	return d->link;
}

int
capture_device_fd(const struct capture_device *d)
{
	return pcap_get_selectable_fd(d->pcap);
}

/* ---- frames ---- */

struct hand_over {
	capture_frame *to;
	void *arg;
};

static void
hand_over(u_char *arg, const struct pcap_pkthdr *h, const u_char *octets)
{
	const struct hand_over *o = (const struct hand_over *)(void *)arg;

	o->to(o->arg, span_of(octets, h->caplen), h->len, &h->ts);
}

int
capture_device_read(
    struct capture_device *d, int max, capture_frame *to, void *arg, const char **why)
{
	struct hand_over o = {to, arg};
	int n = pcap_dispatch(d->pcap, max, hand_over, (u_char *)&o);

	if (n >= 0)
		return n;
	snprintf(d->why, sizeof(d->why), "%s", pcap_geterr(d->pcap));
	*why = d->why;
	return -1;
}

void
capture_device_counts(struct capture_device *d, struct capture_counts *out)
{
	struct pcap_stat now;

	/* sums of 32 bits that turn over */
	if (pcap_stats(d->pcap, &now) == 0) {
		d->counts.frames += (u_int)(now.ps_recv - d->last.ps_recv);
		d->counts.lost += (u_int)(now.ps_drop - d->last.ps_drop);
		d->last = now;
	}
	d->counts.lost_device = count_faults(d) - d->faults_before;
	*out = d->counts;
}
