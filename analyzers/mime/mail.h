/*
 * mail - what is in a message: the tree of its parts with sizes, digests, types, names, members of
 * archives, links, and everything odd about them. What records, the content policy and "postern
 * mime" speak of.
 *
 * Fed with octets of a message in any chunking, it drives mime.h and keeps the facts, not the
 * octets. Memory is bounded (mail_octets_max()); what is beyond a bound is counted.
 */
#ifndef POSTERN_MAIL_H
#define POSTERN_MAIL_H

#include "mime/mime.h"

/* What a sink is given the octets of. */
enum mail_content {
	MAIL_CONTENT_MESSAGE, /* as fed to a mail made by mail_new() */
	MAIL_CONTENT_LEAF,    /* decoded, of a part that is a leaf; a file of mail_file_new() */
};

/*
 * Who wants the octets too, besides the facts. All calls come from within functions of a mail that
 * was made with it. A leaf whose content is not looked at (parts that were left out) is not given.
 */
struct mail_sink {
	/* Returns what stands for it in the calls below; NULL: not wanted. */
	void *(*begin)(void *arg, enum mail_content);
	/* Good during the call. False: no more of it is wanted, and no call comes for it. */
	bool (*octets)(void *arg, void *of, struct span);
	/*
	 * No octet of it comes any more. sha256: the digest of all of them (32 octets); NULL: it
	 * was cut, or turned out to be no leaf. True: it was kept (mail_part.stored).
	 */
	bool (*end)(void *arg, void *of, const uint8_t *sha256);
	void *arg;
};

struct mail_options {
	struct mime_limits mime;
	const struct mail_sink *sink; /* needs sha256; NULL: nobody, which costs nothing */
	bool sha256, md5, sha1;
	bool types;    /* detected types; needs analyzers_init() */
	bool archives; /* members of archives */
	bool urls;
	unsigned parts;	     /* kept: 1000; the rest is counted */
	unsigned detected;   /* parts whose type is detected: 64 */
	unsigned members;    /* of archives, of one message: 1000 */
	unsigned urls_max;   /* of one message: 100 */
	unsigned recipients; /* addresses that are kept of each of To, Cc ...: 100 */
};

struct mail_anomaly {
	enum mime_anomaly what;
	uint64_t off;
	const char *detail; /* both readings, ...; or NULL */
};

/* A file within an archive, or an attachment within a TNEF container. */
struct mail_member {
	struct span name; /* UTF-8 or as it came; never to be used as a path */
	uint64_t size;	  /* as the archive says; UINT64_MAX: it does not */
	uint64_t packed;
	bool encrypted, folder;
};

enum mail_archive {
	MAIL_NO_ARCHIVE,
	MAIL_ARCHIVE,	      /* members are all there are */
	MAIL_ARCHIVE_PARTIAL, /* those that a bounded prefix showed, or that fit the budget */
};

/*
 * A multipart none of whose boundaries came is a leaf: its text is looked at like that of any other
 * (M-012). What stands before the first part and behind the last is searched for links and for
 * files (uuencode, yEnc, BinHex), but is no leaf.
 */
struct mail_part {
	unsigned number, parent, depth;
	char path[MIME_PATH_MAX];
	enum mime_shape shape;
	bool generated;
	/*
	 * A leaf that a mail program shows as a file: with disposition "attachment", or a name, or
	 * neither text nor message, unless it is a piece of multipart/related that has a Content-ID
	 * or is "inline" (the picture in a page).
	 */
	bool attachment;
	struct span type;
	bool type_declared;
	struct span detected;	 /* "application/pdf"; empty: not looked at */
	bool detection_left_out; /* there were too many parts */
	enum mime_encoding encoding;
	struct span encoding_raw, charset, disposition;
	struct span filename, filename_raw, content_id;
	const struct span *names; /* every name that some program would give it, the worst first */
	size_t n_names;
	uint64_t offset, header_size, encoded_size, size, lines;
	uint8_t sha256[32], sha1[20], md5[16];
	bool has_digests;
	bool stored; /* a sink kept its octets under its sha256 */
	/* base64 that goes on behind its padding: what those have who stop there (M-016) */
	uint64_t stop_size; /* UINT64_MAX: it is no such content */
	uint8_t stop_sha256[32];
	bool has_stop_sha256;
	/* base64 with "-" and "_": what those have who take them for "+" and "/" (M-016) */
	uint64_t url_safe_size; /* UINT64_MAX: it is no such content */
	uint8_t url_safe_sha256[32];
	bool has_url_safe_sha256;
	const char
	    *mismatch; /* why declared type, name and content contradict each other; or NULL */
	bool ambiguous;
	bool partial;	/* a piece of a file: mail_file_new() was told so */
	bool encrypted; /* an archive with encrypted members, S/MIME or PGP encrypted content */
	bool bomb;	/* it would unpack to far more than it is */
	enum mail_archive archive;
	const struct mail_member *members;
	size_t n_members;
	uint64_t members_left_out; /* known, and more than fit the bounds */
	const struct mail_anomaly *anomalies;
	size_t n_anomalies;
};

