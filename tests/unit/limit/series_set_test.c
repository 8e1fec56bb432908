#include "runner.h"

#include "series_set.h"

enum { N_IDS = 700 };

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* few_homes: ids crowd in three places, so that probing goes round the end. */
static struct hash128 id_of(uint32_t i, bool few_homes)
{
    return (struct hash128){.lo = few_homes ? i % 3 : hash64(slice_of(&i, sizeof i)), .hi = i};
}

static struct series_slot slot_of_id(uint32_t i, bool few_homes)
{
    return (struct series_slot){.id = id_of(i, few_homes),
                                .what = slot_what(i, 1 + i % 7, OVER_NONE)};
}

/* The set says of every id what the plain array says. */
static void agree(const struct series_set *s, const bool *is_in, bool few_homes)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < N_IDS; i++) {
        uint32_t at = series_set_find(s, id_of(i, few_homes));
        ck_assert_int_eq(at != SERIES_NONE, is_in[i]);
        if (is_in[i]) {
            ck_assert_uint_eq(slot_metric(&s->slots[at]), i);
            n++;
        }
    }
    ck_assert_uint_eq(s->n, n);
    ck_assert(s->n == 0 || s->n < s->n_slots);
}

static bool keep_even(void *ctx, const struct series_slot *slot)
{
    (void)ctx;
    return slot_metric(slot) % 2 == 0;
}

static void keep_even_ones(struct series_set *s, bool *is_in)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < N_IDS; i++) {
        is_in[i] = is_in[i] && i % 2 == 0;
        n += is_in[i];
    }
    ck_assert(series_set_filter(s, keep_even, NULL, n, 1));
}

static void play(bool few_homes, uint32_t seed)
{
    struct series_set s = {0};
    static bool is_in[N_IDS];
    memset(is_in, 0, sizeof is_in);
    for (int round = 0; round < 3000; round++) {
        uint32_t i = random_next(&seed) % N_IDS;
        uint32_t act = random_next(&seed) % 100;
        if (act < 60 && !is_in[i]) {
            const struct series_slot slot = slot_of_id(i, few_homes);
            ck_assert(series_set_add(&s, &slot, 1) != SERIES_NONE);
            is_in[i] = true;
        } else if (act < 90) {
            uint32_t weight = series_set_remove(&s, id_of(i, few_homes));
            ck_assert_uint_eq(weight, is_in[i] ? 1 + i % 7 : 0);
            is_in[i] = false;
        } else if (act < 99) {
            series_set_fit(&s, 1);
        } else {
            keep_even_ones(&s, is_in);
        }
        if (round % 50 == 0) {
            agree(&s, is_in, few_homes);
        }
    }
    agree(&s, is_in, few_homes);
    series_set_fini(&s);
}

START_TEST(agrees_with_a_plain_array)
{
    play(false, 1);
    play(false, 2);
}
END_TEST

START_TEST(agrees_when_all_ids_crowd)
{
    play(true, 3);
    play(true, 4);
}
END_TEST

/* An index is good while the version is the same. */
START_TEST(the_version_tells_of_moves)
{
    struct series_set s = {0};
    uint64_t version = 0;
    for (uint32_t i = 0; i < N_IDS; i++) {
        const struct series_slot slot = slot_of_id(i, false);
        uint64_t before = s.version;
        const struct series_slot *slots = s.slots;
        uint32_t at = i == 0 ? 0 : series_set_find(&s, id_of(i - 1, false));
        ck_assert(series_set_add(&s, &slot, ++version) != SERIES_NONE);
        ck_assert_int_eq(s.version != before, s.slots != slots || i == 0);
        if (s.version == before) {
            ck_assert_uint_eq(series_set_find(&s, id_of(i - 1, false)), at);
        }
    }
    series_set_fini(&s);
}
END_TEST

/* 27 bytes a series after a fit, whatever their number; small sets round up. */
START_TEST(a_fit_set_is_full)
{
    for (uint32_t n = 10; n <= N_IDS; n += 23) {
        struct series_set s = {0};
        for (uint32_t i = 0; i < n; i++) {
            const struct series_slot slot = slot_of_id(i, false);
            ck_assert(series_set_add(&s, &slot, i) != SERIES_NONE);
        }
        series_set_fit(&s, N_IDS);
        ck_assert_uint_le((uint64_t)s.n_slots * 100, (uint64_t)n * 120 + 300);
        uint64_t before = s.version;
        series_set_fit(&s, N_IDS + 1);
        ck_assert_uint_eq(s.version, before); /* nothing to give back */
        series_set_fini(&s);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("series_set");
    TCase *all = tcase_create("all");
    tcase_add_test(all, agrees_with_a_plain_array);
    tcase_add_test(all, agrees_when_all_ids_crowd);
    tcase_add_test(all, the_version_tells_of_moves);
    tcase_add_test(all, a_fit_set_is_full);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
