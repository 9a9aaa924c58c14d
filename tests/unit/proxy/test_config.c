#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ca.h"
#include "config_handover.h"
#include "config_schema.h"

#define PATH_MAX_HERE 64
#define NETWORK	      "inside = {\"10.0.0.0/8\"}\n"

/* A file without a name in the file system: whoever reads the path reads the text. */
static int
file_of(const char *text, char path[PATH_MAX_HERE])
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(path, PATH_MAX_HERE, "/proc/self/fd/%d", fd);
	return fd;
}

/* *faults: what was told, without "FILE:"; to be freed. */
static struct config *
read_text(const char *text, char **faults)
{
	char path[PATH_MAX_HERE], *told = NULL;
	size_t n = 0, kept = 0;
	int fd = file_of(text, path);
	FILE *err = open_memstream(&told, &n);
	struct config *c = config_read(path, err);

	fclose(err);
	close(fd);
	*faults = calloc(1, n + 1);
	for (char *line = told; *line != '\0'; line = strchr(line, '\n') + 1) {
		size_t prefix = strlen(path) + 1, length = strcspn(line, "\n") + 1;
		assert_memory_equal(line, path, prefix - 1);
		memcpy(*faults + kept, line + prefix, length - prefix);
		kept += length - prefix;
	}
	free(told);
	return c;
}

static char *
printed(const struct config *c)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	config_print(c, out);
	fclose(out);
	return text;
}

static struct config *
must_read(const char *text)
{
	char *faults;
	struct config *c = read_text(text, &faults);

	assert_string_equal(faults, "");
	assert_non_null(c);
	free(faults);
	return c;
}

/* ---- what is wrong, word for word ---- */

#define ROOT_NAMES                                                                                 \
	"workers, user, log, inside, inside_devices, resolvers, dnssec_anchors, drain, audit, "    \
	"log_format, "                                                                             \
	"status, "                                                                                 \
	"metrics, intercept, forward, rotation, limits, smtp, mime, content, ftp, pop3, imap, "    \
	"tls, certificate, client_certificate, tls_rule, capture"
#define FORWARD(name, listen, to)                                                                  \
	"forward \"" name "\" { listen = \"" listen "\" to = \"" to "\" }\n"

#define NO_COMMAND                                                                                 \
	" is not a command like \"DELE\", or one with the first word of its argument, like "       \
	"\"SITE EXEC\"\n"
#define NO_REPLY                                                                                   \
	" is not a command, or \"*\" for any, and how a code begins, like \"RETR 226\" or "        \
	"\"* 3\"\n"
#define TAKEN                                                                                      \
	" is taken off the wire, and who connects to it here is reset; listen on an address that " \
	"stands in intercept.bypass_servers, or on another port\n"

