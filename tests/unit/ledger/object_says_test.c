#include "runner.h"

#include "ledger/object_says.h"

#include <stdlib.h>
#include <string.h>

#define ID "AAECAwQFBgcICQoLDA0ODw"
#define INTENT(first, id) "{\"first\":" first ",\"last\":90,\"layout\":{\"hours\":1},\"rows\":400,\"topic_id\":\"" id "\"}"

static const struct {
    const char *name;
    const char *values[N_SAYS]; /* intent, rows, objects */
    const char *why;            /* NULL: it tells */
} cases[] = {
    {"all of it", {INTENT("5", ID), "70", "3"}, NULL},
    {"no rows are a number", {INTENT("5", ID), "0", "1"}, NULL},
    {"no intent", {NULL, "70", "3"}, "\"intent\" is missing"},
    {"an intent that was cut off", {"{\"first\":5,\"last\":9", "70", "3"}, ""},
    {"no rows", {INTENT("5", ID), NULL, "3"}, "\"rows\" is missing"},
    {"rows that are no number", {INTENT("5", ID), "70x", "3"}, "\"rows\" is no such number: 70x"},
    {"negative rows", {INTENT("5", ID), "-1", "3"}, "\"rows\" is no such number"},
    {"rows without end", {INTENT("5", ID), "99999999999999999999", "3"}, "\"rows\" is no such number"},
    {"no object", {INTENT("5", ID), "70", "0"}, "\"objects\" is no such number"},
    {"too many objects", {INTENT("5", ID), "70", "1000001"}, "\"objects\" is no such number"},
    {"a blank", {INTENT("5", ID), " 70", "3"}, "\"rows\" is no such number"},
    {"another range", {INTENT("6", ID), "70", "3"}, "another range or topic than its name"},
    {"another topic", {INTENT("5", "BBECAwQFBgcICQoLDA0ODw"), "70", "3"}, "another range or topic than its name"},
};

START_TEST(what_an_object_says)
{
    struct object_says says;
    struct err e = ERR_INIT;
    bool ok = object_says_read(cases[_i].values, 5, 90, SLICE_LITERAL(ID), &says, &e);
    ck_assert_msg(ok == (cases[_i].why == NULL), "%s: %s", cases[_i].name, e.text);
    if (ok) {
        ck_assert_int_eq(says.intent.last, 90);
        ck_assert_uint_eq(says.intent.n_rows, 400);
        ck_assert_uint_eq(says.n_rows, (uint64_t)atoi(cases[_i].values[SAYS_ROWS]));
        ck_assert_uint_eq(says.n_objects, (uint32_t)atoi(cases[_i].values[SAYS_OBJECTS]));
    } else {
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
        ck_assert_msg(strstr(e.text, cases[_i].why) != NULL, "%s: %s", cases[_i].name, e.text);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("object_says");
    TCase *t = tcase_create("object_says");
    tcase_add_loop_test(t, what_an_object_says, 0, sizeof cases / sizeof cases[0]);
    suite_add_tcase(s, t);
    return run_suite(s);
}
