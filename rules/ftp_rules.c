#include "ftp_rules.h"

#include "ftp/command.h"

/* One way to refuse: all constants. */
struct ftp_refusal {
	const char *reason, *reply;
};

static const struct ftp_refusal denied = {"denied", "502 Command not allowed here."};
static const struct ftp_refusal read_only = {"read_only", "550 Permission denied."};
static const struct ftp_refusal unknown = {"unknown", "502 Command not implemented."};
static const struct ftp_refusal not_spoken = {"not_spoken", "502 Command not implemented."};
static const struct ftp_refusal mode = {"mode", "504 Command not implemented for that parameter."};
static const struct ftp_refusal resume = {"resume", "502 Transfers are whole here."};
static const struct ftp_refusal bounce = {"bounce", "500 Illegal address in command."};
static const struct ftp_refusal low_port = {"low_port", "504 Illegal port in command."};
static const struct ftp_refusal epsv_all = {
    "epsv_all", "503 Only EPSV is allowed behind EPSV ALL."};
static const struct ftp_refusal only_v4 = {
    "family", "522 Network protocol not supported, use (1)."};
static const struct ftp_refusal only_v6 = {
    "family", "522 Network protocol not supported, use (2)."};
static const struct ftp_refusal too_long = {"too_long", "501 Argument too long."};
static const struct ftp_refusal tls_refused = {"tls", "534 Request denied for policy reasons."};
static const struct ftp_refusal tls_unknown = {"tls", "504 Security mechanism not supported."};
static const struct ftp_refusal tls_hidden = {"tls", "502 Command not implemented."};
static const struct ftp_refusal tls_too_soon = {"tls", "503 Security data exchange first."};
static const struct ftp_refusal needs_tls = {"needs_tls", "530 Use AUTH TLS first."};
static const struct ftp_refusal tls_clear = {"tls", "533 Request denied for policy reasons."};
static const struct ftp_refusal tls_active = {"tls", "503 TLS is active already."};
static const struct ftp_refusal tls_no_number = {
    "syntax", "501 Syntax error in parameters or arguments."};
static const struct ftp_refusal size_first = {"tls", "503 PBSZ first."};
static const struct ftp_refusal data_level = {"tls", "536 Protection level not supported."};
static const struct ftp_refusal data_unknown = {"tls", "504 Protection level not known."};
static const struct ftp_refusal data_needs_tls = {
    "needs_tls", "534 Data connections need protection here."};
static const struct ftp_refusal transfer_needs_tls = {
    "needs_tls", "521 Data connections need PROT P here."};

static void
fill(struct verdict *out, enum verdict_action action, const char *reason, const char *reply)
{
	size_t n = strlen(reply);

	*out = (struct verdict){
	    .action = action, .rule = action == VERDICT_PASS ? "none" : "ftp", .reason = reason};
	memcpy(out->reply, reply, n < VERDICT_REPLY_MAX ? n : VERDICT_REPLY_MAX);
}

/* ---- the list of what is denied ---- */

/* The other names of RFC 775: whoever denies MKD means XMKD too. */
static enum ftp_verb
usual(enum ftp_verb verb)
{
	static const struct {
		enum ftp_verb other, usual;
	} names[] = {
	    {FTP_XCUP, FTP_CDUP},
	    {FTP_XCWD, FTP_CWD},
	    {FTP_XMKD, FTP_MKD},
	    {FTP_XPWD, FTP_PWD},
	    {FTP_XRMD, FTP_RMD},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].other == verb)
			return names[i].usual;
	return verb;
}

static bool
names_verb(struct span entry, const struct ftp_verb_row *row, struct span word)
{
	return span_ieq(entry, word) || span_ieq(entry, span_str(row->name)) ||
	       span_ieq(entry, span_str(ftp_verb_row(usual(row->verb))->name));
}

/* "SITE EXEC": the verb, and every word behind it the same as the argument's. */
static bool
entry_denies(const char *entry, const struct ftp_verb_row *row, struct span word, struct span args)
{
	struct span rest = span_str(entry), wanted;

	if (!names_verb(span_word(&rest), row, word))
		return false;
	while ((wanted = span_word(&rest)).n > 0)
		if (!ftp_args_word_is(&args, wanted))
			return false;
	return true;
}

static bool
is_denied(const struct ftp_policy *policy, const struct ftp_verb_row *row, struct span word,
    struct span args)
{
	if (policy->deny == NULL)
		return false;
	for (size_t i = 0; policy->deny[i] != NULL; i++)
		if (entry_denies(policy->deny[i], row, word, args))
			return true;
	return false;
}

