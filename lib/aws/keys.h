/* What signs: an access key and what belongs to it. Never printed, not even in part. */
#pragma once

#include <stdint.h>

#define AWS_NEVER_EXPIRES INT64_MAX

/* Borrowed from the arena or the caller that made it. */
struct aws_keys {
    const char *access_key;
    const char *secret_key;
    const char *session_token; /* NULL or "" = none */
    int64_t expires_ms;        /* wall clock; AWS_NEVER_EXPIRES for keys of a user */
};
