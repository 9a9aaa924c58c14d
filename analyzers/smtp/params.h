/*
 * params - ESMTP parameters of MAIL and RCPT (RFC 5321 s4.1.2 "esmtp-param"), by allow-list.
 *
 * Each known parameter belongs to an EHLO keyword; it may be used only where that keyword was
 * offered. Unknown and doubled ones are faults. Pure; allocates nothing.
 */
#ifndef POSTERN_SMTP_PARAMS_H
#define POSTERN_SMTP_PARAMS_H

#include "core/buf.h"

/* EHLO keywords that Postern understands, as bits (RFC in the table in params.c). */
enum smtp_ext {
	SMTP_EXT_SIZE = 1u << 0,
	SMTP_EXT_8BITMIME = 1u << 1,
	SMTP_EXT_SMTPUTF8 = 1u << 2,
	SMTP_EXT_DSN = 1u << 3,
	SMTP_EXT_CHUNKING = 1u << 4,
	SMTP_EXT_BINARYMIME = 1u << 5,
	SMTP_EXT_AUTH = 1u << 6,
	SMTP_EXT_PIPELINING = 1u << 7,
	SMTP_EXT_ENHANCED = 1u << 8,
	SMTP_EXT_STARTTLS = 1u << 9,
	SMTP_EXT_VRFY = 1u << 10,
	SMTP_EXT_EXPN = 1u << 11,
	SMTP_EXT_HELP = 1u << 12,
	SMTP_EXT_ETRN = 1u << 13,
};

/*
 * The bit of a keyword as it stands in an EHLO line ("SIZE", "AUTH", also the old "AUTH=...");
 * 0: unknown.
 */
unsigned smtp_ext_find(struct span keyword);
const char *smtp_ext_name(enum smtp_ext); /* as EHLO has it */

enum smtp_body {
	SMTP_BODY_UNSAID,
	SMTP_BODY_7BIT,
	SMTP_BODY_8BITMIME,
	SMTP_BODY_BINARYMIME,
};

enum smtp_param_fault {
	SMTP_PARAM_OK,
	SMTP_PARAM_UNKNOWN,  /* 555 5.5.4: not known, or its keyword was not offered */
	SMTP_PARAM_SYNTAX,   /* 501 5.5.4: bad value, doubled, or a value missing */
	SMTP_PARAM_BAD_SIZE, /* 501 5.5.4 */
};

struct smtp_params {
	unsigned used; /* enum smtp_ext bits of the keywords they belong to */
	enum smtp_body body;
	uint64_t size;	  /* SIZE=, octets; 0: not said */
	struct span text; /* all of them as written, with the blanks between them */
	bool smtputf8;
};

/*
 * text      what follows the path, blanks at the front removed
 * is_mail   MAIL's parameters (SIZE BODY SMTPUTF8 RET ENVID AUTH), else RCPT's (NOTIFY ORCPT)
 * offered   keywords that the client was offered
 * *bad      the parameter that is at fault, for the reply; empty when there is none
 *
 * Values: printable ASCII without "=", xtext where the RFC has xtext (RFC 3461 s4), with UTF-8
 * where SMTPUTF8 was offered (ORCPT=utf-8;..., RFC 6533). RCPT does not say whether its MAIL asked
 * for SMTPUTF8: out->used has SMTP_EXT_SMTPUTF8 then, and the caller compares. What xtext encodes
 * has to be printable ASCII too. SIZE at most 20 digits and 2^63-1.
 */
enum smtp_param_fault smtp_params_parse(
    struct span text, bool is_mail, unsigned offered, struct smtp_params *out, struct span *bad);

/* " SIZE=100 BODY=8BITMIME": each with one blank before it, as written. Only without a fault. */
bool smtp_params_canonical(const struct smtp_params *, struct buf *out);

#endif
