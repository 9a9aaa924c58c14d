#include "data_pipe.h"

#include <fcntl.h>
#include <unistd.h>

static void
close_pipe(const struct data_pipe *p)
{
	close(p->in);
	close(p->out);
}

void
data_pipes_free(struct data_pipes *s)
{
	while (s->n > 0)
		close_pipe(&s->spare[--s->n]);
}

bool
data_pipe_take(struct data_pipes *s, struct data_pipe *out)
{
	int ends[2];

	if (s->n > 0) {
		*out = s->spare[--s->n];
		return true;
	}
	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
		return false;
	/* one that stays small is slower, and as good */
	fcntl(ends[1], F_SETPIPE_SZ, DATA_PIPE);
	*out = (struct data_pipe){.in = ends[1], .out = ends[0]};
	return true;
}

void
data_pipe_give(struct data_pipes *s, const struct data_pipe *p, bool empty)
{
	if (empty && s->n < DATA_PIPES_SPARE)
		s->spare[s->n++] = *p;
	else
		close_pipe(p);
}
