/* Ranges of rollup rows: however little memory there was, the same objects; what bad rows do. */
#include "../runner.h"
#include "range_kit.h"

enum { ROLLUP_SERIES = 60, ROLLUP_BYTES = ROLLUP_SERIES * GAUGE_COLUMNS * 8 };

/* A row of the batch's shape, which has counters and gauges alone, and late amounts of the two
 * windows before. */
struct rollup_load {
    struct game_load *load;
    struct arena arena;
    struct buf columns;
    uint32_t samples[ROLLUP_SERIES];
    int64_t last_ms[ROLLUP_SERIES];
    uint8_t values[ROLLUP_BYTES];
    uint32_t n_counters;
    uint32_t n_gauges;
    struct batch batch;
    struct rollup_amend amends[2];
    struct rollup rollup;
};

static struct rollup_load *rollup_load_new(const struct game_load_options *o)
{
    struct rollup_load *l = calloc(1, sizeof *l);
    ck_assert_ptr_nonnull(l);
    l->load = game_load_new(o);
    arena_init(&l->arena, 16 << 20);
    buf_init(&l->columns, 1 << 20);
    for (uint32_t i = 0; i < ROLLUP_SERIES; i++) {
        l->samples[i] = i;
        l->last_ms[i] = BASE_MS + i;
    }
    return l;
}

static void rollup_load_free(struct rollup_load *l)
{
    game_load_free(l->load);
    arena_fini(&l->arena);
    buf_fini(&l->columns);
    free(l);
}

static void shape_count(struct rollup_load *l)
{
    struct shape s;
    struct err e = ERR_INIT;
    arena_reset(&l->arena);
    ck_assert(
        shape_decode(l->batch.shape, l->batch.tenant, &shape_default_caps, &l->arena, &s, &e));
    ck_assert_uint_eq(s.n_series, ROLLUP_SERIES);
    l->n_gauges = 0;
    for (uint32_t i = 0; i < s.n_series; i++) {
        l->n_gauges += s.series[i].kind == SERIES_GAUGE;
    }
    l->n_counters = s.n_scalars - l->n_gauges;
}

static void amends_make(struct rollup_load *l)
{
    const struct rollup_amend_columns c = {
        .n_series = ROLLUP_SERIES,
        .samples = l->samples,
        .counters = slice_of(l->values, l->n_counters * sizeof(double)),
        .gauges = slice_of(l->values, l->n_gauges * AMEND_GAUGE_COLUMNS * sizeof(double))};
    buf_reset(&l->columns);
    rollup_amend_encode(&c, &l->columns);
    for (int i = 0; i < 2; i++) {
        l->amends[i] = (struct rollup_amend){l->batch.times.base_ms + (i - 2) * 60000,
                                             l->batch.shape, buf_slice(&l->columns)};
    }
}

static bool rollup_load_next(struct rollup_load *l)
{
    if (!game_load_next(l->load, &l->batch)) {
        return false;
    }
    shape_count(l);
    amends_make(l);
    l->rollup = (struct rollup){
        .tenant = l->batch.tenant,
        .class = l->batch.class,
        .source = l->batch.source,
        .window_ms = 60000,
        .end_ms = l->batch.times.base_ms,
        .closed_at = game_load_offset(l->load),
        .shape = l->batch.shape,
        .n_series = ROLLUP_SERIES,
        .samples = l->samples,
        .last_ms = l->last_ms,
        .counters = slice_of(l->values, l->n_counters * COUNTER_COLUMNS * sizeof(double)),
        .gauges = slice_of(l->values, l->n_gauges * GAUGE_COLUMNS * sizeof(double)),
        .n_amends = 2,
        .amends = l->amends};
    return true;
}

static int rollups_fill(struct range *r, const struct game_load_options *o, size_t max_bytes)
{
    struct rollup_load *l = rollup_load_new(o);
    struct err e = ERR_INIT;
    int n_spills = 0;
    uint64_t before = 0;
    for (int64_t offset = 100; rollup_load_next(l); offset++) {
        ck_assert_msg(range_add_rollup(r, &l->rollup, offset, &e), "%s", e.text);
        ck_assert_uint_le(range_held_bytes(r), max_bytes);
        n_spills += range_scratch_bytes(r) > before;
        before = range_scratch_bytes(r);
    }
    rollup_load_free(l);
    return n_spills;
}

