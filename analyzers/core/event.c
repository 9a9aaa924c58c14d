#include "core/event.h"

const char *
an_kind_name(enum an_kind k)
{
	static const char *const names[] = {
	    [EV_COMMAND] = "command",
	    [EV_SECRET] = "secret",
	    [EV_REPLY] = "reply",
	    [EV_BODY] = "body",
	    [EV_BODY_END] = "body_end",
	    [EV_CHUNK_END] = "chunk_end",
	    [EV_OPAQUE] = "opaque",
	    [EV_ANOMALY] = "anomaly",
	};

	return names[k];
}
