#include "config_schema.h"

#include "ca.h"

static const struct section sections[SECTION_COUNT] = {
    [SECTION_ROOT] = {"", SECTION_NONE, false},
    [SECTION_INTERCEPT] = {"intercept", SECTION_ROOT, false},
    [SECTION_FORWARD] = {"forward", SECTION_ROOT, true},
    [SECTION_ROTATION] = {"rotation", SECTION_ROOT, false},
    [SECTION_LIMITS] = {"limits", SECTION_ROOT, false},
    [SECTION_SMTP] = {"smtp", SECTION_ROOT, false},
    [SECTION_TIMEOUTS] = {"timeouts", SECTION_SMTP, false},
    [SECTION_RELAY] = {"relay", SECTION_SMTP, false},
    [SECTION_SENDER] = {"sender_domain", SECTION_SMTP, false},
    [SECTION_CLIENT_NAME] = {"client_name", SECTION_SMTP, false},
    [SECTION_SENDERS] = {"sender_list", SECTION_SMTP, false},
    [SECTION_RECIPIENTS] = {"recipient_list", SECTION_SMTP, false},
    [SECTION_MIME] = {"mime", SECTION_ROOT, false},
    [SECTION_CONTENT] = {"content", SECTION_ROOT, false},
    [SECTION_FTP] = {"ftp", SECTION_ROOT, false},
    [SECTION_FTP_TIMEOUTS] = {"timeouts", SECTION_FTP, false},
    [SECTION_POP3] = {"pop3", SECTION_ROOT, false},
    [SECTION_POP3_TIMEOUTS] = {"timeouts", SECTION_POP3, false},
    [SECTION_IMAP] = {"imap", SECTION_ROOT, false},
    [SECTION_IMAP_TIMEOUTS] = {"timeouts", SECTION_IMAP, false},
    [SECTION_TLS] = {"tls", SECTION_ROOT, false},
    [SECTION_CERTIFICATE] = {"certificate", SECTION_ROOT, true},
    [SECTION_CLIENT_CERTIFICATE] = {"client_certificate", SECTION_ROOT, true},
    [SECTION_TLS_RULE] = {"tls_rule", SECTION_ROOT, true},
    [SECTION_CAPTURE] = {"capture", SECTION_ROOT, true},
};

static const struct choice yes_no[] = {{"yes", true}, {"no", false}, {NULL, 0}};
static const struct choice check_words[] = {
    {"enforce", CHECK_ENFORCE}, {"report", CHECK_REPORT}, {"off", CHECK_OFF}, {NULL, 0}};
static const struct choice pass_refuse[] = {{"pass", false}, {"refuse", true}, {NULL, 0}};
static const struct choice refuse_pass[] = {{"refuse", false}, {"pass", true}, {NULL, 0}};
static const struct choice missing_codes[] = {{"451", false}, {"550", true}, {NULL, 0}};
static const struct choice reverse_words[] = {{"none", REVERSE_NONE}, {"exists", REVERSE_EXISTS},
    {"confirmed", REVERSE_CONFIRMED}, {NULL, 0}};
static const struct choice helo_words[] = {
    {"any", HELO_ANY}, {"valid", HELO_VALID}, {"resolves", HELO_RESOLVES}, {NULL, 0}};
static const struct choice modes[] = {{"tproxy", INTERCEPT_TPROXY},
    {"redirect", INTERCEPT_REDIRECT}, {"off", INTERCEPT_OFF}, {NULL, 0}};
static const struct choice on_exit_words[] = {{"block", false}, {"bypass", true}, {NULL, 0}};
static const struct choice unreachable_words[] = {{"reply", false}, {"reset", true}, {NULL, 0}};
static const struct choice audit_words[] = {{"best_effort", false}, {"required", true}, {NULL, 0}};
static const struct choice protocols[] = {{"smtp", PROTOCOL_SMTP}, {"ftp", PROTOCOL_FTP},
    {"pop3", PROTOCOL_POP3}, {"imap", PROTOCOL_IMAP}, {NULL, 0}};
static const struct choice newlines[] = {
    {"reject", BARE_NEWLINE_REJECT}, {"normalize", BARE_NEWLINE_NORMALIZE}, {NULL, 0}};
static const struct choice starttls_words[] = {{"auto", STARTTLS_AUTO}, {"pass", STARTTLS_PASS},
    {"refuse", STARTTLS_REFUSE}, {"hide", STARTTLS_HIDE}, {"intercept", STARTTLS_INTERCEPT},
    {"require", STARTTLS_REQUIRE}, {NULL, 0}};
static const struct choice tls_versions[] = {
    {"1.2", TLS_MINIMUM_1_2}, {"1.3", TLS_MINIMUM_1_3}, {NULL, 0}};
static const struct choice proxy_words[] = {
    {"no", SEND_PROXY_NO}, {"v1", SEND_PROXY_V1}, {"v2", SEND_PROXY_V2}, {NULL, 0}};
static const struct choice type_words[] = {
    {"own", TYPES_OWN}, {"system", TYPES_SYSTEM}, {"no", TYPES_NO}, {NULL, 0}};
static const struct choice log_formats[] = {{"eve", false}, {"eve_xferlog", true}, {NULL, 0}};
static const struct choice keep_delete[] = {{"keep", false}, {"delete", true}, {NULL, 0}};
static const struct choice report_cut[] = {{"report", false}, {"cut", true}, {NULL, 0}};
static const struct choice pass_hide[] = {{"pass", false}, {"hide", true}, {NULL, 0}};
static const struct choice data_protection[] = {{"asked", false}, {"required", true}, {NULL, 0}};
static const struct choice server_protection[] = {{"same", SERVER_DATA_SAME},
    {"private", SERVER_DATA_PRIVATE}, {"clear", SERVER_DATA_CLEAR}, {NULL, 0}};
