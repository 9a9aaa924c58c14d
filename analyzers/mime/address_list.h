/*
 * address_list - From, To, Cc, Bcc, Reply-To: single addresses, decoded to UTF-8 (RFC 5322 s3.4
 * and s4.4, RFC 6854, RFC 6532).
 *
 * Comments are dropped (but where they are the only name: "a@b (Name)"), groups give their members,
 * obsolete routes are dropped, encoded words in names are decoded. What is no address is kept as
 * text: it is somebody's idea of one. Linear in time; the first max addresses are kept, the rest is
 * counted.
 *
 * Faults, offsets in the value (of what is within an address: of its end): MIME_ODD_ADDRESS with a
 * detail, and those of word.h.
 */
#ifndef POSTERN_MIME_ADDRESS_LIST_H
#define POSTERN_MIME_ADDRESS_LIST_H

#include "core/buf.h"
#include "mime/fault.h"

#define ADDRESS_PIECE_MAX 1024 /* octets that are looked at of a name, of an address */

/* Spans are good until the list is freed. */
struct address {
	struct span text;    /* "Name <local@domain>" or "local@domain"; never quoted */
	struct span name;    /* display name, decoded; empty: none */
	struct span address; /* "local@domain", no route, no comment; empty: what is no address */
};

struct address_list {
	struct address *each;
	size_t n, max;
	uint64_t left_out; /* addresses beyond max */
	struct mime_faults faults;
	size_t room;
};

/* max: addresses that are kept. */
void address_list_init(struct address_list *, size_t max);
void address_list_free(struct address_list *);
/*
 * Adds the addresses of one field (a header may have several), unfolded or not. False: no memory;
 * what is in the list stays good.
 */
bool address_list_add(struct address_list *, struct span value);

#endif
