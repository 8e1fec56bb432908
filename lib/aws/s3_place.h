/* Where a bucket is: by AWS's endpoints of a region, or by one of the caller's; in the host's name
 * or in the path. Pure. */
#pragma once

#include "aws/s3.h"
#include "http/url.h"

struct s3_place {
    bool is_https;
    char base[HTTP_URL_MAX_CHARS + 1];      /* "https://bucket.s3.eu-west-1.amazonaws.com" */
    char authority[HTTP_URL_MAX_CHARS + 1]; /* the Host header's value */
    char prefix[80];                        /* "/bucket" in path style, else "" */
};

/* ERR_CONFIG: the bucket, the region or the endpoint is none. */
bool s3_place(const struct s3_options *o, struct s3_place *out, struct err *e) MUST_CHECK;
