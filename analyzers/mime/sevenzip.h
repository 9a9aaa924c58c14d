/*
 * sevenzip - may the directory of a 7z archive be read? It stands at the end, mostly compressed,
 * and whoever unpacks it allocates what the archive says. Source: 7zFormat.txt of the 7-Zip sources
 * (SignatureHeader, Header, EncodedHeader).
 */
#ifndef POSTERN_SEVENZIP_H
#define POSTERN_SEVENZIP_H

#include "core/span.h"

#define SEVENZIP_DICTIONARY_MAX (16u << 20) /* octets that its decoder needs */
#define SEVENZIP_DIRECTORY_MAX	(4u << 20)  /* octets that the directory unpacks to */

/*
 * archive  from its first octet on, as much of it as is there
 *
 * True: the directory is there, and is either plain, or packed by LZMA alone within these bounds,
 * as 7-Zip writes it. Anything else is not read: encrypted directories, other coders, larger ones.
 */
bool sevenzip_directory_is_small(struct span archive);

#endif
