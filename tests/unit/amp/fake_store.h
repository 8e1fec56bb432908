/* A store in memory with the rules of Prometheus' head, whose moods a test sets: it keeps the good
 * part of a refused request or not, names its reason or not, has a series limit. */
#pragma once

#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/slice.h"
#include "remote_write.pb-c.h"

enum { STORE_SERIES = 256, STORE_POINTS = 512, STORE_KEY = 192, STORE_TEXT = 512 };

enum store_reason { REASON_NONE, REASON_OWN, REASON_ORDER, REASON_TAKEN, REASON_LIMIT };

struct store_point {
    int64_t t_ms;
    uint64_t bits;
    bool stored;
    bool refused;
    bool in_order; /* when it came first it was the newest of its series, and faultless */
    unsigned n_sent;
    unsigned first_request;
};

struct store_series {
    char key[STORE_KEY];
    struct store_point points[STORE_POINTS];
    size_t n;
    bool any;
    int64_t newest_ms;
    uint64_t newest_bits;
    bool in_flight;
};

struct fake_store {
    struct store_series series[STORE_SERIES];
    size_t n;
    bool keeps_good;
    bool silent;            /* 400 without a text */
    bool names;             /* the text says which point, as Cortex does */
    bool refuse_same_value; /* what it has already is a duplicate */
    bool old_status_500;    /* like Prometheus 2.42 */
    size_t max_series;      /* 0 = no limit */
    bool limit_words;       /* it says so when it is reached; else 400 without a text */
    size_t max_request;     /* points; more is 413; 0 = no limit */
    int64_t window_ms;
    int64_t newest_ms;
    int64_t window_end_ms; /* newest_ms as the request found it */
    unsigned n_requests;
    unsigned n_order_violations;
};

static inline struct store_series *store_find(struct fake_store *s, const char *key)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->series[i].key, key) == 0) {
            return &s->series[i];
        }
    }
    if (s->n == STORE_SERIES) {
        abort();
    }
    struct store_series *made = &s->series[s->n++];
    memset(made, 0, sizeof *made);
    (void)snprintf(made->key, sizeof made->key, "%s", key);
    return made;
}

static inline struct store_point *store_point(struct store_series *series, int64_t t_ms)
{
    for (size_t i = 0; i < series->n; i++) {
        if (series->points[i].t_ms == t_ms) {
            return &series->points[i];
        }
    }
    if (series->n == STORE_POINTS) {
        abort();
    }
    series->points[series->n] = (struct store_point){.t_ms = t_ms};
    return &series->points[series->n++];
}

static inline void store_key(const Prometheus__TimeSeries *ts, char out[STORE_KEY])
{
    size_t at = 0;
    for (size_t i = 0; i < ts->n_labels && at < STORE_KEY; i++) {
        int n =
            snprintf(out + at, STORE_KEY - at, "%s=%s,", ts->labels[i]->name, ts->labels[i]->value);
        at += (size_t)n;
    }
}

static inline int64_t store_time(const Prometheus__TimeSeries *ts)
{
    return ts->n_samples > 0 ? ts->samples[0]->timestamp : ts->histograms[0]->timestamp;
}

static inline uint64_t store_bits(const Prometheus__TimeSeries *ts)
{
    uint64_t bits;
    if (ts->n_samples == 0) {
        return ts->histograms[0]->count_int;
    }
    memcpy(&bits, &ts->samples[0]->value, sizeof bits);
    return bits;
}

static inline Prometheus__WriteRequest *store_decode(struct slice body)
{
    size_t n = 0;
    if (snappy_uncompressed_length((const char *)body.ptr, body.len, &n) != SNAPPY_OK) {
        abort();
    }
    char *plain = malloc(n + 1);
    if (plain == NULL ||
        snappy_uncompress((const char *)body.ptr, body.len, plain, &n) != SNAPPY_OK) {
        abort();
    }
    Prometheus__WriteRequest *request =
        prometheus__write_request__unpack(NULL, n, (const uint8_t *)plain);
    free(plain);
    if (request == NULL) {
        abort();
    }
    return request;
}

static inline enum store_reason store_judge(const struct fake_store *s,
                                            const struct store_series *series, int64_t t_ms,
                                            uint64_t bits)
{
    if (strstr(series->key, "__name__=metric_9") != NULL) {
        return REASON_OWN;
    }
    if (!series->any || t_ms > series->newest_ms) {
        return REASON_NONE;
    }
    if (t_ms == series->newest_ms) {
        return bits != series->newest_bits || s->refuse_same_value ? REASON_TAKEN : REASON_NONE;
    }
    if (t_ms < s->window_end_ms - s->window_ms) {
        return REASON_ORDER;
    }
    for (size_t i = 0; i < series->n; i++) {
        if (series->points[i].t_ms == t_ms && series->points[i].stored) {
            return series->points[i].bits != bits || s->refuse_same_value ? REASON_TAKEN
                                                                          : REASON_NONE;
        }
    }
    return REASON_NONE;
}

