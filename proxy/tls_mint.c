#include "tls_mint.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "domains.h"
#include "pem.h"
#include "signer.h"

#define BUCKETS	  256
#define HOUR_MS	  UINT64_C(3600000)
#define TRIES_MAX 2

LIST_HEAD(waits, mint_wait);
TAILQ_HEAD(entries, entry);

/* A leaf, or one that is asked for. */
struct entry {
	uint8_t real[SHA256_DIGEST_LENGTH];
	bool trusted;
	struct tls_identity identity;	/* leaf: NULL: not there yet */
	uint64_t made;			/* clock_ms() */
	struct sign_question *question; /* NULL: it is there */
	unsigned tries;
	bool sent;
	struct waits waits;
	LIST_ENTRY(entry) bucket;
	TAILQ_ENTRY(entry)
	order; /* asked: as they came; kept: the one that was wanted last is last */
};

struct mint_wait {
	void (*done)(void *arg, bool good);
	void *arg;
	bool good;
	LIST_ENTRY(mint_wait) others;
};

struct tls_mint {
	struct event_base *base;
	int fd; /* -1: no signer */
	struct event *readable, *writable;
	EVP_PKEY *keys[LEAF_KEYS];
	STACK_OF(X509) * chains[CA_COUNT]; /* what is sent behind leaves; NULL: nothing */
	LIST_HEAD(, entry) buckets[BUCKETS];
	struct entries asked, kept;
	unsigned n_asked, n_kept;
	uint32_t last_id;
	struct waits over; /* those that are to be told */
};

/* ---- what a certificate says ---- */

static void
copy_subject(X509 *real, struct leaf_wanted *w)
{
	static const int nids[LEAF_ATTRIBUTES] = {[LEAF_C] = NID_countryName,
	    [LEAF_ST] = NID_stateOrProvinceName,
	    [LEAF_L] = NID_localityName,
	    [LEAF_O] = NID_organizationName,
	    [LEAF_OU] = NID_organizationalUnitName,
	    [LEAF_CN] = NID_commonName};
	const X509_NAME *subject = X509_get_subject_name(real);

	for (unsigned i = 0; i < LEAF_ATTRIBUTES; i++) {
		int at = X509_NAME_get_index_by_NID(subject, nids[i], -1);
		unsigned char *text = NULL;
		int n = at < 0 ? -1
			       : ASN1_STRING_to_UTF8(&text,
				     X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));

		if (n > 0 && n < LEAF_TEXT)
			memcpy(w->subject[i], text, (size_t)n);
		for (int c = 0; c < n && n < LEAF_TEXT; c++)
			if (text[c] < ' ' || text[c] == 0x7f)
				w->subject[i][0] = '\0'; /* nobody reads such a name */
		OPENSSL_free(text);
	}
}

static void
add_domain(struct leaf_wanted *w, struct span name)
{
	char text[2 + DOMAIN_TEXT_MAX] = "*.";
	size_t wild = span_starts(name, span_str("*.")) ? 2 : 0;

	if (domain_canonical(span_from(name, wild), text + 2))
		(void)leaf_add_name(w, text + 2 - wild);
}

static void
add_address(struct leaf_wanted *w, struct span octets)
{
	char text[IP_TEXT_MAX];
	struct ip ip;

	if (octets.n != 4 && octets.n != 16)
		return;
	ip = octets.n == 4 ? ip_v4(octets.p) : ip_v6(octets.p);
	(void)leaf_add_name(w, ip_text(&ip, text));
}

/* Names that leaves cannot have, or have no room for, are left out: fewer is never too many. */
static void
copy_names(X509 *real, struct leaf_wanted *w)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(real, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		int type;
		const ASN1_STRING *s =
		    GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, i), &type);

		if (type == GEN_DNS)
			add_domain(
			    w, span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)));
		else if (type == GEN_IPADD)
			add_address(
			    w, span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)));
	}
	GENERAL_NAMES_free(all);
}

