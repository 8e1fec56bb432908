/* What is not judged: duplicates, what is shed, what can't be read; and heartbeats, caps, memory.
 */
#include <stdio.h>
#include <stdlib.h>

#include "limit_source_avsc.h"
#include "policy/reason.h"
#include "runner.h"
#include "scenario.h"
#include "wire/avro_blocks.h"

#define PASSES "> gs-1 critical a b\n"
#define OFFSET(n) .offset = (n)

static const struct scenario duplicates[] = {
    {"at or below the highest origin that was seen a batch is dropped",
     {0},
     {{{"a b", OFFSET(5)}, PASSES},
      {{"a b", OFFSET(5)}, ""},
      {{"a b c", OFFSET(4)}, ""},
      {{"a b", OFFSET(6)}, PASSES},
      {{"a b", OFFSET(5)}, "", .restart = true}}},
    {"an ingest record's batches are told apart by their index",
     {0},
     {{{"a b", OFFSET(5), .index = 0}, PASSES},
      {{"a b", OFFSET(5), .index = 2}, PASSES},
      {{"a b", OFFSET(5), .index = 1}, ""},
      {{"a b", OFFSET(5), .index = 2}, ""},
      {{"a b", OFFSET(5), .index = 3}, PASSES, .restart = true},
      {{"a b", OFFSET(6), .index = 0}, PASSES}}},
    {"each ingest partition has a mark of its own",
     {0},
     {{{"a b", OFFSET(50), .ingest = 1}, PASSES},
      {{"a b", OFFSET(5), .ingest = 2}, PASSES},
      {{"a b", OFFSET(50), .ingest = 1}, ""},
      {{"a b", OFFSET(5), .ingest = 2}, "", .restart = true}}},
    {"a topic that was made anew has one, too",
     {0},
     {{{"a b", OFFSET(50)}, PASSES},
      {{"a b", OFFSET(1), .topic_id = 9}, PASSES},
      {{"a b", OFFSET(1), .topic_id = 9}, "", .restart = true},
      {{"a b", OFFSET(51)}, PASSES}}},
    {"what was redriven passes, and does not raise the mark",
     {0},
     {{{"a b", OFFSET(5)}, PASSES},
      {{"a b", OFFSET(5), .redriven = 1}, PASSES},
      {{"a b", OFFSET(9), .redriven = 1}, PASSES},
      {{"a b", OFFSET(8)}, PASSES},
      {{"a b", OFFSET(8)}, ""}}},
    {"a duplicate moves neither time nor series",
     {.policy = POLICY("\"series_per_source\": 2")},
     {{{"a b", OFFSET(5)}, PASSES},
      {{"a", OFFSET(5), .at_ms = 20 * STEP_MS}, "", ""},
      {{"c", OFFSET(6)}, "! over_source_budget t c 1/1\n"}}},
};

START_TEST(duplicates_are_dropped)
{
    scenario_run(&duplicates[_i]);
}
END_TEST

/* --- shedding --- */

struct shed_row {
    enum batch_class class;
    int64_t age_ms;
    bool is_shed;
    uint64_t redriven;
};

static const struct shed_row shed_rows[] = {
    {CLASS_VERBOSE, 10000, false, 0},     {CLASS_VERBOSE, 10001, true, 0},
    {CLASS_VERBOSE, 5001, true, 0},       {CLASS_STANDARD, 20000, false, 0},
    {CLASS_VERBOSE, 5000, false, 0},      {CLASS_VERBOSE, 5001, false, 0},
    {CLASS_VERBOSE, 10000, false, 0},     {CLASS_STANDARD, 20001, true, 0},
    {CLASS_CRITICAL, 90000000, false, 0}, {CLASS_STANDARD, 10001, true, 0},
    {CLASS_VERBOSE, 20001, true, 0},      {CLASS_STANDARD, 10000, false, 0},
    {CLASS_STANDARD, 90000, false, 77},   {CLASS_STANDARD, 15000, false, 0},
    {CLASS_VERBOSE, 90000000, true, 0},   {CLASS_VERBOSE, 90000, false, 77},
    {CLASS_VERBOSE, 7000, true, 0},       {CLASS_VERBOSE, 0, false, 0},
};

