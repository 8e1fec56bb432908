/* What an object's footer says of its range, for who has lost its metadata. */
#pragma once

#include "aws/s3_object.h"

/* Values live in a; NULL: it has none such, is gone, or can't be read as a file of ours. The object
 * is read whole. ERR_RETRY: S3's; ERR_FATAL: no scratch file. */
bool stored_footer(struct s3 *s3, const char *key, const char *const *names, size_t n, const char **values,
                   struct arena *a, struct err *e) MUST_CHECK;
