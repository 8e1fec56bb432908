#include "runner.h"

#include "slot_list.h"

struct row {
    const char *name;
    uint32_t n;
    uint32_t slots[6];
    size_t n_bytes;
};

enum { N_WORDS = 400 };

static const struct row rows[] = {
    {"none", 0, {0}, 0},
    {"the first", 1, {0}, 1},
    {"neighbours over a word's end", 4, {62, 63, 64, 65}, 4},
    {"127 fits a byte, 128 does not", 3, {127, 254, 382}, 4},
    {"far apart", 3, {5, 20000, 25599}, 1 + 3 + 2},
};

START_TEST(comes_back)
{
    const struct row *r = &rows[_i];
    uint64_t words[N_WORDS] = {0};
    struct slice list = SLICE_NONE;
    for (uint32_t i = 0; i < r->n; i++) {
        words[r->slots[i] / 64] |= UINT64_C(1) << r->slots[i] % 64;
    }
    ck_assert(slot_list_make(words, N_WORDS, &list));
    ck_assert_msg(list.len == r->n_bytes, "%s: %zu bytes", r->name, list.len);
    struct cursor c = cursor_of(list);
    uint32_t n = 0;
    for (uint32_t slot = 0; slot_list_next(&c, &slot); n++) {
        ck_assert_msg(n < r->n && slot == r->slots[n], "%s: slot %u", r->name, slot);
    }
    ck_assert_msg(n == r->n && cursor_ok(&c), "%s: %u slots", r->name, n);
    free((void *)(uintptr_t)list.ptr);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slot_list");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, comes_back, 0, sizeof rows / sizeof rows[0]);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
