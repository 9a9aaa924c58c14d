#include "session_upgrade.h"

#include <openssl/sha.h>
#include <stdio.h>

#include "domains.h"
#include "published.h"
#include "tls_report.h"

#define SERVICE_TEXT_MAX 128 /* more than all of its parts */

/* ---- what the two legs have to do with each other ---- */

/*
 * T-018: a session that a client resumes was made for this protocol and server, and by this client:
 * a ticket of one service is none of another's. shown: what else has to be as it was then; may be
 * empty.
 */
static void
service_of(const struct relay *r, struct span shown, uint8_t out[SHA256_DIGEST_LENGTH])
{
	char server[IP_TEXT_MAX], client[IP_TEXT_MAX], text[SERVICE_TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%s %s %u %s", r->ops->name,
	    ip_text(&r->session.up_server.ip, server), r->session.up_server.port,
	    ip_text(&r->session.client.ip, client));
	uint8_t both[2][SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text, (size_t)n, both[0]);
	SHA256(shown.p, shown.n, both[1]);
	SHA256(both[0], sizeof(both), out);
}

static const struct tls_client_hello *
hello_of_client(const struct upgrade *u)
{
	const struct tls_leg *client = u->leg[AN_C2S];

	return client != NULL && tls_leg_state(client) == TLS_LEG_HELLO ? tls_leg_hello(client)
									: NULL;
}

/* What becomes of TLS, now that the client has said a name. */
static bool
may_intercept(const struct upgrade *u, const struct tls_client_hello *hello)
{
	struct relay *r = u->relay;
	struct tls_query q = r->tls_asked;

	q.name = hello->server_name;
	tls_judge(r->env->config->policy, &r->facts, &q, &r->tls_said);
	return r->tls_said.action == TLS_INTERCEPT;
}

/* What is done about a server that cannot be verified. */
static enum tls_verify
verify_of(const struct upgrade *u)
{
	const struct tls_config *tls = &u->relay->env->config->tls;

	if (u->relay->tls_said.verify == VERIFY_UNTRUSTED && u->relay->tls[AN_C2S] == RELAY_CLEAR)
		return VERIFY_ENFORCE; /* nobody is there who could see it */
	if (u->relay->tls_said.verify != VERIFY_AUTO)
		return u->relay->tls_said.verify;
	return u->relay->facts.server_inside ? tls->verify_inside : tls->verify;
}

/* The protocols that a client offers go to the server as they are, if they are not too many. */
static struct tls_leg *
connect_server(struct upgrade *u, int fd)
{
	const struct tls_client_hello *hello = hello_of_client(u);
	/* what is minted mirrors names: a client under TLS that said none finds out itself */
	struct tls_wanted w = {.server = u->relay->facts.server,
	    .any_name = hello != NULL && !u->relay->facts.server_inside,
	    .old = u->relay->tls_said.old_versions};
	const struct tls_keys *keys = u->relay->env->tls_keys;
	char name[DOMAIN_TEXT_MAX];

	if (u->relay->ops->data_news != NULL && u->sessions == NULL)
		u->sessions = tls_sessions_new();
	w.sessions = u->sessions;
	if (hello != NULL)
		w.old = may_intercept(u, hello) && u->relay->tls_said.old_versions;
	if (hello != NULL && hello->alpn.n <= TLS_LEG_ALPN_MAX)
		w.alpn = hello->alpn;
	if (hello != NULL && hello->server_name.n > 0 && domain_canonical(hello->server_name, name))
		w.server_name = name;
	if (hello == NULL)
		w.server_name = u->relay->tls_said.upstream_name;
	w.enforced = verify_of(u) == VERIFY_ENFORCE;
	w.own = tls_keys_client_certificate(keys, u->relay->tls_said.client_certificate);
	return tls_leg_connect(keys, fd, &w);
}

static struct tls_leg *
accept_client(struct upgrade *u, int fd)
{
	uint8_t service[SHA256_DIGEST_LENGTH];

	service_of(u->relay, SPAN_NONE, service);
	return tls_leg_accept(u->relay->env->tls_keys, fd, span_of(service, sizeof(service)));
}

/* What the server chose; a server that chose none has not (RFC 7301 s3.1). */
static struct span
alpn_of_server(const struct upgrade *u)
{
	const unsigned char *chosen = NULL;
	unsigned n = 0;

	if (u->leg[AN_S2C] != NULL)
		SSL_get0_alpn_selected(tls_leg_ssl(u->leg[AN_S2C]), &chosen, &n);
	return span_of(chosen, n);
}

/* T-010: a client that wants only other protocols is in the wrong place. */
static bool
wants_another(const struct upgrade *u, const struct tls_client_hello *hello)
{
	struct span list = hello->alpn, name;

	for (name = tls_alpn_next(&list); name.n > 0; name = tls_alpn_next(&list))
		if (span_eq(name, span_str(u->relay->ops->name)))
			return false;
	return hello->alpn.n > 0;
}

