#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "address.h"
#include "certificate_files.h"
#include "config_scan.h"
#include "config_text.h"
#include "config_tree.h"
#include "config_value.h"
#include "digest_list.h"
#include "log_file.h"
#include "tls_rules.h"

/* A configuration while it is read. */
struct reading {
	struct config *config;
	struct config_scan scan;
	struct faults faults;
	bool files; /* what the configuration names is read too */
};

const char *
protocol_name(enum protocol p)
{
	static const char *const names[] = {[PROTOCOL_FTP] = "ftp",
	    [PROTOCOL_SMTP] = "smtp",
	    [PROTOCOL_POP3] = "pop3",
	    [PROTOCOL_IMAP] = "imap"};

	return names[p];
}

const unsigned *
config_ports(const struct config *c, enum protocol p, size_t *n)
{
	*n = c->taken[p].n;
	return c->taken[p].ports;
}

const unsigned *
config_tls_ports(const struct config *c, enum protocol p, size_t *n)
{
	const struct port_list rows[PROTOCOL_COUNT] = {
	    [PROTOCOL_FTP] = {c->ftp.tls_ports, c->ftp.n_tls_ports},
	    [PROTOCOL_SMTP] = {c->smtp.tls_ports, c->smtp.n_tls_ports},
	    [PROTOCOL_POP3] = {c->pop3.tls_ports, c->pop3.n_tls_ports},
	    [PROTOCOL_IMAP] = {c->imap.tls_ports, c->imap.n_tls_ports}};

	*n = rows[p].n;
	return rows[p].ports;
}

/* ---- values ---- */

/* titled: the element of a section with a title. */
static void
take_section(struct reading *r, enum config_section section, unsigned nth, void *titled)
{
	void *bases[] = {[BASE_CONFIG] = r->config,
	    [BASE_POLICY] = r->config->policy,
	    [BASE_FORWARD] = titled,
	    [BASE_CERTIFICATE] = titled,
	    [BASE_TLS_RULE] = titled};
	cfg_t *at = config_tree_section(r->config->tree, section, nth);
	const struct setting *row;

	for (size_t i = 0; at != NULL && (row = config_setting(i)) != NULL; i++)
		if (row->section == section)
			config_value_take(at, row, bases[row->base], &r->faults);
}

/* Of sections with a title: how each becomes an element of a list, whose first member is its name.
 */
struct titled {
	enum config_section section;
	size_t size;
	bool (*begin)(void *element); /* makes its sets; NULL: it has none. False: no memory */
};

static bool
begin_certificate(void *element)
{
	struct certificate *c = element;

	c->servers = networks_new();
	return c->servers != NULL;
}

static bool
begin_tls_rule(void *element)
{
	return tls_rule_begin(element);
}

static void
take_element(struct reading *r, const struct titled *t, unsigned i, char *element)
{
	const char *title = cfg_title(config_tree_section(r->config->tree, t->section, i));
	char **name = (char **)(void *)element;

	*name = strdup(title);
	if (*name == NULL || (t->begin != NULL && !t->begin(element)))
		faults_add(&r->faults, r->scan.titled_line[t->section][i], "out of memory");
	else
		take_section(r, t->section, i, element);
}

/* The list, of *n elements; NULL: there is no such section. */
static void *
take_titled(struct reading *r, const struct titled *t, size_t *n)
{
	const char *name = config_section(t->section)->name;
	unsigned found = cfg_size(r->config->tree, name);
	char *list;

	if (found > TITLED_MAX) {
		faults_add(&r->faults, r->scan.titled_line[t->section][TITLED_MAX - 1],
		    "%s: %u sections; at most %d may stand here", name, found, TITLED_MAX);
		found = TITLED_MAX;
	}
	if (found == 0)
		return NULL;
	if ((list = calloc(found, t->size)) == NULL) {
		faults_add(&r->faults, 1, "out of memory");
		return NULL;
	}
	for (; *n < found; ++*n)
		take_element(r, t, (unsigned)*n, list + *n * t->size);
	return list;
}

