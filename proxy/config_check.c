#include "config_check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "address.h"
#include "certificate_files.h"
#include "config_tree.h"
#include "digest_list.h"
#include "log_file.h"
#include "tap.h"
#include "tls_rules.h"

static unsigned
setting_line(const struct reading *r, enum config_section section, const char *name)
{
	size_t i;

	config_setting_find(section, span_str(name), &i);
	return r->scan.setting_line[i];
}

/* The file names networks, right or wrong; those that are wrong were told. */
static bool
names_inside(const struct reading *r)
{
	size_t i;

	return config_tree_count(config_tree_section(r->config->tree, SECTION_ROOT, 0),
		   config_setting_find(SECTION_ROOT, span_str("inside"), &i)) > 0;
}

static void
check_inside(struct reading *r)
{
	unsigned line = setting_line(r, SECTION_ROOT, "inside");

	if (r->config->policy->relay.check == CHECK_OFF || names_inside(r) ||
	    !config_serves(r->config, PROTOCOL_SMTP))
		return;
	if (line == 0)
		line = setting_line(r, SECTION_RELAY, "check");
	faults_add(&r->faults, line != 0 ? line : 1,
	    "inside: empty, and smtp.relay.check needs to know who is inside; name a network, or "
	    "set the check off");
}

static void
check_reply_size(struct reading *r)
{
	const struct config *c = r->config;
	const struct {
		enum config_section section;
		size_t line, all;
	} rows[] = {{SECTION_SMTP, c->smtp.dialogue.reply_line, c->smtp.dialogue.reply},
	    {SECTION_FTP, c->ftp.dialogue.reply_line, c->ftp.dialogue.reply}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *name = config_section(rows[i].section)->name;

		if (rows[i].all < rows[i].line)
			faults_add(&r->faults, setting_line(r, rows[i].section, "reply_line"),
			    "%s.reply_line: %zu is more than %s.reply_size, %zu, which bounds all "
			    "lines of a reply",
			    name, rows[i].line, name, rows[i].all);
	}
}

/* Whoever switches it on and leaves it blind would think that it looks. */
static void
check_client_name(struct reading *r)
{
	const struct client_name_policy *p = &r->config->policy->client_name;

	if (p->check != CHECK_OFF && p->reverse == REVERSE_NONE && p->helo == HELO_ANY)
		faults_add(&r->faults, setting_line(r, SECTION_CLIENT_NAME, "check"),
		    "smtp.client_name.check: nothing to look at; set reverse to exists or "
		    "confirmed, helo to valid or resolves, or the check off");
}

/* A port of two protocols, or twice of one. */
static void
check_ports(struct reading *r)
{
	static const struct {
		enum config_section section;
		enum protocol protocol;
		const char *name;
		const unsigned *(*ports)(const struct config *, enum protocol, size_t *);
	} lists[] = {
	    {SECTION_SMTP, PROTOCOL_SMTP, "smtp.ports", config_clear_ports},
	    {SECTION_FTP, PROTOCOL_FTP, "ftp.ports", config_clear_ports},
	    {SECTION_POP3, PROTOCOL_POP3, "pop3.ports", config_clear_ports},
	    {SECTION_IMAP, PROTOCOL_IMAP, "imap.ports", config_clear_ports},
	    {SECTION_SMTP, PROTOCOL_SMTP, "smtp.tls_ports", config_tls_ports},
	    {SECTION_FTP, PROTOCOL_FTP, "ftp.tls_ports", config_tls_ports},
	    {SECTION_POP3, PROTOCOL_POP3, "pop3.tls_ports", config_tls_ports},
	    {SECTION_IMAP, PROTOCOL_IMAP, "imap.tls_ports", config_tls_ports},
	};
	uint8_t owner[UINT16_MAX + 1] = {0}; /* one more than the row; 0: nobody */

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		size_t n;
		const unsigned *ports = lists[i].ports(r->config, lists[i].protocol, &n);
		unsigned line = setting_line(r, lists[i].section, strchr(lists[i].name, '.') + 1);

		for (size_t k = 0; k < n; k++)
			if (owner[ports[k]] != 0)
				faults_add(&r->faults, line != 0 ? line : 1,
				    "%s: %u stands in %s already; a port has one protocol",
				    lists[i].name, ports[k], lists[owner[ports[k]] - 1].name);
			else
				owner[ports[k]] = (uint8_t)(i + 1);
	}
}