/* ---- what the client is shown ---- */

static bool
is_verified(const struct upgrade *u)
{
	return u->leg[AN_S2C] != NULL && tls_leg_verified(u->leg[AN_S2C]) == X509_V_OK;
}

static void
on_minted(void *upgrade, bool good)
{
	struct upgrade *u = upgrade;

	u->minting = NULL;
	u->mint_failed = !good;
	u->wake(u->owner);
}

/*
 * Who resumes a session sees no certificate: it is resumed only where the one that was mirrored
 * then is what the server has now, was judged in the same way, and was asked for by the same name.
 */
static bool
service_of_minted(const struct upgrade *u, const X509 *real, const struct tls_client_hello *hello,
    bool trusted, uint8_t out[SHA256_DIGEST_LENGTH])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	struct buf shown;
	bool made;

	buf_init(&shown, sizeof(digest) + 1 + TLS_LEG_HELLO_MAX);
	made = X509_digest(real, EVP_sha256(), digest, NULL) == 1 &&
	       buf_add(&shown, span_of(digest, sizeof(digest))) &&
	       buf_octet(&shown, trusted ? 't' : 'u') && buf_add(&shown, hello->server_name);
	if (made)
		service_of(u->relay, buf_span(&shown), out);
	buf_free(&shown);
	return made;
}

/*
 * The CA that clients trust vouches for what was verified, and for nothing else, whatever is done
 * about what was not (T-001). Who resumes a session was shown the same sort of certificate.
 */
static const struct tls_identity *
minted(struct upgrade *u, const struct tls_client_hello *hello)
{
	struct tls_mint *mint = u->relay->env->mint;
	X509 *real =
	    u->leg[AN_S2C] == NULL ? NULL : SSL_get0_peer_certificate(tls_leg_ssl(u->leg[AN_S2C]));
	bool trusted = is_verified(u);
	const struct tls_identity *identity;
	uint8_t service[SHA256_DIGEST_LENGTH];

	if (mint == NULL || real == NULL || u->mint_failed)
		return NULL;
	identity = tls_mint_get(mint, real, hello->server_name, trusted, on_minted, u, &u->minting);
	u->mint_failed = identity == NULL && u->minting == NULL;
	if (identity == NULL || !service_of_minted(u, real, hello, trusted, service))
		return NULL;
	if (SSL_set_session_id_context(tls_leg_ssl(u->leg[AN_C2S]), service, sizeof(service)) != 1)
		return NULL;
	return identity;
}

/* Of the server, whatever certificate is kept; else the gateway's own, where that will do. */
static const struct tls_identity *
kept(const struct relay *r, const struct tls_client_hello *hello)
{
	const struct tls_keys *keys = r->env->tls_keys;
	const struct tls_identity *identity =
	    tls_keys_identity(keys, hello->server_name, &r->facts.server);

	if (identity != NULL || !tls_may_show_own(&r->facts, &r->tls_asked))
		return identity;
	return tls_keys_own(keys);
}

/* Of a server inside what is kept, unless the client is to see that the server was not verified. */
static const struct tls_identity *
identity_for(struct upgrade *u, const struct tls_client_hello *hello)
{
	const struct relay *r = u->relay;

	if (u->leg[AN_S2C] == NULL ||
	    (r->facts.server_inside && (verify_of(u) != VERIFY_UNTRUSTED || is_verified(u))))
		return kept(r, hello);
	return minted(u, hello);
}

/* False: it has to wait for what it is to be shown. */
static bool
answer_client(struct upgrade *u)
{
	const struct tls_client_hello *hello = hello_of_client(u);
	const struct tls_identity *identity = NULL;
	int alert = SSL_AD_UNRECOGNIZED_NAME;

	if (u->minting != NULL)
		return false;
	if (hello == NULL)
		alert = SSL_AD_DECODE_ERROR;
	else if (wants_another(u, hello))
		alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	else if (!may_intercept(u, hello))
		alert = SSL_AD_ACCESS_DENIED;
	else
		identity = identity_for(u, hello);
	if (u->minting != NULL)
		return false;
	if (u->mint_failed)
		alert = SSL_AD_INTERNAL_ERROR;
	if (identity != NULL)
		u->shown = identity->name;
	tls_leg_answer(u->leg[AN_C2S], identity, alpn_of_server(u), alert);
	return true;
}

/* ---- how a handshake ends ---- */

