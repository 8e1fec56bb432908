#include "runner.h"

#include "replay/arguments.h"

#include <string.h>

static bool read_words(enum replay_verb verb, struct replay_arguments *out, struct err *e, const char *const *words)
{
    static char copies[16][64];
    char *argv[17] = {NULL};
    int n = 0;
    for (; words[n] != NULL; n++) {
        (void)strcpy(copies[n], words[n]);
        argv[n] = copies[n];
    }
    return replay_arguments_read(verb, n, argv, out, e);
}

START_TEST(test_words)
{
    struct replay_arguments a;
    struct err e = ERR_INIT;
    ck_assert(read_words(REPLAY_PLAN, &a, &e,
                         (const char *const[]){"plan", "--topic=t", "--set", "a=b", "--rate", "50", "--json", "--config",
                                               "c.json", "--partitions", "0,3-5", "--check", NULL}));
    ck_assert_str_eq(a.topic, "t");
    ck_assert_str_eq(a.to, "end");
    ck_assert_int_eq(a.rate, 50);
    ck_assert(a.as_json && !a.abandon);
    ck_assert_int_eq(a.n_rest, 6); /* the program, --set a=b, --config c.json, --check */
    ck_assert_str_eq(a.rest[4], "c.json");
    ck_assert_ptr_null(a.rest[6]);
    ck_assert_int_eq(replay_partition_highest(a.partitions), 5);
    for (int32_t p = 0; p < 8; p++) {
        ck_assert_int_eq(replay_partition_wanted(a.partitions, p), p == 0 || (p >= 3 && p <= 5));
    }
    ck_assert(replay_partition_wanted("", 7));
    ck_assert_int_eq(replay_partition_highest(""), -1);
    replay_arguments_fini(&a);
    ck_assert(read_words(REPLAY_APPLY, &a, &e, (const char *const[]){"apply", "--json", "p.json", "--max-refused", "0", NULL}));
    ck_assert_str_eq(a.plan, "p.json");
    ck_assert_int_eq(a.max_refused, 0);
    replay_arguments_fini(&a);
}
END_TEST

static const char *const bad_words[][4] = {
    {"plan", "--topic", NULL},         {"plan", "--rate", "fast"},        {"plan", "--rate", "-1"},
    {"plan", "--partitions", "x"},     {"plan", "--partitions", "5-3"},   {"plan", "--partitions", "1,"},
    {"plan", "--rate", "--json"},      {"plan", "--json=yes", NULL},      {"plan", "--topic=", NULL},
    {"plan", "--partitions", "1-"},    {"plan", "--partitions", "99999999999999999999"},
};

/* What the other verb obeys would be taken for obeyed here. */
static const struct {
    enum replay_verb verb;
    const char *words[4];
} others_words[] = {
    {REPLAY_APPLY, {"apply", "--rate", "5000", NULL}},     {REPLAY_APPLY, {"apply", "--tenant", "demo", NULL}},
    {REPLAY_APPLY, {"apply", "--metric=*", NULL}},         {REPLAY_APPLY, {"apply", "--partitions", "3", NULL}},
    {REPLAY_APPLY, {"apply", "--from", "7", NULL}},        {REPLAY_APPLY, {"apply", "--to=9", NULL}},
    {REPLAY_APPLY, {"apply", "--out", "p.json", NULL}},    {REPLAY_APPLY, {"apply", "--stage", "amp", NULL}},
    {REPLAY_PLAN, {"plan", "--max-refused", "10", NULL}},  {REPLAY_PLAN, {"plan", "--abandon", NULL}},
};

START_TEST(test_others_words)
{
    struct replay_arguments a;
    struct err e = ERR_INIT;
    ck_assert(!read_words(others_words[_i].verb, &a, &e, others_words[_i].words));
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    size_t len = strcspn(others_words[_i].words[1], "=");
    ck_assert_msg(strncmp(e.text, others_words[_i].words[1], len) == 0, "%s", e.text);
}
END_TEST

START_TEST(test_bad_words)
{
    struct replay_arguments a;
    struct err e = ERR_INIT;
    ck_assert(!read_words(REPLAY_PLAN, &a, &e, bad_words[_i]));
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    size_t len = strcspn(bad_words[_i][1], "=");
    ck_assert_msg(strncmp(e.text, bad_words[_i][1], len) == 0, "%s", e.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replay_arguments");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, test_words);
    tcase_add_loop_test(tc, test_bad_words, 0, sizeof bad_words / sizeof bad_words[0]);
    tcase_add_loop_test(tc, test_others_words, 0, sizeof others_words / sizeof others_words[0]);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
