/* The sender against a store in memory: single rules, and random lives (refusals, lost answers,
 * kills, takeovers) after which nothing acceptable is lost and nothing that the store has is in the
 * DLQ. */
#include "../runner.h"
#include "amp.h"
#include "fake_store.h"
#include "fixture.h"

enum { MAX_RECORDS = 600, MAX_SHARDS = 8, MAX_LETTERS = 4096 };

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
    bool lost; /* the partition is not ours */
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

static uint64_t rnd(struct world *w, uint64_t n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (w->random >> 20) % n;
}

/* --- hooks --- */

static void series_mark(struct world *w, struct slice body, bool in_flight)
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

static bool hook_send(void *ctx, uint32_t shard, struct slice body, struct err *e)
{
    struct world *w = ctx;
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

static void hook_release(void *ctx, struct partition *p, int64_t offset)
{
    struct world *w = ctx;
    if (p == &w->partition) {
        ck_assert(!w->released[offset]);
        w->released[offset] = true;
    }
}

static bool hook_owns(void *ctx, const struct partition *p)
{
    struct world *w = ctx;
    return p == &w->partition && !w->lost;
}

static bool hook_dead_letter(void *ctx, const struct letter *l, struct err *e)
{
    struct world *w = ctx;
    (void)e;
    struct dead d = {.series = l->scrape->shape->series[l->point].id, .t_ms = l->time_ms};
    (void)snprintf(d.reason, sizeof d.reason, "%s", l->reason);
    for (size_t i = 0; i < w->n_letters; i++) {
        w->n_double_letters +=
            hash128_eq(w->letters[i].series, d.series) && w->letters[i].t_ms == d.t_ms ? 1 : 0;
    }
    ck_assert_uint_lt(w->n_letters, MAX_LETTERS);
    w->letters[w->n_letters++] = d;
    return true;
}

static void hook_notice(void *ctx, enum notice notice, int status, const char *text)
{
    struct world *w = ctx;
    (void)status;
    (void)text;
    w->n_notices[notice]++;
}

static bool reject(void *ctx, const struct record *r, const char *text, struct err *e)
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
    .limited_wait_ms = 1000000,
    .max_queued_samples = 2000,
    .max_queued_bytes = 1 << 20,
    .max_known_bytes = 1 << 20,
    .seed = 7,
};

static void world_boot(struct world *w, const struct sender_options *o)
{
    struct err e = ERR_INIT;
    const struct sender_hooks hooks = {w,         hook_send,  hook_release, hook_dead_letter,
                                       hook_owns, hook_notice};
    const struct amp_options options = {
        .sender = *o, .tenant_label = "", .max_shapes_bytes = 1 << 20, .templates = true};
    w->metrics = metrics_new();
    ck_assert_msg(amp_new(&options, &hooks, reject, w->metrics, &w->amp, &e), "%s", e.text);
}

static struct world *world_new(const struct sender_options *o, uint64_t seed)
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

static void world_free(struct world *w)
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

static void world_add(struct world *w, struct slice record)
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

static void world_scrape(struct world *w, const struct scrape_spec *spec)
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

static void world_take(struct world *w)
{
    struct err e = ERR_INIT;
    struct record r = {
        .partition = &w->partition, .offset = (int64_t)w->next, .value = w->records[w->next]};
    ck_assert_msg(amp_take(w->amp, &r, w->next < w->end_at_assignment, w->now, &e), "%s", e.text);
    w->next++;
}

static void world_turn(struct world *w)
{
    struct err e = ERR_INIT;
    ck_assert_msg(sender_turn(amp_sender(w->amp), w->now, &e), "%s", e.text);
}

static void world_pass(struct world *w, int64_t ms)
{
    w->now.mono_ms += ms;
    w->now.wall_ms += ms;
}

