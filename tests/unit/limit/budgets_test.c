/* Who is let in and who is not: budgets, expiry, shadow mode, verdicts that are remembered. */
#include <stdio.h>

#include "runner.h"
#include "scenario.h"

#define OVER_SOURCE(metric, n) "! over_source_budget t " metric " " n "/" n "\n"
#define THREE POLICY("\"series_per_source\": 3")
#define TEN POLICY("\"series_per_source\": 10")

static const struct scenario source_budgets[] = {
    {"the 301st series is refused, the other 300 flow",
     {0},
     {{{"a*301"}, "> gs-1 critical a*300\n" OVER_SOURCE("a", "1"), "# gs-1 a*300@0\n"},
      {{"a*301"}, "> gs-1 critical a*300\n" OVER_SOURCE("a", "1"), ""},
      {{"a*300"}, "> gs-1 critical a*300\n"},
      {{"a*150 b"}, "> gs-1 critical a*150\n" OVER_SOURCE("b", "1")}}},
    {"nothing left of a batch",
     {.policy = THREE},
     {{{"a b c"}}, {{"d e"}, OVER_SOURCE("d", "1") OVER_SOURCE("e", "1")}}},
    {"refused series of one metric share a letter, also around one that passes",
     {.policy = THREE},
     {{{"a b{n=2} c"}},
      {{"b*2 b{n=2} d"}, "> gs-1 critical b{n=2}\n" OVER_SOURCE("b", "2") OVER_SOURCE("d", "1")}}},
    {"a classic histogram counts as its bounds and three more",
     {.policy = TEN},
     {{{"h:c8"}, OVER_SOURCE("h", "1"), ""},
      {{"h:c7"}, "> gs-1 critical h\n", "# gs-1 h*1/10@0\n"},
      {{"a h:c7"}, "> gs-1 critical h\n" OVER_SOURCE("a", "1"), ""}}},
    {"what is too big leaves room for what is smaller",
     {.policy = TEN},
     {{{"h:c4 i:c4 j*4"},
       "> gs-1 critical h j*3\n" OVER_SOURCE("i", "1") OVER_SOURCE("j", "1"),
       "# gs-1 j*3@0 h*1/7@0\n"}}},
    {"an exponential histogram counts as one",
     {.policy = THREE},
     {{{"a:e*4"}, "> gs-1 critical a*3\n" OVER_SOURCE("a", "1"), "# gs-1 a*3@0\n"}}},
    {"a histogram that gets more bounds needs room for them",
     {.policy = TEN},
     {{{"h:c1"}, "> gs-1 critical h\n", "# gs-1 h*1/4@0\n"},
      {{"h:c8"}, OVER_SOURCE("h", "1")},
      {{"h:c7"}, "> gs-1 critical h\n", "# gs-1 h*1/10@0\n"},
      {{"a h:c1"}, "> gs-1 critical h\n" OVER_SOURCE("a", "1")}}},
    {"a counter does not make room for a histogram of its name",
     {.policy = THREE},
     {{{"a b"}, "> gs-1 critical a b\n"},
      {{"a:c100 b"}, "> gs-1 critical b\n" OVER_SOURCE("a", "1")}}},
    {"idle series leave, nine steps after they were seen",
     {.policy = THREE},
     {{{"a b c"}, "> gs-1 critical a b c\n"},
      {{"a", .at_ms = 8 * STEP_MS}, "> gs-1 critical a\n"},
      {{"d", .at_ms = 9 * STEP_MS - 1}, OVER_SOURCE("d", "1")},
      {{"d", .at_ms = 9 * STEP_MS}, "> gs-1 critical d\n"},
      {{"a b c d", .at_ms = 9 * STEP_MS}, "> gs-1 critical a b d\n" OVER_SOURCE("c", "1")}}},
    {"log time does not go back",
     {.policy = THREE},
     {{{"a b c", .at_ms = 8 * STEP_MS}},
      {{"a", .at_ms = 0}, "> gs-1 critical a\n", ""},
      {{"a b", .at_ms = 16 * STEP_MS}},
      {{"d", .at_ms = 0}, OVER_SOURCE("d", "1")},
      {{"d e", .at_ms = 17 * STEP_MS}, "> gs-1 critical d\n" OVER_SOURCE("e", "1")}}},
    {"after a long silence all are new",
     {.policy = THREE},
     {{{"a b c"}},
      {{"d e f", .at_ms = 70000 * STEP_MS}, "> gs-1 critical d e f\n"},
      {{"a", .at_ms = 70000 * STEP_MS}, OVER_SOURCE("a", "1")}}},
    {"steps of time that are no whole minutes are kept, too",
     {.policy = THREE, .active_ms = 80000},
     {{{"a b c"}, .state = "# gs-1 a*1@0 b*1@0 c*1@0\n"},
      {{"a b c", .at_ms = 9999}, .state = ""},
      {{"a b c", .at_ms = 10000}, .state = "# gs-1 a*1@10000 b*1@10000 c*1@10000\n"},
      {{"a b c", .at_ms = 55000}, .state = "# gs-1 a*1@50000 b*1@50000 c*1@50000\n"},
      {{"d", .at_ms = 135000}, OVER_SOURCE("d", "1")},
      {{"d", .at_ms = 140000}, "> gs-1 critical d\n", "# gs-1 d*1@140000\n"}}},
    {"classes and batches of a source share its budget",
     {.policy = THREE},
     {{{"a b", .class = CLASS_CRITICAL}, "> gs-1 critical a b\n"},
      {{"c d", .class = CLASS_VERBOSE}, "> gs-1 verbose c\n" OVER_SOURCE("d", "1")},
      {{"a", .class = CLASS_STANDARD}, "> gs-1 standard a\n"}}},
    {"each source has a budget of its own",
     {.policy = THREE},
     {{{"a b c"}, "> gs-1 critical a b c\n"},
      {{"a b c d", .source = "gs-2"}, "> gs-2 critical a b c\n" OVER_SOURCE("d", "1")},
      {{"a b c", .source = "gs-1", .tenant = "u"}, "> gs-1 critical a b c\n"},
      {{"d", .source = "gs-1", .tenant = "u"}, "! over_source_budget u d 1/1\n"}}},
    {"a tenant that the policy does not know has the budgets of the top level",
     {.policy = THREE},
     {{{"a b c d", .tenant = "z"}, "> gs-1 critical a b c\n! over_source_budget z d 1/1\n"}}},
    {"metric and tenant have no budget unless they are given one",
     {.policy = POLICY("\"series_per_source\": 20000, \"series_per_metric\": 0")},
     {{{"a*15000"}, "> gs-1 critical a*15000\n"}}},
};

