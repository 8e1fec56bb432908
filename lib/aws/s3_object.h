/* What is done with objects, waited for: put (whole or in parts), head, get, list, delete. On top
 * of s3.h. */
#pragma once

#include "aws/s3.h"
#include "base/buf.h"

struct s3_pair {
    const char *name;
    const char *value;
};

/* What an object is stored with; "" or NULL = not said. */
struct s3_put_options {
    bool only_if_absent;    /* If-None-Match: * */
    const char *kms_key;    /* SSE-KMS by this key, with the bucket key */
    const char *tagging;    /* "a=b&c=d", percent-encoded */
    const char *lock_mode;  /* "GOVERNANCE", "COMPLIANCE" */
    const char *lock_until; /* "2027-01-01T00:00:00Z" */
    const char *storage_class;
    const struct s3_pair *metadata; /* x-amz-meta-…: visible ASCII */
    size_t n_metadata;
};

struct s3_put_result {
    bool existed;   /* 412: there is one of that key already, untouched */
    bool maybe_own; /* …which an earlier attempt of this very call may have stored */
    int n_attempts;
};

/* Up to 5 GB in one request; checked by CRC-32C at the other end. */
bool s3_put(struct s3 *s, struct slice key, struct slice body, const struct s3_put_options *o,
            struct s3_put_result *out, struct err *e) MUST_CHECK;
/* In parts of part_bytes (5 MiB at least but for the last; at most 10,000), some at a time; aborted
 * on any failure, so that no part stays. */
bool s3_put_parts(struct s3 *s, struct slice key, struct slice body, size_t part_bytes,
                  const struct s3_put_options *o, struct s3_put_result *out,
                  struct err *e) MUST_CHECK;

/* The answer's metadata: for each name the value goes to the arena, NULL when absent. */
struct s3_head {
    bool found;
    int64_t n_bytes;
    const char *etag;
};

bool s3_head(struct s3 *s, struct slice key, const char *const *names, size_t n_names,
             const char **values, struct arena *a, struct s3_head *out, struct err *e) MUST_CHECK;
/* n_bytes from first on (0 = to the end) are added to out, which caps them; *found. */
bool s3_get(struct s3 *s, struct slice key, int64_t first, int64_t n_bytes, struct buf *out,
            bool *found, struct err *e) MUST_CHECK;

/* All keys of the prefix in order, page by page; false from the callback ends it (its err stands).
 */
typedef bool (*s3_each_fn)(void *ctx, struct slice key, int64_t n_bytes, struct err *e);
bool s3_list(struct s3 *s, struct slice prefix, s3_each_fn each, void *ctx,
             struct err *e) MUST_CHECK;
