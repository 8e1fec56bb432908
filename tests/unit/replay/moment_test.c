#include "runner.h"

#include "replay/moment.h"

#include <string.h>

static const struct {
    const char *text;
    enum moment_kind kind;
    int64_t value;
} good[] = {
    {"earliest", MOMENT_EARLIEST, 0},
    {"end", MOMENT_END, 0},
    {"0", MOMENT_OFFSET, 0},
    {"9223372036854775807", MOMENT_OFFSET, INT64_MAX},
    {"-30m", MOMENT_BACK, 1800000},
    {"-5s", MOMENT_BACK, 5000},
    {"-2h", MOMENT_BACK, 7200000},
    {"-1d", MOMENT_BACK, 86400000},
    {"@1764237600", MOMENT_TIME, INT64_C(1764237600000)},
    {"@1764237600.25", MOMENT_TIME, INT64_C(1764237600250)},
    {"2025-11-27T10:00:00Z", MOMENT_TIME, INT64_C(1764237600000)},
    {"2025-11-27 10:00:00 UTC", MOMENT_TIME, INT64_C(1764237600000)},
    {"2025-11-27T10:00", MOMENT_TIME, INT64_C(1764237600000)},
    {"2025-11-27", MOMENT_TIME, INT64_C(1764201600000)},
    {"2025-11-27T10:00Z", MOMENT_TIME, INT64_C(1764237600000)},
    {"2025-11-27 10:00:00", MOMENT_TIME, INT64_C(1764237600000)},
    {"2025-11-27T10:00:00.25Z", MOMENT_TIME, INT64_C(1764237600250)},
    {"2025-11-27T10:00:00.2509999", MOMENT_TIME, INT64_C(1764237600250)},
    {"2025-11-27T11:30:00+01:30", MOMENT_TIME, INT64_C(1764237600000)},
    {"2025-11-27T02:00-08:00", MOMENT_TIME, INT64_C(1764237600000)},
    {"-0s", MOMENT_BACK, 0},
};

START_TEST(places_are_read)
{
    struct moment m;
    struct err e = ERR_INIT;
    ck_assert_msg(moment_read("--from", good[_i].text, &m, &e), "%s: %s", good[_i].text, e.text);
    ck_assert_int_eq(m.kind, good[_i].kind);
    ck_assert_int_eq(m.value, good[_i].value);
}
END_TEST

static const char *const bad[] = {"",
                                  "-",
                                  "-5",
                                  "-m",
                                  "-5x",
                                  "5m",
                                  "x",
                                  "1.5",
                                  "@",
                                  "@x",
                                  "@-1",
                                  "@1e300",
                                  "monday",
                                  "2025-13-01",
                                  "2025",
                                  "-0m1",
                                  "latest",
                                  "9223372036854775808",
                                  "2025-11-27T10:00:00Zx",
                                  "-100000001d",
                                  "-5mm",
                                  "1 ",
                                  "+1m",
                                  "2025-11-27T",
                                  "2025-11-27T10",
                                  "2025-11-27T10:00:",
                                  "2025-11-27T10:00:00.",
                                  "2025-11-27T10:00:00+1",
                                  "2025-11-27T10:00:00+01:00x",
                                  "2025-11-27Z",
                                  "1960-01-01T00:00:00Z"};

START_TEST(what_is_none_is_named)
{
    struct moment m;
    struct err e = ERR_INIT;
    bool is_offset = moment_read("--from", bad[_i], &m, &e) && m.kind == MOMENT_OFFSET;
    ck_assert_msg(is_offset ? strcmp(bad[_i], "2025") == 0 : e.kind == ERR_CONFIG, "%s", bad[_i]);
}
END_TEST

START_TEST(nothing_is_no_moment_and_times_count_from_now)
{
    struct moment m;
    struct err e = ERR_INIT;
    int64_t ms;
    ck_assert(moment_read("--from", NULL, &m, &e) && m.kind == MOMENT_NONE);
    ck_assert(!moment_time_ms(&m, 100000, &ms));
    ck_assert(moment_read("--from", "-5s", &m, &e) && moment_time_ms(&m, 100000, &ms));
    ck_assert_int_eq(ms, 95000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("moment");
    TCase *t = tcase_create("moment");
    tcase_add_loop_test(t, places_are_read, 0, sizeof good / sizeof good[0]);
    tcase_add_loop_test(t, what_is_none_is_named, 0, sizeof bad / sizeof bad[0]);
    tcase_add_test(t, nothing_is_no_moment_and_times_count_from_now);
    suite_add_tcase(s, t);
    return run_suite(s);
}
