#ifndef POSTERN_KEYLOG_FILE_H
#define POSTERN_KEYLOG_FILE_H
#include "tls/keylog.h"
#include <stdio.h>
struct tls_keylog *keylog_file_read(const char *path, FILE *err);
#endif
