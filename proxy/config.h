/*
 * config - the configuration file, read once, checked whole, then never changed.
 *
 * The names and their meaning are in packaging/postern.conf (the sample that explains itself)
 * and postern.conf(5); config_schema.c has them in one table, with type, default and bounds. The
 * rows of the policy are compiled straight into struct policy.
 */
#ifndef POSTERN_CONFIG_H
#define POSTERN_CONFIG_H

#include <stdio.h>
#include <sys/socket.h>

#include "content.h"
#include "ftp/ftp.h"
#include "imap/imap.h"
#include "policy.h"
#include "pop3/pop3.h"
#include "smtp/smtp.h"

#define CONFIG_DEFAULT_PATH "/etc/postern/postern.conf"
#define CONFIG_FILE_MAX	    (16u << 20)		  /* octets of a configuration file */
#define CONFIG_TITLE_MAX    64			  /* octets: letters, digits, "-", "_", "." */
#define TLS_NAME_TEXT	    (2 + DOMAIN_TEXT_MAX) /* "*.example.edu" */
#define TLS_SECRET	    32			  /* octets that ticket keys are derived from */

enum protocol { PROTOCOL_FTP, PROTOCOL_SMTP, PROTOCOL_POP3, PROTOCOL_IMAP, PROTOCOL_COUNT };
const char *protocol_name(enum protocol);

/* The PROXY protocol header that a server gets ahead of everything else. */
enum send_proxy {
	SEND_PROXY_NO,
	SEND_PROXY_V1, /* a line of text */
	SEND_PROXY_V2, /* binary */
};

/*
 * forward "name" { listen = ADDR:PORT  to = ADDR:PORT  protocol = smtp  outside = no
 *                  send_proxy = no  implicit_tls = no }
 */
struct forward {
	char *name;
	struct sockaddr_storage listen, to; /* a family and a port, never 0 */
	enum protocol protocol;
	bool implicit_tls; /* clients and the server speak TLS from the first octet on */
	bool outside; /* the server is outside; else it counts as inside whatever its address */
	enum send_proxy send_proxy;
};

/*
 * certificate "name" { chain = PATH  key = PATH  names = {}  servers = {} }: what a client is shown
 * of servers inside.
 *
 * The PEM texts are there where config_read() read the files, or config_inherit() got them.
 */
struct certificate {
	char *name;
	char *chain, *key;	  /* paths */
	char **names;		  /* NULL-terminated, canonical; empty: what the certificate says */
	struct networks *servers; /* whose it is where a client says no name; empty: any inside */
	struct span chain_pem, key_pem;
};

enum tls_minimum { TLS_MINIMUM_1_2, TLS_MINIMUM_1_3 };

/* A CA of the gateway's own; its key goes to the signer alone. */
struct tls_authority {
	char *chain, *key;     /* paths; NULL: there is none */
	struct span chain_pem; /* its certificate, then those that go with it */
};

/* "tls { }". */
struct tls_config {
	enum tls_minimum minimum;
	/* What becomes of servers outside, and inside, that cannot be verified; never VERIFY_AUTO.
	 */
	enum tls_verify verify, verify_inside;
	char *trust;	      /* path of trust anchors (PEM); NULL: the system's */
	bool session_tickets; /* clients may resume */
	enum check stripped;  /* a server that offered STARTTLS until lately, and does not now */
	char *key_log;	      /* path; NULL: none */
	struct tls_authority ca[2]; /* by enum ca_which (ca.h); both are there, or none */
	/*
	 * The gateway's own, for mail from outside to servers inside that no section has one of:
	 * what was made at installation (own_certificate.h), where it is there, or the site's.
	 * Its paths may be NULL; it has no name, no names and no servers.
	 */
	struct certificate own;
	/* Certificates of CAs of the gateway's own: no anchors, wherever they stand (T-004). */
	struct span own_ca_pem;
	int signer_file;       /* what the signer is handed (signer.h); -1: none */
	struct span trust_pem; /* as the PEM texts of a certificate; empty: there are no anchors */
};

/* Seconds. RFC 5321 s4.5.3.2 are the defaults; none of them may be configured below it. */
struct smtp_timeouts {
	unsigned greeting;   /* server's 220: 300 */
	unsigned command;    /* client's next command: 300 */
	unsigned reply;	     /* server's reply to a command: 300 */
	unsigned data_init;  /* server's 354: 120 */
	unsigned data_block; /* the next octet of a body, either side: 180 */
	unsigned data_end;   /* server's reply to the end mark: 600 */
};

