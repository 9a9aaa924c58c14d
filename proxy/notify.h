#ifndef POSTERN_NOTIFY_H
#define POSTERN_NOTIFY_H
struct notify {
	int fd;
};
void notify_init(struct notify *);
void notify_send(struct notify *, const char *);
void notify_reloading(struct notify *);
#endif
