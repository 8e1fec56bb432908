#include "runner.h"

#include "run/metrics.h"
#include "run/metrics_family.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

static char *printed(struct metrics *m)
{
    struct buf out;
    buf_init(&out, 64 << 20);
    metrics_print(m, &out);
    ck_assert(buf_ok(&out));
    ck_assert_ptr_nonnull(buf_c_str(&out));
    char *text = strdup(buf_c_str(&out));
    buf_fini(&out);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in:\n%s", part, text);
}

START_TEST(counters_and_gauges_are_printed_with_help_and_type)
{
    struct metrics *m = metrics_new();
    const struct slice topic = SLICE_LITERAL("in");
    const struct slice where[2] = {SLICE_LITERAL("in"), SLICE_LITERAL("3")};
    cell_add(metrics_cell(m, M_RECORDS_IN, &topic), 2);
    cell_add(metrics_cell(m, M_RECORDS_IN, &topic), 3);
    cell_set(metrics_cell(m, M_LAG, where), 12.5);
    cell_set(metrics_cell(m, M_MEMORY_BYTES, NULL), 8e15);
    char *text = printed(m);
    ck_assert_str_eq(
        text,
        "# HELP sluice_records_in_total Records taken from Kafka (transactions that committed).\n"
        "# TYPE sluice_records_in_total counter\n"
        "sluice_records_in_total{topic=\"in\"} 5\n"
        "# HELP sluice_lag_records End of the partition minus the true position.\n"
        "# TYPE sluice_lag_records gauge\n"
        "sluice_lag_records{topic=\"in\",partition=\"3\"} 12.5\n"
        "# HELP sluice_memory_bytes Resident memory of the process.\n"
        "# TYPE sluice_memory_bytes gauge\n"
        "sluice_memory_bytes 8000000000000000\n");
    free(text);
    metrics_free(m);
}
END_TEST

static const struct {
    const char *name;
    struct slice value;
    const char *printed;
} labels[] = {
    {"plain", SLICE_LITERAL("in"), "{topic=\"in\"} 1\n"},
    {"empty", SLICE_LITERAL(""), "{topic=\"\"} 1\n"},
    {"quote", SLICE_LITERAL("a\"b"), "{topic=\"a\\\"b\"} 1\n"},
    {"backslash", SLICE_LITERAL("a\\b"), "{topic=\"a\\\\b\"} 1\n"},
    {"newline", SLICE_LITERAL("a\nb"), "{topic=\"a\\nb\"} 1\n"},
    {"UTF-8", SLICE_LITERAL("gr\xc3\xbcn"), "{topic=\"gr\xc3\xbcn\"} 1\n"},
    {"not UTF-8", SLICE_LITERAL("a\xff"), "{topic=\"other\"} 1\n"},
    {"would end the line early", SLICE_LITERAL("\"} 1\nevil 5\n"),
     "{topic=\"\\\"} 1\\nevil 5\\n\"} 1\n"},
};

START_TEST(label_values_are_escaped)
{
    struct metrics *m = metrics_new();
    cell_add(metrics_cell(m, M_RECORDS_IN, &labels[_i].value), 1);
    char *text = printed(m);
    char want[200];
    (void)snprintf(want, sizeof want, "\nsluice_records_in_total%s", labels[_i].printed);
    assert_has(text, want);
    free(text);
    metrics_free(m);
}
END_TEST

static const struct {
    const char *name;
    double value;
    const char *printed;
} numbers[] = {
    {"zero", 0, " 0\n"},
    {"negative", -3, " -3\n"},
    {"third", 1.0 / 3, " 0.33333333333333331\n"},
    {"large", 1e300, "e+300\n"},
    {"NaN", NAN, " NaN\n"},
    {"infinite", INFINITY, " +Inf\n"},
    {"minus infinite", -INFINITY, " -Inf\n"},
};

START_TEST(numbers_are_printed_as_prometheus_reads_them)
{
    struct metrics *m = metrics_new();
    cell_set(metrics_cell(m, M_OUTBOX_BYTES, NULL), numbers[_i].value);
    char *text = printed(m);
    assert_has(text, "\nsluice_outbox_bytes ");
    assert_has(text, numbers[_i].printed);
    free(text);
    metrics_free(m);
}
END_TEST

