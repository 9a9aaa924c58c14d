#include "core/anomaly.h"

const char *
an_anomaly_name(enum an_anomaly a)
{
	static const char *const names[] = {
#define X(id, name, source) name,
	    AN_ANOMALIES(X)
#undef X
	};

	return names[a];
}
