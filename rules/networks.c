#include "networks.h"

#include <stdlib.h>

/* Two networks are apart or one lies in the other, so first and last octets are enough. */
struct range {
	struct ip first, last;
};

struct networks {
	struct range *ranges; /* after networks_seal(): sorted, none within or beside another */
	size_t n, cap;
};

static int
ip_compare(const struct ip *a, const struct ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->octets, b->octets, sizeof(a->octets));
}

/* By first address; of two that begin together the wider one comes first. */
static int
range_compare(const void *pa, const void *pb)
{
	const struct range *a = pa, *b = pb;
	int order = ip_compare(&a->first, &b->first);

	return order != 0 ? order : ip_compare(&b->last, &a->last);
}

struct networks *
networks_new(void)
{
	return calloc(1, sizeof(struct networks));
}

void
networks_free(struct networks *set)
{
	if (set == NULL)
		return;
	free(set->ranges);
	free(set);
}

/* What is wrong with the text, or NULL. */
static const char *
network_parse(struct span text, struct ip *first, unsigned *bits)
{
	ptrdiff_t slash = span_find(text, '/');
	struct span address = slash < 0 ? text : span_first(text, (size_t)slash);
	uint64_t prefix;
	struct ip net;

	if (!ip_parse(address, first))
		return "is no IPv4 or IPv6 address";
	if (first->family == IP_V4 && span_find(address, ':') >= 0)
		return "is an IPv4-mapped address: write it as IPv4";
	prefix = first->family == IP_V4 ? 32 : 128;
	if (slash >= 0 && !span_u64(span_from(text, (size_t)slash + 1), prefix, &prefix))
		return first->family == IP_V4 ? "needs a prefix length from 0 to 32"
					      : "needs a prefix length from 0 to 128";
	*bits = (unsigned)prefix;
	net = ip_network(first, *bits);
	return ip_eq(&net, first) ? NULL : "has bits set behind the prefix";
}

static struct ip
network_last(const struct ip *first, unsigned bits)
{
	struct ip last = *first;
	unsigned width = first->family == IP_V4 ? 32 : 128;

	for (unsigned bit = bits; bit < width; bit++)
		last.octets[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	return last;
}

bool
networks_add(struct networks *set, const char *text, const char **why)
{
	struct range *range;
	struct ip first;
	unsigned bits = 0;

	*why = network_parse(span_str(text), &first, &bits);
	if (*why != NULL)
		return false;
	if (set->n == set->cap) {
		size_t cap = set->cap == 0 ? 8 : 2 * set->cap;

		range = realloc(set->ranges, cap * sizeof(*range));
		if (range == NULL) {
			*why = "does not fit into memory";
			return false;
		}
		set->ranges = range;
		set->cap = cap;
	}
	set->ranges[set->n++] = (struct range){first, network_last(&first, bits)};
	return true;
}

/* b, which does not begin ahead of a, begins in a or right behind it. */
static bool
range_touches(const struct range *a, const struct range *b)
{
	struct ip next = a->last;
	size_t i = next.family == IP_V4 ? 4 : 16;

	if (ip_compare(&b->first, &a->last) <= 0)
		return true;
	while (i > 0 && ++next.octets[i - 1] == 0)
		i--;
	return i > 0 && ip_eq(&next, &b->first);
}

void
networks_seal(struct networks *set)
{
	size_t kept = 0;

	if (set->n == 0)
		return;
	qsort(set->ranges, set->n, sizeof(set->ranges[0]), range_compare);
	for (size_t i = 1; i < set->n; i++) {
		struct range *wide = &set->ranges[kept], *range = &set->ranges[i];

		if (!range_touches(wide, range))
			set->ranges[++kept] = *range;
		else if (ip_compare(&range->last, &wide->last) > 0)
			wide->last = range->last;
	}
	set->n = kept + 1;
}

bool
networks_has(const struct networks *set, const struct ip *ip)
{
	size_t low = 0, high = set == NULL ? 0 : set->n;

	while (low < high) { /* the last range that does not begin behind ip is at low - 1 */
		size_t middle = low + (high - low) / 2;

		if (ip_compare(&set->ranges[middle].first, ip) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && ip_compare(ip, &set->ranges[low - 1].last) <= 0;
}

bool
networks_empty(const struct networks *set)
{
	return set == NULL || set->n == 0;
}

bool
networks_range(const struct networks *set, size_t i, struct ip *first, struct ip *last)
{
	if (set == NULL || i >= set->n)
		return false;
	*first = set->ranges[i].first;
	*last = set->ranges[i].last;
	return true;
}
