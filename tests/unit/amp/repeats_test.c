/* An hour's last total and last, sent again until the next is due. */
#include "rows_kit.h"

#define MINUTE INT64_C(60000)

static const struct given_row hour = {
    .window_ms = 60 * MINUTE,
    .series = {
        {.metric = "gone_total", .kind = SERIES_COUNTER, .samples = 9, .ended = true, .v = {3, 1, 3}},
        {.metric = "hits_total", .kind = SERIES_COUNTER, .samples = 9, .v = {7, 2, 1007}},
        {.metric = "players", .kind = SERIES_GAUGE, .samples = 3, .v = {9, 1, 5, 3}},
        {.metric = "tick", .kind = SERIES_EXP_HISTOGRAM, .samples = 1, .v = {4.5}, .counts = {3}}}};

static struct world *repeats_world(const char *topic)
{
    struct world *w = rows_world(RANGE, false);
    w->partition.topic = slice_str(topic);
    return w;
}

/* Minute by minute, until so long after the window's end. */
static void time_run(struct world *w, int64_t until_ms, struct buf *sent)
{
    while (w->now.wall_ms < until_ms + T) {
        amp_turn(w->amp, w->now);
        sent_run(w, sent);
        int64_t ms = (w->now.wall_ms / MINUTE + 1) * MINUTE - w->now.wall_ms;
        world_pass(w, ms);
    }
}

static void repeats_want(struct buf *want, int64_t from_ms, int64_t to_ms)
{
    for (int64_t t = from_ms; t <= to_ms; t += 5 * MINUTE) {
        buf_printf(want, "hits_total:1h{a=b} 7 @+%lld\n", (long long)t);
        buf_printf(want, "players:1h{a=b} 3 @+%lld\n", (long long)t);
        buf_printf(want, "tick:1h{a=b} 3 of sum 4.5, schema 2 @+%lld\n", (long long)t);
    }
}

static const char hour_itself[] = "gone_total:1h{a=b} 3 @+0\n"
                                  "hits_total:1h{a=b} 7 @+0\n"
                                  "players:1h{a=b} 3 @+0\n"
                                  "players:1h:min{a=b} 1 @+0\n"
                                  "players:1h:max{a=b} 5 @+0\n"
                                  "tick:1h{a=b} 3 of sum 4.5, schema 2 @+0\n"
                                  "gone_total:1h{a=b} stale @+1\n";

/* How the hour's row comes in: late_ms after its end. */
static const struct {
    const char *topic;
    int64_t late_ms;
    bool restored;      /* delivered before */
    bool dropped;       /* the partition goes half an hour later */
    int64_t to_ms;      /* the last repeat; 0: none */
} hours[] = {
    {"metrics.rollup.1h", 1 * MINUTE, false, false, 55 * MINUTE},
    {"metrics.rollup.1h", 17 * MINUTE, false, false, 55 * MINUTE},
    {"metrics.rollup.1h", 61 * MINUTE, false, false, 0},
    {"metrics.rollup.other", 1 * MINUTE, false, false, 0},
    {"metrics.rollup.1h", 17 * MINUTE, true, false, 55 * MINUTE},
    {"metrics.rollup.1h", 1 * MINUTE, false, true, 30 * MINUTE},
};

START_TEST(an_hour_is_repeated_until_the_next_is_due)
{
    struct err e = ERR_INIT;
    struct world *w = repeats_world(hours[_i].topic);
    struct buf sent;
    struct buf want;
    buf_init(&sent, 1 << 20);
    buf_init(&want, 1 << 20);
    w->now.wall_ms = T + hours[_i].late_ms;
    row_add(w, &hour, 0);
    if (hours[_i].restored) {
        const struct record r = {.partition = &w->old_partition, .value = w->records[0]};
        ck_assert(amp_restore(w->amp, &r, &w->partition, &e));
        w->next = w->n_records;
        w->released[0] = true;
    } else {
        buf_printf(&want, "%s", hour_itself);
    }
    if (hours[_i].dropped) {
        time_run(w, 31 * MINUTE, &sent);
        amp_drop(w->amp, &w->partition);
    }
    time_run(w, 130 * MINUTE, &sent);
    repeats_want(&want, 5 * MINUTE, hours[_i].to_ms);
    ck_assert_str_eq(buf_c_str(&sent), buf_c_str(&want));
    buf_fini(&sent);
    buf_fini(&want);
    world_free(w);
}
END_TEST

