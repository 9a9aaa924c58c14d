/*
 * certificate_files - what the configuration names for TLS, read and looked at by who may (root):
 * certificate chains, their keys, trust anchors.
 *
 * What is wrong becomes a fault, "certificate.chain: FILE: ...", at the line of the setting; what
 * works and probably should not be so a warning.
 */
#ifndef POSTERN_CERTIFICATE_FILES_H
#define POSTERN_CERTIFICATE_FILES_H

#include "ca.h"
#include "config.h"
#include "faults.h"

#define CERTIFICATE_FILE_MAX  (1u << 20)  /* octets of a chain, or of a key */
#define TRUST_FILE_MAX	      (16u << 20) /* octets of a file of trust anchors */
#define CERTIFICATE_DAYS_LEFT 14	  /* one that expires within so many days is told */
#define CERTIFICATE_BITS_MIN  112	  /* of security: RSA 2048, P-224 (NIST SP 800-57) */

/* One section with a certificate: what its settings are called, and their lines. */
struct certificate_lines {
	unsigned section, chain, key;
	bool of_client; /* "client_certificate", else "certificate" */
};

/* Fills in chain_pem and key_pem of one whose paths are set: malloc()ed, the configuration's. */
void certificate_read(
    struct certificate *, const struct certificate_lines *, struct faults *faults);
/*
 * The same of tls.own, with its paths or with those where it is made (own_certificate.h). Those may
 * be missing, both of them; and whoever is not root and may not read them does without, warned.
 */
void own_certificate_read(struct tls_config *, const struct certificate_lines *, struct faults *);
/* A name that two sections are for is a fault of the later one. */
void certificates_compare(const struct certificate *all, size_t n,
    const struct certificate_lines *lines, struct faults *faults);
/* Lines of the settings of a CA of our own. */
struct authority_lines {
	unsigned chain, key;
};
/*
 * CAs of our own, of which all paths are set: fills in their chain_pem, own_ca_pem and signer_file.
 * A key that anybody but its owner may read or write is a fault (V-009).
 */
void authorities_read(
    struct tls_config *, const struct authority_lines lines[CA_COUNT], struct faults *);
/* Fills in trust_pem: of the file of tls.trust, else of the system's, where it has one. */
void trust_read(struct tls_config *, unsigned line, struct faults *faults);

#endif
