/*
 * config_value - what the values of a setting mean: checked against its row of the schema, and
 * put where that row says.
 */
#ifndef POSTERN_CONFIG_VALUE_H
#define POSTERN_CONFIG_VALUE_H

#include "config_tree.h"

/*
 * section  of the tree, the one that row belongs to
 * base     the struct that row->offset counts from, its sets made
 * faults   gains one for every value that will not do; such a value is left out
 *
 * A setting without a value is left alone.
 */
void config_value_take(
    cfg_t *section, const struct setting *row, void *base, struct faults *faults);

/* Frees a list that is a char **, of whatever setting; NULL is fine. */
void config_words_free(char **words);

#endif
