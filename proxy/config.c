#include "config.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ca.h"
#include "config_check.h"
#include "config_text.h"
#include "config_tree.h"
#include "config_value.h"
#include "tls_rules.h"

const char *
protocol_name(enum protocol p)
{
	static const char *const names[] = {[PROTOCOL_FTP] = "ftp",
	    [PROTOCOL_SMTP] = "smtp",
	    [PROTOCOL_POP3] = "pop3",
	    [PROTOCOL_IMAP] = "imap"};

	return names[p];
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
	    [BASE_TLS_RULE] = titled,
	    [BASE_CAPTURE] = titled};
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

static bool
begin_capture(void *element)
{
	struct capture_config *c = element;

	c->clients = networks_new();
	c->servers = networks_new();
	return c->clients != NULL && c->servers != NULL;
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
	const struct titled shown = {
	    SECTION_CLIENT_CERTIFICATE, sizeof(struct certificate), begin_certificate};
	const struct titled rule = {SECTION_TLS_RULE, sizeof(struct tls_rule), begin_tls_rule};
	const struct titled capture = {
	    SECTION_CAPTURE, sizeof(struct capture_config), begin_capture};
	struct config *c = r->config;

	c->policy->tls_rules = take_titled(r, &rule, &c->policy->n_tls_rules);
	c->forwards = take_titled(r, &forward, &c->n_forwards);
	c->certificates = take_titled(r, &certificate, &c->n_certificates);
	c->client_certificates = take_titled(r, &shown, &c->n_client_certificates);
	for (size_t i = 0; i < c->n_certificates; i++)
		networks_seal(c->certificates[i].servers);
	c->captures = take_titled(r, &capture, &c->n_captures);
	for (size_t i = 0; i < c->n_captures; i++) {
		networks_seal(c->captures[i].clients);
		networks_seal(c->captures[i].servers);
	}
}

/* What is taken off the wire, in one list for each protocol. */
static void
join_ports(struct reading *r)
{
	struct config *c = r->config;

	for (unsigned p = 0; p < PROTOCOL_COUNT; p++) {
		size_t n, n_tls;
		const unsigned *ports = config_clear_ports(c, (enum protocol)p, &n);
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

/* ---- the whole ---- */

static struct config *
config_new(const char *path)
{
	struct config *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->tls.signer_file = -1;
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
free_certificates(struct config *c, struct certificate *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct certificate *one = &all[i];

		free_pem(c, &one->chain_pem);
		free_pem(c, &one->key_pem);
		config_words_free(one->names);
		networks_free(one->servers);
		free(one->chain);
		free(one->key);
		free(one->name);
	}
	free(all);
}

static void
free_tls(struct config *c)
{
	free_certificates(c, c->certificates, c->n_certificates);
	free_certificates(c, c->client_certificates, c->n_client_certificates);
	free_pem(c, &c->tls.trust_pem);
	free_pem(c, &c->tls.own_ca_pem);
	for (size_t i = 0; i < CA_COUNT; i++) {
		free_pem(c, &c->tls.ca[i].chain_pem);
		free(c->tls.ca[i].chain);
		free(c->tls.ca[i].key);
	}
	if (c->tls.signer_file >= 0)
		close(c->tls.signer_file);
	free_pem(c, &c->tls.own.chain_pem);
	free_pem(c, &c->tls.own.key_pem);
	free(c->tls.own.chain);
	free(c->tls.own.key);
	free(c->tls.trust);
	free(c->tls.key_log);
	OPENSSL_cleanse(c->tls_secret, sizeof(c->tls_secret));
}

static void
free_captures(struct config *c)
{
	for (size_t i = 0; i < c->n_captures; i++) {
		networks_free(c->captures[i].clients);
		networks_free(c->captures[i].servers);
		free(c->captures[i].directory);
		free(c->captures[i].name);
	}
	free(c->captures);
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
	free_captures(c);
	free(c->path);
	free(c->user);
	free(c->log);
	free(c->status);
	free(c->text);
	config_words_free(c->resolvers);
	free(c->dnssec_anchors);
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
	settle_mime(r->config);
	if (r->faults.syntax_line == 0)
		config_check(r);
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
