#include "core/telnet.h"

/* Octets of a subnegotiation, from SB on, up to and including IAC SE. */
static size_t
subnegotiation(struct span s)
{
	for (size_t i = 1; i + 1 < s.n; i++) {
		if (s.p[i] != TELNET_IAC)
			continue;
		if (s.p[i + 1] == TELNET_SE)
			return i + 2;
		i++;
	}
	return s.n;
}

/* Octets behind IAC that belong to its sequence. */
static size_t
sequence(struct span s)
{
	if (s.n == 0)
		return 0;
	if (s.p[0] == TELNET_SB)
		return subnegotiation(s);
	if (s.p[0] >= TELNET_WILL && s.p[0] <= TELNET_DONT)
		return s.n < 2 ? s.n : 2;
	return s.p[0] >= TELNET_SE ? 1 : 0;
}

bool
telnet_plain(struct span line, struct buf *out, bool *found)
{
	ptrdiff_t iac;

	*found = false;
	while ((iac = span_find(line, TELNET_IAC)) >= 0) {
		struct span behind = span_from(line, (size_t)iac + 1);
		bool octet = behind.n > 0 && behind.p[0] == TELNET_IAC;

		if (!buf_add(out, span_first(line, (size_t)iac + (octet ? 1 : 0))))
			return false;
		*found = *found || !octet;
		line = span_from(behind, octet ? 1 : sequence(behind));
	}
	return buf_add(out, line);
}

bool
telnet_write(struct span octets, struct buf *out)
{
	ptrdiff_t iac;

	while ((iac = span_find(octets, TELNET_IAC)) >= 0) {
		if (!buf_add(out, span_first(octets, (size_t)iac + 1)) ||
		    !buf_octet(out, TELNET_IAC))
			return false;
		octets = span_from(octets, (size_t)iac + 1);
	}
	return buf_add(out, octets);
}
