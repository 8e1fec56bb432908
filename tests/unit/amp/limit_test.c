/* The store's series limit: who waits, who flows on, and in what order; what the store has
 * forgotten counts as new to it. */
#include "world.h"

enum { MINUTE_MS = 60000, HOUR_MS = 3600000, N_OLD = 20, N_NEW = 10, MANY = 250 };

/* Of server 1: n series from metric_100 on. */
static void scrape(struct world *w, unsigned n, int64_t t_ms)
{
    const struct scrape_spec spec = {
        .server = 1, .first_metric = 100, .n = n, .t_ms = t_ms, .late_at = -1};
    world_scrape(w, &spec);
}

/* Turns and answers for so long, and takes what there is room for. */
static void live(struct world *w, int64_t for_ms)
{
    enum { TICK_MS = 20 };
    for (int64_t t_ms = 0; t_ms < for_ms; t_ms += TICK_MS) {
        if (w->next < w->n_records && sender_has_room(amp_sender(w->amp))) {
            world_take(w);
        }
        world_turn(w);
        for (uint32_t s = 0; s < MAX_SHARDS; s++) {
            if (w->flights[s].busy) {
                world_serve(w, s);
            }
        }
        world_pass(w, TICK_MS);
    }
}

static bool is_limited(struct world *w)
{
    return cell_get(metrics_cell(w->metrics, M_RW_LIMITED, NULL)) == 1;
}

static void check_all_taken(struct world *w, size_t n_points)
{
    ck_assert_uint_eq(store_count(w), n_points);
    ck_assert_uint_eq(w->n_letters, 0);
    ck_assert_double_eq(counted(w, M_RW_ALREADY_THERE, ""), 0);
    check_accounts(w);
    check_released(w);
    world_free(w);
}

/* The time in which the store forgets goes by on the wall, or in the samples, or in both. */
static const struct {
    const char *name;
    int64_t wall_ms, samples_ms;
} silence_rows[] = {
    {"both", 3 * HOUR_MS, 3 * HOUR_MS},
    {"what comes is a backlog", 3 * HOUR_MS, 10000},
    {"what was taken was a backlog", 0, 3 * HOUR_MS},
};

START_TEST(what_the_store_has_forgotten_waits_like_a_new_series)
{
    struct world *w = world_new(&usual, 1);
    w->store.silent = true;
    scrape(w, N_OLD, epoch_ms);
    world_run(w);
    for (size_t i = 0; i < w->store.n; i++) {
        w->store.series[i].any = false;
    }
    const struct scrape_spec other = {
        .server = 2, .first_metric = 100, .n = 5, .t_ms = epoch_ms, .late_at = -1};
    world_scrape(w, &other);
    world_run(w);
    w->store.max_series = 5;
    world_pass(w, silence_rows[_i].wall_ms);
    scrape(w, N_OLD, epoch_ms + silence_rows[_i].samples_ms);
    live(w, 2000);
    ck_assert_uint_eq(w->n_letters, 0);
    ck_assert(is_limited(w));
    w->store.max_series = 0;
    world_run(w);
    check_all_taken(w, 2 * N_OLD + 5);
}
END_TEST

/* Series that are sent once an hour are not silent, and who knew them by one shape knows them by
 * the next. */
START_TEST(what_was_taken_within_the_hour_flows_on)
{
    struct world *w = world_new(&usual, 1);
    int64_t step_ms = _i == 0 ? HOUR_MS + MINUTE_MS : 7 * MINUTE_MS;
    int64_t t_ms = epoch_ms;
    size_t n = 0;
    w->store.silent = true;
    for (; t_ms <= epoch_ms + 4 * HOUR_MS; t_ms += step_ms) {
        scrape(w, N_OLD, t_ms);
        world_run(w);
        world_pass(w, step_ms);
        n += N_OLD;
    }
    w->store.max_series = N_OLD;
    scrape(w, N_OLD + N_NEW, t_ms);
    live(w, 2000);
    ck_assert(is_limited(w));
    ck_assert_uint_eq(store_count(w), n + N_OLD);
    w->store.max_series = 0;
    world_run(w);
    check_all_taken(w, n + N_OLD + N_NEW);
}
END_TEST

/* A series that was known a moment ago is refused with the words of a limit, and waits; the limit
 * goes before its next point comes. */
