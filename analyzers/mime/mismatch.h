/*
 * mismatch - declared type, names and content of a part that contradict each other in a way that
 * matters: to somebody who opens it, or to a filter that believes one of them.
 *
 * Not every difference matters: a word document is a zip file, source code is plain text, and
 * "application/octet-stream" says nothing. What does is in tables in mismatch.c. Pure, no memory.
 */
#ifndef POSTERN_MISMATCH_H
#define POSTERN_MISMATCH_H

#include "core/span.h"

/* What a type or an extension stands for, the more dangerous the higher. */
enum content_class {
	CLASS_UNKNOWN, /* also application/octet-stream */
	CLASS_TEXT,
	CLASS_IMAGE,
	CLASS_MEDIA, /* sound, film */
	CLASS_MAIL,
	CLASS_DOCUMENT, /* pdf, office, rtf */
	CLASS_ARCHIVE,
	CLASS_DISK, /* images of disks: iso, vhd */
	CLASS_HTML,
	CLASS_MACRO,  /* office documents that carry programs */
	CLASS_SCRIPT, /* a system runs it when it is opened */
	CLASS_EXECUTABLE,
	CLASSES
};
const char *content_class_name(enum content_class);
enum content_class class_of_type(struct span mime_type);
/* Of the extension that a system goes by: trailing dots and blanks do not count. */
enum content_class class_of_name(struct span name);

/*
 * The extension without its dot, as it stands there, after trailing dots, blanks and what follows
 * a NUL were left away; empty: there is none. Points into name.
 */
struct span name_extension(struct span name);

/* Constant: what is deceptive about a name all by itself ("double extension", ...); NULL: nothing.
 */
const char *name_trick(struct span name);

/* Puts the names in order, the most dangerous extension first; equals keep theirs. n is small. */
void names_worst_first(struct span *names, size_t n);

/*
 * The reason as a constant string, the worst one if there are several; NULL: nothing contradicts.
 * Spans may be empty where nothing is known. detected: of detect.h.
 */
const char *mismatch_look(
    struct span declared, struct span detected, const struct span *names, size_t n_names);

#endif
