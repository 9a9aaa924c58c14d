#include "tls/certificate.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

#include "core/ip.h"

#define NAMES_MAX (TLS_CERTIFICATE_NAMES * 256u)

/* One name; what has a NUL in it, or is longer than any name, is left out and counted. */
static void
add_name(struct tls_certificate *c, struct span name)
{
	if (c->n_names == TLS_CERTIFICATE_NAMES || name.n == 0 || name.n > 255 ||
	    span_find(name, '\0') >= 0) {
		c->names_left_out++;
		return;
	}
	buf_add(&c->names, name);
	buf_octet(&c->names, '\0');
	c->n_names++;
}

static void
add_address(struct tls_certificate *c, struct span octets)
{
	char text[IP_TEXT_MAX];
	struct ip ip = octets.n == 4	? ip_v4(octets.p)
		       : octets.n == 16 ? ip_v6(octets.p)
					: (struct ip){.family = IP_NONE};

	if (ip.family == IP_NONE)
		c->names_left_out++;
	else
		add_name(c, span_str(ip_text(&ip, text)));
}

static void
read_names(X509 *x, struct tls_certificate *c)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
		int type;
		const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
		struct span octets;

		if (type != GEN_DNS && type != GEN_IPADD)
			continue;
		octets = span_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
		type == GEN_DNS ? add_name(c, octets) : add_address(c, octets);
	}
	GENERAL_NAMES_free(all);
}

static void
read_dn(const X509_NAME *name, struct buf *text)
{
	const unsigned long how =
	    (XN_FLAG_RFC2253 &
		~(unsigned long)(XN_FLAG_DN_REV | ASN1_STRFLGS_ESC_MSB | XN_FLAG_SEP_MASK)) |
	    XN_FLAG_SEP_CPLUS_SPC;
	BIO *out = BIO_new(BIO_s_mem());
	char *p;
	long n;

	if (out == NULL)
		return;
	if (X509_NAME_print_ex(out, name, 0, how) >= 0 && (n = BIO_get_mem_data(out, &p)) > 0)
		buf_add(text, span_first(span_of(p, (size_t)n), text->max));
	BIO_free(out);
}

/* "aa:bb" of the octets, as far as there is room. */
static void
put_hex(char *text, size_t room, struct span octets)
{
	size_t at = 0;

	for (size_t i = 0; i < octets.n && at + 3 < room; i++, at += 2) {
		if (i > 0)
			text[at++] = ':';
		span_hex(span_of(octets.p + i, 1), text + at);
	}
	text[at] = '\0';
}

/* n digits of a number, the last ones. */
static char *
put_digits(char *at, int value, int n)
{
	for (int i = n - 1; i >= 0; i--, value /= 10)
		at[i] = (char)('0' + value % 10);
	return at + n;
}

static void
read_time(const ASN1_TIME *t, char text[TLS_TIME_TEXT])
{
	struct tm tm;

	text[0] = '\0';
	if (ASN1_TIME_to_tm(t, &tm) != 1 || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
		return;
	const struct {
		int value, digits;
		char behind;
	} parts[] = {{tm.tm_year + 1900, 4, '-'}, {tm.tm_mon + 1, 2, '-'}, {tm.tm_mday, 2, 'T'},
	    {tm.tm_hour, 2, ':'}, {tm.tm_min, 2, ':'}, {tm.tm_sec, 2, '\0'}};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		text = put_digits(text, parts[i].value, parts[i].digits);
		*text++ = parts[i].behind;
	}
}

static bool
read_digests(struct span der, struct tls_certificate *c)
{
	uint8_t sha1[EVP_MAX_MD_SIZE], sha256[EVP_MAX_MD_SIZE];

	if (EVP_Digest(der.p, der.n, sha1, NULL, EVP_sha1(), NULL) != 1 ||
	    EVP_Digest(der.p, der.n, sha256, NULL, EVP_sha256(), NULL) != 1)
		return false;
	put_hex(c->fingerprint, sizeof(c->fingerprint), span_of(sha1, 20));
	span_hex(span_of(sha256, 32), c->sha256);
	return true;
}

static void
read_fields(X509 *x, struct tls_certificate *c)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);

	read_dn(X509_get_subject_name(x), &c->subject);
	read_dn(X509_get_issuer_name(x), &c->issuer);
	put_hex(c->serial, sizeof(c->serial),
	    span_of(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial)));
	for (char *at = c->serial; *at != '\0'; at++) /* EVE has them large */
		if (*at >= 'a')
			*at = (char)(*at - ('a' - 'A'));
	read_time(X509_get0_notBefore(x), c->not_before);
	read_time(X509_get0_notAfter(x), c->not_after);
	read_names(x, c);
}

struct tls_certificate *
tls_certificate_parse(struct span der)
{
	struct tls_certificate *c = NULL;
	const uint8_t *end = der.p;
	X509 *x = d2i_X509(NULL, &end, (long)der.n);

	if (x != NULL && end == der.p + der.n)
		c = calloc(1, sizeof(*c));
	if (c != NULL) {
		buf_init(&c->subject, TLS_SUBJECT_MAX);
		buf_init(&c->issuer, TLS_SUBJECT_MAX);
		buf_init(&c->names, NAMES_MAX);
		read_fields(x, c);
	}
	if (c != NULL &&
	    (!read_digests(der, c) || c->subject.failed || c->issuer.failed || c->names.failed)) {
		tls_certificate_free(c);
		c = NULL;
	}
	X509_free(x);
	return c;
}

void
tls_certificate_free(struct tls_certificate *c)
{
	if (c == NULL)
		return;
	buf_free(&c->subject);
	buf_free(&c->issuer);
	buf_free(&c->names);
	free(c);
}
