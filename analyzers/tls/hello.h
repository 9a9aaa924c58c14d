/*
 * hello - ClientHello and ServerHello, of every version from SSL 3 on.
 *
 * RFC 8446 s4.1.2 and s4.1.3, RFC 5246 s7.4.1; extensions: server_name (RFC 6066 s3), ALPN
 * (RFC 7301), supported_versions, pre_shared_key, early_data (RFC 8446), session_ticket (RFC 5077),
 * encrypted_client_hello. Pure; what is found points into the message that was given.
 */
#ifndef POSTERN_TLS_HELLO_H
#define POSTERN_TLS_HELLO_H

#include "core/span.h"

#define TLS_EXTENSIONS_MAX 128 /* in one hello; one with more is malformed for us */

enum tls_extension {
	TLS_EXT_SERVER_NAME = 0,
	TLS_EXT_GROUPS = 10,
	TLS_EXT_SIGNATURES = 13,
	TLS_EXT_ALPN = 16,
	TLS_EXT_ENCRYPT_THEN_MAC = 22, /* RFC 7366 */
	TLS_EXT_TICKET = 35,
	TLS_EXT_PRE_SHARED_KEY = 41,
	TLS_EXT_EARLY_DATA = 42,
	TLS_EXT_VERSIONS = 43,
	TLS_EXT_ECH = 0xfe0d,
};

struct tls_client_hello {
	uint16_t version;   /* the highest that it offers, GREASE (RFC 8701) left out */
	struct span random; /* 32 octets */
	struct span session_id;
	struct span ciphers;	 /* two octets each */
	struct span signatures;	 /* two octets each; empty: not said */
	struct span ticket;	 /* of a session up to TLS 1.2 (RFC 5077); empty: none */
	struct span server_name; /* as it was sent; empty: none, or none of type host_name */
	struct span alpn;	 /* for tls_alpn_next(): every name in it is whole and not empty */
	size_t n_extensions;
	uint16_t extensions[TLS_EXTENSIONS_MAX]; /* types, as they came */
	bool resumes; /* offers a ticket, a session ID of TLS 1.2 or older, or a pre-shared key */
	bool early_data; /* 0-RTT */
	bool ech;	 /* server_name is of the outer hello */
};

struct tls_server_hello {
	uint16_t version; /* that is spoken from here on */
	uint16_t cipher;
	uint8_t compression; /* 0: none */
	struct span random;  /* 32 octets */
	struct span session_id;
	struct span alpn; /* the name that was chosen; empty: none, or said under encryption */
	bool retry;	  /* HelloRetryRequest: another hello of each follows */
	bool pre_shared;  /* TLS 1.3: a session is resumed */
	bool etm;	  /* encrypt-then-MAC; means something with CBC only */
};

/*
 * body: the message without its type and length. False: malformed (a length that leaves it, octets
 * that are left over, an extension twice, too many of them), *out is not to be used.
 */
bool tls_client_hello_parse(struct span body, struct tls_client_hello *out);
bool tls_server_hello_parse(struct span body, struct tls_server_hello *out);

/* The next name of a list of ALPN; empty: no more. */
struct span tls_alpn_next(struct span *list);

/* One of the 16 reserved values that say nothing (RFC 8701). */
bool tls_is_grease(uint16_t);
/* "TLS 1.3" ... "SSLv3", as EVE has it; "unknown" for others. */
const char *tls_version_name(uint16_t);

#endif
