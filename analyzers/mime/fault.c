#include "mime/fault.h"

void
mime_faults_add(struct mime_faults *f, enum mime_anomaly what, uint64_t off, const char *detail)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->each[i].what == what &&
		    (f->each[i].detail == detail || strcmp(f->each[i].detail, detail) == 0))
			return;
	if (f->n < MIME_FAULTS_MAX)
		f->each[f->n++] = (struct mime_fault){what, off, detail};
}

bool
mime_faults_has(const struct mime_faults *f, enum mime_anomaly what)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->each[i].what == what)
			return true;
	return false;
}
