/*
 * textscan - is it text, in which character encoding, and what kind of text: html, xml, scripts.
 *
 * A bounded look at the first octets of a part; no memory, linear. Octets are text when none of
 * them is a control character that texts do not have. Html is told as browsers do, by the tag that
 * stands first (WHATWG MIME Sniffing s7.1), and by tags at the beginning of any line; scripts by
 * what their interpreters go by, or by calls that nothing but a script for a Windows host makes.
 */
#ifndef POSTERN_TEXTSCAN_H
#define POSTERN_TEXTSCAN_H

#include "core/span.h"

/* The type, a constant, and *charset (see detect.h); NULL: it is no text, *charset is NULL. */
const char *textscan_look(struct span prefix, const char **charset);

#endif
