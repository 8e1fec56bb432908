/* What validate's step makes of messages. Its dead letters are letters_test.c's. */
#include "batch/batch.h"
#include "rig.h"
#include "runner.h"

#define OPEN "{\"tenants\": {\"t\": {\"mode\": \"open\"}}}"
#define STRIP "{\"tenants\": {\"t\": {\"labels\": {\"unknown\": \"strip\"}}}}"
#define ALL_KINDS                                                                                  \
    "{\"tenants\": {\"t\": {\"kinds\": {\"allow\": [\"counter\", \"gauge\", "                      \
    "\"exponential_histogram\", \"classic_histogram\"]}}}}"

struct step_row {
    const char *what;
    const char *policy;
    struct message_point points[6];
    const char *want;
};

static const struct step_row step_rows[] = {
    {"counters come out in canonical order",
     NULL,
     {{.metric = "b.x", .labels = "region=eu", .value = 1, .start_ms = NOW_MS - 5, CUMULATIVE},
      {.metric = "a.x", .unit = "By", .labels = "queue=z", .value = 2, CUMULATIVE},
      {.metric = "a.x", .unit = "By", .labels = "queue=a", .value = 3, CUMULATIVE}},
     "standard gs-1 a_x_bytes_total{queue=a,shard_id=s1} counter 3 @0\n"
     "standard gs-1 a_x_bytes_total{queue=z,shard_id=s1} counter 2 @0\n"
     "standard gs-1 b_x_total{region=eu,shard_id=s1} counter 1 @0 +-5\n"},
    {"several points of a series become several batches, in order of time",
     NULL,
     {{.metric = "a", .value = 3, CUMULATIVE},
      {.metric = "a", .value = 1, .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS - 20},
      {.metric = "b", .value = 7, CUMULATIVE},
      {.metric = "a", .value = 2, .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS - 10}},
     "standard gs-1 a_total{shard_id=s1} counter 1 @-20\n"
     "standard gs-1 b_total{shard_id=s1} counter 7 @0\n"
     "standard gs-1 a_total{shard_id=s1} counter 2 @-10\n"
     "standard gs-1 a_total{shard_id=s1} counter 3 @0\n"},
    {"classes become batches of their own",
     "{\"classes\": {\"rules\": [{\"metrics\": [\"a*\"], \"class\": \"critical\"}]}, \"tenants\": "
     "{\"t\": {}}}",
     {{.metric = "b", .value = 1, CUMULATIVE},
      {.metric = "a", .value = 2, CUMULATIVE},
      {.metric = "c", .value = 3, CUMULATIVE}},
     "standard gs-1 b_total{shard_id=s1} counter 1 @0\n"
     "standard gs-1 c_total{shard_id=s1} counter 3 @0\n"
     "critical gs-1 a_total{shard_id=s1} counter 2 @0\n"},
    {"delta is kept where rollups may have it",
     "{\"kinds\": {\"delta\": \"rollup\"}, \"tenants\": {\"t\": {}}}",
     {{.metric = "a",
       .value = 4,
       .temporality = MSG_DELTA,
       .time_ms = NOW_MS,
       .start_ms = NOW_MS - 1000}},
     "standard gs-1 a_total{shard_id=s1} counter delta 4 @0 +-1000\n"},
    {"a sum that goes up and down is a gauge, without _ratio",
     ALL_KINDS,
     {{.metric = "a", .unit = "1", .kind = MSG_UPDOWN, .value = 4, CUMULATIVE}},
     "standard gs-1 a{shard_id=s1} gauge 4 @0\n"},
    {"histograms",
     ALL_KINDS,
     {{.metric = "e",
       .unit = "s",
       .kind = MSG_EXP,
       .scale = 2,
       .count = 9,
       .value = 1.5,
       CUMULATIVE},
      {.metric = "c",
       .unit = "s",
       .kind = MSG_CLASSIC,
       .bound = 5,
       .count = 8,
       .value = 2.5,
       CUMULATIVE},
      {.metric = "d", .value = 1, CUMULATIVE}},
     "standard gs-1 c_seconds{shard_id=s1} classic_histogram 8/2.5 @0\n"
     "standard gs-1 d_total{shard_id=s1} counter 1 @0\n"
     "standard gs-1 e_seconds{shard_id=s1} exponential_histogram 9/1.5 @0\n"},
    {"no recorded value is a stale marker",
     ALL_KINDS,
     {{.metric = "a", .stale = true, .no_value_field = true, CUMULATIVE},
      {.metric = "e", .kind = MSG_EXP, .stale = true, CUMULATIVE},
      {.metric = "h", .kind = MSG_CLASSIC, .stale = true, .bound = 1, CUMULATIVE}},
     "standard gs-1 a_total{shard_id=s1} counter stale @0\n"
     "standard gs-1 e{shard_id=s1} exponential_histogram 0/stale @0\n"
     "standard gs-1 h{shard_id=s1} classic_histogram 0/stale @0\n"},
    {"NaN, infinity and minus zero pass",
     NULL,
     {{.metric = "a", .value = __builtin_nan(""), CUMULATIVE},
      {.metric = "b", .value = -__builtin_inf(), CUMULATIVE},
      {.metric = "c", .value = -0.0, CUMULATIVE}},
     "standard gs-1 a_total{shard_id=s1} counter nan @0\n"
     "standard gs-1 b_total{shard_id=s1} counter -inf @0\n"
     "standard gs-1 c_total{shard_id=s1} counter -0 @0\n"},
    {"a summary in mode open becomes its series",
     OPEN,
     {{.metric = "s", .unit = "s", .kind = MSG_SUMMARY, .count = 3, .value = 8, CUMULATIVE}},
     "standard gs-1 s_seconds{quantile=0.5,shard_id=s1} gauge 4 @0\n"
     "standard gs-1 s_seconds_count{shard_id=s1} counter 3 @0\n"
     "standard gs-1 s_seconds_sum{shard_id=s1} counter 8 @0\n"},
    {"the bad points go, the good ones stay",
     NULL,
     {{.metric = "ok", .value = 1, CUMULATIVE},
      {.metric = "leaky", .labels = "player_id=4711", .value = 1, CUMULATIVE},
      {.metric = "leaky", .labels = "player_id=4712", .value = 1, CUMULATIVE},
      {.metric = "temp", .kind = MSG_GAUGE, .value = 1, CUMULATIVE},
      {.metric = "ok", .value = 1, .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS - 3600001}},
     "standard gs-1 ok_total{shard_id=s1} counter 1 @0\n"
     "! label_forbidden leaky [player_id] 2/2\n"
     "! kind_not_allowed temp [] 1/1\n"
     "! too_old ok [] 1/1\n"},
    {"stripped labels may not merge series",
     STRIP,
     {{.metric = "a", .labels = "colour=red", .value = 1, CUMULATIVE},
      {.metric = "a",
       .labels = "colour=blue",
       .value = 2,
       .temporality = MSG_CUMULATIVE,
       .time_ms = NOW_MS - 1},
      {.metric = "b", .labels = "colour=blue", .value = 3, CUMULATIVE}},
     "standard gs-1 a_total{shard_id=s1} counter 1 @0\n"
     "standard gs-1 b_total{shard_id=s1} counter 3 @0\n"
     "! series_collision a_total [] 1/1\n"},
    {"two units of one name after translation",
     NULL,
     {{.metric = "a.seconds", .value = 1, CUMULATIVE},
      {.metric = "a", .unit = "s", .value = 2, CUMULATIVE}},
     "standard gs-1 a_seconds_total{shard_id=s1} counter 1 @0\n"
     "! series_collision a_seconds_total [] 1/1\n"},
    {"twice the same, and twice but not the same",
     NULL,
     {{.metric = "a", .value = 1, CUMULATIVE},
      {.metric = "b", .value = 1, CUMULATIVE},
      {.metric = "a", .value = 1, CUMULATIVE},
      {.metric = "b", .value = 2, CUMULATIVE}},
     "standard gs-1 a_total{shard_id=s1} counter 1 @0\n"
     "standard gs-1 b_total{shard_id=s1} counter 1 @0\n"
     "! duplicate_point b_total [] 1/1\n"},
    {"the limit of series",
     "{\"limits\": {\"series_per_message\": 1}, \"tenants\": {\"t\": {}}}",
     {{.metric = "a", .value = 1, CUMULATIVE},
      {.metric = "a", .value = 2, .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS - 9}},
     "standard gs-1 a_total{shard_id=s1} counter 2 @-9\n"
     "standard gs-1 a_total{shard_id=s1} counter 1 @0\n"},
};