static void world_answer(struct world *w, uint32_t shard, int status, const char *text,
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
static void world_serve(struct world *w, uint32_t shard)
{
    char text[STORE_TEXT];
    struct flight *f = &w->flights[shard];
    int status = store_write(&w->store, slice_of(f->body, f->n_body), text);
    world_answer(w, shard, status, text, true);
}

/* Serves everything until nothing is left. */
static void world_run(struct world *w)
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

static double counted(struct world *w, enum metric_id id, const char *second)
{
    struct slice values[2] = {SLICE_LITERAL("demo"), slice_str(second)};
    return cell_get(metrics_cell(w->metrics, id, values));
}

static double rejected(struct world *w)
{
    static const char *const reasons[] = {
        "store_refused", "store_series_limit", "store_invalid",   "store_out_of_order",
        "store_too_old", "store_duplicate",    "store_too_large", "delta_temporality"};
    double n = 0;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        n += counted(w, M_SAMPLES_REJECTED, reasons[i]);
    }
    return n;
}

static void check_accounts(struct world *w)
{
    ck_assert_double_eq(counted(w, M_SAMPLES_IN, ""), counted(w, M_SAMPLES_OUT, "") + rejected(w) +
                                                          counted(w, M_RW_ALREADY_THERE, ""));
}

static void check_released(const struct world *w)
{
    for (size_t i = 0; i < w->n_records; i++) {
        ck_assert_msg(w->released[i], "offset %zu is held", i);
    }
}

static size_t store_count(const struct world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->store.n; i++) {
        for (size_t k = 0; k < w->store.series[i].n; k++) {
            n += w->store.series[i].points[k].stored ? 1 : 0;
        }
    }
    return n;
}

/* --- single rules --- */

