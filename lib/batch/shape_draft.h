/* A shape while it is decoded: into scratch memory, its labels and bounds in pools, so that a copy
 * of exactly its size is made at the end (a cache holds many thousands of shapes). */
#pragma once

#include "batch/shape.h"

struct shape_draft {
    struct slice bytes; /* what its strings point into */
    struct slice source_name;
    struct series *series; /* labels and bounds: not set; see refs */
    struct draft_ref *refs;
    uint32_t n_series;
    struct label *labels;
    uint32_t n_labels;
    double *bounds;
    uint32_t n_bounds;
};

/* Where a series' labels and bounds begin in the pools. */
struct draft_ref {
    uint32_t labels;
    uint32_t bounds;
};

/* Everything is checked; bytes is the input or, from a former schema, in scratch. */
bool shape_draft_decode(struct slice bytes, const struct shape_caps *caps, struct arena *scratch,
                        struct shape_draft *out, struct err *e) MUST_CHECK;
/* Memory that shape_draft_finish takes, in one piece. */
size_t shape_draft_bytes(const struct shape_draft *d);
/* The shape in a, with its ids; its strings are in a copy of the bytes, or in the draft's. */
bool shape_draft_finish(const struct shape_draft *d, struct slice tenant, bool copy_bytes,
                        struct arena *a, struct shape *out) MUST_CHECK;
