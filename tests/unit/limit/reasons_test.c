/* Each of the limiter's reasons is reached through the step, under its own name, and counted. */
#include <stdio.h>

#include "policy/reason.h"
#include "runner.h"
#include "scenario.h"

#define KILL "\"kind\": \"kill\", \"tenant\": \"t\", \"metric\": \"b*\", \"action\": \"drop\""

struct reason_row {
    enum reason reason;
    const char *policy;
    size_t memory_bytes;
    const char *control;
    struct rig_batch first;
    struct rig_batch second; /* some of it is refused */
    double n_refused;        /* 0: it depends on what the leases start with */
    const char *text;        /* in the letter; NULL: there is no letter */
};

static const struct reason_row rows[] = {
    {REASON_DUPLICATE_BATCH, NULL, 0, NULL, {"a b", .offset = 7}, {"a b", .offset = 7}, 2, NULL},
    {REASON_OVER_SOURCE_BUDGET,
     POLICY("\"series_per_source\": 2"),
     0,
     NULL,
     {"a b"},
     {"a b c d"},
     2,
     "source gs-1, budget 2 series: The source has as many"},
    {REASON_OVER_METRIC_BUDGET,
     POLICY("\"series_per_metric\": 2"),
     0,
     NULL,
     {"a"},
     {"b*5"},
     0,
     "source gs-1, budget 2"},
    {REASON_OVER_TENANT_BUDGET,
     POLICY("\"series_per_tenant\": 1"),
     0,
     NULL,
     {"c"},
     {"b*5"},
     0,
     "source gs-1, budget 1"},
    {REASON_LIMITER_FULL, NULL, 2, NULL, {"a"}, {"a b c"}, 2, "limiter holds as many series"},
    {REASON_KILLED, NULL, 0, KILL, {"a"}, {"a b bb"}, 2, NULL},
};

/* Of records: what a batch may be refused for whole is in intake_test. */
static const enum reason of_records[] = {REASON_MALFORMED, REASON_OUTPUT_REFUSED};

START_TEST(each_reason)
{
    const struct reason_row *row = &rows[_i];
    const char *name = reason_name(row->reason);
    struct rig r;
    rig_open(&r, &(struct rig_options){.policy = row->policy, .memory_bytes = row->memory_bytes});
    if (row->control != NULL) {
        rig_control(&r, "k1", row->control);
    }
    rig_send(&r, &row->first);
    rig_commit(&r);
    rig_send(&r, &row->second);
    char want[64];
    (void)snprintf(want, sizeof want, "! %s t ", name);
    const char *text = rig_text(&r);
    ck_assert_msg((strstr(text, want) != NULL) == (row->text != NULL), "%s: got %s", name, text);
    ck_assert_int_eq(reason_info(row->reason)->redrivable, row->text != NULL);
    if (row->text != NULL) {
        const char *why = rig_letter_text(&r);
        ck_assert_msg(strstr(why, row->text) != NULL &&
                          strstr(why, reason_info(row->reason)->help) != NULL,
                      "%s: the letter says %s", name, why);
    }
    rig_commit(&r);
    double n = rig_count(&r, M_SAMPLES_REJECTED, "t", name);
    ck_assert_msg(row->n_refused == 0 ? n >= 1 : n == row->n_refused, "%s: counted %g times", name,
                  n);
    rig_check_accounts(&r, "t");
    rig_close(&r);
}
END_TEST

START_TEST(the_table_above_is_complete)
{
    for (int reason = REASON_DUPLICATE_BATCH; reason <= REASON_KILLED; reason++) {
        bool found = false;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            found = found || (int)rows[i].reason == reason;
        }
        ck_assert_msg(found, "%s is reached by no test", reason_name((enum reason)reason));
    }
}
END_TEST

START_TEST(records_that_are_refused_whole)
{
    struct rig r;
    struct err e = ERR_INIT;
    rig_open(&r, &(struct rig_options){0});
    for (size_t i = 0; i < sizeof of_records / sizeof of_records[0]; i++) {
        const struct record in = {
            .partition = &r.partition, .timestamp_ms = NOW_MS, .value = SLICE_LITERAL("x")};
        ck_assert(of_records[i] == REASON_MALFORMED
                      ? limit_step(r.limit, NULL, &in, NOW_MS, &r.out, &e)
                      : limit_give_up(r.limit, NULL, &in, "refused repeatedly", &r.out, &e));
        char want[64];
        (void)snprintf(want, sizeof want, "! %s   0/0\n", reason_name(of_records[i]));
        ck_assert_str_eq(rig_text(&r), want);
        rig_commit(&r);
        ck_assert(rig_count(&r, M_RECORDS_REJECTED, "unknown", reason_name(of_records[i])) == 1);
    }
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reasons");
    TCase *t = tcase_create("reasons");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, each_reason, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(t, the_table_above_is_complete);
    tcase_add_test(t, records_that_are_refused_whole);
    suite_add_tcase(s, t);
    return run_suite(s);
}
