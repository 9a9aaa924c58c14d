/*
 * observed_protocol - which protocol the first octets of a connection are of, whatever its port.
 */
#ifndef POSTERN_OBSERVED_PROTOCOL_H
#define POSTERN_OBSERVED_PROTOCOL_H

#include "config.h"

#define OBSERVED_GUESS_MAX 512 /* octets of a direction; who has said so much has said enough */

enum guess {
	GUESS_MORE,  /* it cannot be told yet */
	GUESS_FOUND, /* *out */
	GUESS_NONE,  /* of none of ours */
};

/*
 * client, server: what each has said so far, from the beginning, or from the middle of a session.
 * Greetings tell POP3 ("+OK") and IMAP ("* OK"); "220" is of SMTP or FTP, which its text or the
 * client's first command tells.
 */
enum guess observed_guess(struct span client, struct span server, enum protocol *out);

#endif
