#include "tls/hello.h"

#include "tls/wire.h"

#define VERSION_TLS12 0x0303

bool
tls_is_grease(uint16_t v)
{
	return (v & 0x0f0f) == 0x0a0a && v >> 8 == (v & 0xff);
}

const char *
tls_version_name(uint16_t v)
{
	static const struct {
		uint16_t version;
		const char *name;
	} rows[] = {{0x0304, "TLS 1.3"}, {0x0303, "TLS 1.2"}, {0x0302, "TLS 1.1"},
	    {0x0301, "TLS 1.0"}, {0x0300, "SSLv3"}, {0x0002, "SSLv2"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].version == v)
			return rows[i].name;
	return "unknown";
}

struct span
tls_alpn_next(struct span *list)
{
	struct tls_wire w = tls_wire_of(*list);
	struct span name = tls_vector(&w, 1);

	*list = w.rest;
	return w.bad ? SPAN_NONE : name;
}

/* ProtocolNameList (RFC 7301 s3.1): no empty list, no empty name. */
static bool
alpn_list(struct span data, struct span *list)
{
	struct tls_wire w = tls_wire_of(data), names;

	*list = tls_vector(&w, 2);
	if (w.bad || w.rest.n > 0 || list->n == 0)
		return false;
	names = tls_wire_of(*list);
	while (names.rest.n > 0 && !names.bad)
		if (tls_vector(&names, 1).n == 0)
			return false;
	return !names.bad;
}

/* ---- the client's ---- */

/* Names of other types than host_name (0) are skipped: none was ever defined. */
static bool
on_server_name(struct span data, struct tls_client_hello *h)
{
	struct tls_wire w = tls_wire_of(data), names = tls_wire_of(tls_vector(&w, 2));

	while (names.rest.n > 0 && !names.bad) {
		uint32_t type = tls_number(&names, 1);
		struct span name = tls_vector(&names, 2);

		if (type == 0 && h->server_name.n == 0)
			h->server_name = name;
	}
	return !w.bad && w.rest.n == 0 && !names.bad;
}

static bool
on_signatures(struct span data, struct tls_client_hello *h)
{
	struct tls_wire w = tls_wire_of(data);

	h->signatures = tls_vector(&w, 2);
	return !w.bad && w.rest.n == 0 && h->signatures.n % 2 == 0;
}

static bool
on_alpn(struct span data, struct tls_client_hello *h)
{
	return alpn_list(data, &h->alpn);
}

/* The list decides, whatever the field says that older versions have (RFC 8446 s4.2.1). */
static bool
on_versions(struct span data, struct tls_client_hello *h)
{
	struct tls_wire w = tls_wire_of(data), list = tls_wire_of(tls_vector(&w, 1));
	uint16_t best = 0;

	while (list.rest.n > 0 && !list.bad) {
		uint16_t v = (uint16_t)tls_number(&list, 2);

		if (!tls_is_grease(v) && v > best)
			best = v;
	}
	if (best != 0)
		h->version = best;
	return !w.bad && w.rest.n == 0 && !list.bad;
}

static bool
on_ticket(struct span data, struct tls_client_hello *h)
{
	h->ticket = data;
	h->resumes = h->resumes || data.n > 0;
	return true;
}

static bool
on_pre_shared_key(struct span data, struct tls_client_hello *h)
{
	(void)data;
	h->resumes = true;
	return true;
}

static bool
on_early_data(struct span data, struct tls_client_hello *h)
{
	h->early_data = true;
	return data.n == 0;
}

static bool
on_ech(struct span data, struct tls_client_hello *h)
{
	(void)data;
	h->ech = true;
	return true;
}

