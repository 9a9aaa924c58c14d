#include "imap/response.h"

enum imap_status
imap_status_find(struct span word)
{
	static const struct {
		const char *word;
		enum imap_status status;
	} words[] = {
	    {"OK", IMAP_ST_OK},
	    {"NO", IMAP_ST_NO},
	    {"BAD", IMAP_ST_BAD},
	    {"BYE", IMAP_ST_BYE},
	    {"PREAUTH", IMAP_ST_PREAUTH},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_ieq(word, span_str(words[i].word)))
			return words[i].status;
	return IMAP_ST_NONE;
}

static bool
is_capability(struct span code, struct span *list)
{
	struct span rest = code;

	if (!span_ieq(span_word(&rest), span_str("CAPABILITY")))
		return false;
	*list = span_trim(rest);
	return true;
}

bool
imap_status_parse(struct span line, struct imap_detail *d)
{
	ptrdiff_t end;

	d->kind = IMAP_KIND_STATUS;
	d->text = line;
	d->status = imap_status_find(span_word(&d->text));
	d->text = span_trim(d->text);
	if (imap_literal_suspect(line))
		return false;
	if (d->text.n == 0 || d->text.p[0] != '[')
		return true;
	end = span_find(d->text, ']');
	if (end < 0)
		return false;
	d->code = span_from(span_first(d->text, (size_t)end), 1);
	d->text = span_trim(span_from(d->text, (size_t)end + 1));
	(void)is_capability(d->code, &d->capabilities);
	return true;
}

static enum imap_kind
kind_of(struct span word, bool numbered)
{
	static const struct {
		const char *word;
		enum imap_kind kind;
		bool numbered;
	} words[] = {
	    {"EXISTS", IMAP_KIND_EXISTS, true},
	    {"RECENT", IMAP_KIND_RECENT, true},
	    {"EXPUNGE", IMAP_KIND_EXPUNGE, true},
	    {"CAPABILITY", IMAP_KIND_CAPABILITY, false},
	    {"VANISHED", IMAP_KIND_VANISHED, false},
	    {"FLAGS", IMAP_KIND_FLAGS, false},
	    {"ENABLED", IMAP_KIND_ENABLED, false},
	    {"ID", IMAP_KIND_ID, false},
	    {"ESEARCH", IMAP_KIND_LIST, false},
	    {"LIST", IMAP_KIND_LIST, false},
	    {"LSUB", IMAP_KIND_LIST, false},
	    {"NAMESPACE", IMAP_KIND_LIST, false},
	    {"SEARCH", IMAP_KIND_LIST, false},
	    {"SORT", IMAP_KIND_LIST, false},
	    {"STATUS", IMAP_KIND_LIST, false},
	    {"THREAD", IMAP_KIND_LIST, false},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].numbered == numbered && span_ieq(word, span_str(words[i].word)))
			return words[i].kind;
	return IMAP_KIND_OTHER;
}

void
imap_data_parse(struct span line, struct imap_detail *d)
{
	struct span rest = line, word = span_word(&rest);
	bool numbered = span_u64(word, UINT64_MAX, &d->number);

	if (numbered)
		word = span_word(&rest);
	d->kind = kind_of(word, numbered);
	d->text = span_trim(rest);
	if (d->kind == IMAP_KIND_CAPABILITY)
		d->capabilities = d->text;
}
