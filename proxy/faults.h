/*
 * faults - what is wrong with a file: collected while it is read, told in the order of its lines.
 *
 * Of what makes the rest unreadable (syntax) only the first is kept, and nothing that was found
 * behind it is told: it may be a mere consequence.
 */
#ifndef POSTERN_FAULTS_H
#define POSTERN_FAULTS_H

#include <stdarg.h>
#include <stdio.h>

#include "core/span.h"

#define FAULTS_MAX     100  /* kept; further ones are counted */
#define FAULT_TEXT_MAX 1024 /* octets of one, with its NUL; a longer one is cut */

struct fault {
	unsigned line;
	char *text;
	bool warning; /* told, and no fault */
};

struct faults {
	struct fault fault[FAULTS_MAX];
	size_t n, warnings;   /* those of fault; warnings are among them */
	size_t left_out;      /* beyond FAULTS_MAX, or for want of memory */
	unsigned syntax_line; /* 0: the syntax is right */
	char *syntax;
};

void faults_init(struct faults *);
void faults_free(struct faults *);

/* line from 1. What is not printable is written \\xNN (printable.h). */
void faults_add(struct faults *, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Told as "warning: ..."; the file will do. */
void faults_warn(struct faults *, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void faults_syntax(struct faults *, unsigned line, const char *format, va_list)
    __attribute__((format(printf, 3, 0)));

/* Warnings are none. */
bool faults_any(const struct faults *);
/* "FILE:LINE: text", one line each. */
void faults_tell(struct faults *, const char *file, FILE *err);

#endif