static bool
client_extension(uint16_t type, struct span data, struct tls_client_hello *h)
{
	static const struct {
		uint16_t type;
		bool (*take)(struct span, struct tls_client_hello *);
	} rows[] = {{TLS_EXT_SERVER_NAME, on_server_name}, {TLS_EXT_SIGNATURES, on_signatures},
	    {TLS_EXT_ALPN, on_alpn}, {TLS_EXT_TICKET, on_ticket},
	    {TLS_EXT_PRE_SHARED_KEY, on_pre_shared_key}, {TLS_EXT_EARLY_DATA, on_early_data},
	    {TLS_EXT_VERSIONS, on_versions}, {TLS_EXT_ECH, on_ech}};

	for (size_t i = 0; i < h->n_extensions; i++)
		if (h->extensions[i] == type)
			return false;
	if (h->n_extensions == TLS_EXTENSIONS_MAX)
		return false;
	h->extensions[h->n_extensions++] = type;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == type)
			return rows[i].take(data, h);
	return true;
}

static bool
client_extensions(struct span block, struct tls_client_hello *h)
{
	struct tls_wire w = tls_wire_of(block);

	while (w.rest.n > 0) {
		uint16_t type = (uint16_t)tls_number(&w, 2);
		struct span data = tls_vector(&w, 2);

		if (w.bad || !client_extension(type, data, h))
			return false;
	}
	return true;
}

bool
tls_client_hello_parse(struct span body, struct tls_client_hello *out)
{
	struct tls_wire w = tls_wire_of(body);
	struct span extensions = SPAN_NONE;

	*out = (struct tls_client_hello){.version = (uint16_t)tls_number(&w, 2)};
	out->random = tls_take(&w, 32);
	out->session_id = tls_vector(&w, 1);
	out->ciphers = tls_vector(&w, 2);
	tls_vector(&w, 1); /* compression methods */
	if (w.rest.n > 0)  /* SSL 3 and the first clients of TLS 1.0 have none */
		extensions = tls_vector(&w, 2);
	if (w.bad || w.rest.n > 0 || out->session_id.n > 32 || out->ciphers.n % 2 != 0 ||
	    out->ciphers.n == 0 || !client_extensions(extensions, out))
		return false;
	/* a session ID means nothing in TLS 1.3, where most clients send one all the same */
	out->resumes = out->resumes || (out->session_id.n > 0 && out->version <= VERSION_TLS12);
	return true;
}

/* ---- the server's ---- */

/* SHA-256 of "HelloRetryRequest" (RFC 8446 s4.1.3). */
static bool
is_retry(struct span random)
{
	static const uint8_t retry[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe,
	    0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c,
	    0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

	return span_eq(random, span_of(retry, sizeof(retry)));
}

static bool
server_extension(uint16_t type, struct span data, struct tls_server_hello *h)
{
	struct tls_wire w = tls_wire_of(data);

	switch (type) {
	case TLS_EXT_VERSIONS:
		h->version = (uint16_t)tls_number(&w, 2);
		return !w.bad && w.rest.n == 0;
	case TLS_EXT_PRE_SHARED_KEY:
		h->pre_shared = true;
		return true;
	case TLS_EXT_ENCRYPT_THEN_MAC:
		h->etm = true;
		return data.n == 0;
	case TLS_EXT_ALPN:
		if (!alpn_list(data, &h->alpn))
			return false;
		h->alpn = tls_alpn_next(&h->alpn);
		return true;
	default:
		return true;
	}
}

bool
tls_server_hello_parse(struct span body, struct tls_server_hello *out)
{
	struct tls_wire w = tls_wire_of(body), extensions = {SPAN_NONE, false};

	*out = (struct tls_server_hello){.version = (uint16_t)tls_number(&w, 2)};
	out->random = tls_take(&w, 32);
	out->session_id = tls_vector(&w, 1);
	out->cipher = (uint16_t)tls_number(&w, 2);
	out->compression = (uint8_t)tls_number(&w, 1);
	if (w.rest.n > 0)
		extensions = tls_wire_of(tls_vector(&w, 2));
	if (w.bad || w.rest.n > 0 || out->session_id.n > 32)
		return false;
	while (extensions.rest.n > 0) {
		uint16_t type = (uint16_t)tls_number(&extensions, 2);
		struct span data = tls_vector(&extensions, 2);

		if (extensions.bad || !server_extension(type, data, out))
			return false;
	}
	out->retry = is_retry(out->random);
	return true;
}
