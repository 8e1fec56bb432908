#include "ledger.h"

#include "../runner.h"
#include "load.h"

enum { N_STEPS = 12 };

struct bench {
    struct model m;
    struct manifest f;
    struct ledger l;
};

static void bench_open(struct bench *b, struct model_params p, enum ledger_mode mode)
{
    struct err e = ERR_INIT;
    load_open(&b->m, p);
    manifest_init(&b->f);
    b->f.params = p;
    b->f.keyed = true;
    b->f.n_scrapes = N_STEPS * p.n_servers;
    ck_assert(ledger_init(&b->l, &b->m, &b->f, mode, &e));
}

static void bench_close(struct bench *b)
{
    ledger_fini(&b->l);
    manifest_fini(&b->f);
    model_fini(&b->m);
}

/* What a faithful store would hold. */
static struct sighting truth(const struct bench *b, uint32_t server, uint32_t series, int64_t step,
                             struct native_histogram *space)
{
    const struct model *m = &b->m;
    struct epoch epoch = model_epoch(m, server, step);
    struct sighting s = {.server = server, .series = series, .n_times = 1};
    s.time_ms = model_time_ms(m, server, step);
    s.start_ms = (int64_t)(model_start_ns(m, server, epoch) / 1000000);
    if (m->series[series].is_histogram) {
        struct model_histogram h;
        model_histogram(m, server, series, step, epoch, &h);
        native_expect(&h, space);
        s.is_histogram = true;
        s.histogram = space;
    } else {
        s.value = model_value(m, series, model_counter(m, server, series, step, epoch));
    }
    return s;
}

/* One scrape as it comes out of the pipeline. */
static void scrape_see(struct bench *b, uint32_t server, int64_t step)
{
    bool forbidden = model_forbidden(&b->m, server, step);
    for (uint32_t copy = 0; copy < model_copies(&b->m, server, step); copy++) {
        for (uint32_t i = 0; i < b->m.p.n_series; i++) {
            struct native_histogram space;
            if (!forbidden || !model_series_forbidden(&b->m, i)) {
                struct sighting s = truth(b, server, i, step, &space);
                ledger_see(&b->l, &s);
            }
        }
    }
}

/* All scrapes in the order of sending, but for those that skip names. */
static void all_see(struct bench *b, int64_t skip_scrape)
{
    int64_t n_servers = b->m.p.n_servers;
    for (int64_t slot = 0; slot < N_STEPS + MAX_LATE_STEPS; slot++) {
        for (uint32_t server = 0; server < n_servers; server++) {
            for (int64_t back = 0; back <= MAX_LATE_STEPS; back++) {
                int64_t step = back == 0 ? slot : slot - (MAX_LATE_STEPS + 1 - back);
                if (step >= 0 && step < N_STEPS && step * n_servers + server != skip_scrape &&
                    model_late_steps(&b->m, server, step) == slot - step) {
                    scrape_see(b, server, step);
                }
            }
        }
    }
}

static void faults_are(const struct bench *b, uint64_t lost, uint64_t duplicate, uint64_t wrong,
                       uint64_t unexpected, uint64_t order)
{
    ck_assert_uint_eq(b->l.faults[FAULT_LOST], lost);
    ck_assert_uint_eq(b->l.faults[FAULT_DUPLICATE], duplicate);
    ck_assert_uint_eq(b->l.faults[FAULT_WRONG], wrong);
    ck_assert_uint_eq(b->l.faults[FAULT_UNEXPECTED], unexpected);
    ck_assert_uint_eq(b->l.faults[FAULT_ORDER], order);
    ck_assert(ledger_clean(&b->l) == (lost + duplicate + wrong + unexpected + order == 0));
}

START_TEST(a_faithful_log_is_clean)
{
    struct bench b;
    bench_open(&b, load_params(), LEDGER_LOG);
    all_see(&b, -1);
    ledger_close(&b.l);
    faults_are(&b, 0, 0, 0, 0, 0);
    ck_assert_uint_eq(b.l.n_expected, (uint64_t)N_STEPS * 5 * 300);
    ck_assert_uint_eq(b.l.n_found, b.l.n_expected);
    bench_close(&b);
}
END_TEST

