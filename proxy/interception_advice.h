/*
 * interception_advice - what on this host, as it is now, would keep interception from working:
 * other people's chains and rules of routing, interfaces that are not there, a setting of the
 * kernel; and where the mode is "off", a guard that still keeps ports closed.
 */
#ifndef POSTERN_INTERCEPTION_ADVICE_H
#define POSTERN_INTERCEPTION_ADVICE_H

#include "config.h"
#include "firewall_advice.h"

/* A line for each; none where all is well. Changes nothing. */
void interception_advice(const struct config *, firewall_advice_line *, void *arg);

#endif
