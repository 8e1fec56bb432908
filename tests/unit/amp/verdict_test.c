#include "../runner.h"
#include "verdict.h"

static const struct {
    int status;
    const char *body;
    enum verdict verdict;
    enum refusal refusal;
} rows[] = {
    {200, "", VERDICT_TAKEN, REFUSAL_SILENT},
    {204, "", VERDICT_TAKEN, REFUSAL_SILENT},
    {0, "", VERDICT_RETRY, REFUSAL_SILENT},
    {429, "Rate exceeded", VERDICT_RETRY, REFUSAL_OTHER},
    {500, "", VERDICT_RETRY, REFUSAL_SILENT},
    {503, "<html>upstream</html>", VERDICT_RETRY, REFUSAL_UNKNOWN},
    {500, "out of bounds\n", VERDICT_REFUSED, REFUSAL_OLD},
    {500, "too old sample", VERDICT_REFUSED, REFUSAL_OLD},
    {500, "label name \"a\" is not unique: invalid sample", VERDICT_REFUSED, REFUSAL_OWN},
    {500, "duplicate label name", VERDICT_REFUSED, REFUSAL_OWN},
    {500, "no space left for labels", VERDICT_RETRY, REFUSAL_OWN},
    {401, "", VERDICT_AUTH, REFUSAL_OTHER},
    {402, "ServiceQuotaExceededException", VERDICT_RETRY, REFUSAL_OTHER},
    {403, "", VERDICT_AUTH, REFUSAL_OTHER},
    {404, "", VERDICT_MISROUTED, REFUSAL_OTHER},
    {405, "Method Not Allowed", VERDICT_MISROUTED, REFUSAL_OTHER},
    {407, "", VERDICT_AUTH, REFUSAL_OTHER},
    {410, "", VERDICT_MISROUTED, REFUSAL_OTHER},
    {414, "", VERDICT_MISROUTED, REFUSAL_OTHER},
    {431, "", VERDICT_MISROUTED, REFUSAL_OTHER},
    {421, "", VERDICT_MISROUTED, REFUSAL_OTHER},
    {426, "", VERDICT_MISROUTED, REFUSAL_OTHER},
    {409, "", VERDICT_REFUSED, REFUSAL_OTHER},
    {302, "", VERDICT_MISROUTED, REFUSAL_SILENT},
    {408, "", VERDICT_RETRY, REFUSAL_OTHER},
    {413, "", VERDICT_TOO_LARGE, REFUSAL_OTHER},
    {415, "", VERDICT_MISROUTED, REFUSAL_OTHER},
    {422, "what?", VERDICT_REFUSED, REFUSAL_OTHER},
    {400, " \n", VERDICT_REFUSED, REFUSAL_SILENT},
    {400, "user=1: err: Out of Order Sample. timestamp=2027", VERDICT_REFUSED, REFUSAL_ORDER},
    {400, "err: duplicate sample for timestamp. series={label=\"x\"}", VERDICT_REFUSED,
     REFUSAL_DUPLICATE},
    {400, "per-user series limit of 5 exceeded", VERDICT_REFUSED, REFUSAL_LIMIT},
    {400, "maximum active series", VERDICT_REFUSED, REFUSAL_LIMIT},
    {400, "out of order sample. timestamp=2027, series={__name__=\"tenant_series_limit\"}", VERDICT_REFUSED, REFUSAL_ORDER},
    {500, "out of order sample. series={__name__=\"tenant_series_limit\"}", VERDICT_REFUSED, REFUSAL_ORDER},
    {400, "per-labelset series limit of 5 exceeded for label set {a=\"b\"}", VERDICT_REFUSED, REFUSAL_LIMIT},
    {400, "label value too long for metric", VERDICT_REFUSED, REFUSAL_OWN},
    {400, "invalid native histogram schema", VERDICT_REFUSED, REFUSAL_OWN},
    {400, "timestamp too new", VERDICT_REFUSED, REFUSAL_OWN},
};

START_TEST(answers)
{
    struct slice body = slice_str(rows[_i].body);
    ck_assert_msg(verdict_of(rows[_i].status, body) == rows[_i].verdict, "%d %s", rows[_i].status,
                  rows[_i].body);
    ck_assert_msg(refusal_of(rows[_i].status, body) == rows[_i].refusal, "%d %s", rows[_i].status, rows[_i].body);
}
END_TEST

START_TEST(texts_are_cut_and_cleaned)
{
    char out[8];
    store_text(SLICE_LITERAL("a\nb\x01\x7f  "), out, sizeof out);
    ck_assert_str_eq(out, "a b");
    store_text(SLICE_LITERAL("abcdef\xc3\xa4"), out, sizeof out);
    ck_assert_str_eq(out, "abcdef");
    store_text(SLICE_LITERAL("ab\xff"
                             "cd"),
               out, sizeof out);
    ck_assert_str_eq(out, "ab");
    store_text(SLICE_NONE, out, sizeof out);
    ck_assert_str_eq(out, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verdict");
    TCase *c = tcase_create("verdict");
    tcase_add_loop_test(c, answers, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(c, texts_are_cut_and_cleaned);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