static const struct scenario remembered[] = {
    {"the same shape in the same step writes no state",
     {0},
     {{{"a*3"}, .state = "# gs-1 a*3@0\n"},
      {{"a*3", .at_ms = 10000}, .state = ""},
      {{"a*3", .at_ms = 70000}, .state = ""},
      {{"a*3", .at_ms = STEP_MS - 1}, .state = ""},
      {{"a*3", .at_ms = STEP_MS}, .state = "# gs-1 a*3@900000\n"},
      {{"a*3", .at_ms = STEP_MS + 10000}, .state = ""}}},
    {"a refusal is remembered, and writes no state",
     {.policy = THREE},
     {{{"a b c"}, .state = "# gs-1 a*1@0 b*1@0 c*1@0\n"},
      {{"d", .source = "gs-1"}, OVER_SOURCE("d", "1")},
      {{"d"}, OVER_SOURCE("d", "1"), ""}}},
    {"a higher budget lets in what was refused, a lower one evicts nobody",
     {.policy = THREE},
     {{{"a b c d e"}, "> gs-1 critical a b c\n" OVER_SOURCE("d", "1") OVER_SOURCE("e", "1")},
      {{"a b c d e"},
       "> gs-1 critical a b c d\n" OVER_SOURCE("e", "1"),
       .policy = POLICY("\"series_per_source\": 4")},
      {{"a b c d e"},
       "> gs-1 critical a b c d\n" OVER_SOURCE("e", "1"),
       .policy = POLICY("\"series_per_source\": 1")},
      {{"f"}, OVER_SOURCE("f", "1")}}},
    {"a tenant's own budget after a reload",
     {.policy = THREE},
     {{{"a b c d"}, "> gs-1 critical a b c\n" OVER_SOURCE("d", "1")},
      {{"a b c d"},
       "> gs-1 critical a b c d\n",
       .policy = "{\"limits\": {\"series_per_source\": 3}, \"tenants\": {\"t\": {\"limits\": "
                 "{\"series_per_source\": 5}}}}"},
      {{"a b c d", .tenant = "u"}, "> gs-1 critical a b c\n! over_source_budget u d 1/1\n"}}},
    {"a set that grows moves its slots: what was remembered is looked for anew",
     {0},
     {{{"a*3"}, "> gs-1 critical a*3\n"},
      {{"b*200"}, "> gs-1 critical b*200\n"},
      {{"a*3", .at_ms = STEP_MS}, "> gs-1 critical a*3\n", "# gs-1 a*3@900000 b*200@0\n"},
      {{"b*200", .at_ms = STEP_MS},
       "> gs-1 critical b*200\n",
       "# gs-1 a*3@900000 b*200@900000\n"}}},
    {"a set from which series have left, too",
     {0},
     {{{"a*3"}},
      {{"b*200"}},
      {{"a*3", .at_ms = 8 * STEP_MS}},
      {{"a*3", .at_ms = 9 * STEP_MS}, "> gs-1 critical a*3\n", "# gs-1 a*3@8100000\n"},
      {{"a*3", .at_ms = 10 * STEP_MS}, "> gs-1 critical a*3\n", "# gs-1 a*3@9000000\n"}}},
    {"after a restart the state is as it was",
     {.policy = THREE},
     {{{"a b:c0"}, "> gs-1 critical a\n" OVER_SOURCE("b", "1")},
      {{"c"}, "> gs-1 critical c\n"},
      {{"d e"}, "> gs-1 critical d\n" OVER_SOURCE("e", "1"), .restart = true},
      {{"a c d", .at_ms = 5 * STEP_MS}, .state = "# gs-1 a*1@4500000 c*1@4500000 d*1@4500000\n"},
      {{"e", .at_ms = 13 * STEP_MS}, OVER_SOURCE("e", "1"), .restart = true},
      {{"e", .at_ms = 14 * STEP_MS},
       "> gs-1 critical e\n",
       "# gs-1 e*1@12600000\n",
       .restart = true}}},
    {"log time is in the state, also where nothing was seen at it",
     {.policy = THREE},
     {{{"a b"}},
      {{"c", .at_ms = 5 * STEP_MS}},
      {{"x y z", .source = "gs-2", .at_ms = 5 * STEP_MS}},
      {{"w", .source = "gs-2", .at_ms = 9 * STEP_MS}, OVER_SOURCE("w", "1"), ""},
      {{"d e", .at_ms = 5 * STEP_MS}, "> gs-1 critical d e\n", .restart = true}}},
    {"a source without series is buried, and may come back",
     {.policy = THREE},
     {{{"a b c", .source = "gs-2"}, .state = "# gs-2 a*1@0 b*1@0 c*1@0\n"},
      {{"a", .at_ms = 9 * STEP_MS}, .state = "# gone\n# gs-1 a*1@8100000\n"},
      {{"d", .source = "gs-2", .at_ms = 9 * STEP_MS},
       "> gs-2 critical d\n",
       "# gs-2 d*1@8100000\n"},
      {{"e f", .source = "gs-2", .at_ms = 18 * STEP_MS}, "> gs-2 critical e f\n"}}},
};

