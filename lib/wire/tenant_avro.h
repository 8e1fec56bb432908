/* The tenants' own Avro record, schemas/tenant_metrics.avsc, in single-object encoding (C3 01 +
 * fingerprint): a plain, friendly list of points. Own decoder: capped, zero-copy, no recursion.
 * A map with the same key twice is refused. Strings may be any bytes: UTF-8, names and lengths are
 * checked by whoever first sees a series. What a sink is given is borrowed for the call. */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "base/err.h"

enum tenant_kind { TENANT_COUNTER, TENANT_GAUGE };

struct tenant_label {
    struct slice name;
    struct slice value;
};

struct tenant_point {
    struct slice metric;
    enum tenant_kind kind;
    struct slice unit;
    const struct tenant_label *labels; /* in the scratch arena, until the next point */
    uint32_t n_labels;
    struct slice labels_raw; /* the map's bytes: equal bytes, equal labels */
    double value;
    int64_t time_ms;
    int64_t start_ms; /* 0 = unknown */
    uint32_t index;
};

struct tenant_avro_caps {
    size_t max_message_bytes;
    uint32_t max_points;
    uint32_t max_labels;
};
extern const struct tenant_avro_caps tenant_avro_default_caps;

struct tenant_avro_sink {
    void *ctx;
    /* The source's name and labels that all points share; called once, before the points. */
    bool (*source)(void *ctx, struct slice name, const struct tenant_label *labels,
                   uint32_t n_labels, struct err *e);
    bool (*point)(void *ctx, const struct tenant_point *p, struct err *e);
};

/* True when the bytes begin with C3 01. */
bool tenant_avro_is(struct slice message);
/* False (ERR_BAD_INPUT, with the place) when the message is not of this schema or anything in it is
 * wrong: whoever has taken points throws them away. scratch is reset between points. */
bool tenant_avro_walk(struct slice message, const struct tenant_avro_caps *caps,
                      struct arena *scratch, const struct tenant_avro_sink *sink,
                      struct err *e) MUST_CHECK;
