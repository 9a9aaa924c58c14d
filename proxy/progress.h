/*
 * progress - how far a command is, in the last line of a terminal: one line that is drawn again
 * where it stands, at most ten times a second, and erased at the end. Where standard error is no
 * terminal, or TERM is "dumb" or missing, there is nothing at all.
 *
 *	[=========>          ]  46%  1.2 of 2.6 GiB  812 MiB/s  3,1 M packets  1204 records  0:02
 *left
 */
#ifndef POSTERN_PROGRESS_H
#define POSTERN_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_TEXT_MAX 256

struct progress_facts {
	uint64_t octets; /* read */
	uint64_t total;	 /* of all that will be; 0: nobody knows (standard input) */
	uint64_t packets, records;
};

struct progress;

/* NULL: nothing is to be shown, or no memory; all functions here take NULL. */
struct progress *progress_new(void);
/* Erases the line. */
void progress_free(struct progress *);
/* May be called as often as one likes, for each packet: it costs a look at a coarse clock. */
void progress_show(struct progress *, const struct progress_facts *);
/* Ahead of any other line on the terminal, on standard output too: the line goes, until the next
 * progress_show() that draws. */
void progress_hide(struct progress *);

/*
 * The line, in at most width columns (all are ASCII) and with a NUL. Of facts that do not fit the
 * speed goes first, the time that is left last; the bar takes what they leave, and is not there
 * where that is too little (below 60 columns), or where the total is not known. ms: since the
 * beginning. Returns its length.
 */
size_t progress_text(
    const struct progress_facts *, uint64_t ms, size_t width, char out[PROGRESS_TEXT_MAX]);

#endif
