#include "tls/ja4.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "core/buf.h"

#define CODE_TEXT   5  /* "13ab," */
#define HASH_DIGITS 12 /* that are kept of a SHA-256 */

static const char *
version_code(uint16_t v)
{
	static const struct {
		uint16_t version;
		const char *code;
	} rows[] = {{0x0304, "13"}, {0x0303, "12"}, {0x0302, "11"}, {0x0301, "10"}, {0x0300, "s3"},
	    {0x0002, "s2"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].version == v)
			return rows[i].code;
	return "00";
}

/* First and last character of the first name; of one that has others, of its hexadecimal form. */
static void
alpn_code(struct span list, char code[3])
{
	struct span name = tls_alpn_next(&list);
	uint8_t first, last;

	memcpy(code, "00", 3);
	if (name.n == 0)
		return;
	first = name.p[0];
	last = name.p[name.n - 1];
	if (octet_is_alnum(first) && octet_is_alnum(last)) {
		code[0] = (char)first;
		code[1] = (char)last;
	} else {
		char hex[4];

		span_hex(span_of((uint8_t[]){first, last}, 2), hex);
		code[0] = hex[0];
		code[1] = hex[3];
	}
}

static int
compare(const void *a, const void *b)
{
	uint16_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* "002f,0035": codes that are not GREASE; how many. */
static size_t
list_codes(struct buf *text, const uint16_t *codes, size_t n)
{
	size_t listed = 0;
	char code[4];

	for (size_t i = 0; i < n; i++) {
		if (tls_is_grease(codes[i]))
			continue;
		if (listed++ > 0)
			buf_octet(text, ',');
		span_hex(
		    span_of((uint8_t[]){(uint8_t)(codes[i] >> 8), (uint8_t)codes[i]}, 2), code);
		buf_add(text, span_of(code, sizeof(code)));
	}
	return listed;
}

static size_t
read_codes(struct span pairs, uint16_t *codes)
{
	for (size_t i = 0; i < pairs.n / 2; i++)
		codes[i] = (uint16_t)(pairs.p[2 * i] << 8 | pairs.p[2 * i + 1]);
	return pairs.n / 2;
}

static bool
put_hash(const struct buf *text, char hash[HASH_DIGITS + 1])
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	if (text->failed)
		return false;
	if (text->n == 0) {
		memset(hash, '0', HASH_DIGITS);
		hash[HASH_DIGITS] = '\0';
		return true;
	}
	if (EVP_Digest(text->p, text->n, digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	span_hex(span_of(digest, HASH_DIGITS / 2), hash);
	hash[HASH_DIGITS] = '\0';
	return true;
}

/* A number of two digits; what has more is 99. */
static void
put_count(struct buf *text, size_t n)
{
	n = n > 99 ? 99 : n;
	buf_octet(text, (uint8_t)('0' + n / 10));
	buf_octet(text, (uint8_t)('0' + n % 10));
}

/* Extensions in order of their numbers, without those that differ from server to server. */
static size_t
fixed_extensions(const struct tls_client_hello *h, uint16_t *codes, size_t *all)
{
	size_t n = 0;

	*all = 0;
	for (size_t i = 0; i < h->n_extensions; i++) {
		uint16_t type = h->extensions[i];

		if (tls_is_grease(type))
			continue;
		++*all;
		if (type != TLS_EXT_SERVER_NAME && type != TLS_EXT_ALPN)
			codes[n++] = type;
	}
	qsort(codes, n, sizeof(codes[0]), compare);
	return n;
}

static bool
write_ja4(
    const struct tls_client_hello *h, uint16_t *codes, struct buf *text, char ja4[TLS_JA4_TEXT])
{
	char alpn[3], ciphers[HASH_DIGITS + 1], extensions[HASH_DIGITS + 1];
	size_t n = read_codes(h->ciphers, codes), n_ciphers, n_extensions;
	bool ok;

	qsort(codes, n, sizeof(codes[0]), compare);
	n_ciphers = list_codes(text, codes, n);
	ok = put_hash(text, ciphers);
	buf_clear(text);
	list_codes(text, codes, fixed_extensions(h, codes, &n_extensions));
	n = read_codes(h->signatures, codes);
	if (n > 0 && buf_str(text, "_"))
		list_codes(text, codes, n);
	ok = ok && put_hash(text, extensions);
	alpn_code(h->alpn, alpn);
	buf_clear(text);
	buf_octet(text, 't');
	buf_str(text, version_code(h->version));
	buf_octet(text, h->server_name.n > 0 ? 'd' : 'i');
	put_count(text, n_ciphers);
	put_count(text, n_extensions);
	buf_str(text, alpn);
	buf_octet(text, '_');
	buf_str(text, ciphers);
	buf_octet(text, '_');
	buf_str(text, extensions);
	if (!ok || text->failed || text->n != TLS_JA4_TEXT - 1)
		return false;
	memcpy(ja4, text->p, text->n);
	ja4[text->n] = '\0';
	return true;
}

bool
tls_ja4(const struct tls_client_hello *h, char ja4[TLS_JA4_TEXT])
{
	size_t max = TLS_EXTENSIONS_MAX + h->ciphers.n / 2 + h->signatures.n / 2;
	uint16_t *codes = malloc(max * sizeof(*codes));
	struct buf text;
	bool ok;

	ja4[0] = '\0';
	buf_init(&text, max * CODE_TEXT + TLS_JA4_TEXT);
	ok = codes != NULL && write_ja4(h, codes, &text, ja4);
	buf_free(&text);
	free(codes);
	return ok;
}
