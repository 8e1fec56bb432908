#include "runner.h"

#include "base/table.h"

enum { N_KEYS = 400 };

struct value {
    int key;
    bool freed;
};

static int n_freed;

static void value_free(void *value)
{
    ck_assert(!((struct value *)value)->freed); /* never twice */
    ((struct value *)value)->freed = true;
    n_freed++;
}

/* spread = 1: keys collide in their home slots, so that probing and closing of gaps are at work. */
static struct hash128 key_of(int i, int spread)
{
    return (struct hash128){.lo = (uint64_t)(i / 7) * (uint64_t)spread, .hi = (uint64_t)i};
}

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void check_against(struct table *t, struct value *const *model, int spread)
{
    size_t n = 0;
    for (int i = 0; i < N_KEYS; i++) {
        n += model[i] != NULL;
        ck_assert_ptr_eq(table_find(t, key_of(i, spread)), model[i]);
    }
    ck_assert_uint_eq(t->n, n);
    size_t seen = 0;
    size_t at = 0;
    const struct value *v;
    while ((v = table_next(t, &at)) != NULL) {
        ck_assert_ptr_eq(v, model[v->key]);
        seen++;
    }
    ck_assert_uint_eq(seen, n);
}

static const struct {
    const char *name;
    int spread;
} spreads[] = {{"crowded", 1}, {"spread", 1000003}, {"all in the same slots", 1 << 20}};

START_TEST(random_operations_agree_with_a_plain_array)
{
    enum { N_OPERATIONS = 20000 };
    static struct value pool[N_OPERATIONS];
    struct value *model[N_KEYS] = {NULL};
    int spread = spreads[_i].spread;
    uint32_t random = 42 + (uint32_t)_i;
    size_t cost = 0;
    int n_gone = 0;
    struct table t;
    table_init(&t, 0, value_free);
    for (int step = 0; step < N_OPERATIONS; step++) {
        int key = (int)(random_next(&random) % N_KEYS);
        bool there = model[key] != NULL;
        if (random_next(&random) % 5 < 3) {
            pool[step] = (struct value){.key = key};
            ck_assert(table_put(&t, key_of(key, spread), &pool[step], (size_t)key));
            model[key] = &pool[step];
            n_gone += there;
            cost += there ? 0 : (size_t)key;
        } else {
            ck_assert_msg(table_remove(&t, key_of(key, spread)) == there, "%s: step %d",
                          spreads[_i].name, step);
            model[key] = NULL;
            n_gone += there;
            cost -= there ? (size_t)key : 0;
        }
        ck_assert_int_eq(n_freed, n_gone);
        ck_assert_uint_eq(t.cost_bytes, cost + t.n_slots * sizeof(struct table_slot));
        if (step % 97 == 0) {
            check_against(&t, model, spread);
        }
    }
    check_against(&t, model, spread);
    size_t n_left = t.n;
    table_clear(&t);
    ck_assert_uint_eq(t.n, 0);
    ck_assert_int_eq(n_freed, n_gone + (int)n_left);
    ck_assert_ptr_null(table_find(&t, key_of(1, spread)));
    table_fini(&t);
}
END_TEST

START_TEST(an_empty_table_finds_nothing)
{
    struct table t;
    table_init(&t, 0, NULL);
    size_t at = 0;
    table_prefetch(&t, key_of(1, 1));
    ck_assert_ptr_null(table_find(&t, key_of(1, 1)));
    ck_assert(!table_remove(&t, key_of(1, 1)));
    ck_assert_ptr_null(table_next(&t, &at));
    table_clear(&t);
    table_fini(&t);
}
END_TEST

START_TEST(it_grows_far_and_keeps_all)
{
    enum { N = 200000 }; /* beyond 2 MiB of slots */
    static struct value values[N];
    struct table t;
    table_init(&t, 0, NULL);
    for (int i = 0; i < N; i++) {
        values[i].key = i;
        ck_assert(table_put(&t, hash128(slice_of(&i, sizeof i)), &values[i], 0));
    }
    for (int i = 0; i < N; i++) {
        if (table_find(&t, hash128(slice_of(&i, sizeof i))) != &values[i]) {
            ck_abort_msg("key %d", i);
        }
    }
    ck_assert_uint_eq(t.n, N);
    table_fini(&t);
}
END_TEST

