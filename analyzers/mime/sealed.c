#include "mime/sealed.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

const char *
sealed_name(enum sealed kind)
{
	static const char *const names[SEALED_KINDS] = {
	    [SEALED_NOT] = "none",
	    [SEALED_SMIME_SIGNED] = "smime-signed",
	    [SEALED_SMIME_ENCRYPTED] = "smime-encrypted",
	    [SEALED_SMIME_COMPRESSED] = "smime-compressed",
	    [SEALED_PGP_SIGNED] = "pgp-signed",
	    [SEALED_PGP_ENCRYPTED] = "pgp-encrypted",
	    [SEALED_PGP_KEY] = "pgp-key",
	};

	return names[kind];
}

bool
sealed_is_encrypted(enum sealed kind)
{
	return kind == SEALED_SMIME_ENCRYPTED || kind == SEALED_PGP_ENCRYPTED;
}

/* ---- S/MIME ---- */

/* Content types of CMS, DER with tag and length. */
static const struct {
	const char *oid;
	size_t n;
	enum sealed kind;
} contents[] = {
    {"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", 11, SEALED_SMIME_SIGNED},
    {"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03", 11, SEALED_SMIME_ENCRYPTED},
    {"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x04", 11, SEALED_SMIME_ENCRYPTED},
    {"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06", 11, SEALED_SMIME_ENCRYPTED},
    {"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09", 13, SEALED_SMIME_COMPRESSED},
    {"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17", 13, SEALED_SMIME_ENCRYPTED},
};

/* ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, ... }, definite length or not. */
static enum sealed
look_for_cms(struct span s)
{
	if (s.n < 2 || s.p[0] != 0x30)
		return SEALED_NOT;
	s = span_from(s, 2 + (s.p[1] > 0x80 ? s.p[1] & 0x7fu : 0));
	for (size_t i = 0; i < nitems(contents); i++)
		if (span_starts(s, span_of(contents[i].oid, contents[i].n)))
			return contents[i].kind;
	return SEALED_NOT;
}

/* ---- PGP ---- */

/* Types of packets (RFC 9580 s5) that a message begins with. */
static enum sealed
kind_of_packet(uint8_t first)
{
	unsigned type = (first & 0x40) != 0 ? first & 0x3f : first >> 2 & 0x0f;

	if ((first & 0x80) == 0)
		return SEALED_NOT;
	switch (type) {
	case 1:	 /* public-key encrypted session key */
	case 3:	 /* symmetric-key encrypted session key */
	case 9:	 /* symmetrically encrypted data */
	case 18: /* the same, integrity protected */
		return SEALED_PGP_ENCRYPTED;
	case 2: /* signature */
	case 4: /* one-pass signature */
		return SEALED_PGP_SIGNED;
	default:
		return SEALED_NOT;
	}
}

/* Without armor only what leaves little doubt: a session key packet of a known version. */
static enum sealed
look_for_packet(struct span s)
{
	size_t version;

	if (s.n < 4 || (s.p[0] & 0x80) == 0)
		return SEALED_NOT;
	if ((s.p[0] & 0x40) != 0)
		version = s.p[1] < 192 ? 2 : 3;
	else
		version = (s.p[0] & 3) == 0 ? 2 : 3;
	if (kind_of_packet(s.p[0]) != SEALED_PGP_ENCRYPTED)
		return SEALED_NOT;
	return s.p[version] >= 3 && s.p[version] <= 6 && s.p[0] != 0xff ? SEALED_PGP_ENCRYPTED
									: SEALED_NOT;
}

static int
sextet(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (octet_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The first octet of what the armor holds: behind the blank line that ends its headers. */
static enum sealed
look_into_armor(struct span s)
{
	size_t i = 0, line = 1;
	int high, low;

	for (; i < s.n && line > 0; i++) {
		if (s.p[i] == '\n')
			line = 0;
		else if (s.p[i] != '\r' && s.p[i] != ' ')
			line++;
		if (s.p[i] == '\n' && i + 1 < s.n && s.p[i + 1] != '\r' && s.p[i + 1] != '\n')
			line = 1;
	}
	while (i < s.n && (s.p[i] == '\r' || s.p[i] == '\n'))
		i++;
	high = i + 1 < s.n ? sextet(s.p[i]) : -1;
	low = i + 1 < s.n ? sextet(s.p[i + 1]) : -1;
	if (high < 0 || low < 0)
		return SEALED_NOT;
	return kind_of_packet((uint8_t)(high << 2 | low >> 4));
}

static enum sealed
look_for_armor(struct span s)
{
	enum sealed inside;

	while (s.n > 0 && s.p[0] <= ' ')
		s = span_from(s, 1);
	if (span_starts(s, span_str("-----BEGIN PGP SIGNED MESSAGE-----")) ||
	    span_starts(s, span_str("-----BEGIN PGP SIGNATURE-----")))
		return SEALED_PGP_SIGNED;
	if (span_starts(s, span_str("-----BEGIN PGP PUBLIC KEY BLOCK-----")) ||
	    span_starts(s, span_str("-----BEGIN PGP PRIVATE KEY BLOCK-----")))
		return SEALED_PGP_KEY;
	if (!span_starts(s, span_str("-----BEGIN PGP MESSAGE")))
		return SEALED_NOT;
	inside = look_into_armor(s);
	/* compressed, cut off, damaged: nobody but a PGP program looks inside all the same */
	return inside == SEALED_NOT ? SEALED_PGP_ENCRYPTED : inside;
}

enum sealed
sealed_look(struct span prefix)
{
	enum sealed kind = look_for_cms(prefix);

	if (kind == SEALED_NOT)
		kind = look_for_armor(prefix);
	if (kind == SEALED_NOT)
		kind = look_for_packet(prefix);
	return kind;
}