/* A certificate is for this name; *found, if wanted: by which of its own, for OPENSSL_free(). */
static bool
is_for(X509 *x, struct span server_name, char **found)
{
	unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	char name[DOMAIN_TEXT_MAX];

	return server_name.n > 0 && domain_canonical(server_name, name) &&
	       X509_check_host(x, name, 0, flags, found) == 1;
}

/* The one of many that this client looks for comes first. */
static void
add_asked(X509 *real, struct span server_name, struct leaf_wanted *w)
{
	char *found = NULL;

	if (is_for(real, server_name, &found) && found != NULL)
		add_domain(w, span_str(found));
	OPENSSL_free(found);
}

/* Dates that no certificate should have become such that the client finds them as bad. */
static bool
copy_dates(X509 *real, struct leaf_wanted *w)
{
	if (!leaf_time(X509_get0_notBefore(real), &w->not_before) ||
	    !leaf_time(X509_get0_notAfter(real), &w->not_after) || w->not_after <= 0)
		return false;
	if (w->not_before < 0)
		w->not_before = 0;
	if (w->not_before >= w->not_after)
		w->not_before = w->not_after - 1;
	return true;
}

bool
mint_describe(X509 *real, struct span server_name, struct leaf_wanted *w)
{
	bool described = copy_dates(real, w);

	copy_subject(real, w);
	add_asked(real, server_name, w);
	copy_names(real, w);
	ERR_clear_error();
	return described;
}

/* ---- entries ---- */

static struct entry *
find(struct tls_mint *m, const uint8_t real[SHA256_DIGEST_LENGTH], bool trusted)
{
	struct entry *e;

	LIST_FOREACH(e, &m->buckets[real[0] % BUCKETS], bucket)
	{
		if (e->trusted == trusted && memcmp(e->real, real, SHA256_DIGEST_LENGTH) == 0)
			return e;
	}
	return NULL;
}

/* Nobody waits for it. */
static void
forget(struct tls_mint *m, struct entry *e)
{
	bool asked = e->question != NULL;

	TAILQ_REMOVE(asked ? &m->asked : &m->kept, e, order);
	*(asked ? &m->n_asked : &m->n_kept) -= 1;
	LIST_REMOVE(e, bucket);
	X509_free(e->identity.leaf);
	free(e->question);
	free(e);
}

static struct entry *
ask(struct tls_mint *m, X509 *real, struct span server_name, bool trusted)
{
	struct entry *e = m->n_asked < MINT_ASKED_MAX ? calloc(1, sizeof(*e)) : NULL;
	struct sign_question *q = e == NULL ? NULL : calloc(1, sizeof(*q));
	bool rsa = EVP_PKEY_is_a(X509_get0_pubkey(real), "RSA") == 1 ||
		   EVP_PKEY_is_a(X509_get0_pubkey(real), "RSA-PSS") == 1;

	if (q == NULL || !mint_describe(real, server_name, &q->leaf) ||
	    !leaf_set_key(&q->leaf, m->keys[rsa ? LEAF_RSA : LEAF_P256])) {
		free(q);
		free(e);
		return NULL;
	}
	q->which = trusted ? CA_TRUSTED : CA_UNTRUSTED;
	q->id = ++m->last_id;
	e->question = q;
	e->trusted = trusted;
	e->identity = (struct tls_identity){.name = trusted ? "minted" : "minted_untrusted",
	    .chain = m->chains[q->which],
	    .key = m->keys[q->leaf.key]};
	LIST_INIT(&e->waits);
	TAILQ_INSERT_TAIL(&m->asked, e, order);
	m->n_asked++;
	return e;
}

/* ---- those that wait ---- */

static void
is_over(struct tls_mint *m, struct entry *e, bool good)
{
	struct mint_wait *w;

	while ((w = LIST_FIRST(&e->waits)) != NULL) {
		LIST_REMOVE(w, others);
		w->good = good;
		LIST_INSERT_HEAD(&m->over, w, others);
	}
}

/* Whoever is told may cancel others, and ask anew. */
static void
tell(struct tls_mint *m)
{
	struct mint_wait *w;

	while ((w = LIST_FIRST(&m->over)) != NULL) {
		struct mint_wait told = *w;

		LIST_REMOVE(w, others);
		free(w);
		told.done(told.arg, told.good);
	}
}