START_TEST(a_faithful_log_of_an_unruly_load_is_clean)
{
    for (int mode = LEDGER_LOG; mode <= LEDGER_STORE; mode++) {
        struct bench b;
        struct ledger_rejects rejects;
        bench_open(&b, load_unruly(), (enum ledger_mode)mode);
        all_see(&b, -1);
        ledger_close(&b.l);
        faults_are(&b, 0, 0, 0, 0, 0);
        ledger_rejects(&b.l, &rejects);
        ck_assert_uint_gt(rejects.min_samples, 0);
        ck_assert_uint_eq(rejects.min_samples, rejects.max_samples);
        ck_assert_uint_gt(rejects.min_garbage, 0);
        ck_assert((b.l.n_repeats > 0) == (mode == LEDGER_STORE));
        bench_close(&b);
    }
}
END_TEST

START_TEST(nothing_at_all_is_lost)
{
    struct bench b;
    bench_open(&b, load_params(), LEDGER_STORE);
    ledger_close(&b.l);
    faults_are(&b, (uint64_t)N_STEPS * 5 * 300, 0, 0, 0, 0);
    ck_assert_uint_eq(b.l.n_examples[FAULT_LOST], MAX_EXAMPLES);
    bench_close(&b);
}
END_TEST

START_TEST(one_scrape_is_lost)
{
    struct bench b;
    bench_open(&b, load_params(), LEDGER_LOG);
    all_see(&b, 17);
    ledger_close(&b.l);
    faults_are(&b, 300, 0, 0, 0, 0);
    bench_close(&b);
}
END_TEST

/* A message that the brokers may have: there or not, but not twice. */
START_TEST(a_doubt_allows_both)
{
    for (int seen = 0; seen <= 2; seen++) {
        struct bench b;
        bench_open(&b, load_params(), LEDGER_LOG);
        ck_assert(manifest_list_add(&b.f.doubts, (struct manifest_doubt){17, false}));
        all_see(&b, 17);
        b.l.ordered = false;
        for (int i = 0; i < seen; i++) {
            scrape_see(&b, 17 % 5, 17 / 5);
        }
        ledger_close(&b.l);
        faults_are(&b, 0, seen == 2 ? 300 : 0, 0, 0, 0);
        bench_close(&b);
    }
}
END_TEST

/* One that went again after an answer that told nothing: once or twice, but there. */
START_TEST(a_repeat_allows_one_more)
{
    for (int seen = 0; seen <= 3; seen++) {
        struct bench b;
        bench_open(&b, load_params(), LEDGER_LOG);
        ck_assert(manifest_list_add(&b.f.repeats, (struct manifest_doubt){17, false}));
        all_see(&b, 17);
        b.l.ordered = false;
        for (int i = 0; i < seen; i++) {
            scrape_see(&b, 17 % 5, 17 / 5);
        }
        ledger_close(&b.l);
        faults_are(&b, seen == 0 ? 300 : 0, seen == 3 ? 300 : 0, 0, 0, 0);
        bench_close(&b);
    }
}
END_TEST

START_TEST(duplicates_are_counted)
{
    struct bench b;
    struct native_histogram space;
    bench_open(&b, load_params(), LEDGER_LOG);
    all_see(&b, -1);
    for (int i = 0; i < 5; i++) { /* beyond what two bits hold */
        struct sighting s = truth(&b, 3, 299, N_STEPS - 1, &space);
        ledger_see(&b.l, &s);
    }
    ledger_close(&b.l);
    ck_assert_uint_ge(b.l.faults[FAULT_DUPLICATE], 5);
    ck_assert_uint_eq(b.l.faults[FAULT_LOST], 0);
    bench_close(&b);

    bench_open(&b, load_params(), LEDGER_STORE); /* a store takes repeats, unless told otherwise */
    for (int exact = 0; exact <= 1; exact++) {
        b.l.exact = exact == 1;
        struct sighting s = truth(&b, 3, 299, exact, &space);
        s.n_times = 4;
        ledger_see(&b.l, &s);
        ck_assert_uint_eq(b.l.n_repeats, exact == 1 ? 6 : 3);
        ck_assert_uint_eq(b.l.faults[FAULT_DUPLICATE], exact == 1 ? 3 : 0);
    }
    bench_close(&b);
}
END_TEST

