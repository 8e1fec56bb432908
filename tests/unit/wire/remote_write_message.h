/* Remote write messages for tests, written by hand from the published field numbers: independent of the walk and of
 * protobuf-c. */
#pragma once

#include "base/buf.h"
#include "wire/remote_write.h"

struct remote_write_test_point {
    int64_t time_ms;
    double value; /* a histogram's sum */
    bool is_histogram;
    uint64_t count; /* of a histogram: all in bucket 3 of schema 0 */
    bool is_gauge;
    bool bad_count; /* the buckets hold one more */
};

struct remote_write_test_series {
    const char *labels; /* "name=value,name=value" in this order */
    enum remote_write_type type;
    const char *unit; /* NULL = none; 2.0 */
    int64_t start_ms; /* 2.0 */
    struct remote_write_test_point points[4];
    size_t n_points;
};

void remote_write_message(enum remote_write_version version, const struct remote_write_test_series *series, size_t n,
                          struct buf *out);