/* ---- checks: each gives NULL, or the way to refuse ---- */

static const struct ftp_refusal *
check_list(
    const struct ftp_policy *policy, const struct ftp_facts *facts, const struct ftp_detail *d)
{
	(void)facts;
	return is_denied(policy, d->verb, d->word, d->args) ? &denied : NULL;
}

static const struct ftp_refusal *
check_unknown(
    const struct ftp_policy *policy, const struct ftp_facts *facts, const struct ftp_detail *d)
{
	(void)facts;
	return policy->refuse_unknown && d->verb->verb == FTP_UNKNOWN ? &unknown : NULL;
}

/* They open data connections, or change what is in one, in ways that the gateway does not follow.
 */
static const struct ftp_refusal *
check_spoken(
    const struct ftp_policy *policy, const struct ftp_facts *facts, const struct ftp_detail *d)
{
	(void)policy;
	(void)facts;
	switch ((int)d->verb->verb) {
	case FTP_ESTA:
	case FTP_ESTP:
	case FTP_LPRT:
	case FTP_LPSV:
	case FTP_RANG:
	case FTP_SPSV:
		return &not_spoken;
	default:
		return NULL;
	}
}

static bool
sets_time(const struct ftp_detail *d)
{
	return d->verb->verb == FTP_MDTM && ftp_mdtm_sets_time(d->args);
}

static const struct ftp_refusal *
check_read_only(
    const struct ftp_policy *policy, const struct ftp_facts *facts, const struct ftp_detail *d)
{
	(void)facts;
	return policy->read_only && (d->verb->writes || sets_time(d)) ? &read_only : NULL;
}

/* Nothing but octets in a stream can be looked at (RFC 959 s3.1, s3.4). */
static bool
is_plain_type(struct span args)
{
	struct span form = args, letter = span_word(&form);

	form = span_trim(form);
	if (span_ieq(letter, span_str("L")))
		return span_eq(form, span_str("8"));
	if (span_ieq(letter, span_str("I")))
		return true;
	return span_ieq(letter, span_str("A"));
}

static const struct ftp_refusal *
check_mode(
    const struct ftp_policy *policy, const struct ftp_facts *facts, const struct ftp_detail *d)
{
	struct span args = span_trim(d->args);
	bool plain = true;

	(void)facts;
	switch ((int)d->verb->verb) {
	case FTP_MODE:
		plain = span_ieq(args, span_str("S"));
		break;
	case FTP_STRU:
		plain = span_ieq(args, span_str("F"));
		break;
	case FTP_TYPE:
		plain = is_plain_type(args);
		break;
	default:
		break;
	}
	return plain || policy->pass_modes ? NULL : &mode;
}

/* What is put behind a file (APPE) is no more seen whole than what begins within one. */
static const struct ftp_refusal *
check_resume(
    const struct ftp_policy *policy, const struct ftp_facts *facts, const struct ftp_detail *d)
{
	bool piece = (d->verb->verb == FTP_REST && d->restart > 0) || d->verb->verb == FTP_APPE;

	(void)facts;
	return policy->refuse_resume && piece ? &resume : NULL;
}

/* "TLS", and the names that it had ahead of RFC 4217; in FEAT also "TLS;SSL;". */
static bool
is_tls(struct span args)
{
	static const char *const names[] = {"TLS", "TLS-C", "TLS-P", "SSL"};
	struct span name = span_trim(args);
	ptrdiff_t end = span_find(name, ';');

	name = span_first(name, end < 0 ? name.n : (size_t)end);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_ieq(name, span_str(names[i])))
			return true;
	return false;
}

/* "TLS-P" promises what only PROT says here (RFC 4217 s17). */
static const struct ftp_refusal *
check_auth(const struct ftp_policy *policy, const struct ftp_detail *d)
{
	bool ends_here = policy->starttls != STARTTLS_PASS;

	if (policy->in_tls)
		return &tls_active;
	if (!starttls_passes(policy->starttls))
		return &tls_refused;
	if (!is_tls(d->args) || (ends_here && span_ieq(span_trim(d->args), span_str("TLS-P"))))
		return &tls_unknown;
	return NULL;
}

