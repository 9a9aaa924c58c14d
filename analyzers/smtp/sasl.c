#include "smtp/sasl.h"

#include "core/base64.h"

#define CRAM_DIGEST 32
#define PLAIN_MAX   9216 /* what 12,288 octets of base64 hold (RFC 4954 s4) */

void
sasl_begin(struct sasl *s, struct span mechanism)
{
	*s = (struct sasl){0};
	if (mechanism.n >= sizeof(s->mechanism))
		return;
	for (size_t i = 0; i < mechanism.n; i++)
		s->mechanism[i] = (char)(mechanism.p[i] >= 'a' && mechanism.p[i] <= 'z'
					     ? mechanism.p[i] - ('a' - 'A')
					     : mechanism.p[i]);
}

static void
set_user(struct sasl *s, struct span user)
{
	user = span_first(user, sizeof(s->user) - 1);
	if (user.n == 0)
		return;
	memcpy(s->user, user.p, user.n);
	s->user[user.n] = '\0';
}

/* What stands before the first c; all of it when there is none. */
static struct span
before(struct span s, uint8_t c)
{
	ptrdiff_t at = span_find(s, c);

	return at < 0 ? s : span_first(s, (size_t)at);
}

static struct span
after(struct span s, uint8_t c)
{
	ptrdiff_t at = span_find(s, c);

	return at < 0 ? SPAN_NONE : span_from(s, (size_t)at + 1);
}

/* The value behind the first "key", up to any octet of ends. */
static struct span
value_behind(struct span s, const char *key, const char *ends)
{
	struct span want = span_str(key);

	while (s.n > 0 && !span_istarts(s, want))
		s = span_from(s, 1);
	s = span_from(s, want.n);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == ' ')
			break; /* more than a name */
		else if (span_find(span_str(ends), s.p[i]) >= 0)
			return span_first(s, i);
	return SPAN_NONE; /* no end: whatever it is, a secret may stand in it */
}

/* [authzid] NUL authcid NUL passwd (RFC 4616 s2); with one NUL only, the rest is a secret */
static struct span
plain_user(struct span r)
{
	struct span rest = after(r, '\0');

	return span_find(rest, '\0') < 0 ? SPAN_NONE : before(rest, '\0');
}

/* user SP digest, 32 hexadecimal digits; the user may have blanks (RFC 2195 s2) */
static struct span
cram_user(struct span r)
{
	ptrdiff_t at = span_rfind(r, ' ');
	struct span digest = at < 0 ? SPAN_NONE : span_from(r, (size_t)at + 1);

	for (size_t i = 0; i < digest.n; i++)
		if (!octet_is_digit(digest.p[i]) &&
		    (octet_lower(digest.p[i]) < 'a' || octet_lower(digest.p[i]) > 'f'))
			return SPAN_NONE;
	return digest.n == CRAM_DIGEST ? span_first(r, (size_t)at) : SPAN_NONE;
}

bool
sasl_is_plus(struct span mechanism)
{
	struct span plus = span_str("-PLUS");

	return span_istarts(mechanism, span_str("SCRAM-")) && mechanism.n > plus.n &&
	       span_ieq(span_from(mechanism, mechanism.n - plus.n), plus);
}

enum sasl_tie
sasl_tie(const struct sasl *s)
{
	static const struct {
		const char *begins;
		enum sasl_tie tie;
	} rows[] = {{"EXTERNAL", SASL_CERTIFICATE}, {"GSSAPI", SASL_CHANNEL_MAYBE},
	    {"GSS-SPNEGO", SASL_CHANNEL_MAYBE}, {"GS2-", SASL_CHANNEL_MAYBE},
	    {"NTLM", SASL_CHANNEL_MAYBE}};
	struct span m = span_str(s->mechanism);

	if (sasl_is_plus(m) || s->gs2 == 'p')
		return SASL_CHANNEL;
	if (s->gs2 == 'y')
		return SASL_CHANNEL_MISSED;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (span_starts(m, span_str(rows[i].begins)))
			return rows[i].tie;
	return SASL_FREE;
}

static void
note_gs2(struct sasl *s, struct span r)
{
	if (s->responses == 1 && r.n > 0 && span_starts(span_str(s->mechanism), span_str("SCRAM-")))
		s->gs2 = r.p[0];
}

static struct span
user_in(const struct sasl *s, struct span r)
{
	struct span m = span_str(s->mechanism);
	bool first = s->responses == 1;

	if (span_eq(m, span_str("PLAIN")))
		return first ? plain_user(r) : SPAN_NONE;
	if (span_eq(m, span_str("LOGIN")) || span_eq(m, span_str("EXTERNAL")))
		return first ? before(r, '\0') : SPAN_NONE;
	if (span_eq(m, span_str("CRAM-MD5")))
		return first ? cram_user(r) : SPAN_NONE;
	if (span_starts(m, span_str("SCRAM-")))
		return first ? value_behind(r, ",n=", ",") : SPAN_NONE;
	if (span_eq(m, span_str("DIGEST-MD5")))
		return first ? value_behind(r, "username=\"", "\"") : SPAN_NONE;
	if (span_eq(m, span_str("XOAUTH2")))
		return first ? value_behind(r, "user=", "\x01") : SPAN_NONE;
	if (span_eq(m, span_str("OAUTHBEARER")))
		return first ? value_behind(r, ",a=", ",\x01") : SPAN_NONE;
	return SPAN_NONE;
}

void
sasl_response(struct sasl *s, struct span base64)
{
	uint8_t octets[PLAIN_MAX]; /* one place, so that it can be wiped: a buffer would move */
	struct buf plain = {.p = octets, .cap = sizeof(octets), .max = sizeof(octets)};

	if (span_eq(base64, span_str("*")))
		return;
	s->responses++;
	if (!span_eq(base64, span_str("=")) && base64_decode(base64, &plain)) {
		note_gs2(s, buf_span(&plain));
		set_user(s, user_in(s, buf_span(&plain)));
	}
	explicit_bzero(octets, sizeof(octets));
}
