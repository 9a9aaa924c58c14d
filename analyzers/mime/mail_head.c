#include <stdlib.h>

#include "mime/mail_state.h"
#include "mime/word.h"

static const struct {
	const char *name;
	enum mail_list list; /* MAIL_LISTS: it is a text */
	size_t offset;	     /* of the text in struct mail_header */
} fields[] = {
    {"subject", MAIL_LISTS, offsetof(struct mail_header, subject)},
    {"date", MAIL_LISTS, offsetof(struct mail_header, date)},
    {"message-id", MAIL_LISTS, offsetof(struct mail_header, message_id)},
    {"x-mailer", MAIL_LISTS, offsetof(struct mail_header, x_mailer)},
    {"from", MAIL_LISTS, offsetof(struct mail_header, from)},
    {"to", MAIL_TO, 0},
    {"cc", MAIL_CC, 0},
    {"bcc", MAIL_BCC, 0},
    {"reply-to", MAIL_REPLY_TO, 0},
};

static void
note_faults(struct mail *m, const struct mime_event *ev, const struct mime_faults *faults)
{
	for (unsigned i = 0; i < faults->n; i++)
		mail_note(m, m->n_rows > m->head ? m->rows[m->head] : NULL, faults->each[i].what,
		    ev->off - m->before, faults->each[i].detail);
}

/* Of a field that is there twice, the first counts; the parser says that there are two. */
static bool
take_text(struct mail *m, const struct mime_event *ev, bool is_from, struct span *out)
{
	struct mime_faults faults = {.n = 0};
	struct buf text;
	bool ok;

	if (out->n > 0)
		return true;
	buf_init(&text, ev->octets.n * MIME_WORD_GROWTH + 1);
	ok = mime_words_decode(
	    ev->octets, is_from ? MIME_WORDS_PHRASE : MIME_WORDS_TEXT, &text, &faults);
	if (ok) {
		mail_keep(m, span_trim(buf_span(&text)), out);
		note_faults(m, ev, &faults);
	}
	buf_free(&text);
	return ok;
}

static bool
take_addresses(struct mail *m, const struct mime_event *ev, enum mail_list which)
{
	if (m->lists == NULL) {
		m->lists = calloc(MAIL_LISTS, sizeof(*m->lists));
		if (m->lists == NULL)
			return false;
		for (unsigned i = 0; i < MAIL_LISTS; i++)
			address_list_init(&m->lists[i], m->options.recipients);
	}
	mime_faults_reset(&m->lists[which].faults);
	if (!address_list_add(&m->lists[which], ev->octets))
		return false;
	note_faults(m, ev, &m->lists[which].faults);
	return true;
}

bool
mail_head_field(struct mail *m, const struct mime_event *ev)
{
	if (span_ieq(ev->name, span_str("received"))) {
		m->header.received++;
		return true;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!span_ieq(ev->name, span_str(fields[i].name)))
			continue;
		if (fields[i].list != MAIL_LISTS)
			return take_addresses(m, ev, fields[i].list);
		return take_text(m, ev, span_ieq(ev->name, span_str("from")),
		    (struct span *)(void *)((char *)&m->header + fields[i].offset));
	}
	return true;
}

/* Returns how many were kept of a list. */
static size_t
keep_list(struct mail *m, const struct address_list *list, const struct span **out)
{
	struct span *texts;
	size_t n = 0;

	if (list->n == 0)
		return 0;
	texts = arena_alloc(&m->facts, list->n * sizeof(*texts));
	if (texts == NULL)
		return 0;
	for (; n < list->n; n++)
		if (!arena_copy(
			&m->facts, span_first(list->each[n].text, MAIL_TEXT_MAX), &texts[n]))
			break;
	*out = texts;
	return n;
}

bool
mail_head_end(struct mail *m)
{
	struct mail_header *h = &m->header;
	struct {
		const struct span **texts;
		size_t *n;
	} places[MAIL_LISTS] = {[MAIL_TO] = {&h->to, &h->n_to},
	    [MAIL_CC] = {&h->cc, &h->n_cc},
	    [MAIL_BCC] = {&h->bcc, &h->n_bcc},
	    [MAIL_REPLY_TO] = {&h->reply_to, &h->n_reply_to}};

	for (unsigned i = 0; m->lists != NULL && i < MAIL_LISTS; i++) {
		const struct address_list *list = &m->lists[i];

		*places[i].n = keep_list(m, list, places[i].texts);
		h->addresses_left_out += list->left_out + (list->n - *places[i].n);
	}
	mail_head_free(m);
	return !m->facts.failed;
}

void
mail_head_free(struct mail *m)
{
	for (unsigned i = 0; m->lists != NULL && i < MAIL_LISTS; i++)
		address_list_free(&m->lists[i]);
	free(m->lists);
	m->lists = NULL;
}
