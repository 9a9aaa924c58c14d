/*
 * own_certificate - a certificate of the gateway's own, signed by its own key: for mail from
 * outside, whose senders take any (RFC 7435). Nobody is to trust it.
 */
#ifndef POSTERN_OWN_CERTIFICATE_H
#define POSTERN_OWN_CERTIFICATE_H

/* Where it is made at installation, and looked for when the configuration names no other. */
#define OWN_CERTIFICATE_PATH "/etc/postern/own.pem"
#define OWN_KEY_PATH	     "/etc/postern/own.key"

#define OWN_CERTIFICATE_DAYS                                                                       \
	3650 /* that it is valid; nobody looks, and a tidy log has no warning */

enum own_made {
	OWN_MADE,
	OWN_THERE, /* both files are: nothing was done */
	OWN_FAILED,
};

/*
 * Makes a key (ECDSA, P-256) and a certificate for a host name (as domain_canonical() writes it),
 * and both files, in PEM: the key for its owner alone (0400), the certificate for all to read
 * (0444). No file is ever overwritten: they come with all that is in them, or not at all.
 *
 * OWN_FAILED: *why is one line, good until the next call.
 */
enum own_made own_certificate_make(
    const char *name, const char *certificate, const char *key, const char **why);

#endif