START_TEST(nothing_passes_a_known_series_that_waits)
{
    struct sender_options slow = usual;
    slow.min_backoff_ms = 20000;
    slow.max_backoff_ms = 40000;
    struct world *w = world_new(&slow, 1);
    w->store.window_ms = 0;
    w->store.limit_words = true;
    scrape(w, N_OLD, epoch_ms);
    world_run(w);
    w->store.series[3].any = false;
    w->store.max_series = N_OLD - 1;
    scrape(w, N_OLD, epoch_ms + 10000);
    live(w, 2000);
    ck_assert(is_limited(w));
    ck_assert_uint_eq(store_count(w), 2 * N_OLD - 1);
    w->store.max_series = 0;
    scrape(w, N_OLD, epoch_ms + 20000);
    live(w, 2000);
    ck_assert_uint_eq(store_count(w), 3 * N_OLD - 2);
    world_run(w);
    check_all_taken(w, 3 * N_OLD);
}
END_TEST

static int64_t newest_letter(const struct world *w)
{
    int64_t newest_ms = INT64_MIN;
    for (size_t i = 0; i < w->n_letters; i++) {
        ck_assert_str_eq(w->letters[i].reason, "store_series_limit");
        newest_ms = w->letters[i].t_ms > newest_ms ? w->letters[i].t_ms : newest_ms;
    }
    return newest_ms;
}

/* Is of the new series just that stored which was not given up? */
static void check_newer_stored(const struct world *w, int64_t given_up_ms)
{
    for (size_t i = 0; i < w->store.n; i++) {
        const struct store_series *series = &w->store.series[i];
        const char *number = strstr(series->key, "metric_");
        bool is_new = number != NULL && atoi(number + strlen("metric_")) >= 100 + N_OLD;
        for (size_t k = 0; is_new && k < series->n; k++) {
            ck_assert_int_eq(series->points[k].stored, series->points[k].t_ms > given_up_ms);
        }
    }
}

/* Room for samples, or for bytes, for a part of what waits. */
static const struct {
    const char *name;
    size_t n_samples, n_bytes;
    unsigned n_new;
} room_rows[] = {
    {"samples", 2000, 1 << 20, N_NEW},
    {"bytes", 100000, 100000, 1},
};

