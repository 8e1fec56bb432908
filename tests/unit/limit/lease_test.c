/* Budgets that span partitions, with several limiters at once: whatever happens, the leases' sum
 * never grows over a budget and no partition uses more than its lease; in the end all room is where
 * the demand is, and nobody has anything to say. */
#include <stdio.h>

#include "inside.h"
#include "lease_world.h"
#include "runner.h"

#define NO_BUDGETS                                                                                 \
    "{\"limits\": {\"series_per_source\": 300, \"series_per_metric\": 0}, \"tenants\": {\"t\": "   \
    "{}}}"

enum { SEEDS = 8, TURNS_OF_UNREST = 1200, IDLE_TURNS = 180 };

static const char *const names[] = {"metric 0", "metric 1", "metric 2", "the tenant"};

static void check_no_error(const struct world *w, int seed)
{
    ck_assert_msg(w->error[0] == '\0', "seed %d, at %lld ms: %s", seed, (long long)w->now_ms,
                  w->error);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* 98 % of what the budgets allow of the demand. */
static void check_used(struct world *w, const char *when, int seed)
{
    int64_t of_metrics = 0;
    check_no_error(w, seed);
    for (int m = 0; m < WORLD_METRICS; m++) {
        int64_t value = world_in_force(w, m);
        int64_t wanted = value < 0 ? world_wanted(w, m) : least(value, world_wanted(w, m));
        of_metrics += wanted;
        ck_assert_msg(value < 0 || world_active(w, m) <= value, "seed %d, %s: %s uses %lld of %lld",
                      seed, when, names[m], (long long)world_active(w, m), (long long)value);
    }
    int64_t value = world_in_force(w, WORLD_TENANT);
    int64_t wanted = least(value, of_metrics);
    int64_t active = world_active(w, WORLD_TENANT);
    ck_assert_msg(active <= value && active >= wanted * 98 / 100,
                  "seed %d, %s: the tenant uses %lld of %lld, wanted are %lld (%lld %lld %lld)",
                  seed, when, (long long)active, (long long)value, (long long)wanted,
                  (long long)world_active(w, 0), (long long)world_active(w, 1),
                  (long long)world_active(w, 2));
}

static void metrics_limit(struct world *w, int64_t value)
{
    for (int m = 0; m < WORLD_METRICS; m++) {
        world_limit(w, m, value);
    }
}

static void unrest(struct world *w)
{
    w->is_calm = false;
    for (int i = 0; i < 6; i++) {
        static const int64_t tenants[] = {80, 50, 0, 30, 90, 0};
        static const int64_t metrics[] = {0, 20, 40, 12, 0, 60};
        world_demand(w, 40 + 20 * i, 1 + (int)(w->random % WORLD_PARTITIONS));
        world_limit(w, WORLD_TENANT, tenants[i]);
        world_run(w, TURNS_OF_UNREST / 12);
        metrics_limit(w, metrics[i]);
        world_run(w, TURNS_OF_UNREST / 12);
    }
    w->is_calm = true;
}

/* The phases of the model's run. */
static void phases(struct world *w, int seed)
{
    w->is_calm = true;
    world_demand(w, 60, WORLD_PARTITIONS);
    world_run(w, 200);
    unrest(w);
    check_no_error(w, seed);
    world_limit(w, WORLD_TENANT, 40);
    metrics_limit(w, 16);
    world_demand(w, 100, WORLD_PARTITIONS);
    world_run(w, 4 * IDLE_TURNS);
    check_used(w, "lowered", seed);
    world_demand(w, 100, 2);
    world_run(w, 4 * IDLE_TURNS);
    check_used(w, "moved", seed);
    world_limit(w, WORLD_TENANT, 0);
    metrics_limit(w, 0);
    world_demand(w, 120, WORLD_PARTITIONS);
    world_run(w, 4 * IDLE_TURNS);
    check_used(w, "raised", seed);
}

/* Each rule that is left out is found in one of the runs. */
START_TEST(broken_rules_are_found)
{
    struct world w = {0};
    for (int seed = 0; seed < 4 * SEEDS && w.error[0] == '\0'; seed++) {
        w = (struct world){.broken = (enum world_break)_i};
        world_open(&w, 1000 + (uint64_t)seed);
        w.is_calm = true;
        world_demand(&w, 60, WORLD_PARTITIONS);
        world_run(&w, 200);
        unrest(&w);
        world_close(&w);
    }
    ck_assert_msg(w.error[0] != '\0', "break %d is not found", _i);
    if (getenv("LEASE_TEST_SHOWS") != NULL) {
        printf("break %d: %s\n", _i, w.error);
    }
}
END_TEST

START_TEST(budgets_hold)
{
    struct world w = {0};
    world_open(&w, 1000 + (uint64_t)_i);
    phases(&w, _i);
    ck_assert_uint_gt(w.n_commits, 100);
    ck_assert(w.n_aborts > 0 && w.n_rebalances > 0 && w.n_retries > 0 && w.n_waits > 0);
    world_demand(&w, 0, 1);
    world_run(&w, 3 * IDLE_TURNS);
    uint64_t n_said = w.n_said;
    world_run(&w, 3 * IDLE_TURNS);
    ck_assert_msg(w.n_said == n_said, "seed %d: in silence %llu records of leases", _i,
                  (unsigned long long)(w.n_said - n_said));
    if (getenv("LEASE_TEST_SHOWS") != NULL) {
        printf("seed %d: %llu commits, %llu aborts, %llu rebalances, %llu retries, %llu waits, "
               "%llu said\n",
               _i, (unsigned long long)w.n_commits, (unsigned long long)w.n_aborts,
               (unsigned long long)w.n_rebalances, (unsigned long long)w.n_retries,
               (unsigned long long)w.n_waits, (unsigned long long)w.n_said);
    }
    world_close(&w);
}
END_TEST

/* Series of different weights, and workers that read of new budgets at different times. */
START_TEST(budgets_hold_by_weight)
{
    struct world w = {.has_histograms = true};
    world_open(&w, 2000 + (uint64_t)_i);
    for (int i = 0; i < 3; i++) {
        unrest(&w);
        world_run(&w, IDLE_TURNS);
        check_no_error(&w, _i);
    }
    ck_assert_int_gt(world_active(&w, 2), 0);
    world_close(&w);
}
END_TEST

/* Where there was no budget, series are active that no lease knows of, on partitions where nothing
 * new comes either: once all have read of the budget, nothing new is let in anywhere. */
START_TEST(a_new_budget_counts_what_is_active)
{
    struct world w = {.is_unleased = true, .policy = NO_BUDGETS};
    world_open(&w, 500 + (uint64_t)_i);
    w.is_calm = true;
    world_demand(&w, 200, WORLD_PARTITIONS);
    world_run(&w, 100);
    int which = _i % 2 == 0 ? 0 : WORLD_TENANT;
    int64_t n_before = world_active(&w, which);
    ck_assert_int_gt(n_before, 40);
    world_limit(&w, which, n_before - 10);
    world_run(&w, 10);
    w.sources[_i % WORLD_PARTITIONS][0].n[0] += 9;
    world_run(&w, 40);
    check_no_error(&w, _i);
    ck_assert_msg(world_active(&w, which) <= n_before, "%d: %lld are active, %lld were before", _i,
                  (long long)world_active(&w, which), (long long)n_before);
    world_close(&w);
}
END_TEST

static double samples_left_out(const struct world *w)
{
    struct rig r = {.metrics = w->metrics};
    return rig_count(&r, M_SAMPLES_IN, "t", "") - rig_count(&r, M_SAMPLES_OUT, "t", "");
}

/* A rollout that has reached one process, and not yet that of the allocator: no budget is in force,
 * so nothing is refused or shed. */
START_TEST(a_budget_that_only_a_holder_knows)
{
    struct world w = {.is_unleased = true, .policy = NO_BUDGETS};
    world_open(&w, 900);
    w.is_calm = true;
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        w.owner[p] = p == 0 ? 0 : 1;
    }
    world_run(&w, 5);
    world_limit_at(&w, 1, WORLD_TENANT, 8);
    world_limit_at(&w, 1, 0, 2);
    world_limit_at(&w, 1, WORLD_RATE, 2);
    world_demand(&w, 40, WORLD_PARTITIONS);
    world_run(&w, 60); /* by then the allocator has been asked */
    double n_before = samples_left_out(&w);
    world_demand(&w, 200, WORLD_PARTITIONS);
    world_run(&w, 300);
    check_no_error(&w, 0);
    ck_assert_int_eq(world_active(&w, WORLD_TENANT), world_wanted(&w, WORLD_TENANT));
    ck_assert(samples_left_out(&w) == n_before);
    world_limit(&w, WORLD_RATE, 2);
    world_limit(&w, WORLD_TENANT, 8);
    world_run(&w, 100);
    ck_assert(samples_left_out(&w) > n_before);
    world_close(&w);
}
END_TEST

