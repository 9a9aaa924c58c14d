#include "tls_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "config_value.h"
#include "pem.h"
#include "tls_ticket.h"

#define TICKET_STAMP 16 /* octets; random */

/* ECDHE and AEAD alone: forward secrecy, and no padding to be asked about (T-008). */
#define CIPHERS	       "ECDHE+AESGCM:ECDHE+CHACHA20"
#define SECURITY_LEVEL 2 /* 112 bits: RSA 2048; no SHA-1 (T-003) */

struct held {
	struct tls_identity identity;
	const struct certificate *section;
	char **made; /* names out of the certificate; NULL: the section has its own */
};

struct name {
	const char *text; /* canonical, or "*." and canonical */
	const struct held *of;
};

struct tls_keys {
	SSL_CTX *client_legs, *server_legs;
	struct held *held;
	size_t n_held;
	struct held own;	 /* of no section; its leaf is NULL where there is none */
	struct held *of_clients; /* shown to servers that ask */
	size_t n_of_clients;
	struct name *names; /* sorted */
	size_t n_names;
	size_t n_anchors;
	STACK_OF(X509) * cas; /* CAs of our own; NULL: there are none */
	struct tls_tickets tickets;
	int key_log; /* -1: none */
	char why[512];
};

/* ---- identities ---- */

static bool
hold(struct held *h, const struct certificate *section)
{
	STACK_OF(X509) *chain = pem_certificates(section->chain_pem);
	bool encrypted;

	h->section = section;
	h->identity.name = section->name;
	h->identity.key = pem_key(section->key_pem, &encrypted);
	h->identity.leaf = chain == NULL ? NULL : sk_X509_shift(chain);
	h->identity.chain = chain;
	if (h->identity.leaf == NULL || h->identity.key == NULL ||
	    X509_check_private_key(h->identity.leaf, h->identity.key) != 1)
		return false;
	if (section->names != NULL && section->names[0] != NULL)
		return true;
	h->made = pem_names(h->identity.leaf);
	return h->made != NULL;
}

static void
release(struct held *h)
{
	X509_free(h->identity.leaf);
	pem_certificates_free(h->identity.chain);
	EVP_PKEY_free(h->identity.key);
	config_words_free(h->made);
}

/* *held gets *n_held of them. */
static const char *
hold_all(
    struct tls_keys *k, const struct certificate *all, size_t n, struct held **held, size_t *n_held)
{
	*held = calloc(n + 1, sizeof(**held));
	if (*held == NULL)
		return "out of memory";
	for (; *n_held < n; ++*n_held)
		if (!hold(&(*held)[*n_held], &all[*n_held])) {
			snprintf(k->why, sizeof(k->why),
			    "certificate \"%s\": cannot be used, or out of memory",
			    all[*n_held].name);
			release(&(*held)[*n_held]);
			return k->why;
		}
	return NULL;
}

static const char *
hold_own(struct tls_keys *k, const struct config *c)
{
	if (c->tls.own.chain_pem.n == 0)
		return NULL;
	if (!hold(&k->own, &c->tls.own))
		return "tls.own_certificate: cannot be used, or out of memory";
	k->own.identity.name = "own";
	return NULL;
}

static void
release_all(struct held *held, size_t n)
{
	for (size_t i = 0; i < n; i++)
		release(&held[i]);
	free(held);
}

static char *const *
names_of(const struct held *h)
{
	return h->made != NULL ? h->made : h->section->names;
}

static int
by_text(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return strcmp(x->text, y->text);
}

static const char *
list_names(struct tls_keys *k)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n_held; i++)
		for (char *const *s = names_of(&k->held[i]); *s != NULL; s++)
			n++;
	k->names = calloc(n + 1, sizeof(*k->names));
	if (k->names == NULL)
		return "out of memory";
	for (size_t i = 0; i < k->n_held; i++)
		for (char *const *s = names_of(&k->held[i]); *s != NULL; s++)
			k->names[k->n_names++] = (struct name){*s, &k->held[i]};
	qsort(k->names, k->n_names, sizeof(*k->names), by_text);
	return NULL;
}

static const struct tls_identity *
named(const struct tls_keys *k, const char *text)
{
	const struct name wanted = {text, NULL}, *found;

	found = bsearch(&wanted, k->names, k->n_names, sizeof(*k->names), by_text);
	return found != NULL ? &found->of->identity : NULL;
}

static const struct tls_identity *
identity_of_name(const struct tls_keys *k, struct span server_name)
{
	char name[1 + DOMAIN_TEXT_MAX] = "*", *dot;
	const struct tls_identity *found;

	if (server_name.n == 0 || !domain_canonical(server_name, name + 1))
		return NULL;
	found = named(k, name + 1);
	if (found != NULL || (dot = strchr(name, '.')) == NULL)
		return found;
	*--dot = '*';
	return named(k, dot);
}

