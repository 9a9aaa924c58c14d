#include <stdlib.h>

#include "content.h"
#include "ftp/command.h"
#include "ftp_gate.h"

/* The longest line that can be configured, every octet of it doubled. */
#define COMMAND_MAX (2u * 65536)

/* TELNET (RFC 854): interrupt process, and the data mark that makes a Synch of urgent data. */
#define IAC "\377"
#define IP  IAC "\364"
#define DM  IAC "\362"

/* ---- to the server ---- */

static void
put_command(struct ftp_gate *g, struct span word, struct span args)
{
	struct channel *c = &g->relay.server;
	struct buf out;

	buf_init(&out, COMMAND_MAX);
	if (ftp_command_write(word, args, &out))
		channel_put(c, buf_span(&out));
	else
		c->failed = true;
	buf_free(&out);
	g->asked = ftp_now(g);
}

/* As RFC 959 s4.1.3 has it: a server that is busy with data hears of urgent data at once. */
static void
put_synch(struct ftp_gate *g)
{
	channel_put(&g->relay.server, span_str(IP DM));
	channel_urgent(&g->relay.server);
}

static struct span
text_of(const char *s)
{
	return s == NULL ? SPAN_NONE : span_str(s);
}

static void
forward(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	if (x->taken)
		x->slot = ftp_sent(g->dialogue, x->verb->verb);
	x->at_server = true;
	if (ev == NULL) {
		put_command(g, text_of(x->word), text_of(x->args));
		return;
	}
	if (ev->ftp->synch && x->verb->anytime && !g->relay.facts.tls) /* nothing is urgent there */
		put_synch(g);
	put_command(g, ev->ftp->word, ev->ftp->args);
}

void
ftp_forward(struct ftp_gate *g, const struct an_event *ev)
{
	forward(g, &g->exchange, ev);
}

void
ftp_forward_as(struct ftp_gate *g, struct ftp_exchange *x, const char *args)
{
	if (x->taken)
		x->slot = ftp_sent(g->dialogue, x->verb->verb);
	x->at_server = true;
	put_command(g, span_str(x->verb->name), text_of(args));
}

void
ftp_take(struct ftp_gate *g)
{
	struct ftp_exchange *x = &g->exchange;

	if (x->verb != NULL && !x->at_server && !x->taken) {
		ftp_answered(g->dialogue, 200);
		x->taken = true;
	}
}

void
ftp_ask(struct ftp_gate *g, enum ftp_verb verb, const char *args)
{
	ftp_take(g);
	ftp_sent(g->dialogue, verb);
	put_command(g, span_str(ftp_verb_row(verb)->name), text_of(args));
}

/* ---- refusals ---- */

/* What an honest client may well try, and the configuration does not want: no error of its. */
static bool
is_choice(const char *reason)
{
	static const char *const reasons[] = {"denied", "read_only", "mode", "resume", "tls"};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(reasons[i], reason) == 0)
			return true;
	return false;
}

bool
ftp_is_bounce(const struct verdict *v)
{
	return v->action == VERDICT_REFUSE &&
	       (strcmp(v->reason, "bounce") == 0 || strcmp(v->reason, "low_port") == 0);
}

static void
refuse(
    struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev, const struct verdict *v)
{
	struct relay *r = &g->relay;

	ftp_record_verdict(g, x, v);
	if (!is_choice(v->reason))
		ftp_count_error(g);
	if (ftp_is_bounce(v)) {
		ftp_anomaly(g, AN_FTP_BOUNCE, AN_C2S, ev->off, x->verb->name);
		r->env->refused(r->env->arg, r);
	}
	if (ftp_fault_ends(ev->ftp->fault)) {
		ftp_say_to(g, x, v->reply);
		relay_end(r, "client_protocol", WISH_CLOSE, WISH_RESET);
		ftp_transfer_finish(g);
		return;
	}
	ftp_say_to(g, x, v->reply);
}

/* ---- it passes ---- */

