#include "budget.h"

#include <sys/resource.h>
#include <unistd.h>

#define FAMILIES 2

static unsigned long
descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	return limit.rlim_max;
}

static unsigned
workers(const struct config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (c->workers != 0)
		return c->workers;
	return cores < 1 ? 1 : cores > WORKERS_MAX ? WORKERS_MAX : (unsigned)cores;
}

void
budget_compute(const struct config *c, struct budget *out)
{
	unsigned long fit = 1;

	*out = (struct budget){
	    .workers = workers(c), .limit = descriptor_limit(), .reserved = BUDGET_RESERVED};
	if (config_serves(c, PROTOCOL_FTP))
		out->reserved += BUDGET_DATA;
	if (c->mode != INTERCEPT_OFF)
		out->reserved += FAMILIES * BUDGET_STOCK;
	if (out->limit > out->reserved)
		out->left = out->limit - out->reserved;
	if (out->left > BUDGET_PER_SESSION)
		fit = out->left / BUDGET_PER_SESSION;
	if (fit > 1000000)
		fit = 1000000;
	out->by_config = c->limits.sessions != 0 && c->limits.sessions < fit;
	out->sessions = out->by_config ? c->limits.sessions : (unsigned)fit;
}

void
budget_raise_limit(void)
{
	struct rlimit limit = {.rlim_cur = descriptor_limit(), .rlim_max = descriptor_limit()};

	setrlimit(RLIMIT_NOFILE, &limit);
}
