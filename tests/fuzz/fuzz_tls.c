/*
 * fuzz_tls - handshakes as one beside the wire sees them. The first two octets say how many of the
 * others are the client's; what follows is the server's.
 *
 * Claims: whatever comes, what is seen is the same for every chunking, lists and texts keep their
 * bounds, and a hello that was read can be named (JA4).
 */
#include "core/buf.h"
#include "fuzz.h"
#include "tls/ja4.h"
#include "tls/sight.h"

#define SUMMARY_MAX (1u << 20)

static void
put_text(struct buf *b, const char *text)
{
	buf_str(b, text);
	buf_octet(b, '\n');
}

static void
put_span(struct buf *b, struct span s)
{
	buf_u64(b, s.n);
	buf_octet(b, ' ');
	buf_add(b, s);
	buf_octet(b, '\n');
}

static void
sum_client(struct buf *b, const struct tls_client_hello *h)
{
	char ja4[TLS_JA4_TEXT];
	struct span list = h->alpn, name;

	fuzz_claim(h->n_extensions <= TLS_EXTENSIONS_MAX);
	fuzz_claim(h->ciphers.n > 0 && h->ciphers.n % 2 == 0 && h->signatures.n % 2 == 0);
	fuzz_claim(h->session_id.n <= 32);
	fuzz_claim(tls_ja4(h, ja4) && strlen(ja4) == TLS_JA4_TEXT - 1);
	put_text(b, ja4);
	put_span(b, h->server_name);
	for (name = tls_alpn_next(&list); name.n > 0; name = tls_alpn_next(&list))
		put_span(b, name);
	fuzz_claim(list.n == 0); /* every name is whole */
	buf_u64(b, h->version);
	buf_octet(b, (uint8_t)('0' + h->resumes + 2 * h->early_data + 4 * h->ech));
}

static void
sum_certificate(struct buf *b, const struct tls_certificate *c)
{
	size_t nuls = 0;

	fuzz_claim(c->subject.n <= TLS_SUBJECT_MAX && c->issuer.n <= TLS_SUBJECT_MAX);
	fuzz_claim(c->n_names <= TLS_CERTIFICATE_NAMES);
	fuzz_claim(strlen(c->fingerprint) == TLS_FINGERPRINT_TEXT - 1);
	fuzz_claim(strlen(c->sha256) == TLS_SHA256_TEXT - 1);
	fuzz_claim(strlen(c->serial) < TLS_SERIAL_TEXT);
	for (size_t i = 0; i < c->names.n; i++)
		nuls += c->names.p[i] == '\0';
	fuzz_claim(nuls == c->n_names);
	put_span(b, buf_span(&c->subject));
	put_span(b, buf_span(&c->issuer));
	put_span(b, buf_span(&c->names));
	put_text(b, c->serial);
	put_text(b, c->sha256);
	put_text(b, c->not_before);
	put_text(b, c->not_after);
}

static void
sum(struct buf *b, const struct tls_seen *s)
{
	buf_octet(b, (uint8_t)('0' + s->client_hello + 2 * s->server_hello + 4 * s->resumed +
			       8 * s->malformed));
	if (s->client_hello)
		sum_client(b, &s->client);
	if (s->server_hello) {
		buf_u64(b, (uint64_t)s->server.version << 16 | s->server.cipher);
		put_span(b, s->server.session_id);
		put_span(b, s->server.alpn);
		buf_octet(b, (uint8_t)('0' + s->server.retry + 2 * s->server.pre_shared));
	}
	buf_u64(b, s->chain);
	if (s->leaf != NULL)
		sum_certificate(b, s->leaf);
	for (int dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_octet(b, (uint8_t)('0' + s->alert[dir].seen + 2 * s->alert[dir].fatal));
		buf_u64(b, s->alert[dir].description);
	}
}

static void
feed(struct tls_sight *t, enum an_dir dir, struct span s, size_t piece)
{
	while (s.n > 0) {
		tls_sight_feed(t, dir, span_first(s, piece));
		s = span_from(s, piece < s.n ? piece : s.n);
	}
}

static void
look(struct buf *summary, struct span client, struct span server, size_t piece)
{
	struct tls_sight *t = tls_sight_new();

	buf_init(summary, SUMMARY_MAX);
	fuzz_claim(t != NULL);
	feed(t, AN_C2S, client, piece);
	feed(t, AN_S2C, server, piece);
	sum(summary, tls_sight_seen(t));
	tls_sight_free(t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const size_t pieces[] = {1, 2, 7, 100};
	struct span all = span_of(p, n), client, server;
	struct buf whole, other;

	if (n < 2)
		return 0;
	client = span_first(span_from(all, 2), (size_t)(p[0] << 8 | p[1]));
	server = span_from(all, 2 + client.n);
	look(&whole, client, server, n);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		look(&other, client, server, pieces[i]);
		fuzz_claim(span_eq(buf_span(&whole), buf_span(&other)));
		buf_free(&other);
	}
	buf_free(&whole);
	return 0;
}