static void
take_all_titled(struct reading *r)
{
	const struct titled forward = {SECTION_FORWARD, sizeof(struct forward), NULL};
	const struct titled certificate = {
	    SECTION_CERTIFICATE, sizeof(struct certificate), begin_certificate};
	const struct titled rule = {SECTION_TLS_RULE, sizeof(struct tls_rule), begin_tls_rule};
	struct config *c = r->config;

	c->policy->tls_rules = take_titled(r, &rule, &c->policy->n_tls_rules);
	c->forwards = take_titled(r, &forward, &c->n_forwards);
	c->certificates = take_titled(r, &certificate, &c->n_certificates);
	for (size_t i = 0; i < c->n_certificates; i++)
		networks_seal(c->certificates[i].servers);
}

static const unsigned *
clear_ports(const struct config *c, enum protocol p, size_t *n)
{
	const struct port_list rows[PROTOCOL_COUNT] = {
	    [PROTOCOL_FTP] = {c->ftp.ports, c->ftp.n_ports},
	    [PROTOCOL_SMTP] = {c->smtp.ports, c->smtp.n_ports},
	    [PROTOCOL_POP3] = {c->pop3.ports, c->pop3.n_ports},
	    [PROTOCOL_IMAP] = {c->imap.ports, c->imap.n_ports}};

	*n = rows[p].n;
	return rows[p].ports;
}

/* What is taken off the wire, in one list for each protocol. */
static void
join_ports(struct reading *r)
{
	struct config *c = r->config;

	for (unsigned p = 0; p < PROTOCOL_COUNT; p++) {
		size_t n, n_tls;
		const unsigned *ports = clear_ports(c, (enum protocol)p, &n);
		const unsigned *tls = config_tls_ports(c, (enum protocol)p, &n_tls);
		unsigned *all = calloc(n + n_tls + 1, sizeof(*all));

		if (all == NULL) {
			faults_add(&r->faults, 1, "out of memory");
			return;
		}
		for (size_t i = 0; i < n; i++)
			all[i] = ports[i];
		for (size_t i = 0; i < n_tls; i++)
			all[n + i] = tls[i];
		c->taken[p] = (struct port_list){all, n + n_tls};
	}
}

/* Who writes forward sections and no intercept section wants no interception. */
static void
settle_mode(struct reading *r)
{
	size_t i;

	if (r->scan.section_line[SECTION_INTERCEPT] != 0 || r->scan.n_titled[SECTION_FORWARD] == 0)
		return;
	const struct setting *row = config_setting_find(SECTION_INTERCEPT, span_str("mode"), &i);
	cfg_t *section = config_tree_section(r->config->tree, SECTION_INTERCEPT, 0);
	if (!config_tree_set(section, row, "off"))
		faults_add(&r->faults, 1, "out of memory");
}

/* ---- what no single value shows ---- */

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
	    {SECTION_SMTP, PROTOCOL_SMTP, "smtp.ports", clear_ports},
	    {SECTION_FTP, PROTOCOL_FTP, "ftp.ports", clear_ports},
	    {SECTION_POP3, PROTOCOL_POP3, "pop3.ports", clear_ports},
	    {SECTION_IMAP, PROTOCOL_IMAP, "imap.ports", clear_ports},
	    {SECTION_SMTP, PROTOCOL_SMTP, "smtp.tls_ports", config_tls_ports},
	    {SECTION_FTP, PROTOCOL_FTP, "ftp.tls_ports", config_tls_ports},
	    {SECTION_POP3, PROTOCOL_POP3, "pop3.tls_ports", config_tls_ports},
	    {SECTION_IMAP, PROTOCOL_IMAP, "imap.tls_ports", config_tls_ports},
	};
	const char *owner[UINT16_MAX + 1] = {NULL};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		size_t n;
		const unsigned *ports = lists[i].ports(r->config, lists[i].protocol, &n);
		unsigned line = setting_line(r, lists[i].section, strchr(lists[i].name, '.') + 1);

		for (size_t k = 0; k < n; k++)
			if (owner[ports[k]] != NULL)
				faults_add(&r->faults, line != 0 ? line : 1,
				    "%s: %u stands in %s already; a port has one protocol",
				    lists[i].name, ports[k], owner[ports[k]]);
			else
				owner[ports[k]] = lists[i].name;
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

