/* Native histograms as the verifier compares them: the filled buckets by index, however the
 * writer laid out its spans. */
#pragma once

#include "base/err.h"
#include "base/slice.h"
#include "model.h"

enum { MAX_NATIVE_BUCKETS = 512 };

struct native_bucket {
    int32_t index;
    uint64_t count;
};

struct native_histogram {
    int64_t time_ms; /* 0 when the message has none */
    int32_t schema;
    double zero_threshold;
    uint64_t zero_count;
    uint64_t count;
    double sum;
    bool has_negative; /* filled buckets below zero: the model has none */
    uint32_t n_buckets;
    struct native_bucket buckets[MAX_NATIVE_BUCKETS];
};

/* From a Remote Write 1.0 `Histogram` message (prompb/types.proto) of integer counts. */
bool native_decode(struct slice message, struct native_histogram *out, struct err *e) MUST_CHECK;
/* What the model's histogram becomes in a store: OTLP's bucket index plus one. */
void native_expect(const struct model_histogram *h, struct native_histogram *out);
/* Times apart. OTLP without a zero threshold may be stored with 0 or with Prometheus's 1e-128. */
bool native_equal(const struct native_histogram *expected, const struct native_histogram *seen);
/* XXH3-64 over tests/receiver's canonical form (its histogram.h). */
uint64_t native_digest(const struct native_histogram *h, double zero_threshold);
