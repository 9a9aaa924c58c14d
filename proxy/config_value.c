#include "config_value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>

/* One value on its way from the tree to its place. */
struct taking {
	const struct setting *row;
	void *place;
	const char *text;
	unsigned line;
	struct faults *faults;
};

static void __attribute__((format(printf, 2, 3)))
fault(const struct taking *t, const char *format, ...)
{
	char path[SETTING_PATH_MAX], what[FAULT_TEXT_MAX / 2];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	faults_add(t->faults, t->line, "%s: \"%.*s\" %s",
	    config_setting_path(t->row->section, t->row->name, path),
	    (int)span_first(span_str(t->text), 256).n, t->text, what);
}

/* ---- numbers and words ---- */

static void
store(const struct taking *t, uint64_t n)
{
	if (t->row->size == sizeof(bool))
		*(bool *)t->place = n != 0;
	else if (t->row->size == sizeof(uint32_t))
		*(uint32_t *)t->place = (uint32_t)n;
	else
		*(uint64_t *)t->place = n;
}
_Static_assert(sizeof(enum check) == sizeof(uint32_t), "an enum is stored as 32 bits");
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "a size is stored as 64 bits");

static void
take_number(const struct taking *t)
{
	const struct setting *row = t->row;
	uint64_t n;

	if (span_u64(span_str(t->text), row->max, &n) &&
	    (n >= row->min || (n == 0 && row->zero_ok)))
		store(t, n);
	else
		fault(t, "is not %sa number from %ju to %ju%s%s%s", row->zero_ok ? "0 or " : "",
		    (uintmax_t)row->min, (uintmax_t)row->max, row->source != NULL ? " (" : "",
		    row->source != NULL ? row->source : "", row->source != NULL ? ")" : "");
}

static void
take_mark(const struct taking *t)
{
	char *end;
	unsigned long mark;

	errno = 0;
	mark = strtoul(t->text, &end, 16);
	if (strncmp(t->text, "0x", 2) == 0 && errno == 0 && *end == '\0' && end > t->text + 2 &&
	    mark != 0 && mark <= UINT32_MAX)
		store(t, mark);
	else
		fault(t, "is not a mark from 0x1 to 0xffffffff");
}

/* NULL: it is no word of the setting's, which was told. */
static const struct choice *
find_choice(const struct taking *t)
{
	char words[128];
	size_t n = 0;

	for (const struct choice *c = t->row->choices; c->word != NULL; c++)
		if (strcmp(c->word, t->text) == 0)
			return c;
	for (const struct choice *c = t->row->choices; c->word != NULL && n < sizeof(words); c++)
		n += (size_t)snprintf(
		    words + n, sizeof(words) - n, "%s%s", n > 0 ? ", " : "", c->word);
	fault(t, "is not one of %s", words);
	return NULL;
}

static void
take_choice(const struct taking *t)
{
	const struct choice *c = find_choice(t);

	if (c != NULL)
		store(t, c->value);
}

static void
take_choices(const struct taking *t)
{
	const struct choice *c = find_choice(t);

	if (c != NULL)
		*(unsigned *)t->place |= 1u << c->value;
}

static void
take_text(const struct taking *t)
{
	char *text;

	if (*t->text == '\0' && t->row->zero_ok)
		return;
	if (*t->text == '\0') {
		fault(t, "is empty; some text must stand here");
		return;
	}
	if ((text = strdup(t->text)) == NULL) {
		fault(t, "does not fit into memory");
		return;
	}
	free(*(char **)t->place);
	*(char **)t->place = text;
}

/* ---- addresses ---- */

static bool
read_port(struct span text, in_port_t *out)
{
	uint64_t port;

	if (!span_u64(text, UINT16_MAX, &port) || port == 0)
		return false;
	*out = htons((uint16_t)port);
	return true;
}

