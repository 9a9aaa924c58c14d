#include "check_ftp.h"

#include <limits.h>

#include "check_tls.h"
#include "data.h"
#include "log_file.h"

static void
print_files(const struct config *c, FILE *out)
{
	if (!c->ftp.inspect) {
		fputs("#   Files are not looked at, and no rule of the section content holds for "
		      "them.\n",
		    out);
		return;
	}
	fputs("#   Files are looked at and recorded, as far as the section mime says.\n", out);
	if (!content_may_refuse(&c->content))
		return;
	fprintf(out,
	    "#   The last %u KiB of each stay here until it may pass; of an upload that may not, "
	    "what the\n#   server has %s.\n",
	    DATA_HOLD_MAX >> 10,
	    c->ftp.delete_refused ? "is deleted where the session itself made the file" : "stays");
}

static void
print_words(const char *what, char *const *words, FILE *out)
{
	if (words == NULL || words[0] == NULL)
		return;
	fprintf(out, "#   %s:", what);
	for (; *words != NULL; words++)
		fprintf(out, " %s%s", *words, words[1] != NULL ? "," : ".\n");
}

static void
print_refused(const struct ftp_policy *p, FILE *out)
{
	const struct {
		bool is;
		const char *what;
	} rows[] = {
	    {p->read_only, "Commands that change something at the server: refused (550)"},
	    {p->refuse_unknown, "Commands that are not known: refused (502)"},
	    {!p->pass_modes, "Modes in which nothing can be looked at (MODE, STRU, TYPE): refused "
			     "(504)"},
	    {p->pass_modes, "Modes in which nothing can be looked at (MODE, STRU, TYPE): let by"},
	    {p->refuse_resume,
		"Transfers from within a file on (REST), or behind its end (APPE): refused "
		"(502)"},
	    {p->hide_banner, "What the server is called: hidden"},
	    {!networks_empty(p->fxp),
		"Third parties that data connections may be made to: those of fxp"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].is)
			fprintf(out, "#   %s.\n", rows[i].what);
	print_words("Commands refused (502)", p->deny, out);
	print_words("Replies that no client hears (550)", p->deny_replies, out);
}

/* Where the gateway has an address of its own in the dialogue. */
static void
print_ports(const struct config *c, FILE *out)
{
	const struct ftp_config *f = &c->ftp;

	if (c->mode == INTERCEPT_REDIRECT && !config_forwards(c, PROTOCOL_FTP))
		fprintf(out,
		    "#   Servers that connect themselves come to ports %u to %u of the gateway.\n",
		    f->data_ports_from, f->data_ports_to);
	if (!config_forwards(c, PROTOCOL_FTP))
		return;
	fprintf(out,
	    "#   Data connections to the gateway itself come to its ports %u to %u: a firewall "
	    "must let them in.\n",
	    f->data_ports_from, f->data_ports_to);
}

static void
print_xferlog(const struct config *c, FILE *out)
{
	char path[PATH_MAX];

	if (c->xferlog && log_file_xferlog(c->log, path))
		fprintf(out, "#   Each file is also a line of %s.\n", path);
}

static void
print_memory(const struct config *c, FILE *out)
{
	size_t most = DATA_RING + (content_may_refuse(&c->content) ? DATA_HOLD_MAX : 0);

	if (c->ftp.inspect)
		fprintf(out,
		    "#   Memory: a transfer holds at most %zu KiB, and %zu KiB more while a file "
		    "is looked at that was\n#   made to cost memory.\n",
		    most >> 10, mail_octets_max(&c->mime.options) >> 10);
}

/* A word that no client will ever say denies nothing: "STORE" for STOR. */
static void
warn_of_words(const char *setting, char *const *words, FILE *out)
{
	for (; words != NULL && *words != NULL; words++) {
		struct span rest = span_str(*words), verb = span_word(&rest);

		if (!span_eq(verb, span_str("*")) && ftp_verb_find(verb)->verb >= FTP_FOREIGN)
			fprintf(out,
			    "# Warning: ftp.%s: \"%s\" begins with no command of FTP that Postern "
			    "knows.\n",
			    setting, *words);
	}
}

static void
warn_of_unknown(const struct ftp_policy *p, FILE *out)
{
	if (p->read_only && !p->refuse_unknown)
		fputs("# Warning: ftp.read_only: commands that are not known pass (ftp.unknown), "
		      "whatever they change.\n",
		    out);
}

/* The server would see one client of two addresses. */
static void
warn_of_headers(const struct config *c, FILE *out)
{
	for (size_t i = 0; i < c->n_forwards; i++)
		if (c->forwards[i].protocol == PROTOCOL_FTP &&
		    c->forwards[i].send_proxy != SEND_PROXY_NO)
			fprintf(out,
			    "# Warning: forward \"%s\": send_proxy names the client, and data "
			    "connections come from the gateway:\n#   most FTP servers refuse "
			    "them.\n",
			    c->forwards[i].name);
}

void
check_print_ftp(const struct config *c, FILE *out)
{
	if (!config_serves(c, PROTOCOL_FTP))
		return;
	fprintf(out, "# FTP: data connections to servers are %s.\n",
	    c->ftp.server_data_same ? "made as the client chose"
				    : "passive (EPSV, PASV), whatever the client chose");
	print_files(c, out);
	print_refused(&c->policy->ftp, out);
	check_print_tls_of(c, PROTOCOL_FTP, out);
	print_ports(c, out);
	print_xferlog(c, out);
	print_memory(c, out);
	warn_of_words("deny", c->policy->ftp.deny, out);
	warn_of_words("deny_replies", c->policy->ftp.deny_replies, out);
	warn_of_unknown(&c->policy->ftp, out);
	warn_of_headers(c, out);
}
