/* Kill switches at the door. */
#include <inttypes.h>
#include <stdio.h>

#include "batch/batch.h"
#include "door.h"
#include "runner.h"

#define NOW .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS

static uint64_t draw;

/* more: the fields that make it narrower. */
static void kill_put(struct controls *c, const char *id, int64_t expires_ms, const char *more)
{
    char json[512];
    struct err e = ERR_INIT;
    (void)snprintf(json, sizeof json,
                   "{\"id\":\"%s\",\"who\":\"w\",\"reason\":\"release 41\",\"created_ms\":1779999000000,\"expires_ms\":%" PRId64
                   ",\"kind\":\"kill\",\"tenant\":\"t\",%s}",
                   id, expires_ms, more);
    ck_assert_msg(controls_take(c, slice_str(id), slice_str(json), 0, &e), "%s", e.text);
}

static void open_with_controls(struct door *d, struct controls *c)
{
    draw = 7;
    controls_init(c, &draw);
    door_open(d, NULL, 0);
    edge_set_controls(d->edge, c);
}

static const struct message_point points[] = {{.metric = "debug.x", .labels = "queue=rank1", .value = 1, NOW},
                                              {.metric = "debug.x", .labels = "queue=other", .value = 2, NOW},
                                              {.metric = "a", .value = 3, NOW}};

START_TEST(a_rule_drops_what_it_matches_and_names_itself)
{
    struct controls c;
    struct door d;
    open_with_controls(&d, &c);
    for (int i = 0; i < 2; i++) { /* learned before the rule and after */
        door_judge_points(&d, RES, points, 3);
        ck_assert_uint_eq(d.answer.n_rejected, 0);
        kill_put(&c, "k-1", NOW_MS + 3600000, "\"action\":\"drop\",\"metric\":\"debug_*\",\"labels\":{\"queue\":\"rank*\"}");
        door_judge_points(&d, RES, points, 3);
        ck_assert_uint_eq(d.answer.n_by_reason[REASON_KILLED], 1);
        ck_assert_int_eq(d.answer.first_reason, REASON_KILLED);
        ck_assert_ptr_nonnull(strstr(d.answer.text, "metric \"debug_x_total\": killed: the operators' kill switch k-1 is in force until 2026-"));
        ck_assert_uint_eq(d.answer.n_kills, 1);
        ck_assert(slice_eq_str(d.answer.kills[0].rule_id, "k-1") && d.answer.kills[0].n_samples == 1);
        ck_assert_str_eq(door_text(&d), "standard gs-1 a_total{shard_id=s1} counter 3 @0\n"
                                        "standard gs-1 debug_x_total{queue=other,shard_id=s1} counter 2 @0\n");
        struct err e = ERR_INIT;
        ck_assert(controls_take(&c, SLICE_LITERAL("k-1"), SLICE_NONE, 0, &e));
    }
    kill_put(&c, "k-2", NOW_MS + 1000, "\"action\":\"drop\"");
    door_judge_points(&d, RES, points, 3);
    ck_assert_uint_eq(d.answer.n_by_reason[REASON_KILLED], 3);
    ck_assert_uint_eq(d.answer.n_batches, 0);
    edge_set_controls(d.edge, NULL);
    door_judge_points(&d, RES, points, 3);
    ck_assert_uint_eq(d.answer.n_rejected, 0);
    door_close(&d);
    controls_fini(&c);
}
END_TEST

START_TEST(a_rule_ends_by_itself)
{
    struct controls c;
    struct door d;
    open_with_controls(&d, &c);
    kill_put(&c, "k-1", NOW_MS, "\"action\":\"drop\"");
    door_judge_points(&d, RES, points, 3);
    ck_assert_uint_eq(d.answer.n_rejected, 0);
    door_close(&d);
    controls_fini(&c);
}
END_TEST

/* What limit would ask of the batch as it came: control_sample_passes(rule, source, base_ms). */
START_TEST(a_sampling_rule_passes_the_batches_that_limit_passes)
{
    struct controls c;
    struct door d;
    struct door all;
    struct arena a;
    unsigned n_passed = 0;
    open_with_controls(&d, &c);
    door_open(&all, NULL, 0);
    arena_init(&a, 1 << 20);
    kill_put(&c, "k-1", NOW_MS + 3600000, "\"action\":\"sample\",\"sample_n\":4,\"metric\":\"debug_*\"");
    const struct control_rule *rule = controls_kills(&c, SLICE_LITERAL("t"));
    ck_assert(rule != NULL && rule->sample_n == 4);
    for (int i = 0; i < 400; i++) {
        struct message_point p[3] = {points[0], points[1], points[2]};
        for (int k = 0; k < 3; k++) { /* in every other message each point has a time of its own */
            p[k].time_ms = NOW_MS - i * 10 - (i % 2 == 0 ? 0 : k + 1);
        }
        struct err e = ERR_INIT;
        struct batch b;
        door_judge_points(&all, RES, p, 3);
        ck_assert(batch_decode(all.answer.batches[0].value, &batch_default_caps, &a, &b, &e));
        bool passes = control_sample_passes(rule, b.source, b.times.base_ms);
        n_passed += passes;
        door_judge_points(&d, RES, p, 3);
        ck_assert_uint_eq(d.answer.n_by_reason[REASON_KILLED], passes ? 0 : 2);
        ck_assert(!passes || slice_eq(d.answer.batches[0].value, all.answer.batches[0].value));
    }
    ck_assert(n_passed > 50 && n_passed < 150);
    arena_fini(&a);
    door_close(&all);
    door_close(&d);
    controls_fini(&c);
}
END_TEST

START_TEST(more_rules_than_a_mark_has_bits)
{
    struct controls c;
    struct door d;
    open_with_controls(&d, &c);
    for (int i = 0; i < 100; i++) {
        char id[16];
        char more[64];
        (void)snprintf(id, sizeof id, "k-%02d", i);
        (void)snprintf(more, sizeof more, "\"action\":\"drop\",\"metric\":\"%s%d_total\"", i == _i ? "a" : "no", i);
        kill_put(&c, id, NOW_MS + 1000, more);
    }
    char metric[16];
    (void)snprintf(metric, sizeof metric, "a%d", _i);
    const struct message_point p[] = {{.metric = metric, .value = 1, NOW}, {.metric = "b", .value = 1, NOW}};
    door_judge_points(&d, RES, p, 2);
    ck_assert_uint_eq(d.answer.n_by_reason[REASON_KILLED], 1);
    ck_assert_uint_eq(d.answer.n_accepted, 1);
    door_close(&d);
    controls_fini(&c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kills");
    TCase *t = tcase_create("kills");
    tcase_add_test(t, a_rule_drops_what_it_matches_and_names_itself);
    tcase_add_test(t, a_rule_ends_by_itself);
    tcase_add_test(t, a_sampling_rule_passes_the_batches_that_limit_passes);
    tcase_add_loop_test(t, more_rules_than_a_mark_has_bits, 0, 100);
    suite_add_tcase(s, t);
    return run_suite(s);
}
