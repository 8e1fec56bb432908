/* The sender in a world of its own for tests: a log of scrapes, a store in memory, a DLQ, a clock,
 * and what a process leaves behind when it dies. */
#pragma once

#include "../runner.h"
#include "amp.h"
#include "fake_store.h"
#include "fixture.h"

enum { MAX_RECORDS = 600, MAX_SHARDS = 8, MAX_LETTERS = 4096, MAX_GAPS = 64 };

static const int64_t epoch_ms = INT64_C(1800000000000);

struct flight {
    bool busy;
    uint8_t *body;
    size_t n_body;
};

struct dead {
    struct hash128 series;
    int64_t t_ms;
    char reason[64];
    char text[64];
};

/* All that outlives a process: the log, the store, the DLQ, what was released. */
struct world {
    struct fake_store store;
    struct slice records[MAX_RECORDS];
    bool released[MAX_RECORDS];
    size_t n_records;
    size_t next; /* to be taken */
    size_t end_at_assignment;
    struct partition partition;
    struct partition old_partition;
    bool lost;                     /* the partition is not ours */
    bool gone;                     /* … and its memory is another's */
    unsigned n_holds[MAX_RECORDS]; /* beside the record's own */
    struct gap gaps[MAX_GAPS];     /* tenant: not kept */
    size_t n_gaps;
    struct dead letters[MAX_LETTERS];
    size_t n_letters;
    size_t n_double_letters;
    size_t n_rejected_records;
    struct flight flights[MAX_SHARDS];
    struct metrics *metrics;
    struct amp *amp;
    struct moment now;
    uint64_t random;
    unsigned n_notices[8];
    unsigned n_overlaps;
    unsigned n_sends;
};

static inline uint64_t rnd(struct world *w, uint64_t n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (w->random >> 20) % n;
}

/* --- hooks --- */

static inline void series_mark(struct world *w, struct slice body, bool in_flight)
{
    Prometheus__WriteRequest *request = store_decode(body);
    for (size_t i = 0; i < request->n_timeseries; i++) {
        char key[STORE_KEY];
        store_key(request->timeseries[i], key);
        struct store_series *series = store_find(&w->store, key);
        if (in_flight && series->in_flight) {
            bool same = false; /* twice in the same request is fine */
            for (size_t k = 0; k < i; k++) {
                char other[STORE_KEY];
                store_key(request->timeseries[k], other);
                same = same || strcmp(key, other) == 0;
            }
            w->n_overlaps += same ? 0 : 1;
        }
        series->in_flight = in_flight;
    }
    prometheus__write_request__free_unpacked(request, NULL);
}

static inline bool hook_send(void *ctx, uint32_t shard, enum write_version version,
                             struct slice body, struct err *e)
{
    struct world *w = ctx;
    ck_assert_int_eq(version, WRITE_1);
    struct flight *f = &w->flights[shard];
    (void)e;
    ck_assert(!f->busy);
    ck_assert_uint_gt(body.len, 0);
    f->busy = true;
    f->body = realloc(f->body, body.len);
    ck_assert_ptr_nonnull(f->body);
    memcpy(f->body, body.ptr, body.len);
    f->n_body = body.len;
    w->n_sends++;
    series_mark(w, body, true);
    return true;
}

static inline void hook_release(void *ctx, struct partition *p, int64_t offset)
{
    struct world *w = ctx;
    if (p == &w->partition && w->n_holds[offset] > 0) {
        w->n_holds[offset]--;
    } else if (p == &w->partition) {
        ck_assert(!w->released[offset]);
        w->released[offset] = true;
    }
}

static inline void hook_hold(void *ctx, const struct partition *p, int64_t offset)
{
    struct world *w = ctx;
    if (p == &w->partition) {
        ck_assert(!w->released[offset]);
        w->n_holds[offset]++;
    }
}

static inline bool hook_gap(void *ctx, const struct gap *g, struct err *e)
{
    struct world *w = ctx;
    (void)e;
    ck_assert(!w->released[g->first_offset]);
    ck_assert_uint_lt(w->n_gaps, MAX_GAPS);
    w->gaps[w->n_gaps] = *g;
    w->gaps[w->n_gaps++].tenant = SLICE_NONE;
    return true;
}

static inline bool hook_owns(void *ctx, const struct partition *p)
{
    struct world *w = ctx;
    ck_assert(!w->gone);
    return p == &w->partition && !w->lost;
}

