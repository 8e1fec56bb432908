#include "policy/value_pattern.h"

#include "runner.h"

struct row {
    const char *pattern;
    const char *yes[4];
    const char *no[4];
};

static const struct row rows[] = {
    {"eu", {"eu"}, {"", "e", "eux", "xeu"}},
    {"[a-z]{2}-[a-z]+-\\d",
     {"eu-west-1", "us-east-2", "eu-w-9"},
     {"eu-west-12", "eu--1", "EU-west-1", "euwest1"}},
    {"[0-9a-f]{7,40}",
     {"3f2a9c1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
     {"3f2a9c", "3F2A9C1", "da39a3ee5e6b4b0d3255bfef95601890afd807091"}},
    {"v?\\d+(", {NULL}, {NULL}},
    {"v?\\d+\\.\\d+", {"v1.2", "10.20"}, {"vv1.2", "1x2", "1.", ".2"}},
    {"a*", {"", "a", "aaaaaaaa"}, {"b", "ab", "aab"}},
    {"a*a*a*a*a*a*a*a*b", {"b", "aaab"}, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}},
    {".+", {"x", "\xc3\xa9"}, {""}},
    {"[^0-9]+", {"abc", "-"}, {"a1", "1", ""}},
    {"[]]", {NULL}, {NULL}},
    {"[\\]a]", {"]", "a"}, {"b", ""}},
    {"[a-]", {"a", "-"}, {"b"}},
    {"[\\d_]+", {"1_2"}, {"a"}},
    {"\\w{3}", {"a_9"}, {"a-9", "ab", "abcd"}},
    {"x{2,}", {"xx", "xxxxx"}, {"x", ""}},
    {"x{0,2}y", {"y", "xy", "xxy"}, {"xxxy"}},
    {"x{0,}y", {"y", "xxxxy"}, {"x"}},
    {"\\*\\?", {"*?"}, {"a", "**"}},
    {"", {""}, {"a"}},
};

START_TEST(matches)
{
    const struct row *row = &rows[_i];
    struct err e = ERR_INIT;
    struct value_pattern p;
    struct arena a;
    arena_init(&a, 1 << 20);
    bool ok = value_pattern_compile(slice_str(row->pattern), &a, &p, &e);
    ck_assert_int_eq(ok, row->yes[0] != NULL || row->no[0] != NULL);
    for (int i = 0; ok && i < 4; i++) {
        ck_assert_msg(row->yes[i] == NULL || value_pattern_match(&p, slice_str(row->yes[i])),
                      "%s does not match %s", row->pattern, row->yes[i]);
        ck_assert_msg(row->no[i] == NULL || !value_pattern_match(&p, slice_str(row->no[i])),
                      "%s matches %s", row->pattern, row->no[i]);
    }
    arena_fini(&a);
}
END_TEST

static const char *const bad_rows[][2] = {
    {"a|b", "byte 1: this sign needs"},
    {"*", "byte 0: this sign"},
    {"a**", "byte 2: this sign"},
    {"[a", "[ without ]"},
    {"[z-a]", "a range goes"},
    {"[]", "[] has nothing"},
    {"a{", "numbers"},
    {"a{2", "{ without }"},
    {"a{3,2}", "rising range"},
    {"a{0}", "above 0"},
    {"\\", "\\ goes before"},
    {"\\b", "\\ goes before"},
    {"\xc3\xa9", "only ASCII"},
    {"a{257}", "too long"},
    {"a{200}b{57}", "too long"},
    {"^a", "this sign"},
    {"a$", "this sign"},
    {"a{1,1000}", "{ without }"},
};

START_TEST(bad_patterns_say_where)
{
    struct err e = ERR_INIT;
    struct value_pattern p;
    struct arena a;
    arena_init(&a, 1 << 20);
    const char *const *row = bad_rows[_i];
    ck_assert_msg(!value_pattern_compile(slice_str(row[0]), &a, &p, &e), "%s: taken", row[0]);
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    ck_assert_msg(strstr(e.text, row[1]) != NULL, "%s: got %s", row[0], e.text);
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("value_pattern");
    TCase *t = tcase_create("value_pattern");
    tcase_add_loop_test(t, matches, 0, sizeof rows / sizeof rows[0]);
    tcase_add_loop_test(t, bad_patterns_say_where, 0, sizeof bad_rows / sizeof bad_rows[0]);
    suite_add_tcase(s, t);
    return run_suite(s);
}
