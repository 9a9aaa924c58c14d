/*
 * ftp_servers - what FTP servers refused lately, so that the next session does not ask in vain.
 * A bounded table of a worker; what it forgets costs one more round trip.
 */
#ifndef POSTERN_FTP_SERVERS_H
#define POSTERN_FTP_SERVERS_H

#include "core/ip.h"

#define FTP_SERVERS_MAX 1024
#define FTP_SERVERS_MS	600000 /* for so long */

enum ftp_server_refuses {
	FTP_REFUSES_EPSV = 1u << 0,
	FTP_REFUSES_PASV = 1u << 1, /* and EPSV: it gets PORT or EPRT */
	FTP_REFUSES_EPRT = 1u << 2,
};

struct ftp_servers;
struct ftp_servers *ftp_servers_new(void); /* NULL: no memory; all functions below take NULL */
void ftp_servers_free(struct ftp_servers *);
/* enum ftp_server_refuses bits. now: milliseconds of a clock that never goes back. */
unsigned ftp_servers_refuse(const struct ftp_servers *, const struct ip *, uint64_t now);
void ftp_servers_note(struct ftp_servers *, const struct ip *, unsigned refuses, uint64_t now);

#endif
