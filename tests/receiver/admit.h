/* Judges one decoded request by the rules and takes what may be taken: the semantics of a Cortex
 * ingester (partial acceptance, first refusal in the answer) or of Prometheus (all or nothing).
 * First every sample gets its verdict, then all is stored, so that keep_good false leaves no
 * trace. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "remote_write.pb-c.h"
#include "rules.h"
#include "store.h"

/* REASON(name, as AMP's DiscardedSamples calls it, text in the answer) */
#define REASONS_TABLE(REASON)                                                                      \
    REASON(NONE, "none", "")                                                                       \
    REASON(OUT_OF_ORDER, "sample-out-of-order", "out of order sample")                             \
    REASON(TOO_OLD, "sample-too-old", "too old sample")                                            \
    REASON(OUT_OF_BOUNDS, "sample-out-of-bounds", "out of bounds")                                 \
    REASON(SAMPLE_AGE, "greater_than_max_sample_age", "timestamp too old")                         \
    REASON(FUTURE, "too_far_in_future", "timestamp too new")                                       \
    REASON(NEW_VALUE, "new-value-for-timestamp", "duplicate sample for timestamp")                 \
    REASON(SAME_VALUE, "duplicate-sample", "duplicate sample for timestamp")                       \
    REASON(SERIES_LIMIT, "per_user_series_limit", "per-user series limit exceeded")                \
    REASON(NO_NAME, "missing_metric_name", "sample missing metric name")                           \
    REASON(BAD_NAME, "metric_name_invalid", "sample invalid metric name")                          \
    REASON(BAD_LABEL, "label_invalid", "sample invalid label")                                     \
    REASON(LABEL_EMPTY, "label_empty", "empty label name or value")                                \
    REASON(LABEL_UTF8, "label_not_utf8", "label is not valid UTF-8")                               \
    REASON(LABELS_UNSORTED, "labels_not_sorted", "labels not sorted")                              \
    REASON(LABEL_TWICE, "duplicate_label_names", "duplicate label name")                           \
    REASON(LABELS_MANY, "max_label_names_per_series", "series has too many labels")                \
    REASON(NAME_LONG, "label_name_too_long", "label name too long")                                \
    REASON(VALUE_LONG, "label_value_too_long", "label value too long")                             \
    REASON(HISTOGRAM_SCHEMA, "native_histogram_invalid_schema", "invalid native histogram schema") \
    REASON(HISTOGRAM_INVALID, "native_histogram_invalid", "invalid native histogram")              \
    REASON(HISTOGRAM_BUCKETS, "native_histogram_buckets_exceeded", "too many buckets")             \
    REASON(COUNT, NULL, NULL)

enum reason {
#define REASON(name, key, text) REASON_##name,
    REASONS_TABLE(REASON)
#undef REASON
};

/* The decoded request beside what was found out about it; all in the request's arena. */
struct admission {
    const Prometheus__WriteRequest *request;
    uint32_t number; /* of the request, from 1 */
    int64_t now_ms;
    struct series **series;     /* per time series */
    enum reason *series_faults; /* per time series: its labels, or REASON_NONE */
    struct slice *contents;     /* per histogram, canonical; in request order */
    uint64_t *digests;
    enum reason *histogram_faults;
    size_t n_samples;
    size_t n_histograms;
    enum reason *verdicts; /* per sample, in request order: a series' samples, its histograms */
    size_t n_refused;
    size_t n_dropped;     /* good, but their request was refused */
    size_t n_redelivered; /* refused although the same value is there */
    enum reason first;    /* the refusal that the answer names */
    const struct series *first_series;
    int64_t first_ms;
    bool limit_hit;
    uint64_t n_late; /* new samples behind a newer one of their series, taken or not */
    const struct series *late_series;
    int64_t late_ms;
    uint64_t refused[REASON_COUNT];
};

/* Adds the key of these labels, as they came, to key. */
void labels_key(const Prometheus__TimeSeries *ts, struct buf *key);
enum reason labels_check(const Prometheus__TimeSeries *ts, const struct rules *r);
const char *reason_key(enum reason reason);
const char *reason_text(enum reason reason);

/* Without the lock: counts, checks labels and histograms. ERR_RETRY: out of memory. */
bool admission_init(struct admission *ad, const Prometheus__WriteRequest *request,
                    const struct rules *r, struct arena *a, struct err *e) MUST_CHECK;
/* With the lock: finds or adds the series. ERR_RETRY. */
bool admission_series(struct admission *ad, struct store *s, struct err *e) MUST_CHECK;
/* With the lock: verdicts, then storing. */
void admission_take(struct admission *ad, struct store *s, const struct rules *r);
