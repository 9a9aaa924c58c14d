/* What tests of tap_*.c have in common: a record, and octets behind it. */
#ifndef POSTERN_TESTS_TAPS_H
#define POSTERN_TESTS_TAPS_H

#include <string.h>

#include "tap.h"

struct record {
	_Alignas(8) uint8_t octets[TAP_RECORD_MAX];
};

/* Of flow 1, 192.0.2.1:1025 to 192.0.2.2:25 at 1 second and 2 microseconds. */
static inline struct tap_record
record_like(enum tap_kind kind, enum an_dir dir)
{
	const uint8_t client[4] = {192, 0, 2, 1}, server[4] = {192, 0, 2, 2};

	return (struct tap_record){.size = (uint32_t)tap_record_size(0),
	    .kind = (uint8_t)kind,
	    .protocol = PROTOCOL_SMTP,
	    .dir = (uint8_t)dir,
	    .flow = 1,
	    .time = 1000002,
	    .client = {ip_v4(client), 1025},
	    .server = {ip_v4(server), 25},
	    .shown = 25};
}

/* The same with octets behind it. */
static inline const struct tap_record *
record_with(struct record *room, struct tap_record r, struct span octets)
{
	r.length = r.n = (uint32_t)octets.n;
	r.size = (uint32_t)tap_record_size(octets.n);
	memset(room->octets, 0, sizeof(room->octets));
	memcpy(room->octets, &r, sizeof(r));
	if (octets.n > 0)
		memcpy(room->octets + sizeof(r), octets.p, octets.n);
	return (const struct tap_record *)(const void *)room->octets;
}

#endif
