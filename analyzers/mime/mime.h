/*
 * mime - a message as it streams by: its parts, their headers, their decoded octets.
 * Sources: RFC 5322, RFC 2045 to 2049, RFC 2183, RFC 2231, RFC 2047, RFC 6532.
 *
 * Push octets of one message (lines as on the wire, or with bare LF as in a file), in any
 * chunking: the events are the same for every chunking. No copy of the message is kept; memory is
 * bounded by the limits given at creation, whatever is sent, and so is the time per octet.
 *
 * Parsing never fails: a message is whatever mail programs make of it. Where two of them would
 * read it in two ways, that is an anomaly "ambiguous" that names both readings, and where one of
 * the readings has a part that the other has not, the part is found.
 */
#ifndef POSTERN_MIME_H
#define POSTERN_MIME_H

#include "core/event.h"
#include "mime/mime_anomaly.h"

/* 0: the default, which stands behind each. */
struct mime_limits {
	/* octets of one header that are looked at: 256 KiB; a quarter of it where it is encoded */
	size_t header;
	unsigned fields;     /* of one header: 1000 */
	unsigned depth;	     /* parts within parts: 100; deeper ones are leaves */
	unsigned parts;	     /* 10,000; what comes behind is the body of the last one */
	size_t boundary;     /* octets of one: 2048 */
	unsigned parameters; /* of one field: 256 */
	unsigned anomalies;  /* told of one message: 1000; that a part is ambiguous always is */
};

enum mime_encoding {
	MIME_7BIT, /* also where nothing is said */
	MIME_8BIT,
	MIME_BINARY,
	MIME_QUOTED_PRINTABLE,
	MIME_BASE64,
	MIME_UUENCODE,
	MIME_YENC,
	MIME_BINHEX,
	MIME_UNKNOWN_ENCODING, /* taken as binary */
	MIME_ENCODINGS
};
/* "base64", ...; of MIME_UNKNOWN_ENCODING "unknown". */
const char *mime_encoding_name(enum mime_encoding);

enum mime_shape {
	MIME_LEAF,
	MIME_MULTIPART, /* a leaf at its MIME_PART_END, when no part came: its path stays */
	MIME_MESSAGE,	/* message/rfc822, message/global: its only child is that message's body */
};

enum mime_reading {
	MIME_PLAIN,	  /* name=value */
	MIME_RFC2231,	  /* name*=value, or name*0=value with all its sections */
	MIME_NOT_RFC2231, /* name*=value or name*0=value as a program reads it that knows neither */
};

/*
 * One parameter of Content-Type or Content-Disposition, RFC 2231 undone. A name may be there more
 * than once: then programs differ in which they take.
 */
struct mime_parameter {
	enum mime_reading reading;
	struct span name;  /* lower case */
	struct span value; /* UTF-8 where the charset is known, else as it came */
	struct span raw;   /* as it came */
};

#define MIME_PATH_MAX 256 /* octets of "1.2.1" with its NUL */

/*
 * A part. Good until its MIME_PART_END was handed out; spans point into the parser's own memory,
 * and are empty where the header says nothing.
 */
struct mime_part {
	unsigned number; /* from 0 in the order of their beginnings; 0 is the message itself */
	unsigned parent; /* number; its own for the message itself */
	unsigned depth;	 /* 0: the message itself */
	char path[MIME_PATH_MAX]; /* as in IMAP; of the message itself "1" when it is a leaf, else
				     "" */
	enum mime_shape shape;
	bool generated; /* no header made it: uuencoded text within a text part, ... */
	struct span
	    type; /* declared: "text/plain", lower case; the default where none is declared */
	bool type_declared;
	const struct mime_parameter *parameters;
	size_t n_parameters;
	const struct mime_parameter *disposition_parameters;
	size_t n_disposition_parameters;
	enum mime_encoding encoding;
	struct span encoding_raw; /* as it came */
	struct span charset;	  /* lower case */
	struct span disposition;  /* "attachment", lower case */
	struct span filename;	  /* UTF-8, of filename, else of name */
	struct span filename_raw;
	struct span content_id, description;
	uint64_t offset; /* in the message, of its first octet */
	uint64_t header_size, encoded_size,
	    size;	    /* octets; size: decoded. Final at MIME_PART_END */
	uint64_t lines;	    /* of the body, as encoded */
	uint64_t stop_size; /* of base64 that goes on behind its padding: decoded octets of those
			       who stop there, known with the first MIME_BODY that has more;
			       else UINT64_MAX */
};

enum mime_kind {
	MIME_PART_BEGIN, /* nothing but number, parent, depth, generated, offset is known */
	MIME_FIELD,	 /* a whole field of its header: name, raw value unfolded */
	MIME_HEADER_END, /* everything that a header says is known */
	/*
	 * Octets of a leaf, decoded: in "octets". Of a multipart, as they are: what stands outside
	 * of its parts, before the first and behind the last; all of them, where no part comes.
	 */
	MIME_BODY,
	/*
	 * Of base64 with "-" and "_": octets of the leaf as those have it who take them for "+" and
	 * "/" (M-016). The first one comes, perhaps with no octets, before a MIME_BODY: up to there
	 * both have the same.
	 */
	MIME_BODY_URL_SAFE,
	MIME_PART_END,
	MIME_ANOMALY,
	MIME_MESSAGE_END, /* after mime_finish(): nothing follows */
};

struct mime_event {
	enum mime_kind kind;
	const struct mime_part *part; /* never NULL */
	uint64_t off;		      /* in the message */
	struct span octets; /* MIME_BODY: content; MIME_FIELD: the value, without its line end */
	struct span name;   /* MIME_FIELD: as it came, without blanks and comments */
	enum mime_anomaly anomaly;
	const char *detail; /* of an anomaly: both readings, or NULL; good until the next call */
};

struct mime;

/* Octets of memory that one parser of these limits holds at most, whatever it is fed. */
size_t mime_octets_max(const struct mime_limits *);
/* limits is copied; NULL: all defaults. NULL: no memory. */
struct mime *mime_new(const struct mime_limits *limits);
void mime_free(struct mime *); /* NULL is fine */

/*
 * Takes octets up to and including one event; *used: how many. AN_EVENT: *ev is filled in; call
 * again with what is left, also when that is nothing. AN_MORE: all was taken, nothing to say.
 * AN_NOMEM: only mime_free() may follow.
 */
enum an_status mime_feed(struct mime *, struct span octets, size_t *used, struct mime_event *ev);
/* The message ends here. To be called until it gives MIME_MESSAGE_END. */
enum an_status mime_finish(struct mime *, struct mime_event *ev);

#endif
