/* Random lives of the sender against a store in memory (refusals, lost answers, kills, takeovers),
 * after which nothing acceptable is lost and nothing that the store has is in the DLQ. */
#include "world.h"

static void random_log(struct world *w)
{
    unsigned n_servers = 2 + (unsigned)rnd(w, 5);
    unsigned n_rounds = 4 + (unsigned)rnd(w, 12);
    bool late = rnd(w, 2) == 0;
    for (unsigned round = 0; round < n_rounds; round++) {
        for (unsigned server = 0; server < n_servers; server++) {
            struct scrape_spec spec = {.server = server,
                                       .first_metric = 86 + server % 3 * 20,
                                       .n = 1 + (unsigned)rnd(w, 20),
                                       .t_ms = epoch_ms + (int64_t)round * 20000 +
                                               (int64_t)rnd(w, 5000),
                                       .late_at = -1,
                                       .histograms = rnd(w, 2) == 0};
            if (late && rnd(w, 5) == 0) {
                spec.late_at = (int)rnd(w, spec.n);
                spec.late_ms = 1000 + (int64_t)rnd(w, 200000);
            }
            world_scrape(w, &spec);
        }
    }
}

static void random_mood(struct world *w)
{
    struct fake_store *s = &w->store;
    s->keeps_good = rnd(w, 2) == 0;
    s->old_status_500 = rnd(w, 3) == 0;
    s->names = rnd(w, 2) == 0;
    s->refuse_same_value = rnd(w, 4) == 0;
    s->window_ms = rnd(w, 2) == 0 ? 60000 : 0;
    s->max_request = rnd(w, 4) == 0 ? 5 + rnd(w, 20) : 0;
}

static void random_answer(struct world *w, uint32_t shard, unsigned trouble)
{
    char text[STORE_TEXT];
    struct flight *f = &w->flights[shard];
    uint64_t dice = rnd(w, 100);
    if (dice >= trouble) {
        world_serve(w, shard);
        return;
    }
    if (rnd(w, 2) == 0) { /* taken or refused, but nobody hears of it */
        (void)store_write(&w->store, slice_of(f->body, f->n_body), text);
    }
    static const int statuses[] = {0, 500, 503, 429};
    world_answer(w, shard, statuses[rnd(w, 4)], "", true);
}

/* kill -9: in-flight requests may arrive all the same; what was not released comes again. */
static void kill_and_restart(struct world *w, const struct sender_options *o)
{
    char text[STORE_TEXT];
    for (uint32_t s = 0; s < MAX_SHARDS; s++) {
        struct flight *f = &w->flights[s];
        if (f->busy) {
            series_mark(w, slice_of(f->body, f->n_body), false);
            if (rnd(w, 2) == 0) {
                (void)store_write(&w->store, slice_of(f->body, f->n_body), text);
            }
        }
        f->busy = false;
    }
    amp_free(w->amp);
    metrics_free(w->metrics);
    size_t committed = 0;
    while (committed < w->n_records && w->released[committed]) {
        committed++;
    }
    for (size_t i = committed; i < w->n_records; i++) {
        w->released[i] = false;
    }
    memset(w->n_holds, 0, sizeof w->n_holds);
    w->end_at_assignment = w->next > w->end_at_assignment ? w->next : w->end_at_assignment;
    w->next = committed;
    world_boot(w, o);
}

struct life {
    size_t n_fed, n_kept, n_dead, n_neither;
};

/* Every point that was fed is in the store, or in the DLQ, or was refused by the store; no letter
 * for what the store has; what is the point's own fault is in the DLQ. */
