#include "check_retrieval.h"

#include "check_tls.h"
#include "imap_gate.h"

/* What differs between the two. */
struct kind {
	enum protocol protocol;
	const char *name;
	const char *no;	    /* what a client is told */
	const char *writes; /* what the read-only profile refuses */
	const struct retrieval_policy *policy;
	const struct retrieval_timeouts *timeouts;
};

/* Slices of several messages come in turns, and some wait for their UID or for a server's answer.
 */
#define IMAP_AT_ONCE (1 + IMAP_OPEN_MAX + IMAP_DONE_MAX + IMAP_STORED_MAX)

/* What becomes of a message that the section content refuses. */
static void
print_messages(const struct config *c, const struct kind *k, FILE *out)
{
	if (!c->mime.inspect) {
		fputs("#   Messages are not looked at; what is done in a session is recorded.\n",
		    out);
		return;
	}
	fputs("#   Messages are looked at and recorded, as far as the section mime says.\n", out);
	if (k->protocol == PROTOCOL_IMAP)
		fprintf(out, "#   Memory: that of up to %d messages in a session.\n", IMAP_AT_ONCE);
	if (!content_may_refuse(&c->content))
		return;
	if (k->protocol == PROTOCOL_IMAP)
		fputs("#   One that a client stores and that may not be there: refused (NO "
		      "[CANNOT]), "
		      "and the session ends.\n#   One that is fetched: recorded, and let by.\n",
		    out);
	else if (k->policy->cut)
		fputs(
		    "#   One that may not be fetched is cut before its last line, and the session "
		    "ends.\n",
		    out);
	else
		fputs("#   One that may not be fetched: recorded, and let by "
		      "(pop3.refused_message).\n",
		    out);
}

static void
print_commands(const struct kind *k, FILE *out)
{
	char *const *words = k->policy->deny;

	if (k->policy->read_only)
		fprintf(out, "#   %s: refused (%s).\n", k->writes, k->no);
	fprintf(out, "#   Commands that are not known: %s.\n",
	    k->policy->refuse_unknown ? "refused" : "let by");
	if (words == NULL || words[0] == NULL)
		return;
	fprintf(out, "#   Commands refused (%s):", k->no);
	for (; *words != NULL; words++)
		fprintf(out, " %s%s", *words, words[1] != NULL ? "," : ".\n");
}

/* Behind a command that is not known anything may be said, messages too. */
static void
warn_of_unknown(const struct config *c, const struct kind *k, FILE *out)
{
	const char *const protocol = protocol_name(k->protocol);
	const bool enforces = c->mime.inspect && content_may_refuse(&c->content) &&
			      (k->protocol == PROTOCOL_IMAP || k->policy->cut);

	if (k->policy->refuse_unknown)
		return;
	if (enforces)
		fprintf(out,
		    "# Warning: %s.unknown: commands that are not known pass, and whatever "
		    "messages "
		    "go with them are not looked at.\n",
		    protocol);
	if (k->policy->read_only)
		fprintf(out,
		    "# Warning: %s.read_only: commands that are not known pass (%s.unknown), "
		    "whatever they change.\n",
		    protocol, protocol);
}

static void
print_waiting(const struct kind *k, FILE *out)
{
	fprintf(out,
	    "#   A client may be silent for %u s before it has logged in, and %u s behind it",
	    k->timeouts->login, k->timeouts->command);
	if (k->protocol == PROTOCOL_IMAP)
		fprintf(out, ", %u s in IDLE", k->timeouts->idle);
	fputs(".\n", out);
}

static void
print_kind(const struct config *c, const struct kind *k, FILE *out)
{
	if (!config_serves(c, k->protocol))
		return;
	fprintf(out, "# %s: sessions are followed to their end.\n", k->name);
	print_messages(c, k, out);
	print_commands(k, out);
	check_print_tls_of(c, k->protocol, out);
	print_waiting(k, out);
	warn_of_unknown(c, k, out);
}

void
check_print_retrieval(const struct config *c, FILE *out)
{
	const struct kind pop3 = {.protocol = PROTOCOL_POP3,
	    .name = "POP3",
	    .no = "-ERR",
	    .writes = "What deletes (DELE)",
	    .policy = &c->policy->pop3,
	    .timeouts = &c->pop3.timeouts};
	const struct kind imap = {.protocol = PROTOCOL_IMAP,
	    .name = "IMAP",
	    .no = "NO",
	    .writes = "Commands that change something at the server",
	    .policy = &c->policy->imap,
	    .timeouts = &c->imap.timeouts};

	print_kind(c, &pop3, out);
	print_kind(c, &imap, out);
}
