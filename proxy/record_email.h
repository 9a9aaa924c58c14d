/*
 * record_email - what is in a message, as the "email" object of records, and a fileinfo record for
 * each of its attachments.
 */
#ifndef POSTERN_RECORD_EMAIL_H
#define POSTERN_RECORD_EMAIL_H

#include "json_writer.h"
#include "mime/mail.h"
#include "record.h"

/* Octets that the object may take within a record, so that the line stays below RECORD_LINE_MAX. */
#define RECORD_EMAIL_MAX (92u << 10)
/* fileinfo records of one message; the rest is counted in email.fileinfo_left_out. */
#define RECORD_FILES_MAX 100

/*
 * The object "email", in about "octets" at most as JSON: each list gets its share, and says in
 * "<name>_left_out" how much is missing. mail NULL: there was no memory to look at it. top: only
 * the beginning of the message was asked for, and it is not whole though mail_finish() was called.
 */
void record_email(struct json_writer *, const struct mail *mail, size_t octets, bool top);

/* What the records of files belong to, and what stands beside "fileinfo" in each of them. */
struct record_about {
	const struct record_session *session;
	unsigned tx_id;
	bool
	    top; /* only the beginning of the message was asked for: no file is known to be whole */
	uint64_t start; /* of a file that is a piece: its first octet in the whole */
	/* An object beside "fileinfo": its key, and what writes its fields. beside NULL: none. */
	const char *key;
	void (*beside)(struct json_writer *, const void *what);
	const void *what;
};

/* That object. */
void record_beside(struct json_writer *, const struct record_about *);

/*
 * mail: what record_smtp_mail() was given; may be NULL. Of a file (mail_file_new()) it is one of
 * them, at path "1"; before mail_finish() its size is what was fed.
 */
void record_files(const struct mail *mail, const struct record_about *, record_sink *, void *arg);

#endif
