#include "config_scan.h"

#define DEPTH_MAX   8
#define NOT_UNKNOWN SIZE_MAX

enum token_kind {
	TOKEN_END,
	TOKEN_WORD, /* quoted or not */
	TOKEN_EQUALS,
	TOKEN_APPEND,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_COMMA,
	TOKEN_BAD, /* nothing behind it can be read */
};

struct token {
	enum token_kind kind;
	size_t from, to;
	unsigned line;
};

/* What the statement being read has shown so far. */
enum place {
	PLACE_NAME,
	PLACE_BEHIND_NAME, /* "=", "+=", a title or "{" comes next */
	PLACE_VALUE,
	PLACE_LIST,
};

struct scanner {
	char *text;
	size_t n, at;
	unsigned line;
	struct config_scan *out;
	struct faults *faults;

	enum place place;
	struct token name;
	enum config_section open[DEPTH_MAX];
	struct token opened_by[DEPTH_MAX];
	size_t depth;
	size_t unknown_from;  /* start of the statement with an unknown name, or NOT_UNKNOWN */
	size_t unknown_depth; /* where that statement ends */
};

static void __attribute__((format(printf, 3, 4)))
unreadable(struct scanner *s, unsigned line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	faults_syntax(s->faults, line, format, ap);
	va_end(ap);
}

static bool
next_is(const struct scanner *s, const char *what)
{
	return span_starts(span_of(s->text + s->at, s->n - s->at), span_str(what));
}

/* ---- comments and blanks ---- */

static void
blank_out(struct scanner *s, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (s->text[i] != '\n')
			s->text[i] = ' ';
}

static void
skip_line_comment(struct scanner *s)
{
	size_t from = s->at;

	while (s->at < s->n && s->text[s->at] != '\n')
		s->at++;
	blank_out(s, from, s->at);
}

static bool
skip_c_comment(struct scanner *s)
{
	size_t from = s->at;
	unsigned line = s->line;

	for (s->at += 2; s->at < s->n && !next_is(s, "*/"); s->at++)
		if (s->text[s->at] == '\n')
			s->line++;
	if (s->at >= s->n) {
		s->at = from;
		unreadable(s, line, "comment without its end; \"*/\" ends it");
		return false;
	}
	s->at += 2;
	blank_out(s, from, s->at);
	return true;
}

/* False: a comment has no end. */
static bool
skip_blanks(struct scanner *s)
{
	for (;;) {
		if (next_is(s, "\n")) {
			s->line++;
			s->at++;
		} else if (next_is(s, " ") || next_is(s, "\t") || next_is(s, "\r\n")) {
			s->at++;
		} else if (next_is(s, "#") || next_is(s, "//")) {
			skip_line_comment(s);
		} else if (!next_is(s, "/*")) {
			return true;
		} else if (!skip_c_comment(s)) {
			return false;
		}
	}
}

/* ---- tokens ---- */

/* Stands on a backslash, and goes on to the octet behind it. */
static bool
scan_escape(struct scanner *s, char quote)
{
	const char *escapes = quote == '"' ? "\"\\$" : "'\\";

	s->at++;
	if (s->at < s->n && s->text[s->at] != '\0' && strchr(escapes, s->text[s->at]) != NULL)
		return true;
	unreadable(s, s->line, "unknown escape in a string; %s may stand",
	    quote == '"' ? "\\\" \\\\ \\$" : "\\' \\\\");
	return false;
}

static bool
scan_string(struct scanner *s)
{
	char quote = s->text[s->at++];
	for (; s->at < s->n && s->text[s->at] != '\n'; s->at++) {
		unsigned char c = (unsigned char)s->text[s->at];
		if (s->text[s->at] == quote) {
			s->at++;
			return true;
		}
		if (c < ' ' || c == 0x7f) {
			unreadable(
			    s, s->line, "octet 0x%02x in a string; a string is plain text", c);
			return false;
		}
		if (quote == '"' && next_is(s, "${")) {
			unreadable(s, s->line,
			    "\"${\" in a string; nothing is taken from the environment");
			return false;
		}
		if (c == '\\' && !scan_escape(s, quote))
			return false;
	}
	unreadable(s, s->line, "string without its end; it ends with %c on the same line", quote);
	return false;
}

