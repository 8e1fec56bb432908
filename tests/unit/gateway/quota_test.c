#include "quota.h"

#include "runner.h"

static const struct quota plain = {
    .samples_per_second = 1000, .bytes_per_second = 0, .requests_per_second = 10, .burst_seconds = 2};

static bool admit(struct quota_meter *m, int64_t at_ms, enum quota_kind *which, int64_t *wait_ms)
{
    *wait_ms = -1;
    return quota_admit(m, at_ms, which, wait_ms);
}

START_TEST(a_burst_passes_and_then_the_rate)
{
    struct quota_meter m = {0};
    enum quota_kind which;
    int64_t wait_ms;
    int n = 0;
    quota_set(&m, &plain, 1, 0);
    while (admit(&m, 0, &which, &wait_ms)) {
        n++;
    }
    ck_assert_int_eq(n, 20);
    ck_assert_int_eq(which, QUOTA_REQUESTS);
    ck_assert_int_eq(wait_ms, 100);
    ck_assert(!admit(&m, 99, &which, &wait_ms));
    ck_assert_int_eq(wait_ms, 1);
    for (int64_t t = 100; t <= 10000; t += 100) {
        ck_assert(admit(&m, t, &which, &wait_ms));
        ck_assert(!admit(&m, t, &which, &wait_ms));
    }
    /* Never more than the burst, however long nobody came. */
    for (n = 0; admit(&m, 1000000, &which, &wait_ms); n++) {
    }
    ck_assert_int_eq(n, 20);
}
END_TEST

START_TEST(what_is_owed_has_to_be_waited_for)
{
    struct quota_meter m = {0};
    enum quota_kind which;
    int64_t wait_ms;
    quota_set(&m, &plain, 1, 0);
    ck_assert(admit(&m, 0, &which, &wait_ms));
    quota_charge(&m, QUOTA_SAMPLES, 5000); /* 2000 were there */
    ck_assert(!admit(&m, 0, &which, &wait_ms));
    ck_assert_int_eq(which, QUOTA_SAMPLES);
    ck_assert_int_eq(wait_ms, 3001);
    ck_assert(!admit(&m, 3000, &which, &wait_ms));
    ck_assert(admit(&m, 3001, &which, &wait_ms));
}
END_TEST

START_TEST(no_quota_is_no_bound)
{
    struct quota_meter m = {0};
    enum quota_kind which;
    int64_t wait_ms;
    const struct quota none = {.burst_seconds = 10};
    quota_set(&m, &none, 1, 0);
    for (int i = 0; i < 100000; i++) {
        ck_assert(admit(&m, 0, &which, &wait_ms));
        quota_charge(&m, QUOTA_BYTES, UINT32_MAX);
    }
}
END_TEST

START_TEST(replicas_share_and_a_small_part_still_passes)
{
    struct quota_meter m = {0};
    enum quota_kind which;
    int64_t wait_ms;
    quota_set(&m, &plain, 100, 0); /* a request in ten seconds */
    ck_assert(admit(&m, 0, &which, &wait_ms));
    ck_assert(!admit(&m, 0, &which, &wait_ms));
    ck_assert_int_eq(wait_ms, 10000);
    ck_assert(admit(&m, 10000, &which, &wait_ms));
}
END_TEST

START_TEST(a_new_quota_keeps_what_is_owed)
{
    struct quota_meter m = {0};
    enum quota_kind which;
    int64_t wait_ms;
    quota_set(&m, &plain, 1, 0);
    quota_charge(&m, QUOTA_SAMPLES, 3000);
    struct quota twice = plain;
    twice.samples_per_second = 2000;
    quota_set(&m, &twice, 1, 0);
    ck_assert(!admit(&m, 0, &which, &wait_ms));
    ck_assert_int_eq(wait_ms, 501); /* 1000 owed, and one to be there */
    /* The same quota again is no new burst. */
    for (int i = 0; i < 100; i++) {
        quota_set(&m, &twice, 1, 0);
    }
    ck_assert(!admit(&m, 0, &which, &wait_ms));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quota");
    TCase *t = tcase_create("quota");
    tcase_add_test(t, a_burst_passes_and_then_the_rate);
    tcase_add_test(t, what_is_owed_has_to_be_waited_for);
    tcase_add_test(t, no_quota_is_no_bound);
    tcase_add_test(t, replicas_share_and_a_small_part_still_passes);
    tcase_add_test(t, a_new_quota_keeps_what_is_owed);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
