#include "directory.h"

#include "base/clock.h"
#include "runner.h"

#include <stdio.h>
#include <unistd.h>

#define HOUR_MS INT64_C(3600000)

static const char policy_text[] =
    "{\"tenants\": {\"a\": {\"principals\": [\"CN=a\"], \"quota\": {\"samples_per_second\": 1000, "
    "\"burst_seconds\": 1}}, "
    "\"b\": {\"principals\": [\"CN=b\"], \"quota\": {\"burst_seconds\": 1}}}}";

static struct metrics *metrics;

static struct directory *open_directory(int64_t n_replicas)
{
    char path[] = "/tmp/directory_test.XXXXXX";
    struct directory *d = NULL;
    struct err e = ERR_INIT;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, policy_text, sizeof policy_text - 1), sizeof policy_text - 1);
    (void)close(fd);
    metrics = metrics_new();
    const struct directory_options o = {
        .policy_path = path, .tokens_path = "", .n_replicas = n_replicas, .metrics = metrics};
    ck_assert_msg(directory_open(&o, &d, &e), "%s", e.text);
    (void)unlink(path);
    return d;
}

static void close_directory(struct directory *d)
{
    directory_close(d);
    metrics_free(metrics);
}

static void order(struct directory *d, const char *id, const char *json, int64_t now_ms)
{
    struct err e = ERR_INIT;
    struct slice value = json == NULL ? SLICE_NONE : slice_str(json);
    ck_assert_msg(directory_control(d, slice_str(id), value, now_ms, &e), "%s", e.text);
}

/* A rule that lives from 1 ms to an hour. */
static void order_limit(struct directory *d, const char *id, const char *tenant, int64_t value)
{
    char json[512];
    (void)snprintf(json, sizeof json,
                   "{\"kind\":\"limit\",\"id\":\"%s\",\"tenant\":\"%s\",\"budget\":\"samples_per_"
                   "second\",\"value\":%lld,"
                   "\"who\":\"ann\",\"reason\":\"a flood\",\"created_ms\":1,\"expires_ms\":%lld}",
                   id, tenant, (long long)value, (long long)HOUR_MS);
    order(d, id, json, 1);
}

static void order_shed(struct directory *d, const char *id, const char *tenant, const char *class)
{
    char json[512];
    (void)snprintf(json, sizeof json,
                   "{\"kind\":\"shed\",\"id\":\"%s\",%s%s%s\"class\":\"%s\",\"who\":\"ann\","
                   "\"reason\":\"r\",\"created_ms\":1,"
                   "\"expires_ms\":%lld}",
                   id, tenant[0] == '\0' ? "" : "\"tenant\":\"", tenant,
                   tenant[0] == '\0' ? "" : "\",", class, (long long)HOUR_MS);
    order(d, id, json, 1);
}

/* By a certificate that is made up. */
static struct tenant *tenant_of(struct directory *d, const char *common_name)
{
    struct tenant *t = NULL;
    struct answer refusal;
    const struct certificate certificate = {.is_there = true,
                                            .is_good = true,
                                            .expires_s = INT64_MAX,
                                            .n_names = 1,
                                            .names = {slice_str(common_name)}};
    const struct credentials who = {.certificate = &certificate};
    ck_assert_msg(directory_identify(d, &who, 1, &t, &refusal), "%s", refusal.text);
    return t;
}

/* Uses n samples; is a request let in after that? */
static bool passes_after(struct directory *d, struct tenant *t, uint64_t n, struct answer *refusal)
{
    directory_charge(d, t, QUOTA_SAMPLES, n);
    return directory_admit(d, t, clock_mono_ms(), refusal);
}

START_TEST(a_limit_replaces_the_policys_rate_until_it_ends)
{
    struct directory *d = open_directory(1);
    struct tenant *a = tenant_of(d, "CN=a");
    struct answer refusal;
    ck_assert(passes_after(d, a, 600, &refusal));
    order_limit(d, "l-1", "a", 2); /* as full as before, by its own measure: 0.8 of a sample */
    ck_assert(!passes_after(d, a, 5, &refusal));
    ck_assert_uint_eq(refusal.status, 429);
    ck_assert_int_ge(refusal.retry_after_s, 2);
    ck_assert_msg(
        strstr(refusal.text, "samples_per_second") != NULL && strstr(refusal.text, "l-1") != NULL &&
            strstr(refusal.text, "to 2 ") != NULL && strstr(refusal.text, "a flood") != NULL,
        "%s", refusal.text);
    order(d, "l-1", NULL, 2); /* revoked: what is owed is paid at the old rate, in milliseconds */
    ck_assert(directory_admit(d, a, clock_mono_ms() + 100, &refusal));
    order_limit(d, "l-2", "a", 2);
    ck_assert(!passes_after(d, a, 1000, &refusal));
    directory_expire(d, HOUR_MS - 1);
    ck_assert(!directory_admit(d, a, clock_mono_ms() + 2000, &refusal));
    ck_assert(strstr(refusal.text, "l-2") != NULL);
    directory_expire(d, HOUR_MS);
    ck_assert(directory_admit(d, a, clock_mono_ms() + 5000, &refusal));
    close_directory(d);
}
END_TEST

