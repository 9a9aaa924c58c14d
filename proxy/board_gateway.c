#include "board_gateway.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shared_page.h"

static uint64_t
milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* Between these two nobody believes what he reads. */
static void
begin(struct gateway_page *g)
{
	__atomic_store_n(&g->seq, g->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void
done(struct gateway_page *g)
{
	__atomic_store_n(&g->seq, g->seq + 1, __ATOMIC_RELEASE);
}

/* The first line of text, as far as there is room. */
static void
put_line(char *to, size_t size, const char *text)
{
	size_t n = strcspn(text, "\n");

	if (n >= size)
		n = size - 1;
	memset(to, 0, size);
	memcpy(to, text, n);
}

struct gateway_page *
gateway_page_new(int *readable)
{
	struct gateway_page *g;
	size_t size;
	int fd;

	if (!shared_page_new("postern-gateway", sizeof(*g), &fd, readable))
		return NULL;
	g = shared_page_map(fd, true, sizeof(*g), &size);
	close(fd);
	if (g == NULL) {
		close(*readable);
		return NULL;
	}
	g->magic = GATEWAY_MAGIC;
	g->version = 1;
	g->size = size;
	put_line(g->gateway_version, sizeof(g->gateway_version), POSTERN_VERSION);
	gateway_set(g, GATEWAY_STARTED, milliseconds());
	return g;
}

void
gateway_set(struct gateway_page *g, enum gateway_number number, uint64_t value)
{
	if (g != NULL)
		__atomic_store_n(&g->number[number], value, __ATOMIC_RELAXED);
}

void
gateway_add(struct gateway_page *g, enum gateway_number number, uint64_t n)
{
	if (g != NULL)
		gateway_set(g, number, g->number[number] + n);
}

void
gateway_config(struct gateway_page *g, const struct config *c, unsigned generation)
{
	if (g == NULL)
		return;
	gateway_set(g, GATEWAY_MODE, c->mode);
	gateway_set(g, GATEWAY_WORKERS, c->workers);
	gateway_set(g, GATEWAY_GENERATION, generation);
	gateway_set(g, GATEWAY_RELOADED, milliseconds());
	begin(g);
	put_line(g->config, sizeof(g->config), c->path);
	put_line(g->log, sizeof(g->log), c->log);
	g->n_intercepted = g->n_unserved = 0;
	done(g);
}

void
gateway_reload_refused(struct gateway_page *g, const char *line)
{
	if (g == NULL)
		return;
	gateway_add(g, GATEWAY_RELOADS_REFUSED, 1);
	gateway_set(g, GATEWAY_REFUSED_AT, milliseconds());
	begin(g);
	put_line(g->refusal, sizeof(g->refusal), line);
	done(g);
}

void
gateway_log_trouble(struct gateway_page *g, const char *why)
{
	if (g == NULL)
		return;
	gateway_set(g, GATEWAY_LOG_TROUBLE, why != NULL);
	begin(g);
	put_line(g->log_trouble, sizeof(g->log_trouble), why == NULL ? "" : why);
	done(g);
}

void
gateway_port(struct gateway_page *g, enum protocol protocol, unsigned port, bool served)
{
	struct gateway_port *list;
	uint64_t *n;

	if (g == NULL)
		return;
	list = served ? g->intercepted : g->unserved;
	n = served ? &g->n_intercepted : &g->n_unserved;
	if (*n == GATEWAY_PORTS)
		return;
	begin(g);
	list[*n] = (struct gateway_port){.protocol = protocol, .port = port};
	(*n)++;
	done(g);
}

#define READS 100 /* then what was read must do: the writer was stopped in the middle */

void
gateway_read(const struct gateway_page *from, struct gateway_page *copy)
{
	uint64_t seq;
	unsigned tries = 0;

	do {
		seq = __atomic_load_n(&from->seq, __ATOMIC_ACQUIRE);
		memcpy(copy, from, sizeof(*copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (((seq & 1) != 0 || __atomic_load_n(&from->seq, __ATOMIC_RELAXED) != seq) &&
		 ++tries < READS);
	if (copy->n_intercepted > GATEWAY_PORTS)
		copy->n_intercepted = GATEWAY_PORTS;
	if (copy->n_unserved > GATEWAY_PORTS)
		copy->n_unserved = GATEWAY_PORTS;
	copy->gateway_version[sizeof(copy->gateway_version) - 1] = '\0';
	copy->config[sizeof(copy->config) - 1] = '\0';
	copy->refusal[sizeof(copy->refusal) - 1] = '\0';
	copy->log[sizeof(copy->log) - 1] = '\0';
	copy->log_trouble[sizeof(copy->log_trouble) - 1] = '\0';
}

const char *
guard_name(enum guard_state state)
{
	static const char *const names[GUARD_STATES] = {[GUARD_NONE] = "none",
	    [GUARD_BLOCK] = "block",
	    [GUARD_BYPASS] = "bypass",
	    [GUARD_MISSING] = "missing"};

	return state < GUARD_STATES ? names[state] : "none";
}

const char *
mode_name(enum intercept_mode mode)
{
	switch (mode) {
	case INTERCEPT_TPROXY:
		return "tproxy";
	case INTERCEPT_REDIRECT:
		return "redirect";
	case INTERCEPT_OFF:
		break;
	}
	return "off";
}
