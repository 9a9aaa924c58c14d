#include "mime/sevenzip.h"

#define SIGNATURE_HEADER 32
#define OFFSET_AT	 12 /* of the directory, behind the signature header; 8 octets */
#define SIZE_AT		 20

enum {
	ID_END = 0x00,
	ID_HEADER = 0x01,
	ID_PACK_INFO = 0x06,
	ID_UNPACK_INFO = 0x07,
	ID_SIZE = 0x09,
	ID_FOLDER = 0x0b,
	ID_UNPACK_SIZE = 0x0c,
	ID_ENCODED_HEADER = 0x17,
};

static uint64_t
little(const uint8_t *p, unsigned octets)
{
	uint64_t n = 0;

	while (octets-- > 0)
		n = n << 8 | p[octets];
	return n;
}

/* Takes the octets that must stand here. */
static bool
take(struct span *s, const uint8_t *want, size_t n)
{
	if (s->n < n || memcmp(s->p, want, n) != 0)
		return false;
	*s = span_from(*s, n);
	return true;
}

static bool
take_octet(struct span *s, uint8_t want)
{
	return take(s, &want, 1);
}

/* A number of 1 to 9 octets: as many follow the first as it has leading ones. */
static bool
take_number(struct span *s, uint64_t *out)
{
	unsigned more = 0;
	uint8_t first;

	if (s->n == 0)
		return false;
	first = s->p[0];
	while (more < 8 && (first & (0x80u >> more)) != 0)
		more++;
	if (s->n < 1u + more)
		return false;
	*out = little(s->p + 1, more);
	if (more < 7)
		*out |= (uint64_t)(first & (0x7fu >> more)) << (8 * more);
	*s = span_from(*s, 1u + more);
	return true;
}

/* One stream, in one folder, by one coder: LZMA with five octets of properties. */
static bool
is_lzma_within_bounds(struct span s)
{
	static const uint8_t folder[] = {ID_END, ID_UNPACK_INFO, ID_FOLDER, 1, 0, 1};
	static const uint8_t lzma[] = {0x23, 0x03, 0x01, 0x01, 5};
	uint64_t position, packed, unpacked;

	if (!take_octet(&s, ID_PACK_INFO) || !take_number(&s, &position) || !take_octet(&s, 1) ||
	    !take_octet(&s, ID_SIZE) || !take_number(&s, &packed) ||
	    !take(&s, folder, sizeof(folder)) || !take(&s, lzma, sizeof(lzma)) || s.n < 5)
		return false;
	if (little(s.p + 1, 4) > SEVENZIP_DICTIONARY_MAX)
		return false;
	s = span_from(s, 5);
	return take_octet(&s, ID_UNPACK_SIZE) && take_number(&s, &unpacked) &&
	       unpacked <= SEVENZIP_DIRECTORY_MAX;
}

bool
sevenzip_directory_is_small(struct span archive)
{
	static const uint8_t signature[] = {'7', 'z', 0xbc, 0xaf, 0x27, 0x1c};
	struct span s = archive;
	uint64_t offset, size;

	if (archive.n < SIGNATURE_HEADER || !take(&s, signature, sizeof(signature)))
		return false;
	offset = little(archive.p + OFFSET_AT, 8);
	size = little(archive.p + SIZE_AT, 8);
	s = span_from(archive, SIGNATURE_HEADER);
	if (offset > s.n || size > s.n - offset)
		return false;
	s = span_first(span_from(s, (size_t)offset), (size_t)size);
	if (take_octet(&s, ID_HEADER))
		return true;
	return take_octet(&s, ID_ENCODED_HEADER) && is_lzma_within_bounds(s);
}
