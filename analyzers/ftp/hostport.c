#include "ftp/hostport.h"

/* Writes into text[] from *n on; what does not fit is left out, and nothing here is that long. */
static void
add(char *text, size_t *n, const char *s)
{
	for (; *s != '\0' && *n + 1 < FTP_HOSTPORT_MAX; s++)
		text[(*n)++] = *s;
	text[*n] = '\0';
}

static void
add_number(char *text, size_t *n, unsigned value)
{
	char digits[6];
	size_t i = sizeof(digits) - 1;

	digits[i] = '\0';
	do {
		digits[--i] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0 && i > 0);
	add(text, n, digits + i);
}

/*
 * Digits off the front of *rest, without a leading zero: some servers read 010 as eight. False:
 * there is no such number.
 */
static bool
take_number(struct span *rest, size_t digits_max, unsigned max, unsigned *out)
{
	unsigned value = 0;
	size_t n = 0;

	while (n < rest->n && n < digits_max && octet_is_digit(rest->p[n]))
		value = value * 10 + (unsigned)(rest->p[n++] - '0');
	if (n == 0 || value > max || (n > 1 && rest->p[0] == '0'))
		return false;
	*rest = span_from(*rest, n);
	*out = value;
	return true;
}

/* "h1,h2,h3,h4,p1,p2" off the front of *rest. */
static bool
take_six(struct span *rest, struct ftp_hostport *out)
{
	uint8_t octets[6];

	for (size_t i = 0; i < sizeof(octets); i++) {
		unsigned value;

		if (i > 0) {
			if (rest->n == 0 || rest->p[0] != ',')
				return false;
			*rest = span_from(*rest, 1);
		}
		if (!take_number(rest, 3, 255, &value))
			return false;
		octets[i] = (uint8_t)value;
	}
	out->ip = ip_v4(octets);
	out->port = (uint16_t)(octets[4] << 8 | octets[5]);
	return out->port != 0;
}

enum ftp_hostport_fault
ftp_port_parse(struct span args, struct ftp_hostport *out)
{
	struct span rest = span_trim(args);
	struct ftp_hostport found = {0};

	if (!take_six(&rest, &found) || rest.n > 0)
		return FTP_HOSTPORT_SYNTAX;
	*out = found;
	return FTP_HOSTPORT_OK;
}

/* 33 to 126 (RFC 2428 s2), but for what may stand in the fields themselves. */
static bool
is_delimiter(uint8_t c)
{
	return c >= 33 && c <= 126 && !octet_is_alnum(c) && c != '.' && c != ':';
}

/* The octets up to the next delimiter, which goes too. False: there is none. */
static bool
take_field(struct span *rest, uint8_t delimiter, struct span *field)
{
	ptrdiff_t end = span_find(*rest, delimiter);

	if (end < 0)
		return false;
	*field = span_first(*rest, (size_t)end);
	*rest = span_from(*rest, (size_t)end + 1);
	return true;
}

static bool
is_port(struct span field, uint16_t *out)
{
	unsigned value;

	if (!take_number(&field, 5, UINT16_MAX, &value) || field.n > 0 || value == 0)
		return false;
	*out = (uint16_t)value;
	return true;
}

/* A number of RFC 2428 s2: the families of ours. False: it is no number at all. */
static bool
is_family(struct span field, enum ip_family *out)
{
	uint64_t number;

	if (!span_u64(field, UINT16_MAX, &number))
		return false;
	*out = field.n > 1 ? IP_NONE : number == 1 ? IP_V4 : number == 2 ? IP_V6 : IP_NONE;
	return true;
}

enum ftp_hostport_fault
ftp_eprt_parse(struct span args, struct ftp_hostport *out)
{
	struct span rest = span_trim(args), family_field, ip_field, port_field;
	struct ftp_hostport found = {0};
	enum ip_family family;
	uint8_t delimiter;

	if (rest.n == 0 || !is_delimiter(rest.p[0]))
		return FTP_HOSTPORT_SYNTAX;
	delimiter = rest.p[0];
	rest = span_from(rest, 1);
	if (!take_field(&rest, delimiter, &family_field) ||
	    !take_field(&rest, delimiter, &ip_field) ||
	    !take_field(&rest, delimiter, &port_field) || rest.n > 0 ||
	    !is_family(family_field, &family))
		return FTP_HOSTPORT_SYNTAX;
	if (family == IP_NONE)
		return FTP_HOSTPORT_FAMILY;
	/* IPv4 in IPv6's clothes (::ffff:192.0.2.1) is folded by ip_parse(): it is of no family */
	if (!ip_parse(ip_field, &found.ip) || found.ip.family != family ||
	    (family == IP_V4 && span_find(ip_field, ':') >= 0) || !is_port(port_field, &found.port))
		return FTP_HOSTPORT_SYNTAX;
	*out = found;
	return FTP_HOSTPORT_OK;
}

