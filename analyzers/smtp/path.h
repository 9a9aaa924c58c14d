/*
 * path - reverse-path and forward-path of MAIL and RCPT (RFC 5321 s4.1.2, RFC 6531 s3.3).
 *
 * Parses what stands between "<" and ">" into its pieces, once, strictly; what is forwarded and
 * what is judged are both made from these pieces, so they cannot differ. Nothing is guessed: an
 * address that two parsers could split in two ways is a fault. Pure; allocates nothing.
 */
#ifndef POSTERN_SMTP_PATH_H
#define POSTERN_SMTP_PATH_H

#include "core/buf.h"
#include "core/ip.h"

/* RFC 5321 s4.5.3.1: octets, without the brackets. */
#define SMTP_LOCAL_MAX	64
#define SMTP_DOMAIN_MAX 255
#define SMTP_PATH_MAX	254 /* 256 with the brackets */

enum smtp_domain_kind {
	SMTP_DOMAIN_NONE,    /* no "@": a bare local part */
	SMTP_DOMAIN_NAME,    /* a host name, U-labels allowed where SMTPUTF8 is */
	SMTP_DOMAIN_LITERAL, /* [192.0.2.1] or [IPv6:2001:db8::1], address filled in */
	SMTP_DOMAIN_TAGGED,  /* another well-formed literal, [tag:content] */
};

/* X(enumerator, why, in words that a reply can carry) */
#define SMTP_PATH_FAULTS(X)                                                                        \
	X(SMTP_PATH_OK, "")                                                                        \
	X(SMTP_PATH_SYNTAX, "bad address syntax")                                                  \
	X(SMTP_PATH_BRACKETS, "address must be in angle brackets")                                 \
	X(SMTP_PATH_LOCAL_SYNTAX, "bad local part")                                                \
	X(SMTP_PATH_LOCAL_EMPTY, "empty local part")                                               \
	X(SMTP_PATH_LOCAL_LONG, "local part too long")                                             \
	X(SMTP_PATH_DOMAIN_SYNTAX, "bad domain")                                                   \
	X(SMTP_PATH_DOMAIN_LONG, "domain too long")                                                \
	X(SMTP_PATH_LONG, "path too long")                                                         \
	X(SMTP_PATH_LITERAL_SYNTAX, "bad address literal")                                         \
	X(SMTP_PATH_ROUTE_SYNTAX, "bad source route")                                              \
	X(SMTP_PATH_DOUBLE_AT, "more than one @")                                                  \
	X(SMTP_PATH_ENCODED_WORD, "encoded word in an address")                                    \
	X(SMTP_PATH_CONFUSABLE, "character that looks like an operator")                           \
	X(SMTP_PATH_NOT_ASCII, "address is not ASCII and SMTPUTF8 was not asked for")              \
	X(SMTP_PATH_NOT_UTF8, "bad UTF-8")

enum smtp_path_fault {
#define X(id, why) id,
	SMTP_PATH_FAULTS(X)
#undef X
	    SMTP_PATH_FAULT_COUNT
};

const char *smtp_path_why(enum smtp_path_fault);

/*
 * All spans point into the text that was parsed. With SMTP_PATH_DOUBLE_AT everything is filled in,
 * split at the last unquoted "@", so that the relay check can name an attempt for what it is.
 */
struct smtp_path {
	struct span raw;   /* what stood between the brackets, for replies and records */
	bool null;	   /* <> */
	struct span route; /* source route with its "@"s, without the colon: "@a,@b"; or empty */
	struct span local; /* as written, with its quotes */
	bool quoted;	   /* the local part is a quoted string */
	enum smtp_domain_kind domain_kind;
	struct span domain; /* without trailing dot; of a literal: what is inside the brackets */
	bool trailing_dot;  /* one was there and is not part of domain */
	struct ip address;  /* of SMTP_DOMAIN_LITERAL */
	bool ascii;	    /* no octet above 0x7f anywhere in raw */
};

/*
 * text       from "<" on, to the end of the command line
 * lenient    a path without brackets is taken (it then ends at the first blank)
 * utf8       SMTPUTF8 is in force for this address. Where the caller cannot know yet (the
 *            parameter stands behind the path): true, and smtp_path.ascii tells.
 * *rest      what follows the path, without the blanks around it
 *
 * *out is always filled in as far as the parse came; raw, ascii and *rest also of a faulty path.
 *
 * A source route is checked as the domain list that it is. Local parts: dot-string (RFC 5321
 * plus the operators "%" and "!", which are atext anyway) or quoted string with quoted pairs;
 * an empty quoted string, a control octet, a comment are faults. Domains: letters, digits,
 * hyphens (not at either end of a label), labels of 1 to 63 octets, 255 in all, not all
 * digits in the last label; underscores are a fault. U-labels pass as UTF-8, not judged here,
 * but U+3002, U+FF0E, U+FF61 are SMTP_PATH_DOMAIN_SYNTAX, and look-alikes of @ % ! : (full
 * width and small forms) in a local part are SMTP_PATH_CONFUSABLE, in a domain
 * SMTP_PATH_DOMAIN_SYNTAX. Literals: an IPv6 address without its tag is a fault. A route in
 * front of a bare local part is one too.
 */
enum smtp_path_fault smtp_path_parse(
    struct span text, bool lenient, bool utf8, struct smtp_path *out, struct span *rest);

/*
 * The one form that is forwarded: "<local@domain>", no route, no trailing dot, quotes only where
 * needed, domain in the case it was written in. Only of a path without a fault. False: out is
 * full.
 */
bool smtp_path_canonical(const struct smtp_path *, struct buf *out);

/* The local part as the receiver understands it: without quotes and quoted pairs. */
bool smtp_path_local_plain(const struct smtp_path *, struct buf *out);

#endif
