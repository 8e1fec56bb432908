/* The batch: the one format between all stages (schemas/batch.avsc, Avro single-object encoding).
 * One record = the points of one source and class out of one ingest record: exactly one point for
 * each series of the shape, in the shape's order. (A message with several points of a series
 * becomes several batches.) A batch with an empty shape is a heartbeat.
 *
 *   C3 01 fingerprint | tenant class source received_ms origin redriven shape times starts
 *                       values (f64 LE, scalars in shape order) exp (packed) classic (packed) */
#pragma once

#include "base/buf.h"
#include "batch/shape.h"

enum { TOPIC_ID_BYTES = 16 };

struct origin {
    struct slice topic; /* empty = not filled in yet (the gateway's batches) */
    uint8_t topic_id[TOPIC_ID_BYTES];
    int32_t partition;
    int64_t offset;
    int32_t index; /* which of the record's batches */
};

/* Base and per-point deltas; n_deltas is 0 (all equal the base) or the number of points. */
struct batch_times {
    int64_t base_ms;
    uint32_t n_deltas;
    const int64_t *deltas; /* when encoding, unless raw has them; read by batch_times_decode */
    struct slice raw;      /* when decoded: the Avro array's bytes, checked */
};

struct batch {
    struct slice tenant;
    enum batch_class class;
    uint64_t source;
    int64_t received_ms; /* 0 = not filled in yet */
    struct origin origin;
    uint64_t redriven;
    struct slice shape; /* empty = heartbeat */
    struct batch_times times;
    struct batch_times starts; /* of base 0 without deltas: unknown. A point's 0 = unknown */
    struct slice values;       /* n_scalars doubles */
    struct slice exp;          /* n_exp packed histograms */
    struct slice classic;      /* n_classic packed histograms */
};

struct batch_caps {
    size_t max_bytes; /* 8 MiB */
    uint32_t max_points;
};
extern const struct batch_caps batch_default_caps;

void batch_encode(const struct batch *b, struct buf *out); /* appends; check buf_ok */

/* Borrows everything from bytes. An unknown fingerprint is ERR_BAD_INPUT and named. Former
 * versions of the schema go through avro-c's resolver into a. */
bool batch_decode(struct slice bytes, const struct batch_caps *caps, struct arena *a,
                  struct batch *out, struct err *e) MUST_CHECK;

/* That the columns have exactly what the shape says. */
bool batch_check_shape(const struct batch *b, const struct shape *s, struct err *e) MUST_CHECK;

/* Times of n points into out, ms since the epoch. */
bool batch_times_decode(const struct batch_times *t, uint32_t n, int64_t *out,
                        struct err *e) MUST_CHECK;

/* The i-th scalar. */
static inline double batch_value(const struct batch *b, size_t i)
{
    double v;
    memcpy(&v, b->values.ptr + i * sizeof v, sizeof v);
    return v;
}

/* The partition of every series topic: source mod partition count. */
static inline int32_t batch_partition(uint64_t source, int32_t n_partitions)
{
    return (int32_t)(source % (uint64_t)n_partitions);
}
