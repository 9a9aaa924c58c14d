#include "explain.h"

#include <getopt.h>
#include <stdlib.h>

#include "address.h"
#include "cli.h"
#include "clock.h"
#include "config.h"
#include "printable.h"
#include "resolver_now.h"
#include "smtp/command.h"

#define COMMAND_MAX 4096 /* octets of a command line that is made from an option */
#define INDENT	    "    "

/* What is to be explained, as it stands on the command line. */
struct inquiry {
	const char *config, *from, *to, *helo, *device;
	struct ip client;
	struct endpoint server;
	bool auth;
};

/* What the steps share. */
struct explaining {
	const struct config *config;
	struct facts facts;
	struct resolver_now *resolver; /* made when the first question comes */
	unsigned offered;
};

/* One command: what was asked and answered on its way to a verdict. */
struct step {
	char line[COMMAND_MAX];
	struct smtp_detail detail;
	struct verdict verdict;
	struct answers *answers;
	struct dns_question asked[ANSWERS_MAX];
	size_t n_asked;
};

/* ---- options ---- */

static int
usage(const char *option, const char *why)
{
	fprintf(stderr, "postern explain: %s%s\n", option, why);
	commands_usage(stderr);
	return EXIT_USAGE;
}

/* "192.0.2.1", "2001:db8::1", either with brackets and ":PORT"; port 25 where none is. */
static bool
read_server(const char *text, struct endpoint *out)
{
	struct sockaddr_storage address;

	*out = (struct endpoint){.port = 25};
	if (ip_parse(span_str(text), &out->ip))
		return true;
	if (!config_endpoint(text, &address))
		return false;
	*out = address_endpoint((const struct sockaddr *)&address);
	return true;
}

enum {
	OPT_CLIENT = 256,
	OPT_SERVER,
	OPT_FROM,
	OPT_TO,
	OPT_HELO,
	OPT_AUTH,
	OPT_DEVICE,
};

static int
take_option(struct inquiry *q, int opt)
{
	switch (opt) {
	case 'c':
		q->config = optarg;
		return 0;
	case OPT_CLIENT:
		return ip_parse(span_str(optarg), &q->client)
			   ? 0
			   : usage("--client: ", "an IPv4 or IPv6 address must stand here");
	case OPT_SERVER:
		return read_server(optarg, &q->server)
			   ? 0
			   : usage("--server: ",
				 "ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT must stand here");
	case OPT_FROM:
		q->from = optarg;
		return 0;
	case OPT_TO:
		q->to = optarg;
		return 0;
	case OPT_HELO:
		q->helo = optarg;
		return 0;
	case OPT_AUTH:
		q->auth = true;
		return 0;
	case OPT_DEVICE:
		q->device = optarg;
		return 0;
	default:
		return usage("", "unknown option, or one without its value");
	}
}

static int
take_options(struct inquiry *q, int argc, char **argv)
{
	static const struct option options[] = {{"client", required_argument, NULL, OPT_CLIENT},
	    {"server", required_argument, NULL, OPT_SERVER},
	    {"from", required_argument, NULL, OPT_FROM}, {"to", required_argument, NULL, OPT_TO},
	    {"helo", required_argument, NULL, OPT_HELO}, {"auth", no_argument, NULL, OPT_AUTH},
	    {"device", required_argument, NULL, OPT_DEVICE}, {NULL, 0, NULL, 0}};
	int opt, wrong = 0;

	*q = (struct inquiry){.config = CONFIG_DEFAULT_PATH};
	opterr = 0;
	while (wrong == 0 && (opt = getopt_long(argc, argv, "c:", options, NULL)) != -1)
		wrong = take_option(q, opt);
	if (wrong != 0)
		return wrong;
	if (optind < argc)
		return usage(argv[optind], ": nothing but options may stand here");
	if (q->client.family == IP_NONE || q->server.ip.family == IP_NONE || q->from == NULL ||
	    q->to == NULL)
		return usage("", "--client, --server, --from and --to must all be given");
	return 0;
}

/* ---- facts ---- */

static bool
same_endpoint(const struct endpoint *a, const struct sockaddr_storage *b)
{
	struct endpoint e = address_endpoint((const struct sockaddr *)b);

	return ip_eq(&a->ip, &e.ip) && a->port == e.port;
}

