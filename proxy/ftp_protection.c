/*
 * What of a session is under TLS (RFC 4217): the control connection from AUTH on, each data
 * connection as PROT has it. Both sides have the same, so that neither is weaker than the client
 * has asked for, unless the configuration says otherwise.
 */
#include <stdlib.h>

#include "ftp_gate.h"

struct ftp_policy
ftp_session_policy(const struct relay *r)
{
	struct ftp_policy p = r->env->config->policy->ftp;

	if (r->facts.starttls != STARTTLS_AUTO)
		p.starttls = r->facts.starttls;
	p.needs_tls = r->facts.tls_required && !r->facts.tls;
	p.in_tls = r->facts.tls;
	return p;
}

/* ---- what the client asks for ---- */

/* PROT P, of the client, and what the server is to hear of it. */
static bool
is_private(struct span args)
{
	return span_ieq(span_trim(args), span_str("P"));
}

static bool
private_to_server(const struct ftp_gate *g, bool asked)
{
	switch (ftp_config_of(g)->server_protection) {
	case SERVER_DATA_PRIVATE:
		return true;
	case SERVER_DATA_CLEAR:
		return false;
	case SERVER_DATA_SAME:
		break;
	}
	return asked;
}

/*
 * What it all is called has changed (RFC 4217 s17); the server hears what it is called now. A size
 * of what is protected is that of other mechanisms.
 */
static void
ask_for_both(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	bool ends_here = g->policy.in_tls || relay_intercepts(&g->relay, g->policy.starttls);

	if (!ends_here)
		ftp_forward_as(g, x, x->args);
	else if (ev->ftp->verb->verb == FTP_AUTH)
		ftp_forward_as(g, x, "TLS");
	else if (ev->ftp->verb->verb == FTP_PBSZ)
		ftp_forward_as(g, x, "0");
	else
		ftp_forward_as(g, x, private_to_server(g, is_private(ev->ftp->args)) ? "P" : "C");
}

/* By a rule the server's leg is in the clear: what a client asks for is of its own side. */
static void
protect_client_alone(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	bool private = is_private(ev->ftp->args);

	if (ev->ftp->verb->verb == FTP_PBSZ) {
		g->sized = true;
		ftp_say_to(g, x, "200 PBSZ=0");
		return;
	}
	if (private != g->protected[DATA_CLIENT])
		ftp_channel_forget(g);
	g->protected[DATA_CLIENT] = private;
	ftp_say_to(g, x, private ? "200 Protection level is P." : "200 Protection level is C.");
}

void
ftp_protection_command(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	if (g->policy.in_tls && g->relay.tls[AN_S2C] != RELAY_SECURE) {
		protect_client_alone(g, x, ev);
		return;
	}
	ask_for_both(g, x, ev);
}

/* ---- what the server says to it ---- */

/* Who spoke ahead of the handshake spoke in the clear to somebody who thinks it is inside. */
static bool
spoke_ahead(struct ftp_gate *g, const struct an_event *ev)
{
	bool client = channel_input(&g->relay.client).n > 0, server = g->behind > 0;

	if (!client && !server)
		return false;
	ftp_anomaly(g, AN_PLAIN_AHEAD_OF_TLS, client ? AN_C2S : AN_S2C, ev->off, NULL);
	ftp_give_up(g,
	    client ? "503 Nothing may be sent ahead of TLS." : "421 The server spoke ahead of TLS.",
	    client ? "client_ahead_of_tls" : "server_ahead_of_tls");
	return !ftp_observed(g);
}

static void
on_auth(struct ftp_gate *g, const struct an_event *ev)
{
	struct relay *r = &g->relay;

	if (ftp_state(g->dialogue) != FTP_ST_OPAQUE) {
		if (ev->ftp->code >= 400)
			ftp_anomaly(g, AN_TLS_REJECTED, AN_S2C, ev->off, NULL);
		ftp_pass_reply(g, ev);
		relay_upgrade_refused(r);
		return;
	}
	if (spoke_ahead(g, ev))
		return;
	ftp_channel_forget(g);
	ftp_pass_reply(g, ev);
	if (ftp_observed(g) || relay_intercepts(r, g->policy.starttls))
		relay_upgrade_both(r);
	else
		r->opaque = true;
}

static void
on_pbsz(struct ftp_gate *g, const struct an_event *ev)
{
	bool accepted = g->policy.in_tls && ev->ftp->code / 100 == 2;

	g->sized = g->sized || accepted;
	ftp_pass_reply_as(g, ev, accepted ? span_str("200 PBSZ=0\r\n") : ev->octets);
}

/* What was agreed on was agreed on for connections of the other kind. */
static void
on_prot(struct ftp_gate *g, const struct ftp_exchange *x, const struct an_event *ev)
{
	bool client = x->args != NULL && is_private(span_str(x->args));
	bool server = ftp_observed(g) ? client : private_to_server(g, client);
	bool changes = client != g->protected[DATA_CLIENT] || server != g->protected[DATA_SERVER];

	if (g->policy.in_tls && ev->ftp->code / 100 == 2 && changes) {
		if (!ftp_observed(g))
			ftp_channel_forget(g);
		g->protected[DATA_CLIENT] = client;
		g->protected[DATA_SERVER] = server;
	}
	ftp_pass_reply(g, ev);
}

void
ftp_protection_reply(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	switch ((int)x->verb->verb) {
	case FTP_AUTH:
		on_auth(g, ev);
		break;
	case FTP_PBSZ:
		on_pbsz(g, ev);
		break;
	default:
		on_prot(g, x, ev);
		break;
	}
}

/* ---- what the configuration asks for ---- */

bool
ftp_protect_server(struct ftp_gate *g)
{
	if (g->relay.tls[AN_S2C] != RELAY_SECURE || g->protected[DATA_SERVER] ||
	    ftp_config_of(g)->server_protection != SERVER_DATA_PRIVATE)
		return false;
	ftp_ask(g, FTP_PBSZ, "0");
	return true;
}

void
ftp_protection_own_reply(struct ftp_gate *g, const struct an_event *ev)
{
	bool accepted = ev->ftp->code / 100 == 2;

	if (ev->ftp->verb->verb == FTP_PBSZ && accepted) {
		ftp_ask(g, FTP_PROT, "P");
		return;
	}
	g->protected[DATA_SERVER] = accepted;
	ftp_channel_go_on(g, accepted);
}

/* What was said in the clear may be anybody's word (N-017). */
void
ftp_upgraded(struct ftp_gate *g, enum an_dir dir, const char *why)
{
	struct relay *r = &g->relay;

	if (!relay_begins_anew(r, dir, why))
		return;
	g->asked = g->acted = ftp_now(g);
	ftp_path_forget(&g->directory);
	free(g->user);
	g->user = NULL;
	g->epsv_all = g->mlst = false;
	g->ascii = true;
	g->restart = 0;
	g->policy = ftp_session_policy(r);
	ftp_secured(g->dialogue);
}
