#include "ftp_servers.h"

#include <stdlib.h>

#define PLACES	8 /* where one server may be: the oldest of them makes room */
#define BUCKETS (FTP_SERVERS_MAX / PLACES) /* a power of two */

struct server {
	struct ip ip; /* IP_NONE: the place is free */
	unsigned refuses;
	uint64_t noted;
};

struct ftp_servers {
	uint64_t seed;
	struct server rows[BUCKETS][PLACES];
};

struct ftp_servers *
ftp_servers_new(void)
{
	struct ftp_servers *s = calloc(1, sizeof(*s));

	/* seeded, so that nobody can choose servers that push all others out */
	if (s != NULL)
		arc4random_buf(&s->seed, sizeof(s->seed));
	return s;
}

void
ftp_servers_free(struct ftp_servers *s)
{
	free(s);
}

static size_t
bucket_of(const struct ftp_servers *s, const struct ip *ip)
{
	uint64_t h = s->seed ^ (uint64_t)ip->family;

	for (size_t i = 0; i < sizeof(ip->octets); i++) {
		h = (h ^ ip->octets[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return (size_t)(h >> 32) & (BUCKETS - 1);
}

static bool
known(const struct server *row, uint64_t now)
{
	return row->ip.family != IP_NONE && now - row->noted < FTP_SERVERS_MS;
}

unsigned
ftp_servers_refuse(const struct ftp_servers *s, const struct ip *ip, uint64_t now)
{
	const struct server *rows;

	if (s == NULL)
		return 0;
	rows = s->rows[bucket_of(s, ip)];
	for (size_t i = 0; i < PLACES; i++)
		if (known(&rows[i], now) && ip_eq(&rows[i].ip, ip))
			return rows[i].refuses;
	return 0;
}

/* The place of this server: its own, else a free one, else the oldest. */
static struct server *
place_for(struct server rows[PLACES], const struct ip *ip, uint64_t now)
{
	struct server *best = NULL;

	for (size_t i = 0; i < PLACES; i++) {
		struct server *row = &rows[i];

		if (ip_eq(&row->ip, ip))
			return row;
		if (best == NULL || (known(best, now) && !known(row, now)) ||
		    (known(best, now) && row->noted < best->noted))
			best = row;
	}
	return best;
}

void
ftp_servers_note(struct ftp_servers *s, const struct ip *ip, unsigned refuses, uint64_t now)
{
	struct server *row;

	if (s == NULL || ip->family == IP_NONE)
		return;
	row = place_for(s->rows[bucket_of(s, ip)], ip, now);
	if (!known(row, now) || !ip_eq(&row->ip, ip))
		*row = (struct server){.ip = *ip};
	row->refuses |= refuses;
	row->noted = now;
}
