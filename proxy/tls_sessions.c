#include "tls_sessions.h"

#include <stdlib.h>

struct tls_sessions {
	unsigned holders;
	SSL_SESSION *newest;
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
	SSL_SESSION_free(s->newest);
	free(s);
}

void
tls_sessions_put(struct tls_sessions *s, SSL_SESSION *session)
{
	SSL_SESSION_free(s->newest);
	s->newest = session;
}

SSL_SESSION *
tls_sessions_newest(const struct tls_sessions *s)
{
	return s->newest != NULL && SSL_SESSION_is_resumable(s->newest) == 1 ? s->newest : NULL;
}
