#include "imap_gate.h"
#include "login_tie.h"
#include "retrieval_rules.h"

/* What of a list decides what the gateway does. */
struct offer {
	enum imap_plus plus;
	bool login_disabled, starttls;
};

/* RFC 9051 s4.3: IMAP4rev2 has LITERAL- in it. */
static void
note_capability(struct offer *offer, struct span word)
{
	static const struct {
		const char *name;
		enum imap_plus plus;
	} rows[] = {
	    {"LITERAL+", IMAP_PLUS_ANY},
	    {"LITERAL-", IMAP_PLUS_MINUS},
	    {"IMAP4REV2", IMAP_PLUS_MINUS},
	};

	if (span_ieq(word, span_str("LOGINDISABLED")))
		offer->login_disabled = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (span_ieq(word, span_str(rows[i].name)) && offer->plus < rows[i].plus)
			offer->plus = rows[i].plus;
}

static void
note_mechanism(struct imap_gate *g, struct span word)
{
	struct span auth = span_str("AUTH=");

	if (span_istarts(word, auth))
		login_offered(&g->relay, span_from(word, auth.n));
}

/* Writes what passes; true: something does not. */
static bool
filter(struct imap_gate *g, struct span list, struct buf *out, struct offer *offer)
{
	bool changed = false;

	for (struct span word = span_word(&list); word.n > 0; word = span_word(&list)) {
		note_mechanism(g, word);
		offer->starttls = offer->starttls || span_ieq(word, span_str("STARTTLS"));
		if (!imap_capability_passes(&g->policy, word)) {
			changed = true;
			continue;
		}
		note_capability(offer, word);
		if (out->n > 0)
			buf_str(out, " ");
		buf_add(out, word);
	}
	return changed;
}

/* True: the session ends for it. */
static bool
stripped(struct imap_gate *g, const struct an_event *ev, const struct offer *offer)
{
	if (g->logged_in || !relay_stripped(&g->relay, offer->starttls))
		return false;
	imap_anomaly(g, AN_STARTTLS_STRIPPED, AN_S2C, ev->off);
	if (g->relay.env->config->tls.stripped != CHECK_ENFORCE)
		return false;
	imap_give_up(g, SPAN_NONE, NULL, "The mail server has no TLS any more, try again later",
	    "starttls_stripped");
	return true;
}

void
imap_pass_capabilities(struct imap_gate *g, const struct an_event *ev)
{
	struct span list = ev->imap->capabilities;
	struct channel *to = &g->relay.client;
	struct offer offer = {.plus = IMAP_PLUS_NONE};
	struct buf kept;
	bool changed;

	if (list.n == 0) {
		imap_pass(g, ev);
		return;
	}
	buf_init(&kept, list.n + 1);
	changed = filter(g, list, &kept, &offer);
	if (stripped(g, ev, &offer)) {
		buf_free(&kept);
		return;
	}
	if (changed) {
		size_t before = (size_t)(list.p - ev->octets.p);

		channel_put(to, span_first(ev->octets, before));
		channel_put(to, buf_span(&kept));
		channel_put(to, span_from(ev->octets, before + list.n));
	} else {
		imap_pass(g, ev);
	}
	to->failed |= kept.failed;
	buf_free(&kept);
	imap_offer(g->dialogue, offer.plus);
	g->login_disabled = offer.login_disabled;
}
