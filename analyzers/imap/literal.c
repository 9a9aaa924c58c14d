#include "imap/literal.h"

enum state { NOT_BEGUN, OPENED, ZERO, DIGITS, PLUS, CLOSED };

void
imap_announcement_begin(struct imap_announcement *a, bool eight)
{
	*a = (struct imap_announcement){.state = OPENED, .literal.eight = eight};
}

static bool
add_digit(struct imap_announcement *a, uint8_t digit)
{
	struct imap_literal *l = &a->literal;

	if (l->octets > ((uint64_t)INT64_MAX - digit) / 10)
		return false;
	l->octets = l->octets * 10 + digit;
	a->state = a->state == OPENED && digit == 0 ? ZERO : DIGITS;
	return true;
}

bool
imap_announcement_add(struct imap_announcement *a, uint8_t c)
{
	bool number = a->state == ZERO || a->state == DIGITS;

	if (octet_is_digit(c))
		return (a->state == OPENED || a->state == DIGITS) && add_digit(a, c - '0');
	if (c == '+') {
		a->state = PLUS;
		a->literal.plus = true;
		return number && a->literal.octets <= UINT32_MAX;
	}
	if (c != '}' || (!number && a->state != PLUS))
		return false;
	a->state = CLOSED;
	a->literal.announced = true;
	return true;
}

bool
imap_announcement_begun(const struct imap_announcement *a)
{
	return a->state != NOT_BEGUN;
}

struct span
imap_literal_before(struct span line)
{
	ptrdiff_t at = span_rfind(line, '{');

	if (at > 0 && line.p[at - 1] == '~')
		at--;
	return span_first(line, at < 0 ? line.n : (size_t)at);
}

bool
imap_literal_suspect(struct span line)
{
	ptrdiff_t open;
	struct span inside;

	line = span_rtrim(line);
	open = span_rfind(line, '{');
	if (open < 0 || line.p[line.n - 1] != '}')
		return false;
	inside = span_from(line, (size_t)open + 1);
	for (size_t i = 0; i < inside.n; i++)
		if (octet_is_digit(inside.p[i]))
			return true;
	return false;
}