/* The next row takes the former one's place, be it that all have ended. */
START_TEST(the_next_row_ends_repeats)
{
    const struct given_row end = {
        .window_ms = 60 * MINUTE,
        .series = {{.metric = "hits_total", .kind = SERIES_COUNTER, .ended = true, .v = {7, 0, 7}}}};
    struct world *w = repeats_world("metrics.rollup.1h");
    struct buf sent;
    buf_init(&sent, 1 << 20);
    w->now.wall_ms = T + MINUTE;
    row_add(w, &hour, 0);
    time_run(w, 8 * MINUTE, &sent);
    row_add(w, &end, 0);
    time_run(w, 9 * MINUTE, &sent);
    buf_reset(&sent);
    time_run(w, 70 * MINUTE, &sent);
    ck_assert_uint_eq(sent.len, 0);
    buf_fini(&sent);
    world_free(w);
}
END_TEST

START_TEST(refused_repeats_are_no_dead_letters)
{
    const struct given_row refused = {
        .window_ms = 60 * MINUTE,
        .series = {{.metric = "metric_9", .kind = SERIES_COUNTER, .samples = 1, .v = {7, 0, 7}}}};
    struct world *w = repeats_world("metrics.rollup.1h");
    struct buf sent;
    buf_init(&sent, 1 << 20);
    w->now.wall_ms = T + MINUTE;
    row_add(w, &refused, 0);
    time_run(w, 70 * MINUTE, &sent);
    ck_assert_uint_eq(w->n_letters, 1);
    ck_assert_uint_gt(w->n_sends, 11);
    buf_fini(&sent);
    world_free(w);
}
END_TEST

/* A repeat holds no offset, so nothing keeps its partition once that is revoked. */
START_TEST(repeats_on_their_way_forget_a_partition_that_goes)
{
    struct world *w = repeats_world("metrics.rollup.1h");
    struct buf sent;
    buf_init(&sent, 1 << 20);
    w->now.wall_ms = T + MINUTE;
    row_add(w, &hour, 0);
    time_run(w, 4 * MINUTE, &sent);
    unsigned n_sends = w->n_sends;
    world_pass(w, 2 * MINUTE);
    amp_turn(w->amp, w->now); /* what is due waits for its batch's deadline now, or is under way */
    if (_i == 1) {
        world_pass(w, 1000);
        world_turn(w);
    }
    ck_assert(!sender_is_idle(amp_sender(w->amp)));
    amp_drop(w->amp, &w->partition);
    w->gone = true;
    for (int i = 0; i < 10; i++) {
        for (uint32_t s = 0; s < MAX_SHARDS; s++) {
            if (w->flights[s].busy) {
                world_answer(w, s, 503, "", true);
            }
        }
        world_pass(w, 1000);
        world_turn(w);
    }
    ck_assert(sender_is_idle(amp_sender(w->amp)));
    ck_assert(w->n_sends == n_sends || _i == 1);
    buf_fini(&sent);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repeats");
    TCase *c = tcase_create("repeats");
    tcase_add_loop_test(c, an_hour_is_repeated_until_the_next_is_due, 0,
                        (int)(sizeof hours / sizeof hours[0]));
    tcase_add_test(c, the_next_row_ends_repeats);
    tcase_add_test(c, refused_repeats_are_no_dead_letters);
    tcase_add_loop_test(c, repeats_on_their_way_forget_a_partition_that_goes, 0, 2);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