static bool
word_octet(const struct scanner *s)
{
	unsigned char c = (unsigned char)s->text[s->at];

	return c > ' ' && c != 0x7f && strchr("#\"'={}()+,*", c) == NULL && !next_is(s, "//") &&
	       !next_is(s, "/*") && !next_is(s, "${");
}

static bool
scan_word(struct scanner *s)
{
	size_t from = s->at;

	while (s->at < s->n && word_octet(s))
		s->at++;
	if (s->at > from)
		return true;
	unsigned char c = (unsigned char)s->text[s->at];
	if (c > ' ' && c < 0x7f)
		unreadable(s, s->line, "'%c' outside of quotes; put the word in quotes", c);
	else
		unreadable(s, s->line, "octet 0x%02x; plain text and UTF-8 may stand here", c);
	return false;
}

static enum token_kind
scan_mark(struct scanner *s)
{
	static const struct {
		const char *mark;
		enum token_kind kind;
	} marks[] = {{"=", TOKEN_EQUALS}, {"+=", TOKEN_APPEND}, {"{", TOKEN_OPEN},
	    {"}", TOKEN_CLOSE}, {",", TOKEN_COMMA}};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (next_is(s, marks[i].mark)) {
			s->at += strlen(marks[i].mark);
			return marks[i].kind;
		}
	return TOKEN_BAD;
}

static struct token
scan_token(struct scanner *s)
{
	struct token t = {TOKEN_BAD, s->at, s->at, s->line};

	if (!skip_blanks(s)) {
		t.from = t.to = s->at;
		return t;
	}
	t.from = s->at;
	t.line = s->line;
	if (s->at == s->n)
		t.kind = TOKEN_END;
	else if (next_is(s, "\"") || next_is(s, "'"))
		t.kind = scan_string(s) ? TOKEN_WORD : TOKEN_BAD;
	else if ((t.kind = scan_mark(s)) == TOKEN_BAD)
		t.kind = scan_word(s) ? TOKEN_WORD : TOKEN_BAD;
	t.to = s->at;
	return t;
}

/* ---- statements ---- */

static struct span
name_text(const struct scanner *s)
{
	return span_of(s->text + s->name.from, s->name.to - s->name.from);
}

static void
tell_unknown(struct scanner *s, enum config_section section)
{
	char known[FAULT_TEXT_MAX / 2], path[SETTING_PATH_MAX];
	size_t n = 0;
	const struct setting *row;
	struct span name = name_text(s);
	const char *comma = "";

	known[0] = '\0';
	for (size_t i = 0; (row = config_setting(i)) != NULL && n < sizeof(known); i++)
		if (row->section == section) {
			n += (size_t)snprintf(
			    known + n, sizeof(known) - n, "%s%s", comma, row->name);
			comma = ", ";
		}
	for (unsigned i = 0; i < SECTION_COUNT && n < sizeof(known); i++)
		if (config_section((enum config_section)i)->above == section) {
			n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", comma,
			    config_section((enum config_section)i)->name);
			comma = ", ";
		}
	config_setting_path(section, NULL, path);
	faults_add(s->faults, s->name.line, "%s%s%.*s: unknown name; known here: %s", path,
	    *path != '\0' ? "." : "", (int)span_first(name, 100).n, (const char *)name.p, known);
}

static void
unknown_starts(struct scanner *s)
{
	tell_unknown(s, s->open[s->depth]);
	s->unknown_from = s->name.from;
	s->unknown_depth = s->depth;
}

static void
statement_ends(struct scanner *s)
{
	s->place = PLACE_NAME;
	if (s->unknown_from == NOT_UNKNOWN || s->depth != s->unknown_depth)
		return;
	blank_out(s, s->unknown_from, s->at);
	s->unknown_from = NOT_UNKNOWN;
}

static void
setting_starts(struct scanner *s, bool append)
{
	enum config_section section = s->open[s->depth];
	char path[SETTING_PATH_MAX];
	size_t i;

	s->place = PLACE_VALUE;
	if (section == SECTION_NONE)
		return;
	const struct setting *row = config_setting_find(section, name_text(s), &i);
	if (row == NULL) {
		if (config_section_find(section, name_text(s)) == SECTION_NONE)
			unknown_starts(s);
		return;
	}
	if (s->out->setting_line[i] == 0)
		s->out->setting_line[i] = s->name.line;
	else if (!append)
		faults_add(s->faults, s->name.line, "%s: given twice; it stands on line %u",
		    config_setting_path(section, row->name, path), s->out->setting_line[i]);
}

