/* What an OTLP walk (otlp.h) gives to its sink: resources, metrics and points, with the names of
 * metrics.proto. */
#pragma once

#include "base/hash.h"

enum otlp_kind {
    OTLP_NO_DATA,
    OTLP_GAUGE,
    OTLP_SUM,
    OTLP_HISTOGRAM,
    OTLP_EXP_HISTOGRAM,
    OTLP_SUMMARY
};
enum otlp_temporality { OTLP_UNSPECIFIED = 0, OTLP_DELTA = 1, OTLP_CUMULATIVE = 2 };

/* What a sink is given is borrowed for the call: from the message or, where the message has it in
 * pieces, from copies that the walk makes. */
struct otlp_resource {
    struct slice attributes; /* run of attribute fields, for otlp_attribute_next */
    struct slice scope_name;
    uint64_t key; /* seeded hash of the resource's bytes and the scope's name */
    uint32_t index;
};

struct otlp_metric {
    const struct otlp_resource *resource;
    struct slice raw; /* the whole metric message */
    struct slice name;
    struct slice unit;
    struct slice description;
    enum otlp_kind kind;
    enum otlp_temporality temporality; /* values not known are OTLP_UNSPECIFIED */
    bool monotonic;
    uint64_t key;   /* seeded hash of all of the above but the description; without a tenant */
    uint32_t index; /* within the resource, for messages to people */
};

/* Of an exponential histogram: bucket i counts (base^(offset+i), base^(offset+i+1)]. */
struct otlp_buckets {
    int32_t offset;
    uint32_t n;
    const uint64_t *counts; /* in the walker's arena, until the next point */
};

struct otlp_point {
    const char *fault;       /* NULL, or why this point alone must be rejected: a static text */
    struct slice raw;        /* the whole point message */
    struct slice attributes; /* run of attribute fields incl. tags (field 7; histograms 9 and 1) */
    struct hash128 series_key; /* seeded by the metric's key: equal bytes, equal series */
    uint64_t time_ns;
    uint64_t start_ns; /* 0 = unknown */
    bool no_value;     /* the flag "no recorded value": a stale marker */
    double value;      /* gauge, sum: bits as they came; integers converted, beyond 2^53 rounded */
    bool has_value;
    /* histogram, exponential histogram, summary */
    uint64_t count;
    double sum;
    bool has_sum;
    /* explicit: n_counts 0 or n_bounds + 1, bounds finite and rising, or there is a fault */
    uint32_t n_counts;
    uint32_t n_bounds;
    const uint64_t *counts;
    const double *bounds;
    /* exponential */
    int32_t scale;
    uint64_t zero_count;
    double zero_threshold;
    struct otlp_buckets positive;
    struct otlp_buckets negative;
    /* summary: pairs (quantile, value) */
    uint32_t n_quantiles;
    const double *quantiles;
    uint32_t index; /* within the metric */
};