static const struct {
	const char *name, *text, *want;
} faulty[] = {
    {"no networks", "",
	"1: inside: empty, and smtp.relay.check needs to know who is inside; name a "
	"network, or set the check off\n"},
    {"no networks, and it says so", "workers = 2\ninside = {}\n",
	"2: inside: empty, and smtp.relay.check needs to know who is inside; name a network, or "
	"set "
	"the check off\n"},
    {"no networks, and the check reports", "smtp {\nrelay {\ncheck = report } }",
	"3: inside: empty, and smtp.relay.check needs to know who is inside; name a network, or "
	"set "
	"the check off\n"},
    {"wrong word", NETWORK "smtp {\n\trelay { check = enforced }\n}\n",
	"3: smtp.relay.check: \"enforced\" is not one of enforce, report, off\n"},
    {"wrong case", NETWORK "intercept { mode = TPROXY }",
	"2: intercept.mode: \"TPROXY\" is not one of tproxy, redirect, off\n"},
    {"truth by another name", NETWORK "smtp { relay { by_mx = true } }",
	"2: smtp.relay.by_mx: \"true\" is not one of yes, no\n"},
    {"no number", NETWORK "workers = many\n",
	"2: workers: \"many\" is not 0 or a number from 1 to 256\n"},
    {"negative", NETWORK "drain = -1\n", "2: drain: \"-1\" is not a number from 0 to 86400\n"},
    {"hexadecimal", NETWORK "drain = 0x10\n",
	"2: drain: \"0x10\" is not a number from 0 to 86400\n"},
    {"beyond 64 bits", NETWORK "drain = 99999999999999999999999\n",
	"2: drain: \"99999999999999999999999\" is not a number from 0 to 86400\n"},
    {"below the RFC", NETWORK "smtp { recipients = 99 }",
	"2: smtp.recipients: \"99\" is not a number from 100 to 100000 (RFC 5321 s4.5.3.1.8)\n"},
    {"below the RFC, with a zero", NETWORK "smtp { message_size = 1000 }",
	"2: smtp.message_size: \"1000\" is not 0 or a number from 65536 to 1099511627776 "
	"(RFC 5321 s4.5.3.1.7)\n"},
    {"host bits", "inside = {\n\"10.0.0.0/8\",\n\"10.0.0.1/8\"\n}",
	"3: inside: \"10.0.0.1/8\" has bits set behind the prefix\n"},
    {"networks of ours that are none: said once", "inside = {\"10.0.0.0/33\"}",
	"1: inside: \"10.0.0.0/33\" needs a prefix length from 0 to 32\n"},
    {"no network", NETWORK "smtp { servers = {mail.example.edu} }",
	"2: smtp.servers: \"mail.example.edu\" is no IPv4 or IPv6 address\n"},
    {"no domain", NETWORK "smtp { sender_domain { exempt = {\"a..b\"} } }",
	"2: smtp.sender_domain.exempt: \"a..b\" is no domain name\n"},
    {"a star", NETWORK "smtp { relay { local_domains = {\"*.example.edu\"} } }",
	"2: smtp.relay.local_domains: \"*.example.edu\" has a star: a leading dot means every name "
	"below it\n"},
    {"empty text", NETWORK "log = \"\"", "2: log: \"\" is empty; some text must stand here\n"},
    {"ports", NETWORK "smtp { ports = {0, 25, 65536, smtp} }",
	"2: smtp.ports: \"0\" is not a port from 1 to 65535\n"
	"2: smtp.ports: \"65536\" is not a port from 1 to 65535\n"
	"2: smtp.ports: \"smtp\" is not a port from 1 to 65535\n"},
    {"one port, two protocols", NETWORK "smtp { ports = {25} }\nftp { ports = {21, 25} }",
	"3: ftp.ports: 25 stands in smtp.ports already; a port has one protocol\n"},
    {"no list of digests", NETWORK "content { deny_sha256 = \"/nonexistent/list\" }\n",
	"2: content.deny_sha256: /nonexistent/list: No such file or directory\n"},
    {"a list of digests somewhere", NETWORK "content { deny_sha256 = \"list\" }\n",
	"2: content.deny_sha256: \"list\" is no path that begins with \"/\"\n"},
    {"rules, and nothing that they look at",
	NETWORK "mime { inspect = no }\ncontent { deny_extensions = {\"exe\"} }\n",
	"2: mime.inspect: no, and content.check needs to know what is in a message; set one of "
	"them otherwise\n"},
    {"a rule that enforces, and no look",
	NETWORK "mime { inspect = no }\ncontent { mismatch = enforce }\n",
	"2: mime.inspect: no, and content.check needs to know what is in a message; set one of "
	"them otherwise\n"},
    {"a rule about archives, and no look into them",
	NETWORK "mime { archives = no }\ncontent { bomb = enforce }\n",
	"2: mime.archives: no, and content.encrypted_archive and content.bomb need to know what "
	"is in an archive; set one of them otherwise\n"},
    {"a size, and no look", NETWORK "mime { inspect = no }\ncontent { part_size = 1 }\n",
	"2: mime.inspect: no, and content.check needs to know what is in a message; set one of "
	"them otherwise\n"},
    {"extensions", NETWORK "content { deny_extensions = {\".exe\", \"*.exe\"} }\n",
	"2: content.deny_extensions: \".exe\" is not an extension like \"exe\" or \"tar.gz\", "
	"without the dot before it\n"
	"2: content.deny_extensions: \"*.exe\" is not an extension like \"exe\" or \"tar.gz\", "
	"without the dot before it\n"},
    {"types", NETWORK "content { deny_types = {\"pdf\"} }\n",
	"2: content.deny_types: \"pdf\" is not a type like \"image/png\" or \"image/*\"\n"},
    {"digests", NETWORK "mime { digests = {\"crc32\"} }\n",
	"2: mime.digests: \"crc32\" is not one of sha256, sha1, md5\n"},
    {"resolvers", NETWORK "resolvers = {\"192.0.2.53@0\", dns.example.edu, recurse}",
	"2: resolvers: \"192.0.2.53@0\" is not ADDRESS, ADDRESS@PORT or \"recurse\"\n"
	"2: resolvers: \"dns.example.edu\" is not ADDRESS, ADDRESS@PORT or \"recurse\"\n"
	"2: resolvers: \"recurse\" must stand alone: it asks the roots, and no other resolver\n"},
    {"devices", NETWORK "inside_devices = {\"a name of 16 oct\", \"eth*\", \"a/b\"}",
	"2: inside_devices: \"a name of 16 oct\" is not the name of a network interface (1 to 15 "
	"octets, no blank, \"/\" or \":\")\n"
	"2: inside_devices: \"eth*\" is no single name: patterns and quotes are not taken\n"
	"2: inside_devices: \"a/b\" is not the name of a network interface (1 to 15 octets, no "
	"blank, \"/\" or \":\")\n"},
    {"commands",
	NETWORK "ftp { deny = {SITE, 'SITE EXEC', ' DELE', 'SITE  EXEC', 'DELE-x', 'A B C', "
		"'DELE ',\n\"ABCDEFGHIJKLMNOPQ\"} }",
	"2: ftp.deny: \" DELE\"" NO_COMMAND "2: ftp.deny: \"SITE  EXEC\"" NO_COMMAND
	"2: ftp.deny: \"DELE-x\"" NO_COMMAND "2: ftp.deny: \"A B C\"" NO_COMMAND
	"2: ftp.deny: \"DELE \"" NO_COMMAND "3: ftp.deny: \"ABCDEFGHIJKLMNOPQ\"" NO_COMMAND},
    {"replies to commands",
	NETWORK "ftp { deny_replies = {'RETR 226', '* 3', '226', 'RETR', '* ', 'RETR 2x', "
		"'RETR 2260', '* 0', '*3', 'RETR  2'} }",
	"2: ftp.deny_replies: \"226\"" NO_REPLY "2: ftp.deny_replies: \"RETR\"" NO_REPLY
	"2: ftp.deny_replies: \"* \"" NO_REPLY "2: ftp.deny_replies: \"RETR 2x\"" NO_REPLY
	"2: ftp.deny_replies: \"RETR 2260\"" NO_REPLY "2: ftp.deny_replies: \"* 0\"" NO_REPLY
	"2: ftp.deny_replies: \"*3\"" NO_REPLY "2: ftp.deny_replies: \"RETR  2\"" NO_REPLY},
    {"no data ports", NETWORK "ftp { data_ports_from = 45000 }",
	"2: ftp.data_ports_from: 45000 is more than ftp.data_ports_to, 44999\n"},
    {"no data ports, from above", NETWORK "ftp {\ndata_ports_to = 39999 }",
	"3: ftp.data_ports_from: 40000 is more than ftp.data_ports_to, 39999\n"},
    {"data ports where the gateway listens",
	NETWORK "intercept { listen_from = 44990 }\nftp {\ndata_ports_to = 44990 }",
	"4: ftp.data_ports_from: port 44990 is one of 40000 to 44990, and the gateway itself "
	"listens "
	"there (intercept.listen_from)\n"},
    {"data ports where the gateway listens, by default",
	NETWORK "intercept { listen_from = 39900 }",
	"1: ftp.data_ports_from: port 40000 is one of 40000 to 44999, and the gateway itself "
	"listens "
	"there (intercept.listen_from)\n"},
    {"one port, with TLS and without", NETWORK "smtp { ports = {25}\ntls_ports = {465, 25} }",
	"3: smtp.tls_ports: 25 stands in smtp.ports already; a port has one protocol\n"},
    {"one port with TLS, two protocols",
	NETWORK "smtp { tls_ports = {993} }\nimap { tls_ports = {993} }",
	"3: imap.tls_ports: 993 stands in smtp.tls_ports already; a port has one protocol\n"},
    {"no such protocol", NETWORK "tls_rule a {\nprotocols = {smtp, http} }",
	"3: tls_rule.protocols: \"http\" is not one of smtp, ftp, pop3, imap\n"},
    {"no such action", NETWORK "tls_rule a {\naction = drop }",
	"3: tls_rule.action: \"drop\" is not one of intercept, pass, refuse\n"},
    {"N-022: a leg of its own where there is none",
	NETWORK "tls_rule a {\naction = pass\nupstream = tls\nupstream_name = \"a b\" }",
	"4: tls_rule.upstream: the gateway has no leg of its own where tls_rule.action is not "
	"intercept\n"
	"5: tls_rule.upstream_name: \"a b\" is no name of a host\n"},
    {"T-012: a client certificate that is not there",
	NETWORK "tls_rule a {\nservers = {\"192.0.2.1\"}\nclient_certificate = us }",
	"4: tls_rule.client_certificate: there is no section client_certificate \"us\"\n"},
    {"T-012: a client certificate for anybody",
	NETWORK "client_certificate us { chain = /a key = /b }\n"
		"tls_rule a {\nclient_certificate = us }",
	"2: client_certificate.chain: /a: No such file or directory\n"
	"2: client_certificate.key: /b: No such file or directory\n"
	"4: tls_rule.client_certificate: any server could ask for it; say whose it is in "
	"tls_rule.servers or tls_rule.server_names\n"},
    {"T-012: a client certificate where TLS does not end",
	NETWORK "client_certificate us { chain = /a key = /b }\n"
		"tls_rule a { servers = {\"192.0.2.1\"} client_certificate = us\naction = pass }",
	"2: client_certificate.chain: /a: No such file or directory\n"
	"2: client_certificate.key: /b: No such file or directory\n"
	"4: tls_rule.action: TLS does not end here, and tls_rule.verify, tls_rule.old_versions and "
	"tls_rule.client_certificate are for where it does; take them out\n"},
    {"T-012: a client certificate without files", NETWORK "client_certificate us { }",
	"2: client_certificate.chain: missing; a path must be given\n"
	"2: client_certificate.key: missing; a path must be given\n"},
    {"a rule twice", NETWORK "tls_rule a { }\ntls_rule a { }", "3: found duplicate title 'a'\n"},
    {"data ports that are taken", NETWORK "intercept { mode = redirect }\nsmtp { ports = {44999} }",
	"1: ftp.data_ports_from: port 44999 is one of 40000 to 44999, and sessions that begin "
	"there "
	"are taken off the wire\n"},
    {"data ports of a forward",
	NETWORK FORWARD("a", "127.0.0.1:40001",
	    "10.0.0.1:25") "forward \"f\" { protocol = ftp "
			   "listen = \"127.0.0.1:2121\" to = \"10.0.0.1:21\" }",
	"1: ftp.data_ports_from: port 40001 is one of 40000 to 44999, and a forward section "
	"listens "
	"there\n"},
    {"uploads are refused by nobody", NETWORK "ftp { inspect = no\nrefused_upload = delete }",
	"3: ftp.refused_upload: delete, and with ftp.inspect = no nothing is looked at that could "
	"be "
	"refused; set one of them otherwise\n"},
    {"messages are refused by nobody",
	NETWORK "mime { inspect = no }\npop3 { refused_message = cut }",
	"3: pop3.refused_message: cut, and with mime.inspect = no nothing is looked at that could "
	"be refused; set one of them otherwise\n"},
    {"a client of POP3 may think for ten minutes, one of IMAP for thirty",
	NETWORK "pop3 { timeouts { command = 599 } auth_line = 512 }\n"
		"imap { timeouts { command = 1799\nidle = 1799 } command_line = 1000 }",
	"2: pop3.auth_line: \"512\" is not a number from 12288 to 65536 (RFC 5034 s4)\n"
	"2: pop3.timeouts.command: \"599\" is not a number from 600 to 86400 (RFC 1939 s3)\n"
	"3: imap.timeouts.command: \"1799\" is not a number from 1800 to 86400 (RFC 9051 "
	"s5.4)\n"
	"4: imap.command_line: \"1000\" is not a number from 8192 to 1048576 (RFC 7162 s4)\n"
	"4: imap.timeouts.idle: \"1799\" is not a number from 1800 to 86400 (RFC 9051 s5.4)\n"},
    {"an xferlog beside standard output", NETWORK "log = \"-\"\nlog_format = eve_xferlog",
	"3: log_format: eve_xferlog writes a file beside the log, and log, \"-\", is no file\n"},
    {"an xferlog beside a device", NETWORK "log = \"/dev/stderr\"\nlog_format = eve_xferlog",
	"3: log_format: eve_xferlog writes a file beside the log, and log, \"/dev/stderr\", is no "
	"file\n"},
    {"an xferlog that is the log", NETWORK "log = \"/a/xferlog\"\nlog_format = eve_xferlog",
	"3: log_format: eve_xferlog writes the file /a/xferlog, which is log itself\n"},
    {"reply of one line, of FTP", NETWORK "ftp { reply_size = 16384\nreply_line = 20000 }",
	"3: ftp.reply_line: 20000 is more than ftp.reply_size, 16384, which bounds all lines of a "
	"reply\n"},
    {"reply of one line", NETWORK "smtp { reply_size = 16384\nreply_line = 20000 }",
	"3: smtp.reply_line: 20000 is more than smtp.reply_size, 16384, which bounds all lines of "
	"a "
	"reply\n"},

    {"addresses",
	NETWORK "smtp { sender_list { deny = {\"a.example\",\n\"u@a..b\", \"@*.example\"} } }",
	"2: smtp.sender_list.deny: \"a.example\" has no \"@\"; with one in front of it, it is a "
	"domain\n"
	"3: smtp.sender_list.deny: \"u@a..b\" is no address\n"
	"3: smtp.sender_list.deny: \"@*.example\" has a star: a leading dot means every name below "
	"it\n"},
    {"expressions", NETWORK "smtp { recipient_list { allow = {\"/(a/\", \"/a\", \"/\\\\w/\"} } }",
	"2: smtp.recipient_list.allow: \"/(a/\" has a ( that nothing closes\n"
	"2: smtp.recipient_list.allow: \"/a\" is an expression without the \"/\" that ends it\n"
	"2: smtp.recipient_list.allow: \"/\\w/\" has a backslash that no special character "
	"follows\n"},
    {"client names, and nothing to look at", NETWORK "smtp {\nclient_name { check = report } }",
	"3: smtp.client_name.check: nothing to look at; set reverse to exists or confirmed, helo "
	"to valid or resolves, or the check off\n"},

    {"unknown name", NETWORK "\nworker = 2\n",
	"3: worker: unknown name; known here: " ROOT_NAMES "\n"},
    {"unknown names, and what is in them",
	NETWORK "pop { ports = {1, 2} x { y = 3 } }\nworkers = x",
	"2: pop: unknown name; known here: " ROOT_NAMES "\n"
	"3: workers: \"x\" is not 0 or a number from 1 to 256\n"},
    {"unknown in a section", NETWORK "pop3 { prots = {110} }\nimap { x = 1 }",
	"2: pop3.prots: unknown name; known here: ports, tls_ports, starttls, deny, read_only, "
	"unknown, "
	"errors, refused_message, command_line, auth_line, timeouts\n"
	"3: imap.x: unknown name; known here: ports, tls_ports, starttls, deny, read_only, "
	"unknown, errors, "
	"command_line, login_literal, literal, message_size, timeouts\n"},
    {"known elsewhere", NETWORK "check = off",
	"2: check: unknown name; known here: " ROOT_NAMES "\n"},
    {"given twice", NETWORK "workers = 1\nworkers = 2\n",
	"3: workers: given twice; it stands on line 2\n"},
    {"given twice in two pieces", NETWORK "pop3 { ports = {1} }\npop3 { ports = {2} }",
	"3: pop3.ports: given twice; it stands on line 2\n"},

    {"forward without its ends", NETWORK "forward \"a\" {\n}",
	"2: forward.listen: missing; ADDRESS:PORT must be given\n"
	"2: forward.to: missing; ADDRESS:PORT must be given\n"},
    {"forward to a name", NETWORK FORWARD("a", "127.0.0.1:2525", "mail:25"),
	"2: forward.to: \"mail:25\" is not ADDRESS:PORT or [ADDRESS]:PORT with a port from 1 to "
	"65535\n"},
    {"two on one address",
	NETWORK FORWARD("a", "[::1]:25", "192.0.2.1:25") FORWARD("b", "[0::1]:25", "192.0.2.2:25"),
	"3: forward.listen: \"a\" on line 2 listens there already; one address, one forward\n"},
    {"to itself", NETWORK FORWARD("a", "127.0.0.1:25", "127.0.0.1:25"),
	"2: forward.to: the address that it listens on\n"},
    {"where connections are taken off the wire",
	NETWORK "intercept { }\n" FORWARD("a", "192.0.2.1:25", "10.0.0.1:25"),
	"3: forward.listen: port 25" TAKEN},
    {"the same for mailboxes",
	NETWORK "intercept { }\n" FORWARD("a", "192.0.2.1:143", "10.0.0.1:143"),
	"3: forward.listen: port 143" TAKEN},
    {"at any address, which is no single one",
	NETWORK "intercept { mode = redirect bypass_servers = {'::/0'} }\n" FORWARD(
	    "a", "[::]:587", "10.0.0.1:25"),
	"3: forward.listen: port 587" TAKEN},
    {"at another address than the one that is left alone",
	NETWORK "intercept { bypass_servers = {'192.0.2.2'} }\nsmtp { ports = {2525} }\n" FORWARD(
	    "a", "192.0.2.1:2525", "10.0.0.1:25"),
	"4: forward.listen: port 2525" TAKEN},
    {"name", NETWORK FORWARD("a b", "127.0.0.1:25", "192.0.2.1:25"),
	"2: forward: \"a b\" is not a name of 1 to 64 letters, digits, \"-\", \"_\", \".\"\n"},
    {"two of one name",
	NETWORK FORWARD("a", "127.0.0.1:25", "192.0.2.1:25")
	    FORWARD("a", "127.0.0.1:26", "192.0.2.1:25"),
	"3: found duplicate title 'a'\n"},

    {"first syntax fault, and all before it", "workers = x\ninside { }\nworkers 3\ndrain = y\n}\n",
	"1: workers: \"x\" is not 0 or a number from 1 to 256\n"
	"2: missing equal sign after option 'inside'\n"},
    {"no value", "workers =", "1: premature end of file\n"},
    {"list for a number", "workers = {1, 2}", "1: unexpected token '{'\n"},
    {"value for a section", "smtp = 3", "1: missing opening brace for section 'smtp'\n"},
    {"brace too many", NETWORK "smtp { } }", "2: unexpected closing brace\n"},
    {"brace too few", NETWORK "smtp {\n hops = 100\n",
	"4: end of file, and section smtp of line 2 is open; \"}\" ends it\n"},
    {"string without end", NETWORK "user = \"abc\nlog = \"-\"\n",
	"2: string without its end; it ends with \" on the same line\n"},
    {"comment without end", NETWORK "/* user\n = x\n",
	"2: comment without its end; \"*/\" ends it\n"},
    {"escape", NETWORK "user = \"a\\nb\"",
	"2: unknown escape in a string; \\\" \\\\ \\$ may stand\n"},
    {"environment", NETWORK "user = \"${HOME}\"",
	"2: \"${\" in a string; nothing is taken from the environment\n"},
    {"environment, bare", NETWORK "user = ${HOME}",
	"2: '$' outside of quotes; put the word in quotes\n"},
    {"bare star", NETWORK "smtp { relay { local_domains = {*.example.edu} } }",
	"2: '*' outside of quotes; put the word in quotes\n"},
    {"terminal escape", NETWORK "user = \"\033[31m\"",
	"2: octet 0x1b in a string; a string is plain text\n"},
    {"Latin-1", NETWORK "# caf\xc3\xa9\nuser = \"caf\xe9\"\n", "3: this line is not UTF-8\n"},
    {"captures that hold no two files", NETWORK "capture \"a\" { file_size = 64 budget = 127 }\n",
	"2: capture.budget: 127 MiB hold no two files of capture.file_size = 64\n"},
    {"a name of captures that is a path", NETWORK "capture \"a/b\" { }\n",
	"2: capture: \"a/b\" is not a name of 1 to 64 letters, digits, \"-\", \"_\", \".\"\n"},
    {"lines are counted through comments",
	"/* one\n two */ # three\n// four\n" NETWORK
	"inside_devices = { # a comment in a list\n \"\" }\n",
	"6: inside_devices: \"\" is not the name of a network interface (1 to 15 octets, no blank, "
	"\"/\" or \":\")\n"},
};