/* Of two legs the client's is the last one to be over, but for one that never began. */
static void
report_last(struct upgrade *u, enum an_dir dir, const char *why)
{
	struct tls_leg *client = u->leg[AN_C2S];

	bool alone = u->relay->own_way; /* no leg of the client's follows */

	if (dir == AN_S2C && ((why == NULL && !alone) || u->relay->tls[AN_C2S] == RELAY_SHAKING))
		return;
	tls_report(u->relay, client, u->leg[AN_S2C], client == NULL ? NULL : tls_leg_hello(client),
	    u->shown, why);
	if (client != NULL)
		tls_leg_forget_hello(client);
}

/* What begins because of it has its own time. */
static void
tell(struct upgrade *u, enum an_dir dir, const char *why)
{
	report_last(u, dir, why);
	if (u->relay->tls[an_other(dir)] != RELAY_SHAKING)
		u->until = 0;
	relay_upgraded(u->relay, dir, why);
}

/* A client that has said its hello hears that it will not be served, in the words of TLS. */
static void
dismiss_client(struct upgrade *u, const char *why)
{
	struct tls_leg *client = u->leg[AN_C2S];

	if (u->relay->tls[AN_C2S] != RELAY_SHAKING)
		return;
	if (client != NULL && tls_leg_state(client) == TLS_LEG_HELLO) {
		tls_leg_answer(client, NULL, SPAN_NONE, SSL_AD_HANDSHAKE_FAILURE);
		tls_leg_shake(client);
	}
	tell(u, AN_C2S, why);
}

static void
failed(struct upgrade *u, enum an_dir dir, const char *why)
{
	bool client_waits = dir == AN_S2C && u->relay->tls[AN_C2S] == RELAY_SHAKING;

	tell(u, dir, why);
	if (client_waits)
		dismiss_client(u, why);
}

/* NULL: the certificate is good, or need not be. */
static const char *
verdict_of_server(const struct upgrade *u)
{
	return verify_of(u) == VERIFY_ENFORCE && !is_verified(u) ? "tls_verify" : NULL;
}

/*
 * A name that is let by: the server has heard nothing yet, and hears what the client has said.
 * Behind STARTTLS it is too late for that.
 */
static bool
passes_by_name(struct upgrade *u)
{
	const struct tls_client_hello *hello = hello_of_client(u);
	struct relay *r = u->relay;

	if (hello == NULL || !r->tls_asked.implicit || r->own_way || u->leg[AN_S2C] != NULL ||
	    may_intercept(u, hello) || r->tls_said.action != TLS_PASS)
		return false;
	relay_pass_tls(r, tls_leg_hello_body(u->leg[AN_C2S]));
	upgrade_free(u);
	return true;
}

/* ---- who verifies ---- */

/* A client that asks for the name of a mail server outside may be one that knows its certificate.
 */
static bool
name_to_judge(const struct upgrade *u, char name[DOMAIN_TEXT_MAX])
{
	const struct tls_client_hello *hello = hello_of_client(u);
	const struct relay *r = u->relay;

	return !u->judged_name && r->facts.unless_published && u->leg[AN_S2C] == NULL &&
	       hello != NULL && domain_canonical(hello->server_name, name);
}

static void
forget_question(struct upgrade *u)
{
	if (u->lookup != NULL)
		u->relay->env->unask(u->relay->env->arg, u->lookup);
	u->lookup = NULL;
	answers_free(u->answers);
	u->answers = NULL;
}

/* False: no memory. */
static bool
ask(struct upgrade *u, const struct verdict *v)
{
	struct relay *r = u->relay;

	if (u->answers == NULL)
		u->answers = answers_new();
	if (u->answers != NULL)
		u->lookup = r->env->ask(r->env->arg, r, v->questions, v->n_questions,
		    r->env->config->dns_budget * 1000u, u->answers);
	return u->lookup != NULL;
}

/* True: the server, which has said yes and heard nothing since, gets the client's own hello. */
static bool
passes_by_dns(struct upgrade *u)
{
	struct relay *r = u->relay;
	char name[DOMAIN_TEXT_MAX];
	struct verdict v;

	if (u->lookup != NULL || !name_to_judge(u, name))
		return false;
	published_judge_name(r->env->config->policy, name, u->answers, &v);
	if (v.action == VERDICT_ASK && ask(u, &v))
		return false;
	u->judged_name = true;
	forget_question(u);
	if (!v.passes_tls)
		return false;
	r->tls_said.action = TLS_PASS;
	r->tls_said.rule = v.rule;
	r->tls_said.reason = v.reason;
	relay_pass_tls(r, tls_leg_hello_body(u->leg[AN_C2S]));
	upgrade_free(u);
	return true;
}

void
upgrade_answered(struct upgrade *u)
{
	u->lookup = NULL;
}

/* ---- in steps ---- */

static bool
may_begin(const struct upgrade *u, enum an_dir dir)
{
	struct relay *r = u->relay;

	if (u->leg[dir] != NULL || relay_from(r, dir)->queued > 0 || u->lookup != NULL)
		return false;
	return dir == AN_C2S || r->tls[AN_C2S] != RELAY_SHAKING ||
	       (u->leg[AN_C2S] != NULL && tls_leg_state(u->leg[AN_C2S]) == TLS_LEG_HELLO);
}

