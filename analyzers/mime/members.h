/*
 * members - the list of what is in an archive, bounded, with what is odd about the archive.
 * All readers of archives (zip.h, tar.h, gzip.h, tnef.h, archive.h) write into one.
 *
 * Names are octets of somebody else: never to be used as a path, and not always UTF-8. Nothing is
 * ever unpacked to anywhere.
 */
#ifndef POSTERN_MEMBERS_H
#define POSTERN_MEMBERS_H

#include "core/buf.h"

#define MEMBER_NAME_MAX	   1024		/* octets of one name; longer ones are cut */
#define MEMBERS_NAMES_MAX  (256 * 1024) /* octets of all names of one archive */
#define MEMBERS_DETAIL_MAX 320		/* octets, with NUL: two names, cut to 100 octets each */

/* What an archive would unpack to before it counts as a bomb: both must be passed. */
#define BOMB_RATIO  250
#define BOMB_OCTETS (100 << 20)

#define MEMBER_SIZE_UNKNOWN UINT64_MAX

struct member {
	struct span name; /* good until members_free() or the next members_add() */
	uint64_t size;	  /* as the archive says; MEMBER_SIZE_UNKNOWN: it does not */
	uint64_t packed;  /* the same */
	bool encrypted, folder;
};

/* Shared by all archives of a message; each takes from it what it uses. */
struct archive_budget {
	unsigned members; /* that may still be listed */
	uint64_t inflate; /* octets that may still be inflated, to see inside */
};
#define ARCHIVE_BUDGET_MEMBERS 1000
#define ARCHIVE_BUDGET_INFLATE (16 << 20)

struct members {
	struct archive_budget *budget;
	struct buf names;
	struct member_row *rows;
	size_t n, cap;
	uint64_t left_out;     /* members beyond the budget */
	uint64_t size, packed; /* sums of what is known, of all members; they stop at UINT64_MAX */
	bool encrypted;	       /* a member or the list of members is */
	bool bomb;
	bool partial; /* not everything was seen */
	bool nomem;
	const char *fault; /* constant: what is damaged; NULL: nothing */
	/* Two programs would find different members: both readings; "": no. The first is kept. */
	char ambiguous[MEMBERS_DETAIL_MAX];
	unsigned ambiguities;
};

/* budget is used until members_free(). Allocates nothing yet. */
void members_init(struct members *, struct archive_budget *budget);
void members_free(struct members *);

/* False: left out (budget, memory); it is counted. The name is copied. */
bool members_add(struct members *, const struct member *);
struct member members_get(const struct members *, size_t i); /* i < n */

/* For what only comes to light behind a member's octets. i < n. */
void members_set_sizes(struct members *, size_t i, uint64_t size, uint64_t packed);

/* a and b: the readings as constants; name_a and name_b may be empty. */
void members_ambiguous(
    struct members *, const char *a, struct span name_a, const char *b, struct span name_b);
void members_fault(struct members *, const char *fault); /* the first is kept */
/*
 * At the end: is it a bomb, by the sizes that it claims? whole: octets of the archive. Also one
 * that holds itself, or nothing but archives of one size.
 */
void members_judge(struct members *, uint64_t whole);

#endif