static void
test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(faulty) / sizeof(faulty[0]); i++) {
		char *faults;
		struct config *c = read_text(faulty[i].text, &faults);

		if (c != NULL || strcmp(faults, faulty[i].want) != 0)
			fail_msg("%s: wanted\n%sgot\n%s", faulty[i].name, faulty[i].want, faults);
		free(faults);
	}
}

static void
test_missing_file(void **state)
{
	char *told = NULL;
	size_t n = 0;
	FILE *err = open_memstream(&told, &n);

	(void)state;
	assert_null(config_read("/nonexistent/postern.conf", err));
	fclose(err);
	assert_string_equal(told, "/nonexistent/postern.conf: No such file or directory\n");
	free(told);
}

/* A NUL would end the text for whoever takes it for a C string. */
static void
test_nul(void **state)
{
	static const char text[] = "workers = 1\n\0workers = x\n";
	char path[PATH_MAX_HERE], *told = NULL, want[2 * PATH_MAX_HERE];
	size_t n = 0;
	int fd = file_of("", path);
	FILE *err = open_memstream(&told, &n);

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text) - 1), (ssize_t)(sizeof(text) - 1));
	assert_null(config_read(path, err));
	fclose(err);
	close(fd);
	snprintf(
	    want, sizeof(want), "%s:2: octet 0x00; plain text and UTF-8 may stand here\n", path);
	assert_string_equal(told, want);
	free(told);
}

