/*
 * mime_tree - what is in a message, for people: a line for each part, and below it what is odd.
 */
#ifndef POSTERN_MIME_TREE_H
#define POSTERN_MIME_TREE_H

#include <stdio.h>

#include "mime/mail.h"

/* Text from the message is printable (printable.h) and cut. */
void mime_tree_print(const struct mail *, FILE *);

#endif
