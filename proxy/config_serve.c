#include <sys/stat.h>
#include <unistd.h>

#include "ca.h"
#include "config.h"
#include "config_text.h"

bool
config_is_roots_own(const struct config *c, FILE *err)
{
	struct stat st;

	/* one that has no name any more is nobody's to open */
	if (geteuid() != 0 || stat(c->path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink == 0 ||
	    (st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0))
		return true;
	fprintf(err,
	    "%s: others than root may change it (owner %u, mode %04o); it must be root's, and "
	    "nobody else may write it\n",
	    c->path, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777u);
	return false;
}

bool
config_can_run(const struct config *c, FILE *err)
{
	const char *file = config_text_name(c->path);

	if (!config_is_roots_own(c, err))
		return false;
	if (c->n_forwards == 0 && c->mode == INTERCEPT_OFF) {
		fprintf(err,
		    "%s: intercept.mode: off, and there is no forward section: there is nothing to "
		    "serve\n",
		    file);
		return false;
	}
	return true;
}

bool
config_forwards(const struct config *c, enum protocol p)
{
	for (size_t i = 0; i < c->n_forwards; i++)
		if (c->forwards[i].protocol == p)
			return true;
	return false;
}

bool
config_serves(const struct config *c, enum protocol p)
{
	size_t n;

	config_ports(c, p, &n);
	return config_forwards(c, p) || (c->mode != INTERCEPT_OFF && n > 0);
}

bool
config_uses_tls(const struct config *c)
{
	for (size_t i = 0; i < c->policy->n_tls_rules; i++)
		if (c->policy->tls_rules[i].upstream != UPSTREAM_SAME)
			return true;
	return c->n_certificates > 0 || c->tls.own.chain_pem.n > 0 ||
	       c->tls.ca[CA_TRUSTED].chain != NULL;
}

static bool
may_intercept_outside(const struct policy *p)
{
	for (size_t i = 0; i < p->n_tls_rules; i++) {
		const struct tls_rule *rule = &p->tls_rules[i];

		if (rule->action == TLS_INTERCEPT && rule->towards != TLS_INSIDE &&
		    (rule->protocols == 0 || (rule->protocols & 1u << TLS_SMTP) != 0))
			return true;
	}
	return p->starttls == STARTTLS_INTERCEPT || p->starttls == STARTTLS_REQUIRE;
}

bool
config_asks_published(const struct config *c)
{
	return c->policy->published != PUBLISHED_IGNORE && config_serves(c, PROTOCOL_SMTP) &&
	       may_intercept_outside(c->policy);
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

const unsigned *
config_clear_ports(const struct config *c, enum protocol p, size_t *n)
{
	const struct port_list rows[PROTOCOL_COUNT] = {
	    [PROTOCOL_FTP] = {c->ftp.ports, c->ftp.n_ports},
	    [PROTOCOL_SMTP] = {c->smtp.ports, c->smtp.n_ports},
	    [PROTOCOL_POP3] = {c->pop3.ports, c->pop3.n_ports},
	    [PROTOCOL_IMAP] = {c->imap.ports, c->imap.n_ports}};

	*n = rows[p].n;
	return rows[p].ports;
}
