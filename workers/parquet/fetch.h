/* An object of S3 as a local file, for the tool: `sluice-parquet inspect s3://bucket/key`. */
#pragma once

#include <stdbool.h>

#include "aws/s3.h"

/* As the worker's keys of these names; NULL or "" = not said. Keys come from AWS's usual places. */
struct fetch_options {
    const char *region;
    const char *endpoint;
    const char *ca_file;
    bool path_style;
    bool fips;
    bool dual_stack;
};

bool fetch_is_asked(const char *path);
/* *fd: a file without a name, the caller's. */
bool fetch_object(const struct fetch_options *o, const char *url, int *fd, struct err *e) MUST_CHECK;
/* The same of a bucket that is open, into a file of the caller's. ERR_BAD_INPUT: there is none. */
bool fetch_copy(struct s3 *s3, struct slice key, int fd, int64_t *n_bytes, struct err *e) MUST_CHECK;