struct mail;

#define MAIL_TEXT_MAX  4096u	  /* octets kept of one text; what is longer is cut */
#define MAIL_FACTS_MAX (2u << 20) /* octets of everything that is kept, but URLs */
#define MAIL_NAMES_MAX 16	  /* names kept of one part */

/* sha256, types, archives, urls; the limits that stand behind each. */
void mail_options_default(struct mail_options *);
/* NULL: no memory. */
struct mail *mail_new(const struct mail_options *);
/*
 * Of a file instead of a message: its facts are those of a single leaf, an attachment of that name
 * (as a header would have said it), path "1", without a declared type (type is empty), number 0.
 * Where its content turns out to be a message (detected as one, or called .eml and no archive), the
 * parts of that hang below it as they would below message/rfc822: its body is "1.1", or "1" itself
 * where it is a multipart, and mail_header() and URLs are those of that message. Offsets are those
 * in the file. partial: it is a piece, as a resumed transfer gives it; the rule "partial" of the
 * content policy sees it as one.
 */
struct mail *mail_file_new(const struct mail_options *, struct span name, bool partial);

/*
 * What is known of a part from elsewhere (IMAP: BODYSTRUCTURE), each text as its header field would
 * have it; empty: not known, or there is none. Line ends and NUL in them count as blanks.
 */
struct mail_said {
	struct span path;	   /* "1.2", as FETCH names it; empty: "1" */
	struct span type, subtype; /* "text", "plain"; a part without has an empty type */
	struct span parameters;	   /* of the type: "; charset=utf-8; name=a.txt" */
	struct span encoding, disposition, content_id;
	bool decoded; /* its transfer encoding was undone by who gave it (BINARY[1.2]) */
	bool related; /* it is one of the parts of a multipart/related */
};
/*
 * Of a part that comes without its message: what is known of it, and of the parts below it, is the
 * same as in the message, with the paths it has there. Its number and depth are 0; offsets and
 * header_size are those of what is fed, without its header; mail_header() is empty.
 */
struct mail *mail_part_new(const struct mail_options *, const struct mail_said *);
void mail_free(struct mail *); /* NULL is fine */
/* Octets that one mail of these options may hold at most. */
size_t mail_octets_max(const struct mail_options *);

/* False: no memory; what is known stays, and nothing more becomes known (mail_broken()). */
bool mail_feed(struct mail *, struct span octets);
void mail_finish(struct mail *);
bool mail_broken(const struct mail *);
/* mail_finish() was called: the message came to its end. */
bool mail_finished(const struct mail *);
/* Made by mail_file_new(). */
bool mail_is_file(const struct mail *);
/* There is a message: made by mail_new(), or a file that turned out to be one. */
bool mail_is_message(const struct mail *);
/* What it was made with. */
const struct mail_options *mail_options(const struct mail *);
/* Octets fed. */
uint64_t mail_size(const struct mail *);

/* ---- what is known; final after mail_finish(), good until mail_free() ---- */

size_t mail_parts(const struct mail *);
const struct mail_part *mail_part(const struct mail *, size_t i);
uint64_t mail_parts_left_out(const struct mail *);
/* Something did not fit MAIL_FACTS_MAX: parts may lack names, types, members. */
bool mail_facts_left_out(const struct mail *);
uint64_t mail_anomalies_left_out(const struct mail *);

/* Header fields of the message itself, decoded to UTF-8; empty: it has none. */
struct mail_header {
	struct span subject, date, message_id, x_mailer;
	struct span from;			     /* the field, decoded */
	const struct span *to, *cc, *bcc, *reply_to; /* single addresses, decoded */
	size_t n_to, n_cc, n_bcc, n_reply_to;
	uint64_t addresses_left_out;
	unsigned received; /* fields */
};
const struct mail_header *mail_header(const struct mail *);

size_t mail_urls(const struct mail *);
struct span mail_url(const struct mail *, size_t i);
uint64_t mail_urls_left_out(const struct mail *);

#endif