/* A cache: never above its ceiling, never without what was just put, and every value freed once. */
START_TEST(the_ceiling_holds)
{
    enum { N = 20000, COST = 1000 };
    static struct value values[N];
    struct table t;
    const size_t max_bytes = 64 * COST + 128 * sizeof(struct table_slot);
    table_init(&t, max_bytes, value_free);
    for (int i = 0; i < N; i++) {
        values[i].key = i;
        ck_assert(table_put(&t, key_of(i, 1), &values[i], COST));
        ck_assert_uint_le(t.cost_bytes, max_bytes);
        ck_assert_ptr_eq(table_find(&t, key_of(i, 1)), &values[i]);
        ck_assert(!values[i].freed);
    }
    ck_assert_uint_ge(t.n, 60);
    ck_assert_uint_eq(t.n_evicted, N - t.n);
    ck_assert_int_eq(n_freed, (int)t.n_evicted);
    table_fini(&t);
    ck_assert_int_eq(n_freed, N);
}
END_TEST

/* Whichever of the two the hand comes to first. */
START_TEST(one_value_above_the_ceiling_stays_alone)
{
    static const int orders[2][2] = {{0, 70}, {70, 0}};
    struct value values[2] = {{.key = orders[_i][0]}, {.key = orders[_i][1]}};
    struct table t;
    table_init(&t, 8192, value_free);
    ck_assert(table_put(&t, key_of(values[0].key, 1), &values[0], 10));
    ck_assert(table_put(&t, key_of(values[1].key, 1), &values[1], 100000));
    ck_assert(values[0].freed);
    ck_assert(!values[1].freed);
    ck_assert_ptr_eq(table_find(&t, key_of(values[1].key, 1)), &values[1]);
    ck_assert_uint_eq(t.n, 1);
    table_fini(&t);
}
END_TEST

/* CLOCK: what is looked up all the time survives a scan of ten times the ceiling. Only the hand's
 * first round, when every entry is marked as used, takes some of it; first in, first out would take
 * each of them ten times. */
START_TEST(what_is_used_stays)
{
    enum { N_HOT = 10, N_COLD = 1000, COST = 1000 };
    static struct value hot[N_COLD];
    static struct value cold[N_COLD];
    int n_hot = 0;
    struct value *now[N_HOT] = {NULL};
    struct table t;
    table_init(&t, 100 * COST + 256 * sizeof(struct table_slot), value_free);
    for (int i = 0; i < N_COLD; i++) {
        cold[i].key = N_HOT + i;
        ck_assert(table_put(&t, key_of(N_HOT + i, 1000003), &cold[i], COST));
        for (int j = 0; j < N_HOT; j++) {
            if (table_find(&t, key_of(j, 1000003)) == NULL) {
                now[j] = &hot[n_hot++];
                now[j]->key = j;
                ck_assert(table_put(&t, key_of(j, 1000003), now[j], COST));
            }
            ck_assert_ptr_eq(table_find(&t, key_of(j, 1000003)), now[j]);
        }
    }
    ck_assert_uint_gt(t.n_evicted, N_COLD - 110);
    ck_assert_int_ge(n_hot, N_HOT);
    ck_assert_int_le(n_hot, 2 * N_HOT); /* put once, and again after the first round at most */
    table_fini(&t);
}
END_TEST

START_TEST(what_grows_costs_more)
{
    enum { N = 20, COST = 1000 };
    static struct value values[N];
    struct table t;
    table_init(&t, N * COST + 64 * sizeof(struct table_slot), value_free);
    for (int i = 0; i < N; i++) {
        values[i].key = i;
        ck_assert(table_put(&t, key_of(i, 1000003), &values[i], COST));
    }
    size_t before = t.cost_bytes;
    table_recost(&t, key_of(7, 1000003), 1);
    ck_assert_uint_eq(t.cost_bytes, before - COST + 1);
    ck_assert_uint_eq(t.n, N);
    table_recost(&t, key_of(7, 1000003), 5 * COST); /* others go, it stays */
    ck_assert_uint_eq(t.n, N - 4);
    ck_assert_ptr_eq(table_find(&t, key_of(7, 1000003)), &values[7]);
    ck_assert_uint_le(t.cost_bytes, t.max_bytes);
    table_fini(&t);
}
END_TEST

static void setup(void)
{
    n_freed = 0; /* without a process per test, the one before has counted */
}

int main(void)
{
    Suite *suite = suite_create("table");
    TCase *tc = tcase_create("table");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, random_operations_agree_with_a_plain_array, 0,
                        sizeof spreads / sizeof spreads[0]);
    tcase_add_test(tc, an_empty_table_finds_nothing);
    tcase_add_test(tc, it_grows_far_and_keeps_all);
    tcase_add_test(tc, the_ceiling_holds);
    tcase_add_loop_test(tc, one_value_above_the_ceiling_stays_alone, 0, 2);
    tcase_add_test(tc, what_is_used_stays);
    tcase_add_test(tc, what_grows_costs_more);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