/* What becomes of a log under source budgets, in peace or not. */
static void log_run(struct world *w, int seed, bool is_calm)
{
    *w = (struct world){.is_unleased = true,
                        .policy = "{\"limits\": {\"series_per_source\": 12, \"series_per_metric\": "
                                  "0}, \"tenants\": {\"t\": {}}}"};
    world_open(w, 300 + (uint64_t)seed);
    for (int i = 0; i < 6; i++) {
        w->is_calm = is_calm;
        world_demand(w, 120, WORLD_PARTITIONS);
        world_run(w, 150);
    }
    w->is_calm = true;
    world_demand(w, 0, 1);
    world_run(w, 20);
    check_no_error(w, seed);
    struct rig r = {.metrics = w->metrics};
    rig_check_accounts(&r, "t");
    ck_assert_msg(rig_count(&r, M_SAMPLES_IN, "t", "") == (double)w->n_samples,
                  "seed %d: %g of %llu samples", seed, rig_count(&r, M_SAMPLES_IN, "t", ""),
                  (unsigned long long)w->n_samples);
    ck_assert(rig_count(&r, M_SAMPLES_REJECTED, "t", "over_source_budget") > 0);
}

START_TEST(the_log_alone_decides_under_source_budgets)
{
    struct world w[2];
    log_run(&w[0], _i, true);
    log_run(&w[1], _i, false);
    ck_assert(w[1].n_aborts > 0 && w[1].n_rebalances > 0);
    for (int p = 0; p < WORLD_PARTITIONS; p++) {
        ck_assert_uint_gt(w[0].n_inputs[p], 0);
        ck_assert_uint_eq(w[0].committed[p], w[1].committed[p]);
        ck_assert_msg(w[0].admitted[p] == w[1].admitted[p], "seed %d: partition %d differs", _i, p);
    }
    world_close(&w[0]);
    world_close(&w[1]);
}
END_TEST