/* A password is counted as a failed login until the server has taken it. */
static void
pass_login(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	struct relay *r = &g->relay;
	struct verdict v = {.action = VERDICT_REFUSE,
	    .rule = "limits",
	    .reason = "auth_failures",
	    .reply = "530 Too many failed logins, try again later."};

	if (r->env->allow(r->env->arg, r, CLIENT_LOGIN)) {
		forward(g, x, ev);
		return;
	}
	ftp_record_verdict(g, x, &v);
	ftp_count_error(g);
	ftp_say_to(g, x, v.reply);
}

void
ftp_judge_name(
    struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev, struct verdict *v)
{
	*v = (struct verdict){.action = VERDICT_PASS};
	if (ftp_config_of(g)->inspect)
		content_judge_name(&g->relay.env->config->content, ev->ftp->args, v);
	if (v->action == VERDICT_REFUSE || v->would_refuse)
		ftp_record_verdict(g, x, v);
}

/* A file may get its true name only once it is there. */
static void
pass_name(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	struct verdict v;

	ftp_judge_name(g, x, ev, &v);
	if (v.action == VERDICT_REFUSE)
		ftp_say_to(g, x, v.reply);
	else
		forward(g, x, ev);
}

/* Who asks for the next data connection, or leaves, has read the last one to its end. */
static bool
is_done_with_data(const struct ftp_exchange *x)
{
	return ftp_way_of(x->verb->verb) != FTP_WAY_NONE || x->verb->verb == FTP_QUIT;
}

static void
let_pass(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	if (x->verb->carries != FTP_NO_TRANSFER) {
		ftp_transfer_begin(g, ev);
		return;
	}
	switch ((int)x->verb->verb) {
	case FTP_PORT:
	case FTP_EPRT:
	case FTP_PASV:
	case FTP_EPSV:
		ftp_channel_command(g, ev);
		break;
	case FTP_PASS:
		pass_login(g, x, ev);
		break;
	case FTP_RNTO:
		pass_name(g, x, ev);
		break;
	case FTP_AUTH:
	case FTP_PBSZ:
	case FTP_PROT:
		ftp_protection_command(g, x, ev);
		break;
	case FTP_ABOR:
		forward(g, x, ev);
		ftp_transfer_abort(g);
		break;
	case FTP_QUIT:
		g->quit = true;
		forward(g, x, ev);
		break;
	default:
		forward(g, x, ev);
		break;
	}
}

/* ---- a command comes in ---- */

static bool
is_busy(const struct ftp_gate *g)
{
	return g->exchange.verb != NULL || ftp_waiting(g->dialogue) > 1;
}

/* NULL: no memory. */
static struct ftp_exchange *
place_for(struct ftp_gate *g)
{
	if (!is_busy(g))
		return &g->exchange;
	if (g->meanwhile == NULL)
		g->meanwhile = calloc(FTP_MEANWHILE_MAX, sizeof(*g->meanwhile));
	return g->meanwhile == NULL ? NULL : &g->meanwhile[g->n_meanwhile++];
}

void
ftp_command(struct ftp_gate *g, const struct an_event *ev)
{
	struct relay *r = &g->relay;
	struct ftp_facts facts = {.client = r->facts.client,
	    .server = r->facts.server,
	    .epsv_all = g->epsv_all,
	    .sized = g->sized,
	    .protected = g->protected[DATA_CLIENT] && g->protected[DATA_SERVER]};
	struct ftp_exchange *x = place_for(g);
	struct verdict v;

	if (x == NULL || !ftp_exchange_begin(g, x, ev)) {
		r->client.failed = true;
		return;
	}
	if (ev->anomaly != AN_NONE)
		ftp_anomaly(g, ev->anomaly, AN_C2S, ev->off, NULL);
	if (g->errors >= ftp_config_of(g)->errors && !ftp_observed(g)) {
		ftp_give_up(g, "421 Too many errors.", "too_many_errors");
		return;
	}
	ftp_judge(&g->policy, &facts, ev, &v);
	if (ftp_observed(g)) {
		ftp_observed_command(g, x, ev, &v);
		return;
	}
	if (v.action == VERDICT_REFUSE) {
		refuse(g, x, ev, &v);
		return;
	}
	board_verdict(&r->seat, &v);
	if (is_done_with_data(x))
		ftp_counting_hurry(g);
	let_pass(g, x, ev);
}
