/*
 * fault - the odd things that a decoder or a grammar met, with their offsets: the first of each
 * kind, so that hostile octets cost no memory.
 */
#ifndef POSTERN_MIME_FAULT_H
#define POSTERN_MIME_FAULT_H

#include "core/span.h"
#include "mime/mime_anomaly.h"

#define MIME_FAULTS_MAX 40 /* kinds that are kept; no module of this folder has more */

struct mime_fault {
	enum mime_anomaly what;
	uint64_t off; /* of the first octet it is about; each module says from where it counts */
	const char *detail; /* a constant; of MIME_ODD_AMBIGUOUS: both readings */
};

struct mime_faults {
	struct mime_fault each[MIME_FAULTS_MAX];
	unsigned n;
};

/* A kind is an anomaly and its detail: only the first one of a kind is kept. */
void mime_faults_add(struct mime_faults *, enum mime_anomaly, uint64_t off, const char *detail);
bool mime_faults_has(const struct mime_faults *, enum mime_anomaly);
/* Forgets all of them: what comes again is told again. */
static inline void
mime_faults_reset(struct mime_faults *f)
{
	f->n = 0;
}

#endif