static bool
same_endpoint(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	/* Both were made from zeroes by config_endpoint(). */
	return a->ss_family != AF_UNSPEC && memcmp(a, b, sizeof(*a)) == 0;
}

static bool
is_taken(const struct config *c, unsigned port)
{
	for (unsigned p = 0; p < PROTOCOL_COUNT; p++) {
		size_t n;
		const unsigned *ports = config_ports(c, (enum protocol)p, &n);

		for (size_t k = 0; k < n; k++)
			if (ports[k] == port)
				return true;
	}
	return false;
}

/*
 * What comes for one of this host's own addresses at such a port is taken for a loop, and reset,
 * before anybody who listens there hears of it; but for what comes from this host.
 */
static void
check_forward_port(struct reading *r, size_t i)
{
	const struct config *c = r->config;
	struct endpoint at = address_endpoint((const struct sockaddr *)&c->forwards[i].listen);

	if (c->mode == INTERCEPT_OFF || !is_taken(c, at.port) || ip_is_loopback(&at.ip) ||
	    (!ip_is_unspecified(&at.ip) && networks_has(c->intercept.bypass_servers, &at.ip)))
		return;
	faults_add(&r->faults, r->scan.titled_line[SECTION_FORWARD][i],
	    "forward.listen: port %u is taken off the wire, and who connects to it here is reset; "
	    "listen on an address that stands in intercept.bypass_servers, or on another port",
	    at.port);
}