static const struct choice data_resumption[] = {{"report", false}, {"require", true}, {NULL, 0}};
static const struct choice data_end[] = {{"close_notify", false}, {"fin", true}, {NULL, 0}};
static const struct choice server_data[] = {{"passive", false}, {"same", true}, {NULL, 0}};

static const struct choice tls_actions[] = {
    {"intercept", TLS_INTERCEPT}, {"pass", TLS_PASS}, {"refuse", TLS_REFUSE}, {NULL, 0}};
static const struct choice published_words[] = {{"pass", PUBLISHED_PASS},
    {"pass_known", PUBLISHED_KNOWN}, {"ignore", PUBLISHED_IGNORE}, {NULL, 0}};
static const struct choice towards_words[] = {
    {"anybody", TLS_ANYBODY}, {"inside", TLS_INSIDE}, {"outside", TLS_OUTSIDE}, {NULL, 0}};
static const struct choice upstream_words[] = {{"same", UPSTREAM_SAME},
    {"starttls", UPSTREAM_STARTTLS}, {"tls", UPSTREAM_TLS}, {"plain", UPSTREAM_PLAIN}, {NULL, 0}};
static const struct choice required_words[] = {
    {"auto", REQUIRED_AUTO}, {"yes", REQUIRED_YES}, {"no", REQUIRED_NO}, {NULL, 0}};
static const struct choice verify_words[] = {{"auto", VERIFY_AUTO}, {"enforce", VERIFY_ENFORCE},
    {"untrusted", VERIFY_UNTRUSTED}, {"report", VERIFY_REPORT}, {"off", VERIFY_OFF}, {NULL, 0}};
static const struct choice all_verify_words[] = {{"enforce", VERIFY_ENFORCE},
    {"untrusted", VERIFY_UNTRUSTED}, {"report", VERIFY_REPORT}, {"off", VERIFY_OFF}, {NULL, 0}};
static const struct choice capture_what[] = {
    {"all", CAPTURE_ALL}, {"refused", CAPTURE_REFUSED}, {NULL, 0}};
static const struct choice capture_legs[] = {
    {"client", CAPTURE_LEG_CLIENT}, {"both", CAPTURE_LEG_CLIENT | CAPTURE_LEG_SERVER}, {NULL, 0}};
static const struct choice mask_keep[] = {{"mask", false}, {"keep", true}, {NULL, 0}};
/* The policy's numbers of protocols are the configuration's. */
_Static_assert((int)TLS_FTP == (int)PROTOCOL_FTP && (int)TLS_SMTP == (int)PROTOCOL_SMTP &&
		   (int)TLS_POP3 == (int)PROTOCOL_POP3 && (int)TLS_IMAP == (int)PROTOCOL_IMAP,
    "protocols are numbered twice");

/* Where a value goes. */
#define AT(base_, type_, member)                                                                   \
	.base = (base_), .offset = offsetof(type_, member), .size = sizeof(((type_ *)NULL)->member)
#define CONFIG(member)	    AT(BASE_CONFIG, struct config, member)
#define POLICY(member)	    AT(BASE_POLICY, struct policy, member)
#define FORWARD(member)	    AT(BASE_FORWARD, struct forward, member)
#define CERTIFICATE(member) AT(BASE_CERTIFICATE, struct certificate, member)
#define TLS_RULE(member)    AT(BASE_TLS_RULE, struct tls_rule, member)
#define CAPTURE(member)	    AT(BASE_CAPTURE, struct capture_config, member)
#define PORTS(section)	    CONFIG(section.ports), .count = offsetof(struct config, section.n_ports)
#define TLS_PORTS(section)                                                                         \
	CONFIG(section.tls_ports), .count = offsetof(struct config, section.n_tls_ports)

/* What a value may be. */
#define NUMBER(def, min_, max_)                                                                    \
	.type = SETTING_NUMBER, .fallback = (def), .min = (min_), .max = (max_)
#define CHOICE(def, words)  .type = SETTING_CHOICE, .fallback = (def), .choices = (words)
#define CHOICES(def, words) .type = SETTING_CHOICES, .fallback = (def), .choices = (words)
#define LIST(type_, def)    .type = (type_), .fallback = (def)
#define TEXT(def)	    .type = SETTING_TEXT, .fallback = (def)
#define MARK(def)	    .type = SETTING_MARK, .fallback = (def)
/* Must be given. */
#define GIVEN(type_)	    .type = (type_), .fallback = NULL
#define OR_ZERO		    .zero_ok = true
#define BY(rfc)		    .source = (rfc)

#define ROW(section_, name_) .section = (section_), .name = (name_)