START_TEST(what_waits_leaves_room_for_the_known_series)
{
    struct sender_options o = usual;
    unsigned n_new = room_rows[_i].n_new;
    o.max_queued_samples = room_rows[_i].n_samples;
    o.max_queued_bytes = room_rows[_i].n_bytes;
    struct world *w = world_new(&o, 1);
    scrape(w, N_OLD, epoch_ms);
    world_run(w);
    w->store.max_series = N_OLD;
    for (int i = 1; i <= MANY; i++) {
        scrape(w, N_OLD + n_new, epoch_ms + i * 10000);
    }
    live(w, 60000);
    ck_assert_uint_eq(w->next, w->n_records);
    ck_assert_uint_eq(store_count(w), N_OLD * (MANY + 1));
    ck_assert(is_limited(w));
    ck_assert_uint_gt(w->n_letters, 0);
    if (_i == 0) { /* a third of the room, or more, still waits */
        ck_assert_uint_lt(w->n_letters, MANY * n_new - o.max_queued_samples / 3);
    }
    w->store.max_series = 0;
    world_run(w);
    ck_assert_uint_eq(store_count(w), N_OLD * (MANY + 1) + MANY * n_new - w->n_letters);
    check_newer_stored(w, newest_letter(w));
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

/* Whoever reads the letter learns that it waited, and what the store said. */
START_TEST(who_waited_too_long_is_told_why)
{
    struct sender_options o = usual;
    o.limited_wait_ms = 3000;
    struct world *w = world_new(&o, 1);
    w->store.limit_words = _i == 0;
    scrape(w, N_OLD, epoch_ms);
    world_run(w);
    w->store.max_series = N_OLD;
    scrape(w, N_OLD + N_NEW, epoch_ms + 10000);
    live(w, 10000);
    ck_assert_uint_eq(w->n_letters, N_NEW);
    for (size_t i = 0; i < w->n_letters; i++) {
        ck_assert_str_eq(w->letters[i].reason, "store_series_limit");
        ck_assert_ptr_nonnull(strstr(w->letters[i].text, "waited for the store's series limit; "));
        ck_assert(_i == 1 || strstr(w->letters[i].text, "its last word of it: ") != NULL);
    }
    check_accounts(w);
    check_released(w);
    world_free(w);
}
END_TEST

START_TEST(a_single_series_that_waits_is_tried_ever_more_rarely)
{
    struct world *w = world_new(&usual, 1);
    scrape(w, N_OLD, epoch_ms);
    world_run(w);
    w->store.max_series = N_OLD;
    scrape(w, N_OLD + 1, epoch_ms + 10000);
    live(w, 60000);
    ck_assert(is_limited(w));
    ck_assert_uint_lt(w->n_sends, 150); /* a second apart, or half of it, at last */
    w->store.max_series = 0;
    world_run(w);
    check_all_taken(w, 2 * N_OLD + 1);
}
END_TEST

/* --- random lives --- */

/* Servers whose scrapes have more or less series each time, in order of time. */
static void random_log(struct world *w)
{
    unsigned n_servers = 1 + (unsigned)rnd(w, 5);
    unsigned n_rounds = 10 + (unsigned)rnd(w, 40);
    for (unsigned round = 0; round < n_rounds; round++) {
        for (unsigned server = 0; server < n_servers; server++) {
            const struct scrape_spec spec = {.server = server,
                                             .first_metric = 86 + (unsigned)rnd(w, 20),
                                             .n = 1 + (unsigned)rnd(w, 20),
                                             .t_ms = epoch_ms + (int64_t)round * 10000,
                                             .late_at = -1};
            world_scrape(w, &spec);
        }
    }
}

/* All but the series that the store never takes. */
static void check_all_acceptable_stored(const struct world *w, uint64_t seed)
{
    for (size_t i = 0; i < w->store.n; i++) {
        const struct store_series *series = &w->store.series[i];
        bool own = strstr(series->key, "__name__=metric_9") != NULL;
        for (size_t k = 0; k < series->n; k++) {
            ck_assert_msg(series->points[k].stored == !own, "seed %llu: %s @%lld",
                          (unsigned long long)seed, series->key, (long long)series->points[k].t_ms);
        }
    }
}

/* Limits come and go, series are forgotten, answers take their time; the store takes nothing out of
 * order. What is acceptable is there in the end. */
START_TEST(random_limits)
{
    size_t n_limited = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct sender_options o = usual;
        o.max_queued_samples = 100000;
        o.max_queued_bytes = 100 << 20;
        o.n_shards = 1 + (uint32_t)(seed % MAX_SHARDS);
        o.max_samples = 1 + (uint32_t)(seed * 7 % 60);
        struct world *w = world_new(&o, seed);
        w->store.window_ms = 0;
        w->store.limit_words = rnd(w, 3) > 0;
        w->store.keeps_good = rnd(w, 2) == 0;
        w->store.max_request = rnd(w, 4) == 0 ? 5 + rnd(w, 20) : 0;
        random_log(w);
        for (int i = 0; i < 3000; i++) {
            if (w->next < w->n_records && rnd(w, 8) == 0) {
                world_take(w);
            }
            world_turn(w);
            uint32_t shard = (uint32_t)rnd(w, MAX_SHARDS);
            if (w->flights[shard].busy) {
                world_serve(w, shard);
            }
            world_pass(w, (int64_t)rnd(w, 30));
            if (rnd(w, 100) == 0) {
                w->store.max_series = rnd(w, 3) == 0 ? 0 : 1 + rnd(w, w->store.n + 1);
            }
            if (w->store.limit_words && w->store.n > 0 && rnd(w, 100) == 0) {
                w->store.series[rnd(w, w->store.n)].any = false;
            }
        }
        n_limited += w->n_notices[NOTICE_LIMITED];
        w->store.max_series = 0;
        world_run(w);
        ck_assert_uint_eq(w->n_overlaps, 0);
        check_accounts(w);
        check_released(w);
        check_all_acceptable_stored(w, seed);
        world_free(w);
    }
    ck_assert_uint_gt(n_limited, 40);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limit");
    TCase *c = tcase_create("rules");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, what_the_store_has_forgotten_waits_like_a_new_series, 0,
                        sizeof silence_rows / sizeof silence_rows[0]);
    tcase_add_loop_test(c, what_was_taken_within_the_hour_flows_on, 0, 2);
    tcase_add_test(c, nothing_passes_a_known_series_that_waits);
    tcase_add_loop_test(c, what_waits_leaves_room_for_the_known_series, 0,
                        sizeof room_rows / sizeof room_rows[0]);
    tcase_add_loop_test(c, who_waited_too_long_is_told_why, 0, 2);
    tcase_add_test(c, a_single_series_that_waits_is_tried_ever_more_rarely);
    suite_add_tcase(suite, c);
    TCase *random = tcase_create("random lives");
    tcase_set_timeout(random, 120);
    tcase_add_test(random, random_limits);
    suite_add_tcase(suite, random);
    return run_suite(suite);
}
