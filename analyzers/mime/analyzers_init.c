#include "mime/analyzers_init.h"

#include "mime/archive.h"
#include "mime/detect.h"

bool
analyzers_init(bool system_types, const char **why)
{
	return detect_global_init(system_types, why) && archive_global_init(why);
}

void
analyzers_end(void)
{
	archive_global_end();
	detect_global_end();
}
