#include "config_tree.h"

#include <stdlib.h>

/* libconfuse's callbacks get no argument of ours; a setting that no file can name carries it. */
#define CARRIER "\001"

struct value {
	unsigned line;
	char text[];
};

static unsigned
line_of(const cfg_t *cfg)
{
	return cfg->line > 0 ? (unsigned)cfg->line : 1;
}

static int
value_read(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	size_t n = strlen(text) + 1;
	struct value *v = malloc(sizeof(*v) + n);

	(void)opt;
	if (v == NULL) {
		cfg_error(cfg, "out of memory");
		return -1;
	}
	v->line = line_of(cfg);
	memcpy(v->text, text, n);
	*(struct value **)result = v;
	return 0;
}

static void __attribute__((format(printf, 2, 0)))
syntax_fault(cfg_t *cfg, const char *format, va_list ap)
{
	faults_syntax(cfg_getptr(cfg, CARRIER), line_of(cfg), format, ap);
}

/* ---- the schema in libconfuse's words ---- */

/* A name is copied by libconfuse, and never written to. */
static cfg_opt_t
setting_option(const struct setting *row, char *fallback)
{
	cfg_opt_t opt = CFG_PTR_CB(row->name, NULL, CFGF_NODEFAULT, value_read, free);

	if (setting_is_list(row->type))
		opt.flags |= CFGF_LIST;
	if (row->fallback != NULL && *row->fallback != '\0') {
		opt.flags &= ~CFGF_NODEFAULT;
		opt.def.parsed = fallback;
	}
	return opt;
}

static cfg_opt_t
section_option(const struct section *section, cfg_opt_t *inner)
{
	cfg_flag_t flags =
	    section->titled ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES : CFGF_NONE;
	cfg_opt_t opt = CFG_SEC(section->name, inner, flags);

	return opt;
}

#define SECTION_OPTIONS                                                                            \
	40 /* settings and sections of one section, with the carrier and the end                   \
	    */
#define FALLBACK_MAX 40

struct options {
	cfg_opt_t opt[SECTION_COUNT][SECTION_OPTIONS];
	size_t n[SECTION_COUNT];
	char fallback[SETTINGS_MAX][FALLBACK_MAX];
	void *carried;
};

static void
options_add(struct options *o, enum config_section section, cfg_opt_t opt)
{
	if (o->n[section] < SECTION_OPTIONS - 1)
		o->opt[section][o->n[section]++] = opt;
}

static void
options_fill(struct options *o)
{
	const struct setting *row;

	for (unsigned s = 0; s < SECTION_COUNT; s++) {
		cfg_opt_t carrier = CFG_PTR_CB(CARRIER, NULL, CFGF_NODEFAULT, value_read, NULL);
		carrier.simple_value.ptr = &o->carried;
		options_add(o, (enum config_section)s, carrier);
	}
	for (size_t i = 0; (row = config_setting(i)) != NULL; i++) {
		snprintf(o->fallback[i], FALLBACK_MAX, setting_is_list(row->type) ? "{%s}" : "%s",
		    row->fallback != NULL ? row->fallback : "");
		options_add(o, row->section, setting_option(row, o->fallback[i]));
	}
	/* Inner sections come behind outer ones in the schema: from the end they are complete. */
	for (unsigned s = SECTION_COUNT - 1; s > SECTION_ROOT; s--) {
		const struct section *section = config_section((enum config_section)s);
		options_add(o, section->above, section_option(section, o->opt[s]));
	}
}

/* ---- reading ---- */

static cfg_t *
parse(struct options *o, char *text, size_t n)
{
	FILE *in = fmemopen(text, n, "r");

	if (in == NULL)
		return NULL;
	cfg_t *tree = cfg_init(o->opt[SECTION_ROOT], CFGF_NONE);
	if (tree != NULL) {
		cfg_set_error_function(tree, syntax_fault);
		cfg_parse_fp(tree, in);
	}
	fclose(in);
	return tree;
}

cfg_t *
config_tree_read(char *text, size_t n, struct faults *faults)
{
	struct options *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->carried = faults;
	options_fill(o);
	cfg_t *tree = parse(o, text, n);
	free(o);
	return tree;
}

cfg_t *
config_tree_section(cfg_t *tree, enum config_section section, unsigned i)
{
	const struct section *s = config_section(section);

	if (section == SECTION_ROOT)
		return tree;
	if (s->above != SECTION_ROOT)
		tree = cfg_getsec(tree, config_section(s->above)->name);
	return cfg_getnsec(tree, s->name, i);
}

static const struct value *
value_at(cfg_t *section, const struct setting *row, unsigned i)
{
	return cfg_getnptr(section, row->name, i);
}

const char *
config_tree_text(cfg_t *section, const struct setting *row, unsigned i)
{
	const struct value *v = value_at(section, row, i);

	return v != NULL ? v->text : NULL;
}

unsigned
config_tree_line(cfg_t *section, const struct setting *row, unsigned i)
{
	const struct value *v = value_at(section, row, i);

	return v != NULL ? v->line : 1;
}

unsigned
config_tree_count(cfg_t *section, const struct setting *row)
{
	return cfg_size(section, row->name);
}

bool
config_tree_set(cfg_t *section, const struct setting *row, const char *text)
{
	return cfg_setopt(section, cfg_getopt(section, row->name), text) != NULL;
}
