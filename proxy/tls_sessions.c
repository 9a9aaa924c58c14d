#include "tls_sessions.h"

#include <stdlib.h>

struct tls_sessions {
	unsigned holders;
	SSL_SESSION *all[TLS_SESSIONS_MAX]; /* the newest is the last */
	size_t n;
};

struct tls_sessions *
tls_sessions_new(void)
{
	struct tls_sessions *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->holders = 1;
	return s;
}

struct tls_sessions *
tls_sessions_hold(struct tls_sessions *s)
{
	if (s != NULL)
		s->holders++;
	return s;
}

void
tls_sessions_drop(struct tls_sessions *s)
{
	if (s == NULL || --s->holders > 0)
		return;
	while (s->n > 0)
		SSL_SESSION_free(s->all[--s->n]);
	free(s);
}

static void
forget_oldest(struct tls_sessions *s)
{
	SSL_SESSION_free(s->all[0]);
	s->n--;
	for (size_t i = 0; i < s->n; i++)
		s->all[i] = s->all[i + 1];
}

void
tls_sessions_put(struct tls_sessions *s, const SSL_SESSION *session)
{
	SSL_SESSION *copy = SSL_SESSION_dup(session);

	if (copy == NULL)
		return;
	if (s->n == TLS_SESSIONS_MAX)
		forget_oldest(s);
	s->all[s->n++] = copy;
}

/*
 * Copies, in and out: where a connection ends without close_notify, as those of uploads often do,
 * OpenSSL takes its session for spoilt (RFC 5246 s7.2.2), which servers do not.
 */
SSL_SESSION *
tls_sessions_take(struct tls_sessions *s)
{
	SSL_SESSION *newest = s->n == 0 ? NULL : s->all[s->n - 1];

	if (newest == NULL || SSL_SESSION_is_resumable(newest) != 1)
		return NULL;
	if (s->n == 1 || SSL_SESSION_get_protocol_version(newest) != TLS1_3_VERSION)
		return SSL_SESSION_dup(newest);
	s->n--;
	return newest;
}