static bool
begin(struct upgrade *u, enum an_dir dir, int fd)
{
	const struct relay_env *env = u->relay->env;

	if (!may_begin(u, dir))
		return false;
	if (dir == AN_C2S && !env->allow(env->arg, u->relay, CLIENT_HANDSHAKE)) {
		failed(u, dir, "tls_client_rate");
		return true;
	}
	u->leg[dir] = dir == AN_C2S ? accept_client(u, fd) : connect_server(u, fd);
	if (u->leg[dir] == NULL)
		failed(u, dir, "tls_no_memory");
	return true;
}

static void
is_open(struct upgrade *u, enum an_dir dir)
{
	if (dir == AN_S2C)
		tls_leg_trust(u->leg[dir]);
	tell(u, dir, NULL);
}

static bool
go_on(struct upgrade *u, enum an_dir dir)
{
	struct tls_leg *leg = u->leg[dir];
	enum tls_leg_state was = tls_leg_state(leg), now;

	if (was == TLS_LEG_HELLO) {
		if (passes_by_dns(u))
			return true;
		if (u->relay->tls[AN_S2C] == RELAY_SHAKING)
			return false;
		if (!answer_client(u))
			return false;
		was = TLS_LEG_SHAKING;
	}
	now = tls_leg_shake(leg);
	if (now == TLS_LEG_HELLO && dir == AN_C2S && (passes_by_name(u) || passes_by_dns(u)))
		return true;
	if (now == TLS_LEG_FAILED)
		failed(u, dir, dir == AN_C2S && u->mint_failed ? "tls_mint" : tls_leg_why(leg));
	else if (now == TLS_LEG_OPEN && dir == AN_S2C && verdict_of_server(u) != NULL)
		failed(u, dir, verdict_of_server(u));
	else if (now == TLS_LEG_OPEN)
		is_open(u, dir);
	return now != was;
}

bool
upgrade_run(struct upgrade *u, const int fds[2])
{
	bool any = false;

	if (!relay_shaking(u->relay)) {
		u->until = 0;
		return false;
	}
	if (u->until == 0 && u->relay->peer[AN_S2C] != PEER_CONNECTING)
		u->until = u->relay->env->now(u->relay->env->arg) + UPGRADE_MS;
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		if (u->relay->tls[dir] != RELAY_SHAKING || fds[dir] < 0 ||
		    u->relay->wish[dir] != WISH_NONE)
			continue;
		if (u->leg[dir] == NULL)
			any = begin(u, dir, fds[dir]) || any;
		else
			any = go_on(u, dir) || any;
	}
	return any;
}

void
upgrade_expired(struct upgrade *u, uint64_t now)
{
	if (u->until == 0 || u->until > now)
		return;
	u->until = 0;
	if (u->relay->tls[AN_S2C] == RELAY_SHAKING)
		failed(u, AN_S2C, "tls_timeout");
	dismiss_client(u, "tls_timeout");
}

void
upgrade_broken(const struct upgrade *u, enum an_dir dir)
{
	const char *why = u->leg[dir] == NULL ? NULL : tls_leg_why(u->leg[dir]);

	if (why != NULL && strcmp(why, "tls_cut") != 0)
		tls_report(u->relay, u->leg[AN_C2S], u->leg[AN_S2C], NULL, u->shown, why);
}

void
upgrade_free(struct upgrade *u)
{
	tls_leg_free(u->leg[AN_C2S]);
	tls_leg_free(u->leg[AN_S2C]);
	if (u->minting != NULL)
		mint_cancel(u->minting);
	u->minting = NULL;
	forget_question(u);
	u->leg[AN_C2S] = u->leg[AN_S2C] = NULL;
	tls_sessions_drop(u->sessions);
	u->sessions = NULL;
	u->until = 0;
}

/* ---- for the owner of the sockets ---- */

bool
upgrade_shakes(const struct upgrade *u, enum an_dir dir)
{
	return u->leg[dir] != NULL && u->relay->tls[dir] == RELAY_SHAKING;
}

bool
upgrade_wants_read(const struct upgrade *u, enum an_dir dir)
{
	return tls_leg_state(u->leg[dir]) == TLS_LEG_SHAKING && !tls_leg_wants_write(u->leg[dir]);
}

bool
upgrade_wants_write(const struct upgrade *u, enum an_dir dir)
{
	return tls_leg_state(u->leg[dir]) == TLS_LEG_SHAKING && tls_leg_wants_write(u->leg[dir]);
}

struct tls_leg *
upgrade_leg(const struct upgrade *u, enum an_dir dir)
{
	return u->leg[dir];
}