bool
config_endpoint(const char *text, struct sockaddr_storage *out)
{
	struct span s = span_str(text);
	ptrdiff_t colon = span_rfind(s, ':');
	struct ip ip;
	in_port_t port;

	if (colon < 1 || !read_port(span_from(s, (size_t)colon + 1), &port))
		return false;
	struct span host = span_first(s, (size_t)colon);
	bool bracketed = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (bracketed)
		host = span_of(host.p + 1, host.n - 2);
	/* An IPv6 address without brackets could swallow the port; a mapped one folds to IPv4. */
	if (!ip_parse(host, &ip) || bracketed != (span_find(host, ':') >= 0))
		return false;
	*out = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
	if (ip.family == IP_V4) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
		memcpy(&in.sin_addr, ip.octets, sizeof(in.sin_addr));
		memcpy(out, &in, sizeof(in));
	} else {
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
		memcpy(&in6.sin6_addr, ip.octets, sizeof(in6.sin6_addr));
		memcpy(out, &in6, sizeof(in6));
	}
	return true;
}

static void
take_endpoint(const struct taking *t)
{
	if (*t->text == '\0' && t->row->zero_ok)
		return;
	if (!config_endpoint(t->text, t->place))
		fault(t, "is not ADDRESS:PORT or [ADDRESS]:PORT with a port from 1 to 65535");
}

static void
take_network(const struct taking *t)
{
	const char *why;

	if (!networks_add(*(struct networks **)t->place, t->text, &why))
		fault(t, "%s", why);
}

static void
take_domain(const struct taking *t)
{
	const char *why;

	if (!domains_add(*(struct domains **)t->place, t->text, &why))
		fault(t, "%s", why);
}

static void
take_address(const struct taking *t)
{
	const char *why;

	if (!addresses_add(*(struct addresses **)t->place, t->text, &why))
		fault(t, "%s", why);
}

/* ---- lists of our own ---- */

static void
take_ports(cfg_t *section, struct taking *t, void *base)
{
	unsigned n = config_tree_count(section, t->row);
	unsigned *ports = calloc(n > 0 ? n : 1, sizeof(*ports));
	size_t *count = (size_t *)(void *)((char *)base + t->row->count), kept = 0;
	uint64_t port;

	if (ports == NULL)
		faults_add(t->faults, t->line, "out of memory");
	for (unsigned i = 0; ports != NULL && i < n; i++) {
		t->text = config_tree_text(section, t->row, i);
		t->line = config_tree_line(section, t->row, i);
		if (!span_u64(span_str(t->text), UINT16_MAX, &port) || port == 0)
			fault(t, "is not a port from 1 to 65535");
		else
			ports[kept++] = (unsigned)port;
	}
	free(*(unsigned **)t->place);
	*(unsigned **)t->place = ports;
	*count = kept;
}

static const char *
device_fault(const struct taking *t)
{
	size_t n = strlen(t->text);

	/* nft would take a name with "*" for any that begins so, and the kernel would not */
	if (strpbrk(t->text, "*\"\\") != NULL)
		return "is no single name: patterns and quotes are not taken";
	if (n > 0 && n < IFNAMSIZ && strpbrk(t->text, "/: \t") == NULL)
		return NULL;
	return "is not the name of a network interface (1 to 15 octets, no blank, \"/\" or \":\")";
}

#define VERB_MAX 16 /* letters, digits and "@" (P@SW) of a command, or of what SITE has */

/* Takes one off the front. False: there is none. */
static bool
take_verb(struct span *rest)
{
	size_t n = 0;

	while (n < rest->n && (octet_is_alnum(rest->p[n]) || rest->p[n] == '@'))
		n++;
	*rest = span_from(*rest, n);
	return n > 0 && n <= VERB_MAX;
}

static bool
take_blank(struct span *rest)
{
	if (rest->n == 0 || rest->p[0] != ' ')
		return false;
	*rest = span_from(*rest, 1);
	return true;
}

