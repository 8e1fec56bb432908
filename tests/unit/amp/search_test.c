/* How many requests it takes to find the culprits, whatever their number and place. Counted are all
 * requests: the one that was refused first, each part, each culprit alone, the rest. */
#include "../runner.h"
#include "shard.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_POINTS = 2000 };

/* A store that refuses what holds a culprit. */
struct trial {
    uint32_t n_points;
    uint32_t n_series; /* the points of a series are neighbours */
    bool names;        /* the store names the first culprit of a request */
    bool lies;         /* it names a point at random */
    bool bad[MAX_POINTS];
    bool done[MAX_POINTS];
    uint32_t n_requests;
    uint64_t random;
};

static struct wire_series series[MAX_POINTS];
static struct wire_shape shape = {.series = series};
static struct scrape scrape = {.shape = &shape};

static uint32_t random_below(struct trial *t, uint32_t n)
{
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return (uint32_t)((t->random >> 11) % n);
}

static struct work *whole(const struct trial *t)
{
    struct work *w = work_new(t->n_points);
    ck_assert_ptr_nonnull(w);
    w->singles = true;
    for (uint32_t i = 0; i < t->n_points; i++) {
        series[i].id = (struct hash128){0, (uint64_t)i * t->n_series / t->n_points};
        work_add(w, (struct piece){.scrape = &scrape, .from = i, .to = i + 1});
    }
    return w;
}

static uint32_t first_culprit(const struct trial *t, const struct work *w)
{
    uint32_t i = 0;
    while (i < w->n_pieces && !t->bad[w->pieces[i].from]) {
        i++;
    }
    return i;
}

/* Once, and behind all that went before it in its series. */
static void finish(struct trial *t, const struct work *w)
{
    for (uint32_t i = 0; i < w->n_pieces; i++) {
        uint32_t at = w->pieces[i].from;
        ck_assert(!t->done[at]);
        t->done[at] = true;
        for (uint32_t k = at + 1; k < t->n_points && hash128_eq(series[k].id, series[at].id); k++) {
            ck_assert(!t->done[k]);
        }
    }
}

static void answer(struct trial *t, struct shard *shard, const struct work *w)
{
    struct err e = ERR_INIT;
    uint32_t culprit = first_culprit(t, w);
    t->n_requests++;
    if (culprit == w->n_pieces) {
        bisect_taken(shard, w);
        finish(t, w);
        return;
    }
    uint32_t named = t->lies ? random_below(t, w->n_pieces) : t->names ? culprit : w->n_pieces;
    if (named < w->n_pieces && !work_begins_series(w, named)) {
        named = w->n_pieces;
    }
    ck_assert_msg(bisect_refused(shard, w, named, &e), "%s", e.text);
    if (w->n_pieces == 1) {
        finish(t, w);
    }
}

static void search(struct trial *t)
{
    struct err e = ERR_INIT;
    struct shard shard = {0};
    memset(t->done, 0, sizeof t->done);
    t->n_requests = 0;
    struct work *w = whole(t);
    while (w != NULL) {
        answer(t, &shard, w);
        free(w);
        ck_assert_msg(bisect_unsent(&shard, &e), "%s", e.text);
        w = shard.stack;
        shard.stack = w != NULL ? w->next : NULL;
    }
    for (uint32_t i = 0; i < t->n_points; i++) {
        ck_assert(t->done[i]);
    }
}

static uint32_t culprits(const struct trial *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n_points; i++) {
        n += t->bad[i] ? 1 : 0;
    }
    return n;
}

static uint32_t bound(const struct trial *t)
{
    uint32_t n = culprits(t);
    uint32_t log2 = 0;
    while (t->n_points > UINT32_C(1) << log2) {
        log2++;
    }
    if (t->names && t->n_series == t->n_points) {
        return 2 * n + 1;
    }
    return n < 2 ? n * (log2 + 2) + 1 : n * log2 + 8;
}

