#include "runner.h"

#include "base/err.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    enum err_kind kind;
    int exit_code;
} kinds[] = {
    {"none", ERR_NONE, 0},     {"bad input", ERR_BAD_INPUT, 1}, {"retry", ERR_RETRY, 1},
    {"abort", ERR_ABORT, 1},   {"fatal", ERR_FATAL, 1},         {"config", ERR_CONFIG, 2},
    {"fenced", ERR_FENCED, 3},
};

START_TEST(each_kind_has_its_exit_code)
{
    struct err e = ERR_INIT;
    (void)err_set_code(&e, kinds[_i].kind, 77, "x");
    ck_assert_msg(err_exit_code(&e) == kinds[_i].exit_code, "%s: %d", kinds[_i].name,
                  err_exit_code(&e));
    ck_assert_int_eq(e.code, 77);
}
END_TEST

START_TEST(setting_returns_false_and_replaces_what_was_there)
{
    struct err e = ERR_INIT;
    ck_assert(!err_set_code(&e, ERR_ABORT, 5, "first %d", 1));
    ck_assert(!err_set(&e, ERR_RETRY, "second %s", "time"));
    ck_assert_int_eq(e.kind, ERR_RETRY);
    ck_assert_int_eq(e.code, 0);
    ck_assert_str_eq(e.text, "second time");
    err_reset(&e);
    ck_assert_int_eq(e.kind, ERR_NONE);
    ck_assert_str_eq(e.text, "");
}
END_TEST

START_TEST(context_goes_in_front_and_kind_and_code_stay)
{
    struct err e = ERR_INIT;
    (void)err_set_code(&e, ERR_BAD_INPUT, 9, "bad UTF-8 at byte %d", 17);
    ck_assert(!err_wrap(&e, "label %d", 3));
    ck_assert(!err_wrap(&e, "resource %d", 2));
    ck_assert_str_eq(e.text, "resource 2: label 3: bad UTF-8 at byte 17");
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    ck_assert_int_eq(e.code, 9);
}
END_TEST

START_TEST(a_text_may_hold_percent_signs)
{
    struct err e = ERR_INIT;
    (void)err_set(&e, ERR_RETRY, "%s", "100%s%n");
    (void)err_wrap(&e, "%s", "50%d");
    ck_assert_str_eq(e.text, "50%d: 100%s%n");
}
END_TEST

/* Rows: the length of the context around the place where the text is full. */
static const struct {
    const char *name;
    int context_chars;
} cuts[] = {{"inner cut", 200},   {"inner gone but one", 236},
            {"inner gone", 237},  {"no room for the colon", 239},
            {"context cut", 240}, {"context far too long", 1000}};

START_TEST(what_does_not_fit_is_cut_at_the_end)
{
    char context[1001];
    memset(context, 'c', sizeof context);
    context[cuts[_i].context_chars] = '\0';
    char inner[301];
    memset(inner, 'i', 300);
    inner[300] = '\0';
    char full[1400];
    (void)snprintf(full, sizeof full, "%s: %s", context, inner);
    full[sizeof((struct err *)0)->text - 1] = '\0';
    struct {
        struct err e;
        char guard[8];
    } s = {.e = ERR_INIT, .guard = "guarded"};
    (void)err_set(&s.e, ERR_FATAL, "%s", inner);
    ck_assert_uint_eq(strlen(s.e.text), sizeof s.e.text - 1);
    (void)err_wrap(&s.e, "%s", context);
    ck_assert_msg(strcmp(s.e.text, full) == 0, "%s: %s", cuts[_i].name, s.e.text);
    ck_assert_str_eq(s.guard, "guarded");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("err");
    TCase *tc = tcase_create("err");
    tcase_add_loop_test(tc, each_kind_has_its_exit_code, 0, sizeof kinds / sizeof kinds[0]);
    tcase_add_test(tc, setting_returns_false_and_replaces_what_was_there);
    tcase_add_test(tc, context_goes_in_front_and_kind_and_code_stay);
    tcase_add_test(tc, a_text_may_hold_percent_signs);
    tcase_add_loop_test(tc, what_does_not_fit_is_cut_at_the_end, 0, sizeof cuts / sizeof cuts[0]);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