enum ftp_hostport_fault
ftp_epsv_parse(struct span args, enum ftp_epsv *out)
{
	enum ip_family family;

	args = span_trim(args);
	if (args.n == 0) {
		*out = FTP_EPSV_ANY;
	} else if (span_ieq(args, span_str("ALL"))) {
		*out = FTP_EPSV_ALL;
	} else {
		if (!is_family(args, &family))
			return FTP_HOSTPORT_SYNTAX;
		if (family == IP_NONE)
			return FTP_HOSTPORT_FAMILY;
		*out = family == IP_V4 ? FTP_EPSV_V4 : FTP_EPSV_V6;
	}
	return FTP_HOSTPORT_OK;
}

/* Without brackets: from the first digit on; the numbers end where no more of them could follow. */
static bool
bare_227(struct span text, struct ftp_hostport *out)
{
	struct ftp_hostport found = {0};
	struct span rest = text;

	while (rest.n > 0 && !octet_is_digit(rest.p[0]))
		rest = span_from(rest, 1);
	if (!take_six(&rest, &found) ||
	    (rest.n > 0 && (octet_is_digit(rest.p[0]) || rest.p[0] == ',')))
		return false;
	*out = found;
	return true;
}

bool
ftp_227_parse(struct span text, struct ftp_hostport *out)
{
	struct span rest = text;
	ptrdiff_t bracket;

	if (span_find(text, '(') < 0)
		return bare_227(text, out);
	while ((bracket = span_find(rest, '(')) >= 0) {
		struct ftp_hostport found = {0};
		struct span inside = span_from(rest, (size_t)bracket + 1);

		rest = inside;
		if (take_six(&inside, &found) && inside.n > 0 && inside.p[0] == ')') {
			*out = found;
			return true;
		}
	}
	return false;
}

/* "|||port|)": what follows the bracket. */
static bool
take_229(struct span inside, struct ftp_hostport *out)
{
	unsigned port;

	if (inside.n < 3 || !is_delimiter(inside.p[0]) || inside.p[1] != inside.p[0] ||
	    inside.p[2] != inside.p[0])
		return false;
	uint8_t delimiter = inside.p[0];

	inside = span_from(inside, 3);
	if (!take_number(&inside, 5, UINT16_MAX, &port) || port == 0 || inside.n < 2 ||
	    inside.p[0] != delimiter || inside.p[1] != ')')
		return false;
	*out = (struct ftp_hostport){.port = (uint16_t)port};
	return true;
}

bool
ftp_229_parse(struct span text, struct ftp_hostport *out)
{
	ptrdiff_t bracket;

	while ((bracket = span_find(text, '(')) >= 0) {
		text = span_from(text, (size_t)bracket + 1);
		if (take_229(text, out))
			return true;
	}
	return false;
}

const char *
ftp_port_text(const struct ftp_hostport *h, char text[FTP_HOSTPORT_MAX])
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < 4; i++) {
		add_number(text, &n, h->ip.octets[i]);
		add(text, &n, ",");
	}
	add_number(text, &n, h->port >> 8);
	add(text, &n, ",");
	add_number(text, &n, h->port & 0xff);
	return text;
}

const char *
ftp_eprt_text(const struct ftp_hostport *h, char text[FTP_HOSTPORT_MAX])
{
	char ip[IP_TEXT_MAX];
	size_t n = 0;

	text[0] = '\0';
	add(text, &n, h->ip.family == IP_V6 ? "|2|" : "|1|");
	add(text, &n, ip_text(&h->ip, ip));
	add(text, &n, "|");
	add_number(text, &n, h->port);
	add(text, &n, "|");
	return text;
}

const char *
ftp_227_text(const struct ftp_hostport *h, char text[FTP_HOSTPORT_MAX])
{
	char numbers[FTP_HOSTPORT_MAX];
	size_t n = 0;

	text[0] = '\0';
	add(text, &n, "(");
	add(text, &n, ftp_port_text(h, numbers));
	add(text, &n, ")");
	return text;
}

const char *
ftp_229_text(const struct ftp_hostport *h, char text[FTP_HOSTPORT_MAX])
{
	size_t n = 0;

	text[0] = '\0';
	add(text, &n, "(|||");
	add_number(text, &n, h->port);
	add(text, &n, "|)");
	return text;
}