START_TEST(old_batches_are_shed_by_class)
{
    struct rig r;
    double n_shed[N_CLASSES] = {0};
    rig_open(&r, &(struct rig_options){
                     .shed_after_ms = {[CLASS_VERBOSE] = 10000, [CLASS_STANDARD] = 20000}});
    for (size_t i = 0; i < sizeof shed_rows / sizeof shed_rows[0]; i++) {
        const struct shed_row *row = &shed_rows[i];
        r.age_ms = row->age_ms;
        rig_send(&r, &(struct rig_batch){"a b", .class = row->class, .redriven = row->redriven});
        ck_assert_msg((rig_text(&r)[0] == '\0') == row->is_shed, "row %zu: %s", i, rig_text(&r));
        n_shed[row->class] += row->is_shed ? 2 : 0;
        rig_commit(&r);
    }
    for (int i = 0; i < N_CLASSES; i++) {
        ck_assert(rig_shed(&r, "t", (enum batch_class)i) == n_shed[i]);
    }
    rig_check_accounts(&r, "t");
    rig_close(&r);
}
END_TEST

/* A partition that is far behind has no other's batches shed, nor does one that is not end its
 * shedding. */
START_TEST(each_partition_sheds_by_its_own_age)
{
    static const struct {
        int partition;
        int64_t age_ms;
        bool is_shed;
    } rows[] = {{0, 10001, true}, {1, 6000, false}, {0, 6000, true},
                {1, 0, false},    {0, 6000, true},  {0, 5000, false}};
    struct rig r;
    struct err e = ERR_INIT;
    rig_open(&r,
             &(struct rig_options){.shed_after_ms = {[CLASS_VERBOSE] = 10000}, .n_partitions = 2});
    struct partition partitions[2] = {r.partition, r.partition};
    partitions[1].number = 1;
    partitions[1].state = NULL;
    ck_assert_msg(limit_recover(r.limit, NULL, &partitions[1], -1, SLICE_NONE, &e), "%s", e.text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        r.partition = partitions[rows[i].partition];
        r.age_ms = rows[i].age_ms;
        rig_send(&r, &(struct rig_batch){"a", .class = CLASS_VERBOSE,
                                         .source = rows[i].partition == 0 ? "gs-4" : "gs-1",
                                         .ingest = rows[i].partition});
        ck_assert_msg((rig_text(&r)[0] == '\0') == rows[i].is_shed, "row %zu: %s", i, rig_text(&r));
        rig_commit(&r);
    }
    const struct slice verbose = SLICE_LITERAL("verbose");
    limit_export(r.limit, NOW_MS + 10001);
    ck_assert_double_eq(cell_get(metrics_cell(r.metrics, M_SHEDDING, &verbose)), 1);
    limit_export(r.limit, NOW_MS + 60000);
    ck_assert_double_eq(cell_get(metrics_cell(r.metrics, M_SHEDDING, &verbose)), 0);
    limit_drop(r.limit, &partitions[1]);
    r.partition = partitions[0];
    rig_close(&r);
}
END_TEST

/* What was shed was processed: it does not come again. */
START_TEST(what_was_shed_is_a_duplicate_later)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){.shed_after_ms = {[CLASS_VERBOSE] = 10000}});
    r.age_ms = 20000;
    rig_send(&r, &(struct rig_batch){"a b", .class = CLASS_VERBOSE, .offset = 3});
    r.age_ms = 0;
    rig_send(&r, &(struct rig_batch){"a b", .class = CLASS_VERBOSE, .offset = 3});
    ck_assert_str_eq(rig_text(&r), "");
    rig_commit(&r);
    ck_assert_str_eq(rig_state(&r), "");
    ck_assert(rig_count(&r, M_SAMPLES_REJECTED, "t", "duplicate_batch") == 2);
    rig_check_accounts(&r, "t");
    rig_close(&r);
}
END_TEST