static const struct tls_identity *
identity_of_address(const struct tls_keys *k, const struct ip *server)
{
	for (size_t i = 0; i < k->n_held; i++)
		if (networks_has(k->held[i].section->servers, server))
			return &k->held[i].identity;
	for (size_t i = 0; i < k->n_held; i++)
		if (networks_empty(k->held[i].section->servers))
			return &k->held[i].identity;
	return NULL;
}

const struct tls_identity *
tls_keys_identity(const struct tls_keys *k, struct span server_name, const struct ip *server)
{
	const struct tls_identity *found = identity_of_name(k, server_name);

	return found != NULL ? found : identity_of_address(k, server);
}

const struct tls_identity *
tls_keys_own(const struct tls_keys *k)
{
	return k->own.identity.leaf != NULL ? &k->own.identity : NULL;
}

const struct tls_identity *
tls_keys_client_certificate(const struct tls_keys *k, const char *name)
{
	for (size_t i = 0; name != NULL && i < k->n_of_clients; i++)
		if (strcmp(k->of_clients[i].identity.name, name) == 0)
			return &k->of_clients[i].identity;
	return NULL;
}

/* The name is not known yet, and it need not be: the address has one. */
bool
tls_keys_can_show(const struct tls_keys *k, const struct ip *server, bool inside)
{
	return inside ? identity_of_address(k, server) != NULL : k->cas != NULL;
}

/* ---- trust anchors ---- */

/* The same name and key: a copy of a CA under another signature is the same CA. */
static bool
same_ca(X509 *a, X509 *b)
{
	return X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0 &&
	       EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)) == 1;
}

static bool
is_our_own(X509 *anchor, STACK_OF(X509) * own)
{
	for (int i = 0; i < sk_X509_num(own); i++)
		if (same_ca(anchor, sk_X509_value(own, i)))
			return true;
	return false;
}

/* The site's own root may be an anchor, and have signed our CA. */
bool
tls_keys_signed_by_us(const struct tls_keys *k, const STACK_OF(X509) * chain)
{
	for (int i = 0; i < sk_X509_num(chain); i++)
		if (is_our_own(sk_X509_value(chain, i), k->cas))
			return true;
	return false;
}

/* *all: NULL where the text is empty. False: it cannot be read. */
static bool
certificates_of(struct span pem, STACK_OF(X509) * *all)
{
	*all = pem.n == 0 ? NULL : pem_certificates(pem);
	return pem.n == 0 || *all != NULL;
}

static bool
add_all_but(struct tls_keys *k, STACK_OF(X509) * all, STACK_OF(X509) * own)
{
	X509_STORE *store = SSL_CTX_get_cert_store(k->server_legs);

	for (int i = 0; i < sk_X509_num(all); i++) {
		X509 *one = sk_X509_value(all, i);

		if (is_our_own(one, own))
			continue;
		if (X509_STORE_add_cert(store, one) != 1)
			return false;
		k->n_anchors++;
	}
	return true;
}

static const char *
add_anchors(struct tls_keys *k, const struct tls_config *tls)
{
	STACK_OF(X509) *all = NULL;
	bool done = certificates_of(tls->trust_pem, &all) &&
		    certificates_of(tls->own_ca_pem, &k->cas) && add_all_but(k, all, k->cas);

	pem_certificates_free(all);
	return done ? NULL : "tls.trust: cannot be read, or out of memory";
}

/* ---- contexts ---- */

static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int encrypt)
{
	struct tls_keys *k = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const int use =
	    tls_tickets_use(&k->tickets, (uint64_t)time(NULL), name, iv, cipher, mac, encrypt != 0);

	/* clients of TLS 1.3 show a ticket once, and need another one (RFC 8446 C.4) */
	return use == 1 && !encrypt && SSL_version(ssl) == TLS1_3_VERSION ? 2 : use;
}

/* Tells the sessions of one client apart, for who has to know which is which; 1: go on. */
static int
on_ticket_made(SSL *ssl, void *arg)
{
	SSL_SESSION *session = SSL_get_session(ssl);
	uint8_t stamp[TICKET_STAMP];
	void *there;
	size_t n;

	(void)arg;
	if (SSL_SESSION_get0_ticket_appdata(session, &there, &n) == 1 && n > 0)
		return 1; /* of the session that it resumes, or of the ticket ahead of this one */
	return RAND_bytes(stamp, sizeof(stamp)) == 1 &&
	       SSL_SESSION_set1_ticket_appdata(session, stamp, sizeof(stamp)) == 1;
}

