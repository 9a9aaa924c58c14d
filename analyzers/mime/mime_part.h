/*
 * mime_part - what the header of a part says about it (RFC 2045 s3 to s8, RFC 2183).
 *
 * Fields that stand twice are kept twice, up to MIME_SAID_MAX: programs differ in which they
 * believe.
 */
#ifndef POSTERN_MIME_PART_H
#define POSTERN_MIME_PART_H

#include "core/arena.h"
#include "mime/mime.h"
#include "mime/param.h"

#define MIME_SAID_MAX	    4	 /* fields of one name, and encodings, that are kept */
#define MIME_SAID_TEXT_MAX  1024 /* octets kept of Content-ID, Content-Description, encoding */
#define MIME_SAID_ARENA_MAX 16384
#define MIME_SAID_VALUE_MAX 65536 /* octets of a value that has parameters, that are looked at */

/* How a body is to be read. */
enum mime_body {
	MIME_BODY_LEAF,
	MIME_BODY_MESSAGE,
	MIME_BODY_MULTIPART,
};

struct mime_said {
	enum mime_body bodies[MIME_SAID_MAX]; /* of each type */
	unsigned n_types;
	bool has_disposition;
	enum mime_encoding encodings[MIME_SAID_MAX]; /* different ones */
	unsigned n_encodings;
	struct span encoding_raw, content_id, description;
	bool version;		  /* MIME-Version is there */
	bool two_types;		  /* two Content-Type with different values */
	bool duplicate;		  /* some other field that may stand only once stands twice */
	bool odd_encoding;	  /* more than a token, or an unknown one */
	struct arena arena;	  /* short texts */
	size_t held;		  /* octets of memory: of types and disposition */
	struct span type_raw;	  /* the first, to compare */
	struct span default_type; /* "text/plain", or "message/rfc822" in a digest */
	/* large, and nothing but as far as n_types and has_disposition say: the last */
	struct param_value types[MIME_SAID_MAX];
	struct param_value disposition; /* the first */
};

void mime_said_init(struct mime_said *, bool in_digest);
void mime_said_free(struct mime_said *);

/*
 * A field. room: octets of memory that what it says may take; of a value that takes more only the
 * beginning is read, and a fault says so. parameters: of one field, kept. *faults: what its grammar
 * says is odd, offsets in the value. False: no memory.
 */
bool mime_said_field(struct mime_said *, struct span name, struct span value, size_t room,
    unsigned parameters, struct mime_faults *faults);

/* The header is complete: fills in what it says of the part. False: no memory. */
bool mime_said_settle(struct mime_said *, struct mime_part *);

/* What a Content-Transfer-Encoding says; *odd: it is more than one known token. */
enum mime_encoding mime_encoding_of(struct span value, bool *odd);

enum mime_body mime_body_of(struct span type);

#endif
