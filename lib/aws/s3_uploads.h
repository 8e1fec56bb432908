/* Multipart uploads that were begun and never ended, by a process that died: their parts are paid
 * for until somebody aborts them. */
#pragma once

#include "aws/s3.h"

/* Aborts those whose key begins with prefix and contains `within`. One that ends meanwhile is no
 * error. */
bool s3_abort_uploads(struct s3 *s, struct slice prefix, const char *within, size_t *n_aborted,
                      struct err *e) MUST_CHECK;
