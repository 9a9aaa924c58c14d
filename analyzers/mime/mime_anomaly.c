#include "mime/mime_anomaly.h"

const char *
mime_anomaly_name(enum mime_anomaly a)
{
	static const char *const names[] = {
#define X(id, name, source) name,
	    MIME_ANOMALIES(X)
#undef X
	};

	return names[a];
}