/* ---- bounds ---- */

static void
wrap(char *text, size_t max, const struct setting *row, const char *value)
{
	const struct section *s = config_section(row->section);
	const struct section *outer = s->above < SECTION_COUNT ? config_section(s->above) : NULL;
	bool two = outer != NULL && outer->name[0] != '\0';

	snprintf(text, max, NETWORK "%s%s%s%s%s = %s%s%s", two ? outer->name : "", two ? " { " : "",
	    s->name, s->name[0] != '\0' ? " { " : "", row->name, value,
	    s->name[0] != '\0' ? " }" : "", two ? " }" : "");
}

static bool
takes(const struct setting *row, uint64_t n)
{
	char text[256], value[32], *faults;

	snprintf(value, sizeof(value), "%ju", (uintmax_t)n);
	wrap(text, sizeof(text), row, value);
	struct config *c = read_text(text, &faults);
	bool taken = c != NULL;
	if (taken != (faults[0] == '\0'))
		fail_msg("%s: %s", text, faults);
	config_free(c);
	free(faults);
	return taken;
}

static void
test_bounds(void **state)
{
	const struct setting *row;

	(void)state;
	for (size_t i = 0; (row = config_setting(i)) != NULL; i++) {
		if (row->type != SETTING_NUMBER || row->section == SECTION_FORWARD ||
		    row->section == SECTION_CAPTURE) /* with a title; test_faults has them */
			continue;
		/* from and to hang together as well */
		if (strncmp(row->name, "data_ports", 10) == 0)
			continue;
		/* a reply's bounds hang together; test_faults has them */
		if (strcmp(row->name, "reply_line") != 0)
			assert_true(takes(row, row->max));
		assert_false(takes(row, row->max + 1));
		assert_true(takes(row, row->min));
		if (row->min > 1)
			assert_false(takes(row, row->min - 1));
		if (row->min > 0)
			assert_int_equal(takes(row, 0), row->zero_ok);
	}
}

/* ---- defaults ---- */

static void
test_defaults(void **state)
{
	struct config *c = must_read(NETWORK);
	const struct policy *p = c->policy;
	struct ip in, out;

	(void)state;
	assert_int_equal(c->workers, 0);
	assert_string_equal(c->user, "postern");
	assert_string_equal(c->log, "/var/log/postern/eve.json");
	assert_int_equal(c->drain, 10);
	assert_null(c->resolvers[0]);
	assert_int_equal(c->mode, INTERCEPT_TPROXY);
	assert_false(c->intercept.on_exit_bypass);
	assert_int_equal(c->n_forwards, 0);
	assert_int_equal(c->limits.sessions, 0);
	assert_int_equal(c->limits.sessions_per_client, 50);
	assert_int_equal(c->limits.sessions_per_minute, 0);
	assert_int_equal(c->limits.messages_per_minute, 0);
	assert_int_equal(c->limits.recipients_per_minute, 0);
	assert_int_equal(c->limits.auth_failures_per_minute, 10);
	assert_int_equal(c->limits.client_prefix6, 64);
	assert_int_equal(c->limits.connect_timeout, 15);
	assert_int_equal(c->smtp.n_ports, 2);
	assert_int_equal(c->smtp.ports[0], 25);
	assert_int_equal(c->smtp.ports[1], 587);
	assert_int_equal(c->smtp.bare_newline, BARE_NEWLINE_REJECT);
	assert_int_equal(c->smtp.header_size, 1048576);
	assert_int_equal(c->smtp.dialogue.line, 4096);
	assert_int_equal(c->smtp.dialogue.auth_line, 12288);
	assert_int_equal(c->smtp.dialogue.reply, 65536);
	assert_false(c->smtp.dialogue.lenient_paths);
	assert_int_equal(c->smtp.timeouts.greeting, 300);
	assert_int_equal(c->smtp.timeouts.data_end, 600);
	assert_int_equal(c->dns_budget, 5);
	assert_int_equal(c->ftp.ports[0], 21);
	assert_null(p->ftp.deny[0]);
	assert_null(p->ftp.deny_replies[0]);
	assert_true(p->ftp.refuse_unknown && c->ftp.inspect);
	assert_false(p->ftp.read_only || p->ftp.pass_modes || p->ftp.refuse_resume ||
		     p->ftp.hide_banner || c->ftp.delete_refused || c->ftp.server_data_same);
	assert_int_equal(p->ftp.starttls, STARTTLS_AUTO);
	assert_int_equal(c->ftp.data_ports_from, 40000);
	assert_int_equal(c->ftp.data_ports_to, 44999);
	assert_int_equal(c->ftp.dialogue.line, 4096);
	assert_int_equal(c->ftp.timeouts.command, 900);
	assert_int_equal(c->ftp.timeouts.data_open, 30);
	assert_false(c->xferlog);

	assert_true(ip_parse(span_str("10.1.2.3"), &in) && ip_parse(span_str("192.0.2.1"), &out));
	assert_true(networks_has(p->inside, &in));
	assert_false(networks_has(p->inside, &out));
	assert_int_equal(p->relay.check, CHECK_ENFORCE);
	assert_true(p->relay.by_mx && p->relay.authenticated && !p->relay.own_literal);
	assert_int_equal(p->sender.check, CHECK_ENFORCE);
	assert_int_equal(p->sender.dead_mx, CHECK_REPORT);
	assert_int_equal(p->sender.private_mx, CHECK_REPORT);
	assert_false(p->sender.missing_is_permanent || p->sender.refuse_literals);
	assert_int_equal(p->client_name.check, CHECK_OFF);
	assert_int_equal(p->client_name.reverse, REVERSE_NONE);
	assert_int_equal(p->client_name.helo, HELO_ANY);
	assert_true(addresses_empty(p->senders.deny) && addresses_empty(p->senders.allow));
	assert_true(addresses_empty(p->recipients.deny) && addresses_empty(p->recipients.allow));
	assert_int_equal(p->starttls, STARTTLS_AUTO);
	assert_false(p->refuse_multi_bounce || p->auth_requires_tls);
	config_free(c);
}

static void
test_retrieval_defaults(void **state)
{
	struct config *c = must_read(NETWORK);
	const struct policy *p = c->policy;

	(void)state;
	assert_int_equal(c->pop3.ports[0], 110);
	assert_int_equal(p->pop3.starttls, STARTTLS_AUTO);
	assert_true(p->pop3.refuse_unknown && p->imap.refuse_unknown);
	assert_false(p->pop3.read_only || p->pop3.cut || p->imap.read_only);
	assert_null(p->pop3.deny[0]);
	assert_null(p->imap.deny[0]);
	assert_int_equal(c->pop3.dialogue.line, 512);
	assert_int_equal(c->pop3.timeouts.login, 180);
	assert_int_equal(c->pop3.timeouts.command, 660);
	assert_int_equal(c->imap.ports[0], 143);
	assert_int_equal(p->imap.starttls, STARTTLS_AUTO);
	assert_int_equal(c->imap.dialogue.line, 65536);
	assert_int_equal(c->imap.dialogue.login_literal, 8192);
	assert_int_equal(c->imap.timeouts.command, 1860);
	assert_int_equal(c->imap.timeouts.idle, 2100);
	config_free(c);
}