/* Each name needs a lease for its first series; their number has a bound, of all tenants and of
 * each, and other budgets go on. */
START_TEST(names_without_end)
{
    static char text[16 * 1024];
    static const char *const tenants[] = {"t", "t2", "t3", "t4", "t5"};
    struct rig r;
    rig_open(&r, &(struct rig_options){
                     .n_partitions = 1,
                     .policy = "{\"limits\": {\"series_per_source\": 20000, \"series_per_metric\": "
                               "4}, \"tenants\": "
                               "{\"t\": {}, \"t2\": {}, \"t3\": {}, \"t4\": {}, \"t5\": {}}}"});
    const struct owned_state *o = r.partition.state;
    for (int i = 0; i < 5 * 3; i++) {
        rig_send(&r, &(struct rig_batch){"a", .tenant = tenants[i / 3]});
        rig_settle(&r);
        size_t len = 0;
        for (int k = 0; k < 1000; k++) {
            len += (size_t)snprintf(text + len, sizeof text - len, "h%d:c1 ", i * 1000 + k);
        }
        rig_send(&r, &(struct rig_batch){text, .tenant = tenants[i / 3]});
        rig_commit(&r);
        ck_assert_uint_le(o->holding->usage.leases.n_metrics,
                          (unsigned)(i / 3 + 1) * MAX_TENANT_METRIC_LEASES);
    }
    ck_assert_uint_eq(o->holding->usage.leases.n_metrics, MAX_METRIC_LEASES);
    rig_restart(&r);
    o = r.partition.state;
    ck_assert_uint_eq(o->holding->usage.leases.n_metrics, MAX_METRIC_LEASES);
    rig_send(&r, &(struct rig_batch){"a b z"});
    ck_assert_str_eq(rig_text(&r), "> gs-1 critical a b z\n");
    rig_close(&r);
}
END_TEST

