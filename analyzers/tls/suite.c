#include "tls/suite.h"

#define SHA1_OCTETS   20
#define SHA256_OCTETS 32
#define SHA384_OCTETS 48
#define SHA256	      "SHA256", SHA256_OCTETS
#define SHA384	      "SHA384", SHA384_OCTETS

#define VERSION_TLS10 0x0301
#define VERSION_TLS12 0x0303
#define VERSION_TLS13 0x0304

enum bulk {
	CBC128_SHA1,
	CBC256_SHA1,
	CBC128_SHA256,
	CBC256_SHA256,
	CBC256_SHA384,
	GCM128,
	GCM256,
	CCM128,
	CCM256,
	CCM128_8,
	CCM256_8,
	CHACHA20,
};

static const struct tls_suite bulks[] = {
    [CBC128_SHA1] = {TLS_CBC, "AES-128-CBC", 16, SHA1_OCTETS, "SHA1", SHA256},
    [CBC256_SHA1] = {TLS_CBC, "AES-256-CBC", 32, SHA1_OCTETS, "SHA1", SHA256},
    [CBC128_SHA256] = {TLS_CBC, "AES-128-CBC", 16, SHA256_OCTETS, "SHA256", SHA256},
    [CBC256_SHA256] = {TLS_CBC, "AES-256-CBC", 32, SHA256_OCTETS, "SHA256", SHA256},
    [CBC256_SHA384] = {TLS_CBC, "AES-256-CBC", 32, SHA384_OCTETS, "SHA384", SHA384},
    [GCM128] = {TLS_GCM, "AES-128-GCM", 16, 16, NULL, SHA256},
    [GCM256] = {TLS_GCM, "AES-256-GCM", 32, 16, NULL, SHA384},
    [CCM128] = {TLS_CCM, "AES-128-CCM", 16, 16, NULL, SHA256},
    [CCM256] = {TLS_CCM, "AES-256-CCM", 32, 16, NULL, SHA256},
    [CCM128_8] = {TLS_CCM, "AES-128-CCM", 16, 8, NULL, SHA256},
    [CCM256_8] = {TLS_CCM, "AES-256-CCM", 32, 8, NULL, SHA256},
    [CHACHA20] = {TLS_CHACHA20, "ChaCha20-Poly1305", 32, 16, NULL, SHA256},
};

/* first, first + step, ... last, of the registry of IANA; versions that have them. */
static const struct {
	uint16_t first, last, step;
	uint16_t lowest, highest;
	enum bulk bulk;
} rows[] = {
#define OLD   VERSION_TLS10, VERSION_TLS12
#define NEW   VERSION_TLS12, VERSION_TLS12
#define TLS13 VERSION_TLS13, VERSION_TLS13
    {0x002f, 0x0034, 1, OLD, CBC128_SHA1},   /* RSA, DH, DHE, DH_anon */
    {0x0035, 0x003a, 1, OLD, CBC256_SHA1},   /* the same */
    {0x003c, 0x003c, 1, NEW, CBC128_SHA256}, /* RSA */
    {0x003d, 0x003d, 1, NEW, CBC256_SHA256},
    {0x003e, 0x0040, 1, NEW, CBC128_SHA256}, /* DH_DSS, DH_RSA, DHE_DSS */
    {0x0067, 0x0067, 1, NEW, CBC128_SHA256}, /* DHE_RSA */
    {0x0068, 0x006b, 1, NEW, CBC256_SHA256}, /* DH, DHE */
    {0x006c, 0x006c, 1, NEW, CBC128_SHA256}, /* DH_anon */
    {0x006d, 0x006d, 1, NEW, CBC256_SHA256},
    {0x008c, 0x0094, 4, OLD, CBC128_SHA1}, /* PSK, DHE_PSK, RSA_PSK */
    {0x008d, 0x0095, 4, OLD, CBC256_SHA1},
    {0x009c, 0x00ac, 2, NEW, GCM128}, /* RSA, DHE, DH, DH_anon, PSK */
    {0x009d, 0x00ad, 2, NEW, GCM256},
    {0x00ae, 0x00b6, 4, OLD, CBC128_SHA256}, /* PSK, DHE_PSK, RSA_PSK (RFC 5487) */
    {0x00af, 0x00b7, 4, OLD, CBC256_SHA384},
    {0x1301, 0x1301, 1, TLS13, GCM128},
    {0x1302, 0x1302, 1, TLS13, GCM256},
    {0x1303, 0x1303, 1, TLS13, CHACHA20},
    {0x1304, 0x1304, 1, TLS13, CCM128},
    {0x1305, 0x1305, 1, TLS13, CCM128_8},
    {0xc004, 0xc018, 5, OLD, CBC128_SHA1}, /* ECDH, ECDHE, ECDH_anon */
    {0xc005, 0xc019, 5, OLD, CBC256_SHA1},
    {0xc01d, 0xc01f, 1, OLD, CBC128_SHA1}, /* SRP */
    {0xc020, 0xc022, 1, OLD, CBC256_SHA1},
    {0xc023, 0xc029, 2, NEW, CBC128_SHA256}, /* ECDHE, ECDH */
    {0xc024, 0xc02a, 2, NEW, CBC256_SHA384},
    {0xc02b, 0xc031, 2, NEW, GCM128},
    {0xc02c, 0xc032, 2, NEW, GCM256},
    {0xc035, 0xc035, 1, OLD, CBC128_SHA1}, /* ECDHE_PSK (RFC 5489) */
    {0xc036, 0xc036, 1, OLD, CBC256_SHA1},
    {0xc037, 0xc037, 1, OLD, CBC128_SHA256},
    {0xc038, 0xc038, 1, OLD, CBC256_SHA384},
    {0xc09c, 0xc09e, 2, NEW, CCM128}, /* RSA, DHE_RSA */
    {0xc09d, 0xc09f, 2, NEW, CCM256},
    {0xc0a0, 0xc0a2, 2, NEW, CCM128_8},
    {0xc0a1, 0xc0a3, 2, NEW, CCM256_8},
    {0xc0a4, 0xc0a6, 2, NEW, CCM128}, /* PSK, DHE_PSK */
    {0xc0a5, 0xc0a7, 2, NEW, CCM256},
    {0xc0a8, 0xc0aa, 2, NEW, CCM128_8},
    {0xc0a9, 0xc0ab, 2, NEW, CCM256_8},
    {0xc0ac, 0xc0ac, 1, NEW, CCM128}, /* ECDHE_ECDSA */
    {0xc0ad, 0xc0ad, 1, NEW, CCM256},
    {0xc0ae, 0xc0ae, 1, NEW, CCM128_8},
    {0xc0af, 0xc0af, 1, NEW, CCM256_8},
    {0xcca8, 0xccae, 1, NEW, CHACHA20}, /* ECDHE, DHE_RSA, PSK */
    {0xd001, 0xd001, 1, NEW, GCM128},	/* ECDHE_PSK (RFC 8442) */
    {0xd002, 0xd002, 1, NEW, GCM256},
    {0xd003, 0xd003, 1, NEW, CCM128_8},
    {0xd005, 0xd005, 1, NEW, CCM128},
#undef OLD
#undef NEW
#undef TLS13
};

const struct tls_suite *
tls_suite_of(uint16_t cipher, uint16_t version)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (cipher >= rows[i].first && cipher <= rows[i].last &&
		    (cipher - rows[i].first) % rows[i].step == 0 && version >= rows[i].lowest &&
		    version <= rows[i].highest)
			return &bulks[rows[i].bulk];
	return NULL;
}