/* ---- what is in messages ---- */

static void
test_mime_defaults(void **state)
{
	struct config *c = must_read(NETWORK);
	const struct mail_options *o = &c->mime.options;

	(void)state;
	assert_true(c->mime.inspect && o->sha256 && o->types && o->archives && o->urls);
	assert_false(o->sha1 || o->md5);
	assert_int_equal(c->mime.types, TYPES_OWN);
	assert_int_equal(o->parts, 1000);
	assert_int_equal(o->detected, 64);
	assert_int_equal(o->mime.depth, 100);
	assert_int_equal(c->content.check, CHECK_ENFORCE);
	assert_int_equal(content_does(&c->content, CONTENT_SHA256), CHECK_ENFORCE);
	assert_int_equal(content_does(&c->content, CONTENT_MISMATCH), CHECK_REPORT);
	assert_int_equal(content_does(&c->content, CONTENT_ENCRYPTED), CHECK_OFF);
	assert_int_equal(content_does(&c->content, CONTENT_INCOMPLETE), CHECK_REPORT);
	assert_false(content_armed(&c->content, CONTENT_TYPE));
	config_free(c);
}

static void
test_content_words_M9(void **state)
{
	struct config *c = must_read(
	    NETWORK "mime { digests = {\"md5\", \"sha1\"} types = no }\n"
		    "content { deny_types = {\"Image/*\"} deny_extensions = {\"EXE\", \"tar.GZ\"}\n"
		    "mismatch = enforce bomb = off }\n");

	(void)state;
	assert_true(c->mime.options.md5 && c->mime.options.sha1);
	assert_false(c->mime.options.sha256 || c->mime.options.types);
	assert_string_equal(c->content.types[0], "image/*");
	assert_null(c->content.types[1]);
	assert_string_equal(c->content.extensions[0], "exe");
	assert_string_equal(c->content.extensions[1], "tar.gz");
	assert_int_equal(content_does(&c->content, CONTENT_MISMATCH), CHECK_ENFORCE);
	assert_int_equal(content_does(&c->content, CONTENT_BOMB), CHECK_OFF);
	config_free(c);
}

/* The list goes to a worker with the text, in one file in memory. */
static void
test_digests_are_handed_over_M9(void **state)
{
	char path[PATH_MAX_HERE], text[256];
	struct config *c, *worker;
	uint8_t digest[DIGEST_SIZE] = {0xab};
	const uint8_t secret[TLS_SECRET] = {1};
	int fd, list;

	(void)state;
	list = file_of("# three lines, two digests\n"
		       "ff00000000000000000000000000000000000000000000000000000000000001  x\n"
		       "ab00000000000000000000000000000000000000000000000000000000000000\n",
	    path);
	snprintf(text, sizeof(text), NETWORK "content { deny_sha256 = \"%s\" }\n", path);
	c = must_read(text);
	close(list);
	assert_int_equal(c->content.sha256.n, 2);
	assert_true(digests_has(&c->content.sha256, digest));
	assert_true(c->mime.options.sha256);
	fd = config_hand_over(c, secret);
	assert_true(fd >= 0);
	config_free(c);
	worker = config_inherit("postern.conf", fd, stderr);
	close(fd);
	assert_non_null(worker);
	assert_int_equal(worker->content.sha256.n, 2);
	assert_true(digests_has(&worker->content.sha256, digest));
	digest[1] = 1;
	assert_false(digests_has(&worker->content.sha256, digest));
	config_free(worker);
}

static void
test_digest_lists_with_faults(void **state)
{
	char path[PATH_MAX_HERE], text[256], fault[256], *faults;
	int list;

	(void)state;
	list = file_of(
	    "ab00000000000000000000000000000000000000000000000000000000000000\nabc\n", path);
	snprintf(text, sizeof(text), NETWORK "content { deny_sha256 = \"%s\" }\n", path);
	snprintf(fault, sizeof(fault),
	    "2: content.deny_sha256: %s: line 2 is no SHA-256 digest of 64 hexadecimal digits\n",
	    path);
	assert_null(read_text(text, &faults));
	assert_string_equal(faults, fault);
	free(faults);
	close(list);
}

static void
assert_list_fault(const char *path, const char *why)
{
	char text[256], fault[256], *faults;

	snprintf(text, sizeof(text), NETWORK "content { deny_sha256 = \"%s\" }\n", path);
	snprintf(fault, sizeof(fault), "2: content.deny_sha256: %s: %s\n", path, why);
	assert_null(read_text(text, &faults));
	assert_string_equal(faults, fault);
	free(faults);
}

/* Nothing that is endless, or silent, holds up whoever reads it; nothing is left out silently. */
static void
test_digest_lists_that_do_not_end(void **state)
{
	char path[PATH_MAX_HERE], long_line[8194];
	int list;

	(void)state;
	assert_list_fault("/dev/zero", "line 1 is longer than 8192 octets");
	assert_list_fault("/tmp", "is no file");
	snprintf(path, sizeof(path), "/tmp/test_config_fifo_%d", (int)getpid());
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_list_fault(path, "is no file");
	unlink(path);
	memset(long_line, '#', sizeof(long_line) - 1);
	long_line[sizeof(long_line) - 1] = '\0';
	list = file_of(long_line, path);
	assert_list_fault(path, "line 1 is longer than 8192 octets");
	close(list);
}

static void
assert_words(char *const *words, const char *const want[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_non_null(words[i]);
		assert_string_equal(words[i], want[i]);
	}
	assert_null(words[n]);
}

/* Words go where the headers say that they go. */
static void
test_words(void **state)
{
	struct config *c =
	    must_read("smtp { starttls = hide bare_newline = normalize\n"
		      "multi_recipient_bounce = refuse auth_requires_tls = yes\n"
		      "relay { check = off by_mx = no authenticated = no own_literal = yes\n"
		      "  local_domains = {\"example.edu\", '.example.org'} }\n"
		      "sender_domain { check = report missing = 550 literals = refuse\n"
		      "  dead_mx = enforce private_mx = off budget = 7 } }\n"
		      "log_format = eve_xferlog\n"
		      "ftp { deny = {site, \"DELE\", 'Site Exec', 'xsha256', 'p@sw'}\n"
		      "  deny_replies = {'retr 226', '* 3', 'Site 50'} server_data = same\n"
		      "  unknown = pass modes = pass resume = refuse banner = hide\n"
		      "  starttls = hide read_only = yes refused_upload = delete\n"
		      "  data_ports_from = 50000 data_ports_to = 50000 fxp = {'192.0.2.0/24'} }\n"
		      "pop3 { deny = {top, 'XTND XMIT'} read_only = yes unknown = pass\n"
		      "  refused_message = cut starttls = hide }\n"
		      "imap { deny = {'uid expunge', setacl} read_only = yes unknown = pass\n"
		      "  starttls = pass message_size = 0 }\n"
		      "intercept { mode = redirect on_exit = bypass bypass = \"10.0.0.0/8\" }");
	const struct policy *p = c->policy;
	struct ip ip;

	(void)state;
	assert_int_equal(p->starttls, STARTTLS_HIDE);
	assert_int_equal(c->smtp.bare_newline, BARE_NEWLINE_NORMALIZE);
	assert_true(p->refuse_multi_bounce && p->auth_requires_tls);
	assert_int_equal(p->relay.check, CHECK_OFF);
	assert_true(!p->relay.by_mx && !p->relay.authenticated && p->relay.own_literal);
	assert_true(domains_has(p->relay.local_domains, "example.edu"));
	assert_false(domains_has(p->relay.local_domains, "a.example.edu"));
	assert_true(domains_has(p->relay.local_domains, "a.example.org"));
	assert_int_equal(p->sender.check, CHECK_REPORT);
	assert_true(p->sender.missing_is_permanent && p->sender.refuse_literals);
	assert_int_equal(p->sender.dead_mx, CHECK_ENFORCE);
	assert_int_equal(p->sender.private_mx, CHECK_OFF);
	assert_int_equal(c->dns_budget, 7);
	assert_true(c->ftp.server_data_same);
	assert_words(
	    p->ftp.deny, (const char *[]){"SITE", "DELE", "SITE EXEC", "XSHA256", "P@SW"}, 5);
	assert_words(p->ftp.deny_replies, (const char *[]){"RETR 226", "* 3", "SITE 50"}, 3);
	assert_true(p->ftp.pass_modes && p->ftp.refuse_resume && p->ftp.hide_banner);
	assert_true(p->ftp.read_only && c->ftp.delete_refused && c->xferlog);
	assert_false(p->ftp.refuse_unknown);
	assert_int_equal(p->ftp.starttls, STARTTLS_HIDE);
	assert_int_equal(c->ftp.data_ports_to, 50000);
	assert_true(ip_parse(span_str("192.0.2.7"), &ip) && networks_has(p->ftp.fxp, &ip));
	assert_words(p->pop3.deny, (const char *[]){"TOP", "XTND XMIT"}, 2);
	assert_words(p->imap.deny, (const char *[]){"UID EXPUNGE", "SETACL"}, 2);
	assert_true(p->pop3.read_only && p->pop3.cut && p->imap.read_only);
	assert_false(p->pop3.refuse_unknown || p->imap.refuse_unknown);
	assert_int_equal(p->pop3.starttls, STARTTLS_HIDE);
	assert_int_equal(p->imap.starttls, STARTTLS_PASS);
	assert_int_equal(c->mode, INTERCEPT_REDIRECT);
	assert_true(c->intercept.on_exit_bypass && ip_parse(span_str("10.0.0.1"), &ip));
	assert_true(networks_has(c->intercept.bypass, &ip));
	config_free(c);
}

