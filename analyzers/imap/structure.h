/*
 * structure - BODYSTRUCTURE and BODY without a section: what a server says of the parts of a
 * message, so that a part that is fetched alone has its type, encoding and name. Source: RFC 9051
 * s7.5.2.
 *
 * A push parser: fed with the octets of the value (literals within included) in any chunking.
 * Bounded: STRUCTURE_PARTS parts, STRUCTURE_TEXT octets of all texts, IMAP_NESTING brackets; what
 * is beyond is left out and said.
 */
#ifndef POSTERN_IMAP_STRUCTURE_H
#define POSTERN_IMAP_STRUCTURE_H

#include "core/arena.h"
#include "core/span.h"

#define STRUCTURE_PARTS 1000
#define STRUCTURE_TEXT	(64u << 10)

struct imap_part {
	/*
	 * As FETCH names it: "1.2"; the body of several parts that stands in the message "TEXT", in
	 * the message that is part 2 "2.TEXT". Empty: too long.
	 */
	char path[64];
	struct span type, subtype; /* MULTIPART: of several parts */
	struct span parameters;	   /* written as a header would: ; charset="utf-8"; name="a.pdf" */
	struct span encoding, disposition /* with its parameters, as a header would have it */, id;
	uint64_t size; /* octets in its transfer encoding */
};

struct imap_structure;

struct imap_structure *imap_structure_new(void); /* NULL: no memory */
void imap_structure_free(struct imap_structure *);
/* False: no memory. */
bool imap_structure_feed(struct imap_structure *, struct span octets);
/* The value is complete and could be read. */
bool imap_structure_whole(const struct imap_structure *);
bool imap_structure_left_out(const struct imap_structure *);
size_t imap_structure_parts(const struct imap_structure *);
const struct imap_part *imap_structure_part(const struct imap_structure *, size_t i);
/* By path; NULL: there is none. */
const struct imap_part *imap_structure_find(const struct imap_structure *, struct span path);

#endif