static void
place(struct explaining *x, const struct inquiry *q)
{
	const struct config *c = x->config;
	bool listed = c->inside_devices[0] == NULL || q->device == NULL;

	x->facts =
	    (struct facts){.client = q->client, .server = q->server.ip, .authenticated = q->auth};
	policy_place(c->policy, &x->facts);
	x->facts.greeted = true; /* without --helo it is taken for granted */
	for (size_t i = 0; i < c->n_forwards; i++)
		if (same_endpoint(&q->server, &c->forwards[i].to))
			x->facts.server_inside = !c->forwards[i].outside;
	for (char **name = c->inside_devices; *name != NULL; name++)
		listed = listed || strcmp(*name, q->device) == 0;
	x->facts.client_inside = x->facts.client_inside && listed;
}

/* ---- verdicts ---- */

static void
remember_questions(struct step *s)
{
	for (size_t i = 0; i < s->verdict.n_questions && s->n_asked < ANSWERS_MAX; i++)
		s->asked[s->n_asked++] = s->verdict.questions[i];
}

/* Has the questions of the verdict answered. NULL, or why that cannot be. */
static const char *
ask(struct explaining *x, struct step *s, uint64_t deadline)
{
	uint64_t now = clock_ms();

	remember_questions(s);
	if (x->resolver == NULL)
		x->resolver = resolver_now_new(x->config->resolvers);
	if (x->resolver == NULL)
		return "out of memory";
	return resolver_now_ask(x->resolver, s->verdict.questions, s->verdict.n_questions,
	    deadline > now ? (unsigned)(deadline - now) : 1, s->answers);
}

/* NULL, or why there is no verdict. */
static const char *
judge(struct explaining *x, struct step *s)
{
	uint64_t deadline = clock_ms() + (uint64_t)x->config->dns_budget * 1000;
	struct an_event ev = {
	    .kind = EV_COMMAND, .dir = AN_C2S, .octets = span_str(s->line), .smtp = &s->detail};

	if ((s->answers = answers_new()) == NULL)
		return "out of memory";
	/* Every round brings an answer that was not there, and there are at most ANSWERS_MAX. */
	for (unsigned round = 0; round <= ANSWERS_MAX; round++) {
		policy_judge(x->config->policy, &x->facts, &ev, s->answers, &s->verdict);
		if (s->verdict.action != VERDICT_ASK)
			return NULL;
		const char *why = ask(x, s, deadline);
		if (why != NULL)
			return why;
	}
	return "the policy asks without end";
}

/* RFC 3463: 4.4.3 is the directory that could not be asked, and nothing else here has it. */
static int
outcome(const struct step *s)
{
	if (s->verdict.action != VERDICT_REFUSE)
		return EXPLAIN_PASSES;
	return strncmp(s->verdict.reply, "451 4.4.3 ", 10) == 0 ? EXPLAIN_UNDECIDED
								: EXPLAIN_REFUSED;
}

/* ---- words ---- */

static void
print_harmless(const char *text)
{
	struct buf out;

	buf_init(&out, 4 * COMMAND_MAX);
	printable(span_str(text), 4 * COMMAND_MAX, &out);
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
}

static void
print_records(const struct step *s, const struct dns_question *q)
{
	size_t n = answers_count(s->answers, q->type, q->name);
	char text[IP_TEXT_MAX];

	for (size_t i = 0; i < n; i++) {
		fputs(i > 0 ? ", " : "", stdout);
		if (q->type == DNS_MX) {
			const struct dns_mx *mx = answers_mx(s->answers, q->name, i);
			printf("%u %s", mx->preference, mx->host[0] != '\0' ? mx->host : ".");
		} else if (q->type == DNS_PTR) {
			fputs(answers_host(s->answers, q->name, i), stdout);
		} else {
			fputs(ip_text(answers_address(s->answers, q->type, q->name, i), text),
			    stdout);
		}
	}
}

static void
print_answers(const struct step *s)
{
	enum dns_status status;

	for (size_t i = 0; i < s->n_asked; i++) {
		const struct dns_question *q = &s->asked[i];
		printf(INDENT "DNS      %s %s: ", dns_type_name(q->type), q->name);
		if (!answers_status(s->answers, q->type, q->name, &status))
			fputs("no answer", stdout);
		else if (status == DNS_OK)
			print_records(s, q);
		else
			fputs(dns_status_name(status), stdout);
		putchar('\n');
	}
}