/* It has no origin of its own: its place in the input tells it. */
START_TEST(what_was_redriven_is_dropped_when_the_input_is_read_again)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){0});
    for (int round = 0; round < 2; round++) {
        r.offset = 70;
        rig_send(&r, &(struct rig_batch){"a b", .redriven = 7, .offset = 3});
        rig_send(&r, &(struct rig_batch){"a b", .redriven = 7, .offset = 3, .index = 1});
        rig_commit(&r);
        rig_restart(&r);
    }
    ck_assert(rig_count(&r, M_SAMPLES_REJECTED, "t", "duplicate_batch") == 4);
    rig_send(&r, &(struct rig_batch){"a b", .redriven = 8, .offset = 3});
    ck_assert_str_ne(rig_text(&r), "");
    rig_commit(&r);
    rig_check_accounts(&r, "t");
    rig_close(&r);
}
END_TEST

/* --- what can't be read --- */

#define MALFORMED "! malformed   0/0\n"

/* Sends it, and says whether it was refused whole: there is nothing in between. */
static bool is_malformed(struct rig *r, struct slice value)
{
    uint8_t *copy = malloc(value.len + 1); /* of its own, so that overruns show */
    if (value.len > 0) {
        memcpy(copy, value.ptr, value.len);
    }
    rig_send_value(r, slice_of(copy, value.len));
    free(copy);
    const char *text = rig_text(r);
    bool is = strcmp(text, MALFORMED) == 0;
    ck_assert_msg(is || text[0] == '\0' || text[0] == '>', "%s", text);
    rig_commit(r);
    return is;
}

START_TEST(every_cut_of_a_batch_is_malformed)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){0});
    struct slice whole =
        rig_encode(&r, &(struct rig_batch){"a b:e c:c3 d:g*5", .has_deltas = true});
    for (size_t n = 0; n < whole.len; n++) {
        ck_assert_msg(is_malformed(&r, slice_of(whole.ptr, n)), "cut at %zu of %zu", n, whole.len);
    }
    ck_assert(rig_count(&r, M_RECORDS_REJECTED, "unknown", "malformed") == (double)whole.len);
    ck_assert(!is_malformed(&r, whole));
    ck_assert(rig_count(&r, M_SAMPLES_OUT, "t", "") == 8);
    rig_close(&r);
}
END_TEST

/* A byte changed may make another batch of it; whatever it is, it passes by itself and accounts
 * close, also where the shape was seen before. */
START_TEST(batches_with_a_byte_changed)
{
    struct rig r;
    uint64_t state = (uint64_t)_i;
    double n_malformed = 0;
    rig_open(&r, &(struct rig_options){.policy = POLICY("\"series_per_source\": 9")});
    for (int i = 0; i < 3000; i++) {
        struct slice whole =
            rig_encode(&r, &(struct rig_batch){"a b:e c:c3 d:g*5", .has_deltas = i % 2 == 0});
        uint64_t x = next_random(&state);
        r.batch.ptr[x % whole.len] ^= (uint8_t)(1 + (x >> 32) % 255);
        struct err e = ERR_INIT;
        ck_assert_msg(rig_step(&r, whole, &e), "%s", e.text);
        rig_commit(&r);
        if (i % 100 == 0) {
            rig_restart(&r); /* its own state it can read whatever came */
        }
    }
    n_malformed = rig_count(&r, M_RECORDS_REJECTED, "unknown", "malformed");
    ck_assert(n_malformed > 500 && n_malformed < 3000);
    rig_check_accounts(&r, "t");
    rig_check_accounts(&r, "unknown");
    rig_close(&r);
}
END_TEST

START_TEST(what_validate_does_not_write)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){
                     .n_partitions = 4,
                     .number = (int32_t)(source_id(slice_str("t"), slice_str("gs-1")) % 4)});
    struct arena a;
    struct err e = ERR_INIT;
    struct batch good;
    struct buf b;
    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    struct slice value = arena_copy(&a, rig_encode(&r, &(struct rig_batch){"a b", .offset = 1}));
    ck_assert(batch_decode(value, &batch_default_caps, &a, &good, &e));
    struct batch bad[5] = {
        good, good, good, good, {.class = CLASS_CRITICAL, .received_ms = NOW_MS}};
    bad[0].source++;    /* another partition's */
    bad[1].source += 4; /* this one's, but not its shape's */
    bad[2].origin.topic = SLICE_NONE;
    bad[3].received_ms = 0;
    for (size_t i = 0; i < 5; i++) {
        buf_reset(&b);
        batch_encode(&bad[i], &b);
        ck_assert_msg(is_malformed(&r, buf_slice(&b)), "batch %zu", i);
    }
    ck_assert(is_malformed(&r, SLICE_NONE));
    ck_assert(!is_malformed(&r, value));
    ck_assert(rig_count(&r, M_SAMPLES_OUT, "t", "") == 2);
    arena_fini(&a);
    buf_fini(&b);
    rig_close(&r);
}
END_TEST

