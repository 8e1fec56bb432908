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
#include "wire/otlp_attribute.h"
#include "wire/otlp_data.h"

struct otlp_caps {
    size_t max_message_bytes; /* 8 MiB */
    uint32_t max_points;      /* per message */
    uint32_t max_buckets;     /* per histogram, each side; beyond: a fault */
    uint32_t max_attributes;  /* per point (beyond: a fault) or resource */
};
extern const struct otlp_caps otlp_default_caps;

/* Called in message order; a false with e set ends the walk. All but point() may be NULL.
 * scope(): a resource's next scope; its key is known. known(): asked twice for each metric, first with
 * nothing but its resource and raw, then with all of it, whether the sink has read its points itself:
 * how many there were, 0 = no. expect(): a hint that a point of this series comes soon, to prefetch
 * what will be looked up. */
struct otlp_sink {
    void *ctx;
    void (*scope)(void *ctx, const struct otlp_resource *r);
    uint32_t (*known)(void *ctx, const struct otlp_metric *m);
    bool (*metric)(void *ctx, const struct otlp_metric *m, struct err *e);
    bool (*point)(void *ctx, const struct otlp_metric *m, const struct otlp_point *p,
                  struct err *e);
    void (*expect)(void *ctx, struct hash128 series_key);
};

/* The whole message is checked as it is walked; on false (ERR_BAD_INPUT, with the place:
 * "resource 2: metric 7: point 3: …") whoever has taken points throws them away. Code PB_TOO_LARGE
 * (protobuf.h): beyond the caps on bytes or points. scratch serves the arrays of one point at a
 * time and is reset in between (1 MiB is enough for honest ones). */
bool otlp_walk(struct slice message, const struct otlp_caps *caps, struct arena *scratch,
               const struct otlp_sink *sink, struct err *e) MUST_CHECK;