START_TEST(rollups_in_little_memory_give_the_same_objects)
{
    struct game_load_options o = two_hours;
    o.histograms = false;
    struct range *large = range_new(LARGE, false);
    struct range *small = range_new(SMALL, false);
    ck_assert_int_eq(rollups_fill(large, &o, LARGE), 0);
    ck_assert_int_gt(rollups_fill(small, &o, SMALL), 1);
    ck_assert_uint_eq(range_n_rows(small), o.n_servers * o.n_scrapes * ROLLUP_SERIES * 3); /* with two amends */
    check_equal(large, small);
    ck_assert_int_eq(range_facts(small, 0).table, TABLE_ROLLUP_1M);
    ck_assert(strstr(range_key(small, 0), "p/rollup_1m/dt=") == range_key(small, 0));
    range_close(large);
    range_close(small);
}
END_TEST

START_TEST(bad_rollups_are_refused_and_leave_nothing)
{
    const struct game_load_options one = {
        .n_servers = 1, .n_metrics = ROLLUP_SERIES, .n_scrapes = 1, .base_ms = BASE_MS};
    struct rollup_load *l = rollup_load_new(&one);
    struct range *r = range_new(LARGE, false);
    struct err e = ERR_INIT;
    static const uint8_t junk[] = {3, 0xff, 0xff, 0xff};
    ck_assert(rollup_load_next(l));
    struct rollup bad[] = {l->rollup, l->rollup, l->rollup, l->rollup, l->rollup};
    struct rollup_amend amends[] = {l->amends[0], l->amends[1]};
    amends[1].columns.len -= 1; /* behind a row and an amend that are sound */
    bad[0].counters.len -= 8;
    bad[1].shape = slice_of(junk, sizeof junk);
    bad[2].window_ms = 120000;
    bad[3].exp = slice_of(junk, sizeof junk);
    bad[4].amends = amends;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert(!range_add_rollup(r, &bad[i], 1, &e));
        ck_assert_msg(e.kind == ERR_BAD_INPUT, "%zu: %s", i, e.text);
    }
    struct rollup heartbeat = {.kind = ROLLUP_HEARTBEAT};
    ck_assert(range_add_rollup(r, &heartbeat, 2, &e));
    ck_assert_uint_eq(range_n_rows(r), 0);
    ck_assert_uint_eq(plan(r), 0);
    ck_assert(range_add_rollup(r, &l->rollup, 3, &e));
    l->rollup.kind = ROLLUP_AMEND; /* its own columns are no rows */
    ck_assert(range_add_rollup(r, &l->rollup, 4, &e));
    ck_assert_uint_eq(range_n_rows(r), ROLLUP_SERIES * 5);
    rollup_load_free(l);
    range_close(r);
}
END_TEST

/* n late windows, each of another hour. */
static struct rollup_amend *many_amends(const struct rollup_load *l, uint32_t n)
{
    struct rollup_amend *amends = calloc(n, sizeof *amends);
    ck_assert_ptr_nonnull(amends);
    for (uint32_t i = 0; i < n; i++) {
        amends[i] = l->amends[0];
        amends[i].end_ms = BASE_MS - (int64_t)(n - i) * HOUR_MS;
    }
    return amends;
}

/* What a record takes grows with what it has, and what can't be taken is refused, not waited for. */
START_TEST(a_record_of_many_late_windows)
{
    const struct game_load_options one = {
        .n_servers = 1, .n_metrics = ROLLUP_SERIES, .n_scrapes = 1, .base_ms = BASE_MS};
    enum { MANY = 3000, TOO_MANY = 400000 };
    struct rollup_load *l = rollup_load_new(&one);
    struct range *r = range_new(LARGE, false);
    struct err e = ERR_INIT;
    ck_assert(rollup_load_next(l));
    struct rollup_amend *amends = many_amends(l, TOO_MANY);
    l->rollup.amends = amends;
    l->rollup.n_amends = TOO_MANY;
    ck_assert(!range_add_rollup(r, &l->rollup, 1, &e));
    ck_assert_msg(e.kind == ERR_BAD_INPUT, "%s", e.text);
    l->rollup.n_amends = MANY;
    ck_assert_msg(range_add_rollup(r, &l->rollup, 2, &e), "%s", e.text);
    ck_assert_uint_eq(range_n_rows(r), (MANY + 1) * ROLLUP_SERIES);
    ck_assert_uint_lt(range_held_bytes(r), 64 << 20);
    free(amends);
    rollup_load_free(l);
    range_close(r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("range_rollups");
    TCase *tests = tcase_create("rollups");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, rollups_in_little_memory_give_the_same_objects);
    tcase_add_test(tests, bad_rollups_are_refused_and_leave_nothing);
    tcase_add_test(tests, a_record_of_many_late_windows);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
