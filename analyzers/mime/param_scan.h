/*
 * param_scan - the tokens of a Content-Type or Content-Disposition value: what stands before the
 * first ";", and "name=value" after "name=value", as loosely as mail programs write them.
 *
 * Knows nothing of RFC 2231 but how names are cut into name, section and "*". For param.c alone.
 */
#ifndef POSTERN_MIME_PARAM_SCAN_H
#define POSTERN_MIME_PARAM_SCAN_H

#include "core/buf.h"
#include "mime/fault.h"

#define PARAM_NO_SECTION (-1)

struct param_token {
	struct span name; /* without section and "*" */
	int section;	  /* name*3: 3 */
	bool extended;	  /* name*, name*3* */
	struct span raw;  /* the value as it came; of a quoted string: what is inside */
	bool quoted;
	/* How else programs read it; empty: in no other way. */
	struct span shorter; /* up to the first blank, bracket, ";" */
	bool pairs;	     /* a backslash that some programs take for itself */
};

struct param_scan {
	struct span value, rest;
	struct mime_faults *faults;
};

/* Takes the octets before the parameters; appends them, lower case, without blanks and comments. */
bool param_scan_main(struct param_scan *, struct buf *out);
/* The next parameter. False: there is none. */
bool param_scan_next(struct param_scan *, struct param_token *);

#endif
