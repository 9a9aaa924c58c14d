/*
 * Runs conversations of tests/vectors through the gate: reads the files, fills in presets and rows,
 * and sums up. The language is in README.md beside this file.
 */
#include <stdio.h>
#include <stdlib.h>

#include "mime/analyzers_init.h"
#include "run.h"

static const char smtp_config[] =
    "inside = {\"10.0.0.0/8\"}\n"
    "forward \"test\" { listen = \"127.0.0.1:2525\" to = \"10.0.0.25:25\" protocol = smtp }\n"
    "smtp { relay { local_domains = {\"local.example\", \".local.example\"} } }\n";
static const char ftp_config[] =
    "inside = {\"10.0.0.0/8\", \"fd00::/8\"}\n"
    "forward \"test\" { listen = \"127.0.0.1:2121\" to = \"10.0.0.25:21\" protocol = ftp }\n"
    "smtp { relay { check = off } }\n";
static const char pop3_config[] =
    "inside = {\"10.0.0.0/8\"}\n"
    "forward \"test\" { listen = \"127.0.0.1:2110\" to = \"10.0.0.25:110\" protocol = pop3 }\n"
    "smtp { relay { check = off } }\n";
static const char imap_config[] =
    "inside = {\"10.0.0.0/8\"}\n"
    "forward \"test\" { listen = \"127.0.0.1:2143\" to = \"10.0.0.25:143\" protocol = imap }\n"
    "smtp { relay { check = off } }\n";

static const struct dialect dialects[] = {
    {"smtp", &relay_smtp, smtp_config, 25, true},
    {"ftp", &relay_ftp, ftp_config, 21, true},
    {"pop3", &relay_pop3, pop3_config, 110, true},
    {"imap", &relay_imap, imap_config, 143, true},
};
#define DIALECTS (sizeof(dialects) / sizeof(dialects[0]))

static const char preset_ehlo[] =
    "S: 220 mx ready\nc: 220 mx ready\nC: EHLO me\ns: EHLO me\n"
    "S: 250-mx\nS: 250-PIPELINING\nS: 250-SIZE 10000000\nS: 250-8BITMIME\nS: 250-SMTPUTF8\n"
    "S: 250-DSN\nS: 250-CHUNKING\nS: 250-BINARYMIME\nS: 250-AUTH PLAIN LOGIN\nS: 250-STARTTLS\n"
    "S: 250 ENHANCEDSTATUSCODES\n"
    "c: 250-mx\nc: 250-PIPELINING\nc: 250-SIZE 10000000\nc: 250-8BITMIME\nc: 250-SMTPUTF8\n"
    "c: 250-DSN\nc: 250-CHUNKING\nc: 250-BINARYMIME\nc: 250-AUTH PLAIN LOGIN\nc: 250-STARTTLS\n"
    "c: 250 ENHANCEDSTATUSCODES\n";
static const char preset_mail[] =
    "C: MAIL FROM:<a@b.example>\ns: MAIL FROM:<a@b.example>\nS: 250 ok\nc: 250 ok\n"
    "C: RCPT TO:<u@local.example>\ns: RCPT TO:<u@local.example>\nS: 250 ok\nc: 250 ok\n";
static const char preset_seen[] =
    "S: 220 mx ready\nC: EHLO me\nS: 250-mx\nS: 250-PIPELINING\nS: 250-CHUNKING\nS: 250 8BITMIME\n"
    "C: MAIL FROM:<a@b.example>\nS: 250 ok\nC: RCPT TO:<u@local.example>\nS: 250 ok\n";
static const char preset_login[] =
    "S: 220 files ready\nc: 220 files ready\nC: USER anna\ns: USER anna\n"
    "S: 331 password\nc: 331 password\nC: PASS s3cr3t\ns: PASS s3cr3t\n"
    "S: 230 welcome\nc: 230 welcome\n";
static const char preset_ftps[] =
    "S: 220 files ready\nc: 220 files ready\nC: AUTH TLS\ns: AUTH TLS\n"
    "S: 234 go\nc: 234 go\ntls server ok\ntls client ok\nC: USER anna\ns: USER anna\n"
    "S: 331 password\nc: 331 password\nC: PASS s3cr3t\ns: PASS s3cr3t\n"
    "S: 230 welcome\nc: 230 welcome\nC: PBSZ 0\ns: PBSZ 0\nS: 200 ok\nc: 200 PBSZ=0\n"
    "C: PROT P\ns: PROT P\nS: 200 private\nc: 200 private\n";