static void check_points(struct world *w, struct life *life)
{
    struct err e = ERR_INIT;
    struct arena a;
    arena_init(&a, 64 << 20);
    for (size_t r = 0; r < w->n_records; r++) {
        struct batch b;
        struct shape shape;
        int64_t times[FIXTURE_MAX];
        arena_reset(&a);
        ck_assert(batch_decode(w->records[r], &batch_default_caps, &a, &b, &e));
        ck_assert(shape_decode(b.shape, b.tenant, &shape_default_caps, &a, &shape, &e));
        ck_assert(batch_times_decode(&b.times, shape.n_series, times, &e));
        for (uint32_t i = 0; i < shape.n_series; i++) {
            struct wire_shape *wire;
            char key[STORE_KEY];
            const struct series *s = &shape.series[i];
            ck_assert(
                wire_shape_new(&(struct shape){.n_series = 1,
                                               .series = s,
                                               .n_scalars = s->kind == SERIES_COUNTER ? 1u : 0u,
                                               .n_exp = s->kind == SERIES_EXP_HISTOGRAM ? 1u : 0u},
                               b.tenant, &(struct wire_names){.tenant_label = ""}, 1 << 20, &wire, &e));
            static const char *const names[] = {"Zone", "__name__", "server", "zone"};
            size_t at = 0;
            for (int k = 0; k < 4; k++) {
                struct slice v;
                if (wire_shape_label(wire, 0, names[k], &v)) {
                    at += (size_t)snprintf(key + at, sizeof key - at, "%s=%.*s,", names[k],
                                           SLICE_ARG(v));
                }
            }
            wire_shape_unref(wire);
            struct store_series *series = store_find(&w->store, key);
            struct store_point *p = store_point(series, times[i]);
            bool dead = false;
            for (size_t k = 0; k < w->n_letters; k++) {
                dead = dead ||
                       (hash128_eq(w->letters[k].series, s->id) && w->letters[k].t_ms == times[i]);
            }
            bool own = strstr(key, "__name__=metric_9") != NULL;
            life->n_fed++;
            life->n_kept += p->stored ? 1 : 0;
            life->n_dead += dead ? 1 : 0;
            life->n_neither += !p->stored && !dead ? 1 : 0;
            ck_assert_msg(!(dead && p->stored), "in the store and in the DLQ: %s @%lld", key,
                          (long long)times[i]);
            ck_assert_msg(p->stored || dead || p->refused, "lost: %s @%lld", key,
                          (long long)times[i]);
            ck_assert_msg(!p->in_order || p->stored,
                          "came in order, and is not in the store: %s @%lld", key,
                          (long long)times[i]);
            ck_assert_msg(!own || dead, "not in the DLQ: %s @%lld", key, (long long)times[i]);
        }
    }
    arena_fini(&a);
}

START_TEST(random_lives)
{
    struct life life = {0};
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct sender_options o = usual;
        struct world *w = world_new(&o, seed + (uint64_t)_i * 1000);
        amp_free(w->amp);
        metrics_free(w->metrics);
        o.n_shards = 1 + (uint32_t)rnd(w, MAX_SHARDS);
        o.max_samples = 1 + (uint32_t)rnd(w, 60);
        random_mood(w);
        /* Half of them know the store's window. */
        o.out_of_order_ms = rnd(w, 2) == 0 ? 0 : w->store.window_ms + 1;
        world_boot(w, &o);
        random_log(w);
        unsigned trouble = _i == 0 ? 0 : 20;
        unsigned kills = _i == 2 ? 4 : 0;
        for (int i = 0; i < 2000; i++) {
            if (w->next < w->n_records && sender_has_room(amp_sender(w->amp)) && rnd(w, 3) > 0) {
                world_take(w);
            }
            world_turn(w);
            uint32_t shard = (uint32_t)rnd(w, MAX_SHARDS);
            if (w->flights[shard].busy) {
                random_answer(w, shard, trouble);
            }
            world_pass(w, (int64_t)rnd(w, 30));
            if (kills > 0 && rnd(w, 400) == 0) {
                kills--;
                kill_and_restart(w, &o);
            }
        }
        world_run(w);
        ck_assert_uint_eq(w->n_overlaps, 0);
        check_accounts(w);
        check_released(w);
        check_points(w, &life);
        world_free(w);
    }
    (void)printf("%s: %zu points, %zu in the store, %zu in the DLQ, %zu only counted as there\n",
                 _i == 0   ? "refusals"
                 : _i == 1 ? "and lost answers"
                           : "and kills",
                 life.n_fed, life.n_kept, life.n_dead, life.n_neither);
    ck_assert_uint_gt(life.n_kept, life.n_fed / 3);
    ck_assert_uint_gt(life.n_dead, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lives");
    TCase *c = tcase_create("random lives");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, random_lives, 0, 3);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