/* "limits { }": for all protocols, per worker. */
struct limits {
	unsigned sessions;		      /* 0: computed from the descriptor limit */
	unsigned sessions_per_client;	      /* 50 */
	unsigned sessions_per_minute;	      /* of a client, as all "per minute"; 0: any */
	unsigned messages_per_minute;	      /* 0: any; 451 4.7.1 */
	unsigned recipients_per_minute;	      /* 0: any; 451 4.7.1 */
	unsigned auth_failures_per_minute;    /* 10; 0: any; 454 4.7.0 */
	unsigned tls_handshakes_per_minute;   /* 600; 0: any; the session ends */
	unsigned client_prefix6;	      /* bits of an IPv6 address that make one client: 64 */
	unsigned pending_connects;	      /* to servers that do not answer yet, in all: 1000 */
	unsigned pending_connects_per_client; /* 50 */
	unsigned connect_timeout;	      /* seconds: 15 */
	unsigned pressure;	  /* percent of sessions from which timeouts shorten: 80 */
	unsigned pressed_timeout; /* seconds a client may idle then: 10 */
	unsigned min_rate; /* octets per second of a body, after the first minute: 500; 0: off */
	unsigned refusals; /* a client with that many refusals within refusal_window ... */
	unsigned refusal_window; /* seconds: 60 */
	unsigned block; /* ... is answered 421 for that many seconds: 300; refusals 0: off */
};

enum bare_newline {
	BARE_NEWLINE_REJECT,
	BARE_NEWLINE_NORMALIZE, /* a stray CR, LF or NUL becomes a space, never CR LF */
};

struct smtp_config {
	unsigned *ports;
	size_t n_ports;
	unsigned *tls_ports; /* of servers that speak TLS from the first octet on */
	size_t n_tls_ports;
	enum bare_newline bare_newline;
	struct smtp_limits dialogue;
	uint64_t message_size;	/* octets; 0: what the server announces */
	size_t header_size;	/* octets of a message header: 1 MiB; 550 5.6.0 */
	size_t body_line;	/* 0: no limit, only recorded; else 550 5.6.0 */
	unsigned hops;		/* Received fields: 100; 554 5.4.6 */
	unsigned recipients;	/* 1000, at least 100; 452 4.5.3 */
	unsigned errors;	/* 20; 421 4.7.0 */
	unsigned junk_commands; /* 100 */
	unsigned error_delay; /* milliseconds before the reply to the fifth error and later: 1000 */
	struct smtp_timeouts timeouts;
};

/* "ftp { timeouts { } }", seconds. */
struct ftp_timeouts {
	unsigned greeting;  /* server's 220: 300 */
	unsigned command;   /* client's next command, no transfer under way: 900 */
	unsigned reply;	    /* server's reply: 300 */
	unsigned data_open; /* a data connection, from its announcement: 30 */
	unsigned data_idle; /* an octet of one, either way: 300 */
};

/* What is to be said is in policy.ftp. */
struct ftp_config {
	unsigned *ports;
	size_t n_ports;
	unsigned *tls_ports; /* of servers that speak TLS from the first octet on */
	size_t n_tls_ports;
	bool server_data_same; /* towards the server what the client chose; else always passive */
	unsigned data_ports_from, data_ports_to; /* of our own, in redirect and forward modes */
	bool inspect;	     /* files are looked at; else their octets never come to user space */
	bool delete_refused; /* an upload that was refused is deleted where the session made it */
	enum { SERVER_DATA_SAME, SERVER_DATA_PRIVATE, SERVER_DATA_CLEAR } server_protection;
	/* Of data connections under TLS: the client's has to resume its control connection's
	 * session; an end without close_notify is one. */
	bool require_resumption, fin_ends;
	struct ftp_limits dialogue;
	unsigned pending; /* command lines that wait behind one: 20; 421 */
	unsigned errors;  /* 20; 421 */
	struct ftp_timeouts timeouts;
};

/* "pop3 { }", "imap { }", seconds. */
struct retrieval_timeouts {
	unsigned greeting; /* server's greeting: 300 */
	unsigned login;	   /* until the client has logged in: 180 */
	unsigned command;  /* client's next command: POP3 660 (RFC 1939: at least 600), IMAP 1860
			      (RFC 9051: 1800) */
	unsigned idle;	   /* IMAP IDLE, from either side's last octet: 2100 */
	unsigned reply;	   /* server's reply, or its next octet: 300 */
};

