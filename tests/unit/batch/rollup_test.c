#include "batch/rollup.h"
#include "batch/rollup_commit.h"

#include "batch/histogram.h"

#include <math.h>

#include "unit/runner.h"

enum { ARENA_BYTES = 4 << 20, MAX_BYTES = 1 << 20 };

/* A row of two counters, a gauge and both kinds of histograms, and all that a row can have. */
struct example {
    struct arena a;
    struct buf shape;
    struct buf columns[4];
    struct buf amend;
    struct series series[5];
    uint32_t samples[5];
    int64_t last_ms[5];
    uint32_t ended[1];
    struct rollup_late late[1];
    struct rollup_amend amends[2];
    double late_amount;
    struct rollup row;
};

static const double bounds[] = {0.5, 1};
static const uint64_t counts[] = {1, 2, 3};

static void doubles_put(struct buf *b, const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_double(b, v[i]);
    }
}

static void example_init(struct example *x)
{
    struct err e = ERR_INIT;
    const struct series *list[5];
    static const enum series_kind kinds[] = {SERIES_COUNTER, SERIES_COUNTER, SERIES_GAUGE,
                                             SERIES_EXP_HISTOGRAM, SERIES_CLASSIC_HISTOGRAM};
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    *x = (struct example){.samples = {6, 6, 6, 1, 1}, .ended = {2}, .late_amount = 0.5};
    arena_init(&x->a, ARENA_BYTES);
    buf_init(&x->shape, MAX_BYTES);
    buf_init(&x->amend, MAX_BYTES);
    for (int i = 0; i < 4; i++) {
        buf_init(&x->columns[i], MAX_BYTES);
    }
    for (int i = 0; i < 5; i++) {
        bool is_classic = kinds[i] == SERIES_CLASSIC_HISTOGRAM;
        x->series[i] = (struct series){.metric = slice_str(names[i]),
                                       .unit = SLICE_LITERAL(""),
                                       .kind = kinds[i],
                                       .delta = i == 1,
                                       .n_bounds = is_classic ? 2 : 0,
                                       .bounds = is_classic ? bounds : NULL};
        list[i] = &x->series[i];
        x->last_ms[i] = 1700000059000 + i;
    }
    ck_assert(shape_encode(SLICE_LITERAL("gs"), list, 5, &x->a, &x->shape, &e));
    doubles_put(&x->columns[0], (const double[]){10, 2, 30, 4, 1.5, (double)NAN}, 6);
    doubles_put(&x->columns[1], (const double[]){6, 0, 2, 1}, 4);
    const struct exp_histogram h = {.schema = 3, .zero_count = 2, .count = 2, .sum = 0};
    const struct classic_histogram c = {
        .has_sum = true, .sum = 2, .count = 6, .n_counts = 3, .counts = counts};
    for (int i = 0; i < HISTOGRAM_COLUMNS; i++) {
        exp_histogram_encode(&h, &x->columns[2]);
        classic_histogram_encode(&c, &x->columns[3]);
    }
    const struct rollup_amend_columns amend = {
        .n_series = 1, .samples = x->samples, .counters = slice_of(&x->late_amount, 8)};
    rollup_amend_encode(&amend, &x->amend);
    x->late[0] = (struct rollup_late){1, slice_of(&x->late_amount, 8)};
    for (int i = 0; i < 2; i++) {
        x->amends[i] = (struct rollup_amend){1699999000000 + 60000 * i, buf_slice(&x->shape),
                                             buf_slice(&x->amend)};
    }
    x->row = (struct rollup){.tenant = SLICE_LITERAL("demo"),
                             .class = CLASS_VERBOSE,
                             .source = UINT64_C(0xfedcba9876543210),
                             .window_ms = 60000,
                             .end_ms = 1700000060000,
                             .closed_at = 42,
                             .part = 1,
                             .shape = buf_slice(&x->shape),
                             .n_series = 5,
                             .samples = x->samples,
                             .last_ms = x->last_ms,
                             .n_ended = 1,
                             .ended = x->ended,
                             .counters = buf_slice(&x->columns[0]),
                             .gauges = buf_slice(&x->columns[1]),
                             .exp = buf_slice(&x->columns[2]),
                             .classic = buf_slice(&x->columns[3]),
                             .n_late = 1,
                             .late = x->late,
                             .n_amends = 2,
                             .amends = x->amends};
}

