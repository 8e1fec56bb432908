/* A series and its identity. Canonical order of series: metric bytes, then kind, temporality,
 * unit, bounds, then labels pair by pair (name bytes, value bytes). */
#pragma once

#include "base/err.h"
#include "base/hash.h"

enum series_kind { SERIES_COUNTER, SERIES_GAUGE, SERIES_EXP_HISTOGRAM, SERIES_CLASSIC_HISTOGRAM };
enum batch_class { CLASS_CRITICAL, CLASS_STANDARD, CLASS_VERBOSE, N_CLASSES };

const char *series_kind_name(enum series_kind kind);
const char *batch_class_name(enum batch_class class);

struct label {
    struct slice name;
    struct slice value;
};

struct series {
    struct slice metric;
    struct slice unit;
    enum series_kind kind;
    bool delta; /* temporality delta; otherwise cumulative. Gauges: false */
    uint32_t n_labels;
    uint32_t n_bounds;          /* classic histograms: upper bounds but for +Inf, rising */
    const struct label *labels; /* sorted by name, unique */
    const double *bounds;
    struct hash128 id;
};

int series_cmp(const struct series *a, const struct series *b);

/* XXH3-128 over the canonical bytes (tenant, metric, sorted labels), each with its length as
 * 32 bits in front. */
struct hash128 series_id(struct slice tenant, struct slice metric, const struct label *labels,
                         uint32_t n_labels);
/* XXH3-64 of (tenant, source name), the same way. */
uint64_t source_id(struct slice tenant, struct slice source_name);
