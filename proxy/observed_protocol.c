#include "observed_protocol.h"

/* Behind the first word of a line, or the tag of IMAP. */
static const struct {
	const char *word;
	enum protocol protocol;
} commands[] = {
    {"EHLO", PROTOCOL_SMTP},
    {"HELO", PROTOCOL_SMTP},
    {"MAIL", PROTOCOL_SMTP},
    {"RCPT", PROTOCOL_SMTP},
    {"BDAT", PROTOCOL_SMTP},
    {"FEAT", PROTOCOL_FTP},
    {"SYST", PROTOCOL_FTP},
    {"OPTS", PROTOCOL_FTP},
    {"PASV", PROTOCOL_FTP},
    {"EPSV", PROTOCOL_FTP},
    {"PORT", PROTOCOL_FTP},
    {"EPRT", PROTOCOL_FTP},
    {"PBSZ", PROTOCOL_FTP},
    {"TYPE", PROTOCOL_FTP},
    {"CWD", PROTOCOL_FTP},
    {"PWD", PROTOCOL_FTP},
    {"CAPA", PROTOCOL_POP3},
    {"STLS", PROTOCOL_POP3},
    {"APOP", PROTOCOL_POP3},
    {"UIDL", PROTOCOL_POP3},
};

/* Words behind a tag. */
static const char *const imap_commands[] = {"CAPABILITY", "LOGIN", "AUTHENTICATE", "STARTTLS",
    "SELECT", "EXAMINE", "FETCH", "UID", "ID", "NOOP", "LIST", "LSUB", "NAMESPACE", "STATUS",
    "ENABLE", "IDLE", "LOGOUT"};

static bool
has_line(struct span s)
{
	return span_find(s, '\n') >= 0;
}

static struct span
first_line(struct span s)
{
	ptrdiff_t end = span_find(s, '\n');

	return end < 0 ? s : span_first(s, (size_t)end);
}

static bool
is_word(struct span word, const char *text)
{
	return span_ieq(word, span_str(text));
}

static bool
holds(struct span line, const char *text)
{
	const struct span what = span_str(text);

	for (; line.n >= what.n; line = span_from(line, 1))
		if (span_ieq(span_first(line, what.n), what))
			return true;
	return false;
}

/* The client's first line alone; USER is of FTP as of POP3. */
static enum guess
by_command(struct span client, enum protocol *out)
{
	struct span rest = span_trim(first_line(client)), word = span_word(&rest);

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (is_word(word, commands[i].word)) {
			*out = commands[i].protocol;
			return GUESS_FOUND;
		}
	if (is_word(word, "USER") || is_word(word, "AUTH") || is_word(word, "QUIT"))
		return GUESS_MORE;
	word = span_word(&rest);
	for (size_t i = 0; i < sizeof(imap_commands) / sizeof(imap_commands[0]); i++)
		if (is_word(word, imap_commands[i])) {
			*out = PROTOCOL_IMAP;
			return GUESS_FOUND;
		}
	return GUESS_NONE;
}

/* A greeting that says "220": what it is of, its own words tell, or the client's. */
static enum guess
by_220(struct span client, struct span server, enum protocol *out)
{
	struct span rest = span_trim(first_line(client)), word = span_word(&rest);

	if (holds(server, "SMTP")) {
		*out = PROTOCOL_SMTP;
		return GUESS_FOUND;
	}
	if (holds(server, "FTP")) {
		*out = PROTOCOL_FTP;
		return GUESS_FOUND;
	}
	if (!has_line(client))
		return GUESS_MORE;
	if (is_word(word, "USER") || is_word(word, "AUTH")) {
		*out = PROTOCOL_FTP;
		return GUESS_FOUND;
	}
	return by_command(client, out) == GUESS_FOUND ? GUESS_FOUND : GUESS_NONE;
}

static const struct greeting {
	const char *begins;
	enum protocol protocol;
} greetings[] = {
    {"+OK", PROTOCOL_POP3},
    {"-ERR", PROTOCOL_POP3},
    {"* OK", PROTOCOL_IMAP},
    {"* PREAUTH", PROTOCOL_IMAP},
    {"* BYE", PROTOCOL_IMAP},
    {"331", PROTOCOL_FTP},
    {"230", PROTOCOL_FTP},
};

static enum guess
by_greeting(struct span client, struct span server, enum protocol *out)
{
	bool may_come = false;

	for (size_t i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
		const struct span g = span_str(greetings[i].begins);

		if (span_starts(server, g)) {
			*out = greetings[i].protocol;
			return GUESS_FOUND;
		}
		may_come = may_come || (server.n < g.n && span_starts(g, server));
	}
	if (span_starts(server, span_str("220")))
		return by_220(client, server, out);
	return may_come || (server.n < 3 && span_starts(span_str("220"), server)) ? GUESS_MORE
										  : GUESS_NONE;
}

enum guess
observed_guess(struct span client, struct span server, enum protocol *out)
{
	enum guess g = GUESS_MORE;

	if (server.n > 0)
		g = by_greeting(client, server, out);
	else if (has_line(client))
		g = by_command(client, out);
	if (g == GUESS_NONE && has_line(client)) /* from the middle of a session */
		g = by_command(client, out);
	if (g == GUESS_MORE && (client.n >= OBSERVED_GUESS_MAX || server.n >= OBSERVED_GUESS_MAX))
		g = GUESS_NONE;
	return g;
}
