#include "smtp/params.h"

#define ENVID_MAX	100 /* RFC 3461 s4.4 */
#define ORCPT_MAX	500 /* RFC 3461 s4.2 */
#define AUTH_MAX	500 /* RFC 4954 s5 */
#define SIZE_DIGITS_MAX 20  /* RFC 1870 s3 */

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

static const struct ext_row {
	const char *name;
	enum smtp_ext ext;
} exts[] = {
    {"SIZE", SMTP_EXT_SIZE},			/* RFC 1870 */
    {"8BITMIME", SMTP_EXT_8BITMIME},		/* RFC 6152 */
    {"SMTPUTF8", SMTP_EXT_SMTPUTF8},		/* RFC 6531 */
    {"DSN", SMTP_EXT_DSN},			/* RFC 3461 */
    {"CHUNKING", SMTP_EXT_CHUNKING},		/* RFC 3030 */
    {"BINARYMIME", SMTP_EXT_BINARYMIME},	/* RFC 3030 */
    {"AUTH", SMTP_EXT_AUTH},			/* RFC 4954 */
    {"PIPELINING", SMTP_EXT_PIPELINING},	/* RFC 2920 */
    {"ENHANCEDSTATUSCODES", SMTP_EXT_ENHANCED}, /* RFC 2034 */
    {"STARTTLS", SMTP_EXT_STARTTLS},		/* RFC 3207 */
    {"VRFY", SMTP_EXT_VRFY},			/* RFC 5321 s4.1.1.6 */
    {"EXPN", SMTP_EXT_EXPN},			/* RFC 5321 s4.1.1.7 */
    {"HELP", SMTP_EXT_HELP},			/* RFC 5321 s4.1.1.8 */
    {"ETRN", SMTP_EXT_ETRN},			/* RFC 1985 */
};

unsigned
smtp_ext_find(struct span keyword)
{
	if (span_istarts(keyword, span_str("AUTH="))) /* servers that date from before RFC 2554 */
		return SMTP_EXT_AUTH;
	for (size_t i = 0; i < nitems(exts); i++)
		if (span_ieq(keyword, span_str(exts[i].name)))
			return exts[i].ext;
	return 0;
}

const char *
smtp_ext_name(enum smtp_ext ext)
{
	for (size_t i = 0; i < nitems(exts); i++)
		if (exts[i].ext == ext)
			return exts[i].name;
	return "";
}

/* Digit of an xtext hexchar, upper case by RFC 3461 s4; or -1. */
static int
hex_digit(uint8_t c)
{
	if (octet_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "+" and two digits; what they stand for has to be printable too (RFC 3461 s4.2, s4.4). */
static bool
hexchar_ok(struct span s)
{
	int high, low;

	if (s.n < 3)
		return false;
	high = hex_digit(s.p[1]);
	low = hex_digit(s.p[2]);
	return high >= 0 && low >= 0 && high * 16 + low >= ' ' && high * 16 + low < 0x7f;
}

static bool
xtext_ok(struct span s, size_t max, bool utf8)
{
	if (s.n == 0 || s.n > max)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '=')
			return false;
		if (s.p[i] >= 0x80 && !utf8)
			return false;
		if (s.p[i] == '+' && !hexchar_ok(span_from(s, i)))
			return false;
	}
	return span_is_utf8(s);
}

static enum smtp_param_fault
check_size(struct span value, unsigned offered, struct smtp_params *out)
{
	(void)offered;
	if (value.n > SIZE_DIGITS_MAX || !span_u64(value, INT64_MAX, &out->size))
		return SMTP_PARAM_BAD_SIZE;
	return SMTP_PARAM_OK;
}

static enum smtp_param_fault
check_body(struct span value, unsigned offered, struct smtp_params *out)
{
	static const struct {
		const char *value;
		enum smtp_body body;
		enum smtp_ext ext;
	} bodies[] = {
	    {"7BIT", SMTP_BODY_7BIT, SMTP_EXT_8BITMIME},
	    {"8BITMIME", SMTP_BODY_8BITMIME, SMTP_EXT_8BITMIME},
	    {"BINARYMIME", SMTP_BODY_BINARYMIME, SMTP_EXT_BINARYMIME},
	};

	for (size_t i = 0; i < nitems(bodies); i++) {
		if (!span_ieq(value, span_str(bodies[i].value)))
			continue;
		if ((offered & bodies[i].ext) == 0)
			return SMTP_PARAM_UNKNOWN;
		out->body = bodies[i].body;
		out->used |= bodies[i].ext;
		return SMTP_PARAM_OK;
	}
	return SMTP_PARAM_SYNTAX;
}

static enum smtp_param_fault
check_smtputf8(struct span value, unsigned offered, struct smtp_params *out)
{
	(void)value;
	(void)offered;
	out->smtputf8 = true;
	return SMTP_PARAM_OK;
}

static enum smtp_param_fault
check_ret(struct span value, unsigned offered, struct smtp_params *out)
{
	(void)offered;
	(void)out;
	return span_ieq(value, span_str("FULL")) || span_ieq(value, span_str("HDRS"))
		   ? SMTP_PARAM_OK
		   : SMTP_PARAM_SYNTAX;
}

static enum smtp_param_fault
check_envid(struct span value, unsigned offered, struct smtp_params *out)
{
	(void)offered;
	(void)out;
	return xtext_ok(value, ENVID_MAX, false) ? SMTP_PARAM_OK : SMTP_PARAM_SYNTAX;
}

/* xtext of a mailbox, or "<>", which is xtext as well. */
static enum smtp_param_fault
check_auth(struct span value, unsigned offered, struct smtp_params *out)
{
	(void)offered;
	(void)out;
	return xtext_ok(value, AUTH_MAX, false) ? SMTP_PARAM_OK : SMTP_PARAM_SYNTAX;
}

