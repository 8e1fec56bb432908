/* What happened, in numbers and, for broken promises of the sender ("violations"), in words. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admit.h"

#define VIOLATIONS_TABLE(V)                                                                        \
    V(header, "a request's headers are not those of remote write 1.0")                             \
    V(snappy, "the body is not a snappy block")                                                    \
    V(protobuf, "the body is not a WriteRequest")                                                  \
    V(labels, "labels unsorted, double, empty, unnamed, or not UTF-8")                             \
    V(samples_unsorted, "a series' samples in one request are not in time order")                  \
    V(histogram, "a histogram that no store takes")                                                \
    V(in_flight, "two requests in flight carried the same series")                                 \
    V(late, "a new sample came after a newer one of its series")                                   \
    V(retry_too_early, "a series came again before its Retry-After was over")

enum violation {
#define V(key, text) VIOLATION_##key,
    VIOLATIONS_TABLE(V)
#undef V
        N_VIOLATIONS
};

enum { MAX_STATUS = 600, MAX_VIOLATION_TEXTS = 1000, MAX_REQUEST_LOG = 1 << 17 };

struct request_log {
    int64_t start_ns;
    int64_t end_ns;
    uint32_t number;
    uint32_t n_series;
    uint32_t n_samples;
    uint32_t n_histograms;
    uint32_t n_refused;
    uint32_t n_bytes;
    uint16_t status; /* 0 = the connection was closed */
    bool planned;
};

struct tally {
    uint64_t n_requests;
    uint64_t n_status[MAX_STATUS];
    uint64_t n_bytes;
    uint64_t n_decoded_bytes;
    uint64_t n_samples;
    uint64_t n_histograms;
    uint64_t n_exemplars;
    uint64_t n_metadata;
    uint64_t n_unstored; /* samples and histograms of requests that a plan kept from the store */
    uint64_t n_dropped;
    uint64_t n_redelivered;
    uint64_t n_refused[REASON_COUNT];
    uint64_t n_violations[N_VIOLATIONS];
    char *texts[MAX_VIOLATION_TEXTS]; /* owned */
    size_t n_texts;
    struct request_log *log; /* owned ring */
    int64_t start_ns;
    uint32_t n_in_flight;
    uint32_t max_in_flight;
};

void tally_init(struct tally *t);
void tally_fini(struct tally *t);
/* Counts n of them, and keeps the text of the first thousand. */
void tally_violation(struct tally *t, enum violation kind, uint64_t n, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void tally_admission(struct tally *t, const struct admission *ad);
void tally_request(struct tally *t, const struct request_log *r);
/* New references. */
json_t *tally_stats(const struct tally *t, const struct store *s);
json_t *tally_violations(const struct tally *t);
json_t *tally_requests(const struct tally *t);
