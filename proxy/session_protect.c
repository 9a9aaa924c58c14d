#include "session_protect.h"

static SSL *
control_of(const struct upgrade *u, enum an_dir dir)
{
	return u->leg[dir] == NULL ? NULL : tls_leg_ssl(u->leg[dir]);
}

/* What clients call it (RFC 4217 has no name), and what they call the control connection. */
static const char *const alpn_names[] = {"ftp-data", "ftp", NULL};

/* A session of the control connection may be resumed: what it was made for is the same. */
static struct tls_leg *
accept_client(const struct upgrade *u, SSL *control, int fd)
{
	struct tls_identity identity = {.name = "control",
	    .leaf = SSL_get_certificate(control),
	    .key = SSL_get_privatekey(control)};
	struct tls_leg *leg;
	unsigned n = 0;
	const unsigned char *service = SSL_SESSION_get0_id_context(SSL_get_session(control), &n);

	SSL_get0_chain_certs(control, &identity.chain);
	leg = tls_leg_accept(u->relay->env->tls_keys, fd, span_of(service, n));
	if (leg == NULL)
		return NULL;
	tls_leg_expect_alpn(leg, alpn_names);
	tls_leg_give_no_tickets(leg); /* those of the control connection will do */
	tls_leg_answer(leg, &identity, SPAN_NONE, 0);
	return leg;
}

static struct tls_leg *
connect_server(const struct upgrade *u, const SSL *control, int fd)
{
	const struct relay *r = u->relay;
	const struct tls_wanted w = {.server = r->facts.server,
	    .server_name = SSL_get_servername(control, TLSEXT_NAMETYPE_host_name),
	    .old = r->tls_said.old_versions,
	    .own = tls_keys_client_certificate(r->env->tls_keys, r->tls_said.client_certificate),
	    .sessions = u->sessions};

	return tls_leg_connect(r->env->tls_keys, fd, &w);
}

struct tls_leg *
protect_data(const struct upgrade *u, enum data_leg leg, int fd)
{
	SSL *control = control_of(u, leg == DATA_CLIENT ? AN_C2S : AN_S2C);

	if (control == NULL)
		return NULL;
	return leg == DATA_CLIENT ? accept_client(u, control, fd) : connect_server(u, control, fd);
}

/* Also of a session that is resumed, which has the certificate that it was made with. */
static bool
is_same_server(const SSL *control, const SSL *data)
{
	const X509 *theirs = SSL_get0_peer_certificate(data);
	const X509 *known = SSL_get0_peer_certificate(control);

	return theirs != NULL && known != NULL && X509_cmp(theirs, known) == 0;
}

static const char *
judge_server(const struct upgrade *u, struct tls_leg *tls, bool *resumed)
{
	const SSL *data = tls_leg_ssl(tls);

	if (!is_same_server(control_of(u, AN_S2C), data))
		return "tls_verify";
	*resumed = SSL_session_reused(data) == 1;
	tls_leg_trust(tls);
	return NULL;
}

/*
 * F-033: a ticket fits any service of the same client, and whoever shares its address may have one;
 * what tells control connections apart stands in their tickets.
 */
static bool
is_same_client(SSL *control, SSL *data)
{
	void *known, *theirs;
	size_t n_known, n_theirs;

	return SSL_session_reused(data) == 1 &&
	       SSL_SESSION_get0_ticket_appdata(SSL_get_session(control), &known, &n_known) == 1 &&
	       SSL_SESSION_get0_ticket_appdata(SSL_get_session(data), &theirs, &n_theirs) == 1 &&
	       n_known > 0 && span_eq(span_of(known, n_known), span_of(theirs, n_theirs));
}

static const char *
judge_client(const struct upgrade *u, const struct tls_leg *tls, bool *resumed)
{
	struct relay *r = u->relay;
	SSL *data = tls_leg_ssl(tls);

	*resumed = is_same_client(control_of(u, AN_C2S), data);
	if (SSL_session_reused(data) != 1 && !r->env->allow(r->env->arg, r, CLIENT_HANDSHAKE))
		return "tls_client_rate";
	return *resumed || !r->env->config->ftp.require_resumption ? NULL : "tls_not_resumed";
}

const char *
protect_verdict(const struct upgrade *u, enum data_leg leg, struct tls_leg *tls, bool *resumed)
{
	return leg == DATA_CLIENT ? judge_client(u, tls, resumed) : judge_server(u, tls, resumed);
}