static void
check_title(struct reading *r, enum config_section section, const char *name, unsigned line)
{
	size_t n = name == NULL ? 0
				: strspn(name, "abcdefghijklmnopqrstuvwxyz"
					       "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	if (name != NULL && (n == 0 || n > CONFIG_TITLE_MAX || name[n] != '\0'))
		faults_add(&r->faults, line,
		    "%s: \"%.100s\" is not a name of 1 to %d letters, digits, \"-\", \"_\", \".\"",
		    config_section(section)->name, name, CONFIG_TITLE_MAX);
}

static void
check_forward(struct reading *r, size_t i)
{
	const struct forward *f = r->config->forwards, *me = &f[i];
	unsigned line = r->scan.titled_line[SECTION_FORWARD][i];
	const struct setting *row;
	cfg_t *section = config_tree_section(r->config->tree, SECTION_FORWARD, (unsigned)i);

	check_title(r, SECTION_FORWARD, me->name, line);
	for (size_t k = 0; (row = config_setting(k)) != NULL; k++)
		if (row->section == SECTION_FORWARD && config_tree_count(section, row) == 0)
			faults_add(&r->faults, line,
			    "forward.%s: missing; ADDRESS:PORT must be given", row->name);
	if (same_endpoint(&me->listen, &me->to))
		faults_add(&r->faults, line, "forward.to: the address that it listens on");
	check_forward_port(r, i);
	for (size_t k = 0; k < i; k++)
		if (same_endpoint(&f[k].listen, &me->listen))
			faults_add(&r->faults, line,
			    "forward.listen: \"%.100s\" on line %u listens there already; one "
			    "address, "
			    "one forward",
			    f[k].name, r->scan.titled_line[SECTION_FORWARD][k]);
}

/* Two packets that the kernel must tell apart may not look alike. */
static void
check_marks(struct reading *r)
{
	const struct intercept_config *i = &r->config->intercept;
	unsigned line = setting_line(r, SECTION_INTERCEPT, "mark");

	if (line == 0)
		line = setting_line(r, SECTION_INTERCEPT, "own_mark");
	if (line == 0)
		line = setting_line(r, SECTION_INTERCEPT, "mark_mask");
	if ((i->mark & ~i->mark_mask) != 0 || (i->own_mark & ~i->mark_mask) != 0)
		faults_add(&r->faults, line,
		    "intercept.mark_mask: 0x%08x does not cover intercept.mark, 0x%08x, and "
		    "intercept.own_mark, 0x%08x",
		    i->mark_mask, i->mark, i->own_mark);
	if (i->mark == i->own_mark)
		faults_add(&r->faults, line,
		    "intercept.own_mark: 0x%08x is intercept.mark; they must differ", i->mark);
}

static bool
listens_here(const struct intercept_config *i, unsigned port)
{
	return port >= i->listen_from && port < i->listen_from + INTERCEPT_LISTEN_PORTS;
}

static void
check_listen_from(struct reading *r)
{
	const struct config *c = r->config;
	unsigned line = setting_line(r, SECTION_INTERCEPT, "listen_from");

	for (unsigned p = 0; p < PROTOCOL_COUNT; p++) {
		size_t n;
		const unsigned *ports = config_ports(c, (enum protocol)p, &n);

		for (size_t k = 0; k < n; k++)
			if (listens_here(&c->intercept, ports[k]))
				faults_add(&r->faults, line != 0 ? line : 1,
				    "intercept.listen_from: port %u is taken off the wire, and one "
				    "of the %d ports from %u on, where the gateway itself listens",
				    ports[k], INTERCEPT_LISTEN_PORTS, c->intercept.listen_from);
	}
}

/* ---- FTP ---- */

/* The setting that stands in the file, of two that must fit together; else 1. */
static unsigned
line_of_either(
    const struct reading *r, enum config_section section, const char *one, const char *other)
{
	unsigned line = setting_line(r, section, one);

	if (line == 0)
		line = setting_line(r, section, other);
	return line != 0 ? line : 1;
}

static void
clash(struct reading *r, unsigned port, const char *what)
{
	const struct ftp_config *f = &r->config->ftp;

	faults_add(&r->faults, line_of_either(r, SECTION_FTP, "data_ports_from", "data_ports_to"),
	    "ftp.data_ports_from: port %u is one of %u to %u, and %s", port, f->data_ports_from,
	    f->data_ports_to, what);
}

static bool
is_data_port(const struct config *c, unsigned port)
{
	return port >= c->ftp.data_ports_from && port <= c->ftp.data_ports_to;
}

/* What comes for the gateway itself at a port that is taken is a loop, and reset. */
static void
check_data_ports_taken(struct reading *r)
{
	const struct config *c = r->config;

	for (unsigned p = 0; p < PROTOCOL_COUNT; p++) {
		size_t n;
		const unsigned *ports = config_ports(c, (enum protocol)p, &n);

		for (size_t k = 0; k < n; k++)
			if (is_data_port(c, ports[k]))
				clash(r, ports[k],
				    "sessions that begin there are taken off the wire");
	}
}

/* Somebody gets data connections at an address of the gateway's own. */
static bool
has_data_ports(const struct config *c)
{
	return config_forwards(c, PROTOCOL_FTP) || c->mode == INTERCEPT_REDIRECT;
}

/* Each of them must be free for a data connection, and nobody else may listen there. */
static void
check_data_ports(struct reading *r)
{
	const struct config *c = r->config;
	unsigned last = c->intercept.listen_from + INTERCEPT_LISTEN_PORTS - 1;

	if (c->ftp.data_ports_from > c->ftp.data_ports_to) {
		faults_add(&r->faults,
		    line_of_either(r, SECTION_FTP, "data_ports_from", "data_ports_to"),
		    "ftp.data_ports_from: %u is more than ftp.data_ports_to, %u",
		    c->ftp.data_ports_from, c->ftp.data_ports_to);
		return;
	}
	if (c->mode != INTERCEPT_OFF && c->ftp.data_ports_from <= last &&
	    c->ftp.data_ports_to >= c->intercept.listen_from)
		clash(r,
		    c->ftp.data_ports_from > c->intercept.listen_from ? c->ftp.data_ports_from
								      : c->intercept.listen_from,
		    "the gateway itself listens there (intercept.listen_from)");
	if (c->mode != INTERCEPT_OFF && has_data_ports(c))
		check_data_ports_taken(r);
	for (size_t i = 0; has_data_ports(c) && i < c->n_forwards; i++) {
		struct endpoint at =
		    address_endpoint((const struct sockaddr *)&c->forwards[i].listen);

		if (is_data_port(c, at.port))
			clash(r, at.port, "a forward section listens there");
	}
}

/* Whoever asks for it would think that something is looked at. */
static void
check_protection(struct reading *r)
{
	const struct ftp_config *f = &r->config->ftp;

	if (r->config->policy->ftp.protect_data && f->server_protection == SERVER_DATA_CLEAR)
		faults_add(&r->faults, setting_line(r, SECTION_FTP, "data_protection"),
		    "ftp.data_protection: required, and with ftp.server_data_protection = clear "
		    "the server's side never has it");
	if (f->require_resumption && !r->config->tls.session_tickets)
		faults_warn(&r->faults, setting_line(r, SECTION_FTP, "data_resumption"),
		    "ftp.data_resumption: require, and with tls.session_tickets = no no client "
		    "can resume a session");
}

static void
check_refused_upload(struct reading *r)
{
	const struct ftp_config *f = &r->config->ftp;

	if (f->delete_refused && !f->inspect)
		faults_add(&r->faults, setting_line(r, SECTION_FTP, "refused_upload"),
		    "ftp.refused_upload: delete, and with ftp.inspect = no nothing is looked at "
		    "that "
		    "could be refused; set one of them otherwise");
}

/* The same. */
static void
check_refused_message(struct reading *r)
{
	const struct config *c = r->config;

	if (c->policy->pop3.cut && !c->mime.inspect)
		faults_add(&r->faults, setting_line(r, SECTION_POP3, "refused_message"),
		    "pop3.refused_message: cut, and with mime.inspect = no nothing is looked at "
		    "that could be refused; set one of them otherwise");
}

/* A file beside the log needs a log that is a file. */
static void
check_log_format(struct reading *r)
{
	const struct config *c = r->config;
	const char *slash = c->log == NULL ? NULL : strrchr(c->log, '/');
	const char *name = slash == NULL ? c->log : slash + 1;

	if (c->log == NULL || !c->xferlog)
		return;
	if (strcmp(c->log, "-") == 0 || span_starts(span_str(c->log), span_str("/dev/")))
		faults_add(&r->faults, setting_line(r, SECTION_ROOT, "log_format"),
		    "log_format: eve_xferlog writes a file beside the log, and log, \"%.256s\", is "
		    "no file",
		    c->log);
	else if (strcmp(name, LOG_FILE_XFERLOG) == 0)
		faults_add(&r->faults, setting_line(r, SECTION_ROOT, "log_format"),
		    "log_format: eve_xferlog writes the file %s, which is log itself", c->log);
}

/* ---- messages ---- */

/* Whoever asks for a rule and switches off what it looks at would think that it looks. */
static void
check_content(struct reading *r)
{
	const struct config *c = r->config;
	const struct content_policy *p = &c->content;
	unsigned line = setting_line(r, SECTION_MIME, "inspect"); /* it is not its default */
	bool lists = (p->types != NULL && p->types[0] != NULL) ||
		     (p->extensions != NULL && p->extensions[0] != NULL) ||
		     c->content_sha256 != NULL;

	if (!c->mime.inspect && p->check != CHECK_OFF && (lists || content_may_refuse(p)))
		faults_add(&r->faults, line,
		    "mime.inspect: no, and content.check needs to know what is in a message; set "
		    "one of them otherwise");
	else if (!c->mime.options.archives &&
		 (content_does(p, CONTENT_ENCRYPTED) == CHECK_ENFORCE ||
		     content_does(p, CONTENT_BOMB) == CHECK_ENFORCE))
		faults_add(&r->faults, setting_line(r, SECTION_MIME, "archives"),
		    "mime.archives: no, and content.encrypted_archive and content.bomb need to "
		    "know what is in an archive; set one of them otherwise");
}

static void
read_digests(struct reading *r)
{
	struct config *c = r->config;
	unsigned line = setting_line(r, SECTION_CONTENT, "deny_sha256");

	if (c->content_sha256 == NULL)
		return;
	if (c->content_sha256[0] != '/')
		faults_add(&r->faults, line,
		    "content.deny_sha256: \"%.256s\" is no path that begins with \"/\"",
		    c->content_sha256);
	else if (r->files)
		digest_list_read(
		    c->content_sha256, &c->content.sha256, "content.deny_sha256", line, &r->faults);
}

/* ---- TLS ---- */

/* Of a setting in one of several sections; one that is missing stands where they begin. */
static unsigned
titled_line(const struct reading *r, enum config_section section, unsigned nth, const char *name)
{
	size_t i;
	const struct setting *row = config_setting_find(section, span_str(name), &i);
	cfg_t *at = config_tree_section(r->config->tree, section, nth);

	return config_tree_count(at, row) > 0 ? config_tree_line(at, row, 0)
					      : r->scan.titled_line[section][nth];
}

static struct certificate_lines
certificate_lines(const struct reading *r, enum config_section section, unsigned i)
{
	return (struct certificate_lines){r->scan.titled_line[section][i],
	    titled_line(r, section, i, "chain"), titled_line(r, section, i, "key"),
	    section == SECTION_CLIENT_CERTIFICATE};
}

static void
check_certificate(struct reading *r, enum config_section section, struct certificate *c,
    const struct certificate_lines *lines)
{
	const char *name = config_section(section)->name;

	check_title(r, section, c->name, lines->section);
	if (c->chain == NULL)
		faults_add(
		    &r->faults, lines->section, "%s.chain: missing; a path must be given", name);
	if (c->key == NULL)
		faults_add(
		    &r->faults, lines->section, "%s.key: missing; a path must be given", name);
	if (r->files && c->chain != NULL && c->key != NULL)
		certificate_read(c, lines, &r->faults);
}

/* What nobody trusts has to be signed by somebody. */
static void
check_untrusted(struct reading *r, enum tls_verify verify, const char *name, unsigned line)
{
	if (verify == VERIFY_UNTRUSTED && r->config->tls.ca[CA_UNTRUSTED].chain == NULL)
		faults_add(&r->faults, line,
		    "%s: untrusted, and tls.untrusted_ca, which would sign for such servers, is "
		    "missing",
		    name);
}

static bool
has_client_certificate(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_client_certificates; i++)
		if (strcmp(c->client_certificates[i].name, name) == 0)
			return true;
	return false;
}

