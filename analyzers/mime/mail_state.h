/*
 * mail_state - what the files of mail.h know of each other; nobody else includes this.
 *   mail.c       drives the parser, and hands each event to where it belongs
 *   mail_head.c  header fields of the message itself
 *   mail_part.c  one part: what its header says, its names, what was found in it
 *   mail_file.c  a file in the place of a message
 *   mail_alone.c a part in the place of a message
 *   mail_sink.c  who wants the octets of the message, and its digest for that
 */
#ifndef POSTERN_MIME_MAIL_STATE_H
#define POSTERN_MIME_MAIL_STATE_H

#include "core/arena.h"
#include "mime/address_list.h"
#include "mime/leaf.h"
#include "mime/mail.h"

#define MAIL_LEAVES_MAX                                                                            \
	16 /* open at once: a text, what is uuencoded in it, other readings, ...                   \
	    */

struct mail_row {
	struct mail_part part;
	size_t anomalies_cap, names_cap;
	struct leaf *leaf; /* NULL: its content is not looked at, or it has ended */
};

enum mail_file {
	MAIL_FILE_NOT, /* it is a message */
	MAIL_FILE_UNDECIDED,
	MAIL_FILE_MESSAGE, /* a file, and a message below it */
	MAIL_FILE_OTHER,
};

enum mail_list { MAIL_TO, MAIL_CC, MAIL_BCC, MAIL_REPLY_TO, MAIL_LISTS };

struct mail {
	struct mail_options options;
	struct mime *mime; /* NULL: broken, or the end was seen, or a file that is no message */
	enum mail_file file;
	unsigned head;	  /* number of the part whose header is the message's */
	uint64_t before;  /* octets that the parser got in front of those that were fed */
	struct span path; /* alone: of the part in its message */
	bool alone, typed, related;
	struct arena facts;
	struct mail_row **rows; /* by number of the part */
	size_t n_rows, rows_cap;
	uint64_t parts_left_out, anomalies_left_out, size;
	size_t n_anomalies;
	struct leaf_shared shared;
	struct mail_header header;
	struct address_list *lists; /* MAIL_LISTS of them, while its header is read */
	void *sunk;	      /* what stands for it with the sink of options; NULL: not wanted */
	EVP_MD_CTX *sunk_sha; /* of what the sink got */
	bool broken, finished;
	struct leaf leaves[MAIL_LEAVES_MAX]; /* large, and not zero: the last */
};

/* All of them are false when there was no memory; what does not fit the budget is left out. */

/* mail_new() without a parser, and: with one, but for the sink. */
struct mail *mail_make(const struct mail_options *);
struct mail *mail_with_parser(const struct mail_options *);
bool mail_event(struct mail *, const struct mime_event *);
/* Octets for the parser, if there is one. */
bool mail_parse(struct mail *, struct span octets);

/* Nothing of these can fail: what a sink cannot have whole it hears was cut. */
void mail_sink_begin(struct mail *);
void mail_sink_feed(struct mail *, struct span octets);
void mail_sink_end(struct mail *, bool whole);

/* Of a file, before the parser's part in it. */
bool mail_file_feed(struct mail *, struct span octets);
bool mail_file_finish(struct mail *);

/* Where a part is in the message that it was taken from, or that the one around it was. */
void mail_alone_path(const struct mail *, const struct mime_part *from, char out[MIME_PATH_MAX]);

bool mail_head_field(struct mail *, const struct mime_event *);
bool mail_head_end(struct mail *);
void mail_head_free(struct mail *);

/* Copies what is kept of a text. */
void mail_keep(struct mail *, struct span text, struct span *out);
void mail_note(
    struct mail *, struct mail_row *, enum mime_anomaly, uint64_t off, const char *detail);

bool mail_part_header(struct mail *, struct mail_row *, const struct mime_part *);
/* One of its parts begins: what a multipart had before it is no leaf. */
bool mail_part_child(struct mail *, struct mail_row *, const struct mime_part *child);
/* Octets of its content, or of what stands outside of its parts. */
bool mail_part_body(struct mail *, struct mail_row *, const struct mime_event *);
bool mail_part_end(struct mail *, struct mail_row *, const struct mime_part *);

#endif