/* --- dead letters are capped --- */

START_TEST(dead_letters_are_capped_by_the_minute)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){.policy = POLICY("\"series_per_source\": 1"), .dlq_cap = 5});
    rig_send(&r, &(struct rig_batch){"a b*3"});
    ck_assert_str_eq(rig_text(&r), "> gs-1 critical a\n! over_source_budget t b 3/3\n");
    rig_commit(&r);
    rig_send(&r, &(struct rig_batch){"b*3"}); /* two are left */
    ck_assert_str_eq(rig_text(&r), "! over_source_budget t b 3/2\n");
    rig_commit(&r);
    rig_send(&r, &(struct rig_batch){"b*3"});
    ck_assert_str_eq(rig_text(&r), "");
    rig_commit(&r);
    ck_assert(rig_count(&r, M_DLQ_SUPPRESSED, "t", "over_source_budget") == 4);
    ck_assert(rig_count(&r, M_SAMPLES_REJECTED, "t", "over_source_budget") == 9);
    rig_send(&r, &(struct rig_batch){"a*1 b", .tenant = "u"}); /* each tenant has its own */
    ck_assert_str_eq(rig_text(&r), "> gs-1 critical a{n=000000}\n! over_source_budget u b 1/1\n");
    rig_commit(&r);
    rig_send(&r, &(struct rig_batch){"b*9", .at_ms = 60000});
    ck_assert_str_eq(rig_text(&r), "! over_source_budget t b 9/5 and 3 before\n");
    rig_commit(&r);
    rig_check_accounts(&r, "t");
    rig_close(&r);
}
END_TEST

/* Of two ingest partitions one lags: their batches alternate, and so do their times. */
START_TEST(the_cap_holds_while_minutes_alternate)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){.policy = POLICY("\"series_per_source\": 1"), .dlq_cap = 5});
    rig_send(&r, &(struct rig_batch){"a"});
    for (int i = 0; i < 40; i++) {
        rig_send(&r, &(struct rig_batch){"b", .at_ms = i % 2 == 0 ? 0 : 60000, .ingest = i % 2});
    }
    rig_commit(&r);
    ck_assert_msg(rig_count(&r, M_DLQ_RECORDS, "t", "over_source_budget") <= 10,
                  "%g letters in two minutes",
                  rig_count(&r, M_DLQ_RECORDS, "t", "over_source_budget"));
    rig_close(&r);
}
END_TEST

/* --- heartbeats --- */

START_TEST(a_silent_partition_gets_heartbeats)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){.policy = POLICY("\"series_per_source\": 1")});
    rig_send(&r, &(struct rig_batch){"a"});
    rig_commit(&r);
    static const struct {
        int64_t at_ms;
        const char *text;
    } rows[] = {{9999, ""},  {10000, "~ @10000\n"}, {10001, ""},
                {19999, ""}, {20005, "~ @20005\n"}, {5000, ""}, /* the clock was set back */
                {14999, ""}, {15000, "~ @15000\n"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_pulse(&r, NOW_MS + rows[i].at_ms);
        const char *text = rig_text(&r);
        ck_assert_msg(strcmp(text, rows[i].text) == 0, "at %lld: %s", (long long)rows[i].at_ms,
                      text);
        rig_commit(&r);
    }
    ck_assert(rig_count(&r, M_HEARTBEATS, "", "") == 3);
    rig_close(&r);
}
END_TEST

