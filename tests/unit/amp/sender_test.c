/* The sender against a store in memory: single rules, and random lives (refusals, lost answers,
 * kills, takeovers) after which nothing acceptable is lost and nothing that the store has is in the
 * DLQ. */
#include "world.h"

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
    const struct cell *denied = metrics_cell(w->metrics, M_RW_DENIED, NULL);
    if (later_rows[_i].notice >= 0) {
        ck_assert_uint_eq(w->n_notices[later_rows[_i].notice], 12);
    }
    ck_assert_double_eq(cell_get(denied), later_rows[_i].notice >= 0 ? 1 : 0);
    world_run(w);
    ck_assert_double_eq(cell_get(denied), 0);
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
    memset(w->n_holds, 0, sizeof w->n_holds);
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
                               b.tenant, &(struct wire_names){.tenant_label = ""}, 1 << 20, &wire, &e));
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
        random_mood(w);
        /* Half of them know the store's window. */
        o.out_of_order_ms = rnd(w, 2) == 0 ? 0 : w->store.window_ms + 1;
        world_boot(w, &o);
        random_log(w);
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
