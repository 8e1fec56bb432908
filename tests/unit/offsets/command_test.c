#include "runner.h"

#include "command.h"

#include <stdint.h>
#include <string.h>

enum { MAX_ARGUMENTS = 12 };

static bool parse(const char *const *words, struct command *c, struct err *e)
{
    char *argv[MAX_ARGUMENTS + 2] = {(char *)(uintptr_t) "sluice-offsets"};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    }
    return command_parse(argc, argv, c, e);
}

START_TEST(the_longest_verb_wins_and_options_stand_anywhere)
{
    static const char *const words[] = {"topics", "tenant",     "create",   "--set",
                                        "a=b",    "studio",     "--series", "5",
                                        "--json", "--config=x", NULL};
    struct command c;
    struct err e = ERR_INIT;
    long long n;
    ck_assert_msg(parse(words, &c, &e), "%s", e.text);
    ck_assert_int_eq(c.verb, VERB_TENANT_CREATE);
    ck_assert_str_eq(c.words[0], "studio");
    ck_assert_ptr_nonnull(c.values[OPTION_JSON]);
    ck_assert(command_number(&c, OPTION_SERIES, 1, 0, &n, &e) && n == 5);
    ck_assert(command_number(&c, OPTION_LIMIT, 1, -1, &n, &e) && n == -1);
    ck_assert_int_eq(c.n_rest, 4); /* its name, --set a=b, --config=x */
    ck_assert_str_eq(c.rest[2], "a=b");
    command_fini(&c);
}
END_TEST

START_TEST(a_configurations_question_needs_no_words)
{
    static const char *const words[] = {"cat", "--help", NULL};
    struct command c;
    struct err e = ERR_INIT;
    ck_assert_msg(parse(words, &c, &e), "%s", e.text);
    ck_assert(c.is_alone && c.verb == VERB_CAT);
    command_fini(&c);
}
END_TEST

static const struct {
    const char *words[MAX_ARGUMENTS];
    const char *text;
} bad[] = {
    {{"cats"}, "\"cats\" is no command"},
    {{"topics"}, "\"topics\" is no command"},
    {{"cat"}, "cat: of what?"},
    {{"dlq", "redrive", "--out", "x"}, "--out does not go with dlq"},
    {{"cat", "a", "b"}, "\"b\" is one word too many"},
    {{"cat", "a", "--limit", "1", "--limit=2"}, "--limit is given twice"},
    {{"cat", "a", "--limit", "--json"}, "--limit needs a value"},
    {{"cat", "a", "--limit="}, "--limit needs a value"},
    {{"cat", "a", "--json=yes"}, "--json takes no value"},
    {{"cat", "a", "--yes"}, "--yes does not go with cat"},
    {{"cat", "a", "--limits", "1"}, "--limits is no option of cat"},
    {{"reset", "g"}, "reset: --to is needed"},
};

START_TEST(each_mistake_is_named)
{
    struct command c;
    struct err e = ERR_INIT;
    ck_assert(!parse(bad[_i].words, &c, &e));
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    ck_assert_msg(strstr(e.text, bad[_i].text) != NULL, "%s", e.text);
    command_fini(&c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("command");
    TCase *t = tcase_create("command");
    tcase_add_test(t, the_longest_verb_wins_and_options_stand_anywhere);
    tcase_add_test(t, a_configurations_question_needs_no_words);
    tcase_add_loop_test(t, each_mistake_is_named, 0, sizeof bad / sizeof bad[0]);
    suite_add_tcase(s, t);
    return run_suite(s);
}
