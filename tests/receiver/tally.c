#include "tally.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/utf8.h"

static const char *const VIOLATION_KEYS[] = {
#define V(key, text) #key,
    VIOLATIONS_TABLE(V)
#undef V
};

static const char *const VIOLATION_TEXTS[] = {
#define V(key, text) text,
    VIOLATIONS_TABLE(V)
#undef V
};

void tally_init(struct tally *t)
{
    *t = (struct tally){.start_ns = clock_mono_ns()};
}

void tally_fini(struct tally *t)
{
    for (size_t i = 0; i < t->n_texts; i++) {
        free(t->texts[i]);
    }
    free(t->log);
}

void tally_violation(struct tally *t, enum violation kind, uint64_t n, const char *fmt, ...)
{
    t->n_violations[kind] += n;
    if (t->n_texts == MAX_VIOLATION_TEXTS) {
        return;
    }
    char detail[800];
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    detail[utf8_check(slice_str(detail))] = '\0'; /* may be cut within a character */
    char *text = NULL;
    if (asprintf(&text, "%s: %s", VIOLATION_KEYS[kind], detail) >= 0) {
        t->texts[t->n_texts++] = text;
    }
}

void tally_admission(struct tally *t, const struct admission *ad)
{
    t->n_dropped += ad->n_dropped;
    t->n_redelivered += ad->n_redelivered;
    for (int i = 0; i < REASON_COUNT; i++) {
        t->n_refused[i] += ad->refused[i];
    }
}

void tally_request(struct tally *t, const struct request_log *r)
{
    if (r->status < MAX_STATUS) {
        t->n_status[r->status] += 1;
    }
    if (t->log == NULL) {
        t->log = calloc(MAX_REQUEST_LOG, sizeof *t->log);
    }
    if (t->log != NULL && r->number > 0) {
        t->log[r->number % MAX_REQUEST_LOG] = *r;
    }
}

static void number_set(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *status_json(const struct tally *t)
{
    json_t *object = json_object();
    for (int i = 0; i < MAX_STATUS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        if (t->n_status[i] > 0) {
            number_set(object, i == 0 ? "closed" : key, t->n_status[i]);
        }
    }
    return object;
}

static json_t *refused_json(const struct tally *t, uint64_t *total)
{
    json_t *object = json_object();
    for (int i = 1; i < REASON_COUNT; i++) {
        *total += t->n_refused[i];
        if (t->n_refused[i] > 0) {
            number_set(object, reason_key((enum reason)i), t->n_refused[i]);
        }
    }
    return object;
}

static json_t *violations_json(const struct tally *t, uint64_t *total)
{
    json_t *object = json_object();
    for (int i = 0; i < N_VIOLATIONS; i++) {
        *total += t->n_violations[i];
        if (t->n_violations[i] > 0) {
            number_set(object, VIOLATION_KEYS[i], t->n_violations[i]);
        }
    }
    return object;
}

json_t *tally_stats(const struct tally *t, const struct store *s)
{
    json_t *object = json_object();
    uint64_t n_refused = 0;
    uint64_t n_violations = 0;
    number_set(object, "requests", t->n_requests);
    json_object_set_new(object, "status", status_json(t));
    number_set(object, "bytes", t->n_bytes);
    number_set(object, "decoded_bytes", t->n_decoded_bytes);
    number_set(object, "samples_received", t->n_samples);
    number_set(object, "histograms_received", t->n_histograms);
    number_set(object, "samples_accepted", s->n_points[TRACK_SCALAR]);
    number_set(object, "histograms_accepted", s->n_points[TRACK_HISTOGRAM]);
    number_set(object, "duplicates_same_value", s->n_repeated);
    number_set(object, "hidden_new_values", s->n_hidden);
    number_set(object, "late_accepted", s->n_late);
    json_object_set_new(object, "refused", refused_json(t, &n_refused));
    number_set(object, "refused_total", n_refused);
    number_set(object, "refused_redelivered", t->n_redelivered);
    number_set(object, "dropped_with_request", t->n_dropped);
    number_set(object, "unstored", t->n_unstored);
    number_set(object, "exemplars", t->n_exemplars);
    number_set(object, "metadata", t->n_metadata);
    json_object_set_new(object, "violations", violations_json(t, &n_violations));
    number_set(object, "violations_total", n_violations);
    number_set(object, "series", s->n_series);
    number_set(object, "active_series", s->n_active);
    number_set(object, "in_flight", t->n_in_flight);
    number_set(object, "max_in_flight", t->max_in_flight);
    json_object_set_new(object, "uptime_s",
                        json_real((double)(clock_mono_ns() - t->start_ns) / 1e9));
    json_object_set_new(object, "cpu_s", json_real((double)clock_cpu_ns() / 1e9));
    return object;
}

json_t *tally_violations(const struct tally *t)
{
    json_t *texts = json_array();
    json_t *kinds = json_object();
    uint64_t total = 0;
    for (size_t i = 0; i < t->n_texts; i++) {
        json_array_append_new(texts, json_string(t->texts[i]));
    }
    for (int i = 0; i < N_VIOLATIONS; i++) {
        json_object_set_new(kinds, VIOLATION_KEYS[i], json_string(VIOLATION_TEXTS[i]));
    }
    json_t *counts = violations_json(t, &total);
    return json_pack("{s:I, s:o, s:o, s:o}", "total", (json_int_t)total, "counts", counts, "kinds",
                     kinds, "texts", texts);
}

json_t *tally_requests(const struct tally *t)
{
    json_t *list = json_array();
    uint64_t first = t->n_requests > MAX_REQUEST_LOG ? t->n_requests - MAX_REQUEST_LOG + 1 : 1;
    for (uint64_t i = first; t->log != NULL && i <= t->n_requests; i++) {
        const struct request_log *r = &t->log[i % MAX_REQUEST_LOG];
        if (r->number != i) {
            continue; /* still in flight */
        }
        json_array_append_new(
            list,
            json_pack("{s:I, s:f, s:f, s:i, s:b, s:I, s:I, s:I, s:I, s:I}", "request",
                      (json_int_t)r->number, "start_ms", (double)(r->start_ns - t->start_ns) / 1e6,
                      "end_ms", (double)(r->end_ns - t->start_ns) / 1e6, "status", (int)r->status,
                      "planned", (int)r->planned, "series", (json_int_t)r->n_series, "samples",
                      (json_int_t)r->n_samples, "histograms", (json_int_t)r->n_histograms,
                      "refused", (json_int_t)r->n_refused, "bytes", (json_int_t)r->n_bytes));
    }
    return list;
}
