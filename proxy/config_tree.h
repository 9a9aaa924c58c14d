/*
 * config_tree - the text of a configuration as libconfuse reads it: sections, and in them values
 * as they were written, each with its line. What a value means is config_value's matter.
 */
#ifndef POSTERN_CONFIG_TREE_H
#define POSTERN_CONFIG_TREE_H

#include <confuse.h>

#include "config_schema.h"
#include "faults.h"

/*
 * text    of n octets, as config_scan() left it
 * faults  gains the first syntax fault
 *
 * NULL: no memory. Else what could be read, with the defaults of the schema filled in; to be
 * freed with cfg_free(). Values of a default have a line too, which says nothing.
 */
cfg_t *config_tree_read(char *text, size_t n, struct faults *faults);

/* A section; i counts those with a title. NULL: there is no such. */
cfg_t *config_tree_section(cfg_t *tree, enum config_section, unsigned i);

/* Value i of a setting, good as long as the tree; NULL: it has no so many. */
const char *config_tree_text(cfg_t *section, const struct setting *, unsigned i);
unsigned config_tree_line(cfg_t *section, const struct setting *, unsigned i);
unsigned config_tree_count(cfg_t *section, const struct setting *);
/* A setting that the file does not have gets this value. False: no memory. */
bool config_tree_set(cfg_t *section, const struct setting *, const char *text);

#endif