/* Whoever may use it is known to its server by it: that must be the server that was meant. */
static void
check_shown(struct reading *r, const struct tls_rule *rule, unsigned i)
{
	unsigned line = titled_line(r, SECTION_TLS_RULE, i, "client_certificate");

	if (rule->client_certificate == NULL)
		return;
	if (!has_client_certificate(r->config, rule->client_certificate))
		faults_add(&r->faults, line,
		    "tls_rule.client_certificate: there is no section client_certificate \"%.64s\"",
		    rule->client_certificate);
	if (networks_empty(rule->servers) && domains_empty(rule->server_names))
		faults_add(&r->faults, line,
		    "tls_rule.client_certificate: any server could ask for it; say whose it is in "
		    "tls_rule.servers or tls_rule.server_names");
}

/* One leg under TLS alone. */
static void
check_upstream(struct reading *r, const struct tls_rule *rule, unsigned i)
{
	unsigned line = titled_line(r, SECTION_TLS_RULE, i, "upstream");
	char name[DOMAIN_TEXT_MAX];

	if (rule->upstream != UPSTREAM_SAME && rule->action != TLS_INTERCEPT)
		faults_add(&r->faults, line,
		    "tls_rule.upstream: the gateway has no leg of its own where tls_rule.action is "
		    "not intercept");
	if (rule->upstream == UPSTREAM_PLAIN)
		faults_warn(&r->faults, line,
		    "tls_rule.upstream: plain: clients under TLS are carried on in the clear, and "
		    "cannot see it");
	if (rule->upstream_name != NULL && !domain_canonical(span_str(rule->upstream_name), name))
		faults_add(&r->faults, titled_line(r, SECTION_TLS_RULE, i, "upstream_name"),
		    "tls_rule.upstream_name: \"%.256s\" is no name of a host", rule->upstream_name);
}

