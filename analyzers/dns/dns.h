/*
 * dns - DNS answers: from the wire to what the rules ask of them (RFC 1035, 3596, 6698, 7505).
 *
 * Reads one response message and keeps the MX, A, AAAA, PTR, TXT or TLSA records that answer it,
 * following CNAMEs within the message. Names are checked as host names before anybody sees
 * them: a record whose name is none is dropped and counted. Pure; no socket, no clock.
 */
#ifndef POSTERN_DNS_H
#define POSTERN_DNS_H

#include "core/ip.h"

#define DNS_NAME_MAX	254 /* text with its NUL, no trailing dot */
#define DNS_MX_MAX	32  /* MX records looked at; the rest is counted in left_out */
#define DNS_ADDRESS_MAX 32
#define DNS_HOST_MAX	32   /* names of one address */
#define DNS_RECORDS_MAX 1000 /* of any kind in one message, which keeps the work below 15 ms */
#define DNS_CNAME_MAX	10
#define DNS_TLSA_MAX	32
#define DNS_TXT_MAX	16  /* records; a domain has many for other purposes */
#define DNS_TXT_OCTETS	255 /* of a record, its strings joined; the rest is left out */

enum dns_type {
	DNS_A = 1,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52,
};

enum dns_status {
	DNS_OK,	      /* records are there */
	DNS_NODATA,   /* the name exists, this type does not */
	DNS_NXDOMAIN, /* the name does not exist */
	DNS_FAILED,   /* SERVFAIL, REFUSED, malformed, bogus: the resolver could not tell */
	DNS_TIMEOUT,  /* no answer within the budget */
};

struct dns_question {
	enum dns_type type;
	char name[DNS_NAME_MAX]; /* lower case, A-labels, no trailing dot */
};

struct dns_mx {
	uint16_t preference;
	char host[DNS_NAME_MAX]; /* lower case, no trailing dot; "" is the root (null MX) */
	bool is_address;	 /* "192.0.2.1" where a host name belongs */
};

/* RFC 6698 s2.1. The association data is not kept: nobody here compares it. */
struct dns_tlsa {
	uint8_t usage, selector, matching;
	uint16_t n; /* octets of the association data, never 0 */
};

struct dns_txt {
	uint8_t n;
	char text[DNS_TXT_OCTETS]; /* any octets */
};

struct dns_answer {
	enum dns_status status;
	bool secure; /* validated by DNSSEC, the answer "no" too; dns_parse() leaves it false */
	struct dns_question question;
	size_t n;	 /* records below, of the kind that question.type says */
	size_t left_out; /* records beyond the maximum, and records with bad names */
	union {
		struct dns_mx mx[DNS_MX_MAX]; /* lowest preference first */
		struct ip address[DNS_ADDRESS_MAX];
		char host[DNS_HOST_MAX][DNS_NAME_MAX]; /* lower case, no trailing dot */
		struct dns_tlsa tlsa[DNS_TLSA_MAX];
		struct dns_txt txt[DNS_TXT_MAX];
	};
};

/*
 * packet    a whole DNS message, header first
 * question  what was asked; a message with another question is DNS_FAILED
 * out       always filled in; out->status tells
 *
 * RCODE 3 is DNS_NXDOMAIN. DNS_FAILED: any other error; a CNAME chain that loops or is longer than
 * DNS_CNAME_MAX; a compression loop; a length that leaves the packet; a message that is cut (TC);
 * more than DNS_RECORDS_MAX answers; only records with bad names (and the type asked for).
 * Of more than DNS_MX_MAX MX records the lowest preferences are kept. Of PTR records those whose
 * name is a host name, and not an address in the form of one; on the way to them an alias may have
 * any printable name (RFC 2317), which nobody is shown. A TLSA record without association data
 * (less than four octets), and a TXT record whose strings are not what its length says, count as
 * records with bad names: left out.
 */
void dns_parse(struct span packet, const struct dns_question *question, struct dns_answer *out);

/*
 * Mail servers that send verify by this record (RFC 7672 s3.1): DANE-TA or DANE-EE, of a
 * certificate or a key, whole or by a digest of the length that it has.
 */
bool dns_tlsa_usable(const struct dns_tlsa *);

/* Letters, digits, hyphens, underscores, dots; labels of 1 to 63 octets; 253 in all. */
bool dns_name_ok(struct span);
/* Lower-cases name into *q. False: no name that DNS could be asked for (dns_name_ok). */
bool dns_question_set(struct dns_question *q, enum dns_type, struct span name);
/* Where the PTR records of an address are (RFC 1035 s3.5, RFC 3596 s2.5); "" for IP_NONE. */
void dns_reverse_name(const struct ip *, char name[DNS_NAME_MAX]);
const char *dns_type_name(enum dns_type);
const char *dns_status_name(enum dns_status);

#endif
