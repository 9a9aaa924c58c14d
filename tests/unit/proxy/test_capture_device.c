/*
 * The filter of "postern watch": what it lets by on every link layer; and a device, lo of a network
 * of the test's own, with counters of the kernel that turn over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <poll.h>

#include "capture_device.h"
#include "own_network.h"

/* ---- the filter ---- */

#define TCP	6
#define UDP	17
#define FRAME	128
#define ANYPORT 40000

/* A frame that is written from the left. */
struct frame {
	uint8_t octets[FRAME];
	size_t n;
};

static void
put16(struct frame *f, unsigned value)
{
	f->octets[f->n++] = (uint8_t)(value >> 8);
	f->octets[f->n++] = (uint8_t)value;
}

static struct frame
ethernet(unsigned type)
{
	struct frame f = {.n = 12};

	put16(&f, type);
	return f;
}

/* IPv4, of a protocol, with that field of flags and offset; ports behind it. */
static void
put_ipv4(struct frame *f, uint8_t protocol, unsigned fragment, unsigned from, unsigned to)
{
	const uint8_t begin[] = {0x45, 0, 0, 60, 0, 1};
	const uint8_t rest[] = {64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};

	memcpy(f->octets + f->n, begin, sizeof(begin));
	f->n += sizeof(begin);
	put16(f, fragment);
	memcpy(f->octets + f->n, rest, sizeof(rest));
	f->n += sizeof(rest);
	put16(f, from);
	put16(f, to);
	f->n = FRAME;
}

static void
put_ipv6(struct frame *f, uint8_t next, unsigned from, unsigned to)
{
	f->octets[f->n] = 0x60;
	f->octets[f->n + 5] = 40;
	f->octets[f->n + 6] = next;
	f->n += 40;
	put16(f, from);
	put16(f, to);
	f->n = FRAME;
}

static bool
lets_by(int link, const char *and, const struct frame *f)
{
	const struct pcap_pkthdr h = {.caplen = FRAME, .len = FRAME};
	struct bpf_program program;
	pcap_t *p = pcap_open_dead(link, CAPTURE_SNAPLEN);
	char text[4096];
	bool by;

	assert_non_null(p);
	assert_true(capture_filter(and, text, sizeof(text)));
	if (pcap_compile(p, &program, text, 1, PCAP_NETMASK_UNKNOWN) != 0)
		fail_msg("link type %d: %s", link, pcap_geterr(p));
	by = pcap_offline_filter(&program, &h, f->octets) != 0;
	pcap_freecode(&program);
	pcap_close(p);
	return by;
}

static bool
ipv4_by(uint8_t protocol, unsigned fragment, unsigned from, unsigned to)
{
	struct frame f = ethernet(0x0800);

	put_ipv4(&f, protocol, fragment, from, to);
	return lets_by(DLT_EN10MB, NULL, &f);
}

static bool
ipv6_by(uint8_t next, unsigned from, unsigned to)
{
	struct frame f = ethernet(0x86dd);

	put_ipv6(&f, next, from, to);
	return lets_by(DLT_EN10MB, NULL, &f);
}

static void
test_filter_of_ip(void **state)
{
	(void)state;
	/* any port: data connections of FTP */
	assert_true(ipv4_by(TCP, 0, ANYPORT, ANYPORT + 1) && ipv6_by(TCP, ANYPORT, 25));
	assert_true(ipv4_by(UDP, 0, 53, ANYPORT) && ipv6_by(UDP, ANYPORT, 53));
	assert_false(ipv4_by(UDP, 0, 443, ANYPORT) || ipv6_by(UDP, 443, ANYPORT));
	assert_false(ipv4_by(1, 0, 0, 0) || ipv6_by(58, 0, 0));
	/* fragments have no ports: of TCP, and of DNS whose first one was wanted */
	assert_true(ipv4_by(TCP, 0x2000, ANYPORT, 25) && ipv4_by(TCP, 0x2010, 0, 0));
	assert_true(ipv4_by(UDP, 0x2000, 53, ANYPORT) && ipv4_by(UDP, 0x0010, 0, 0));
	assert_false(ipv4_by(UDP, 0x2000, 443, ANYPORT) || ipv4_by(1, 0x0010, 0, 0));
	/* headers and tunnels with who knows what behind them */
	for (size_t i = 0; i < 11; i++)
		assert_true(ipv6_by(
		    (const uint8_t[]){0, 4, 41, 43, 44, 47, 51, 60, 135, 139, 140}[i], 443, 443));
	for (size_t i = 0; i < 3; i++)
		assert_true(ipv4_by((const uint8_t[]){4, 41, 47}[i], 0, 443, 443));
}