static void
check_own_certificate(struct reading *r)
{
	struct tls_config *t = &r->config->tls;
	const struct certificate_lines lines = {
	    .chain = setting_line(r, SECTION_TLS, "own_certificate"),
	    .key = setting_line(r, SECTION_TLS, "own_key")};

	if ((t->own.chain == NULL) != (t->own.key == NULL))
		faults_add(&r->faults, lines.chain != 0 ? lines.chain : lines.key,
		    "tls.own_certificate, tls.own_key: one of them alone is of no use; set both, "
		    "or none");
	else if (r->files && config_serves(r->config, PROTOCOL_SMTP))
		own_certificate_read(t, &lines, &r->faults);
}

static void
check_tls_rule(struct reading *r, unsigned i)
{
	const struct tls_rule *rule = &r->config->policy->tls_rules[i];

	check_title(r, SECTION_TLS_RULE, rule->name, r->scan.titled_line[SECTION_TLS_RULE][i]);
	check_untrusted(
	    r, rule->verify, "tls_rule.verify", titled_line(r, SECTION_TLS_RULE, i, "verify"));
	if (rule->action == TLS_REFUSE && rule->required == REQUIRED_YES)
		faults_add(&r->faults, titled_line(r, SECTION_TLS_RULE, i, "required"),
		    "tls_rule.required: yes, and with tls_rule.action = refuse nobody could ever "
		    "log in; set one of them otherwise");
	if (rule->action != TLS_INTERCEPT &&
	    (rule->old_versions || rule->verify != VERIFY_AUTO || rule->client_certificate != NULL))
		faults_add(&r->faults, titled_line(r, SECTION_TLS_RULE, i, "action"),
		    "tls_rule.action: TLS does not end here, and tls_rule.verify, "
		    "tls_rule.old_versions and tls_rule.client_certificate are for where it does; "
		    "take them out");
	check_shown(r, rule, i);
	check_upstream(r, rule, i);
}

