/*
 * extract - the messages and files that went by, as files in one directory ("--extract DIR").
 *
 * A message is there as "<sha256>.eml": its octets as it was carried, lines with CR LF as they
 * came, the dots of SMTP and POP3 undone. The content of each of its parts that is no multipart and
 * no message, attachments among them, and each file of FTP, is there as "<sha256>", decoded: the
 * very digests of "fileinfo" and "email.parts". So nothing that a peer chose is in any name, what
 * came twice is there once, and names say where to look. Members of archives stay in their
 * archives.
 *
 * Only what is whole is there: what was cut (a gap, a reset, TOP, a slice of a message) is not, but
 * the parts of a cut message that had come to their ends are. Until its digest is known a large one
 * lies under ".postern-PID-N", and is removed with it when it is cut; only a run that was killed
 * leaves such behind.
 *
 * Never outside of DIR and through no symbolic link in it: every name is ours and is opened
 * relative to the directory's descriptor with O_NOFOLLOW. Nothing is ever overwritten: new files
 * are made with O_EXCL, mode 0600, and take their names only where nobody has it. Where a name is
 * taken it is the same content: a regular file of that size, or it is told, and left as it is.
 *
 * Memory: EXTRACT_PIECE octets at most of each that is open, EXTRACT_HELD of all of them; one
 * descriptor for the directory, and none for files that are not being written this moment.
 */
#ifndef POSTERN_EXTRACT_H
#define POSTERN_EXTRACT_H

#include <stdbool.h>
#include <sys/types.h>

#include "mime/mail.h"

#define EXTRACT_MAX_DEFAULT 1024u /* MiB */
#define EXTRACT_PIECE	    (64u << 10)
#define EXTRACT_HELD	    (16u << 20)
#define EXTRACT_FILE_COST   4096u /* octets: of the budget each file takes a multiple of it */

struct extract_settings {
	const char *dir; /* made with mode 0700 when it is missing; its parent has to be there */
	/* Octets that are written at most in this run, each file rounded up to EXTRACT_FILE_COST.
	 */
	uint64_t max;
	/* Something that the user should know: one line without its end. */
	void (*tell)(void *arg, const char *line);
	void *tell_arg;
	/* Whose the directory becomes when it is made by root; (uid_t)-1: nobody else's. */
	uid_t uid;
	gid_t gid;
};

struct extract;

/* What the strings point to has to stay. NULL: it cannot be, and that was told. */
struct extract *extract_new(const struct extract_settings *);
/* No mail that uses it may be left. NULL is fine. */
void extract_free(struct extract *);

/*
 * Mails that are made with these options from now on give it their octets. Turns sha256 on: names
 * are to be found in records. Of a configuration: &config->mime.options.
 */
void extract_use(struct extract *, struct mail_options *);

/*
 * May files be made in it, as the user that the process is now? For whoever gives up privileges
 * after extract_new(). False: that was told.
 */
bool extract_may_write(struct extract *);

struct extract_counts {
	uint64_t messages, files; /* new ones */
	uint64_t known;		  /* that were there already, with this name and size */
	uint64_t refused; /* whole, but not kept: the budget, a name that was taken, a fault */
	uint64_t octets;  /* of the new ones */
};
const struct extract_counts *extract_counts(const struct extract *);
/* A fault of the file system, which was told: not that the budget is used up. */
bool extract_failed(const struct extract *);

#endif
