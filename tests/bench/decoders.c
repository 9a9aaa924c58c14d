/*
 * decoders - how fast the transfer decoders are, each alone, beside SHA-256 over the same octets.
 *
 * One line a measurement: name, MB/s of encoded octets (10^6 octets). Fed in pieces of 64 KiB, as
 * they come from a socket.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/evp.h>

#include "mime/base64.h"
#include "mime/qp.h"
#include "mime/uu.h"

#define OCTETS (32u << 20) /* of input, about */
#define PIECE  (64u << 10)
#define ROUNDS 5 /* the best one counts */

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Lines of so many octets out of the alphabet; 0: one long line. */
static struct span
lines(const char *alphabet, size_t columns, const char *end)
{
	uint8_t *p = malloc(OCTETS + 2);
	size_t letters = strlen(alphabet), column = 0, n = 0;
	uint32_t x = 1;

	if (p == NULL)
		exit(1);
	while (n < OCTETS) {
		x = x * 1664525 + 1013904223;
		p[n++] = (uint8_t)alphabet[(x >> 16) % letters];
		if (++column != columns)
			continue;
		column = 0;
		for (const char *c = end; *c != '\0'; c++)
			p[n++] = (uint8_t)*c;
	}
	return span_of(p, n);
}

/* A text of which every other letter is beyond ASCII. */
static struct span
escapes(void)
{
	static const char line[] = "=C3=BCx=C3=A4y=C3=B6z=C3=9Fa=C3=BCx=C3=A4y=C3=B6z=C3=9Fa=\r\n";
	uint8_t *p = malloc(OCTETS);
	size_t n = 0;

	if (p == NULL)
		exit(1);
	for (; n + sizeof(line) <= OCTETS; n += sizeof(line) - 1)
		memcpy(p + n, line, sizeof(line));
	return span_of(p, n);
}

/* What is measured: takes all of it, in pieces. */
typedef void work_fn(struct span in, uint8_t *out);

static void
base64(struct span in, uint8_t *out, bool scalar)
{
	struct mime_base64 d;

	mime_base64_init(&d, 0);
	d.scalar = scalar;
	for (; in.n > 0; in = span_from(in, PIECE))
		mime_base64_feed(&d, span_first(in, PIECE), out);
	mime_base64_finish(&d, out);
}

static void
base64_simd(struct span in, uint8_t *out)
{
	base64(in, out, false);
}

static void
base64_scalar(struct span in, uint8_t *out)
{
	base64(in, out, true);
}

static void
quoted_printable(struct span in, uint8_t *out)
{
	struct mime_qp d;

	mime_qp_init(&d, 0);
	for (; in.n > 0; in = span_from(in, PIECE))
		mime_qp_feed(&d, span_first(in, PIECE), out);
	mime_qp_finish(&d, out);
}

static void
uuencode(struct span in, uint8_t *out)
{
	struct span begin = span_str("begin 644 x\nM");
	struct mime_uu_event ev;
	struct mime_uu d;
	size_t used;

	(void)out;
	mime_uu_init(&d, 0);
	mime_uu_feed(&d, begin, &used, &ev);
	mime_uu_feed(&d, span_from(begin, used), &used, &ev);
	for (; in.n > 0; in = span_from(in, used))
		mime_uu_feed(&d, span_first(in, PIECE), &used, &ev);
	if (d.faults.n > 0)
		exit(1); /* not what was meant to be measured */
}

static void
sha256(struct span in, uint8_t *out)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	if (c == NULL || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1)
		exit(1);
	for (; in.n > 0; in = span_from(in, PIECE))
		EVP_DigestUpdate(c, in.p, span_first(in, PIECE).n);
	EVP_DigestFinal_ex(c, out, NULL);
	EVP_MD_CTX_free(c);
}

static void
copy(struct span in, uint8_t *out)
{
	for (; in.n > 0; in = span_from(in, PIECE))
		memcpy(out, in.p, span_first(in, PIECE).n);
}

static void
measure(const char *name, work_fn *work, struct span in)
{
	static uint8_t out[MIME_BASE64_ROOM(PIECE) + MIME_QP_ROOM(PIECE)];
	double best = 1e9;

	for (int i = 0; i < ROUNDS; i++) {
		double start = now(), took;

		work(in, out);
		took = now() - start;
		if (took < best)
			best = took;
	}
	printf("%-28s %8.0f MB/s\n", name, (double)in.n / best / 1e6);
}

int
main(void)
{
	static const char base64_alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char words[] = "the quick brown fox jumps over the lazy dog, and then some ";
	struct span one_line = lines(base64_alphabet, 0, "");
	struct span columns = lines(base64_alphabet, 76, "\r\n");
	struct span text = lines(words, 72, "=\r\n"), many = escapes();
	struct span uu = lines("!#$%&'()*+,-./0123ABCDEFGHIJKLMNOPQRSTUVWXYZ", 60, "\nM");

	measure("memcpy", copy, one_line);
	measure("sha256", sha256, one_line);
	measure("base64 one line", base64_simd, one_line);
	measure("base64 76 columns", base64_simd, columns);
	measure("base64 one line, scalar", base64_scalar, one_line);
	measure("base64 76 columns, scalar", base64_scalar, columns);
	measure("quoted-printable text", quoted_printable, text);
	measure("quoted-printable, much =", quoted_printable, many);
	measure("uuencode", uuencode, uu);
	free((void *)(uintptr_t)one_line.p);
	free((void *)(uintptr_t)columns.p);
	free((void *)(uintptr_t)text.p);
	free((void *)(uintptr_t)many.p);
	free((void *)(uintptr_t)uu.p);
	return 0;
}
