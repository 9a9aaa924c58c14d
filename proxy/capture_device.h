/*
 * capture_device - a network interface to read frames from, through libpcap: passive, and
 * promiscuous only where that is asked for.
 */
#ifndef POSTERN_CAPTURE_DEVICE_H
#define POSTERN_CAPTURE_DEVICE_H

#include <stdio.h>
#include <sys/time.h>

#include "net/frame.h"

#define CAPTURE_SNAPLEN	       262144 /* octets of a frame; more than any has, with offloads */
#define CAPTURE_TIMEOUT_MS     100    /* frames are handed over at the latest after it */
#define CAPTURE_BUFFER_MIB     16     /* in the kernel, by default */
#define CAPTURE_BUFFER_MIB_MAX 1024

struct capture_settings {
	const char *device; /* "any" is all of them */
	const char *filter; /* an expression of pcap-filter(7) that has to hold too; NULL */
	bool promiscuous;
	unsigned buffer; /* MiB; 0: the default */
};

/*
 * Writes the filter to out, with its NUL: the frames that any record could come of, and of those
 * the ones that "and" (NULL: all) holds for. False: it does not fit n.
 */
bool capture_filter(const char *and, char *out, size_t n);

struct capture_device;

/* Needs CAP_NET_RAW. NULL: it cannot be, and that was told, with the devices that there are. */
struct capture_device *capture_device_open(const struct capture_settings *, FILE *err);
void capture_device_close(struct capture_device *); /* NULL is fine */
enum frame_link capture_device_link(const struct capture_device *);
/* Readable when there are frames, or CAPTURE_TIMEOUT_MS after the first of them at the latest. */
int capture_device_fd(const struct capture_device *);

/* length: octets that the frame had on the wire; more than frame.n: it was cut. */
typedef void capture_frame(void *arg, struct span frame, size_t length, const struct timeval *);

/*
 * Hands over what is there, at most max frames, and waits for nothing. Returns how many; -1: the
 * device is lost, *why says how (good until the next call).
 */
int capture_device_read(
    struct capture_device *d, int max, capture_frame *to, void *arg, const char **why);

/* Since it was opened. */
struct capture_counts {
	uint64_t frames;      /* that the filter let by */
	uint64_t lost;	      /* of these: there was no room in the buffer (ps_drop) */
	uint64_t lost_device; /* by the device or its driver, of whatever there was (ps_ifdrop) */
};
/* The kernel counts in 32 bits: to be asked once in a while. */
void capture_device_counts(struct capture_device *, struct capture_counts *);

#endif