START_TEST(a_limit_may_give_more_and_bounds_who_has_no_quota)
{
    struct directory *d = open_directory(1);
    struct tenant *a = tenant_of(d, "CN=a");
    struct tenant *b = tenant_of(d, "CN=b");
    struct answer refusal;
    order_limit(d, "more", "a", 1000000);
    ck_assert(passes_after(d, a, 500000, &refusal));
    ck_assert(passes_after(d, b, 500000, &refusal));
    order_limit(d, "less", "b", 10);
    ck_assert(!passes_after(d, b, 500, &refusal));
    ck_assert(strstr(refusal.text, "less") != NULL);
    order(d, "less", NULL, 2);
    ck_assert(passes_after(d, b, 500000, &refusal));
    close_directory(d);
}
END_TEST

START_TEST(a_replica_gives_its_part_of_a_limit)
{
    struct directory *d = open_directory(10);
    struct tenant *b = tenant_of(d, "CN=b");
    struct answer refusal;
    order_limit(d, "l-1", "b", 1000);
    ck_assert(passes_after(d, b, 90, &refusal));
    ck_assert(!passes_after(d, b, 20, &refusal)); /* 100 of the 1000 are its own */
    close_directory(d);
}
END_TEST

START_TEST(a_class_is_shed_for_a_tenant_or_for_all)
{
    struct directory *d = open_directory(1);
    const struct tenant *a = tenant_of(d, "CN=a");
    const struct tenant *b = tenant_of(d, "CN=b");
    struct shed_orders orders;
    directory_sheds(d, a, &orders);
    ck_assert(!orders.sheds[CLASS_VERBOSE] && orders.rule_ids[CLASS_VERBOSE][0] == '\0');
    order_shed(d, "s-a", "a", "verbose");
    directory_sheds(d, a, &orders);
    ck_assert(orders.sheds[CLASS_VERBOSE] && !orders.sheds[CLASS_STANDARD] &&
              !orders.sheds[CLASS_CRITICAL]);
    ck_assert_str_eq(orders.rule_ids[CLASS_VERBOSE], "s-a");
    directory_sheds(d, b, &orders);
    ck_assert(!orders.sheds[CLASS_VERBOSE]);
    order_shed(d, "s-all", "", "standard"); /* takes verbose with it */
    directory_sheds(d, b, &orders);
    ck_assert(orders.sheds[CLASS_VERBOSE] && orders.sheds[CLASS_STANDARD] &&
              !orders.sheds[CLASS_CRITICAL]);
    ck_assert_str_eq(orders.rule_ids[CLASS_STANDARD], "s-all");
    directory_expire(d, HOUR_MS);
    directory_sheds(d, a, &orders);
    ck_assert(!orders.sheds[CLASS_VERBOSE] && !orders.sheds[CLASS_STANDARD]);
    close_directory(d);
}
END_TEST

START_TEST(each_class_names_the_rule_that_sheds_it)
{
    struct directory *d = open_directory(1);
    const struct tenant *a = tenant_of(d, "CN=a");
    struct shed_orders orders;
    order_shed(d, "s-all", "", "standard");
    order_shed(d, "s-a", "a", "verbose");
    directory_sheds(d, a, &orders);
    ck_assert_str_eq(orders.rule_ids[CLASS_CRITICAL], "");
    ck_assert_str_eq(orders.rule_ids[CLASS_STANDARD], "s-all");
    ck_assert_str_eq(orders.rule_ids[CLASS_VERBOSE], "s-a");
    const struct {
        const char *rule;
        uint64_t n_shed[N_CLASSES];
    } rows[] = {
        {"s-all", {[CLASS_STANDARD] = 1}},
        {"s-all", {[CLASS_STANDARD] = 1, [CLASS_VERBOSE] = 9}},
        {"s-a", {[CLASS_VERBOSE] = 9}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_str_eq(shed_orders_rule(&orders, rows[i].n_shed), rows[i].rule);
    }
    order_shed(d, "s-b", "a", "standard"); /* of one tenant, both: either takes verbose */
    directory_sheds(d, a, &orders);
    ck_assert_str_eq(shed_orders_rule(&orders, rows[1].n_shed), "s-b");
    close_directory(d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("directory");
    TCase *tc = tcase_create("directory");
    tcase_add_test(tc, a_limit_replaces_the_policys_rate_until_it_ends);
    tcase_add_test(tc, a_limit_may_give_more_and_bounds_who_has_no_quota);
    tcase_add_test(tc, a_replica_gives_its_part_of_a_limit);
    tcase_add_test(tc, a_class_is_shed_for_a_tenant_or_for_all);
    tcase_add_test(tc, each_class_names_the_rule_that_sheds_it);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