static const struct scenario shadow[] = {
    {"over its budget in shadow mode a source passes whole",
     {.policy = POLICY("\"series_per_source\": 3, \"over_source\": \"shadow\"")},
     {{{"a*5"}, "> gs-1 critical a*5\n", "# gs-1 a*3@0 a*2!1@0\n"},
      {{"a*5"}, "> gs-1 critical a*5\n", ""},
      {{"a*5"}, "> gs-1 critical a*5\n", "", .restart = true}}},
    {"a classic histogram in shadow mode",
     {.policy = POLICY("\"series_per_source\": 3, \"over_source\": \"shadow\"")},
     {{{"h:c4"}, "> gs-1 critical h\n", "# gs-1 h*1/7!1@0\n"}}},
};

/* The budgets that span partitions: a partition uses what it was granted. Whoever changes how it
 * comes to its part of a budget has to look at these tests alone: they need one partition to get
 * the whole of it once it is wanted. */
static const struct scenario spanning[] = {
    {"a metric's budget holds over all sources, and touches no other metric",
     {.policy = POLICY("\"series_per_metric\": 5")},
     {{{"a*4 b*2"}, "> gs-1 critical a*4 b*2\n", .settle = true},
      {{"a*4 b*2", .source = "gs-2"},
       "> gs-2 critical a{n=000000} b*2\n! over_metric_budget t a 3/3\n",
       .settle = true},
      {{"a*4 b*2"}, "> gs-1 critical a*4 b*2\n"},
      {{"a*5", .tenant = "u"}, "> gs-1 critical a*5\n", .settle = true}}},
    {"a tenant's budget holds over all sources and metrics, and touches no other tenant",
     {.policy = POLICY("\"series_per_tenant\": 5")},
     {{{"a*4"}, "> gs-1 critical a*4\n", .settle = true},
      {{"b*2", .source = "gs-2"},
       "> gs-2 critical b{n=000000}\n! over_tenant_budget t b 1/1\n",
       .settle = true},
      {{"a*5", .tenant = "u"}, "> gs-1 critical a*5\n", .settle = true}}},
    {"metric and tenant in shadow mode",
     {.policy =
          POLICY("\"series_per_metric\": 2, \"over_metric\": \"shadow\", \"series_per_tenant\": 3, "
                 "\"over_tenant\": \"shadow\"")},
     {{{"a*3 b"}, "> gs-1 critical a*3 b\n"},
      {{"a*3 b"}, "> gs-1 critical a*3 b\n", .settle = true}}},
    {"the source's budget is named before the others",
     {.policy =
          POLICY("\"series_per_source\": 2, \"series_per_metric\": 2, \"series_per_tenant\": 3")},
     {{{"a*2"}, "> gs-1 critical a*2\n", .settle = true},
      {{"a*3"}, "> gs-1 critical a*2\n" OVER_SOURCE("a", "1")}}},
};