void
mint_cancel(struct mint_wait *w)
{
	LIST_REMOVE(w, others);
	free(w);
}

static void
fails(struct tls_mint *m, struct entry *e)
{
	is_over(m, e, false);
	forget(m, e);
}

/* ---- the signer ---- */

static void
disconnect(struct tls_mint *m)
{
	struct entry *e, *next;

	if (m->fd < 0)
		return;
	event_free(m->readable);
	event_free(m->writable);
	close(m->fd);
	m->fd = -1;
	for (e = TAILQ_FIRST(&m->asked); e != NULL; e = next) {
		next = TAILQ_NEXT(e, order);
		if (e->sent && e->tries >= TRIES_MAX)
			fails(m, e); /* it may be what the signers died of */
		else
			e->sent = false;
	}
}

static void
send_questions(struct tls_mint *m)
{
	struct entry *e;

	TAILQ_FOREACH(e, &m->asked, order)
	{
		ssize_t n;

		if (m->fd < 0)
			return;
		if (e->sent)
			continue;
		n = send(m->fd, e->question, sizeof(*e->question), MSG_NOSIGNAL);
		if (n != (ssize_t)sizeof(*e->question)) {
			if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
				event_add(m->writable, NULL);
			return; /* gone: its socket says so, too */
		}
		e->sent = true;
		e->tries++;
	}
}

static void
keep(struct tls_mint *m, struct entry *e, X509 *leaf)
{
	TAILQ_REMOVE(&m->asked, e, order);
	m->n_asked--;
	free(e->question);
	e->question = NULL;
	e->identity.leaf = leaf;
	e->made = clock_ms();
	if (m->n_kept >= MINT_KEPT_MAX)
		forget(m, TAILQ_FIRST(&m->kept));
	TAILQ_INSERT_TAIL(&m->kept, e, order);
	m->n_kept++;
	is_over(m, e, true);
}

/* A leaf for our key, or NULL. */
static X509 *
leaf_of(const struct sign_answer *a, EVP_PKEY *key)
{
	const unsigned char *der = a->der;
	X509 *leaf = a->result == SIGN_DONE ? d2i_X509(NULL, &der, (long)a->n) : NULL;

	if (leaf != NULL && (der != a->der + a->n || X509_check_private_key(leaf, key) != 1)) {
		X509_free(leaf);
		leaf = NULL;
	}
	ERR_clear_error();
	return leaf;
}

static void
take_answer(struct tls_mint *m, const struct sign_answer *a)
{
	struct entry *e;
	X509 *leaf;

	TAILQ_FOREACH(e, &m->asked, order)
	{
		if (e->sent && e->question->id == a->id)
			break;
	}
	if (e == NULL)
		return;
	leaf = leaf_of(a, e->identity.key);
	if (leaf != NULL)
		keep(m, e, leaf);
	else
		fails(m, e);
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct tls_mint *m = arg;
	struct sign_answer a;
	ssize_t got = recv(fd, &a, sizeof(a), 0);

	(void)what;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got >= (ssize_t)SIGN_ANSWER_LEAST && a.n <= SIGNER_DER_MAX &&
	    (size_t)got == SIGN_ANSWER_LEAST + a.n)
		take_answer(m, &a);
	else
		disconnect(m); /* it is gone, and the supervisor gives another one */
	tell(m);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_questions(arg);
}

void
tls_mint_connect(struct tls_mint *m, int fd)
{
	disconnect(m);
	m->readable = event_new(m->base, fd, EV_READ | EV_PERSIST, on_answer, m);
	m->writable = event_new(m->base, fd, EV_WRITE, on_writable, m);
	if (m->readable == NULL || m->writable == NULL || event_add(m->readable, NULL) != 0) {
		if (m->readable != NULL)
			event_free(m->readable);
		if (m->writable != NULL)
			event_free(m->writable);
		close(fd);
	} else {
		m->fd = fd;
		send_questions(m);
	}
	tell(m);
}

/* ---- for sessions ---- */

/*
 * It cannot be shown any more, or not to this client: it was made for one that asked for another of
 * more names than there is room for.
 */