static inline bool hook_dead_letter(void *ctx, const struct letter *l, struct err *e)
{
    struct world *w = ctx;
    (void)e;
    struct dead d = {.series = l->scrape->shape->series[l->point].id, .t_ms = l->time_ms};
    (void)snprintf(d.reason, sizeof d.reason, "%s", l->reason);
    (void)snprintf(d.text, sizeof d.text, "%s", l->text);
    for (size_t i = 0; i < w->n_letters; i++) {
        w->n_double_letters +=
            hash128_eq(w->letters[i].series, d.series) && w->letters[i].t_ms == d.t_ms ? 1 : 0;
    }
    ck_assert_uint_lt(w->n_letters, MAX_LETTERS);
    w->letters[w->n_letters++] = d;
    return true;
}

static inline void hook_notice(void *ctx, enum notice notice, int status, const char *text)
{
    struct world *w = ctx;
    (void)status;
    (void)text;
    w->n_notices[notice]++;
}

static inline bool reject(void *ctx, const struct record *r, const char *text, struct err *e)
{
    struct world *w = ctx;
    (void)r;
    (void)e;
    ck_assert_uint_gt(strlen(text), 0);
    w->n_rejected_records++;
    return true;
}

/* --- the world --- */

static const struct sender_options usual = {
    .n_shards = 4,
    .max_samples = 40,
    .max_bytes = 1 << 20,
    .batch_deadline_ms = 100,
    .min_backoff_ms = 10,
    .max_backoff_ms = 1000,
    .max_retry_after_ms = 5000,
    .bisect = true,
    .limited_wait_ms = 1000000,
    .max_queued_samples = 2000,
    .max_queued_bytes = 1 << 20,
    .max_known_bytes = 1 << 20,
    .max_newest_bytes = 1 << 20,
    .seed = 7,
};

static inline void world_boot_rows(struct world *w, const struct sender_options *o,
                                   const struct rows_options *rows)
{
    struct err e = ERR_INIT;
    const struct sender_hooks hooks = {.ctx = w,
                                       .send = hook_send,
                                       .release = hook_release,
                                       .dead_letter = hook_dead_letter,
                                       .hold = hook_hold,
                                       .gap = hook_gap,
                                       .owns = hook_owns,
                                       .notice = hook_notice};
    const struct amp_options options = {.sender = *o,
                                        .tenant_label = "",
                                        .max_shapes_bytes = 1 << 20,
                                        .templates = true,
                                        .rows = *rows,
                                        .repeat_topic = "metrics.rollup.1h"};
    w->metrics = metrics_new();
    ck_assert_msg(amp_new(&options, &hooks, reject, w->metrics, &w->amp, &e), "%s", e.text);
}

static inline void world_boot(struct world *w, const struct sender_options *o)
{
    world_boot_rows(w, o, &(struct rows_options){0});
}

static inline struct world *world_new(const struct sender_options *o, uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->store.window_ms = 60000;
    w->random = seed * 2654435761u + 88172645463325252u;
    w->partition = (struct partition){.topic = SLICE_LITERAL("metrics.valid"), .n_partitions = 1};
    w->now = (struct moment){1000, epoch_ms};
    world_boot(w, o);
    return w;
}

static inline void world_free(struct world *w)
{
    amp_free(w->amp);
    metrics_free(w->metrics);
    for (size_t i = 0; i < w->n_records; i++) {
        free((void *)(uintptr_t)w->records[i].ptr);
    }
    for (size_t i = 0; i < MAX_SHARDS; i++) {
        free(w->flights[i].body);
    }
    free(w);
}

static inline void world_add(struct world *w, struct slice record)
{
    uint8_t *copy = malloc(record.len + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, record.ptr, record.len);
    ck_assert_uint_lt(w->n_records, MAX_RECORDS);
    w->records[w->n_records++] = slice_of(copy, record.len);
}

/* One scrape of a server: series first_metric …, time t_ms; point late_at (or -1) is late_ms
 * behind. */
struct scrape_spec {
    unsigned server;
    unsigned first_metric;
    unsigned n;
    int64_t t_ms;
    int late_at;
    int64_t late_ms;
    bool histograms;
};