/* RFC 4217 s9: what is protected by TLS has no size of its own, and is protected wholly or not. */
static const struct ftp_refusal *
check_data_level(
    const struct ftp_policy *policy, const struct ftp_facts *facts, const struct ftp_detail *d)
{
	struct span level = span_trim(d->args);

	if (!facts->sized)
		return &size_first;
	if (span_ieq(level, span_str("P")))
		return NULL;
	if (span_ieq(level, span_str("C")))
		return policy->protect_data ? &data_needs_tls : NULL;
	if (span_ieq(level, span_str("S")) || span_ieq(level, span_str("E")))
		return &data_level;
	return &data_unknown;
}

static const struct ftp_refusal *
check_in_tls(
    const struct ftp_policy *policy, const struct ftp_facts *facts, const struct ftp_detail *d)
{
	uint64_t size;

	switch ((int)d->verb->verb) {
	case FTP_AUTH:
		return check_auth(policy, d);
	case FTP_PBSZ:
		return span_u64(span_trim(d->args), UINT32_MAX, &size) ? NULL : &tls_no_number;
	case FTP_PROT:
		return check_data_level(policy, facts, d);
	case FTP_CCC: /* whoever reads on would take it for what the client said under TLS */
		return &tls_clear;
	default:
		return &tls_too_soon;
	}
}

/* Mechanisms but TLS (RFC 2228) are spoken by nobody here. */
static const struct ftp_refusal *
check_tls(
    const struct ftp_policy *policy, const struct ftp_facts *facts, const struct ftp_detail *d)
{
	bool unread = policy->starttls == STARTTLS_PASS;

	if (policy->needs_tls &&
	    (d->verb->verb == FTP_USER || d->verb->verb == FTP_PASS || d->verb->verb == FTP_ACCT))
		return &needs_tls;
	if (policy->in_tls && d->verb->verb == FTP_REIN) /* it would end TLS (RFC 4217 s11) */
		return &not_spoken;
	if (policy->in_tls && policy->protect_data && d->verb->carries != FTP_NO_TRANSFER &&
	    !facts->protected)
		return &transfer_needs_tls;
	if (!d->verb->tls)
		return NULL;
	if (policy->in_tls)
		return check_in_tls(policy, facts, d);
	if (policy->starttls == STARTTLS_HIDE)
		return &tls_hidden;
	switch ((int)d->verb->verb) {
	case FTP_AUTH:
		return check_auth(policy, d);
	case FTP_PBSZ:
	case FTP_PROT:
		return unread ? NULL : &tls_too_soon;
	case FTP_CCC: /* RFC 2228 s3 */
		return unread ? NULL : &tls_clear;
	default: /* ADAT, and what is protected by what it agreed on */
		return &tls_too_soon;
	}
}

static const struct ftp_refusal *
of_family(enum ip_family family)
{
	return family == IP_V6 ? &only_v6 : &only_v4;
}

/* Where the client says that it waits, or with which family it will come. */
static const struct ftp_refusal *
check_address(
    const struct ftp_policy *policy, const struct ftp_facts *facts, const struct ftp_detail *d)
{
	enum ip_family own = facts->client.family;
	enum ftp_verb verb = d->verb->verb;

	if (verb == FTP_EPSV) {
		bool other = (d->epsv == FTP_EPSV_V4 && own == IP_V6) ||
			     (d->epsv == FTP_EPSV_V6 && own == IP_V4);

		return other ? of_family(own) : NULL;
	}
	if (verb != FTP_PORT && verb != FTP_EPRT && verb != FTP_PASV)
		return NULL;
	if (facts->epsv_all)
		return &epsv_all;
	if (verb == FTP_PASV)
		return NULL;
	switch (ftp_peer_judge(policy, &facts->client, &d->hostport)) {
	case FTP_PEER_FOREIGN:
		return verb == FTP_EPRT && d->hostport.ip.family != own ? of_family(own) : &bounce;
	case FTP_PEER_LOW_PORT:
		return &low_port;
	case FTP_PEER_OK:
		break;
	}
	return NULL;
}

static const struct ftp_refusal *
check_length(
    const struct ftp_policy *policy, const struct ftp_facts *facts, const struct ftp_detail *d)
{
	unsigned max = d->verb->verb == FTP_USER   ? policy->user_max
		       : d->verb->verb == FTP_PASS ? policy->password_max
		       : d->verb->path		   ? policy->path_max
						   : 0;

	(void)facts;
	return max > 0 && d->args.n > max ? &too_long : NULL;
}

