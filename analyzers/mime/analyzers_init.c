#include "mime/analyzers_init.h"

#include <openssl/evp.h>

#include "mime/archive.h"
#include "mime/charset.h"
#include "mime/detect.h"

/* The first use of a digest loads its provider, and reads the configuration of libcrypto. */
static bool
warm_digest(const EVP_MD *digest)
{
	uint8_t sum[EVP_MAX_MD_SIZE];

	return EVP_Digest("", 0, sum, NULL, digest, NULL) == 1;
}

bool
analyzers_init(bool system_types, const char **why)
{
	if (!charset_init()) {
		*why = "a charset is missing: libc's tables (gconv modules) are not complete";
		return false;
	}
	if (!warm_digest(EVP_sha256())) {
		*why = "libcrypto has no SHA-256";
		return false;
	}
	warm_digest(EVP_sha1()); /* on request only, and not everywhere allowed */
	warm_digest(EVP_md5());
	return detect_global_init(system_types, why) && archive_global_init(why);
}

void
analyzers_end(void)
{
	archive_global_end();
	detect_global_end();
	charset_close();
}
