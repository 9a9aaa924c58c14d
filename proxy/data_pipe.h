/*
 * data_pipe - pipes through which octets go from socket to socket without coming to user space.
 *
 * A transfer borrows one while it has octets on their way and gives it back empty, so that
 * thousands of transfers whose peers keep up share a few. What a pipe may be is bounded by
 * fs.pipe-user-pages-soft of the worker's user: beyond it the kernel gives smaller ones.
 */
#ifndef POSTERN_DATA_PIPE_H
#define POSTERN_DATA_PIPE_H

#include <stdbool.h>
#include <stddef.h>

#define DATA_PIPE	 (256u << 10) /* octets asked of the kernel: 64 segments of any size */
#define DATA_PIPE_OCTETS (256u << 10) /* of a transfer in its pipe at most */
#define DATA_PIPES_SPARE 8	      /* empty ones that are kept */

struct data_pipe {
	int in, out; /* written to; read from */
};

struct data_pipes {
	struct data_pipe spare[DATA_PIPES_SPARE];
	size_t n;
};

/* All zero is an empty stock. */
void data_pipes_free(struct data_pipes *);
/* False: errno. */
bool data_pipe_take(struct data_pipes *, struct data_pipe *);
/* empty: nothing is in it, another transfer may have it. */
void data_pipe_give(struct data_pipes *, const struct data_pipe *, bool empty);

#endif
