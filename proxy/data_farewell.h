/*
 * data_farewell - sockets whose transfer has ended well, until their peer closes too.
 *
 * What it still sends, the wrong way, is read and thrown away: a socket that is closed answers it
 * with a reset, and that would take from the peer what it has not read of the transfer.
 */
#ifndef POSTERN_DATA_FAREWELL_H
#define POSTERN_DATA_FAREWELL_H

#define FAREWELLS_MAX	 64 /* more are closed at once */
#define FAREWELL_SECONDS 30

struct event_base;
struct data_farewells;
struct tls_leg;

struct data_farewells *data_farewells_new(struct event_base *); /* NULL: no memory */
/* Closes them. NULL is fine. */
void data_farewells_free(struct data_farewells *);
/*
 * fd is taken: its FIN has gone out, and it does not linger. tls too, behind whose close_notify
 * that was: tickets that its peer sends late are kept. NULL: in the clear.
 */
void data_farewell(struct data_farewells *, int fd, struct tls_leg *tls);

#endif
