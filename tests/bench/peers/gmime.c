/*
 * gmime - what mime_postern does, by GMime 3: messages in memory are parsed, and each leaf decoded
 * (mime_work.h).
 *
 * WORK: tree, sha256. Digests are taken as the octets come out of the decoder, which is the fastest
 * way there. So is reading octets where they lie (one stream has all messages, each has a part of
 * it), and one parser that is set up anew for each message. "copy-" before WORK: each message is a
 * stream of its own, which takes a copy, as programs have it that read a message from memory.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include <gmime/gmime.h>
#include <openssl/evp.h>

#include "../mime_work.h"

#define PIECE (64u << 10)

struct reading {
	GMimeStream *all;
	GMimeParser *parser;
	const char *octets; /* NULL: read where they lie, in "all" */
	EVP_MD_CTX *digest; /* NULL: none */
	struct mime_found *found;
};

static void
digest(GMimeDataWrapper *content, struct reading *r)
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
	EVP_DigestInit_ex(r->digest, EVP_sha256(), NULL);
	while ((n = g_mime_stream_read(filtered, piece, sizeof(piece))) > 0) {
		EVP_DigestUpdate(r->digest, piece, (size_t)n);
		r->found->octets += (uint64_t)n;
	}
	EVP_DigestFinal_ex(r->digest, value, NULL);
	mime_found_digest(r->found, value);
	g_object_unref(decoder);
	g_object_unref(filtered);
}

static void
decode(GMimeDataWrapper *content, struct reading *r)
{
	GMimeStream *null = g_mime_stream_null_new();
	ssize_t n = g_mime_data_wrapper_write_to_stream(content, null);

	r->found->octets += n > 0 ? (uint64_t)n : 0;
	g_object_unref(null);
}

static void
part(GMimeObject *parent, GMimeObject *object, gpointer arg)
{
	struct reading *r = arg;
	GMimeDataWrapper *content;

	(void)parent;
	/* it does not go into messages within messages by itself */
	if (GMIME_IS_MESSAGE_PART(object)) {
		g_mime_message_foreach(
		    g_mime_message_part_get_message((GMimeMessagePart *)object), part, r);
		return;
	}
	if (!GMIME_IS_PART(object))
		return;
	content = g_mime_part_get_content((GMimePart *)object);
	if (content == NULL)
		return;
	r->found->leaves++;
	if (r->digest != NULL)
		digest(content, r);
	else
		decode(content, r);
}

static void
read_message(void *arg, size_t start, size_t end, struct mime_found *found)
{
	struct reading *r = arg;
	GMimeStream *stream =
	    r->octets != NULL ? g_mime_stream_mem_new_with_buffer(r->octets + start, end - start)
			      : g_mime_stream_substream(r->all, (gint64)start, (gint64)end);
	GMimeMessage *message;

	g_mime_parser_init_with_stream(r->parser, stream);
	message = g_mime_parser_construct_message(r->parser, NULL);
	if (message == NULL)
		errx(1, "no message");
	r->found = found;
	g_mime_message_foreach(message, part, r);
	g_object_unref(message);
	g_object_unref(stream);
}

int
main(int argc, char **argv)
{
	struct mime_work work = mime_work_open(argc, argv);
	struct reading r = {.digest = NULL};

	if (strncmp(work.name, "copy-", 5) == 0) {
		work.name += 5;
		r.octets = (const char *)work.octets;
	}
	if (strcmp(work.name, "sha256") == 0)
		r.digest = EVP_MD_CTX_new();
	else if (strcmp(work.name, "tree") != 0)
		errx(2, "%s: neither tree nor sha256", work.name);
	g_mime_init();
	r.all = g_mime_stream_mem_new_with_byte_array(g_byte_array_new_take(work.octets, work.n));
	r.parser = g_mime_parser_new();
	mime_work_do(&work, read_message, &r);
	g_object_unref(r.parser);
	g_object_unref(r.all);
	EVP_MD_CTX_free(r.digest);
	return 0;
}
