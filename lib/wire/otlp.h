/* OTLP metrics (opentelemetry-proto v1, metrics.proto): a hand-written walk over the protobuf
 * bytes of MetricsData / ExportMetricsServiceRequest (the same on the wire):
 *
 *   resource_metrics=1 { resource=1 {attributes=1} scope_metrics=2 { scope=1 metrics=2 { name=1
 *     unit=3 gauge=5 | sum=7 | histogram=9 | exponential_histogram=10 | summary=11 { points } } } }
 *
 * It allocates nothing per scalar point, accepts fields in any order and skips unknown ones. Of a
 * scalar or string that comes twice the last one counts; messages that come twice are merged, as
 * protobuf says. Groups are refused. Exemplars, metadata and nested attribute values are passed
 * over unread, so nothing recurses. Strings may be any bytes: UTF-8 and names are checked by
 * whoever first sees a series, not here for each point. */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/hash.h"
#include "wire/otlp_attribute.h"

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
    struct slice name;
    struct slice unit;
    struct slice description;
    enum otlp_kind kind;
    enum otlp_temporality temporality; /* values not known are OTLP_UNSPECIFIED */
    bool monotonic;
    uint64_t
        key; /* seeded hash of resource key, name, unit, kind, temporality, monotonic; no tenant */
    uint32_t index; /* within the resource, for messages to people */
};

struct otlp_buckets { /* of an exponential histogram: bucket i counts (base^(offset+i),
                         base^(offset+i+1)] */
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
    /* explicit: n_counts is 0 (no buckets) or n_bounds + 1, bounds finite and rising, or fault is
     * set */
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

struct otlp_caps {
    size_t max_message_bytes; /* 8 MiB */
    uint32_t max_points;      /* per message */
    uint32_t max_buckets;     /* per histogram, each side; beyond: a fault */
    uint32_t max_attributes;  /* per point (beyond: a fault) or resource */
};
extern const struct otlp_caps otlp_default_caps;

/* Called in message order; a false with e set ends the walk. metric() may be NULL, and so may
 * expect(): a hint that a point of this series comes soon, to prefetch what will be looked up. */
struct otlp_sink {
    void *ctx;
    bool (*metric)(void *ctx, const struct otlp_metric *m, struct err *e);
    bool (*point)(void *ctx, const struct otlp_metric *m, const struct otlp_point *p,
                  struct err *e);
    void (*expect)(void *ctx, struct hash128 series_key);
};

/* The whole message is checked as it is walked; on false (ERR_BAD_INPUT, with the place:
 * "resource 2: metric 7: point 3: …") whoever has taken points throws them away. scratch serves
 * the arrays of one point at a time and is reset in between (1 MiB is enough for honest ones). */
bool otlp_walk(struct slice message, const struct otlp_caps *caps, struct arena *scratch,
               const struct otlp_sink *sink, struct err *e) MUST_CHECK;