static size_t n_points(const struct message_point *points)
{
    size_t n = 0;
    while (n < 6 && points[n].metric != NULL) {
        n++;
    }
    return n;
}

START_TEST(steps)
{
    const struct step_row *row = &step_rows[_i];
    struct rig r;
    rig_open(&r, &(struct rig_options){.policy = row->policy});
    for (int round = 0; round < 3; round++) { /* cold, warm, warm */
        rig_send_points(&r, RES, row->points, n_points(row->points));
        const char *got = rig_text(&r, false);
        ck_assert_msg(strcmp(got, row->want) == 0, "%s, round %d: got\n%swant\n%s", row->what,
                      round, got, row->want);
        rig_commit(&r);
    }
    rig_check_accounts(&r);
    ck_assert(rig_count(&r, M_SAMPLES_IN, "t", "") >= 3 * (double)n_points(row->points));
    rig_close(&r);
}
END_TEST

START_TEST(sources_of_one_message_part)
{
    struct rig r;
    struct buf b;
    const struct message_point p = {.metric = "a", .value = 1, CUMULATIVE};
    rig_open(&r, &(struct rig_options){0});
    buf_init(&b, 1 << 20);
    message_resource(&b, "service.instance.id=x,shard_id=1", &p, 1);
    message_resource(&b, "service.instance.id=y,shard_id=2", &p, 1);
    rig_send(&r, buf_slice(&b));
    ck_assert_str_eq(rig_text(&r, false), "standard x a_total{shard_id=1} counter 1 @0\n"
                                          "standard y a_total{shard_id=2} counter 1 @0\n");
    struct batch second;
    struct arena a;
    struct err e = ERR_INIT;
    arena_init(&a, 1 << 20);
    ck_assert(batch_decode(r.out.records[1].value, &batch_default_caps, &a, &second, &e));
    ck_assert_int_eq(second.origin.index, 1);
    ck_assert_int_eq(second.received_ms, NOW_MS);
    ck_assert(slice_eq_str(second.tenant, "t") &&
              slice_eq_str(second.origin.topic, "metrics.ingest.t"));
    arena_fini(&a);
    buf_fini(&b);
    rig_close(&r);
}
END_TEST