static inline void world_scrape(struct world *w, const struct scrape_spec *spec)
{
    struct err e = ERR_INIT;
    struct fixture *f = fixture_new();
    int64_t deltas[FIXTURE_MAX] = {0};
    for (unsigned i = 0; i < spec->n; i++) {
        bool exp = spec->histograms && i % 4 == 1;
        (void)fixture_series(f, exp ? SERIES_EXP_HISTOGRAM : SERIES_COUNTER, spec->first_metric + i,
                             spec->server);
    }
    ck_assert_msg(fixture_shape(f, spec->server, &e), "%s", e.text);
    for (unsigned i = 0; i < spec->n; i++) {
        if (spec->histograms && f->order[i]->kind == SERIES_EXP_HISTOGRAM) {
            const struct exp_histogram h = {.schema = 2, .count = (uint64_t)spec->t_ms, .sum = 1};
            exp_histogram_encode(&h, &f->exp);
        } else {
            buf_double(&f->values, (double)spec->t_ms + i);
        }
    }
    if (spec->late_at >= 0) {
        deltas[spec->late_at] = -spec->late_ms;
        f->batch.times =
            (struct batch_times){.base_ms = spec->t_ms, .n_deltas = spec->n, .deltas = deltas};
    } else {
        f->batch.times.base_ms = spec->t_ms;
    }
    f->batch.received_ms = spec->t_ms;
    world_add(w, fixture_record(f));
    fixture_free(f);
}

static inline void world_take(struct world *w)
{
    struct err e = ERR_INIT;
    struct record r = {
        .partition = &w->partition, .offset = (int64_t)w->next, .value = w->records[w->next]};
    ck_assert_msg(amp_take(w->amp, &r, w->next < w->end_at_assignment, w->now, &e), "%s", e.text);
    w->next++;
}

static inline void world_turn(struct world *w)
{
    struct err e = ERR_INIT;
    ck_assert_msg(sender_turn(amp_sender(w->amp), w->now, &e), "%s", e.text);
}

static inline void world_pass(struct world *w, int64_t ms)
{
    w->now.mono_ms += ms;
    w->now.wall_ms += ms;
}

static inline void world_answer(struct world *w, uint32_t shard, int status, const char *text,
                                bool maybe_sent)
{
    struct err e = ERR_INIT;
    struct flight *f = &w->flights[shard];
    const struct sender_answer a = {.status = status,
                                    .maybe_sent = maybe_sent,
                                    .body = slice_str(text),
                                    .error = "connection reset",
                                    .seconds = 0.1};
    series_mark(w, slice_of(f->body, f->n_body), false);
    f->busy = false;
    ck_assert_msg(sender_answer(amp_sender(w->amp), shard, &a, w->now, &e), "%s", e.text);
}

/* The store's own answer. */
static inline void world_serve(struct world *w, uint32_t shard)
{
    char text[STORE_TEXT];
    struct flight *f = &w->flights[shard];
    int status = store_write(&w->store, slice_of(f->body, f->n_body), text);
    world_answer(w, shard, status, text, true);
}

/* Serves everything until nothing is left. */
static inline void world_run(struct world *w)
{
    for (int i = 0; i < 200000; i++) {
        bool more = w->next < w->n_records;
        if (more && sender_has_room(amp_sender(w->amp))) {
            world_take(w);
        }
        world_turn(w);
        for (uint32_t s = 0; s < MAX_SHARDS; s++) {
            if (w->flights[s].busy) {
                world_serve(w, s);
            }
        }
        world_pass(w, 20);
        if (!more && sender_is_idle(amp_sender(w->amp))) {
            return;
        }
    }
    ck_abort_msg("does not come to an end");
}

static inline double counted(struct world *w, enum metric_id id, const char *second)
{
    struct slice values[2] = {SLICE_LITERAL("demo"), slice_str(second)};
    return cell_get(metrics_cell(w->metrics, id, values));
}

static inline double rejected(struct world *w)
{
    static const char *const reasons[] = {
        "store_refused",   "store_series_limit", "store_invalid",   "store_out_of_order",
        "store_too_old",   "store_duplicate",    "store_too_large", "delta_temporality",
        "too_old_to_send", "duplicate"};
    double n = 0;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        n += counted(w, M_SAMPLES_REJECTED, reasons[i]);
    }
    return n;
}

static inline void check_accounts(struct world *w)
{
    ck_assert_double_eq(counted(w, M_SAMPLES_IN, ""), counted(w, M_SAMPLES_OUT, "") + rejected(w) +
                                                          counted(w, M_RW_ALREADY_THERE, ""));
}

static inline void check_released(const struct world *w)
{
    for (size_t i = 0; i < w->n_records; i++) {
        ck_assert_msg(w->released[i], "offset %zu is held", i);
    }
}

static inline size_t store_count(const struct world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->store.n; i++) {
        for (size_t k = 0; k < w->store.series[i].n; k++) {
            n += w->store.series[i].points[k].stored ? 1 : 0;
        }
    }
    return n;
}