static bool
lists(const struct addresses *set, const char *text)
{
	struct mailbox m = {.domain = "a.example"};

	snprintf(m.text, sizeof(m.text), "%s", text);
	return addresses_has(set, &m);
}

static void
test_lists(void **state)
{
	struct config *c = must_read(
	    NETWORK "smtp { client_name { check = enforce reverse = confirmed helo = resolves\n"
		    "  exempt = {\"192.0.2.0/24\"} }\n"
		    "sender_list { deny = {'s1@a.example', \"/^s2[.]x@/\"} allow = "
		    "{\"s3@a.example\"} }\n"
		    "recipient_list { deny = {\"/^r1\\\\.x@/\"} allow = {\"r2@a.example\"} } }");
	const struct policy *p = c->policy;
	struct ip ip;

	(void)state;
	assert_int_equal(p->client_name.check, CHECK_ENFORCE);
	assert_int_equal(p->client_name.reverse, REVERSE_CONFIRMED);
	assert_int_equal(p->client_name.helo, HELO_RESOLVES);
	assert_true(ip_parse(span_str("192.0.2.1"), &ip));
	assert_true(networks_has(p->client_name.exempt, &ip));
	assert_true(lists(p->senders.deny, "s1@a.example"));
	assert_true(lists(p->senders.deny, "s2.x@a.example"));
	assert_false(lists(p->senders.deny, "s3@a.example"));
	assert_true(lists(p->senders.allow, "s3@a.example"));
	assert_true(lists(p->recipients.deny, "r1.x@a.example"));
	assert_false(lists(p->recipients.deny, "r1_x@a.example"));
	assert_true(lists(p->recipients.allow, "r2@a.example"));
	config_free(c);
}

/* Where the wire leaves a port alone, a forward section may have it. */
static void
test_forwards_beside_interception(void **state)
{
	(void)state;
	config_free(must_read(
	    NETWORK "intercept { bypass_servers = {'192.0.2.0/24', '2001:db8::1'} }\n" FORWARD(
		"a", "192.0.2.1:25", "10.0.0.1:25") FORWARD("b", "[2001:db8::1]:587", "10.0.0.1:25")
		FORWARD("c", "127.0.0.1:25", "10.0.0.1:25") FORWARD("d", "[::1]:25", "10.0.0.1:25")
		    FORWARD("e", "192.0.3.1:2525", "10.0.0.1:25")));
}

