/*
 * config_scan - the first look at the text of a configuration, before libconfuse reads it.
 *
 * libconfuse stops at the first unknown name, does not know where a setting stood once it has
 * read it, takes a comment inside a list for a fault, counts a line too many behind one in C
 * style, drops octets that it does not know, and puts the environment into strings. This pass
 * finds and names all of that, and leaves a text in which libconfuse finds none of it.
 *
 * The grammar:  NAME = VALUE,  NAME = { VALUE, ... },  NAME += { VALUE, ... },
 * NAME ["TITLE"] { ... };  comments from "#" or "//" to the end of the line, and in C style. A
 * string is quoted by " or ' and ends on its line; \" \\ \$ and \' are the only escapes.
 */
#ifndef POSTERN_CONFIG_SCAN_H
#define POSTERN_CONFIG_SCAN_H

#include "config_schema.h"
#include "faults.h"

#define TITLED_MAX 256 /* sections of a kind that has titles: forward, certificate ... */

struct config_scan {
	unsigned section_line[SECTION_COUNT]; /* where it stands first; 0: nowhere */
	unsigned setting_line[SETTINGS_MAX];  /* likewise; of a titled section: the last of them */
	unsigned titled_line[SECTION_COUNT][TITLED_MAX]; /* of each section with a title */
	size_t n_titled[SECTION_COUNT];			 /* may be more than TITLED_MAX */
};

/*
 * text     of *n octets; comments and statements with unknown names become blanks. Where it
 *          cannot be read any further *n is cut.
 * faults   gains unknown names, settings given twice, and what makes the text unreadable
 */
void config_scan(char *text, size_t *n, struct config_scan *out, struct faults *);

#endif
