/*
 * signer - the process that has the keys of our CAs, and signs with them: no other has (T-016).
 *
 * It is started by the supervisor with a sealed file in memory that has certificates and keys
 * (signer_hand_over()), reads it, drops to the configured user, closes its sandbox (no network, no
 * files), and is then given one socket for each worker. Over it comes one question for each leaf,
 * in fields of which every one is checked (ca_leaf.h), and goes one answer, in the order of the
 * questions. A worker whose question is none loses its socket, and has none as long as this signer
 * runs.
 *
 * A worker has SIGNER_PER_SECOND questions a second, and SIGNER_BURST ahead of that; further ones
 * are answered SIGN_TOO_OFTEN.
 */
#ifndef POSTERN_SIGNER_H
#define POSTERN_SIGNER_H

#include "ca_leaf.h"
#include "process.h"

#define SIGNER_ROLE	  "signer"
#define SIGNER_PER_SECOND 50u
#define SIGNER_BURST	  200u
#define SIGNER_DER_MAX	  16384	     /* octets of a leaf: more than all that leaf_wanted can hold */
#define SIGNER_FILE_MAX	  (8u << 20) /* octets of what is handed over */

/* Descriptors of the role. */
enum signer_fd {
	SIGNER_CONTROL = PROCESS_FD, /* ipc: IPC_SIGNER_PEER */
	SIGNER_KEYS,		     /* the sealed file */
	SIGNER_FD_END
};

enum sign_result { SIGN_DONE, SIGN_TOO_OFTEN, SIGN_FAILED, SIGN_RESULTS };

struct sign_question {
	uint32_t id;	/* of the worker's own; the answer has it too */
	uint32_t which; /* enum ca_which */
	struct leaf_wanted leaf;
};

struct sign_answer {
	uint32_t id;
	uint32_t result; /* enum sign_result */
	uint32_t n;	 /* octets of der that are sent; 0 but for SIGN_DONE */
	uint8_t der[SIGNER_DER_MAX];
};
#define SIGN_ANSWER_LEAST offsetof(struct sign_answer, der)

/*
 * What is handed over: for each CA of enum ca_which the certificates that go with it, and its key,
 * in PEM. A descriptor of a sealed file in memory, the caller's to close; -1: errno.
 */
int signer_hand_over(const struct span chain_pem[CA_COUNT], const struct span key_pem[CA_COUNT]);

/* argv: the role, the user to become. Returns the exit code when the supervisor is gone. */
int signer_main(int argc, char **argv);

#endif
