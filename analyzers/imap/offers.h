/*
 * offers - what a server has said that it can, as far as it decides which literals it will read.
 * Source: RFC 9051 s7.2.2; the capabilities that verbs.c names.
 */
#ifndef POSTERN_IMAP_OFFERS_H
#define POSTERN_IMAP_OFFERS_H

#include "core/span.h"

/* A bit for each of them that a list ("IMAP4rev1 QUOTA=RES-STORAGE") has. */
uint32_t imap_offers(struct span capabilities);
/* One of those names, or "", which is always offered. */
bool imap_offers_has(uint32_t offers, const char *name);

#endif