static void
on_key_log(const SSL *ssl, const char *line)
{
	const struct tls_keys *k = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	struct iovec parts[] = {{(void *)(uintptr_t)line, strlen(line)}, {(char[]){"\n"}, 1}};

	/* one call a line: workers write to the same file */
	if (writev(k->key_log, parts, 2) < 0)
		return; /* whoever debugs sees that lines are missing; sessions go on */
}

/* NULL: OpenSSL will not. */
static SSL_CTX *
new_context(struct tls_keys *k, const SSL_METHOD *method, const struct tls_config *tls)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	int least = tls->minimum == TLS_MINIMUM_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_app_data(ctx, k);
	SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (k->key_log >= 0)
		SSL_CTX_set_keylog_callback(ctx, on_key_log);
	if (SSL_CTX_set_min_proto_version(ctx, least) == 1 &&
	    SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

static const char *
make_client_legs(struct tls_keys *k, const struct config *c)
{
	SSL_CTX *ctx = k->client_legs = new_context(k, TLS_server_method(), &c->tls);

	if (ctx == NULL)
		return "cannot make a context of TLS for clients";
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_timeout(ctx, TLS_TICKET_HOUR);
	if (!c->tls.session_tickets) {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		return SSL_CTX_set_num_tickets(ctx, 0) == 1 ? NULL : "cannot do without tickets";
	}
	if (SSL_CTX_set_session_ticket_cb(ctx, on_ticket_made, NULL, NULL) != 1)
		return "cannot make session tickets";
	if (!tls_tickets_begin(&k->tickets, c->tls_secret, (uint64_t)time(NULL)) ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1)
		return "cannot make keys of session tickets";
	return NULL;
}

static const char *
make_server_legs(struct tls_keys *k, const struct config *c)
{
	k->server_legs = new_context(k, TLS_client_method(), &c->tls);
	if (k->server_legs != NULL) /* sessions are told of, for legs that keep their own */
		SSL_CTX_set_session_cache_mode(
		    k->server_legs, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	return k->server_legs != NULL ? NULL : "cannot make a context of TLS for servers";
}

/* For its owner alone: whoever has it reads what was recorded of these sessions. */
static const char *
open_key_log(struct tls_keys *k, const char *path)
{
	k->key_log = -1;
	if (path == NULL)
		return NULL;
	k->key_log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (k->key_log >= 0)
		return NULL;
	snprintf(k->why, sizeof(k->why), "tls.key_log: %s: %s", path, strerror(errno));
	return k->why;
}

/* ---- the whole ---- */

static const char *
make(struct tls_keys *k, const struct config *c)
{
	const char *why = open_key_log(k, c->tls.key_log);

	if (why == NULL)
		why = hold_all(k, c->certificates, c->n_certificates, &k->held, &k->n_held);
	if (why == NULL)
		why = hold_all(k, c->client_certificates, c->n_client_certificates, &k->of_clients,
		    &k->n_of_clients);
	if (why == NULL)
		why = hold_own(k, c);
	if (why == NULL)
		why = list_names(k);
	if (why == NULL)
		why = make_client_legs(k, c);
	if (why == NULL)
		why = make_server_legs(k, c);
	if (why == NULL)
		why = add_anchors(k, &c->tls);
	return why;
}

struct tls_keys *
tls_keys_new(const struct config *c, const char **why)
{
	static char said[sizeof(((struct tls_keys *)NULL)->why)];
	struct tls_keys *k = calloc(1, sizeof(*k));
	const char *fault = k == NULL ? "out of memory" : make(k, c);

	ERR_clear_error();
	if (fault == NULL)
		return k;
	snprintf(said, sizeof(said), "%s", fault);
	*why = said;
	tls_keys_free(k);
	return NULL;
}

void
tls_keys_free(struct tls_keys *k)
{
	if (k == NULL)
		return;
	SSL_CTX_free(k->client_legs);
	SSL_CTX_free(k->server_legs);
	release_all(k->held, k->n_held);
	release_all(k->of_clients, k->n_of_clients);
	release(&k->own);
	free(k->names);
	pem_certificates_free(k->cas);
	tls_tickets_wipe(&k->tickets);
	if (k->key_log >= 0)
		close(k->key_log);
	free(k);
}

SSL_CTX *
tls_keys_client_legs(const struct tls_keys *k)
{
	return k->client_legs;
}

SSL_CTX *
tls_keys_server_legs(const struct tls_keys *k)
{
	return k->server_legs;
}

size_t
tls_keys_anchors(const struct tls_keys *k)
{
	return k->n_anchors;
}
