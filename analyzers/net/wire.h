/*
 * wire - numbers of packet headers, the most significant octet first. The caller has looked that
 * they are there.
 */
#ifndef POSTERN_NET_WIRE_H
#define POSTERN_NET_WIRE_H

#include "core/span.h"

static inline uint16_t
wire_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
wire_u32(const uint8_t *p)
{
	return (uint32_t)wire_u16(p) << 16 | wire_u16(p + 2);
}

#endif