static const char preset_watched[] =
    "observed\nS: 220 ready\nC: USER anna\nS: 331 password\nC: PASS s3cr3t\nS: 230 in\n"
    "C: CWD /pub\nS: 250 ok\n";
static const char preset_pasv[] =
    "C: PASV\ns: PASV\nS: 227 Entering Passive Mode (10,0,0,25,19,137)\n"
    "data listening client 10.0.0.1:40001\n"
    "c: 227 Entering Passive Mode (10,0,0,1,156,65).\n";
static const char preset_port[] =
    "C: PORT 203,0,113,9,195,80\ns: PASV\nS: 227 Entering Passive Mode (10,0,0,25,19,137)\n"
    "c: 200 PORT command successful.\n";
static const char preset_mailbox[] =
    "S: +OK mailboxes ready\nc: +OK mailboxes ready\nC: USER anna\ns: USER anna\n"
    "S: +OK\nc: +OK\nC: PASS s3cr3t\ns: PASS s3cr3t\nS: +OK welcome\nc: +OK welcome\n";

static const char preset_imap[] =
    "S: * OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN] ready\n"
    "c: * OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN] ready\n"
    "C: a1 LOGIN anna s3cr3t\ns: a1 LOGIN anna s3cr3t\n"
    "S: a1 OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE UIDPLUS BINARY CATENATE MULTIAPPEND] "
    "welcome\n"
    "c: a1 OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE UIDPLUS BINARY CATENATE MULTIAPPEND] "
    "welcome\n";
static const char preset_inbox[] = "C: a2 SELECT INBOX\ns: a2 SELECT INBOX\n"
				   "S: * 10 EXISTS\nS: a2 OK [READ-WRITE] selected\n"
				   "c: * 10 EXISTS\nc: a2 OK [READ-WRITE] selected\n";

static const struct {
	const char *name, *lines[2];
} presets[] = {
    {"ehlo", {preset_ehlo, ""}},
    {"mail", {preset_ehlo, preset_mail}},
    {"seen", {preset_seen, ""}},
    {"login", {preset_login, ""}},
    {"ftps", {preset_ftps, ""}},
    {"watched", {preset_watched, ""}},
    {"pasv", {preset_pasv, ""}},
    {"port", {preset_port, ""}},
    {"imap", {preset_imap, ""}},
    {"inbox", {preset_imap, preset_inbox}},
    {"mailbox", {preset_mailbox, ""}},
};

static void
add_line(struct one *o, unsigned number, const char *text)
{
	char *copy;

	if (o->n_lines == LINES_MAX) {
		printf("%s:%u: the case is too long\n", o->file, number);
		exit(2);
	}
	copy = strdup(text);
	copy[strcspn(copy, "\n")] = '\0';
	o->lines[o->n_lines].number = number;
	o->lines[o->n_lines++].text = copy;
}

static void
add_preset(struct one *o, unsigned number, const char *name)
{
	size_t n = strcspn(name, "\n"), i = 0;

	while (i < sizeof(presets) / sizeof(presets[0]) &&
	       !(strlen(presets[i].name) == n && strncmp(presets[i].name, name, n) == 0))
		i++;
	if (i == sizeof(presets) / sizeof(presets[0])) {
		printf("%s:%u: there is no such preset\n", o->file, number);
		exit(2);
	}
	for (size_t part = 0; part < 2; part++)
		for (const char *at = presets[i].lines[part]; *at != '\0';
		     at += strcspn(at, "\n") + 1)
			add_line(o, number, at);
}

static void
clear(struct one *o)
{
	for (size_t i = 0; i < o->n_lines; i++)
		free(o->lines[i].text);
	o->n_lines = 0;
	o->name[0] = '\0';
}

struct tally {
	unsigned passed, failed;
	unsigned observed, gateway_only; /* of those that passed */
	const char *only;		 /* NULL: all cases; else those with this in their name */
};

static const char *
why_gateway_only(const struct one *o)
{
	for (size_t i = 0; i < o->n_lines; i++)
		if (is_word(&o->lines[i], "gateway-only"))
			return o->lines[i].text + strlen("gateway-only ");
	return NULL;
}

static void
run_case(struct one *o, struct tally *t)
{
	if (t->only != NULL && strstr(o->name, t->only) == NULL)
		return;
	o->gateway_only = why_gateway_only(o);
	if (!run_all_ways(o)) {
		t->failed++;
		return;
	}
	t->passed++;
	t->observed += o->dialect->observed && o->gateway_only == NULL;
	t->gateway_only += o->gateway_only != NULL;
}