static const struct setting settings[] = {
    {ROW(SECTION_ROOT, "workers"), NUMBER("0", 1, WORKERS_MAX), OR_ZERO, CONFIG(workers)},
    {ROW(SECTION_ROOT, "user"), TEXT("postern"), CONFIG(user)},
    {ROW(SECTION_ROOT, "log"), TEXT("/var/log/postern/eve.json"), CONFIG(log)},
    {ROW(SECTION_ROOT, "inside"), LIST(SETTING_NETWORKS, ""), POLICY(inside)},
    {ROW(SECTION_ROOT, "inside_devices"), LIST(SETTING_DEVICES, ""), CONFIG(inside_devices)},
    {ROW(SECTION_ROOT, "resolvers"), LIST(SETTING_RESOLVERS, ""), CONFIG(resolvers)},
    {ROW(SECTION_ROOT, "dnssec_anchors"), TEXT(""), OR_ZERO, CONFIG(dnssec_anchors)},
    {ROW(SECTION_ROOT, "drain"), NUMBER("10", 0, 86400), CONFIG(drain)},
    {ROW(SECTION_ROOT, "audit"), CHOICE("best_effort", audit_words), CONFIG(audit_required)},
    {ROW(SECTION_ROOT, "log_format"), CHOICE("eve", log_formats), CONFIG(xferlog)},
    {ROW(SECTION_ROOT, "status"), TEXT("/run/postern/status.sock"), CONFIG(status)},
    {ROW(SECTION_ROOT, "metrics"), LIST(SETTING_ENDPOINT, ""), OR_ZERO, CONFIG(metrics)},

    {ROW(SECTION_ROTATION, "size"), NUMBER("0", 65536, UINT64_C(1) << 40), OR_ZERO,
	CONFIG(rotation.size)},
    {ROW(SECTION_ROTATION, "interval"), NUMBER("0", 1, 31536000), OR_ZERO,
	CONFIG(rotation.interval)},
    {ROW(SECTION_ROTATION, "keep"), NUMBER("10", 1, 10000), CONFIG(rotation.keep)},

    {ROW(SECTION_INTERCEPT, "mode"), CHOICE("tproxy", modes), CONFIG(mode)},
    {ROW(SECTION_INTERCEPT, "devices"), LIST(SETTING_DEVICES, ""), CONFIG(intercept.devices)},
    {ROW(SECTION_INTERCEPT, "on_exit"), CHOICE("block", on_exit_words),
	CONFIG(intercept.on_exit_bypass)},
    {ROW(SECTION_INTERCEPT, "bypass"), LIST(SETTING_NETWORKS, ""), CONFIG(intercept.bypass)},
    {ROW(SECTION_INTERCEPT, "bypass_servers"), LIST(SETTING_NETWORKS, ""),
	CONFIG(intercept.bypass_servers)},
    {ROW(SECTION_INTERCEPT, "unreachable"), CHOICE("reply", unreachable_words),
	CONFIG(intercept.unreachable_reset)},
    {ROW(SECTION_INTERCEPT, "listen_from"), NUMBER("30000", 1024, 65000),
	CONFIG(intercept.listen_from)},
    {ROW(SECTION_INTERCEPT, "mark"), MARK("0x01000000"), CONFIG(intercept.mark)},
    {ROW(SECTION_INTERCEPT, "own_mark"), MARK("0x02000000"), CONFIG(intercept.own_mark)},
    {ROW(SECTION_INTERCEPT, "mark_mask"), MARK("0x03000000"), CONFIG(intercept.mark_mask)},
    {ROW(SECTION_INTERCEPT, "route_table"), NUMBER("25025", 1, 4294967294),
	CONFIG(intercept.route_table)},
    {ROW(SECTION_INTERCEPT, "sysctl"), CHOICE("yes", yes_no), CONFIG(intercept.sysctl)},

    {ROW(SECTION_FORWARD, "listen"), GIVEN(SETTING_ENDPOINT), FORWARD(listen)},
    {ROW(SECTION_FORWARD, "to"), GIVEN(SETTING_ENDPOINT), FORWARD(to)},
    {ROW(SECTION_FORWARD, "protocol"), CHOICE("smtp", protocols), FORWARD(protocol)},
    {ROW(SECTION_FORWARD, "outside"), CHOICE("no", yes_no), FORWARD(outside)},
    {ROW(SECTION_FORWARD, "send_proxy"), CHOICE("no", proxy_words), FORWARD(send_proxy)},
    {ROW(SECTION_FORWARD, "implicit_tls"), CHOICE("no", yes_no), FORWARD(implicit_tls)},

    {ROW(SECTION_LIMITS, "sessions"), NUMBER("0", 1, 1000000), OR_ZERO, CONFIG(limits.sessions)},
    {ROW(SECTION_LIMITS, "sessions_per_client"), NUMBER("50", 1, 1000000),
	CONFIG(limits.sessions_per_client)},
    {ROW(SECTION_LIMITS, "sessions_per_minute"), NUMBER("0", 1, 1000000), OR_ZERO,
	CONFIG(limits.sessions_per_minute)},
    {ROW(SECTION_LIMITS, "messages_per_minute"), NUMBER("0", 1, 1000000), OR_ZERO,
	CONFIG(limits.messages_per_minute)},
    {ROW(SECTION_LIMITS, "recipients_per_minute"), NUMBER("0", 1, 1000000), OR_ZERO,
	CONFIG(limits.recipients_per_minute)},
    {ROW(SECTION_LIMITS, "auth_failures_per_minute"), NUMBER("10", 1, 1000000), OR_ZERO,
	CONFIG(limits.auth_failures_per_minute)},
    {ROW(SECTION_LIMITS, "tls_handshakes_per_minute"), NUMBER("600", 1, 1000000), OR_ZERO,
	CONFIG(limits.tls_handshakes_per_minute)},
    {ROW(SECTION_LIMITS, "client_prefix6"), NUMBER("64", 16, 128), CONFIG(limits.client_prefix6)},
    {ROW(SECTION_LIMITS, "pending_connects"), NUMBER("1000", 1, 1000000),
	CONFIG(limits.pending_connects)},
    {ROW(SECTION_LIMITS, "pending_connects_per_client"), NUMBER("50", 1, 1000000),
	CONFIG(limits.pending_connects_per_client)},
    {ROW(SECTION_LIMITS, "connect_timeout"), NUMBER("15", 1, 300), CONFIG(limits.connect_timeout)},
    {ROW(SECTION_LIMITS, "pressure"), NUMBER("80", 1, 100), CONFIG(limits.pressure)},
    {ROW(SECTION_LIMITS, "pressed_timeout"), NUMBER("10", 1, 300), CONFIG(limits.pressed_timeout)},
    {ROW(SECTION_LIMITS, "min_rate"), NUMBER("500", 1, 1000000), OR_ZERO, CONFIG(limits.min_rate)},
    {ROW(SECTION_LIMITS, "refusals"), NUMBER("100", 1, 1000000), OR_ZERO, CONFIG(limits.refusals)},
    {ROW(SECTION_LIMITS, "refusal_window"), NUMBER("60", 1, 3600), CONFIG(limits.refusal_window)},
    {ROW(SECTION_LIMITS, "block"), NUMBER("300", 1, 86400), CONFIG(limits.block)},

    {ROW(SECTION_SMTP, "ports"), LIST(SETTING_PORTS, "25, 587"), PORTS(smtp)},
    {ROW(SECTION_SMTP, "tls_ports"), LIST(SETTING_PORTS, ""), TLS_PORTS(smtp)},
    {ROW(SECTION_SMTP, "servers"), LIST(SETTING_NETWORKS, ""), POLICY(smtp_servers)},
    {ROW(SECTION_SMTP, "starttls"), CHOICE("auto", starttls_words), POLICY(starttls)},
    {ROW(SECTION_SMTP, "auth_requires_tls"), CHOICE("no", yes_no), POLICY(auth_requires_tls)},
    {ROW(SECTION_SMTP, "bare_newline"), CHOICE("reject", newlines), CONFIG(smtp.bare_newline)},
    {ROW(SECTION_SMTP, "lenient_paths"), CHOICE("no", yes_no), CONFIG(smtp.dialogue.lenient_paths)},
    {ROW(SECTION_SMTP, "multi_recipient_bounce"), CHOICE("pass", pass_refuse),
	POLICY(refuse_multi_bounce)},
    {ROW(SECTION_SMTP, "message_size"), NUMBER("0", 65536, UINT64_C(1) << 40), OR_ZERO,
	BY("RFC 5321 s4.5.3.1.7"), CONFIG(smtp.message_size)},
    {ROW(SECTION_SMTP, "header_size"), NUMBER("1048576", 65536, 64u << 20),
	BY("RFC 5321 s4.5.3.1.7"), CONFIG(smtp.header_size)},
    {ROW(SECTION_SMTP, "body_line"), NUMBER("0", 1000, 64u << 20), OR_ZERO,
	BY("RFC 5321 s4.5.3.1.6"), CONFIG(smtp.body_line)},
    {ROW(SECTION_SMTP, "hops"), NUMBER("100", 100, 10000), BY("RFC 5321 s6.3"), CONFIG(smtp.hops)},
    {ROW(SECTION_SMTP, "recipients"), NUMBER("1000", 100, 100000), BY("RFC 5321 s4.5.3.1.8"),
	CONFIG(smtp.recipients)},
    {ROW(SECTION_SMTP, "errors"), NUMBER("20", 1, 10000), CONFIG(smtp.errors)},
    {ROW(SECTION_SMTP, "junk_commands"), NUMBER("100", 1, 10000), CONFIG(smtp.junk_commands)},
    {ROW(SECTION_SMTP, "error_delay"), NUMBER("1000", 0, 10000), CONFIG(smtp.error_delay)},
    {ROW(SECTION_SMTP, "command_line"), NUMBER("4096", 512, 65536), BY("RFC 5321 s4.5.3.1.4"),
	CONFIG(smtp.dialogue.line)},
    {ROW(SECTION_SMTP, "auth_line"), NUMBER("12288", 12288, 65536), BY("RFC 4954 s4"),
	CONFIG(smtp.dialogue.auth_line)},
    {ROW(SECTION_SMTP, "reply_line"), NUMBER("2048", 512, 65536), BY("RFC 5321 s4.5.3.1.5"),
	CONFIG(smtp.dialogue.reply_line)},
    {ROW(SECTION_SMTP, "reply_lines"), NUMBER("256", 32, 10000), CONFIG(smtp.dialogue.reply_lines)},
    {ROW(SECTION_SMTP, "reply_size"), NUMBER("65536", 16384, 1u << 20),
	CONFIG(smtp.dialogue.reply)},

    {ROW(SECTION_TIMEOUTS, "greeting"), NUMBER("300", 300, 86400), BY("RFC 5321 s4.5.3.2.1"),
	CONFIG(smtp.timeouts.greeting)},
    {ROW(SECTION_TIMEOUTS, "command"), NUMBER("300", 300, 86400), BY("RFC 5321 s4.5.3.2.7"),
	CONFIG(smtp.timeouts.command)},
    {ROW(SECTION_TIMEOUTS, "reply"), NUMBER("300", 300, 86400), BY("RFC 5321 s4.5.3.2.3"),
	CONFIG(smtp.timeouts.reply)},
    {ROW(SECTION_TIMEOUTS, "data_init"), NUMBER("120", 120, 86400), BY("RFC 5321 s4.5.3.2.4"),
	CONFIG(smtp.timeouts.data_init)},
    {ROW(SECTION_TIMEOUTS, "data_block"), NUMBER("180", 180, 86400), BY("RFC 5321 s4.5.3.2.5"),
	CONFIG(smtp.timeouts.data_block)},
    {ROW(SECTION_TIMEOUTS, "data_end"), NUMBER("600", 600, 86400), BY("RFC 5321 s4.5.3.2.6"),
	CONFIG(smtp.timeouts.data_end)},

    {ROW(SECTION_RELAY, "check"), CHOICE("enforce", check_words), POLICY(relay.check)},
    {ROW(SECTION_RELAY, "local_domains"), LIST(SETTING_DOMAINS, ""), POLICY(relay.local_domains)},
    {ROW(SECTION_RELAY, "by_mx"), CHOICE("yes", yes_no), POLICY(relay.by_mx)},
    {ROW(SECTION_RELAY, "authenticated"), CHOICE("yes", yes_no), POLICY(relay.authenticated)},
    {ROW(SECTION_RELAY, "own_literal"), CHOICE("no", yes_no), POLICY(relay.own_literal)},
    {ROW(SECTION_RELAY, "exempt"), LIST(SETTING_NETWORKS, ""), POLICY(relay.exempt)},
    {ROW(SECTION_RELAY, "exempt_servers"), LIST(SETTING_NETWORKS, ""),
	POLICY(relay.exempt_servers)},

    {ROW(SECTION_SENDER, "check"), CHOICE("enforce", check_words), POLICY(sender.check)},
    {ROW(SECTION_SENDER, "missing"), CHOICE("451", missing_codes),
	POLICY(sender.missing_is_permanent)},
    {ROW(SECTION_SENDER, "budget"), NUMBER("5", 1, 60), CONFIG(dns_budget)},
    {ROW(SECTION_SENDER, "exempt"), LIST(SETTING_DOMAINS, ""), POLICY(sender.exempt)},
    {ROW(SECTION_SENDER, "literals"), CHOICE("pass", pass_refuse), POLICY(sender.refuse_literals)},
    {ROW(SECTION_SENDER, "dead_mx"), CHOICE("report", check_words), POLICY(sender.dead_mx)},
    {ROW(SECTION_SENDER, "private_mx"), CHOICE("report", check_words), POLICY(sender.private_mx)},

    {ROW(SECTION_CLIENT_NAME, "check"), CHOICE("off", check_words), POLICY(client_name.check)},
    {ROW(SECTION_CLIENT_NAME, "reverse"), CHOICE("none", reverse_words),
	POLICY(client_name.reverse)},
    {ROW(SECTION_CLIENT_NAME, "helo"), CHOICE("any", helo_words), POLICY(client_name.helo)},
    {ROW(SECTION_CLIENT_NAME, "exempt"), LIST(SETTING_NETWORKS, ""), POLICY(client_name.exempt)},

    {ROW(SECTION_SENDERS, "deny"), LIST(SETTING_ADDRESSES, ""), POLICY(senders.deny)},
    {ROW(SECTION_SENDERS, "allow"), LIST(SETTING_ADDRESSES, ""), POLICY(senders.allow)},
    {ROW(SECTION_RECIPIENTS, "deny"), LIST(SETTING_ADDRESSES, ""), POLICY(recipients.deny)},
    {ROW(SECTION_RECIPIENTS, "allow"), LIST(SETTING_ADDRESSES, ""), POLICY(recipients.allow)},

    {ROW(SECTION_MIME, "inspect"), CHOICE("yes", yes_no), CONFIG(mime.inspect)},
    {ROW(SECTION_MIME, "digests"), LIST(SETTING_DIGESTS, "sha256"), CONFIG(mime.digests)},
    {ROW(SECTION_MIME, "types"), CHOICE("own", type_words), CONFIG(mime.types)},
    {ROW(SECTION_MIME, "archives"), CHOICE("yes", yes_no), CONFIG(mime.options.archives)},
    {ROW(SECTION_MIME, "urls"), CHOICE("yes", yes_no), CONFIG(mime.options.urls)},
    {ROW(SECTION_MIME, "parts"), NUMBER("1000", 10, 10000), CONFIG(mime.options.parts)},
    {ROW(SECTION_MIME, "depth"), NUMBER("100", 10, 1000), CONFIG(mime.options.mime.depth)},
    {ROW(SECTION_MIME, "header_size"), NUMBER("262144", 65536, 16u << 20),
	CONFIG(mime.options.mime.header)},
    {ROW(SECTION_MIME, "detected"), NUMBER("64", 1, 1000), CONFIG(mime.options.detected)},
    {ROW(SECTION_MIME, "members"), NUMBER("1000", 1, 10000), CONFIG(mime.options.members)},
    {ROW(SECTION_MIME, "url_list"), NUMBER("100", 1, 1000), CONFIG(mime.options.urls_max)},

    {ROW(SECTION_CONTENT, "check"), CHOICE("enforce", check_words), CONFIG(content.check)},
    {ROW(SECTION_CONTENT, "deny_types"), LIST(SETTING_TYPES, ""), CONFIG(content.types)},
    {ROW(SECTION_CONTENT, "deny_extensions"), LIST(SETTING_EXTENSIONS, ""),
	CONFIG(content.extensions)},
    {ROW(SECTION_CONTENT, "deny_sha256"), TEXT(""), OR_ZERO, CONFIG(content_sha256)},
    {ROW(SECTION_CONTENT, "part_size"), NUMBER("0", 1, UINT64_C(1) << 40), OR_ZERO,
	CONFIG(content.part_size)},
    {ROW(SECTION_CONTENT, "types"), CHOICE("enforce", check_words),
	CONFIG(content.rules[CONTENT_TYPE])},
    {ROW(SECTION_CONTENT, "extensions"), CHOICE("enforce", check_words),
	CONFIG(content.rules[CONTENT_EXTENSION])},
    {ROW(SECTION_CONTENT, "sha256"), CHOICE("enforce", check_words),
	CONFIG(content.rules[CONTENT_SHA256])},
    {ROW(SECTION_CONTENT, "size"), CHOICE("enforce", check_words),
	CONFIG(content.rules[CONTENT_SIZE])},
    {ROW(SECTION_CONTENT, "mismatch"), CHOICE("report", check_words),
	CONFIG(content.rules[CONTENT_MISMATCH])},
    {ROW(SECTION_CONTENT, "ambiguous"), CHOICE("report", check_words),
	CONFIG(content.rules[CONTENT_AMBIGUOUS])},
    {ROW(SECTION_CONTENT, "encrypted_archive"), CHOICE("off", check_words),
	CONFIG(content.rules[CONTENT_ENCRYPTED])},
    {ROW(SECTION_CONTENT, "bomb"), CHOICE("report", check_words),
	CONFIG(content.rules[CONTENT_BOMB])},
    {ROW(SECTION_CONTENT, "partial"), CHOICE("report", check_words),
	CONFIG(content.rules[CONTENT_PARTIAL])},
    {ROW(SECTION_CONTENT, "incomplete"), CHOICE("report", check_words),
	CONFIG(content.rules[CONTENT_INCOMPLETE])},

    {ROW(SECTION_FTP, "ports"), LIST(SETTING_PORTS, "21"), PORTS(ftp)},
    {ROW(SECTION_FTP, "tls_ports"), LIST(SETTING_PORTS, ""), TLS_PORTS(ftp)},
    {ROW(SECTION_FTP, "server_data"), CHOICE("passive", server_data), CONFIG(ftp.server_data_same)},
    {ROW(SECTION_FTP, "starttls"), CHOICE("auto", starttls_words), POLICY(ftp.starttls)},
    {ROW(SECTION_FTP, "deny"), LIST(SETTING_COMMANDS, ""), POLICY(ftp.deny)},
    {ROW(SECTION_FTP, "deny_replies"), LIST(SETTING_REPLIES, ""), POLICY(ftp.deny_replies)},
    {ROW(SECTION_FTP, "read_only"), CHOICE("no", yes_no), POLICY(ftp.read_only)},
    {ROW(SECTION_FTP, "unknown"), CHOICE("refuse", pass_refuse), POLICY(ftp.refuse_unknown)},
    {ROW(SECTION_FTP, "modes"), CHOICE("refuse", refuse_pass), POLICY(ftp.pass_modes)},
    {ROW(SECTION_FTP, "resume"), CHOICE("pass", pass_refuse), POLICY(ftp.refuse_resume)},
    {ROW(SECTION_FTP, "fxp"), LIST(SETTING_NETWORKS, ""), POLICY(ftp.fxp)},
    {ROW(SECTION_FTP, "banner"), CHOICE("pass", pass_hide), POLICY(ftp.hide_banner)},
    {ROW(SECTION_FTP, "user_name"), NUMBER("256", 16, 4096), POLICY(ftp.user_max)},
    {ROW(SECTION_FTP, "password"), NUMBER("256", 16, 4096), POLICY(ftp.password_max)},
    {ROW(SECTION_FTP, "path"), NUMBER("4000", 255, 60000), POLICY(ftp.path_max)},
    {ROW(SECTION_FTP, "data_ports_from"), NUMBER("40000", 1024, 65535),
	CONFIG(ftp.data_ports_from)},
    {ROW(SECTION_FTP, "data_ports_to"), NUMBER("44999", 1024, 65535), CONFIG(ftp.data_ports_to)},
    {ROW(SECTION_FTP, "inspect"), CHOICE("yes", yes_no), CONFIG(ftp.inspect)},
    {ROW(SECTION_FTP, "refused_upload"), CHOICE("keep", keep_delete), CONFIG(ftp.delete_refused)},
    {ROW(SECTION_FTP, "data_protection"), CHOICE("asked", data_protection),
	POLICY(ftp.protect_data)},
    {ROW(SECTION_FTP, "server_data_protection"), CHOICE("same", server_protection),
	CONFIG(ftp.server_protection)},
    {ROW(SECTION_FTP, "data_resumption"), CHOICE("report", data_resumption),
	CONFIG(ftp.require_resumption)},
    {ROW(SECTION_FTP, "data_end"), CHOICE("close_notify", data_end), CONFIG(ftp.fin_ends)},
    {ROW(SECTION_FTP, "command_line"), NUMBER("4096", 512, 65536), CONFIG(ftp.dialogue.line)},
    {ROW(SECTION_FTP, "reply_line"), NUMBER("4096", 512, 65536), CONFIG(ftp.dialogue.reply_line)},
    {ROW(SECTION_FTP, "reply_lines"), NUMBER("1000", 32, 100000), CONFIG(ftp.dialogue.reply_lines)},
    {ROW(SECTION_FTP, "reply_size"), NUMBER("131072", 16384, 16u << 20),
	CONFIG(ftp.dialogue.reply)},
    {ROW(SECTION_FTP, "pending"), NUMBER("20", 1, 1000), CONFIG(ftp.pending)},
    {ROW(SECTION_FTP, "errors"), NUMBER("20", 1, 10000), CONFIG(ftp.errors)},
    {ROW(SECTION_FTP_TIMEOUTS, "greeting"), NUMBER("300", 1, 86400), CONFIG(ftp.timeouts.greeting)},
    {ROW(SECTION_FTP_TIMEOUTS, "command"), NUMBER("900", 10, 86400), CONFIG(ftp.timeouts.command)},
    {ROW(SECTION_FTP_TIMEOUTS, "reply"), NUMBER("300", 1, 86400), CONFIG(ftp.timeouts.reply)},
    {ROW(SECTION_FTP_TIMEOUTS, "data_open"), NUMBER("30", 1, 3600), CONFIG(ftp.timeouts.data_open)},
    {ROW(SECTION_FTP_TIMEOUTS, "data_idle"), NUMBER("300", 1, 86400),
	CONFIG(ftp.timeouts.data_idle)},
    {ROW(SECTION_POP3, "ports"), LIST(SETTING_PORTS, "110"), PORTS(pop3)},
    {ROW(SECTION_POP3, "tls_ports"), LIST(SETTING_PORTS, ""), TLS_PORTS(pop3)},
    {ROW(SECTION_POP3, "starttls"), CHOICE("auto", starttls_words), POLICY(pop3.starttls)},
    {ROW(SECTION_POP3, "deny"), LIST(SETTING_COMMANDS, ""), POLICY(pop3.deny)},
    {ROW(SECTION_POP3, "read_only"), CHOICE("no", yes_no), POLICY(pop3.read_only)},
    {ROW(SECTION_POP3, "unknown"), CHOICE("refuse", pass_refuse), POLICY(pop3.refuse_unknown)},
    {ROW(SECTION_POP3, "errors"), NUMBER("10", 1, 10000), CONFIG(pop3.errors)},
    {ROW(SECTION_POP3, "refused_message"), CHOICE("report", report_cut), POLICY(pop3.cut)},
    {ROW(SECTION_POP3, "command_line"), NUMBER("512", 255, 8192), BY("RFC 2449 s4"),
	CONFIG(pop3.dialogue.line)},
    {ROW(SECTION_POP3, "auth_line"), NUMBER("12288", 12288, 65536), BY("RFC 5034 s4"),
	CONFIG(pop3.dialogue.auth_line)},
    {ROW(SECTION_POP3_TIMEOUTS, "greeting"), NUMBER("300", 1, 86400),
	CONFIG(pop3.timeouts.greeting)},
    {ROW(SECTION_POP3_TIMEOUTS, "login"), NUMBER("180", 10, 86400), CONFIG(pop3.timeouts.login)},
    {ROW(SECTION_POP3_TIMEOUTS, "command"), NUMBER("660", 600, 86400), BY("RFC 1939 s3"),
	CONFIG(pop3.timeouts.command)},
    {ROW(SECTION_POP3_TIMEOUTS, "reply"), NUMBER("300", 1, 86400), CONFIG(pop3.timeouts.reply)},
    {ROW(SECTION_IMAP, "ports"), LIST(SETTING_PORTS, "143"), PORTS(imap)},
    {ROW(SECTION_IMAP, "tls_ports"), LIST(SETTING_PORTS, ""), TLS_PORTS(imap)},
    {ROW(SECTION_IMAP, "starttls"), CHOICE("auto", starttls_words), POLICY(imap.starttls)},
    {ROW(SECTION_IMAP, "deny"), LIST(SETTING_COMMANDS, ""), POLICY(imap.deny)},
    {ROW(SECTION_IMAP, "read_only"), CHOICE("no", yes_no), POLICY(imap.read_only)},
    {ROW(SECTION_IMAP, "unknown"), CHOICE("refuse", pass_refuse), POLICY(imap.refuse_unknown)},
    {ROW(SECTION_IMAP, "errors"), NUMBER("10", 1, 10000), CONFIG(imap.errors)},
    {ROW(SECTION_IMAP, "command_line"), NUMBER("65536", 8192, 1u << 20), BY("RFC 7162 s4"),
	CONFIG(imap.dialogue.line)},
    {ROW(SECTION_IMAP, "login_literal"), NUMBER("8192", 512, 1u << 20),
	CONFIG(imap.dialogue.login_literal)},
    {ROW(SECTION_IMAP, "literal"), NUMBER("1048576", 8192, 64u << 20),
	CONFIG(imap.dialogue.literal)},
    {ROW(SECTION_IMAP, "message_size"), NUMBER("0", 65536, UINT64_C(1) << 40), OR_ZERO,
	CONFIG(imap.dialogue.message)},
    {ROW(SECTION_IMAP_TIMEOUTS, "greeting"), NUMBER("300", 1, 86400),
	CONFIG(imap.timeouts.greeting)},
    {ROW(SECTION_IMAP_TIMEOUTS, "login"), NUMBER("180", 10, 86400), CONFIG(imap.timeouts.login)},
    {ROW(SECTION_IMAP_TIMEOUTS, "command"), NUMBER("1860", 1800, 86400), BY("RFC 9051 s5.4"),
	CONFIG(imap.timeouts.command)},
    {ROW(SECTION_IMAP_TIMEOUTS, "idle"), NUMBER("2100", 1800, 86400), BY("RFC 9051 s5.4"),
	CONFIG(imap.timeouts.idle)},
    {ROW(SECTION_IMAP_TIMEOUTS, "reply"), NUMBER("300", 1, 86400), CONFIG(imap.timeouts.reply)},

    {ROW(SECTION_TLS, "minimum"), CHOICE("1.2", tls_versions), CONFIG(tls.minimum)},
    {ROW(SECTION_TLS, "verify"), CHOICE("enforce", all_verify_words), CONFIG(tls.verify)},
    {ROW(SECTION_TLS, "verify_inside"), CHOICE("report", all_verify_words),
	CONFIG(tls.verify_inside)},
    {ROW(SECTION_TLS, "trust"), TEXT(""), OR_ZERO, CONFIG(tls.trust)},
    {ROW(SECTION_TLS, "ca"), TEXT(""), OR_ZERO, CONFIG(tls.ca[CA_TRUSTED].chain)},
    {ROW(SECTION_TLS, "ca_key"), TEXT(""), OR_ZERO, CONFIG(tls.ca[CA_TRUSTED].key)},
    {ROW(SECTION_TLS, "untrusted_ca"), TEXT(""), OR_ZERO, CONFIG(tls.ca[CA_UNTRUSTED].chain)},
    {ROW(SECTION_TLS, "untrusted_ca_key"), TEXT(""), OR_ZERO, CONFIG(tls.ca[CA_UNTRUSTED].key)},
    {ROW(SECTION_TLS, "session_tickets"), CHOICE("yes", yes_no), CONFIG(tls.session_tickets)},
    {ROW(SECTION_TLS, "own_certificate"), TEXT(""), OR_ZERO, CONFIG(tls.own.chain)},
    {ROW(SECTION_TLS, "own_key"), TEXT(""), OR_ZERO, CONFIG(tls.own.key)},
    {ROW(SECTION_TLS, "published"), CHOICE("pass", published_words), POLICY(published)},
    {ROW(SECTION_TLS, "stripped"), CHOICE("report", check_words), CONFIG(tls.stripped)},
    {ROW(SECTION_TLS, "key_log"), TEXT(""), OR_ZERO, CONFIG(tls.key_log)},

    {ROW(SECTION_CERTIFICATE, "chain"), GIVEN(SETTING_TEXT), CERTIFICATE(chain)},
    {ROW(SECTION_CERTIFICATE, "key"), GIVEN(SETTING_TEXT), CERTIFICATE(key)},
    {ROW(SECTION_CERTIFICATE, "names"), LIST(SETTING_NAMES, ""), CERTIFICATE(names)},
    {ROW(SECTION_CERTIFICATE, "servers"), LIST(SETTING_NETWORKS, ""), CERTIFICATE(servers)},

    {ROW(SECTION_CLIENT_CERTIFICATE, "chain"), GIVEN(SETTING_TEXT), CERTIFICATE(chain)},
    {ROW(SECTION_CLIENT_CERTIFICATE, "key"), GIVEN(SETTING_TEXT), CERTIFICATE(key)},

    {ROW(SECTION_TLS_RULE, "protocols"), CHOICES("", protocols), TLS_RULE(protocols)},
    {ROW(SECTION_TLS_RULE, "towards"), CHOICE("anybody", towards_words), TLS_RULE(towards)},
    {ROW(SECTION_TLS_RULE, "clients"), LIST(SETTING_NETWORKS, ""), TLS_RULE(clients)},
    {ROW(SECTION_TLS_RULE, "servers"), LIST(SETTING_NETWORKS, ""), TLS_RULE(servers)},
    {ROW(SECTION_TLS_RULE, "server_names"), LIST(SETTING_DOMAINS, ""), TLS_RULE(server_names)},
    {ROW(SECTION_TLS_RULE, "action"), CHOICE("intercept", tls_actions), TLS_RULE(action)},
    {ROW(SECTION_TLS_RULE, "required"), CHOICE("auto", required_words), TLS_RULE(required)},
    {ROW(SECTION_TLS_RULE, "verify"), CHOICE("auto", verify_words), TLS_RULE(verify)},
    {ROW(SECTION_TLS_RULE, "old_versions"), CHOICE("no", yes_no), TLS_RULE(old_versions)},
    {ROW(SECTION_TLS_RULE, "upstream"), CHOICE("same", upstream_words), TLS_RULE(upstream)},
    {ROW(SECTION_TLS_RULE, "upstream_name"), TEXT(""), OR_ZERO, TLS_RULE(upstream_name)},
    {ROW(SECTION_TLS_RULE, "client_certificate"), TEXT(""), OR_ZERO, TLS_RULE(client_certificate)},

    {ROW(SECTION_CAPTURE, "directory"), TEXT("/var/lib/postern/capture"), CAPTURE(directory)},
    {ROW(SECTION_CAPTURE, "what"), CHOICE("all", capture_what), CAPTURE(what)},
    {ROW(SECTION_CAPTURE, "protocols"), CHOICES("", protocols), CAPTURE(protocols)},
    {ROW(SECTION_CAPTURE, "clients"), LIST(SETTING_NETWORKS, ""), CAPTURE(clients)},
    {ROW(SECTION_CAPTURE, "servers"), LIST(SETTING_NETWORKS, ""), CAPTURE(servers)},
    {ROW(SECTION_CAPTURE, "legs"), CHOICE("client", capture_legs), CAPTURE(legs)},
    {ROW(SECTION_CAPTURE, "secrets"), CHOICE("mask", mask_keep), CAPTURE(keep_secrets)},
    {ROW(SECTION_CAPTURE, "content"), CHOICE("yes", yes_no), CAPTURE(content)},
    {ROW(SECTION_CAPTURE, "file_size"), NUMBER("64", 1, 1u << 20), CAPTURE(file_size)},
    {ROW(SECTION_CAPTURE, "file_seconds"), NUMBER("3600", 1, 31536000), OR_ZERO,
	CAPTURE(file_seconds)},
    {ROW(SECTION_CAPTURE, "budget"), NUMBER("1024", 2, 1u << 30), CAPTURE(budget)},
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))
_Static_assert(SETTINGS <= SETTINGS_MAX, "SETTINGS_MAX is too small");

const struct section *
config_section(enum config_section section)
{
	return &sections[section];
}

enum config_section
config_section_find(enum config_section above, struct span name)
{
	for (unsigned i = SECTION_ROOT + 1; i < SECTION_COUNT; i++)
		if (sections[i].above == above && span_eq(name, span_str(sections[i].name)))
			return (enum config_section)i;
	return SECTION_NONE;
}

const struct setting *
config_setting(size_t i)
{
	return i < SETTINGS ? &settings[i] : NULL;
}

const struct setting *
config_setting_find(enum config_section section, struct span name, size_t *index)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (settings[i].section == section && span_eq(name, span_str(settings[i].name))) {
			*index = i;
			return &settings[i];
		}
	return NULL;
}

const char *
config_setting_path(enum config_section section, const char *name, char text[SETTING_PATH_MAX])
{
	enum config_section above = sections[section].above;
	const char *outer = above < SECTION_COUNT ? sections[above].name : "";

	snprintf(text, SETTING_PATH_MAX, "%s%s%s%s%s", outer, *outer ? "." : "",
	    sections[section].name, *sections[section].name && name != NULL ? "." : "",
	    name != NULL ? name : "");
	return text;
}
