#include "runner.h"

#include "base/duration.h"

static const struct {
    const char *text;
    int64_t ms; /* -1: is none */
} rows[] = {
    {"90s", 90000},       {"15m", 900000},       {"2h", 7200000},
    {"7d", 604800000},    {"0s", 0},             {"007s", 7000},
    {"99999999d", INT64_C(8639999913600000)},    {"100000000s", -1},
    {"99999999999999999999s", -1},               {"", -1},
    {"s", -1},            {"15", -1},            {"15x", -1},
    {"15mm", -1},         {"15 m", -1},          {" 15m", -1},
    {"+15m", -1},         {"-15m", -1},          {"1.5h", -1},
};

START_TEST(texts)
{
    int64_t ms;
    bool ok = duration_read(rows[_i].text, &ms);
    ck_assert_msg(ok == (rows[_i].ms >= 0), "%s", rows[_i].text);
    ck_assert_msg(!ok || ms == rows[_i].ms, "%s: %lld", rows[_i].text, (long long)ms);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("duration");
    TCase *tcase = tcase_create("duration");
    tcase_add_loop_test(tcase, texts, 0, sizeof rows / sizeof rows[0]);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