static void
test_forwards(void **state)
{
	struct config *c = must_read(NETWORK FORWARD("one", "127.0.0.1:2525",
	    "192.0.2.1:25") "forward two { listen = '[::]:25' to = '[2001:db8::1]:587' protocol = "
			    "imap outside = yes send_proxy = v2 }");
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	(void)state;
	assert_int_equal(c->n_forwards, 2);
	assert_string_equal(c->forwards[0].name, "one");
	assert_int_equal(c->forwards[0].protocol, PROTOCOL_SMTP);
	assert_false(c->forwards[0].outside);
	assert_int_equal(c->forwards[0].send_proxy, SEND_PROXY_NO);
	assert_int_equal(c->forwards[1].send_proxy, SEND_PROXY_V2);
	memcpy(&v4, &c->forwards[0].listen, sizeof(v4));
	assert_int_equal(v4.sin_family, AF_INET);
	assert_int_equal(ntohs(v4.sin_port), 2525);
	assert_int_equal(ntohl(v4.sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(c->forwards[1].protocol, PROTOCOL_IMAP);
	assert_true(c->forwards[1].outside);
	memcpy(&v6, &c->forwards[1].to, sizeof(v6));
	assert_int_equal(v6.sin6_family, AF_INET6);
	assert_int_equal(ntohs(v6.sin6_port), 587);
	assert_int_equal(v6.sin6_addr.s6_addr[0], 0x20);
	assert_int_equal(v6.sin6_addr.s6_addr[15], 1);
	config_free(c);
}

/* Who is inside is of no matter where nobody sends mail. */
static void
test_inside_is_for_mail(void **state)
{
	struct config *c = must_read("forward f { listen = '127.0.0.1:2121' to = '192.0.2.1:21' "
				     "protocol = ftp }");

	(void)state;
	config_free(c);
}

/* Forward sections without an intercept section: nothing is to be intercepted. */
static void
test_mode(void **state)
{
#define ONE FORWARD("one", "127.0.0.1:2525", "192.0.2.1:25")
	static const struct {
		const char *text;
		enum intercept_mode want;
	} cases[] = {{NETWORK, INTERCEPT_TPROXY}, {NETWORK ONE, INTERCEPT_OFF},
	    {NETWORK ONE "intercept { }", INTERCEPT_TPROXY},
	    {NETWORK ONE "intercept { mode = redirect }", INTERCEPT_REDIRECT},
	    {NETWORK "intercept { mode = off }", INTERCEPT_OFF}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config *c = must_read(cases[i].text);
		assert_int_equal(c->mode, cases[i].want);
		config_free(c);
	}
}

static void
test_endpoints(void **state)
{
	static const char *const bad[] = {"", ":", "25", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
	    "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1: 25", "[127.0.0.1]:25", "::1:25", "[::1]",
	    "[::1]25", "[::1:25", "[]:25", "mail:25", "[fe80::1%eth0]:25", "127.1:25"};
	struct sockaddr_storage out;

	(void)state;
	assert_true(config_endpoint("127.0.0.1:25", &out) && out.ss_family == AF_INET);
	assert_true(config_endpoint("[::1]:65535", &out) && out.ss_family == AF_INET6);
	assert_true(config_endpoint("[::ffff:192.0.2.1]:25", &out) && out.ss_family == AF_INET);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (config_endpoint(bad[i], &out))
			fail_msg("\"%s\" is taken for an endpoint", bad[i]);
}

/* ---- TLS ---- */

static void
test_starttls_words_of_all_protocols(void **state)
{
	static const struct {
		const char *word;
		enum starttls want;
	} words[] = {{"auto", STARTTLS_AUTO}, {"intercept", STARTTLS_INTERCEPT},
	    {"require", STARTTLS_REQUIRE}, {"pass", STARTTLS_PASS}, {"refuse", STARTTLS_REFUSE},
	    {"hide", STARTTLS_HIDE}};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *w = words[i].word;

		snprintf(text, sizeof(text),
		    NETWORK "smtp { starttls = %s } ftp { starttls = %s } pop3 { starttls = %s } "
			    "imap { starttls = %s }",
		    w, w, w, w);
		struct config *c = must_read(text);
		assert_int_equal(c->policy->starttls, words[i].want);
		assert_int_equal(c->policy->ftp.starttls, words[i].want);
		assert_int_equal(c->policy->pop3.starttls, words[i].want);
		assert_int_equal(c->policy->imap.starttls, words[i].want);
		config_free(c);
	}
}

static void
test_tls_ports_are_taken_too(void **state)
{
	struct config *c = must_read(NETWORK "smtp { tls_ports = {465} } imap { tls_ports = {993} }"
					     "forward a { listen = '127.0.0.1:2465' to = "
					     "'192.0.2.1:465' implicit_tls = yes }");
	size_t n;
	const unsigned *ports = config_ports(c, PROTOCOL_SMTP, &n);

	(void)state;
	assert_int_equal(n, 3);
	assert_int_equal(ports[0], 25);
	assert_int_equal(ports[1], 587);
	assert_int_equal(ports[2], 465);
	ports = config_tls_ports(c, PROTOCOL_SMTP, &n);
	assert_int_equal(n, 1);
	assert_int_equal(ports[0], 465);
	ports = config_tls_ports(c, PROTOCOL_IMAP, &n);
	assert_int_equal(n, 1);
	assert_int_equal(ports[0], 993);
	config_tls_ports(c, PROTOCOL_POP3, &n);
	assert_int_equal(n, 0);
	assert_true(c->forwards[0].implicit_tls);
	config_free(c);
}

static void
test_tls_rules(void **state)
{
	struct config *c = must_read(NETWORK
	    "tls_rule one { protocols = {pop3, imap} towards = outside clients = {192.0.2.1} "
	    "server_names = {.bank.example} action = pass required = no }\n"
	    "tls_rule two { }");
	const struct policy *p = c->policy;
	struct ip client;

	(void)state;
	assert_int_equal(p->n_tls_rules, 2);
	assert_string_equal(p->tls_rules[0].name, "one");
	assert_int_equal(p->tls_rules[0].protocols, 1u << TLS_POP3 | 1u << TLS_IMAP);
	assert_int_equal(p->tls_rules[0].towards, TLS_OUTSIDE);
	assert_int_equal(p->tls_rules[0].action, TLS_PASS);
	assert_int_equal(p->tls_rules[0].required, REQUIRED_NO);
	assert_true(ip_parse(span_str("192.0.2.1"), &client));
	assert_true(networks_has(p->tls_rules[0].clients, &client));
	assert_true(networks_empty(p->tls_rules[0].servers));
	assert_true(domains_has(p->tls_rules[0].server_names, "www.bank.example"));
	assert_int_equal(p->tls_rules[1].protocols, 0);
	assert_int_equal(p->tls_rules[1].towards, TLS_ANYBODY);
	assert_int_equal(p->tls_rules[1].action, TLS_INTERCEPT);
	assert_int_equal(p->tls_rules[1].required, REQUIRED_AUTO);
	config_free(c);
}

/* Both CAs with their keys, or none; what is wrong with files is certificate_files' matter. */
static void
test_tls_authorities(void **state)
{
	static const char text[] = NETWORK "tls { ca = \"/a.pem\" ca_key = \"/a.key\" "
					   "untrusted_ca = \"/u.pem\" untrusted_ca_key = "
					   "\"/u.key\" }";
	struct config *c = config_parse("-", text, strlen(text), stderr);
	char *told;

	(void)state;
	assert_string_equal(c->tls.ca[CA_TRUSTED].chain, "/a.pem");
	assert_string_equal(c->tls.ca[CA_TRUSTED].key, "/a.key");
	assert_string_equal(c->tls.ca[CA_UNTRUSTED].chain, "/u.pem");
	assert_string_equal(c->tls.ca[CA_UNTRUSTED].key, "/u.key");
	assert_true(config_uses_tls(c));
	config_free(c);
	c = read_text(NETWORK "tls {\nca_key = \"/a.key\"\nuntrusted_ca = \"/u.pem\"\n}", &told);
	assert_null(c);
	assert_non_null(strstr(told, "3: tls.ca: missing; "));
	assert_non_null(strstr(told, "3: tls.untrusted_ca_key: missing; "));
	assert_null(strstr(told, "tls.ca_key: missing"));
	free(told);
	c = read_text(NETWORK "tls {\nverify = untrusted\nverify_inside = untrusted\n}\n"
			      "tls_rule a {\nverify = untrusted\n}",
	    &told);
	assert_null(c);
	assert_non_null(strstr(told, "3: tls.verify: untrusted, and tls.untrusted_ca, "));
	assert_non_null(strstr(told, "4: tls.verify_inside: untrusted, and "));
	assert_non_null(strstr(told, "7: tls_rule.verify: untrusted, and "));
	free(told);
}

static void
test_tls_settings(void **state)
{
	struct config *c = must_read(NETWORK "tls { minimum = 1.3 verify = report verify_inside = "
					     "enforce session_tickets = no }");
	struct config *plain = must_read(NETWORK);

	(void)state;
	assert_int_equal(c->tls.minimum, TLS_MINIMUM_1_3);
	assert_int_equal(c->tls.verify, VERIFY_REPORT);
	assert_int_equal(c->tls.verify_inside, VERIFY_ENFORCE);
	assert_false(c->tls.session_tickets);
	assert_int_equal(plain->tls.minimum, TLS_MINIMUM_1_2);
	assert_int_equal(plain->tls.verify, VERIFY_ENFORCE);
	assert_int_equal(plain->tls.verify_inside, VERIFY_REPORT);
	assert_null(plain->tls.ca[CA_TRUSTED].chain);
	assert_int_equal(plain->tls.signer_file, -1);
	assert_true(plain->tls.session_tickets);
	assert_null(plain->tls.key_log);
	assert_false(config_uses_tls(plain));
	config_free(c);
	config_free(plain);
}

/* ---- what is printed is what was read ---- */

/* A value other than the default. */
static const char *
another_value(const struct setting *row, char text[64])
{
	switch (row->type) {
	case SETTING_NUMBER:
		snprintf(text, 64, "%ju", (uintmax_t)row->max - 1);
		return text;
	case SETTING_CHOICE:
		if (strcmp(row->name, "inspect") == 0)
			return "yes"; /* the rules of the content need it, refused_upload does */
		if (strcmp(row->name, "action") == 0)
			return "intercept"; /* other settings of the rule need it */
		return strcmp(row->choices[0].word, row->fallback) == 0 ? row->choices[1].word
									: row->choices[0].word;
	case SETTING_CHOICES:
		return "{smtp, imap}";
	case SETTING_DIGESTS:
		return "{\"sha256\", \"md5\"}";
	case SETTING_TYPES:
		return "{\"image/*\", \"application/x-dosexec\"}";
	case SETTING_EXTENSIONS:
		return "{\"exe\", \"tar.gz\"}";
	case SETTING_TEXT:
		if (strcmp(row->name, "client_certificate") == 0)
			return "\"one\""; /* the section of that name */
		if (strcmp(row->name, "upstream_name") == 0)
			return "\"mx.example\"";
		if (row->zero_ok) /* a path */
			return "\"/dev/null\"";
		return "\"a \\\"b\\\" \\\\ \\$c # {d}\"";
	case SETTING_MARK: /* the three of them must fit together */
		return strcmp(row->name, "mark") == 0	    ? "\"0x10\""
		       : strcmp(row->name, "own_mark") == 0 ? "\"0x20\""
							    : "\"0x30\"";
	case SETTING_ENDPOINT:
		return strcmp(row->name, "to") == 0 ? "\"192.0.2.1:25\"" : "\"[::1]:2525\"";
	case SETTING_PORTS:
		snprintf(text, 64, strcmp(row->name, "ports") == 0 ? "{1%u, 2%u}" : "{3%u, 4%u}",
		    (unsigned)row->section, (unsigned)row->section);
		return text;
	case SETTING_DEVICES:
		return "{\"eth0\", \"br-lan\"}";
	case SETTING_COMMANDS:
		return "{\"SITE\", \"SITE EXEC\"}";
	case SETTING_REPLIES:
		return "{\"RETR 226\", \"* 3\"}";
	case SETTING_NAMES:
		return "{\"mail.example.edu\", \"*.example.edu\"}";
	case SETTING_RESOLVERS:
		return "{\"192.0.2.53\", \"2001:db8::53@5353\"}";
	case SETTING_NETWORKS:
		return "{\"10.0.0.0/8\", \"fd00::/8\"}";
	case SETTING_DOMAINS:
		return "{\"example.edu\", \".example.edu\", \"b\xc3\xbc"
		       "cher.example\"}";
	case SETTING_ADDRESSES:
		return "{\"u@a.example\", \"@.b.example\", \"<>\", \"/^a[.]b\\\\.c\\$/\"}";
	}
	return NULL;
}

static size_t
settings_of(enum config_section section, const char *indent, char *out, size_t max)
{
	const struct setting *row;
	char value[64];
	size_t n = 0;

	for (size_t i = 0; (row = config_setting(i)) != NULL; i++)
		if (row->section == section) {
			n += (size_t)snprintf(out + n, max - n, "%s%s = %s\n", indent, row->name,
			    another_value(row, value));
			assert_true(n < max);
		}
	return n;
}

/* Every setting with a value other than its default, laid out as config_print() does. */
static void
everything(char *out, size_t max)
{
	size_t n = settings_of(SECTION_ROOT, "", out, max);

	for (unsigned s = SECTION_ROOT + 1; s < SECTION_COUNT; s++) {
		const struct section *section = config_section((enum config_section)s);
		if (section->above != SECTION_ROOT)
			continue;
		n += (size_t)snprintf(out + n, max - n, "\n%s%s {\n", section->name,
		    section->titled ? " \"one\"" : "");
		n += settings_of((enum config_section)s, "\t", out + n, max - n);
		for (unsigned i = s + 1; i < SECTION_COUNT; i++)
			if (config_section((enum config_section)i)->above ==
			    (enum config_section)s) {
				n += (size_t)snprintf(out + n, max - n, "\t%s {\n",
				    config_section((enum config_section)i)->name);
				n += settings_of((enum config_section)i, "\t\t", out + n, max - n);
				n += (size_t)snprintf(out + n, max - n, "\t}\n");
			}
		n += (size_t)snprintf(out + n, max - n, "}\n");
	}
	assert_true(n < max);
}

static void
test_round_trip_of_everything(void **state)
{
	char text[16384];

	(void)state;
	everything(text, sizeof(text));
	/* the files that it names are not there */
	struct config *c = config_parse("postern.conf", text, strlen(text), stderr);
	assert_non_null(c);
	char *again = printed(c);
	assert_string_equal(again, text);
	assert_string_equal(c->user, "a \"b\" \\ $c # {d}");
	free(again);
	config_free(c);
}

static void
test_round_trip_of_defaults(void **state)
{
	static const char *const texts[] = {NETWORK, "smtp { relay { check = off } }",
	    NETWORK FORWARD("b", "127.0.0.1:1", "127.0.0.1:2") FORWARD("a", "[::1]:1", "[::1]:2")};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct config *c = must_read(texts[i]);
		char *first = printed(c);
		config_free(c);
		c = must_read(first);
		char *second = printed(c);
		assert_string_equal(first, second);
		config_free(c);
		free(first);
		free(second);
	}
}