START_TEST(tenant_avro)
{
    struct rig r;
    struct buf b;
    const struct message_point points[] = {
        {.metric = "logins_total", .labels = "queue=q", .value = 1, CUMULATIVE},
        {.metric = "logins_total", .labels = "queue=r,region=own", .value = 2, CUMULATIVE},
        {.metric = "online", .kind = MSG_GAUGE, .value = 3, CUMULATIVE},
        {.metric = "bad.name", .value = 3, CUMULATIVE},
        {.metric = "old_total", .value = 3, .time_ms = 5},
    };
    rig_open(
        &r,
        &(struct rig_options){
            .policy = "{\"kinds\": {\"gauge_metrics\": [\"online\"]}, \"tenants\": {\"t\": {}}}"});
    buf_init(&b, 1 << 20);
    message_avro(&b, "gs-9", "shard_id=s,region=eu", points, 5);
    for (int round = 0; round < 2; round++) {
        rig_send(&r, buf_slice(&b));
        ck_assert_str_eq(rig_text(&r, false),
                         "standard gs-9 logins_total{queue=q,region=eu,shard_id=s} counter 1 @0\n"
                         "standard gs-9 logins_total{queue=r,region=own,shard_id=s} counter 2 @0\n"
                         "standard gs-9 online{region=eu,shard_id=s} gauge 3 @0\n"
                         "! name_invalid bad.name [] 1/1\n"
                         "! too_old old_total [] 1/1\n");
        rig_commit(&r);
    }
    rig_check_accounts(&r);
    ck_assert(rig_count(&r, M_SAMPLES_IN, "t", "") == 10);
    buf_fini(&b);
    rig_close(&r);
}
END_TEST