#define N_OF(rows) ((int)(sizeof(rows) / sizeof(rows)[0]))
#define SCENARIOS(rows)                                                                            \
    START_TEST(rows##_hold)                                                                        \
    {                                                                                              \
        scenario_run(&(rows)[_i]);                                                                 \
    }                                                                                              \
    END_TEST

SCENARIOS(source_budgets)
SCENARIOS(remembered)
SCENARIOS(shadow)
SCENARIOS(spanning)

START_TEST(series_are_counted)
{
    struct rig r;
    rig_open(&r, &(struct rig_options){
                     .policy = POLICY("\"series_per_source\": 5, \"over_source\": \"shadow\"")});
    rig_send(&r, &(struct rig_batch){"a*3 h:c2"});
    rig_send(&r, &(struct rig_batch){"a*3 h:c2", .at_ms = 10000});
    ck_assert(rig_count(&r, M_SERIES_NEW, "t", "") == 0); /* with the commit */
    rig_commit(&r);
    ck_assert(rig_count(&r, M_SERIES_NEW, "t", "") == 8);
    ck_assert(rig_count(&r, M_SAMPLES_SHADOW, "t", "over_source_budget") == 2);
    rig_send(&r, &(struct rig_batch){"a", .at_ms = 9 * STEP_MS});
    rig_send(&r, &(struct rig_batch){"a*3", .at_ms = 9 * STEP_MS}); /* back: new again */
    rig_commit(&r);
    ck_assert(rig_count(&r, M_SERIES_EXPIRED, "t", "") == 8);
    ck_assert(rig_count(&r, M_SERIES_NEW, "t", "") == 12);
    ck_assert(rig_count(&r, M_SAMPLES_SHADOW, "t", "over_source_budget") == 2);
    limit_export(r.limit, NOW_MS);
    ck_assert(rig_count(&r, M_SERIES_ACTIVE, "t", "") == 4);
    ck_assert(rig_count(&r, M_SERIES_BUDGET, "t", "source") == 5);
    rig_check_accounts(&r, "t");
    rig_close(&r);
}
END_TEST

/* Known shapes are not looked at again: that is what makes the limiter fast. */
START_TEST(a_known_shape_is_a_hit)
{
    struct rig r;
    struct slice hit = SLICE_LITERAL("hit");
    struct slice miss = SLICE_LITERAL("miss");
    rig_open(&r, &(struct rig_options){.policy = THREE});
    for (int i = 0; i < 100; i++) {
        rig_send(&r, &(struct rig_batch){"a b c", .at_ms = i * 10000});
        rig_send(&r, &(struct rig_batch){"d e", .at_ms = i * 10000});
        rig_commit(&r);
    }
    limit_export(r.limit, NOW_MS);
    /* 1,000 s begin two steps. What was refused is judged anew in each, what passes is not. */
    ck_assert(cell_get(metrics_cell(r.metrics, M_SHAPE_CACHE, &miss)) == 3);
    ck_assert(cell_get(metrics_cell(r.metrics, M_SHAPE_CACHE, &hit)) == 197);
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("budgets");
    TCase *t = tcase_create("budgets");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, source_budgets_hold, 0, N_OF(source_budgets));
    tcase_add_loop_test(t, remembered_hold, 0, N_OF(remembered));
    tcase_add_loop_test(t, shadow_hold, 0, N_OF(shadow));
    tcase_add_loop_test(t, spanning_hold, 0, N_OF(spanning));
    tcase_add_test(t, series_are_counted);
    tcase_add_test(t, a_known_shape_is_a_hit);
    suite_add_tcase(s, t);
    return run_suite(s);
}