START_TEST(the_same_labels_give_the_same_cell)
{
    struct metrics *m = metrics_new();
    char tenant[] = "demo";
    struct slice values[2] = {slice_str(tenant), SLICE_LITERAL("late")};
    struct cell *c = metrics_cell(m, M_SAMPLES_REJECTED, values);
    memcpy(tenant, "gone", 4); /* the registry has a copy */
    const struct slice again[2] = {SLICE_LITERAL("demo"), SLICE_LITERAL("late")};
    const struct slice moved[2] = {SLICE_LITERAL("demol"), SLICE_LITERAL("ate")};
    const struct slice swapped[2] = {SLICE_LITERAL("late"), SLICE_LITERAL("demo")};
    ck_assert_ptr_eq(metrics_cell(m, M_SAMPLES_REJECTED, again), c);
    ck_assert_ptr_ne(metrics_cell(m, M_SAMPLES_REJECTED, moved), c);
    ck_assert_ptr_ne(metrics_cell(m, M_SAMPLES_REJECTED, swapped), c);
    ck_assert_ptr_ne(metrics_cell(m, M_RECORDS_REJECTED, again), c);
    ck_assert_ptr_eq(metrics_cell(m, M_MEMORY_BYTES, NULL), metrics_cell(m, M_MEMORY_BYTES, NULL));
    metrics_free(m);
}
END_TEST

START_TEST(past_the_ceiling_all_is_other)
{
    struct metrics *m = metrics_new();
    char text[32];
    struct cell *first = NULL;
    struct cell *other = NULL;
    for (int i = 0; i < METRIC_MAX_CELLS + 100; i++) {
        (void)snprintf(text, sizeof text, "tenant-%d", i);
        const struct slice values[2] = {slice_str(text), SLICE_LITERAL("late")};
        struct cell *c = metrics_cell(m, M_SAMPLES_REJECTED, values);
        cell_add(c, 1);
        first = i == 0 ? c : first;
        other = i == METRIC_MAX_CELLS ? c : other;
        ck_assert(i <= METRIC_MAX_CELLS || c == other);
    }
    ck_assert_double_eq(cell_get(other), 100);
    const struct slice values[2] = {SLICE_LITERAL("tenant-0"), SLICE_LITERAL("late")};
    ck_assert_ptr_eq(metrics_cell(m, M_SAMPLES_REJECTED, values), first);
    char *all = printed(m);
    assert_has(all, "{tenant=\"other\",reason=\"other\"} 100\n");
    free(all);
    const struct slice topic = SLICE_LITERAL("in"); /* another metric has room */
    ck_assert_ptr_ne(metrics_cell(m, M_RECORDS_IN, &topic), other);
    metrics_free(m);
}
END_TEST

START_TEST(long_values_are_other)
{
    static char value[300];
    memset(value, 'x', sizeof value);
    struct metrics *m = metrics_new();
    const struct slice other = SLICE_LITERAL("other");
    struct slice s = slice_of(value, 257);
    ck_assert_ptr_eq(metrics_cell(m, M_RECORDS_IN, &s), metrics_cell(m, M_RECORDS_IN, &other));
    s.len = 256;
    ck_assert_ptr_ne(metrics_cell(m, M_RECORDS_IN, &s), metrics_cell(m, M_RECORDS_IN, &other));
    metrics_free(m);
}
END_TEST

START_TEST(histograms_are_cumulative_with_sum_and_count)
{
    struct metrics *m = metrics_new();
    struct cell_histogram *h = metrics_histogram(m, M_COMMIT_SECONDS, NULL);
    histogram_observe(h, 0.001, 1); /* a bound belongs to its own bucket */
    histogram_observe(h, 0.0011, 2);
    histogram_observe(h, 3, 4);
    histogram_observe(h, 1000, 1);
    histogram_observe(h, -1, 1);
    histogram_observe(h, NAN, 100);
    histogram_observe(h, 5, 0);
    char *text = printed(m);
    assert_has(text, "# TYPE sluice_commit_seconds histogram\n");
    assert_has(text, "\nsluice_commit_seconds_bucket{le=\"0.0001\"} 1\n");
    assert_has(text, "\nsluice_commit_seconds_bucket{le=\"0.001\"} 2\n");
    assert_has(text, "\nsluice_commit_seconds_bucket{le=\"0.0015\"} 4\n");
    assert_has(text, "\nsluice_commit_seconds_bucket{le=\"2\"} 4\n");
    assert_has(text, "\nsluice_commit_seconds_bucket{le=\"3\"} 8\n");
    assert_has(text, "\nsluice_commit_seconds_bucket{le=\"600\"} 8\n");
    assert_has(text, "\nsluice_commit_seconds_bucket{le=\"+Inf\"} 9\n");
    assert_has(text, "\nsluice_commit_seconds_count 9\n");
    const char *sum = strstr(text, "\nsluice_commit_seconds_sum ");
    ck_assert_ptr_nonnull(sum);
    ck_assert_double_eq_tol(strtod(sum + strlen("\nsluice_commit_seconds_sum "), NULL), 1011.0032,
                            1e-9);
    free(text);
    metrics_free(m);
}
END_TEST