START_TEST(wrong_ones_are_seen)
{
    struct bench b;
    struct native_histogram space;
    bench_open(&b, load_params(), LEDGER_STORE);
    all_see(&b, 0); /* all but the first scrape of server 0 */
    for (uint32_t i = 0; i < 300; i++) {
        struct sighting s = truth(&b, 0, i, 0, &space);
        if (i == 5) {
            s.value += 1;
        } else if (i == 6) {
            s.start_ms += 1;
        } else if (i == 7) {
            s.is_histogram = true;
            s.histogram = &space;
            space.n_buckets = 0;
        } else if (i == 280) {
            space.buckets[space.n_buckets - 1].count++;
        } else if (i == 281) {
            s.is_digest = true;
            s.digest = native_digest(&space, 0) ^ 1;
        } else if (i == 282 || i == 283) {
            s.is_digest = true;
            s.digest = native_digest(&space, i == 282 ? 0 : 1e-128);
        }
        ledger_see(&b.l, &s);
    }
    ledger_close(&b.l);
    faults_are(&b, 0, 0, 5, 0, 0);
    bench_close(&b);
}
END_TEST

START_TEST(unexpected_ones_are_seen)
{
    struct bench b;
    struct native_histogram space;
    struct model_params p = load_unruly();
    bench_open(&b, p, LEDGER_STORE);
    struct sighting s = truth(&b, 0, 1, 0, &space);
    s.time_ms++; /* between two steps */
    ledger_see(&b.l, &s);
    s = truth(&b, 0, 1, N_STEPS, &space); /* beyond what was sent */
    ledger_see(&b.l, &s);
    for (int64_t step = 0; step < N_STEPS; step++) {
        if (model_forbidden(&b.m, 0, step)) {
            s = truth(&b, 0, 0, step, &space); /* should have been rejected */
            ledger_see(&b.l, &s);
            break;
        }
    }
    struct label label = {slice_str("shard_id"), slice_str("s000040")};
    ledger_unexpected(&b.l, 2, slice_str("game_surprises_total"), &label, 1, 1);
    faults_are(&b, 0, 0, 0, 5, 0);
    ck_assert_ptr_nonnull(strstr(b.l.examples[FAULT_UNEXPECTED][3], "game_surprises_total"));
    bench_close(&b);
}
END_TEST

START_TEST(disorder_is_seen)
{
    struct bench b;
    bench_open(&b, load_params(), LEDGER_LOG);
    for (uint32_t server = 0; server < 5; server++) {
        for (int64_t step = 0; step < N_STEPS; step++) {
            /* Server 2's steps 6 and 7 are exchanged. */
            int64_t which = server == 2 && (step == 6 || step == 7) ? 13 - step : step;
            scrape_see(&b, server, which);
        }
    }
    ledger_close(&b.l);
    faults_are(&b, 0, 0, 0, 0, 300);
    bench_close(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loadgen ledger");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    suite_add_tcase(suite, all);
    tcase_add_test(all, a_faithful_log_is_clean);
    tcase_add_test(all, a_faithful_log_of_an_unruly_load_is_clean);
    tcase_add_test(all, nothing_at_all_is_lost);
    tcase_add_test(all, one_scrape_is_lost);
    tcase_add_test(all, a_doubt_allows_both);
    tcase_add_test(all, a_repeat_allows_one_more);
    tcase_add_test(all, duplicates_are_counted);
    tcase_add_test(all, wrong_ones_are_seen);
    tcase_add_test(all, unexpected_ones_are_seen);
    tcase_add_test(all, disorder_is_seen);
    return run_suite(suite);
}
