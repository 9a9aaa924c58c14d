#include "config.h"
#include "config_text.h"
#include "relay.h"

bool
config_can_run(const struct config *c, FILE *err)
{
	const char *file = config_text_name(c->path);

	if (c->n_forwards == 0 && c->mode == INTERCEPT_OFF) {
		fprintf(err,
		    "%s: intercept.mode: off, and there is no forward section: there is nothing to "
		    "serve\n",
		    file);
		return false;
	}
	for (size_t i = 0; i < c->n_forwards; i++)
		if (relay_ops_of(c->forwards[i].protocol) == NULL) {
			fprintf(err,
			    "%s: forward \"%s\": protocol %s needs a later version; this "
			    "one speaks smtp\n",
			    file, c->forwards[i].name, protocol_name(c->forwards[i].protocol));
			return false;
		}
	return true;
}