START_TEST(bounds_rise_from_1_ms_to_10_min)
{
    bool has_1_ms = false;
    for (int i = 0; i < HISTOGRAM_BOUNDS; i++) {
        double low = i == 0 ? 0 : histogram_bounds[i - 1];
        ck_assert_double_gt(histogram_bounds[i], low);
        ck_assert_int_eq(histogram_bucket(histogram_bounds[i]), i);
        ck_assert_int_eq(histogram_bucket(nextafter(histogram_bounds[i], INFINITY)), i + 1);
        has_1_ms = has_1_ms || histogram_bounds[i] == 0.001;
    }
    ck_assert(has_1_ms);
    ck_assert_double_eq(histogram_bounds[HISTOGRAM_BOUNDS - 1], 600);
}
END_TEST

enum { N_THREADS = 4, N_NAMES = 500, N_ROUNDS = 20 };

static void *count_many(void *ctx)
{
    struct metrics *m = ctx;
    for (int round = 0; round < N_ROUNDS; round++) {
        for (int i = 0; i < N_NAMES; i++) {
            char text[32];
            (void)snprintf(text, sizeof text, "topic-%d", i);
            const struct slice topic = slice_str(text);
            ck_assert_ptr_nonnull(metrics_cell(m, M_RECORDS_IN, &topic));
        }
    }
    return NULL;
}

START_TEST(threads_make_each_cell_once_while_another_prints)
{
    struct metrics *m = metrics_new();
    pthread_t threads[N_THREADS];
    for (int i = 0; i < N_THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_many, m), 0);
    }
    for (int i = 0; i < 20; i++) {
        free(printed(m));
    }
    for (int i = 0; i < N_THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    char *text = printed(m);
    int n_lines = 0;
    for (const char *p = text; *p != '\0'; p++) {
        n_lines += *p == '\n';
    }
    ck_assert_int_eq(n_lines, 2 + N_NAMES);
    free(text);
    metrics_free(m);
}
END_TEST

START_TEST(the_docs_have_every_metric)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    metrics_print_docs(&out);
    const char *text = buf_c_str(&out);
    int n_lines = 0;
    for (const char *p = text; *p != '\0'; p++) {
        n_lines += *p == '\n';
    }
    ck_assert_int_eq(n_lines, 2 + N_METRICS);
    assert_has(text,
               "| `sluice_lag_records` | gauge | topic,partition | End of the partition minus");
    assert_has(text, "| `sluice_commit_seconds` | histogram | – | ");
    buf_fini(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tc = tcase_create("metrics");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, counters_and_gauges_are_printed_with_help_and_type);
    tcase_add_loop_test(tc, label_values_are_escaped, 0, sizeof labels / sizeof labels[0]);
    tcase_add_loop_test(tc, numbers_are_printed_as_prometheus_reads_them, 0,
                        sizeof numbers / sizeof numbers[0]);
    tcase_add_test(tc, the_same_labels_give_the_same_cell);
    tcase_add_test(tc, past_the_ceiling_all_is_other);
    tcase_add_test(tc, long_values_are_other);
    tcase_add_test(tc, histograms_are_cumulative_with_sum_and_count);
    tcase_add_test(tc, bounds_rise_from_1_ms_to_10_min);
    tcase_add_test(tc, threads_make_each_cell_once_while_another_prints);
    tcase_add_test(tc, the_docs_have_every_metric);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
