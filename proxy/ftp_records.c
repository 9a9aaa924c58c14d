#include <stdlib.h>

#include "ftp/command.h"
#include "ftp_gate.h"

#define TEXT_KEPT (2u * RECORD_TEXT_MAX) /* octets of a reply that its record is made of */

/* Octets of a peer, none of them NUL, as a string. NULL: no memory. */
static char *
keep(struct span s)
{
	char *text = malloc(s.n + 1);

	if (text == NULL)
		return NULL;
	if (s.n > 0)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return text;
}

static char *
full_path(const struct ftp_gate *g, struct span name)
{
	struct buf path;
	char *text = NULL;
	bool cut;

	buf_init(&path, FTP_PATH_MAX + 1);
	if (ftp_path_of(&g->directory, name, &path, &cut))
		text = keep(buf_span(&path));
	buf_free(&path);
	return text;
}

/* What some servers change passwords with has no verb of its own. */
bool
ftp_is_secret(const struct ftp_detail *d)
{
	static const char *const words[] = {
	    "PSWD", "PASSWD", "CPWD", "GPASS", "CHPASS", "PASS", "ADDUSER", "GADDUSER"};

	for (size_t i = 0; d->verb->verb == FTP_SITE && i < sizeof(words) / sizeof(words[0]); i++) {
		struct span args = d->args;

		if (ftp_args_word_is(&args, span_str(words[i])))
			return true;
	}
	return d->verb->secret;
}

struct span
ftp_name_in(const struct ftp_verb_row *verb, struct span args)
{
	struct span name = span_trim(args), rest = name;

	if (verb->verb != FTP_LIST && verb->verb != FTP_NLST && verb->verb != FTP_STAT)
		return args;
	while (name.n > 0 && name.p[0] == '-') {
		span_word(&rest);
		name = rest = span_trim(rest);
	}
	return name;
}

bool
ftp_exchange_begin(struct ftp_gate *g, struct ftp_exchange *x, const struct an_event *ev)
{
	const struct ftp_detail *d = ev->ftp;

	*x = (struct ftp_exchange){.verb = d->verb, .tx_id = g->relay.tx_count++, .slot = ev->slot};
	buf_init(&x->texts, FTP_REPLIES_MAX * TEXT_KEPT);
	if (d->word.n == 0) /* what makes no line may have any octets in it */
		return true;
	x->word = keep(d->word);
	x->secret = ftp_is_secret(d);
	if (d->args.n > 0 && !x->secret)
		x->args = keep(d->args);
	if (d->verb->path && (x->args != NULL || d->verb->carries == FTP_LISTING))
		x->path = full_path(g, ftp_name_in(d->verb, d->args));
	return x->word != NULL && (x->args != NULL || d->args.n == 0 || x->secret);
}

void
ftp_record_reply(
    struct ftp_exchange *x, unsigned code, struct span lines, enum record_source source)
{
	struct ftp_exchange_reply *reply;

	if (x->verb == NULL)
		return;
	if (x->n_replies == FTP_REPLIES_MAX) /* the last one is what counts */
		x->texts.n = x->replies[--x->n_replies].at;
	reply = &x->replies[x->n_replies++];
	lines = span_first(lines, TEXT_KEPT);
	*reply = (struct ftp_exchange_reply){
	    .code = (uint16_t)code, .source = source, .at = (uint32_t)x->texts.n};
	if (buf_add(&x->texts, lines))
		reply->n = (uint32_t)lines.n;
}

void
ftp_record_verdict(struct ftp_gate *g, struct ftp_exchange *x, const struct verdict *v)
{
	board_verdict(&g->relay.seat, v);
	if (x->verdict == NULL)
		x->verdict = malloc(sizeof(*v));
	if (x->verdict != NULL)
		*x->verdict = *v;
}

static struct span
text_of(const char *s)
{
	return s == NULL ? SPAN_NONE : span_str(s);
}

/* A verb that is in no table is named as the client wrote it. */
static const char *
command_of(const struct ftp_exchange *x)
{
	if (x->verb->verb == FTP_NONE)
		return NULL;
	return x->verb->verb >= FTP_FOREIGN && x->word != NULL && span_is_ascii(span_str(x->word))
		   ? x->word
		   : x->verb->name;
}