static void
forget_lines(struct scanner *s, enum config_section section)
{
	const struct setting *row;

	for (size_t i = 0; (row = config_setting(i)) != NULL; i++)
		if (row->section == section)
			s->out->setting_line[i] = 0;
}

static bool
section_opens(struct scanner *s)
{
	enum config_section above = s->open[s->depth], section = SECTION_NONE;
	size_t i;

	if (s->depth + 1 == DEPTH_MAX) {
		unreadable(s, s->line, "sections lie more than %d deep", DEPTH_MAX - 1);
		return false;
	}
	if (above != SECTION_NONE) {
		section = config_section_find(above, name_text(s));
		if (section == SECTION_NONE && config_setting_find(above, name_text(s), &i) == NULL)
			unknown_starts(s);
	}
	s->open[++s->depth] = section;
	s->opened_by[s->depth] = s->name;
	s->place = PLACE_NAME;
	if (section == SECTION_NONE)
		return true;
	if (s->out->section_line[section] == 0)
		s->out->section_line[section] = s->name.line;
	if (config_section(section)->titled) {
		if (s->out->n_titled[section] < TITLED_MAX)
			s->out->titled_line[section][s->out->n_titled[section]] = s->name.line;
		s->out->n_titled[section]++;
		forget_lines(s, section);
	}
	return true;
}

static void
brace_closes(struct scanner *s)
{
	if (s->place != PLACE_LIST && s->depth > 0)
		s->depth--;
	statement_ends(s);
}

/* Statements that the grammar does not know are left to libconfuse, which says what is wrong. */
static bool
take_token(struct scanner *s, const struct token *t)
{
	switch (t->kind) {
	case TOKEN_WORD:
		if (s->place == PLACE_NAME) {
			s->name = *t;
			s->place = PLACE_BEHIND_NAME;
		} else if (s->place == PLACE_VALUE) {
			statement_ends(s);
		}
		return true;
	case TOKEN_EQUALS:
	case TOKEN_APPEND:
		if (s->place == PLACE_BEHIND_NAME)
			setting_starts(s, t->kind == TOKEN_APPEND);
		return true;
	case TOKEN_OPEN:
		if (s->place == PLACE_BEHIND_NAME)
			return section_opens(s);
		if (s->place == PLACE_VALUE)
			s->place = PLACE_LIST;
		return true;
	case TOKEN_CLOSE:
		brace_closes(s);
		return true;
	case TOKEN_COMMA:
		return true;
	case TOKEN_END:
	case TOKEN_BAD:
		break;
	}
	return false;
}

/* libconfuse lets the end of the file end every section. */
static void
tell_open(struct scanner *s)
{
	const struct token *name = &s->opened_by[s->depth];

	unreadable(s, s->line, "end of file, and section %.*s of line %u is open; \"}\" ends it",
	    (int)span_first(span_of(s->text + name->from, name->to - name->from), 100).n,
	    s->text + name->from, name->line);
}

/* Where the text stops being UTF-8; *n when it is. */
static size_t
utf8_end(struct scanner *s)
{
	unsigned line = 1;
	size_t from = 0;

	while (from < s->n) {
		const char *nl = memchr(s->text + from, '\n', s->n - from);
		size_t to = nl != NULL ? (size_t)(nl - s->text) + 1 : s->n;
		if (!span_is_utf8(span_of(s->text + from, to - from))) {
			unreadable(s, line, "this line is not UTF-8");
			return from;
		}
		from = to;
		line++;
	}
	return s->n;
}

void
config_scan(char *text, size_t *n, struct config_scan *out, struct faults *faults)
{
	struct scanner s = {
	    .n = *n, .line = 1, .out = out, .faults = faults, .unknown_from = NOT_UNKNOWN};
	struct token t;

	*out = (struct config_scan){.section_line = {0}};
	s.text = text;
	s.n = utf8_end(&s);
	do
		t = scan_token(&s);
	while (take_token(&s, &t));
	if (t.kind == TOKEN_END && s.depth > 0)
		tell_open(&s);
	if (s.unknown_from != NOT_UNKNOWN)
		blank_out(&s, s.unknown_from, t.from);
	*n = t.from;
}
