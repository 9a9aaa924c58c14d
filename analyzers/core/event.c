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
	    [EV_LINE] = "line",
	    [EV_LINES_END] = "lines_end",
	    [EV_COMMAND_MORE] = "command_more",
	    [EV_LITERAL] = "literal",
	    [EV_CONTINUE] = "continue",
	    [EV_RESPONSE] = "response",
	    [EV_FETCH] = "fetch",
	    [EV_FETCH_ITEM] = "fetch_item",
	    [EV_FETCH_END] = "fetch_end",
	    [EV_TEXT] = "text",
	    [EV_OPAQUE] = "opaque",
	    [EV_ANOMALY] = "anomaly",
	};

	return names[k];
}