START_TEST(all_is_delivered_in_requests_of_the_right_size)
{
    struct world *w = world_new(&usual, 1);
    w->store.max_request = 40;
    for (int round = 0; round < 5; round++) {
        for (unsigned server = 0; server < 6; server++) {
            const struct scrape_spec spec = {.server = server,
                                             .first_metric = 100,
                                             .n = 25,
                                             .t_ms = epoch_ms + round * 10000,
                                             .late_at = -1,
                                             .histograms = true};
            world_scrape(w, &spec);
        }
    }
    world_run(w);
    ck_assert_uint_eq(store_count(w), 5 * 6 * 25);
    ck_assert_uint_eq(w->store.n_order_violations, 0);
    ck_assert_uint_eq(w->n_overlaps, 0);
    ck_assert_double_eq(counted(w, M_SAMPLES_OUT, ""), 750);
    ck_assert_uint_eq(w->n_letters, 0);
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

START_TEST(a_deadline_sends_what_is_not_full)
{
    struct world *w = world_new(&usual, 1);
    const struct scrape_spec spec = {.n = 5, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    world_take(w);
    world_turn(w);
    ck_assert_uint_eq(w->n_sends, 0);
    ck_assert_int_eq(sender_wait_ms(amp_sender(w->amp), w->now.mono_ms, 1000), 100);
    world_pass(w, 100);
    world_turn(w);
    ck_assert_uint_eq(w->n_sends, 1);
    world_run(w);
    world_free(w);
}
END_TEST

/* What a server's first scrapes leave behind, and then one with a culprit. Returns the letter. */
static struct dead *culprit(struct world *w, const struct scrape_spec *bad)
{
    const struct scrape_spec good = {
        .server = bad->server, .first_metric = 100, .n = 30, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &good);
    world_run(w);
    world_scrape(w, bad);
    world_run(w);
    check_accounts(w);
    check_released(w);
    return w->n_letters == 0 ? NULL : &w->letters[0];
}

static const struct {
    const char *name;
    bool keeps_good, names, status_500;
} store_rows[] = {
    {"atomic", false, false, false},
    {"keeps the good part", true, false, false},
    {"atomic, names, 500 for old ones", false, true, true},
    {"keeps, names", true, true, false},
};
enum { N_STORES = sizeof store_rows / sizeof store_rows[0] };

static struct world *moody_world(int row, const struct sender_options *o)
{
    struct world *w = world_new(o, 1);
    w->store.keeps_good = store_rows[row].keeps_good;
    w->store.names = store_rows[row].names;
    w->store.old_status_500 = store_rows[row].status_500;
    return w;
}

START_TEST(a_late_sample_is_found_and_the_rest_delivered)
{
    struct world *w = moody_world(_i, &usual);
    const struct scrape_spec bad = {
        .first_metric = 100, .n = 30, .t_ms = epoch_ms + 100000, .late_at = 17, .late_ms = 200000};
    struct dead *letter = culprit(w, &bad);
    ck_assert_uint_eq(store_count(w), 59);
    if (store_rows[_i].names) {
        ck_assert_ptr_nonnull(letter);
        ck_assert_uint_eq(w->n_letters, 1);
        ck_assert_int_eq(letter->t_ms, epoch_ms - 100000);
        ck_assert_str_eq(letter->reason, "store_too_old");
    } else { /* it might have been kept when the request was refused, and the window gone on since
              */
        ck_assert_uint_eq(w->n_letters, 0);
        ck_assert_double_eq(counted(w, M_RW_ALREADY_THERE, ""), 1);
    }
    world_free(w);
}
END_TEST

START_TEST(a_forbidden_series_is_found_and_the_rest_delivered)
{
    struct world *w = moody_world(_i, &usual);
    const struct scrape_spec bad = {
        .first_metric = 85, .n = 30, .t_ms = epoch_ms + 10000, .late_at = -1};
    (void)culprit(w, &bad);
    ck_assert_uint_eq(w->n_letters, 10); /* metric_90 to 99 */
    ck_assert_str_eq(w->letters[0].reason, "store_invalid");
    ck_assert_uint_eq(store_count(w), 30 + 20);
    world_free(w);
}
END_TEST

/* A whole scrape comes late: the first refusal names one point, and all of its time were late then.
 */
START_TEST(a_late_scrape_goes_to_the_dlq_as_a_whole)
{
    struct world *w = moody_world(_i, &usual);
    const struct scrape_spec ahead = {
        .first_metric = 100, .n = 30, .t_ms = epoch_ms + 900000, .late_at = -1};
    world_scrape(w, &ahead);
    world_run(w);
    const struct scrape_spec late = {.first_metric = 100, .n = 30, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &late);
    world_run(w);
    ck_assert_uint_eq(store_count(w), 30);
    ck_assert_uint_eq(w->n_letters, store_rows[_i].names ? 30 : 0);
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

START_TEST(out_of_order_without_a_window_is_certain)
{
    struct world *w = moody_world(_i, &usual);
    w->store.window_ms = 0;
    const struct scrape_spec bad = {
        .first_metric = 100, .n = 30, .t_ms = epoch_ms + 100000, .late_at = 17, .late_ms = 100001};
    struct dead *letter = culprit(w, &bad);
    ck_assert_ptr_nonnull(letter);
    ck_assert_uint_eq(w->n_letters, 1);
    ck_assert_str_eq(letter->reason, "store_out_of_order");
    ck_assert_uint_eq(store_count(w), 59);
    world_free(w);
}
END_TEST

START_TEST(a_redelivered_late_sample_counts_as_there)
{
    struct world *w = moody_world(_i, &usual);
    w->end_at_assignment = 2;
    const struct scrape_spec bad = {
        .first_metric = 100, .n = 30, .t_ms = epoch_ms + 100000, .late_at = 17, .late_ms = 200000};
    const struct scrape_spec ahead = {
        .first_metric = 100, .n = 30, .t_ms = epoch_ms + 90000, .late_at = -1};
    world_scrape(w, &ahead);
    world_run(w);
    world_scrape(w, &bad);
    world_run(w);
    ck_assert_uint_eq(w->n_letters, 0);
    ck_assert_double_eq(counted(w, M_RW_ALREADY_THERE, ""), 1);
    check_accounts(w);
    world_free(w);
}
END_TEST

START_TEST(an_uncertain_send_makes_a_refusal_already_there)
{
    struct sender_options one = usual;
    one.n_shards = 1;
    struct world *w = world_new(&one, 1);
    w->store.refuse_same_value = true;
    const struct scrape_spec spec = {.first_metric = 1, .n = 3, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    world_take(w);
    world_pass(w, 100);
    world_turn(w);
    char text[STORE_TEXT];
    ck_assert_int_eq(
        store_write(&w->store, slice_of(w->flights[0].body, w->flights[0].n_body), text), 200);
    world_answer(w, 0, 0, "", true); /* taken, but the answer is lost */
    world_run(w);
    ck_assert_uint_eq(w->n_letters, 0);
    ck_assert_double_eq(counted(w, M_RW_ALREADY_THERE, ""), 3);
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

START_TEST(too_large_requests_are_halved_down_to_the_point)
{
    struct world *w = world_new(&usual, 1);
    w->store.max_request = 3;
    const struct scrape_spec spec = {.first_metric = 1, .n = 30, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    world_run(w);
    ck_assert_uint_eq(store_count(w), 29);
    ck_assert_uint_eq(w->n_letters, 1); /* metric_9 */
    ck_assert_double_gt(cell_get(metrics_cell(w->metrics, M_RW_BISECTIONS, NULL)), 5);
    check_accounts(w);
    world_free(w);
}
END_TEST

START_TEST(a_single_point_too_large_goes_to_the_dlq)
{
    struct sender_options one = usual;
    one.n_shards = 1;
    struct world *w = world_new(&one, 1);
    const struct scrape_spec spec = {.first_metric = 1, .n = 1, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    world_take(w);
    world_pass(w, 100);
    world_turn(w);
    world_answer(w, 0, 413, "too large", true);
    ck_assert_uint_eq(w->n_letters, 1);
    ck_assert_str_eq(w->letters[0].reason, "store_too_large");
    world_run(w);
    check_accounts(w);
    world_free(w);
}
END_TEST

static const struct {
    int status;
    int64_t retry_after_ms;
    int notice; /* or -1 */
    bool denied;
} later_rows[] = {
    {429, 0, -1, false},
    {429, 2000, -1, false},
    {503, 0, -1, false},
    {0, 0, -1, false},
    {0, 0, NOTICE_AUTH, true},
    {400, 0, NOTICE_AUTH, true},
    {401, 0, NOTICE_AUTH, true},
    {403, 0, NOTICE_AUTH, false},
    {404, 0, NOTICE_MISROUTED, false},
    {302, 0, NOTICE_MISROUTED, false},
    {503, 999999, -1, false},
};

START_TEST(retries_back_off_and_honour_retry_after)
{
    struct err e = ERR_INIT;
    struct sender_options one = usual;
    one.n_shards = 1;
    struct world *w = world_new(&one, 1);
    const struct scrape_spec spec = {.first_metric = 1, .n = 3, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    world_take(w);
    world_pass(w, 100);
    world_turn(w);
    int64_t last_ms = 0;
    for (int i = 0; i < 12; i++) {
        ck_assert(w->flights[0].busy);
        series_mark(w, slice_of(w->flights[0].body, w->flights[0].n_body), false);
        w->flights[0].busy = false;
        const struct sender_answer a = {.status = later_rows[_i].status,
                                        .maybe_sent = true,
                                        .error = "timeout",
                                        .denied = later_rows[_i].denied,
                                        .advice = "advice",
                                        .retry_after_ms = later_rows[_i].retry_after_ms};
        ck_assert(sender_answer(amp_sender(w->amp), 0, &a, w->now, &e));
        int64_t wait_ms = sender_wait_ms(amp_sender(w->amp), w->now.mono_ms, 1000000);
        int64_t asked_ms =
            later_rows[_i].retry_after_ms < 5000 ? later_rows[_i].retry_after_ms : 5000;
        ck_assert_int_ge(wait_ms, asked_ms);
        ck_assert_int_ge(wait_ms, 5);
        ck_assert_int_le(wait_ms, asked_ms + 1000);
        if (i > 8 && asked_ms == 0) {
            ck_assert_int_ge(wait_ms, 500);
        }
        last_ms = wait_ms;
        world_pass(w, wait_ms - 1);
        world_turn(w);
        ck_assert(!w->flights[0].busy);
        world_pass(w, 1);
        world_turn(w);
    }
    ck_assert_int_gt(last_ms, 0);
    if (later_rows[_i].notice >= 0) {
        ck_assert_uint_eq(w->n_notices[later_rows[_i].notice], 12);
    }
    world_run(w);
    ck_assert_uint_eq(store_count(w), 3);
    check_accounts(w);
    world_free(w);
}
END_TEST

START_TEST(a_lost_partition_is_dropped_in_silence)
{
    struct sender_options one = usual;
    one.n_shards = 1;
    struct world *w = world_new(&one, 1);
    for (unsigned i = 0; i < 3; i++) {
        const struct scrape_spec spec = {
            .first_metric = 1, .n = 30, .t_ms = epoch_ms + i * 10000, .late_at = -1};
        world_scrape(w, &spec);
    }
    world_take(w);
    world_take(w);
    world_turn(w);
    ck_assert(w->flights[0].busy);
    w->lost = true;
    world_answer(w, 0, 400, "too old sample", true);
    for (int i = 0; i < 10; i++) {
        world_pass(w, 100);
        world_turn(w);
    }
    ck_assert(sender_is_idle(amp_sender(w->amp)));
    ck_assert_uint_eq(w->n_sends, 1);
    ck_assert_uint_eq(w->n_letters, 0);
    ck_assert_double_eq(counted(w, M_SAMPLES_IN, ""), 0);
    check_accounts(w);
    world_free(w);
}
END_TEST

START_TEST(records_that_cannot_be_read_and_heartbeats)
{
    struct world *w = world_new(&usual, 1);
    struct fixture *f = fixture_new();
    world_add(w, SLICE_LITERAL("garbage"));
    f->batch =
        (struct batch){.tenant = SLICE_LITERAL("demo"), .class = CLASS_STANDARD, .source = 5};
    world_add(w, fixture_record(f));
    const struct scrape_spec spec = {.first_metric = 1, .n = 3, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &spec);
    struct slice whole = w->records[2];
    for (size_t cut = 0; cut < whole.len; cut += 7) {
        world_add(w, slice_of(whole.ptr, cut));
    }
    world_run(w);
    check_released(w);
    ck_assert_uint_eq(w->n_rejected_records, w->n_records - 2);
    ck_assert_uint_eq(store_count(w), 3);
    fixture_free(f);
    world_free(w);
}
END_TEST

START_TEST(at_the_series_limit_known_series_flow_and_new_ones_wait)
{
    struct world *w = world_new(&usual, 1);
    w->store.keeps_good = _i == 1;
    w->store.window_ms = 0;
    w->store.silent = _i < 2;
    const struct scrape_spec known = {
        .server = 1, .first_metric = 100, .n = 20, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &known);
    world_run(w);
    w->store.max_series = 20;
    for (unsigned i = 1; i <= 10; i++) {
        const struct scrape_spec both = {
            .server = 1, .first_metric = 100, .n = 30, .t_ms = epoch_ms + i * 10000, .late_at = -1};
        world_scrape(w, &both);
    }
    for (int i = 0; i < 500; i++) {
        if (w->next < w->n_records) {
            world_take(w);
        }
        world_turn(w);
        for (uint32_t s = 0; s < MAX_SHARDS; s++) {
            if (w->flights[s].busy) {
                world_serve(w, s);
            }
        }
        world_pass(w, 20);
    }
    ck_assert_uint_eq(store_count(w), 20 * 11);
    ck_assert_uint_eq(w->n_notices[NOTICE_LIMITED], 1);
    ck_assert_double_eq(cell_get(metrics_cell(w->metrics, M_RW_LIMITED, NULL)), 1);
    ck_assert_uint_eq(w->n_letters, 0);
    ck_assert_uint_lt(w->n_sends, 200);
    w->store.max_series = 0;
    for (unsigned i = 11; i <= 20; i++) { /* the waiting ones' turn comes first */
        const struct scrape_spec both = {
            .server = 1, .first_metric = 100, .n = 30, .t_ms = epoch_ms + i * 10000, .late_at = -1};
        world_scrape(w, &both);
    }
    world_run(w);
    ck_assert_uint_eq(store_count(w), 20 * 21 + 10 * 20);
    ck_assert_uint_eq(w->n_letters, 0);
    world_turn(w);
    ck_assert_double_eq(cell_get(metrics_cell(w->metrics, M_RW_LIMITED, NULL)), 0);
    ck_assert_uint_eq(w->store.n_order_violations, 0);
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

START_TEST(what_waits_too_long_at_the_limit_goes_to_the_dlq)
{
    struct sender_options impatient = usual;
    impatient.limited_wait_ms = 3000;
    struct world *w = world_new(&impatient, 1);
    const struct scrape_spec known = {
        .server = 1, .first_metric = 100, .n = 20, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &known);
    world_run(w);
    w->store.max_series = 20;
    const struct scrape_spec both = {
        .server = 1, .first_metric = 100, .n = 30, .t_ms = epoch_ms + 10000, .late_at = -1};
    world_scrape(w, &both);
    world_run(w);
    ck_assert_uint_eq(w->n_letters, 10);
    ck_assert_str_eq(w->letters[0].reason, "store_series_limit");
    ck_assert_uint_eq(store_count(w), 40);
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

START_TEST(memory_is_bounded)
{
    struct world *w = world_new(&usual, 1);
    for (unsigned i = 0; i < 100; i++) {
        const struct scrape_spec spec = {.server = i % 7,
                                         .first_metric = 100,
                                         .n = 30,
                                         .t_ms = epoch_ms + i * 1000,
                                         .late_at = -1};
        world_scrape(w, &spec);
    }
    size_t n = 0;
    while (w->next < w->n_records && sender_has_room(amp_sender(w->amp))) {
        world_take(w);
        world_turn(w);
        n += 30;
    }
    ck_assert_uint_ge(n, 2000);
    ck_assert_uint_lt(n, 2060);
    world_free(w); /* with everything queued and under way: leaks show here */
}
END_TEST

/* --- random lives --- */

static void random_log(struct world *w)
{
    unsigned n_servers = 2 + (unsigned)rnd(w, 5);
    unsigned n_rounds = 4 + (unsigned)rnd(w, 12);
    bool late = rnd(w, 2) == 0;
    for (unsigned round = 0; round < n_rounds; round++) {
        for (unsigned server = 0; server < n_servers; server++) {
            struct scrape_spec spec = {.server = server,
                                       .first_metric = 86 + server % 3 * 20,
                                       .n = 1 + (unsigned)rnd(w, 20),
                                       .t_ms = epoch_ms + (int64_t)round * 20000 +
                                               (int64_t)rnd(w, 5000),
                                       .late_at = -1,
                                       .histograms = rnd(w, 2) == 0};
            if (late && rnd(w, 5) == 0) {
                spec.late_at = (int)rnd(w, spec.n);
                spec.late_ms = 1000 + (int64_t)rnd(w, 200000);
            }
            world_scrape(w, &spec);
        }
    }
}

static void random_mood(struct world *w)
{
    struct fake_store *s = &w->store;
    s->keeps_good = rnd(w, 2) == 0;
    s->old_status_500 = rnd(w, 3) == 0;
    s->names = rnd(w, 2) == 0;
    s->refuse_same_value = rnd(w, 4) == 0;
    s->window_ms = rnd(w, 2) == 0 ? 60000 : 0;
    s->max_request = rnd(w, 4) == 0 ? 5 + rnd(w, 20) : 0;
}

static void random_answer(struct world *w, uint32_t shard, unsigned trouble)
{
    char text[STORE_TEXT];
    struct flight *f = &w->flights[shard];
    uint64_t dice = rnd(w, 100);
    if (dice >= trouble) {
        world_serve(w, shard);
        return;
    }
    if (rnd(w, 2) == 0) { /* taken or refused, but nobody hears of it */
        (void)store_write(&w->store, slice_of(f->body, f->n_body), text);
    }
    static const int statuses[] = {0, 500, 503, 429};
    world_answer(w, shard, statuses[rnd(w, 4)], "", true);
}

/* kill -9: in-flight requests may arrive all the same; what was not released comes again. */
static void kill_and_restart(struct world *w, const struct sender_options *o)
{
    char text[STORE_TEXT];
    for (uint32_t s = 0; s < MAX_SHARDS; s++) {
        struct flight *f = &w->flights[s];
        if (f->busy) {
            series_mark(w, slice_of(f->body, f->n_body), false);
            if (rnd(w, 2) == 0) {
                (void)store_write(&w->store, slice_of(f->body, f->n_body), text);
            }
        }
        f->busy = false;
    }
    amp_free(w->amp);
    metrics_free(w->metrics);
    size_t committed = 0;
    while (committed < w->n_records && w->released[committed]) {
        committed++;
    }
    for (size_t i = committed; i < w->n_records; i++) {
        w->released[i] = false;
    }
    w->end_at_assignment = w->next > w->end_at_assignment ? w->next : w->end_at_assignment;
    w->next = committed;
    world_boot(w, o);
}

struct life {
    size_t n_fed, n_kept, n_dead, n_neither;
};

/* Every point that was fed is in the store, or in the DLQ, or was refused by the store; no letter
 * for what the store has; what is the point's own fault is in the DLQ. */
static void check_points(struct world *w, struct life *life)
{
    struct err e = ERR_INIT;
    struct arena a;
    arena_init(&a, 64 << 20);
    for (size_t r = 0; r < w->n_records; r++) {
        struct batch b;
        struct shape shape;
        int64_t times[FIXTURE_MAX];
        arena_reset(&a);
        ck_assert(batch_decode(w->records[r], &batch_default_caps, &a, &b, &e));
        ck_assert(shape_decode(b.shape, b.tenant, &shape_default_caps, &a, &shape, &e));
        ck_assert(batch_times_decode(&b.times, shape.n_series, times, &e));
        for (uint32_t i = 0; i < shape.n_series; i++) {
            struct wire_shape *wire;
            char key[STORE_KEY];
            const struct series *s = &shape.series[i];
            ck_assert(
                wire_shape_new(&(struct shape){.n_series = 1,
                                               .series = s,
                                               .n_scalars = s->kind == SERIES_COUNTER ? 1u : 0u,
                                               .n_exp = s->kind == SERIES_EXP_HISTOGRAM ? 1u : 0u},
                               b.tenant, "", 1 << 20, &wire, &e));
            static const char *const names[] = {"Zone", "__name__", "server", "zone"};
            size_t at = 0;
            for (int k = 0; k < 4; k++) {
                struct slice v;
                if (wire_shape_label(wire, 0, names[k], &v)) {
                    at += (size_t)snprintf(key + at, sizeof key - at, "%s=%.*s,", names[k],
                                           SLICE_ARG(v));
                }
            }
            wire_shape_unref(wire);
            struct store_series *series = store_find(&w->store, key);
            struct store_point *p = store_point(series, times[i]);
            bool dead = false;
            for (size_t k = 0; k < w->n_letters; k++) {
                dead = dead ||
                       (hash128_eq(w->letters[k].series, s->id) && w->letters[k].t_ms == times[i]);
            }
            bool own = strstr(key, "__name__=metric_9") != NULL;
            life->n_fed++;
            life->n_kept += p->stored ? 1 : 0;
            life->n_dead += dead ? 1 : 0;
            life->n_neither += !p->stored && !dead ? 1 : 0;
            ck_assert_msg(!(dead && p->stored), "in the store and in the DLQ: %s @%lld", key,
                          (long long)times[i]);
            ck_assert_msg(p->stored || dead || p->refused, "lost: %s @%lld", key,
                          (long long)times[i]);
            ck_assert_msg(!p->in_order || p->stored,
                          "came in order, and is not in the store: %s @%lld", key,
                          (long long)times[i]);
            ck_assert_msg(!own || dead, "not in the DLQ: %s @%lld", key, (long long)times[i]);
        }
    }
    arena_fini(&a);
}

START_TEST(random_lives)
{
    struct life life = {0};
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct sender_options o = usual;
        struct world *w = world_new(&o, seed + (uint64_t)_i * 1000);
        amp_free(w->amp);
        metrics_free(w->metrics);
        o.n_shards = 1 + (uint32_t)rnd(w, MAX_SHARDS);
        o.max_samples = 1 + (uint32_t)rnd(w, 60);
        world_boot(w, &o);
        random_log(w);
        random_mood(w);
        unsigned trouble = _i == 0 ? 0 : 20;
        unsigned kills = _i == 2 ? 4 : 0;
        for (int i = 0; i < 2000; i++) {
            if (w->next < w->n_records && sender_has_room(amp_sender(w->amp)) && rnd(w, 3) > 0) {
                world_take(w);
            }
            world_turn(w);
            uint32_t shard = (uint32_t)rnd(w, MAX_SHARDS);
            if (w->flights[shard].busy) {
                random_answer(w, shard, trouble);
            }
            world_pass(w, (int64_t)rnd(w, 30));
            if (kills > 0 && rnd(w, 400) == 0) {
                kills--;
                kill_and_restart(w, &o);
            }
        }
        world_run(w);
        ck_assert_uint_eq(w->n_overlaps, 0);
        check_accounts(w);
        check_released(w);
        check_points(w, &life);
        world_free(w);
    }
    (void)printf("%s: %zu points, %zu in the store, %zu in the DLQ, %zu only counted as there\n",
                 _i == 0   ? "refusals"
                 : _i == 1 ? "and lost answers"
                           : "and kills",
                 life.n_fed, life.n_kept, life.n_dead, life.n_neither);
    ck_assert_uint_gt(life.n_kept, life.n_fed / 3);
    ck_assert_uint_gt(life.n_dead, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sender");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, all_is_delivered_in_requests_of_the_right_size);
    tcase_add_test(c, a_deadline_sends_what_is_not_full);
    tcase_add_loop_test(c, a_late_sample_is_found_and_the_rest_delivered, 0, N_STORES);
    tcase_add_loop_test(c, a_forbidden_series_is_found_and_the_rest_delivered, 0, N_STORES);
    tcase_add_loop_test(c, a_late_scrape_goes_to_the_dlq_as_a_whole, 0, N_STORES);
    tcase_add_loop_test(c, out_of_order_without_a_window_is_certain, 0, N_STORES);
    tcase_add_loop_test(c, a_redelivered_late_sample_counts_as_there, 0, N_STORES);
    tcase_add_test(c, an_uncertain_send_makes_a_refusal_already_there);
    tcase_add_test(c, too_large_requests_are_halved_down_to_the_point);
    tcase_add_test(c, a_single_point_too_large_goes_to_the_dlq);
    tcase_add_loop_test(c, retries_back_off_and_honour_retry_after, 0,
                        sizeof later_rows / sizeof later_rows[0]);
    tcase_add_test(c, a_lost_partition_is_dropped_in_silence);
    tcase_add_test(c, records_that_cannot_be_read_and_heartbeats);
    tcase_add_loop_test(c, at_the_series_limit_known_series_flow_and_new_ones_wait, 0, 3);
    tcase_add_test(c, what_waits_too_long_at_the_limit_goes_to_the_dlq);
    tcase_add_test(c, memory_is_bounded);
    suite_add_tcase(suite, c);
    TCase *random = tcase_create("random lives");
    tcase_set_timeout(random, 120);
    tcase_add_loop_test(random, random_lives, 0, 3);
    suite_add_tcase(suite, random);
    return run_suite(suite);
}
