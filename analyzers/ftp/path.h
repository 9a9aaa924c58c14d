/*
 * path - the working directory of a session, so that every transfer has its full path.
 * Sources: RFC 959 (CWD, CDUP, PWD), appendix II (257 and its quotes).
 *
 * The gateway never asks the server where it is: it follows what is said. Until a PWD, or a CWD to
 * an absolute path, the directory is not known, and paths are relative to where the login ended.
 */
#ifndef POSTERN_FTP_PATH_H
#define POSTERN_FTP_PATH_H

#include "core/buf.h"

#define FTP_PATH_MAX 4096 /* octets of a path; a longer one is cut and says so */

struct ftp_path {
	struct buf text; /* "/a/b", or "a/b" below the unknown one; empty: there */
	bool cut;
};

void ftp_path_init(struct ftp_path *);
void ftp_path_free(struct ftp_path *);
void ftp_path_forget(struct ftp_path *); /* REIN, USER: nothing is known any more */

/* CWD that the server has accepted; ".", ".." and double slashes are resolved. False: no memory. */
bool ftp_path_enter(struct ftp_path *, struct span args);
/* CDUP. */
bool ftp_path_up(struct ftp_path *);
/* The text of a 257 to PWD: the directory in quotes, two quotes in it meaning one. */
bool ftp_path_told(struct ftp_path *, struct span text, bool *understood);
/* The full path of a name into out (cleared first). *cut: it was longer than FTP_PATH_MAX. */
bool ftp_path_of(const struct ftp_path *, struct span name, struct buf *out, bool *cut);
/* The name in quotes of any 257 (MKD, PWD), unquoted, into out. False: there is none, or no memory.
 */
bool ftp_257_parse(struct span text, struct buf *out);

#endif
