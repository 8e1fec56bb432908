/* Points that came after their window had closed, until the stream's next record takes them along:
 * of temporality delta, and of gauges. */
#pragma once

#include "base/slice.h"

struct late_point {
    int64_t end_ms; /* of its window */
    uint32_t slot;
    uint32_t n_packed_bytes; /* 0: a scalar */
    union {
        double value;
        uint8_t *packed; /* owned */
    };
};

struct late_list {
    struct late_point *points; /* owned, in the order they came */
    uint32_t n;
    uint32_t cap;
    size_t n_packed_bytes; /* of all points */
    int64_t since_ms; /* log time at the first */
    int64_t offset;   /* of the first */
    int64_t log_before_ms;
};

/* False: no memory. packed: SLICE_NONE for a scalar. */
bool late_add(struct late_list *l, int64_t end_ms, uint32_t slot, double value,
              struct slice packed);
void late_reset(struct late_list *l);
void late_fini(struct late_list *l);