static const char *
command_fault(const struct taking *t)
{
	struct span rest = span_str(t->text);
	bool ok = take_verb(&rest) && (rest.n == 0 || (take_blank(&rest) && take_verb(&rest)));

	return ok && rest.n == 0 ? NULL
				 : "is not a command like \"DELE\", or one with the first word of "
				   "its argument, like \"SITE EXEC\"";
}

/* The beginning of a code: "2", "22", "226". */
static bool
is_code(struct span s)
{
	if (s.n < 1 || s.n > 3 || s.p[0] < '1' || s.p[0] > '6')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!octet_is_digit(s.p[i]))
			return false;
	return true;
}

static const char *
reply_fault(const struct taking *t)
{
	struct span rest = span_str(t->text);
	bool any = span_starts(rest, span_str("* "));

	if (any)
		rest = span_from(rest, 1);
	if ((any || take_verb(&rest)) && take_blank(&rest) && is_code(rest))
		return NULL;
	return "is not a command, or \"*\" for any, and how a code begins, like \"RETR 226\" or "
	       "\"* 3\"";
}

static const char *
resolver_fault(const struct taking *t, unsigned n)
{
	struct span s = span_str(t->text);
	ptrdiff_t at = span_find(s, '@');
	struct ip ip;
	in_port_t port;

	if (strcmp(t->text, "recurse") == 0)
		return n == 1 ? NULL : "must stand alone: it asks the roots, and no other resolver";
	if (ip_parse(at < 0 ? s : span_first(s, (size_t)at), &ip) &&
	    (at < 0 || read_port(span_from(s, (size_t)at + 1), &port)))
		return NULL;
	return "is not ADDRESS, ADDRESS@PORT or \"recurse\"";
}

/* A name of TLS (RFC 6125 s6.4.3): "*." ahead of it stands for one label. */
static bool
tls_name(const char *text, char out[TLS_NAME_TEXT])
{
	size_t wild = strncmp(text, "*.", 2) == 0 ? 2 : 0;

	memcpy(out, text, wild);
	return domain_canonical(span_str(text + wild), out + wild);
}

static const char *
name_fault(const struct taking *t)
{
	char canonical[TLS_NAME_TEXT];

	return tls_name(t->text, canonical) ? NULL
					    : "is not a name like \"mail.example.edu\", or \"*.\" "
					      "and one";
}

static const char *
digest_fault(const struct taking *t)
{
	static const char *const names[] = {"sha256", "sha1", "md5"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(t->text, names[i]) == 0)
			return NULL;
	return "is not one of sha256, sha1, md5";
}

static const char *
type_fault(const struct taking *t)
{
	const char *slash = strchr(t->text, '/');

	return slash != NULL && slash != t->text && slash[1] != '\0' &&
		       strpbrk(t->text, " \t;,\"") == NULL
		   ? NULL
		   : "is not a type like \"image/png\" or \"image/*\"";
}

static const char *
extension_fault(const struct taking *t)
{
	size_t n = strlen(t->text);

	return n > 0 && t->text[0] != '.' && t->text[n - 1] != '.' &&
		       strpbrk(t->text, " \t*/:") == NULL
		   ? NULL
		   : "is not an extension like \"exe\" or \"tar.gz\", without the dot before it";
}

static const char *
word_fault(const struct taking *t, unsigned n)
{
	if (t->row->type == SETTING_DIGESTS)
		return digest_fault(t);
	if (t->row->type == SETTING_TYPES)
		return type_fault(t);
	if (t->row->type == SETTING_EXTENSIONS)
		return extension_fault(t);
	if (t->row->type == SETTING_DEVICES)
		return device_fault(t);
	if (t->row->type == SETTING_COMMANDS)
		return command_fault(t);
	if (t->row->type == SETTING_REPLIES)
		return reply_fault(t);
	if (t->row->type == SETTING_NAMES)
		return name_fault(t);
	return resolver_fault(t, n);
}

