#include "../runner.h"

#include "ledger/object_name.h"

#define ID "AbCdEfGhIjKlMnOpQr-_12"

static const struct {
    const char *key;
    bool is_ours;
    int32_t partition;
    int64_t first;
    int64_t last;
} rows[] = {
    {"p/samples/dt=2026-11-27/hour=10/metrics.admitted-" ID "-7-10-19.parquet", true, 7, 10, 19},
    {"metrics.admitted-" ID "-7-10-10.parquet", true, 7, 10, 10},
    {"metrics.admitted-" ID "-0-0-9223372036854775807.parquet", true, 0, 0, INT64_MAX},
    {"metrics.admitted-" ID "-0-0-9223372036854775808.parquet", false, 0, 0, 0},
    {"metrics.admitted-" ID "-2147483648-0-1.parquet", false, 0, 0, 0},
    {"metrics.admitted-" ID "-7-19-10.parquet", false, 0, 0, 0},
    {"metrics.admitted-" ID "-7-1x-19.parquet", false, 0, 0, 0},
    {"metrics.admitted-" ID "-7--19.parquet", false, 0, 0, 0},
    {"metrics.admitted-" ID "-7-10-19.parquet.tmp", false, 0, 0, 0},
    {"metrics.admitted-short-7-10-19.parquet", false, 0, 0, 0},
    {"-" ID "-7-10-19.parquet", false, 0, 0, 0},
    {".parquet", false, 0, 0, 0},
    {"", false, 0, 0, 0},
};

START_TEST(a_key_is_read_whole_or_not)
{
    struct object_name name;
    bool is_ours = object_name_read(slice_str(rows[_i].key), &name);
    ck_assert_msg(is_ours == rows[_i].is_ours, "%s", rows[_i].key);
    if (is_ours) {
        ck_assert(slice_eq_str(name.topic, "metrics.admitted"));
        ck_assert(slice_eq_str(name.topic_id, ID));
        ck_assert_int_eq(name.partition, rows[_i].partition);
        ck_assert_int_eq(name.first, rows[_i].first);
        ck_assert_int_eq(name.last, rows[_i].last);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("object_name");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, a_key_is_read_whole_or_not, 0, (int)(sizeof rows / sizeof rows[0]));
    suite_add_tcase(s, t);
    return run_suite(s);
}
