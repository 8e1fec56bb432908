/* OTLP messages for tests, written by hand: independent of protobuf-c and of the walk. */
#pragma once

#include "base/buf.h"

enum message_kind { MSG_SUM, MSG_UPDOWN, MSG_GAUGE, MSG_EXP, MSG_CLASSIC, MSG_SUMMARY };
enum message_temporality { MSG_UNSPECIFIED, MSG_DELTA, MSG_CUMULATIVE };

/* One point as a metric of its own. Labels: "name=value,name=value". */
struct message_point {
    const char *metric;
    const char *unit;
    enum message_kind kind;
    enum message_temporality temporality;
    const char *labels;
    int64_t time_ms;
    int64_t start_ms;
    double value; /* a histogram's sum; of an exponential one also its bucket's index, see scale */
    bool no_value_field;
    bool stale;      /* the flag "no recorded value" */
    int32_t scale;   /* exponential */
    uint64_t count;  /* histograms: the total; the first bucket gets it */
    uint32_t n_more; /* exponential: so many further buckets of 0, 127, 0, 127 … (not in count) */
    double bound;    /* classic: one bound */
    bool bad_counts; /* classic: the counts don't fit the bounds */
};

/* A ResourceMetrics of these points; attributes as labels are. */
void message_resource(struct buf *message, const char *attributes,
                      const struct message_point *points, size_t n);
/* schemas/tenant_metrics.avsc; only counters and gauges. */
void message_avro(struct buf *message, const char *source, const char *labels,
                  const struct message_point *points, size_t n);