void
config_words_free(char **words)
{
	for (size_t i = 0; words != NULL && words[i] != NULL; i++)
		free(words[i]);
	free(words);
}

static void
capitals(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'a' && *text <= 'z')
			*text = (char)(*text - ('a' - 'A'));
}

static void
lower_case(char *text)
{
	for (; *text != '\0'; text++)
		*text = (char)octet_lower((uint8_t)*text);
}

/* As whoever compares with it wants it; NULL: no memory. Of one that has no fault. */
static char *
folded(enum setting_type type, const char *word)
{
	char name[TLS_NAME_TEXT], *text;

	if (type == SETTING_NAMES)
		return tls_name(word, name) ? strdup(name) : NULL;
	if ((text = strdup(word)) == NULL)
		return NULL;
	if (type == SETTING_COMMANDS || type == SETTING_REPLIES)
		capitals(text);
	else if (type == SETTING_TYPES || type == SETTING_EXTENSIONS)
		lower_case(text);
	return text;
}

static void
take_words(cfg_t *section, struct taking *t)
{
	unsigned n = config_tree_count(section, t->row);
	char **words = calloc((size_t)n + 1, sizeof(*words));
	size_t kept = 0;

	if (words == NULL)
		faults_add(t->faults, t->line, "out of memory");
	for (unsigned i = 0; words != NULL && i < n; i++) {
		t->text = config_tree_text(section, t->row, i);
		t->line = config_tree_line(section, t->row, i);
		const char *why = word_fault(t, n);
		if (why != NULL)
			fault(t, "%s", why);
		else if ((words[kept] = folded(t->row->type, t->text)) == NULL)
			fault(t, "does not fit into memory");
		else
			kept++;
	}
	config_words_free(*(char ***)t->place);
	*(char ***)t->place = words;
}

/* ---- one setting ---- */

static void
take_one(const struct taking *t)
{
	switch (t->row->type) {
	case SETTING_NUMBER:
		take_number(t);
		break;
	case SETTING_CHOICE:
		take_choice(t);
		break;
	case SETTING_CHOICES:
		take_choices(t);
		break;
	case SETTING_TEXT:
		take_text(t);
		break;
	case SETTING_MARK:
		take_mark(t);
		break;
	case SETTING_ENDPOINT:
		take_endpoint(t);
		break;
	case SETTING_NETWORKS:
		take_network(t);
		break;
	case SETTING_DOMAINS:
		take_domain(t);
		break;
	case SETTING_ADDRESSES:
		take_address(t);
		break;
	case SETTING_PORTS:
	case SETTING_DEVICES:
	case SETTING_COMMANDS:
	case SETTING_REPLIES:
	case SETTING_RESOLVERS:
	case SETTING_DIGESTS:
	case SETTING_TYPES:
	case SETTING_EXTENSIONS:
	case SETTING_NAMES:
		break; /* taken as a whole */
	}
}

/* A list of words of our own. */
static bool
is_words(enum setting_type t)
{
	return t == SETTING_DEVICES || t == SETTING_COMMANDS || t == SETTING_RESOLVERS ||
	       t == SETTING_DIGESTS || t == SETTING_TYPES || t == SETTING_EXTENSIONS ||
	       t == SETTING_REPLIES || t == SETTING_NAMES;
}

void
config_value_take(cfg_t *section, const struct setting *row, void *base, struct faults *faults)
{
	struct taking t = {
	    .row = row, .place = (char *)base + row->offset, .line = 1, .faults = faults};
	unsigned n = config_tree_count(section, row);

	if (row->type == SETTING_PORTS) {
		take_ports(section, &t, base);
		return;
	}
	if (is_words(row->type)) {
		take_words(section, &t);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		t.text = config_tree_text(section, row, i);
		t.line = config_tree_line(section, row, i);
		take_one(&t);
	}
}
