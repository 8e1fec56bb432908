/* Prometheus remote write, both versions, as a walk over the unpacked protobuf bytes:
 *
 *   1.0  prometheus.WriteRequest        { timeseries=1 { labels=1 samples=2 exemplars=3 histograms=4 } metadata=3 }
 *   2.0  io.prometheus.write.v2.Request { symbols=4 timeseries=5 { labels_refs=1 samples=2 histograms=3 exemplars=4
 *                                         metadata=5 created_timestamp=6 } }
 *
 * (prometheus.io/docs/specs/prw: remote_write_spec, remote_write_spec_2_0.) Fields may come in any order, unknown ones are
 * skipped, nothing is copied. Exemplars are passed over unread. Strings may be any bytes, labels in any order and twice:
 * that is for whoever first sees a series. */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/hash.h"

enum remote_write_version { REMOTE_WRITE_1, REMOTE_WRITE_2 };

/* MetricMetadata.MetricType and Metadata.MetricType have these numbers. */
enum remote_write_type {
    REMOTE_WRITE_UNKNOWN,
    REMOTE_WRITE_COUNTER,
    REMOTE_WRITE_GAUGE,
    REMOTE_WRITE_HISTOGRAM,
    REMOTE_WRITE_GAUGE_HISTOGRAM,
    REMOTE_WRITE_SUMMARY,
    REMOTE_WRITE_INFO,
    REMOTE_WRITE_STATESET
};

struct remote_write_label {
    struct slice name;
    struct slice value;
};

struct remote_write_series {
    uint32_t index;
    struct slice metric;                     /* the label __name__; empty = there is none */
    const struct remote_write_label *labels; /* the others */
    uint32_t n_labels;
    enum remote_write_type type; /* of the metric's family: 2.0 says it with each series, 1.0 anywhere in the message */
    struct slice unit;           /* 2.0 */
    struct hash128 key;          /* seeded; equal: the same labels in the same order, type and unit */
};

struct remote_write_point {
    uint32_t index;
    int64_t time_ms;
    int64_t start_ms; /* 2.0; 0 = unknown */
    double value;
    struct slice histogram; /* the whole message Histogram (1.0; in 2.0 it has the same fields), ptr NULL = a sample */
    bool is_gauge;          /* of a histogram: its reset hint says that it goes up and down */
};

struct remote_write_caps {
    size_t max_message_bytes; /* unpacked */
    uint32_t max_points;
    uint32_t max_labels;   /* per series */
    uint32_t max_symbols;  /* 2.0 */
    uint32_t max_metadata; /* 1.0: families */
};
extern const struct remote_write_caps remote_write_default_caps;

/* What a sink is given is borrowed: a series until the next one. A series without points is not told of. */
struct remote_write_sink {
    void *ctx;
    bool (*series)(void *ctx, const struct remote_write_series *s, struct err *e);
    bool (*point)(void *ctx, const struct remote_write_series *s, const struct remote_write_point *p, struct err *e);
};

/* False (ERR_BAD_INPUT with the place: "series 7: sample 2: …"): whoever has taken points throws them away. Code PB_TOO_LARGE
 * (protobuf.h): beyond the caps on bytes or points. scratch is reset at the start and holds symbols and families. */
bool remote_write_walk(enum remote_write_version version, struct slice message, const struct remote_write_caps *caps,
                       struct arena *scratch, const struct remote_write_sink *sink, struct err *e) MUST_CHECK;
