/* Samples per second: the bucket by itself, and through the step. */
#include "rate.h"

#include "rig.h"
#include "runner.h"

enum { PER_SECOND = 100, BURST_MS = 10000, T0 = 1000000 };

/* --- the bucket --- */

struct offer {
    const char *name;
    enum batch_class class;
    int64_t at_ms;
    int64_t n;
    bool passes;
};

/* 1,000 tokens at first, 100 a second. */
static const struct offer offers[] = {
    {"a burst at once", CLASS_CRITICAL, 0, 600, true},
    {"verbose leaves three tenths to the others", CLASS_VERBOSE, 0, 101, false},
    {"what is just above passes", CLASS_VERBOSE, 0, 100, true},
    {"standard leaves one tenth", CLASS_STANDARD, 0, 201, false},
    {"that much passes", CLASS_STANDARD, 0, 200, true},
    {"critical takes the last", CLASS_CRITICAL, 0, 100, true},
    {"nothing is left", CLASS_CRITICAL, 0, 1, false},
    {"a second brings a hundred", CLASS_CRITICAL, 1000, 100, true},
    {"and no more", CLASS_CRITICAL, 1000, 1, false},
    {"time does not go back", CLASS_CRITICAL, 500, 1, false},
    {"a day brings no more than the bucket holds", CLASS_CRITICAL, 86400000, 1001, false},
    {"but that", CLASS_CRITICAL, 86400000, 1000, true},
};

START_TEST(a_bucket_passes_what_it_holds)
{
    struct rate r = {0};
    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        const struct offer *o = &offers[i];
        rate_advance(&r, T0 + o->at_ms);
        bool passes = rate_pass(&r, o->n, o->class, PER_SECOND, BURST_MS);
        ck_assert_msg(passes == o->passes, "%s", o->name);
    }
}
END_TEST

START_TEST(what_is_offered_is_measured_by_windows)
{
    struct rate r = {0};
    for (int ms = 0; ms < 3 * RATE_WINDOW_MS; ms += 100) {
        rate_advance(&r, T0 + ms);
        (void)rate_pass(&r, 5, CLASS_CRITICAL, PER_SECOND, BURST_MS);
    }
    ck_assert_int_eq(r.per_second, 50);
    rate_advance(&r, T0 + 3 * RATE_WINDOW_MS);
    (void)rate_pass(&r, 2000, CLASS_CRITICAL, PER_SECOND, BURST_MS); /* more is seen at once */
    ck_assert_int_eq(r.per_second, 200);
    rate_advance(&r, T0 + 4 * RATE_WINDOW_MS);
    rate_advance(&r, T0 + 5 * RATE_WINDOW_MS); /* and silence, too */
    ck_assert_int_eq(r.per_second, 0);
}
END_TEST

/* --- through the step --- */

#define RATED(more)                                                                                \
    "{\"tenants\": {\"t\": {\"limits\": {\"samples_per_second\": 10" more "}}, \"u\": {}}}"

static void send_for(struct rig *r, int n_seconds, enum batch_class class, const char *tenant)
{
    for (int i = 0; i < n_seconds; i++) {
        rig_send(r,
                 &(struct rig_batch){"a*20", .class = class, .tenant = tenant, .at_ms = i * 1000});
        rig_pulse(r, NOW_MS);
        rig_commit(r);
    }
}

START_TEST(a_tenant_is_held_to_its_rate)
{
    enum { SECONDS = 300 };
    struct rig r;
    rig_open(&r, &(struct rig_options){.policy = RATED("")});
    send_for(&r, SECONDS, CLASS_STANDARD, "t"); /* twenty a second */
    double out = rig_count(&r, M_SAMPLES_OUT, "t", "");
    double shed = rig_shed_for(&r, "t", CLASS_STANDARD, "samples_per_second");
    ck_assert_msg(out > 0.95 * 10 * SECONDS && out < 10 * SECONDS + 10 * 30, "%g went out", out);
    ck_assert(out + shed == 20 * SECONDS);
    send_for(&r, SECONDS, CLASS_STANDARD, "u");
    ck_assert_double_eq(rig_count(&r, M_SAMPLES_OUT, "u", ""), 20 * SECONDS);
    rig_check_accounts(&r, "t");
    rig_close(&r);
}
END_TEST

START_TEST(a_rate_in_shadow_mode_counts_alone)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){.policy = RATED(", \"over_samples\": \"shadow\"")});
    send_for(&r, 100, CLASS_VERBOSE, "t");
    ck_assert_double_eq(rig_count(&r, M_SAMPLES_OUT, "t", ""), 2000);
    ck_assert_double_gt(rig_count(&r, M_SAMPLES_SHADOW, "t", "samples_per_second"), 500);
    rig_check_accounts(&r, "t");
    rig_close(&r);
}
END_TEST

/* Verbose samples are shed before critical ones want for any. */
START_TEST(the_least_important_class_is_shed_first)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){.policy = RATED("")});
    for (int i = 0; i < 300; i++) {
        rig_send(&r, &(struct rig_batch){"a*7", .at_ms = i * 1000});
        rig_send(&r, &(struct rig_batch){"b*7", .class = CLASS_VERBOSE, .at_ms = i * 1000});
        rig_pulse(&r, NOW_MS);
        rig_commit(&r);
    }
    ck_assert_double_eq(rig_shed_for(&r, "t", CLASS_CRITICAL, "samples_per_second"), 0);
    ck_assert_double_gt(rig_shed_for(&r, "t", CLASS_VERBOSE, "samples_per_second"), 700);
    rig_check_accounts(&r, "t");
    rig_close(&r);
}
END_TEST

/* A redrive comes at once and never again: it is neither shed nor taken off what the tenant may send now. */
START_TEST(what_is_redriven_is_outside_of_the_rate)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){.policy = RATED("")});
    send_for(&r, 1, CLASS_STANDARD, "t"); /* so that there is a lease */
    double before = rig_count(&r, M_SAMPLES_OUT, "t", "");
    for (int i = 0; i < 50; i++) {
        rig_send(&r, &(struct rig_batch){"a*20", .class = CLASS_VERBOSE, .redriven = 7});
        rig_commit(&r);
    }
    ck_assert_double_eq(rig_count(&r, M_SAMPLES_OUT, "t", "") - before, 50 * 20);
    rig_send(&r, &(struct rig_batch){"a*5", .class = CLASS_STANDARD, .at_ms = 1000});
    rig_commit(&r);
    ck_assert_double_eq(rig_count(&r, M_SAMPLES_OUT, "t", "") - before, 50 * 20 + 5);
    ck_assert_double_eq(rig_shed_for(&r, "t", CLASS_VERBOSE, "samples_per_second"), 0);
    rig_check_accounts(&r, "t");
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("limit_rate");
    TCase *t = tcase_create("rate");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_bucket_passes_what_it_holds);
    tcase_add_test(t, what_is_offered_is_measured_by_windows);
    tcase_add_test(t, a_tenant_is_held_to_its_rate);
    tcase_add_test(t, a_rate_in_shadow_mode_counts_alone);
    tcase_add_test(t, the_least_important_class_is_shed_first);
    tcase_add_test(t, what_is_redriven_is_outside_of_the_rate);
    suite_add_tcase(s, t);
    return run_suite(s);
}