static void example_fini(struct example *x)
{
    arena_fini(&x->a);
    buf_fini(&x->shape);
    buf_fini(&x->amend);
    for (int i = 0; i < 4; i++) {
        buf_fini(&x->columns[i]);
    }
}

static void encode(const struct rollup *r, struct buf *out)
{
    buf_init(out, MAX_BYTES);
    rollup_encode(r, out);
    ck_assert(buf_ok(out));
}

START_TEST(what_is_written_is_read)
{
    struct example x;
    struct buf bytes;
    struct buf again;
    struct rollup r;
    struct shape s;
    struct rollup_amend_columns amend;
    struct err e = ERR_INIT;
    example_init(&x);
    encode(&x.row, &bytes);
    ck_assert_msg(rollup_decode(buf_slice(&bytes), &x.a, &r, &e), "%s", e.text);
    ck_assert(shape_decode(r.shape, r.tenant, &shape_default_caps, &x.a, &s, &e));
    ck_assert_msg(rollup_check(&r, &s, &e), "%s", e.text);
    ck_assert_int_eq(r.closed_at, 42);
    ck_assert_int_eq(r.part, 1);
    ck_assert_uint_eq(r.source, x.row.source);
    ck_assert_int_eq(r.last_ms[4], x.last_ms[4]);
    ck_assert_uint_eq(r.samples[3], 1);
    ck_assert_uint_eq(r.ended[0], 2);
    ck_assert_uint_eq(r.late[0].series, 1);
    ck_assert_int_eq(r.amends[1].end_ms, x.amends[1].end_ms);
    ck_assert(rollup_amend_decode(&r.amends[1], &x.a, &amend, &e));
    ck_assert_uint_eq(amend.n_series, 1);
    ck_assert_uint_eq(amend.counters.len, 8);
    encode(&r, &again);
    ck_assert(slice_eq(buf_slice(&bytes), buf_slice(&again)));
    buf_fini(&bytes);
    buf_fini(&again);
    example_fini(&x);
}
END_TEST

START_TEST(equal_times_take_one)
{
    struct example x;
    struct buf apart;
    struct buf equal;
    struct rollup r;
    struct err e = ERR_INIT;
    example_init(&x);
    encode(&x.row, &apart);
    for (int i = 0; i < 5; i++) {
        x.last_ms[i] = x.last_ms[0];
    }
    encode(&x.row, &equal);
    ck_assert_uint_eq(equal.len + 1 + 5, apart.len); /* the block's count, five small deltas */
    ck_assert(rollup_decode(buf_slice(&equal), &x.a, &r, &e));
    ck_assert_int_eq(r.last_ms[4], x.last_ms[0]);
    buf_fini(&apart);
    buf_fini(&equal);
    example_fini(&x);
}
END_TEST

START_TEST(a_prefix_is_refused)
{
    struct example x;
    struct buf bytes;
    example_init(&x);
    encode(&x.row, &bytes);
    for (size_t n = 0; n < bytes.len; n++) {
        struct arena a;
        struct rollup r;
        struct err e = ERR_INIT;
        arena_init(&a, ARENA_BYTES);
        bool ok = rollup_decode(slice_of(bytes.ptr, n), &a, &r, &e);
        if (ok || e.kind != ERR_BAD_INPUT) {
            ck_abort_msg("%zu of %zu bytes pass: %s", n, bytes.len, e.text);
        }
        arena_fini(&a);
    }
    buf_fini(&bytes);
    example_fini(&x);
}
END_TEST