static bool
has_word(char *const *words, const char *word)
{
	for (; words != NULL && *words != NULL; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

static void
settle_mime(struct config *c)
{
	struct mail_options *o = &c->mime.options;

	o->sha256 = has_word(c->mime.digests, "sha256") || c->content_sha256 != NULL;
	o->sha1 = has_word(c->mime.digests, "sha1");
	o->md5 = has_word(c->mime.digests, "md5");
	o->types = c->mime.types != TYPES_NO;
}

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

static void
check_certificate(struct reading *r, size_t i, const struct certificate_lines *lines)
{
	struct certificate *c = &r->config->certificates[i];

	check_title(r, SECTION_CERTIFICATE, c->name, lines->section);
	if (c->chain == NULL)
		faults_add(
		    &r->faults, lines->section, "certificate.chain: missing; a path must be given");
	if (c->key == NULL)
		faults_add(
		    &r->faults, lines->section, "certificate.key: missing; a path must be given");
	if (r->files && c->chain != NULL && c->key != NULL)
		certificate_read(c, lines, &r->faults);
}

static void
check_tls_rule(struct reading *r, unsigned i)
{
	const struct tls_rule *rule = &r->config->policy->tls_rules[i];

	check_title(r, SECTION_TLS_RULE, rule->name, r->scan.titled_line[SECTION_TLS_RULE][i]);
	if (rule->action == TLS_REFUSE && rule->required == REQUIRED_YES)
		faults_add(&r->faults, titled_line(r, SECTION_TLS_RULE, i, "required"),
		    "tls_rule.required: yes, and with tls_rule.action = refuse nobody could ever "
		    "log in; set one of them otherwise");
	if (rule->action != TLS_INTERCEPT && (rule->old_versions || rule->verify != VERIFY_AUTO))
		faults_add(&r->faults, titled_line(r, SECTION_TLS_RULE, i, "action"),
		    "tls_rule.action: TLS does not end here, and tls_rule.verify and "
		    "tls_rule.old_versions are for where it does; take them out");
}

static void
check_tls(struct reading *r)
{
	struct config *c = r->config;
	struct certificate_lines lines[TITLED_MAX];

	for (unsigned i = 0; i < c->n_certificates; i++) {
		lines[i] = (struct certificate_lines){r->scan.titled_line[SECTION_CERTIFICATE][i],
		    titled_line(r, SECTION_CERTIFICATE, i, "chain"),
		    titled_line(r, SECTION_CERTIFICATE, i, "key")};
		check_certificate(r, i, &lines[i]);
	}
	for (unsigned i = 0; i < c->policy->n_tls_rules; i++)
		check_tls_rule(r, i);
	if (r->files && c->tls.key_log != NULL)
		faults_warn(&r->faults, setting_line(r, SECTION_TLS, "key_log"),
		    "tls.key_log: whoever can read %.256s reads all that was said under TLS",
		    c->tls.key_log);
	if (r->files)
		certificates_compare(c->certificates, c->n_certificates, lines, &r->faults);
	if (r->files && (config_uses_tls(c) || c->tls.trust != NULL))
		trust_read(&c->tls, setting_line(r, SECTION_TLS, "trust"), &r->faults);
}

static void
check_all(struct reading *r)
{
	settle_mime(r->config);
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
	check_refused_message(r);
	check_log_format(r);
	check_tls(r);
	for (size_t i = 0; i < r->config->n_forwards; i++)
		check_forward(r, i);
}

/* ---- the whole ---- */

static struct config *
config_new(const char *path)
{
	struct config *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	mail_options_default(&c->mime.options);
	c->path = strdup(path);
	c->policy = policy_new();
	c->intercept.bypass = networks_new();
	c->intercept.bypass_servers = networks_new();
	if (c->path != NULL && c->policy != NULL && c->intercept.bypass != NULL &&
	    c->intercept.bypass_servers != NULL)
		return c;
	config_free(c);
	return NULL;
}

/* What was handed over is unmapped as a whole. */
static void
free_pem(struct config *c, struct span *pem)
{
	if (c->handed.n > 0 || pem->n == 0)
		return;
	OPENSSL_cleanse((void *)(uintptr_t)pem->p, pem->n);
	free((void *)(uintptr_t)pem->p);
}

static void
free_tls(struct config *c)
{
	for (size_t i = 0; i < c->n_certificates; i++) {
		struct certificate *one = &c->certificates[i];

		free_pem(c, &one->chain_pem);
		free_pem(c, &one->key_pem);
		config_words_free(one->names);
		networks_free(one->servers);
		free(one->chain);
		free(one->key);
		free(one->name);
	}
	free(c->certificates);
	free_pem(c, &c->tls.trust_pem);
	free_pem(c, &c->tls.own_ca_pem);
	free(c->tls.trust);
	free(c->tls.key_log);
	OPENSSL_cleanse(c->tls_secret, sizeof(c->tls_secret));
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_forwards; i++)
		free(c->forwards[i].name);
	free(c->forwards);
	free_tls(c);
	free(c->path);
	free(c->user);
	free(c->log);
	free(c->status);
	free(c->text);
	config_words_free(c->resolvers);
	config_words_free(c->inside_devices);
	config_words_free(c->intercept.devices);
	networks_free(c->intercept.bypass);
	networks_free(c->intercept.bypass_servers);
	free(c->smtp.ports);
	free(c->ftp.ports);
	if (c->policy != NULL) {
		config_words_free(c->policy->ftp.deny);
		config_words_free(c->policy->ftp.deny_replies);
		config_words_free(c->policy->pop3.deny);
		config_words_free(c->policy->imap.deny);
	}
	free(c->pop3.ports);
	free(c->imap.ports);
	free(c->smtp.tls_ports);
	free(c->ftp.tls_ports);
	free(c->pop3.tls_ports);
	free(c->imap.tls_ports);
	for (unsigned p = 0; p < PROTOCOL_COUNT; p++)
		free(c->taken[p].ports);
	config_words_free(c->mime.digests);
	config_words_free(c->content.types);
	config_words_free(c->content.extensions);
	digests_free(&c->content.sha256);
	free(c->content_sha256);
	if (c->handed.n > 0)
		munmap((void *)(uintptr_t)c->handed.p, c->handed.n);
	policy_free(c->policy);
	cfg_free(c->tree);
	free(c);
}

static void
read_text(struct reading *r, char *text, size_t n)
{
	config_scan(text, &n, &r->scan, &r->faults);
	r->config->tree = config_tree_read(text, n, &r->faults);
	if (r->config->tree == NULL) {
		faults_add(&r->faults, 1, "out of memory");
		return;
	}
	settle_mode(r);
	for (unsigned s = 0; s < SECTION_COUNT; s++)
		if (!config_section((enum config_section)s)->titled)
			take_section(r, (enum config_section)s, 0, NULL);
	join_ports(r);
	take_all_titled(r);
	networks_seal(r->config->intercept.bypass);
	networks_seal(r->config->intercept.bypass_servers);
	policy_seal(r->config->policy);
	if (r->faults.syntax_line == 0)
		check_all(r);
}

static bool
keep_text(struct config *c, const char *text, size_t n)
{
	c->text = malloc(n > 0 ? n : 1);
	if (c->text == NULL)
		return false;
	memcpy(c->text, text, n);
	c->text_n = n;
	return true;
}

/* Reads in text itself, which does not survive. */
static struct config *
parse(const char *path, char *text, size_t n, bool files, FILE *err)
{
	struct reading r = {.files = files};

	faults_init(&r.faults);
	r.config = config_new(path);
	if (r.config == NULL || !keep_text(r.config, text, n))
		faults_add(&r.faults, 1, "out of memory");
	else
		read_text(&r, text, n);
	faults_tell(&r.faults, config_text_name(path), err);
	if (faults_any(&r.faults)) {
		config_free(r.config);
		r.config = NULL;
	}
	faults_free(&r.faults);
	return r.config;
}

struct config *
config_parse(const char *path, const char *text, size_t n, FILE *err)
{
	/* libconfuse wants room for the NUL behind a text, as a file in memory has it */
	char *copy = calloc(1, n + 1);
	struct config *c = NULL;

	if (copy != NULL) {
		memcpy(copy, text, n);
		c = parse(path, copy, n, false, err);
	}
	free(copy);
	return c;
}

static struct config *
read_file(const char *path, bool files, FILE *err)
{
	size_t n;
	char *text = config_text_read(path, &n, err);
	struct config *c = text == NULL ? NULL : parse(path, text, n, files, err);

	free(text);
	return c;
}

struct config *
config_read(const char *path, FILE *err)
{
	return read_file(path, true, err);
}

struct config *
config_glance(const char *path, FILE *err)
{
	return read_file(path, false, err);
}