static void
test_filter_of_ethernet(void **state)
{
	static const unsigned with_ip[] = {0x8100, 0x88a8, 0x9100, 0x8847, 0x8848, 0x8864};
	static const unsigned others[] = {0x0806, 0x88cc, 0x8863, 0x888e};
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sizeof(with_ip) / sizeof(with_ip[0]); i++) {
		f = ethernet(with_ip[i]);
		assert_true(lets_by(DLT_EN10MB, NULL, &f));
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		f = ethernet(others[i]);
		assert_false(lets_by(DLT_EN10MB, NULL, &f));
	}
}

/* Devices are of these kinds: "any", tunnels, PPP, lo. */
static void
test_filter_of_other_links(void **state)
{
	static const struct {
		int link;
		size_t type, ip; /* where the type stands, and IP begins */
		unsigned is_ip;	 /* what it then says; 0: nothing */
	} links[] = {
	    {DLT_RAW, 0, 0, 0},
	    {DLT_LINUX_SLL, 14, 16, 0x0800},
	    {DLT_LINUX_SLL2, 0, 20, 0x0800},
	    {DLT_PPP, 2, 4, 0x0021},
	    {DLT_LOOP, 2, 4, AF_INET},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct frame f = {.n = links[i].type};

		if (links[i].is_ip != 0)
			put16(&f, links[i].is_ip);
		f.n = links[i].ip;
		put_ipv4(&f, TCP, 0, ANYPORT, 25);
		assert_true(lets_by(links[i].link, NULL, &f));
		assert_true(lets_by(links[i].link, "port 25 or port 26", &f));
		assert_false(lets_by(links[i].link, "host 10.9.9.9", &f));
		f.octets[links[i].ip + 9] = 1;
		assert_false(lets_by(links[i].link, NULL, &f));
	}
}

static void
test_filter_of_ones_own(void **state)
{
	struct frame mail = ethernet(0x0800), web = ethernet(0x0800), tagged = ethernet(0x8100);
	char text[600];
	char *longer = calloc(1, 2000);

	(void)state;
	put_ipv4(&mail, TCP, 0, ANYPORT, 25);
	put_ipv4(&web, UDP, 0, ANYPORT, 443);
	put16(&tagged, 7);
	put16(&tagged, 0x0800);
	put_ipv4(&tagged, TCP, 0, ANYPORT, 25);
	assert_true(lets_by(DLT_EN10MB, "port 25 or port 443", &mail));
	/* it narrows, whatever stands in it, and what it says of tags does not shift ours */
	assert_false(lets_by(DLT_EN10MB, "port 25 or port 443", &web));
	assert_true(lets_by(DLT_EN10MB, "vlan 7 and port 25", &tagged));
	assert_false(lets_by(DLT_EN10MB, "vlan 8", &tagged));
	assert_non_null(longer);
	memset(longer, ' ', 1999);
	assert_false(capture_filter(longer, text, sizeof(text)));
	assert_false(capture_filter(NULL, text, 10));
	free(longer);
}

/* ---- a device ---- */

static struct pcap_stat said;
static bool scripted;

int __real_pcap_stats(pcap_t *, struct pcap_stat *);
int __wrap_pcap_stats(pcap_t *, struct pcap_stat *);

int
__wrap_pcap_stats(pcap_t *p, struct pcap_stat *out)
{
	if (!scripted)
		return __real_pcap_stats(p, out);
	*out = said;
	return 0;
}