/* What is beyond half of a metric's budget needs a lease. */
START_TEST(one_tenants_names_leave_leases_to_another)
{
    static char text[16 * 1024];
    struct rig r;
    rig_open(&r,
             &(struct rig_options){
                 .policy = "{\"limits\": {\"series_per_source\": 20000, \"series_per_metric\": 4}, "
                           "\"tenants\": {\"t\": {}, \"u\": {}}}"});
    for (int i = 0; i < 10; i++) {
        size_t len = 0;
        for (int k = 0; k < 1000; k++) {
            len += (size_t)snprintf(text + len, sizeof text - len, "h%d:c1 ", i * 1000 + k);
        }
        rig_send(&r, &(struct rig_batch){text});
        rig_commit(&r);
        rig_settle(&r);
    }
    for (int i = 0; i < 3; i++) {
        rig_send(&r, &(struct rig_batch){"a*4", .tenant = "u"});
        rig_settle(&r);
    }
    rig_send(&r, &(struct rig_batch){"a*4", .tenant = "u"});
    ck_assert_str_eq(rig_text(&r), "> gs-1 critical a*4\n");
    rig_close(&r);
}
END_TEST

/* However many series of one tenant are refused, what another's lease lacks is known. */
START_TEST(one_tenants_wishes_do_not_hide_anothers)
{
    struct rig r;
    rig_open(&r,
             &(struct rig_options){
                 .dlq_cap = -1,
                 .policy = "{\"limits\": {\"series_per_source\": 20000, \"series_per_tenant\": 4}, "
                           "\"tenants\": {\"t\": {}, \"u\": {}}}"});
    for (int i = 0; i < 2; i++) {
        const struct rig_batch known = {"a*3", .tenant = i == 0 ? "t" : "u"};
        rig_send(&r, &known);
        rig_settle(&r);
        rig_send(&r, &known);
    }
    rig_send(&r, &(struct rig_batch){"b*19000"});
    rig_send(&r, &(struct rig_batch){"c*19000"});
    rig_send(&r, &(struct rig_batch){"a*20", .tenant = "u"});
    const struct owned_state *o = r.partition.state;
    const struct leases *ls = &o->holding->usage.leases;
    const struct scope s = {SCOPE_TENANT, SLICE_LITERAL("u"), SLICE_NONE};
    const struct lease *l = leases_find(&o->holding->usage.leases, &s);
    ck_assert_int_gt(l->n_wanted, 10);
    ck_assert_uint_eq(ls->n_wants, MAX_TENANT_WANTED + l->share->n_wants);
    rig_send(&r, &(struct rig_batch){"a*3", .at_ms = 180000});
    ck_assert_uint_eq(ls->n_wants, 0);
    ck_assert_uint_eq(l->share->n_wants, 0);
    rig_close(&r);
}
END_TEST

/* Who asks for nothing any more has no demand two minutes later, however busy the partition is. */
START_TEST(what_was_refused_is_forgotten)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){.policy = "{\"limits\": {\"series_per_tenant\": 4}, "
                                                 "\"tenants\": {\"t\": {}}}"});
    rig_send(&r, &(struct rig_batch){"a*3"});
    rig_settle(&r);
    rig_send(&r, &(struct rig_batch){"a*3"});
    rig_send(&r, &(struct rig_batch){"b*20", .source = "gs-2"});
    const struct owned_state *o = r.partition.state;
    const struct scope s = {SCOPE_TENANT, SLICE_LITERAL("t"), SLICE_NONE};
    const struct lease *l = leases_find(&o->holding->usage.leases, &s);
    ck_assert_int_eq(l->n_wanted, 20);
    rig_send(&r, &(struct rig_batch){"a*3", .at_ms = 60000});
    ck_assert_int_eq(l->n_wanted, 20);
    rig_send(&r, &(struct rig_batch){"a*3", .at_ms = 120000});
    ck_assert_int_eq(l->n_wanted, 0);
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lease");
    TCase *t = tcase_create("lease");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, budgets_hold, 0, SEEDS);
    tcase_add_loop_test(t, broken_rules_are_found, 1, N_BREAKS);
    tcase_add_loop_test(t, budgets_hold_by_weight, 0, SEEDS);
    tcase_add_loop_test(t, a_new_budget_counts_what_is_active, 0, 8);
    tcase_add_loop_test(t, the_log_alone_decides_under_source_budgets, 0, 6);
    tcase_add_test(t, a_budget_that_only_a_holder_knows);
    tcase_add_test(t, names_without_end);
    tcase_add_test(t, one_tenants_names_leave_leases_to_another);
    tcase_add_test(t, one_tenants_wishes_do_not_hide_anothers);
    tcase_add_test(t, what_was_refused_is_forgotten);
    suite_add_tcase(s, t);
    return run_suite(s);
}