/* ---- with NAME | first | second ...: the case once per such line, {1} being "first" ---- */

#define COLUMNS_MAX 8

struct row {
	char text[1000];
	const char *column[COLUMNS_MAX]; /* [0]: the name */
	size_t n;
};

static void
split_row(const char *line, struct row *row)
{
	char *at;

	snprintf(row->text, sizeof(row->text), "%s", line + strlen("with "));
	row->column[0] = row->text;
	for (row->n = 1; row->n < COLUMNS_MAX; row->n++) {
		at = strstr((char *)(uintptr_t)row->column[row->n - 1], " | ");
		if (at == NULL)
			break;
		*at = '\0';
		row->column[row->n] = at + strlen(" | ");
	}
}

static void
fill_in(const char *s, const struct row *row, struct buf *out)
{
	while (*s != '\0') {
		size_t i = s[0] == '{' && s[1] >= '0' && s[1] <= '9' && s[2] == '}'
			       ? (size_t)(s[1] - '0')
			       : COLUMNS_MAX;

		if (i < row->n) {
			buf_str(out, row->column[i]);
			s += 3;
		} else {
			buf_octet(out, (uint8_t)*s++);
		}
	}
	buf_octet(out, '\0');
}

static void
run_row(const struct one *o, const char *line, struct tally *t)
{
	static struct one filled;
	struct row row = {.n = 0};

	split_row(line, &row);
	filled.file = o->file;
	filled.dialect = o->dialect;
	snprintf(filled.name, sizeof(filled.name), "%.120s: %.70s", o->name, row.column[0]);
	for (size_t i = 0; i < o->n_lines; i++) {
		struct buf text;

		if (is_word(&o->lines[i], "with"))
			continue;
		buf_init(&text, STREAM_MAX);
		fill_in(o->lines[i].text, &row, &text);
		add_line(&filled, o->lines[i].number, (const char *)text.p);
		buf_free(&text);
	}
	run_case(&filled, t);
	clear(&filled);
}

static void
finish_case(struct one *o, struct tally *t)
{
	bool rows = false;

	for (size_t i = 0; i < o->n_lines; i++)
		if (is_word(&o->lines[i], "with")) {
			rows = true;
			run_row(o, o->lines[i].text, t);
		}
	if (o->name[0] != '\0' && !rows)
		run_case(o, t);
	clear(o);
}

/* The protocol has its name in the path: ".../ftp/basics.vec". */
static const struct dialect *
dialect_of(const char *path)
{
	char folder[20];

	for (size_t i = 1; i < DIALECTS; i++) {
		snprintf(folder, sizeof(folder), "/%s/", dialects[i].name);
		if (strstr(path, folder) != NULL)
			return &dialects[i];
	}
	return &dialects[0];
}

static const struct dialect *
dialect_named(const char *name)
{
	for (size_t i = 0; i < DIALECTS; i++)
		if (strncmp(name, dialects[i].name, strlen(dialects[i].name)) == 0)
			return &dialects[i];
	return &dialects[0];
}

static void
run_file(const char *path, struct tally *t)
{
	static struct one o;
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t cap = 0;
	unsigned number = 0;

	if (f == NULL) {
		printf("%s: cannot be read\n", path);
		t->failed++;
		return;
	}
	o.file = path;
	o.dialect = dialect_of(path);
	while (getline(&text, &cap, f) > 0) {
		number++;
		if (strncmp(text, "== ", 3) == 0) {
			finish_case(&o, t);
			snprintf(
			    o.name, sizeof(o.name), "%.*s", (int)strcspn(text + 3, "\n"), text + 3);
		} else if (strncmp(text, "protocol ", 9) == 0) {
			o.dialect = dialect_named(text + 9);
		} else if (o.name[0] == '\0' || text[0] == '#' || text[0] == '\n') {
			continue;
		} else if (strncmp(text, "preset ", 7) == 0) {
			add_preset(&o, number, text + 7);
		} else {
			add_line(&o, number, text);
		}
	}
	finish_case(&o, t);
	free(text);
	fclose(f);
}

int
main(int argc, char **argv)
{
	struct tally t = {.only = getenv("ONLY")};
	const char *why;

	if (!analyzers_init(false, &why)) {
		printf("%s\n", why);
		return 2;
	}
	for (int i = 1; i < argc; i++)
		run_file(argv[i], &t);
	analyzers_end();
	printf("%u passed, %u failed; %u of them also observed, %u for a gateway only\n", t.passed,
	    t.failed, t.observed, t.gateway_only);
	return t.failed > 0 || t.passed == 0;
}
