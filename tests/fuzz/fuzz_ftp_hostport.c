/*
 * fuzz_ftp_hostport - addresses of data connections: PORT, EPRT, EPSV, 227, 229.
 *
 * Every input is read by all five. Claims: what is read is written in a form that is read as the
 * same; what was read of PORT, 227 and 229 is, octet for octet, what a plain reader finds there,
 * and stands in the input as it is written; a port is never 0; what cannot be read changes
 * nothing. The first 19 octets are also an address that is written, and must be read again.
 */
#include "ftp/hostport.h"
#include "fuzz.h"

#define POISON 0xbeef /* a port that stands where nothing may be written */

static bool
same(const struct ftp_hostport *a, const struct ftp_hostport *b)
{
	return ip_eq(&a->ip, &b->ip) && a->port == b->port;
}

static bool
untouched(const struct ftp_hostport *h)
{
	return h->port == POISON && h->ip.family == IP_NONE;
}

/* Does the text stand in the input? */
static bool
stands_in(const char *text, struct span in)
{
	return memmem(in.p, in.n, text, strlen(text)) != NULL;
}

/* Six numbers as strtoul() reads them, five commas between. */
static void
claim_six(const char *text, const struct ftp_hostport *h)
{
	unsigned long n[6];
	char *end;

	for (size_t i = 0; i < 6; i++, text = end + 1) {
		n[i] = strtoul(text, &end, 10);
		fuzz_claim(end != text && *end == (i < 5 ? ',' : '\0'));
	}
	fuzz_claim(h->ip.family == IP_V4 && h->port == n[4] * 256 + n[5] && h->port != 0);
	for (size_t i = 0; i < 4; i++)
		fuzz_claim(h->ip.octets[i] == n[i]);
}

static void
try_port(struct span in)
{
	struct ftp_hostport h = {.port = POISON}, again = {0};
	enum ftp_hostport_fault fault = ftp_port_parse(in, &h);
	char text[FTP_HOSTPORT_MAX];

	fuzz_claim(fault != FTP_HOSTPORT_FAMILY);
	if (fault != FTP_HOSTPORT_OK) {
		fuzz_claim(untouched(&h));
		return;
	}
	ftp_port_text(&h, text);
	fuzz_claim(span_eq(span_trim(in), span_str(text)));
	claim_six(text, &h);
	fuzz_claim(ftp_port_parse(span_str(text), &again) == FTP_HOSTPORT_OK && same(&h, &again));
}

static void
try_eprt(struct span in)
{
	struct ftp_hostport h = {.port = POISON}, again = {0};
	char text[FTP_HOSTPORT_MAX];

	if (ftp_eprt_parse(in, &h) != FTP_HOSTPORT_OK) {
		fuzz_claim(untouched(&h));
		return;
	}
	fuzz_claim(h.port != 0 && h.ip.family != IP_NONE);
	ftp_eprt_text(&h, text);
	fuzz_claim(ftp_eprt_parse(span_str(text), &again) == FTP_HOSTPORT_OK && same(&h, &again));
	/* an IPv4 address has one form only, so the whole has, but for the delimiter */
	if (h.ip.family == IP_V4)
		fuzz_claim(span_trim(in).n == strlen(text));
}

static void
try_epsv(struct span in)
{
	enum ftp_epsv epsv = FTP_EPSV_ANY;
	struct span args = span_trim(in);

	if (ftp_epsv_parse(in, &epsv) != FTP_HOSTPORT_OK) {
		fuzz_claim(epsv == FTP_EPSV_ANY && args.n > 0);
		return;
	}
	fuzz_claim((epsv == FTP_EPSV_ANY) == (args.n == 0));
	fuzz_claim((epsv == FTP_EPSV_ALL) == span_ieq(args, span_str("ALL")));
	fuzz_claim((epsv == FTP_EPSV_V6) == span_eq(args, span_str("2")));
}

static void
try_227(struct span in)
{
	struct ftp_hostport h = {.port = POISON}, again = {0};
	char brackets[FTP_HOSTPORT_MAX], text[FTP_HOSTPORT_MAX];

	if (!ftp_227_parse(in, &h)) {
		fuzz_claim(untouched(&h));
		return;
	}
	ftp_227_text(&h, brackets);
	ftp_port_text(&h, text);
	fuzz_claim(stands_in(span_find(in, '(') < 0 ? text : brackets, in));
	claim_six(text, &h);
	fuzz_claim(ftp_227_parse(span_str(brackets), &again) && same(&h, &again));
	fuzz_claim(ftp_227_parse(span_str(text), &again) && same(&h, &again));
}

static void
try_229(struct span in)
{
	struct ftp_hostport h = {.port = POISON}, again = {0};
	char text[FTP_HOSTPORT_MAX], number[16];

	if (!ftp_229_parse(in, &h)) {
		fuzz_claim(untouched(&h));
		return;
	}
	fuzz_claim(h.ip.family == IP_NONE && h.port != 0);
	ftp_229_text(&h, text);
	fuzz_claim(ftp_229_parse(span_str(text), &again) && same(&h, &again));
	snprintf(number, sizeof(number), "%u", h.port);
	fuzz_claim(stands_in(number, in));
}

static void
try_written(struct span in)
{
	struct ftp_hostport h, again = {0};
	uint8_t octets[19] = {0};
	char text[FTP_HOSTPORT_MAX];

	memcpy(octets, in.p, in.n < sizeof(octets) ? in.n : sizeof(octets));
	h.ip = octets[0] % 2 == 0 ? ip_v4(octets + 3) : ip_v6(octets + 3);
	h.port = (uint16_t)(octets[1] << 8 | octets[2]);
	if (h.port == 0)
		return;
	ftp_eprt_text(&h, text);
	fuzz_claim(strlen(text) < FTP_HOSTPORT_MAX);
	fuzz_claim(ftp_eprt_parse(span_str(text), &again) == FTP_HOSTPORT_OK && same(&h, &again));
	if (h.ip.family != IP_V4)
		return;
	fuzz_claim(ftp_port_parse(span_str(ftp_port_text(&h, text)), &again) == FTP_HOSTPORT_OK);
	fuzz_claim(same(&h, &again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	/* storage of just its size: what reads beyond it is seen */
	uint8_t *copy = malloc(n > 0 ? n : 1);
	struct span in = span_of(copy, n);

	if (copy == NULL)
		abort();
	if (n > 0)
		memcpy(copy, p, n);
	try_port(in);
	try_eprt(in);
	try_epsv(in);
	try_227(in);
	try_229(in);
	if (n > 0)
		try_written(in);
	free(copy);
	return 0;
}
