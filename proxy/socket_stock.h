/*
 * socket_stock - a worker's stock of sockets to servers.
 *
 * Only a privileged process can make a socket that may speak from a foreign address
 * (IP_TRANSPARENT) or that carries the gateway's mark (SO_MARK); binding and connecting it needs
 * no privilege. So the supervisor makes them ahead of need: the stock asks for more when it
 * falls below its low-water mark, and a session that finds it empty waits in line.
 */
#ifndef POSTERN_SOCKET_STOCK_H
#define POSTERN_SOCKET_STOCK_H

#include <sys/queue.h>

#include "budget.h"
#include "core/ip.h"

#define STOCK_FULL BUDGET_STOCK	      /* of a family, in stock or asked for */
#define STOCK_LOW  (BUDGET_STOCK / 2) /* below it, more are asked for */

struct socket_stock;
struct stock_shelf;

/* In whoever waits for a socket; all zero while it does not. */
struct stock_waiter {
	TAILQ_ENTRY(stock_waiter) line;
	struct stock_shelf *shelf;
	/* fd is the waiter's from here on; it is out of the line. */
	void (*ready)(void *arg, int fd);
	void *arg;
};

struct stock_stats {
	unsigned in_stock4, in_stock6;
	uint64_t waited4, waited6; /* sessions that found none */
};

/*
 * more  asks for n (1 to STOCK_FULL) sockets of a family, IP_V4 or IP_V6; they come by stock_add()
 * NULL: no memory.
 */
struct socket_stock *stock_new(void (*more)(void *arg, enum ip_family, unsigned n), void *arg);
/* Closes what is in stock; whoever still waits is never called. NULL is fine. */
void stock_free(struct socket_stock *);
/* Asks for the first ones. */
void stock_fill(struct socket_stock *);
/* n sockets have come; they belong to the stock, or to those who wait. */
void stock_add(struct socket_stock *, enum ip_family, const int fds[], size_t n);
/* A socket, the caller's from here on; -1: there is none, wait for one. */
int stock_take(struct socket_stock *, enum ip_family);
/* ready and arg of the waiter are set; called once, first come first served. */
void stock_wait(struct socket_stock *, enum ip_family, struct stock_waiter *);
/* Waits no more; nothing happens to one that does not wait. */
void stock_leave(struct stock_waiter *);
void stock_stats(const struct socket_stock *, struct stock_stats *);

#endif