static void check_search(struct trial *t)
{
    search(t);
    ck_assert_msg(t->n_requests <= bound(t), "%u culprits among %u: %u requests, not %u",
                  culprits(t), t->n_points, t->n_requests, bound(t));
}

START_TEST(every_choice_of_culprits_in_small_requests)
{
    for (uint32_t n = 1; n <= 10; n++) {
        for (uint32_t set = 0; set < UINT32_C(1) << n; set++) {
            struct trial t = {.n_points = n, .n_series = n, .names = _i == 1};
            for (uint32_t i = 0; i < n; i++) {
                t.bad[i] = (set >> i & 1) != 0;
            }
            check_search(&t);
        }
    }
}
END_TEST

/* Few or many, at the front, at the end, side by side, evenly, by chance. */
static void choose_culprits(struct trial *t)
{
    uint32_t n = t->n_points;
    uint32_t n_bad = random_below(t, 4) == 0 ? random_below(t, n + 1) : random_below(t, 12);
    n_bad = n_bad < n ? n_bad : n;
    uint32_t begin = random_below(t, n - n_bad + 1);
    uint32_t places[] = {0, n - n_bad, begin};
    uint32_t place = random_below(t, 5);
    memset(t->bad, 0, sizeof t->bad);
    for (uint32_t i = 0; i < n_bad; i++) {
        uint32_t at = place < 3    ? places[place] + i
                      : place == 3 ? (uint32_t)((uint64_t)i * n / n_bad)
                                   : random_below(t, n);
        t->bad[at] = true;
    }
}

START_TEST(any_size_and_place)
{
    struct trial t = {.random = UINT64_C(88172645463325252) + (uint64_t)_i};
    for (uint32_t i = 0; i < 300; i++) {
        t.n_points = 1 + random_below(&t, i % 8 == 0 ? MAX_POINTS : 300);
        t.n_series = i % 2 == 0 ? t.n_points : 1 + random_below(&t, t.n_points);
        t.names = _i == 1;
        choose_culprits(&t);
        check_search(&t);
    }
}
END_TEST

/* What a store names wrongly costs two requests, once. */
START_TEST(a_store_that_names_the_wrong_one_is_not_believed_for_long)
{
    struct trial t = {.random = 7, .lies = true};
    for (uint32_t i = 0; i < 200; i++) {
        t.n_points = 2 + random_below(&t, 300);
        t.n_series = t.n_points;
        choose_culprits(&t);
        search(&t);
        ck_assert_msg(t.n_requests <= bound(&t) + 2, "%u culprits among %u: %u requests, not %u",
                      culprits(&t), t.n_points, t.n_requests, bound(&t) + 2);
    }
}
END_TEST

static void print_average(uint32_t n_points, uint32_t n_bad)
{
    struct trial t = {.n_points = n_points, .n_series = n_points, .random = 42};
    uint64_t sum = 0;
    enum { N_TRIALS = 10 };
    for (int i = 0; i < N_TRIALS; i++) {
        memset(t.bad, 0, sizeof t.bad);
        while (culprits(&t) < n_bad) {
            t.bad[random_below(&t, n_points)] = true;
        }
        search(&t);
        sum += t.n_requests;
    }
    (void)printf("%u culprits among %u: %.1f requests\n", n_bad, n_points, (double)sum / N_TRIALS);
}

START_TEST(averages_are_printed)
{
    static const uint32_t n_bad[] = {1, 2, 3, 5, 8, 13, 40, 200};
    for (size_t i = 0; i < sizeof n_bad / sizeof n_bad[0]; i++) {
        print_average(200, n_bad[i]);
        print_average(2000, n_bad[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("search");
    TCase *c = tcase_create("search");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, every_choice_of_culprits_in_small_requests, 0, 2);
    tcase_add_loop_test(c, any_size_and_place, 0, 2);
    tcase_add_test(c, a_store_that_names_the_wrong_one_is_not_believed_for_long);
    tcase_add_test(c, averages_are_printed);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