/* Later stages need time in the log also while nothing of what comes in passes. */
START_TEST(a_partition_of_which_nothing_passes_gets_heartbeats)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){.policy = POLICY("\"series_per_source\": 1")});
    rig_send(&r, &(struct rig_batch){"a"});
    rig_commit(&r);
    for (int64_t at_ms = 1000; at_ms <= 10000; at_ms += 1000) {
        rig_send(&r, &(struct rig_batch){"b", .at_ms = at_ms});
    }
    rig_commit(&r);
    rig_pulse(&r, NOW_MS + 10000);
    ck_assert_str_eq(rig_text(&r), "~ @10000\n");
    rig_close(&r);
}
END_TEST

/* --- bounds --- */

START_TEST(a_full_limiter_refuses_what_is_new)
{
    enum { SETS_BYTES = 6400, N = 200 };
    struct rig r;
    char source[16];
    rig_open(&r, &(struct rig_options){.memory_bytes = 2 * SETS_BYTES});
    for (int i = 0; i < N; i++) {
        limit_export(r.limit, NOW_MS + i); /* as it is called again and again */
        double n_bytes = cell_get(metrics_cell(r.metrics, M_LIMIT_BYTES, NULL));
        (void)snprintf(source, sizeof source, "s-%d", i);
        rig_send(&r, &(struct rig_batch){"a", .source = source});
        ck_assert_msg((rig_text(&r)[0] == '>') == (n_bytes < SETS_BYTES), "%g bytes: %s", n_bytes,
                      rig_text(&r));
        rig_commit(&r);
    }
    ck_assert(rig_count(&r, M_SAMPLES_REJECTED, "t", "limiter_full") > N / 4);
    rig_send(&r, &(struct rig_batch){"a", .source = "s-0"});
    ck_assert_str_eq(rig_text(&r), "> s-0 critical a\n");
    rig_commit(&r);
    /* When the others have gone there is room. */
    rig_send(&r, &(struct rig_batch){"a b", .source = "s-0", .at_ms = 8 * STEP_MS});
    rig_send(&r, &(struct rig_batch){"a b", .source = "s-0", .at_ms = 9 * STEP_MS});
    rig_send(&r, &(struct rig_batch){"a", .source = "s-199", .at_ms = 9 * STEP_MS});
    ck_assert_msg(strstr(rig_text(&r), "> s-199 critical a\n") != NULL, "%s", rig_text(&r));
    rig_commit(&r);
    rig_check_accounts(&r, "t");
    rig_close(&r);
}
END_TEST

enum { N_EACH = 14000, NAME_BYTES = 250 };

/* N_EACH series of as many metrics with long names, from this number on. free() it. */
static char *many_metrics(int from)
{
    char *text = malloc((size_t)N_EACH * (NAME_BYTES + 1) + 1);
    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < N_EACH; i++) {
        (void)snprintf(text + (size_t)i * (NAME_BYTES + 1), NAME_BYTES + 2, "m%0*d ",
                       NAME_BYTES - 1, from + i);
    }
    return text;
}

/* In shadow mode: the state of one source must fit into a record, or nobody's can be written. */
START_TEST(a_source_has_as_many_series_as_its_state_takes)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){
                     .policy = POLICY("\"series_per_source\": 3, \"over_source\": \"shadow\""),
                     .dlq_cap = 10});
    for (int i = 0; i < 3; i++) {
        char *series = many_metrics(i * N_EACH);
        rig_send(&r, &(struct rig_batch){series, .source = "many"});
        rig_commit(&r);
        free(series);
    }
    ck_assert_double_gt(rig_count(&r, M_SAMPLES_OUT, "t", ""), 2.0 * N_EACH);
    ck_assert_double_gt(rig_count(&r, M_SAMPLES_REJECTED, "t", "limiter_full"), N_EACH / 2);
    rig_send(&r, &(struct rig_batch){"a", .source = "other"});
    ck_assert_str_eq(rig_text(&r), "> other critical a\n");
    rig_commit(&r);
    rig_restart(&r);
    rig_send(&r, &(struct rig_batch){"b*100", .source = "many", .at_ms = 60000});
    ck_assert_ptr_nonnull(strstr(rig_text(&r), "! limiter_full t b "));
    rig_commit(&r);
    /* When they have gone there is room. */
    rig_send(&r, &(struct rig_batch){"a", .source = "other", .at_ms = 10 * STEP_MS});
    rig_send(&r, &(struct rig_batch){"b*100", .source = "many", .at_ms = 10 * STEP_MS});
    ck_assert_ptr_nonnull(strstr(rig_text(&r), "> many critical b*100\n"));
    rig_close(&r);
}
END_TEST

