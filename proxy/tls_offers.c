#include "tls_offers.h"

#include <assert.h>
#include <errno.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/sip.h"
#include "shared_page.h"

#define PLACES	8 /* where one server may be: the oldest of them makes room */
#define BUCKETS (TLS_OFFERS_MAX / PLACES)

struct row {
	_Atomic uint64_t key;  /* 0: the place is free */
	_Atomic uint64_t when; /* seconds since 1970 */
};

struct page {
	uint64_t seed[2]; /* nobody can choose servers that push all others out */
	struct row rows[BUCKETS][PLACES];
};

struct tls_offers {
	struct page *page;
	size_t size;
	bool writes;
};

static struct tls_offers *
map(int fd, bool write)
{
	struct tls_offers *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->writes = write;
	t->page = shared_page_map(fd, write, sizeof(*t->page), &t->size);
	if (t->page != NULL)
		return t;
	free(t);
	return NULL;
}

struct tls_offers *
tls_offers_new(int *readable)
{
	struct tls_offers *t;
	int fd;

	if (!shared_page_new("postern-tls-offers", sizeof(struct page), &fd, readable))
		return NULL;
	t = map(fd, true);
	close(fd);
	if (t != NULL && RAND_bytes((unsigned char *)t->page->seed, sizeof(t->page->seed)) == 1)
		return t;
	close(*readable);
	tls_offers_close(t);
	errno = ENOMEM;
	return NULL;
}

struct tls_offers *
tls_offers_open(int fd)
{
	return map(fd, false);
}

void
tls_offers_close(struct tls_offers *t)
{
	if (t == NULL)
		return;
	munmap(t->page, t->size);
	free(t);
}

static uint64_t
key_of(const struct page *page, const struct tls_offer *o)
{
	uint64_t words[2], key;
	struct sip s = sip_begin(page->seed);

	static_assert(sizeof(words) == sizeof(o->ip.octets), "an address is two words");
	memcpy(words, o->ip.octets, sizeof(words));
	sip_word(&s, words[0]);
	sip_word(&s, words[1]);
	sip_word(
	    &s, (uint64_t)o->ip.family << 48 | (uint64_t)o->port << 32 | (uint64_t)o->protocol);
	key = sip_end(&s);
	return key != 0 ? key : 1;
}

static struct row *
bucket_of(struct page *page, uint64_t key)
{
	return page->rows[key % BUCKETS];
}

void
tls_offers_note(struct tls_offers *t, const struct tls_offer *o, uint64_t now)
{
	struct row *rows, *place;
	uint64_t key;

	if (t == NULL || !t->writes)
		return;
	key = key_of(t->page, o);
	rows = place = bucket_of(t->page, key);
	for (size_t i = 0; i < PLACES && atomic_load(&place->key) != key; i++)
		if (atomic_load(&rows[i].key) == key ||
		    atomic_load(&rows[i].when) < atomic_load(&place->when))
			place = &rows[i];
	if (atomic_load(&place->key) != key) {
		/* whoever reads meanwhile finds neither */
		atomic_store(&place->key, 0);
		atomic_store(&place->when, now);
		atomic_store(&place->key, key);
	}
	atomic_store(&place->when, now);
}

uint64_t
tls_offers_age(const struct tls_offers *t, const struct tls_offer *o, uint64_t now)
{
	uint64_t key = t == NULL ? 0 : key_of(t->page, o);
	const struct row *rows = t == NULL ? NULL : bucket_of(t->page, key);

	for (size_t i = 0; t != NULL && i < PLACES; i++) {
		uint64_t when = atomic_load(&rows[i].when);

		if (atomic_load(&rows[i].key) == key)
			return when <= now && now - when < TLS_OFFERS_KNOWN ? now - when
									    : UINT64_MAX;
	}
	return UINT64_MAX;
}
