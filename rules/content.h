/*
 * content - what may be in a message: judged on what is known of it once it has ended, before its
 * end mark goes anywhere. Pure, as all policy.
 *
 * Where nothing can be held back (mail that a client fetches) the same rules only report.
 */
#ifndef POSTERN_CONTENT_H
#define POSTERN_CONTENT_H

#include "digests.h"
#include "mime/mail.h"
#include "policy.h"

/*
 * X(enumerator, name of the setting, reason in records, what the reply says of the part)
 * In this order one is preferred to another, where a message has given cause to several.
 */
#define CONTENT_RULE_TABLE(X)                                                                      \
	X(CONTENT_SHA256, "sha256", "its SHA-256 digest is on a list")                             \
	X(CONTENT_TYPE, "types", "files of this type are not accepted")                            \
	X(CONTENT_EXTENSION, "extensions", "files of this name are not accepted")                  \
	X(CONTENT_MISMATCH, "mismatch", "it is not what its name or type says")                    \
	X(CONTENT_BOMB, "bomb", "it would unpack to far more than it is")                          \
	X(CONTENT_ENCRYPTED, "encrypted_archive", "encrypted archives are not accepted")           \
	X(CONTENT_PARTIAL, "partial", "pieces of a whole are not accepted")                        \
	X(CONTENT_SIZE, "size", "it is too large")                                                 \
	X(CONTENT_AMBIGUOUS, "ambiguous", "mail programs read it in different ways")               \
	X(CONTENT_INCOMPLETE, "incomplete", "it has more than can be looked at")

enum content_rule {
#define X(id, name, text) id,
	CONTENT_RULE_TABLE(X)
#undef X
	    CONTENT_RULES
};

struct content_policy {
	enum check check; /* at most so much is done, whatever the single rules say */
	enum check rules[CONTENT_RULES];
	char **types;	   /* lower case, "*" stands for any octets; NULL-terminated, or NULL */
	char **extensions; /* lower case, without the dot; as above */
	struct digests sha256;
	uint64_t part_size; /* octets, decoded; 0: any */
};

/* What is done about a rule: the lesser of what it and "check" say. */
enum check content_does(const struct content_policy *, enum content_rule);
/* The rule is not off, and has something to look for. */
bool content_armed(const struct content_policy *, enum content_rule);

/* Some rule that is armed may refuse. */
bool content_may_refuse(const struct content_policy *);

/*
 * mail      after mail_finish(); NULL: nothing is known of it
 * may_hold  the message can still be refused; else a rule that enforces reports
 *
 * *out is always filled in: rule "content", reason the name of the content rule, or "clean". A
 * refusal says "550 5.7.1 Message refused: ..." with the path of the part ("1.2"), and no text from
 * the message; of a file (mail_file_new()) "550 File refused: ...", as FTP knows no enhanced codes.
 */
void content_judge(
    const struct content_policy *, const struct mail *mail, bool may_hold, struct verdict *out);

/*
 * A name that a file is given later (RNTO): only the rule of extensions can speak of it. *out as
 * above; the reply of a refusal begins with 550.
 */
void content_judge_name(const struct content_policy *, struct span name, struct verdict *out);

/* pattern: lower case, "*" stands for any octets. */
bool content_glob(const char *pattern, struct span text);
/*
 * A file of that name has this extension (lower case, "exe", "tar.gz") for some system: blanks and
 * dots at its end do not count, nor does what stands behind a NUL or a colon.
 */
bool content_has_extension(struct span name, const char *extension);

#endif
