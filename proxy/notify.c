#include "notify.h"
void
notify_init(struct notify *n)
{
	n->fd = -1;
}
void
notify_send(struct notify *n, const char *t)
{
	(void)n;
	(void)t;
}
void
notify_reloading(struct notify *n)
{
	(void)n;
}
