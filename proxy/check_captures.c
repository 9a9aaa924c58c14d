#include "check_captures.h"

#include "networks.h"

static void
print_protocols(const struct capture_config *c, FILE *out)
{
	const char *comma = "";

	for (unsigned p = 0; p < PROTOCOL_COUNT; p++)
		if ((c->protocols & 1u << p) != 0) {
			fprintf(out, "%s%s", comma, protocol_name((enum protocol)p));
			comma = ", ";
		}
	if (c->protocols == 0)
		fputs("all protocols", out);
}

static void
print_one(const struct capture_config *c, FILE *out)
{
	fprintf(out, "#   \"%s\": %s of ", c->name,
	    c->what == CAPTURE_ALL ? "sessions" : "sessions that were refused something");
	print_protocols(c, out);
	fprintf(out, "%s%s, %s, %s, %s, into %s: files of %u MiB",
	    networks_empty(c->clients) ? "" : ", of some clients",
	    networks_empty(c->servers) ? "" : ", with some servers",
	    (c->legs & CAPTURE_LEG_SERVER) != 0 ? "both legs" : "the leg to the client",
	    c->keep_secrets ? "WITH PASSWORDS" : "passwords masked",
	    c->content ? "with messages and files" : "without messages and files", c->directory,
	    c->file_size);
	if (c->file_seconds > 0)
		fprintf(out, " or %u seconds", c->file_seconds);
	fprintf(out, ", %u MiB of them, then the oldest go.\n", c->budget);
}

void
check_print_captures(const struct config *c, FILE *out)
{
	if (c->n_captures == 0)
		return;
	fputs("# What is written, decrypted, to capture files: by the first of these that holds.\n",
	    out);
	for (size_t i = 0; i < c->n_captures; i++)
		print_one(&c->captures[i], out);
}