static void
print_step(const struct step *s, bool mail_refused)
{
	const struct verdict *v = &s->verdict;

	print_harmless(s->line);
	putchar('\n');
	print_answers(s);
	if (mail_refused)
		puts(INDENT
		    "note     MAIL was refused, so that the client is told 503 5.5.1 here; what "
		    "follows is\n" INDENT
		    "         what it would be told behind a MAIL that passes");
	printf(INDENT "verdict  %s%s; rule %s, reason %s\n",
	    v->action != VERDICT_REFUSE	      ? "passes"
	    : outcome(s) == EXPLAIN_UNDECIDED ? "undecided, refused for now"
					      : "refused",
	    v->would_refuse ? ", as the check only reports" : "", v->rule, v->reason);
	printf(INDENT "told     %s%s%s\n",
	    v->action == VERDICT_REFUSE ? v->reply : "what the server replies",
	    v->would_refuse ? "; were the check enforced: " : "", v->would_refuse ? v->reply : "");
}

static void
print_facts(const struct explaining *x, const struct inquiry *q)
{
	char ip[IP_TEXT_MAX], server[ADDRESS_TEXT_MAX];

	printf("client %s is %s, server %s is %s%s\n", ip_text(&q->client, ip),
	    x->facts.client_inside ? "inside" : "outside", address_text(&q->server, server),
	    x->facts.server_inside ? "inside" : "outside",
	    q->auth ? "; the server has authenticated the client" : "");
}

/* ---- the dialogue ---- */

/* A path as it stands in MAIL and RCPT; the brackets may be left out on the command line. */
static void
make_path_line(struct step *s, const char *verb, const char *path, const char *parameters)
{
	bool bare = path[0] != '<';

	*s = (struct step){.n_asked = 0};
	snprintf(s->line, sizeof(s->line), "%s%s%s%s%s", verb, bare ? "<" : "", path,
	    bare ? ">" : "", parameters);
}

/* A client that has such addresses says so at MAIL (RFC 6531 s3.4). */
static bool
needs_smtputf8(const struct inquiry *q)
{
	return !span_is_ascii(span_str(q->from)) || !span_is_ascii(span_str(q->to));
}

/* Returns the outcome; EXPLAIN_UNDECIDED when there is none and *why says it. */
static int
explain_step(struct explaining *x, struct step *s, bool mail_refused, const char **why)
{
	const struct smtp_limits *l = &x->config->smtp.dialogue;

	smtp_command_parse(span_str(s->line), (struct line_marks){.bare_lf = false}, l->line,
	    l->lenient_paths, x->offered, &s->detail);
	*why = judge(x, s);
	if (*why == NULL)
		print_step(s, mail_refused);
	answers_free(s->answers);
	s->answers = NULL;
	return *why == NULL ? outcome(s) : EXPLAIN_UNDECIDED;
}

/* A refusal counts for more than a doubt, and a doubt for more than nothing. */
static int
worse(int a, int b)
{
	if (a == EXPLAIN_REFUSED || b == EXPLAIN_REFUSED)
		return EXPLAIN_REFUSED;
	return a == EXPLAIN_PASSES ? b : a;
}

static int
explain_mail(struct explaining *x, const struct inquiry *q, struct step *s)
{
	const char *why = NULL;
	int result = EXPLAIN_PASSES, mail;

	if (q->helo != NULL) {
		*s = (struct step){.n_asked = 0};
		snprintf(s->line, sizeof(s->line), "EHLO %s", q->helo);
		result = explain_step(x, s, false, &why);
	}
	if (why == NULL) {
		make_path_line(s, "MAIL FROM:", q->from, needs_smtputf8(q) ? " SMTPUTF8" : "");
		mail = explain_step(x, s, false, &why);
		result = worse(result, mail);
	}
	if (why == NULL) {
		x->facts.null_sender = s->detail.path.null;
		x->facts.smtputf8 = s->detail.params.smtputf8;
		make_path_line(s, "RCPT TO:", q->to, "");
		result = worse(result, explain_step(x, s, mail != EXPLAIN_PASSES, &why));
	}
	if (why != NULL) {
		fprintf(stderr, "postern explain: %s\n", why);
		return EXPLAIN_UNDECIDED;
	}
	return result;
}

int
explain(int argc, char **argv)
{
	struct inquiry q;
	struct explaining x = {.offered = SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8};
	int result = take_options(&q, argc, argv);

	if (result != 0)
		return result;
	struct config *config = config_glance(q.config, stderr);
	if (config == NULL)
		return EXIT_USAGE;
	struct step *s = calloc(1, sizeof(*s));
	x.config = config;
	place(&x, &q);
	print_facts(&x, &q);
	result = s != NULL ? explain_mail(&x, &q, s) : EXPLAIN_UNDECIDED;
	resolver_now_free(x.resolver);
	free(s);
	config_free(config);
	return result;
}
