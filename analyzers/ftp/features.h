/*
 * features - the reply to FEAT, and what of it a client may see. Source: RFC 2389 s3.2.
 */
#ifndef POSTERN_FTP_FEATURES_H
#define POSTERN_FTP_FEATURES_H

#include "core/buf.h"

/* A feature line, "MLST type*;size*;", trimmed: may the client see it, and how? */
struct ftp_feature_filter {
	/* False: the line is left out. *instead (empty at call): what to say in its place. */
	bool (*keep)(void *arg, struct span keyword, struct span params, struct span *instead);
	void *arg;
};

/*
 * Writes the reply anew: first and last line as they are, of the others those that are kept, each
 * indented by one blank. Lines that are no feature (not indented) are left out. False: no memory,
 * or out is full.
 */
bool ftp_features_rewrite(struct span reply, const struct ftp_feature_filter *, struct buf *out);
/* Has the reply this keyword (any case)? */
bool ftp_features_has(struct span reply, const char *keyword);

#endif