/* Each row spoils the example in one way. */
static void late_of_a_gauge(struct example *x)
{
    x->late[0].series = 2;
}
static void late_of_none(struct example *x)
{
    x->late[0].series = 5;
}
static void ended_of_none(struct example *x)
{
    x->ended[0] = 5;
}
static void a_counter_less(struct example *x)
{
    x->row.counters.len -= 8;
}
static void a_series_less(struct example *x)
{
    x->row.n_series = 4;
}
static void no_shape(struct example *x)
{
    x->row.shape = SLICE_NONE;
}
static void a_heartbeat_with_series(struct example *x)
{
    x->row.kind = ROLLUP_HEARTBEAT;
}
static void closed_nowhere(struct example *x)
{
    x->row.closed_at = -2;
}
static void amends_out_of_order(struct example *x)
{
    x->amends[1].end_ms = x->amends[0].end_ms;
}
static void a_histogram_less(struct example *x)
{
    x->row.exp = SLICE_NONE;
}
static void a_classic_byte_more(struct example *x)
{
    buf_u8(&x->columns[3], 0);
    x->row.classic = buf_slice(&x->columns[3]);
}
static void tenant_not_utf8(struct example *x)
{
    x->row.tenant = SLICE_LITERAL("\xff");
}

static const struct {
    const char *name;
    void (*spoil)(struct example *);
} bad_rows[] = {
    {"late amount of a gauge", late_of_a_gauge},
    {"late amount of no series", late_of_none},
    {"no series has ended", ended_of_none},
    {"a counter less", a_counter_less},
    {"a series less", a_series_less},
    {"no shape", no_shape},
    {"a heartbeat with series", a_heartbeat_with_series},
    {"closed at -2", closed_nowhere},
    {"amends out of order", amends_out_of_order},
    {"a histogram less", a_histogram_less},
    {"a byte more", a_classic_byte_more},
    {"tenant", tenant_not_utf8},
};

START_TEST(a_bad_row_is_refused)
{
    struct example x;
    struct buf bytes;
    struct rollup r;
    struct shape s = {0};
    struct err e = ERR_INIT;
    example_init(&x);
    bad_rows[_i].spoil(&x);
    encode(&x.row, &bytes);
    bool ok = rollup_decode(buf_slice(&bytes), &x.a, &r, &e) &&
              shape_decode(r.shape, r.tenant, &shape_default_caps, &x.a, &s, &e) &&
              rollup_check(&r, &s, &e);
    ck_assert_msg(!ok, "%s passes", bad_rows[_i].name);
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    buf_fini(&bytes);
    example_fini(&x);
}
END_TEST

static const struct {
    const char *text;
    bool is_ours;
} commits[] = {
    {"rollup 1 position 4711 log_ms 1700000000000", true},
    {"rollup 1 position 0 log_ms -1152921504606846976", true},
    {"", false},
    {"rollup 2 position 1 log_ms 1", false},
    {"rollup 1 position 1", false},
    {"rollup 1 position 1 log_ms", false},
    {"rollup 1 position 1 log_ms ", false},
    {"rollup 1 position -1 log_ms 1", false},
    {"rollup 1 position 1 log_ms 1 ", false},
    {"rollup 1 position x log_ms 1", false},
    {"rollup 1 position 1 log_ms 9223372036854775808", false},
    {"rollup 1 position 1 log_ms --1", false},
};

START_TEST(a_commit_says_what_it_is)
{
    struct rollup_commit c;
    struct buf again;
    const char *text = commits[_i].text;
    ck_assert_msg(rollup_commit_read(slice_str(text), &c) == commits[_i].is_ours, "%s", text);
    if (commits[_i].is_ours) {
        buf_init(&again, 100);
        rollup_commit_put(&c, &again);
        ck_assert_str_eq(buf_c_str(&again), text);
        buf_fini(&again);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rollup");
    TCase *t = tcase_create("rows");
    tcase_add_test(t, what_is_written_is_read);
    tcase_add_test(t, equal_times_take_one);
    tcase_add_test(t, a_prefix_is_refused);
    tcase_add_loop_test(t, a_bad_row_is_refused, 0, (int)(sizeof bad_rows / sizeof bad_rows[0]));
    tcase_add_loop_test(t, a_commit_says_what_it_is, 0, (int)(sizeof commits / sizeof commits[0]));
    suite_add_tcase(s, t);
    return run_suite(s);
}
