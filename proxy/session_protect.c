#include "session_protect.h"

static SSL *
control_of(const struct upgrade *u, enum an_dir dir)
{
	return u->leg[dir] == NULL ? NULL : tls_leg_ssl(u->leg[dir]);
}

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
	if (leg != NULL)
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

/* What is resumed is the server's that the session was made with. */
static bool
is_same_server(const SSL *control, const SSL *data)
{
	const X509 *theirs = SSL_get0_peer_certificate(data);
	const X509 *known = SSL_get0_peer_certificate(control);

	if (SSL_session_reused(data) == 1)
		return true;
	return theirs != NULL && known != NULL && X509_cmp(theirs, known) == 0;
}

const char *
protect_verdict(const struct upgrade *u, enum data_leg leg, const struct tls_leg *tls)
{
	const SSL *data = tls_leg_ssl(tls);

	if (leg == DATA_SERVER)
		return is_same_server(control_of(u, AN_S2C), data) ? NULL : "tls_verify";
	return u->relay->env->config->ftp.require_resumption && SSL_session_reused(data) != 1
		   ? "tls_not_resumed"
		   : NULL;
}