/* One without the other would have to let pass, or to refuse, what it should be shown as it is. */
static void
check_authorities(struct reading *r)
{
	static const char *const names[] = {"ca", "ca_key", "untrusted_ca", "untrusted_ca_key"};
	struct tls_config *tls = &r->config->tls;
	const char *paths[] = {tls->ca[CA_TRUSTED].chain, tls->ca[CA_TRUSTED].key,
	    tls->ca[CA_UNTRUSTED].chain, tls->ca[CA_UNTRUSTED].key};
	unsigned at[4], first = 0, n = 0;

	for (unsigned i = 0; i < 4; i++) {
		at[i] = setting_line(r, SECTION_TLS, names[i]);
		if (paths[i] != NULL && n++ == 0)
			first = at[i];
	}
	for (unsigned i = 0; n > 0 && i < 4; i++)
		if (paths[i] == NULL)
			faults_add(&r->faults, first,
			    "tls.%s: missing; ca, untrusted_ca and the keys of both are set "
			    "together (postern ca init makes them)",
			    names[i]);
	if (n == 4 && r->files)
		authorities_read(tls,
		    (const struct authority_lines[CA_COUNT]){{at[0], at[1]}, {at[2], at[3]}},
		    &r->faults);
}

static void
check_capture(struct reading *r, unsigned i)
{
	const struct capture_config *c = &r->config->captures[i];

	check_title(r, SECTION_CAPTURE, c->name, r->scan.titled_line[SECTION_CAPTURE][i]);
	if (c->budget < 2 * c->file_size)
		faults_add(&r->faults, titled_line(r, SECTION_CAPTURE, i, "budget"),
		    "capture.budget: %u MiB hold no two files of capture.file_size = %u", c->budget,
		    c->file_size);
	if (c->keep_secrets)
		faults_warn(&r->faults, titled_line(r, SECTION_CAPTURE, i, "secrets"),
		    "capture.secrets: whoever can read %.256s reads passwords", c->directory);
}

