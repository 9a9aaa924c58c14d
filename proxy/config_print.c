#include "config_tree.h"

/* A word that libconfuse reads without quotes and that is no text of the user's. */
static bool
is_bare(enum setting_type t)
{
	return t == SETTING_NUMBER || t == SETTING_CHOICE || t == SETTING_PORTS ||
	       t == SETTING_CHOICES;
}

static void
print_value(const struct setting *row, const char *text, FILE *out)
{
	if (is_bare(row->type)) {
		fputs(text, out);
		return;
	}
	putc('"', out);
	for (; *text != '\0'; text++) {
		if (strchr("\"\\$", *text) != NULL)
			putc('\\', out);
		putc(*text, out);
	}
	putc('"', out);
}

static void
print_setting(cfg_t *section, const struct setting *row, const char *indent, FILE *out)
{
	unsigned n = config_tree_count(section, row);
	bool list = setting_is_list(row->type);

	fprintf(out, "%s%s = %s", indent, row->name, list ? "{" : "");
	for (unsigned i = 0; i < n; i++) {
		if (i > 0)
			fputs(", ", out);
		print_value(row, config_tree_text(section, row, i), out);
	}
	if (n == 0 && !list)
		print_value(row, "", out);
	fputs(list ? "}\n" : "\n", out);
}

static void
print_settings(cfg_t *at, enum config_section section, const char *indent, FILE *out)
{
	const struct setting *row;

	for (size_t i = 0; (row = config_setting(i)) != NULL; i++)
		if (row->section == section)
			print_setting(at, row, indent, out);
}

/* A section with those in it; the schema is two deep below the root. */
static void
print_section(const struct config *c, enum config_section section, unsigned nth, FILE *out)
{
	const struct section *s = config_section(section);
	cfg_t *at = config_tree_section(c->tree, section, nth);

	if (s->titled)
		fprintf(out, "\n%s \"%s\" {\n", s->name, cfg_title(at));
	else
		fprintf(out, "\n%s {\n", s->name);
	print_settings(at, section, "\t", out);
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		const struct section *inner = config_section((enum config_section)i);
		if (inner->above != section)
			continue;
		fprintf(out, "\t%s {\n", inner->name);
		print_settings(config_tree_section(c->tree, (enum config_section)i, 0),
		    (enum config_section)i, "\t\t", out);
		fputs("\t}\n", out);
	}
	fputs("}\n", out);
}

void
config_print(const struct config *c, FILE *out)
{
	print_settings(c->tree, SECTION_ROOT, "", out);
	for (unsigned i = SECTION_ROOT + 1; i < SECTION_COUNT; i++) {
		if (config_section((enum config_section)i)->above != SECTION_ROOT)
			continue;
		unsigned n = cfg_size(c->tree, config_section((enum config_section)i)->name);
		for (unsigned nth = 0; nth < n; nth++)
			print_section(c, (enum config_section)i, nth, out);
	}
}
