/*
 * gmime - what bench_mime does, by GMime 3: a message in memory is parsed and each leaf decoded.
 *
 *	gmime FILE SECONDS tree|sha256
 *
 * Digests are taken as the octets come out of the decoder, which is the fastest way there.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gmime/gmime.h>
#include <openssl/evp.h>

#define PIECE (64u << 10)

struct sum {
	size_t leaves, octets;
	EVP_MD_CTX *digest; /* NULL: none */
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
digest(GMimeDataWrapper *content, struct sum *sum)
{
	static char piece[PIECE];
	unsigned char value[EVP_MAX_MD_SIZE];
	GMimeStream *source = g_mime_data_wrapper_get_stream(content), *filtered;
	GMimeFilter *decoder =
	    g_mime_filter_basic_new(g_mime_data_wrapper_get_encoding(content), FALSE);
	ssize_t n;

	g_mime_stream_reset(source);
	filtered = g_mime_stream_filter_new(source);
	g_mime_stream_filter_add(GMIME_STREAM_FILTER(filtered), decoder);
	EVP_DigestInit_ex(sum->digest, EVP_sha256(), NULL);
	while ((n = g_mime_stream_read(filtered, piece, sizeof(piece))) > 0) {
		EVP_DigestUpdate(sum->digest, piece, (size_t)n);
		sum->octets += (size_t)n;
	}
	EVP_DigestFinal_ex(sum->digest, value, NULL);
	g_object_unref(decoder);
	g_object_unref(filtered);
}

static void
decode(GMimeDataWrapper *content, struct sum *sum)
{
	GMimeStream *null = g_mime_stream_null_new();
	ssize_t n = g_mime_data_wrapper_write_to_stream(content, null);

	sum->octets += n > 0 ? (size_t)n : 0;
	g_object_unref(null);
}

static void
part(GMimeObject *parent, GMimeObject *object, gpointer arg)
{
	struct sum *sum = arg;
	GMimeDataWrapper *content;

	(void)parent;
	if (!GMIME_IS_PART(object))
		return;
	content = g_mime_part_get_content((GMimePart *)object);
	if (content == NULL)
		return;
	sum->leaves++;
	if (sum->digest != NULL)
		digest(content, sum);
	else
		decode(content, sum);
}

static void
parse(const char *octets, size_t n, struct sum *sum)
{
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(octets, n);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);

	if (message == NULL)
		errx(1, "no message");
	sum->leaves = sum->octets = 0;
	g_mime_message_foreach(message, part, sum);
	g_object_unref(message);
	g_object_unref(parser);
	g_object_unref(stream);
}

int
main(int argc, char **argv)
{
	struct sum sum = {.digest = NULL};
	double start, end;
	unsigned rounds = 0;
	gchar *octets;
	gsize n;

	if (argc != 4 || !g_file_get_contents(argv[1], &octets, &n, NULL))
		errx(2, "usage: gmime FILE SECONDS tree|sha256");
	if (strcmp(argv[3], "sha256") == 0)
		sum.digest = EVP_MD_CTX_new();
	g_mime_init();
	start = now();
	do {
		parse(octets, n, &sum);
		rounds++;
		end = now();
	} while (end - start < strtod(argv[2], NULL));
	printf("%.1f %zu %zu\n", (double)n * rounds / 1e6 / (end - start), sum.leaves, sum.octets);
	EVP_MD_CTX_free(sum.digest);
	return 0;
}