START_TEST(every_cut_of_a_message_is_refused_whole_or_taken)
{
    struct rig r;
    struct buf b;
    const struct message_point points[] = {
        {.metric = "a", .value = 1, CUMULATIVE},
        {.metric = "e", .kind = MSG_EXP, .count = 2, .value = 1, CUMULATIVE}};
    rig_open(&r, &(struct rig_options){0});
    for (int format = 0; format < 2; format++) {
        buf_init(&b, 1 << 20);
        if (format == 0) {
            message_resource(&b, RES, points, 2);
        } else {
            message_avro(&b, "s", "shard_id=s", points, 2);
        }
        for (size_t cut = 1; cut < b.len; cut++) {
            /* A copy of its own, so that a read behind it shows. */
            uint8_t *copy = malloc(cut);
            memcpy(copy, b.ptr, cut);
            rig_send(&r, slice_of(copy, cut));
            ck_assert_msg(strncmp(rig_text(&r, false), "! malformed  [] 0/0\n", 20) == 0,
                          "cut %zu: %s", cut, rig_text(&r, true));
            ck_assert_uint_eq(r.out.n, 1);
            rig_commit(&r);
            free(copy);
        }
        buf_fini(&b);
    }
    ck_assert(rig_count(&r, M_SAMPLES_IN, "t", "") == 0);
    rig_close(&r);
}
END_TEST

START_TEST(time_is_the_log_s)
{
    struct rig r;
    const struct message_point p = {
        .metric = "a", .value = 1, .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS - 7200000};
    rig_open(&r, &(struct rig_options){0});
    r.received_ms = NOW_MS - 7200000; /* two hours of lag: fresh all the same */
    rig_send_points(&r, RES, &p, 1);
    ck_assert_str_eq(rig_text(&r, false),
                     "standard gs-1 a_total{shard_id=s1} counter 1 @-7200000\n");
    rig_commit(&r);
    ck_assert(rig_count(&r, M_CLAMPED, "", "") == 0);
    r.received_ms = NOW_MS + 86400000; /* leaps ahead: clamped to a minute */
    const struct message_point ahead = {
        .metric = "a", .value = 1, .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS + 660000};
    const struct message_point further = {
        .metric = "a", .value = 1, .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS + 660001};
    rig_send_points(&r, RES, &ahead, 1);
    rig_send_points(&r, RES, &further, 1);
    ck_assert_str_eq(
        rig_text(&r, false),
        "standard gs-1 a_total{shard_id=s1} counter 1 @660000\n! too_far_ahead a [] 1/1\n");
    rig_commit(&r);
    ck_assert(rig_count(&r, M_CLAMPED, "", "") == 2);
    rig_close(&r);
}
END_TEST

static void set_header(struct rig *r, const char *name, const char *value)
{
    r->headers[r->n_headers++] = (struct record_header){slice_str(name), slice_str(value)};
}

START_TEST(the_gateway_s_batches_get_origin_and_time)
{
    struct rig tenant;
    struct rig shared;
    struct arena a;
    struct err e = ERR_INIT;
    struct batch b;
    const struct message_point p = {.metric = "a", .value = 6, CUMULATIVE};
    arena_init(&a, 1 << 20);
    rig_open(&tenant, &(struct rig_options){0});
    rig_open(&shared, &(struct rig_options){.topic = "metrics.ingest",
                                            .policy = "{\"tenants\": {\"t\": {}, \"u\": {}}}"});
    rig_send_points(&tenant, RES, &p, 1);
    ck_assert(batch_decode(tenant.out.records[0].value, &batch_default_caps, &a, &b, &e));
    b.received_ms = 0;
    b.origin = (struct origin){0};
    struct buf gateway;
    buf_init(&gateway, 1 << 20);
    batch_encode(&b, &gateway);
    set_header(&shared, "sluice-tenant", "t");
    rig_send(&shared, buf_slice(&gateway));
    ck_assert_str_eq(rig_text(&shared, false), "standard gs-1 a_total{shard_id=s1} counter 6 @0\n");
    rig_commit(&shared);
    ck_assert(rig_count(&shared, M_SAMPLES_OUT, "t", "") == 1);
    shared.headers[0].value = SLICE_LITERAL("u");
    rig_send(&shared, buf_slice(&gateway));
    rig_send(&tenant, buf_slice(&gateway));
    ck_assert(strstr(rig_text(&shared, false), "! forged_batch") != NULL);
    ck_assert(strstr(rig_text(&tenant, false), "! forged_batch") != NULL);
    buf_fini(&gateway);
    arena_fini(&a);
    rig_close(&tenant);
    rig_close(&shared);
}
END_TEST