static bool
will_not_do(const struct entry *e, X509 *real, struct span server_name)
{
	return clock_ms() - e->made >= MINT_HOURS * HOUR_MS ||
	       (is_for(real, server_name, NULL) && !is_for(e->identity.leaf, server_name, NULL));
}

static const struct tls_identity *
kept(struct tls_mint *m, struct entry *e)
{
	TAILQ_REMOVE(&m->kept, e, order);
	TAILQ_INSERT_TAIL(&m->kept, e, order);
	return &e->identity;
}

const struct tls_identity *
tls_mint_get(struct tls_mint *m, X509 *real, struct span server_name, bool trusted,
    void (*done)(void *arg, bool good), void *arg, struct mint_wait **wait)
{
	uint8_t id[SHA256_DIGEST_LENGTH];
	struct entry *e;
	unsigned n;

	*wait = NULL;
	if (X509_digest(real, EVP_sha256(), id, &n) != 1)
		return NULL;
	e = find(m, id, trusted);
	if (e != NULL && e->question == NULL && will_not_do(e, real, server_name)) {
		forget(m, e);
		e = NULL;
	}
	if (e != NULL && e->question == NULL)
		return kept(m, e);
	*wait = calloc(1, sizeof(**wait));
	if (*wait == NULL)
		return NULL;
	if (e == NULL && (e = ask(m, real, server_name, trusted)) != NULL) {
		memcpy(e->real, id, sizeof(e->real));
		LIST_INSERT_HEAD(&m->buckets[id[0] % BUCKETS], e, bucket);
		send_questions(m);
	}
	if (e == NULL) {
		free(*wait);
		*wait = NULL;
		return NULL;
	}
	(*wait)->done = done;
	(*wait)->arg = arg;
	LIST_INSERT_HEAD(&e->waits, *wait, others);
	return NULL;
}

/* ---- the whole ---- */

/* A CA that signs itself is what clients have; one that does not is sent with what goes with it. */
static bool
take_chain(struct span pem, STACK_OF(X509) * *out)
{
	STACK_OF(X509) *chain = pem_certificates(pem);

	if (chain == NULL)
		return false;
	if (X509_check_issued(sk_X509_value(chain, 0), sk_X509_value(chain, 0)) == X509_V_OK) {
		pem_certificates_free(chain);
		chain = NULL;
	}
	*out = chain;
	return true;
}

static const char *
make(struct tls_mint *m, const struct config *c)
{
	m->keys[LEAF_RSA] = EVP_RSA_gen(LEAF_RSA_SIZE * 8);
	m->keys[LEAF_P256] = EVP_EC_gen("P-256");
	if (m->keys[LEAF_RSA] == NULL || m->keys[LEAF_P256] == NULL)
		return "cannot make keys of leaves";
	for (unsigned i = 0; i < CA_COUNT; i++)
		if (!take_chain(c->tls.ca[i].chain_pem, &m->chains[i]))
			return "cannot read the certificates of a CA of our own";
	return NULL;
}

struct tls_mint *
tls_mint_new(struct event_base *base, const struct config *c, const char **why)
{
	struct tls_mint *m = calloc(1, sizeof(*m));

	*why = "out of memory";
	if (m == NULL)
		return NULL;
	m->base = base;
	m->fd = -1;
	TAILQ_INIT(&m->asked);
	TAILQ_INIT(&m->kept);
	LIST_INIT(&m->over);
	*why = make(m, c);
	if (*why == NULL)
		return m;
	tls_mint_free(m);
	return NULL;
}

void
tls_mint_free(struct tls_mint *m)
{
	struct entry *e;

	if (m == NULL)
		return;
	disconnect(m);
	while ((e = TAILQ_FIRST(&m->asked)) != NULL || (e = TAILQ_FIRST(&m->kept)) != NULL)
		forget(m, e);
	for (unsigned i = 0; i < CA_COUNT; i++)
		pem_certificates_free(m->chains[i]);
	EVP_PKEY_free(m->keys[LEAF_RSA]);
	EVP_PKEY_free(m->keys[LEAF_P256]);
	free(m);
}
