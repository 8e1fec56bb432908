/* What the double refuses: the rules of Amazon Managed Prometheus (Cortex) or of Prometheus 2.42,
 * each one a settable number. One table prints --help and GET /rules. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

#include "base/err.h"

/* R(key, default for amp, default for prometheus, help); booleans are 0 and 1 */
#define RULES_TABLE(R)                                                                             \
    R(out_of_order_ms, 60000, 60000, "out-of-order window; 0 = none")                              \
    R(window_from_series, 0, 0,                                                                    \
      "count the window from the series' newest sample, not the store's")                          \
    R(histograms_out_of_order, 1, 0, "native histograms may use the window too")                   \
    R(max_sample_age_ms, 3600000, 3600000, "how old a sample may be; 0 = off")                     \
    R(age_from_store, 0, 1, "its age counts from the store's newest sample, not from the clock")   \
    R(max_future_ms, 600000, 0, "how far ahead of the clock a sample may be; 0 = off")             \
    R(now_ms, 0, 0, "the clock; 0 = the system's")                                                 \
    R(refuse_same_value, 0, 0, "refuse a sample that is there with the same value")                \
    R(hide_old_new_value, 0, 1,                                                                    \
      "drop another value for a timestamp that is not the newest "                                 \
      "silently, instead of refusing it")                                                          \
    R(max_series, 0, 0, "active series; beyond it 400 with an empty body; 0 = off")                \
    R(series_limit_partial, 0, 0, "keep the known series of a request with one too many")          \
    R(max_labels, 70, 0, "labels per series; 0 = off")                                             \
    R(max_label_name_bytes, 1024, 0, "0 = off")                                                    \
    R(max_label_value_bytes, 2048, 0, "0 = off")                                                   \
    R(max_buckets, 0, 0, "buckets of a native histogram; 0 = off")                                 \
    R(keep_good, 1, 0, "keep the good part of a refused request")                                  \
    R(too_old_status, 400, 500, "status for samples older than the window or the oldest allowed")  \
    R(duplicate_label_status, 400, 500, "status for a label name that comes twice")                \
    R(name_series, 1, 0, "refusals name the series and the timestamp")                             \
    R(ok_status, 200, 204, "status of a request that is taken")                                    \
    R(samples_per_s, 0, 0, "ingestion rate, 429 beyond it; 0 = off")                               \
    R(burst_samples, 0, 0, "bucket of the rate; 0 = one second of it")                             \
    R(retry_after_s, 1, 1, "Retry-After of that 429; -1 = no header")                              \
    R(max_body_bytes, 67108864, 67108864, "413 beyond it")                                         \
    R(max_decoded_bytes, 134217728, 33554432, "413 beyond it")                                     \
    R(latency_ms, 0, 0, "every write is answered this much later")

struct rules {
#define R(key, amp, prometheus, help) int64_t key;
    RULES_TABLE(R)
#undef R
};

/* profile: "amp" or "prometheus". ERR_CONFIG. */
bool rules_init(struct rules *r, const char *profile, struct err *e) MUST_CHECK;
/* "key=number", also true and false. ERR_CONFIG. */
bool rules_set(struct rules *r, const char *assignment, struct err *e) MUST_CHECK;
/* An object of keys and numbers or booleans; all or nothing. ERR_CONFIG. */
bool rules_set_json(struct rules *r, const json_t *object, struct err *e) MUST_CHECK;
/* A new reference. */
json_t *rules_json(const struct rules *r);
void rules_help(FILE *out);