struct pop3_config {
	unsigned *ports;
	size_t n_ports;
	unsigned *tls_ports; /* of servers that speak TLS from the first octet on */
	size_t n_tls_ports;
	struct pop3_limits dialogue;
	unsigned errors; /* 10, 3 of them before login; the session ends */
	struct retrieval_timeouts timeouts;
};

struct imap_config {
	unsigned *ports;
	size_t n_ports;
	unsigned *tls_ports; /* of servers that speak TLS from the first octet on */
	size_t n_tls_ports;
	struct imap_limits dialogue;
	unsigned errors;
	struct retrieval_timeouts timeouts;
};

enum intercept_mode {
	INTERCEPT_OFF,
	INTERCEPT_TPROXY,
	INTERCEPT_REDIRECT,
};

struct intercept_config {
	char **devices;	     /* sessions arriving on these; empty: on any. NULL-terminated */
	bool on_exit_bypass; /* nothing stands in the way while the gateway is down; else refused */
	struct networks *bypass;	 /* clients never touched; sealed */
	struct networks *bypass_servers; /* servers never touched; sealed */
	bool unreachable_reset; /* the client of a server that cannot be reached is reset, not told
				 */
	/*
	 * The first of INTERCEPT_LISTEN_PORTS local ports: one for each protocol (listen_from +
	 * enum protocol), from INTERCEPT_DATA_PORT on one for the data connections of each worker
	 * process: those of two generations, which live side by side during a reload.
	 */
	unsigned listen_from;
	uint32_t mark;	   /* of packets that are taken off their way, under mark_mask */
	uint32_t own_mark; /* of what the gateway sends to servers, and of data that it lets by */
	uint32_t mark_mask;
	unsigned route_table; /* number of the routing table behind mark */
	bool sysctl;	      /* net.ipv4.tcp_early_demux is set to 0 while the gateway runs */
};

#define WORKERS_MAX	       256
#define INTERCEPT_DATA_PORT    16 /* behind listen_from */
#define INTERCEPT_DATA_PORTS   (2 * WORKERS_MAX)
#define INTERCEPT_LISTEN_PORTS (INTERCEPT_DATA_PORT + INTERCEPT_DATA_PORTS)

/* "rotation { }": of the log file, by the gateway itself; 0: not by this. */
struct rotation_config {
	uint64_t size;	   /* octets from which on a new file is begun */
	unsigned interval; /* seconds after which it is */
	unsigned keep;	   /* old files: eve.json.1 is the newest */
};

/* "mime { }": what is looked at in messages, and how far. */
struct mime_config {
	bool inspect;
	char **digests; /* NULL-terminated; options has them too */
	enum {
		TYPES_OWN,    /* by the small database that is compiled in */
		TYPES_SYSTEM, /* by the one of the system */
		TYPES_NO,
	} types;
	struct mail_options options;
};

enum capture_what {
	CAPTURE_ALL,
	CAPTURE_REFUSED, /* sessions that were refused something, from their beginning */
};
#define CAPTURE_LEG_CLIENT 1u
#define CAPTURE_LEG_SERVER 2u

/*
 * capture "name" { directory = PATH  what = all  clients = {}  servers = {}  protocols = {} ... }:
 * sessions that are written to capture files (tap.h). The first that holds decides.
 */
struct capture_config {
	char *name;
	char *directory;
	enum capture_what what;
	struct networks *clients, *servers; /* empty: any; sealed */
	unsigned protocols;		    /* a bit for each; 0: any */
	unsigned legs;			    /* CAPTURE_LEG_... */
	unsigned file_size;		    /* MiB */
	unsigned file_seconds;		    /* 0: as long as it takes */
	unsigned budget;		    /* MiB of all its files */
	bool keep_secrets;
	bool content; /* messages and files, not only what was said about them */
};

struct cfg_t; /* libconfuse */

