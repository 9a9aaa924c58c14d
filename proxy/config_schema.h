/*
 * config_schema - every name of the configuration in one table: section, type, default, bounds,
 * and where its value goes. Reading, checking and printing walk this table and know no name.
 */
#ifndef POSTERN_CONFIG_SCHEMA_H
#define POSTERN_CONFIG_SCHEMA_H

#include "config.h"

enum config_section {
	SECTION_ROOT,
	SECTION_INTERCEPT,
	SECTION_FORWARD,
	SECTION_ROTATION,
	SECTION_LIMITS,
	SECTION_SMTP,
	SECTION_TIMEOUTS,
	SECTION_RELAY,
	SECTION_SENDER,
	SECTION_CLIENT_NAME,
	SECTION_SENDERS,
	SECTION_RECIPIENTS,
	SECTION_MIME,
	SECTION_CONTENT,
	SECTION_FTP,
	SECTION_FTP_TIMEOUTS,
	SECTION_POP3,
	SECTION_POP3_TIMEOUTS,
	SECTION_IMAP,
	SECTION_IMAP_TIMEOUTS,
	SECTION_TLS,
	SECTION_CERTIFICATE,
	SECTION_CLIENT_CERTIFICATE,
	SECTION_TLS_RULE,
	SECTION_CAPTURE,
	SECTION_COUNT,
	SECTION_NONE = SECTION_COUNT, /* above the root, or no section of ours */
};

struct section {
	const char *name;
	enum config_section above;
	bool titled; /* has a title, and there may be many */
};

const struct section *config_section(enum config_section);
/* The section of that name right below "above", or SECTION_NONE. */
enum config_section config_section_find(enum config_section above, struct span name);

enum setting_type {
	SETTING_NUMBER,	  /* min to max; with zero_ok also 0. Into 4 or 8 octets */
	SETTING_CHOICE,	  /* a word of choices. Into a bool or an enum */
	SETTING_TEXT,	  /* not empty; with zero_ok "" leaves it NULL. Into char * */
	SETTING_MARK,	  /* "0x01000000": 32 bits of a packet mark. Into uint32_t */
	SETTING_ENDPOINT, /* ADDRESS:PORT; with zero_ok also "". Into struct sockaddr_storage */
	SETTING_PORTS,	  /* list. Into unsigned *, their number into "count" */
	SETTING_CHOICES,  /* list of words of choices. Into unsigned, a bit 1 << value for each */
	SETTING_DEVICES,  /* list of interface names. Into char **, NULL-terminated */
	SETTING_DIGESTS,  /* list of sha256, md5, sha1. Into char **, NULL-terminated */
	SETTING_TYPES,	  /* list of MIME types, "*" for any octets. Into char **, in lower case */
	SETTING_EXTENSIONS, /* list of "exe", "tar.gz". Into char **, in lower case */
	SETTING_COMMANDS,   /* list of FTP commands. Into char **, in capitals, NULL-terminated */
	SETTING_REPLIES,    /* list of "RETR 226", "* 3": a command and a code. As above */
	SETTING_NAMES,	    /* list of "mail.example", "*.example". Into char **, canonical */
	SETTING_RESOLVERS,  /* list, ADDRESS[@PORT] or "recurse" alone. Into char ** */
	SETTING_NETWORKS,   /* list. Into struct networks * */
	SETTING_DOMAINS,    /* list. Into struct domains * */
	SETTING_ADDRESSES,  /* list of patterns. Into struct addresses * */
};

static inline bool
setting_is_list(enum setting_type t)
{
	return t >= SETTING_PORTS;
}

struct choice {
	const char *word; /* NULL: the end */
	unsigned value;
};

enum setting_base {
	BASE_CONFIG,  /* offsets into struct config */
	BASE_POLICY,  /* into struct policy */
	BASE_FORWARD, /* into struct forward */
	BASE_CERTIFICATE,
	BASE_TLS_RULE,
	BASE_CAPTURE,
};

struct setting {
	enum config_section section;
	const char *name;
	enum setting_type type;
	const char *fallback; /* the default as it would be written; NULL: must be given */
	uint64_t min, max;
	bool zero_ok;
	const char *source; /* of the minimum: "RFC 5321 s4.5.3.1.8", or NULL */
	const struct choice *choices;
	enum setting_base base;
	size_t offset, size; /* of the member that takes the value */
	size_t count;	     /* offset of the member that takes the number of ports */
};

#define SETTINGS_MAX 260 /* rows at most; the tables of those who walk it are made for that */

/* The row i, those of a section side by side; NULL: behind the last. */
const struct setting *config_setting(size_t i);
/* The row of a name in a section, or NULL. *index: its number. */
const struct setting *config_setting_find(enum config_section, struct span name, size_t *index);

#define SETTING_PATH_MAX 80 /* longest "smtp.sender_domain.private_mx" with its NUL */
/* Writes the full name of a setting of that section (name may be NULL) and returns text. */
const char *config_setting_path(enum config_section, const char *name, char text[SETTING_PATH_MAX]);

#endif