static void
write_exchange(struct ftp_gate *g, const struct ftp_exchange *x)
{
	const struct relay *r = &g->relay;
	struct record_ftp_reply replies[FTP_REPLIES_MAX];
	struct record_ftp record = {.command = command_of(x),
	    .args = text_of(x->args),
	    .secret = x->secret,
	    .replies = replies,
	    .n_replies = x->n_replies,
	    .user = text_of(g->user),
	    .path = text_of(x->path),
	    .directory = buf_span(&g->directory.text),
	    .dynamic_port = x->data_port,
	    .passive = x->data_passive,
	    .verdict = x->verdict};

	for (size_t i = 0; i < x->n_replies; i++)
		replies[i] = (struct record_ftp_reply){.code = x->replies[i].code,
		    .text = span_first(
			span_from(buf_span(&x->texts), x->replies[i].at), x->replies[i].n),
		    .source = x->replies[i].source,
		    .plain = x->replies[i].plain};
	record_ftp(&r->session, &record, x->tx_id, r->env->sink, r->env->sink_arg);
}

/* Places of "meanwhile" are moved up, so that the oldest is the first. */
static void
close_gap(struct ftp_gate *g, const struct ftp_exchange *x)
{
	size_t i = (size_t)(x - g->meanwhile);

	g->n_meanwhile--;
	memmove(
	    &g->meanwhile[i], &g->meanwhile[i + 1], (g->n_meanwhile - i) * sizeof(g->meanwhile[0]));
	g->meanwhile[g->n_meanwhile] = (struct ftp_exchange){0};
}

void
ftp_record_exchange(struct ftp_gate *g, struct ftp_exchange *x)
{
	if (x->verb == NULL)
		return;
	write_exchange(g, x);
	free(x->word);
	free(x->args);
	free(x->path);
	free(x->verdict);
	buf_free(&x->texts);
	if (x == &g->exchange)
		*x = (struct ftp_exchange){0};
	else
		close_gap(g, x);
}

/* ---- transfers ---- */

void
ftp_record_transfer(struct ftp_gate *g)
{
	const struct relay *r = &g->relay;
	const struct ftp_transfer *t = &g->transfer;
	const struct data_count *count = t->pair == NULL ? NULL : r->env->data->count(t->pair);
	enum an_dir dir = t->verb->carries == FTP_UPLOAD ? AN_C2S : AN_S2C;
	enum data_leg source = dir == AN_C2S ? DATA_CLIENT : DATA_SERVER;
	struct record_ftp_data record = {.command = t->verb->name,
	    .user = text_of(g->user),
	    .filename = text_of(t->name),
	    .path = text_of(t->path),
	    .path_cut = t->path_cut,
	    .dir = dir,
	    .type = g->ascii ? "A" : "I",
	    .client_passive = g->agreed.client >= FTP_WAY_PASV,
	    .server_passive = g->agreed.server >= FTP_WAY_PASV,
	    .let_by = g->agreed.let_by,
	    .direct = ftp_observed(g),
	    .offset = t->restart,
	    .duration_ms = (t->over != 0 ? t->over : ftp_now(g)) - t->began,
	    .outcome = ftp_transfer_outcome(t),
	    .deleted = t->deleted,
	    .kept = ftp_transfer_kept(g),
	    .reason = t->why,
	    .code = t->told,
	    .content = t->content,
	    .verdict = t->verdict};

	memcpy(record.legs, t->ends, sizeof(record.legs));
	if (count != NULL) {
		memcpy(record.tls, count->tls, sizeof(record.tls));
		record.octets_in = count->octets[source];
		record.octets_out =
		    count->octets[source == DATA_CLIENT ? DATA_SERVER : DATA_CLIENT];
	}
	if (count != NULL && record.direct)
		record.octets_in = record.octets_out = count->octets[DATA_CLIENT];
	record_ftp_data(&r->session, &record, t->tx_id, r->env->sink, r->env->sink_arg);
	if (r->env->config->xferlog && !ftp_observed(g)) /* which the logger takes apart */
		record_xferlog(&r->session, &record, r->env->sink, r->env->sink_arg);
}

void
ftp_anomaly(
    struct ftp_gate *g, enum an_anomaly what, enum an_dir dir, uint64_t off, const char *detail)
{
	struct relay *r = &g->relay;

	if (g->anomalies++ < FTP_ANOMALIES_MAX)
		record_anomaly(&r->session, an_anomaly_name(what), dir, off, detail, r->env->sink,
		    r->env->sink_arg);
}