enum { N_METRIC_INDEXES = 1 << 19, N_LEFT = 5 };

/* The state of a source that has a series each of nearly as many metrics as there are indexes. */
static void state_of_many_metrics(struct buf *out)
{
    buf_put(out, LIMIT_SOURCE_HEAD, AVRO_HEAD_BYTES);
    buf_zigzag_bytes(out, SLICE_LITERAL("t"));
    buf_zigzag(out, 1);
    buf_zigzag_bytes(out, SLICE_LITERAL("s"));
    buf_zigzag(out, N_METRIC_INDEXES - N_LEFT);
    for (int i = 0; i < N_METRIC_INDEXES - N_LEFT; i++) {
        char name[16];
        int len = snprintf(name, sizeof name, "m%d", i);
        buf_zigzag_bytes(out, slice_of(name, (size_t)len));
        buf_zigzag(out, 1); /* weight, over, lapsed */
        buf_zigzag(out, 0);
        buf_zigzag(out, 0);
        buf_zigzag(out, NOW_MS);
        buf_zigzag(out, 16);
        buf_le64(out, (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15));
        buf_le64(out, 0);
    }
    buf_zigzag(out, 0);
}

/* A metric's index has 19 bits. Names without bound are refused, and stop nobody. */
START_TEST(metrics_without_bound_are_refused)
{
    struct rig r;
    struct err e = ERR_INIT;
    struct buf state;
    buf_init(&state, 64 << 20);
    state_of_many_metrics(&state);
    ck_assert(buf_ok(&state));
    rig_open(&r, &(struct rig_options){.memory_bytes = (size_t)1 << 30});
    rig_state_add(&r, SLICE_LITERAL("t/0000000000000001"), buf_slice(&state));
    rig_restart(&r);
    struct slice value = rig_encode(&r, &(struct rig_batch){"a b c*2 d e f*3 g", .offset = 1});
    ck_assert_msg(rig_step(&r, value, &e), "%s", e.text);
    ck_assert_str_eq(
        rig_text(&r),
        "> gs-1 critical a b c*2 d e\n! limiter_full t f 3/3\n! limiter_full t g 1/1\n");
    rig_send(&r, &(struct rig_batch){"a*2 g", .at_ms = 9 * STEP_MS,
                                     .offset = 2}); /* the others have left */
    ck_assert_msg(strstr(rig_text(&r), "> gs-1 critical a*2 g\n") != NULL, "%s", rig_text(&r));
    buf_fini(&state);
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("intake");
    TCase *t = tcase_create("intake");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, duplicates_are_dropped, 0,
                        (int)(sizeof duplicates / sizeof duplicates[0]));
    tcase_add_test(t, old_batches_are_shed_by_class);
    tcase_add_test(t, each_partition_sheds_by_its_own_age);
    tcase_add_test(t, what_was_shed_is_a_duplicate_later);
    tcase_add_test(t, what_was_redriven_is_dropped_when_the_input_is_read_again);
    tcase_add_test(t, every_cut_of_a_batch_is_malformed);
    tcase_add_loop_test(t, batches_with_a_byte_changed, 0, 3);
    tcase_add_test(t, what_validate_does_not_write);
    tcase_add_test(t, dead_letters_are_capped_by_the_minute);
    tcase_add_test(t, the_cap_holds_while_minutes_alternate);
    tcase_add_test(t, a_silent_partition_gets_heartbeats);
    tcase_add_test(t, a_partition_of_which_nothing_passes_gets_heartbeats);
    tcase_add_test(t, a_full_limiter_refuses_what_is_new);
    tcase_add_test(t, a_source_has_as_many_series_as_its_state_takes);
    tcase_add_test(t, metrics_without_bound_are_refused);
    suite_add_tcase(s, t);
    return run_suite(s);
}