/* "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" ), each once (RFC 3461 s4.1). */
static enum smtp_param_fault
check_notify(struct span value, unsigned offered, struct smtp_params *out)
{
	static const char *const events[] = {"SUCCESS", "FAILURE", "DELAY"};
	unsigned seen = 0;

	(void)offered;
	(void)out;
	if (span_ieq(value, span_str("NEVER")))
		return SMTP_PARAM_OK;
	for (;;) {
		ptrdiff_t comma = span_find(value, ',');
		struct span word = comma < 0 ? value : span_first(value, (size_t)comma);
		size_t i = 0;

		while (i < nitems(events) && !span_ieq(word, span_str(events[i])))
			i++;
		if (i == nitems(events) || (seen & 1u << i) != 0)
			return SMTP_PARAM_SYNTAX;
		if (comma < 0)
			return SMTP_PARAM_OK;
		seen |= 1u << i;
		value = span_from(value, (size_t)comma + 1);
	}
}

/* addr-type ";" xtext (RFC 3461 s4.2); "utf-8;" takes UTF-8 as it is (RFC 6533 s3). */
static enum smtp_param_fault
check_orcpt(struct span value, unsigned offered, struct smtp_params *out)
{
	ptrdiff_t semicolon = span_find(value, ';');
	struct span type;
	bool utf8;

	if (semicolon <= 0 || value.n > ORCPT_MAX)
		return SMTP_PARAM_SYNTAX;
	type = span_first(value, (size_t)semicolon);
	for (size_t i = 0; i < type.n; i++)
		if (!octet_is_alnum(type.p[i]) && type.p[i] != '-')
			return SMTP_PARAM_SYNTAX;
	utf8 = (offered & SMTP_EXT_SMTPUTF8) != 0 && span_ieq(type, span_str("utf-8"));
	if (!xtext_ok(span_from(value, type.n + 1), ORCPT_MAX, utf8))
		return SMTP_PARAM_SYNTAX;
	if (!span_is_ascii(value))
		out->used |= SMTP_EXT_SMTPUTF8;
	return SMTP_PARAM_OK;
}

static const struct param_row {
	const char *name;
	bool mail;    /* of MAIL, else of RCPT */
	bool value;   /* "=value" is there, or must not be */
	unsigned ext; /* 0: the value tells which */
	enum smtp_param_fault (*check)(struct span value, unsigned offered, struct smtp_params *);
} rows[] = {
    {"SIZE", true, true, SMTP_EXT_SIZE, check_size},		  /* RFC 1870 s6.1 */
    {"BODY", true, true, 0, check_body},			  /* RFC 6152 s2, 3030 s3 */
    {"SMTPUTF8", true, false, SMTP_EXT_SMTPUTF8, check_smtputf8}, /* RFC 6531 s3.4 */
    {"RET", true, true, SMTP_EXT_DSN, check_ret},		  /* RFC 3461 s4.3 */
    {"ENVID", true, true, SMTP_EXT_DSN, check_envid},		  /* RFC 3461 s4.4 */
    {"AUTH", true, true, SMTP_EXT_AUTH, check_auth},		  /* RFC 4954 s5 */
    {"NOTIFY", false, true, SMTP_EXT_DSN, check_notify},	  /* RFC 3461 s4.1 */
    {"ORCPT", false, true, SMTP_EXT_DSN, check_orcpt},		  /* RFC 3461 s4.2 */
};

static const struct param_row *
row_find(struct span name, bool is_mail)
{
	for (size_t i = 0; i < nitems(rows); i++)
		if (rows[i].mail == is_mail && span_ieq(name, span_str(rows[i].name)))
			return &rows[i];
	return NULL;
}

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool
keyword_ok(struct span name)
{
	if (name.n == 0 || name.p[0] == '-')
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!octet_is_alnum(name.p[i]) && name.p[i] != '-')
			return false;
	return true;
}

static enum smtp_param_fault
param_parse(
    struct span word, bool is_mail, unsigned offered, struct smtp_params *out, unsigned *seen)
{
	ptrdiff_t equals = span_find(word, '=');
	struct span name = equals < 0 ? word : span_first(word, (size_t)equals);
	const struct param_row *row = row_find(name, is_mail);
	unsigned bit;

	if (!keyword_ok(name))
		return SMTP_PARAM_SYNTAX;
	if (row == NULL || (row->ext & offered) != row->ext)
		return SMTP_PARAM_UNKNOWN;
	bit = 1u << (row - rows);
	if (row->value != (equals >= 0) || (*seen & bit) != 0)
		return SMTP_PARAM_SYNTAX;
	*seen |= bit;
	out->used |= row->ext;
	return row->check(span_from(word, name.n + 1), offered, out);
}

enum smtp_param_fault
smtp_params_parse(
    struct span text, bool is_mail, unsigned offered, struct smtp_params *out, struct span *bad)
{
	unsigned seen = 0;

	*out = (struct smtp_params){.text = text};
	for (;;) {
		struct span word = span_word(&text);
		enum smtp_param_fault fault;

		*bad = word;
		if (word.n == 0)
			return SMTP_PARAM_OK;
		fault = param_parse(word, is_mail, offered, out, &seen);
		if (fault != SMTP_PARAM_OK)
			return fault;
	}
}

bool
smtp_params_canonical(const struct smtp_params *params, struct buf *out)
{
	struct span rest = params->text;

	for (struct span word = span_word(&rest); word.n > 0; word = span_word(&rest)) {
		buf_octet(out, ' ');
		buf_add(out, word);
	}
	return !out->failed;
}