static void
check_tls(struct reading *r)
{
	struct config *c = r->config;
	struct certificate_lines lines[TITLED_MAX];

	for (unsigned i = 0; i < c->n_certificates; i++) {
		lines[i] = certificate_lines(r, SECTION_CERTIFICATE, i);
		check_certificate(r, SECTION_CERTIFICATE, &c->certificates[i], &lines[i]);
	}
	for (unsigned i = 0; i < c->n_client_certificates; i++) {
		const struct certificate_lines of_client =
		    certificate_lines(r, SECTION_CLIENT_CERTIFICATE, i);

		check_certificate(
		    r, SECTION_CLIENT_CERTIFICATE, &c->client_certificates[i], &of_client);
	}
	check_own_certificate(r);
	for (unsigned i = 0; i < c->policy->n_tls_rules; i++)
		check_tls_rule(r, i);
	if (r->files && c->tls.key_log != NULL)
		faults_warn(&r->faults, setting_line(r, SECTION_TLS, "key_log"),
		    "tls.key_log: whoever can read %.256s reads all that was said under TLS",
		    c->tls.key_log);
	check_authorities(r);
	check_untrusted(r, c->tls.verify, "tls.verify", setting_line(r, SECTION_TLS, "verify"));
	check_untrusted(r, c->tls.verify_inside, "tls.verify_inside",
	    setting_line(r, SECTION_TLS, "verify_inside"));
	if (r->files)
		certificates_compare(c->certificates, c->n_certificates, lines, &r->faults);
	if (r->files && (config_uses_tls(c) || c->tls.trust != NULL))
		trust_read(&c->tls, setting_line(r, SECTION_TLS, "trust"), &r->faults);
}

void
config_check(struct reading *r)
{
	check_content(r);
	read_digests(r);
	check_marks(r);
	check_listen_from(r);
	check_inside(r);
	check_reply_size(r);
	check_client_name(r);
	check_ports(r);
	check_data_ports(r);
	check_refused_upload(r);
	check_protection(r);
	check_refused_message(r);
	check_log_format(r);
	if (r->config->n_captures > TAP_RULES_MAX)
		faults_add(&r->faults, r->scan.titled_line[SECTION_CAPTURE][TAP_RULES_MAX],
		    "capture: %zu sections; at most %d may stand here", r->config->n_captures,
		    TAP_RULES_MAX);
	for (unsigned i = 0; i < r->config->n_captures; i++)
		check_capture(r, i);
	check_tls(r);
	for (size_t i = 0; i < r->config->n_forwards; i++)
		check_forward(r, i);
}
