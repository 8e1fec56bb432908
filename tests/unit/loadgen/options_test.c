#include "options.h"

#include <stdio.h>
#include <string.h>

#include "../runner.h"

static const struct option_row rows[] = {
    {"rate", "N", "a number"}, {"fast", NULL, "a switch"}, {"burst", "B", "repeatable"}};

static bool parse(struct options *o, const char *const *words, int n, struct err *e)
{
    char *argv[8];
    static char kept[8][32];
    for (int i = 0; i < n; i++) {
        (void)snprintf(kept[i], sizeof kept[i], "%s", words[i]);
        argv[i] = kept[i];
    }
    return options_parse(o, rows, 3, n, argv, e);
}

START_TEST(takes_both_forms_and_repeats)
{
    static const char *const words[] = {"--rate", "5", "--burst=a", "--fast", "--burst", "b",
                                        "--rate=7"};
    struct options o;
    struct err e = ERR_INIT;
    int64_t rate = 0;
    double number = 0;
    ck_assert_msg(parse(&o, words, 7, &e), "%s", e.text);
    ck_assert(options_int(&o, "rate", 0, 10, &rate, &e));
    ck_assert_int_eq(rate, 7);
    ck_assert(options_number(&o, "rate", 0, 10, &number, &e));
    ck_assert(number == 7);
    ck_assert_str_eq(options_get(&o, "fast"), "");
    size_t at = 0;
    ck_assert_str_eq(options_next(&o, "burst", &at), "a");
    ck_assert_str_eq(options_next(&o, "burst", &at), "b");
    ck_assert_ptr_null(options_next(&o, "burst", &at));
}
END_TEST

START_TEST(names_what_is_wrong)
{
    static const struct {
        const char *words[2];
        int n;
        const char *named;
    } cases[] = {
        {{"--rat", "5"}, 2, "--rat"},       {{"--rates=5"}, 1, "--rates"}, {{"rate"}, 1, "rate"},
        {{"--rate"}, 1, "--rate"},          {{"--fast=1"}, 1, "--fast"},   {{"--rate=x"}, 1, "--rate"},
        {{"--rate=11"}, 1, "--rate"},       {{"--rate=1x"}, 1, "--rate"},  {{"--rate="}, 1, "--rate"},
        {{"--rate=99999999999999999999"}, 1, "--rate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct options o;
        struct err e = ERR_INIT;
        int64_t rate = 0;
        bool ok = parse(&o, cases[i].words, cases[i].n, &e) &&
                  options_int(&o, "rate", 0, 10, &rate, &e);
        ck_assert_msg(!ok, "%s", cases[i].words[0]);
        ck_assert_int_eq(e.kind, ERR_CONFIG);
        ck_assert_ptr_nonnull(strstr(e.text, cases[i].named));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loadgen options");
    TCase *all = tcase_create("all");
    suite_add_tcase(suite, all);
    tcase_add_test(all, takes_both_forms_and_repeats);
    tcase_add_test(all, names_what_is_wrong);
    return run_suite(suite);
}