START_TEST(a_policy_change_is_in_force_at_once)
{
    struct rig r;
    struct err e = ERR_INIT;
    const struct message_point p = {.metric = "g", .kind = MSG_GAUGE, .value = 1, CUMULATIVE};
    rig_open(&r, &(struct rig_options){0});
    rig_send_points(&r, RES, &p, 1);
    ck_assert_int_eq(validate_reload(r.validate, &e), POLICY_SAME);
    rig_policy(&r, ALL_KINDS);
    ck_assert_int_eq(validate_reload(r.validate, &e), POLICY_NEW);
    rig_send_points(&r, RES, &p, 1);
    rig_policy(&r, "{\"tenant\": 1}");
    ck_assert_int_eq(validate_reload(r.validate, &e), POLICY_REFUSED);
    rig_send_points(&r, RES, &p, 1);
    ck_assert_str_eq(rig_text(&r, false), "! kind_not_allowed g [] 1/1\n"
                                          "standard gs-1 g{shard_id=s1} gauge 1 @0\n"
                                          "standard gs-1 g{shard_id=s1} gauge 1 @0\n");
    rig_commit(&r);
    ck_assert(rig_count(&r, M_POLICY_ERRORS, "", "") == 1);
    ck_assert(rig_count(&r, M_POLICY_VERSION, validate_policy_version(r.validate), "") == 1);
    rig_close(&r);
}
END_TEST

START_TEST(a_source_that_changes_its_partition_is_counted)
{
    struct rig r;
    const struct message_point p = {.metric = "a", .value = 1, CUMULATIVE};
    rig_open(&r, &(struct rig_options){0});
    for (int i = 0; i < 6; i++) {
        r.partition.number = i < 3 ? 1 : 2;
        rig_send_points(&r, RES, &p, 1);
    }
    rig_commit(&r);
    ck_assert(rig_count(&r, M_SOURCE_SWITCHES, "t", "") == 1);
    r.partition.number = 3;
    rig_close(&r);
}
END_TEST

START_TEST(two_tenants_share_nothing)
{
    struct rig r;
    const struct message_point p = {.metric = "a", .labels = "colour=red", .value = 1, CUMULATIVE};
    rig_open(
        &r,
        &(struct rig_options){
            .topic = "metrics.ingest",
            .policy = "{\"tenants\": {\"t\": {\"labels\": {\"unknown\": \"strip\"}}, \"u\": {}}}"});
    set_header(&r, "sluice-tenant", "t");
    rig_send_points(&r, RES, &p, 1);
    r.headers[0].value = SLICE_LITERAL("u");
    rig_send_points(&r, RES, &p, 1);
    ck_assert_str_eq(
        rig_text(&r, false),
        "standard gs-1 a_total{shard_id=s1} counter 1 @0\n! label_not_allowed a [colour] 1/1\n");
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("validate");
    TCase *t = tcase_create("validate");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, steps, 0, sizeof step_rows / sizeof step_rows[0]);
    tcase_add_test(t, sources_of_one_message_part);
    tcase_add_test(t, tenant_avro);
    tcase_add_test(t, every_cut_of_a_message_is_refused_whole_or_taken);
    tcase_add_test(t, time_is_the_log_s);
    tcase_add_test(t, the_gateway_s_batches_get_origin_and_time);
    tcase_add_test(t, a_policy_change_is_in_force_at_once);
    tcase_add_test(t, a_source_that_changes_its_partition_is_counted);
    tcase_add_test(t, two_tenants_share_nothing);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