static struct capture_device *
open_device(const struct capture_settings *s, char *told, size_t n)
{
	FILE *err = fmemopen(told, n, "w");
	struct capture_device *d;

	assert_non_null(err);
	told[0] = '\0';
	d = capture_device_open(s, err);
	fclose(err);
	return d;
}

static void
assert_refused(struct capture_settings s, const char *why)
{
	char told[1024];

	assert_null(open_device(&s, told, sizeof(told)));
	if (strstr(told, why) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", why, told);
	assert_non_null(strstr(told, s.device));
}

static void
test_devices_that_cannot_be(void **state)
{
	(void)state;
	assert_refused((struct capture_settings){.device = "nosuch"}, "there is no such device");
	assert_refused((struct capture_settings){.device = "nosuch"}, "there are: ");
	assert_refused(
	    (struct capture_settings){.device = "lo", .filter = "tcp) or (udp"}, "lo: --filter: ");
	assert_refused((struct capture_settings){.device = "lo", .filter = "port x"}, "--filter");
	assert_refused((struct capture_settings){.device = "../lo"}, "../lo");
}

static void
send_to_port(uint16_t port)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(sendto(fd, "abcd", 4, 0, (const struct sockaddr *)&to, sizeof(to)), 4);
	close(fd);
}

struct got {
	unsigned frames;
	size_t length;
};

static void
take(void *arg, struct span frame, size_t length, const struct timeval *when)
{
	struct got *g = arg;

	assert_int_equal(frame.n, length);
	assert_true(when->tv_sec > 1000000000);
	g->frames++;
	g->length = length;
}

static void
test_frames_of_lo(void **state)
{
	const struct capture_settings s = {.device = "lo", .buffer = 1};
	char told[1024];
	struct capture_device *d = open_device(&s, told, sizeof(told));
	struct capture_counts counts;
	struct got got = {0};
	const char *why;

	(void)state;
	if (d == NULL)
		fail_msg("%s", told);
	assert_int_equal(capture_device_link(d), FRAME_ETHERNET);
	assert_int_equal(capture_device_read(d, 10, take, &got, &why), 0);
	send_to_port(4321); /* not wanted */
	send_to_port(53);
	for (unsigned i = 0; i < 100 && got.frames == 0; i++) {
		struct pollfd fd = {capture_device_fd(d), POLLIN, 0};

		assert_true(poll(&fd, 1, 100) >= 0);
		assert_true(capture_device_read(d, 10, take, &got, &why) >= 0);
	}
	assert_int_equal(got.frames, 1);
	assert_int_equal(got.length, 14 + 20 + 8 + 4);
	capture_device_counts(d, &counts);
	assert_int_equal(counts.frames, 2); /* on lo it goes out and comes in; one is handed over */
	assert_int_equal(counts.lost, 0);
	capture_device_close(d);
}

/* sums of 32 bits that turn over are sums of 64. */
static void
test_X_008_counts(void **state)
{
	const struct capture_settings s = {.device = "lo", .buffer = 1};
	char told[1024];
	struct capture_device *d = open_device(&s, told, sizeof(told));
	struct capture_counts c;

	(void)state;
	assert_non_null(d);
	scripted = true;
	said = (struct pcap_stat){.ps_recv = 4000000000u, .ps_drop = 7};
	capture_device_counts(d, &c);
	assert_true(c.frames == 4000000000u && c.lost == 7 && c.lost_device == 0);
	said = (struct pcap_stat){.ps_recv = 5, .ps_drop = 6};
	capture_device_counts(d, &c);
	assert_true(c.frames == (1ull << 32) + 5 && c.lost == (1ull << 32) + 6);
	capture_device_counts(d, &c);
	assert_true(c.frames == (1ull << 32) + 5);
	scripted = false;
	capture_device_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_filter_of_ip),
	    cmocka_unit_test(test_filter_of_ethernet),
	    cmocka_unit_test(test_filter_of_other_links),
	    cmocka_unit_test(test_filter_of_ones_own),
	    cmocka_unit_test(test_devices_that_cannot_be),
	    cmocka_unit_test(test_frames_of_lo),
	    cmocka_unit_test(test_X_008_counts),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