struct config {
	char *path; /* of the file; "-": standard input */
	char *text; /* of the file, text_n octets */
	size_t text_n;
	unsigned workers;
	char *user;
	char *log;	      /* "-": standard output */
	char **resolvers;     /* NULL-terminated; "recurse" alone: ask the roots */
	char *dnssec_anchors; /* path; NULL: the system's, or the program's own */
	unsigned dns_budget;  /* seconds for all look-ups of one event; smtp.sender_domain.budget */
	unsigned drain;
	bool audit_required;		 /* while records are lost, new sessions are refused */
	char *status;			 /* path of the socket of "postern status"; "-": none */
	struct sockaddr_storage metrics; /* where Prometheus asks; AF_UNSPEC: nowhere */
	bool xferlog; /* FTP transfers also go to a file "xferlog" beside the log: "log_format" */
	struct rotation_config rotation;
	char **inside_devices; /* interfaces behind which "inside" is; empty: by address alone */
	enum intercept_mode mode;
	struct intercept_config intercept;
	struct port_list {
		unsigned *ports;
		size_t n;
	} taken[PROTOCOL_COUNT]; /* ports, then tls_ports, of each protocol */
	struct forward *forwards;
	size_t n_forwards;
	struct tls_config tls;
	struct certificate *certificates;
	size_t n_certificates;
	/*
	 * client_certificate "name" { chain = PATH  key = PATH }: shown to servers that ask, where
	 * a tls_rule says so; without names and servers.
	 */
	struct certificate *client_certificates;
	size_t n_client_certificates;
	struct capture_config *captures;
	size_t n_captures;
	uint8_t tls_secret[TLS_SECRET]; /* of the supervisor, in config_inherit()'s; else zeros */
	struct limits limits;
	struct smtp_config smtp;
	struct ftp_config ftp;
	struct pop3_config pop3;
	struct imap_config imap;
	struct mime_config mime;
	struct content_policy content;
	char *content_sha256;  /* path of the list in content.sha256; NULL: none */
	struct span handed;    /* config_inherit(): what content.sha256 and PEM texts lie in */
	struct policy *policy; /* sealed */
	struct cfg_t *tree;    /* the values as they were written, for config_print() */
};

/*
 * path  of the file, at most CONFIG_FILE_MAX octets; "-": standard input
 * err   gets every semantic fault and the first syntax fault in the order of the file, one line
 *       each: "FILE:LINE: smtp.relay.check: "on" is not one of enforce, report, off". Text from
 *       the file stands there without control characters.
 *
 * NULL: there was a fault, or no memory. Else to be freed with config_free().
 */
struct config *config_read(const char *path, FILE *err);
/*
 * The same for who needs no other file than this one, and may not be allowed to read them or must
 * not fail because of them: content.sha256 and PEM texts stay empty.
 */
struct config *config_glance(const char *path, FILE *err);
/*
 * The same of a text that was read already (n octets, copied); path is what messages call it. No
 * other file is read: content.sha256 and PEM texts stay empty.
 */
struct config *config_parse(const char *path, const char *text, size_t n, FILE *err);
/* There is something to serve, and config_is_roots_own(). False: one line on err. */
bool config_can_run(const struct config *, FILE *err);
/*
 * Whoever can change the file decides what root's firewall does: false, with one line on err, where
 * root asks and others may. That they may read it is no fault: nothing in it is a secret.
 */
bool config_is_roots_own(const struct config *, FILE *err);
void config_free(struct config *); /* NULL is fine */

/*
 * The configuration with its defaults filled in, in a form that config_read() takes again and
 * that gives the same when it is printed again.
 */
void config_print(const struct config *, FILE *);

/* The ports of a protocol that are taken off the wire, with TLS and without; *n of them. */
const unsigned *config_ports(const struct config *, enum protocol, size_t *n);
/* Those of them where TLS is spoken from the first octet on, and the others. */
const unsigned *config_tls_ports(const struct config *, enum protocol, size_t *n);
const unsigned *config_clear_ports(const struct config *, enum protocol, size_t *n);
/* Some forward section speaks it; and: or it is taken off the wire. */
bool config_forwards(const struct config *, enum protocol);
bool config_serves(const struct config *, enum protocol);
/* Some leg of a session may be under TLS that ends here. */
bool config_uses_tls(const struct config *);

/* Mail to servers outside may be intercepted, and what they publish is asked for first. */
bool config_asks_published(const struct config *);

/* "192.0.2.1:25", "[2001:db8::1]:25", port 1 to 65535. False: neither; *out is left alone. */
bool config_endpoint(const char *text, struct sockaddr_storage *out);

#endif
