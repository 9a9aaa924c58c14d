#include "judgement.h"

#define SUBJECT_SHOWN 256 /* octets of it in a reply: all of an address that is well-formed */

/* Octets of one line; what does not fit is left out. */
struct line {
	char *text;
	size_t n;
};

static void
line_octet(struct line *line, uint8_t c)
{
	if (line->n < VERDICT_REPLY_MAX)
		line->text[line->n++] = (char)c;
}

static void
line_text(struct line *line, const char *text)
{
	for (; *text != '\0'; text++)
		line_octet(line, (uint8_t)*text);
}

/* The first octets of text, at most max, that end with a whole character. */
static struct span
utf8_first(struct span text, size_t max)
{
	if (text.n <= max)
		return text;
	while (max > 0 && (text.p[max] & 0xc0) == 0x80)
		max--;
	return span_first(text, max);
}

/* U+0080 to U+009F: control characters, to a terminal that shows the reply. */
static bool
is_c1(struct span text, size_t i)
{
	return (i + 1 < text.n && text.p[i] == 0xc2 && text.p[i + 1] < 0xa0) ||
	       (i > 0 && text.p[i - 1] == 0xc2 && text.p[i] < 0xa0);
}

static void
line_subject(struct line *line, struct span subject, bool utf8)
{
	utf8 = utf8 && span_is_utf8(subject);
	subject = utf8_first(subject, SUBJECT_SHOWN);
	for (size_t i = 0; i < subject.n; i++) {
		uint8_t c = subject.p[i];
		bool shown = c >= 0x80 ? utf8 && !is_c1(subject, i) : c >= ' ' && c != 0x7f;

		line_octet(line, shown ? c : '?');
	}
}

void
judgement_pass(struct judgement *j, const char *rule, const char *reason)
{
	j->out->action = VERDICT_PASS;
	j->out->rule = rule;
	j->out->reason = reason;
	j->out->n_questions = 0;
}

void
judgement_refuse(struct judgement *j, enum check check, const struct refusal *refusal)
{
	struct verdict *out = j->out;
	struct line line = {out->reply, 0};

	judgement_pass(j, refusal->rule, refusal->reason);
	if (check == CHECK_ENFORCE)
		out->action = VERDICT_REFUSE;
	out->would_refuse = check == CHECK_REPORT;
	line_text(&line, refusal->status);
	if (j->subject.p != NULL) {
		line_text(&line, " <");
		line_subject(&line, j->subject, j->utf8);
		line_text(&line, ">...");
	}
	line_octet(&line, ' ');
	line_text(&line, refusal->text);
	out->reply[line.n] = '\0';
}

bool
judgement_answer(struct judgement *j, enum dns_type type, const char *name, enum dns_status *status)
{
	struct verdict *out = j->out;
	struct dns_question *question = &out->questions[out->n_questions];
	struct span asked = span_str(name);

	if (answers_status(j->answers, type, name, status))
		return true;
	for (size_t i = 0; i < out->n_questions; i++)
		if (out->questions[i].type == type &&
		    span_eq(span_str(out->questions[i].name), asked))
			return false;
	if (out->n_questions < ANSWERS_MAX && dns_question_set(question, type, asked))
		out->n_questions++;
	return false;
}

bool
judgement_asks(const struct judgement *j)
{
	return j->out->n_questions > 0;
}

void
judgement_undecided(struct judgement *j, const char *rule)
{
	j->out->action = VERDICT_ASK;
	j->out->rule = rule;
	j->out->reason = "undecided";
}