void
ftp_judge(const struct ftp_policy *policy, const struct ftp_facts *facts, const struct an_event *ev,
    struct verdict *out)
{
	static const struct ftp_refusal *(*const checks[])(
	    const struct ftp_policy *, const struct ftp_facts *, const struct ftp_detail *) = {
	    check_unknown,
	    check_spoken,
	    check_list,
	    check_read_only,
	    check_tls,
	    check_mode,
	    check_resume,
	    check_address,
	    check_length,
	};
	const struct ftp_detail *d = ev->ftp;

	/* whether a verb that is in no table may pass is a question of the policy's */
	if (d->fault != FTP_OK && d->fault != FTP_VERB_UNKNOWN) {
		fill(out, VERDICT_REFUSE, "syntax", ftp_fault_reply(d->fault));
		return;
	}
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		const struct ftp_refusal *refusal = checks[i](policy, facts, d);

		if (refusal != NULL) {
			fill(out, VERDICT_REFUSE, refusal->reason, refusal->reply);
			return;
		}
	}
	fill(out, VERDICT_PASS, "none", "");
}

/* ---- replies ---- */

/* "RETR 150", "* 3": a verb or any, and how the code begins. */
static bool
entry_matches(const char *entry, const struct ftp_verb_row *row, unsigned code)
{
	const uint8_t digits[3] = {(uint8_t)('0' + code / 100 % 10),
	    (uint8_t)('0' + code / 10 % 10), (uint8_t)('0' + code % 10)};
	struct span rest = span_str(entry), verb = span_word(&rest), prefix = span_trim(rest);

	return (span_eq(verb, span_str("*")) || names_verb(verb, row, span_str(row->name))) &&
	       prefix.n > 0 && span_starts(span_of(digits, sizeof(digits)), prefix);
}

bool
ftp_reply_passes(const struct ftp_policy *policy, const struct ftp_verb_row *row, unsigned code)
{
	if (policy->deny_replies == NULL)
		return true;
	for (size_t i = 0; policy->deny_replies[i] != NULL; i++)
		if (entry_matches(policy->deny_replies[i], row, code))
			return false;
	return true;
}

/* ---- data connections ---- */

enum ftp_peer_verdict
ftp_peer_judge(
    const struct ftp_policy *policy, const struct ip *expected, const struct ftp_hostport *h)
{
	if (h->ip.family != IP_NONE && !ip_eq(&h->ip, expected) &&
	    !networks_has(policy->fxp, &h->ip))
		return FTP_PEER_FOREIGN;
	return h->port < FTP_DATA_PORT_MIN ? FTP_PEER_LOW_PORT : FTP_PEER_OK;
}

/* ---- what the client may know of ---- */

/* Features that are no commands, and change nothing that the gateway would have to follow. */
static bool
is_known_feature(struct span keyword)
{
	static const char *const names[] = {"TVFS", "UTF8"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_ieq(keyword, span_str(names[i])))
			return true;
	return false;
}

/* What AUTH begins, and what is behind it: shown ahead of AUTH and behind it (N-015). */
static bool
tls_feature_passes(const struct ftp_policy *policy, const struct ftp_detail *d)
{
	struct ftp_policy ahead = *policy;

	ahead.in_tls = false;
	if (is_denied(policy, d->verb, d->word, d->args))
		return false;
	switch ((int)d->verb->verb) {
	case FTP_AUTH:
		return check_auth(&ahead, d) == NULL;
	case FTP_PBSZ:
	case FTP_PROT:
		return starttls_passes(policy->starttls);
	case FTP_CCC:
		return policy->starttls == STARTTLS_PASS;
	default:
		return false;
	}
}

/* A feature is shown when the command behind it would pass. */
bool
ftp_feature_passes(
    const struct ftp_policy *policy, struct span keyword, struct span params, struct span *instead)
{
	static const struct ftp_facts nobody = {.protected = true};
	const struct ftp_verb_row *row = ftp_verb_find(keyword);
	const struct ftp_detail d = {.verb = row,
	    .word = keyword,
	    .args = params,
	    .restart = 1,
	    .hostport = {.port = UINT16_MAX}};
	struct an_event ev = {.kind = EV_COMMAND, .ftp = &d};
	struct verdict v;

	(void)instead;
	if (row->verb == FTP_FOREIGN)
		return false;
	if (row->verb == FTP_UNKNOWN && is_known_feature(keyword))
		return !is_denied(policy, row, keyword, params);
	if (row->tls)
		return tls_feature_passes(policy, &d);
	ftp_judge(policy, &nobody, &ev, &v);
	return v.action == VERDICT_PASS;
}