static void
test_appended(void **state)
{
	struct config *c = must_read("inside = {\"10.0.0.0/8\"}\ninside += {\"fd00::/8\",}\n"
				     "smtp { ports += {2525} }\r\n");
	char *text = printed(c);

	(void)state;
	assert_non_null(strstr(text, "inside = {\"10.0.0.0/8\", \"fd00::/8\"}\n"));
	assert_non_null(strstr(text, "ports = {25, 587, 2525}\n"));
	free(text);
	config_free(c);
}

/* ---- what is shipped ---- */

static char *
whole_file(const char *path)
{
	char *text = NULL;
	size_t room = 0;
	FILE *in = fopen(path, "r");

	if (in == NULL)
		fail_msg("%s: run from the top of the source tree", path);
	assert_true(getdelim(&text, &room, '\0', in) > 0);
	fclose(in);
	return text;
}

/* Is there a line that begins with blanks or "#" and then has name and " ="? */
static bool
has_setting(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = text; (p = strstr(p, name)) != NULL; p += n) {
		const char *start = p, *behind = p + n + strspn(p + n, " ");
		while (start > text && strchr("\t #", start[-1]) != NULL)
			start--;
		if ((start == text || start[-1] == '\n' || start[-1] == '{') && *behind == '=')
			return true;
	}
	return false;
}

/* "#name" is a setting that is commented out, "# word" explains. */
static void
uncomment(char *text)
{
	for (char *line = text; line != NULL && *line != '\0';) {
		if (line[0] == '#' && strchr("# \n", line[1]) == NULL)
			line[0] = ' ';
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
}

/* What the sample sets beside defaults. */
#define SAMPLE                                                                                     \
	"inside = {\"10.0.0.0/8\", \"fd00::/8\"}\n"                                                \
	"smtp { relay { local_domains = {\"example.edu\", \".example.edu\"} } }\n" FORWARD(        \
	    "mail", "127.0.0.1:2525", "192.0.2.25:25")

static void
same_printed(const char *a, const char *b)
{
	struct config *ca = must_read(a), *cb = must_read(b);
	char *pa = printed(ca), *pb = printed(cb);

	assert_string_equal(pa, pb);
	free(pa);
	free(pb);
	config_free(ca);
	config_free(cb);
}

static void
test_sample(void **state)
{
	char *text = whole_file("packaging/postern.conf");
	const struct setting *row;

	(void)state;
	same_printed(text, SAMPLE);
	for (size_t i = 0; (row = config_setting(i)) != NULL; i++)
		if (!has_setting(text, row->name))
			fail_msg("the sample does not explain %s", row->name);
	uncomment(text);
	same_printed(text, SAMPLE "intercept { }");
	free(text);
}

/* The part of the manual that is about a section, up to the next heading; empty: there is
 * none. To be freed. */
static char *
manual_section(const char *text, enum config_section section)
{
	char path[SETTING_PATH_MAX], heading[128];

	config_setting_path(section, NULL, path);
	snprintf(heading, sizeof(heading), "\n.Ss %s\n", *path != '\0' ? path : "Top level");
	const char *start = strstr(text, heading);
	if (start == NULL)
		return strdup("");
	start += strlen(heading) - 1;
	const char *end = strstr(start, "\n.S");
	return strndup(start, end != NULL ? (size_t)(end - start) + 1 : strlen(start));
}

/* Every setting has a heading in the manual, and its default in it. */
static void
test_manual(void **state)
{
	char *text = whole_file("packaging/man/postern.conf.5"), want[128];
	const struct setting *row;

	(void)state;
	for (size_t i = 0; (row = config_setting(i)) != NULL; i++) {
		bool given = row->fallback == NULL;
		bool quoted =
		    !given && (row->type == SETTING_TEXT || row->type == SETTING_ENDPOINT);
		const char *left = setting_is_list(row->type)		? "{"
				   : given && row->type == SETTING_TEXT ? "Ar path"
				   : given				? "Ar address"
				   : quoted				? "\\(dq"
									: "";
		const char *right = setting_is_list(row->type) ? "}" : quoted ? "\\(dq" : "";
		char *section = manual_section(text, row->section);
		snprintf(want, sizeof(want), "\n.It Ic %s = %s%s%s\n", row->name, left,
		    given ? "" : row->fallback, right);
		if (strstr(section, want) == NULL)
			fail_msg("postern.conf(5), section %s, does not have%s",
			    config_section(row->section)->name, want);
		free(section);
	}
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_missing_file),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_retrieval_defaults),
	    cmocka_unit_test(test_mime_defaults),
	    cmocka_unit_test(test_content_words_M9),
	    cmocka_unit_test(test_digests_are_handed_over_M9),
	    cmocka_unit_test(test_digest_lists_with_faults),
	    cmocka_unit_test(test_digest_lists_that_do_not_end),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_forwards),
	    cmocka_unit_test(test_inside_is_for_mail),
	    cmocka_unit_test(test_forwards_beside_interception),
	    cmocka_unit_test(test_mode),
	    cmocka_unit_test(test_endpoints),
	    cmocka_unit_test(test_starttls_words_of_all_protocols),
	    cmocka_unit_test(test_tls_ports_are_taken_too),
	    cmocka_unit_test(test_tls_rules),
	    cmocka_unit_test(test_tls_authorities),
	    cmocka_unit_test(test_tls_settings),
	    cmocka_unit_test(test_round_trip_of_everything),
	    cmocka_unit_test(test_round_trip_of_defaults),
	    cmocka_unit_test(test_appended),
	    cmocka_unit_test(test_sample),
	    cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