/* Per point, against what the request has brought so far; undone when the whole is refused. */
struct store_undo {
    struct store_series *series;
    struct store_point *point;
    bool was_stored;
    bool any;
    int64_t newest_ms;
    uint64_t newest_bits;
    int64_t store_newest_ms;
};

static inline size_t store_active(const struct fake_store *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        n += s->series[i].any ? 1 : 0;
    }
    return n;
}

static inline void store_name(const Prometheus__TimeSeries *ts, char out[STORE_TEXT])
{
    int64_t t_ms = store_time(ts);
    time_t t_s = (time_t)(t_ms / 1000);
    struct tm tm;
    size_t at = strlen(out);
    at += strftime(out + at, STORE_TEXT - at, ". timestamp=%Y-%m-%dT%H:%M:%S", gmtime_r(&t_s, &tm));
    at += (size_t)snprintf(out + at, STORE_TEXT - at, ".%03dZ, series={", (int)(t_ms % 1000));
    for (size_t i = 0; i < ts->n_labels && at < STORE_TEXT; i++) {
        at += (size_t)snprintf(out + at, STORE_TEXT - at, "%s%s=\"%s\"", i == 0 ? "" : ", ",
                               ts->labels[i]->name, ts->labels[i]->value);
    }
}

/* The status; the text into out. */
static inline int store_write(struct fake_store *s, struct slice body, char out[STORE_TEXT])
{
    Prometheus__WriteRequest *request = store_decode(body);
    struct store_undo *undo = calloc(request->n_timeseries + 1, sizeof *undo);
    enum store_reason first = REASON_NONE;
    bool limit = false;
    s->n_requests++;
    s->window_end_ms = s->newest_ms;
    const Prometheus__TimeSeries *culprit = NULL;
    out[0] = '\0';
    if (s->max_request > 0 && request->n_timeseries > s->max_request) {
        free(undo);
        prometheus__write_request__free_unpacked(request, NULL);
        return 413;
    }
    for (size_t i = 0; i < request->n_timeseries; i++) {
        const Prometheus__TimeSeries *ts = request->timeseries[i];
        char key[STORE_KEY];
        store_key(ts, key);
        struct store_series *series = store_find(s, key);
        struct store_point *p = store_point(series, store_time(ts));
        enum store_reason reason = store_judge(s, series, p->t_ms, store_bits(ts));
        if (reason == REASON_NONE && s->max_series > 0 && !series->any &&
            store_active(s) >= s->max_series) {
            reason = REASON_LIMIT;
            limit = true;
        }
        if (p->n_sent++ == 0) {
            p->first_request = s->n_requests;
            p->in_order = reason == REASON_NONE && (!series->any || p->t_ms > series->newest_ms);
            for (size_t k = 0; k < series->n; k++) {
                /* Later times of this series were sent before: only where the input is so. */
                s->n_order_violations +=
                    series->points[k].t_ms > p->t_ms && series->points[k].n_sent > 0 ? 1 : 0;
            }
        }
        undo[i] = (struct store_undo){
            series,      p, p->stored, series->any, series->newest_ms, series->newest_bits,
            s->newest_ms};
        if (reason != REASON_NONE) {
            p->refused = true;
            culprit = first == REASON_NONE ? ts : culprit;
            first = first == REASON_NONE ? reason : first;
            continue;
        }
        p->bits = store_bits(ts);
        p->stored = true;
        if (!series->any || p->t_ms >= series->newest_ms) {
            series->newest_ms = p->t_ms;
            series->newest_bits = p->bits;
        }
        series->any = true;
        s->newest_ms = p->t_ms > s->newest_ms ? p->t_ms : s->newest_ms;
    }
    if (first != REASON_NONE && !s->keeps_good) {
        for (size_t i = request->n_timeseries; i-- > 0;) {
            undo[i].point->stored = undo[i].was_stored;
            undo[i].series->any = undo[i].any;
            undo[i].series->newest_ms = undo[i].newest_ms;
            undo[i].series->newest_bits = undo[i].newest_bits;
            s->newest_ms = undo[i].store_newest_ms;
        }
    }
    static const char *const texts[] = {"", "label name invalid", "too old sample",
                                        "duplicate sample for timestamp", "per-user series limit"};
    if (first != REASON_NONE && !s->silent && (!limit || s->limit_words)) {
        (void)snprintf(out, STORE_TEXT, "%s",
                       s->window_ms == 0 && first == REASON_ORDER ? "out of order sample"
                                                                  : texts[first]);
        if (s->names) {
            store_name(culprit, out);
        }
    }
    free(undo);
    prometheus__write_request__free_unpacked(request, NULL);
    return first == REASON_NONE                                                 ? 200
           : first == REASON_ORDER && s->old_status_500 && !s->silent && !limit ? 500
                                                                                : 400;
}
