/* Each reason of the table is reached through the step, under its own name, and counted. */
#include "policy/reason.h"

#include <stdio.h>

#include "batch_avsc.h"
#include "rig.h"
#include "runner.h"

#define T .time_ms = NOW_MS
#define C .temporality = MSG_CUMULATIVE, T

struct reason_row {
    enum reason reason;
    const char *policy;
    const char *attributes; /* NULL = RES */
    struct message_point points[3];
    const char *topic;
    const char *header[2];
    const char *raw; /* the record's value, instead of points */
};

static char long_label[1200];

static const struct reason_row rows[] = {
    {REASON_EMPTY, .raw = ""},
    {REASON_MALFORMED, .raw = "\xff\xff garbage"},
    {REASON_MISSING_TENANT, .topic = "metrics.ingest", .points = {{.metric = "a", C}}},
    {REASON_UNKNOWN_TENANT, .topic = "metrics.ingest.nobody", .points = {{.metric = "a", C}}},
    {REASON_FORGED_BATCH, .raw = BATCH_HEAD "whatever"},
    {REASON_UNSUPPORTED_TYPE, .header = {"content-type", "application/json"},
     .points = {{.metric = "a", C}}},
    {REASON_UNSUPPORTED_TYPE, .header = {"content-encoding", "gzip"},
     .points = {{.metric = "a", C}}},
    {REASON_NAME_INVALID, .points = {{.metric = "", C}}},
    {REASON_NAME_NOT_ALLOWED,
     .policy = "{\"names\": {\"allow\": [\"b*\"]}, \"tenants\": {\"t\": {}}}",
     .points = {{.metric = "a", C}}},
    {REASON_UNIT_INVALID, .points = {{.metric = "a", .unit = "\xff", C}}},
    {REASON_KIND_NOT_ALLOWED, .points = {{.metric = "a", .kind = MSG_GAUGE, C}}},
    {REASON_KIND_NOT_ALLOWED, .points = {{.metric = "a", .kind = MSG_SUMMARY, C}}},
    {REASON_KIND_NOT_ALLOWED, .points = {{.metric = "a", .kind = MSG_CLASSIC, .bound = 1, C}}},
    {REASON_TEMPORALITY_MISSING, .points = {{.metric = "a", T}}},
    {REASON_TEMPORALITY_MISSING, .points = {{.metric = "a", .kind = MSG_EXP, T}}},
    {REASON_DELTA_NOT_MONOTONIC,
     .points = {{.metric = "a", .kind = MSG_UPDOWN, .temporality = MSG_DELTA, T}}},
    {REASON_DELTA_NOT_ALLOWED, .points = {{.metric = "a", .temporality = MSG_DELTA, T}}},
    {REASON_DELTA_NOT_ALLOWED,
     .points = {{.metric = "a", .kind = MSG_EXP, .temporality = MSG_DELTA, T}}},
    {REASON_NAME_OUT_OF_SCOPE,
     .policy = "{\"tenants\": {\"t\": {\"metric_prefixes\": [\"b\"]}}}",
     .points = {{.metric = "a", C}}},
    {REASON_METRIC_NOT_LISTED,
     .policy = "{\"dictionary\": \"only\", \"tenants\": {\"t\": {}}}",
     .points = {{.metric = "a", C}}},
    {REASON_METRIC_CONTRADICTS,
     .policy = "{\"metrics\": {\"a_total\": {\"kind\": \"gauge\"}}, \"tenants\": {\"t\": {}}}",
     .points = {{.metric = "a", C}}},
    {REASON_LABEL_VALUE_NOT_ALLOWED,
     .policy = "{\"labels\": {\"values\": {\"region\": {\"patterns\": [\"eu\"]}}}, \"tenants\": "
               "{\"t\": {}}}",
     .points = {{.metric = "a", .labels = "region=us", C}}},
    {REASON_PERSONAL_DATA, .points = {{.metric = "a", .labels = "region=203.0.113.7", C}}},
    {REASON_LABEL_NAME_INVALID, .points = {{.metric = "a", .labels = "=x", C}}},
    {REASON_LABEL_VALUE_INVALID, .points = {{.metric = "a", .labels = "region=\xff", C}}},
    {REASON_LABEL_VALUE_TOO_LONG, .points = {{.metric = "a", .labels = long_label, C}}},
    {REASON_LABEL_NOT_ALLOWED, .points = {{.metric = "a", .labels = "colour=red", C}}},
    {REASON_LABEL_FORBIDDEN, .points = {{.metric = "a", .labels = "player_id=1", C}}},
    {REASON_LABEL_RESERVED, .points = {{.metric = "a", .labels = "__name__=1", C}}},
    {REASON_LABEL_TWICE, .points = {{.metric = "a", .labels = "region=1,region=2", C}}},
    {REASON_TOO_MANY_LABELS,
     .policy = "{\"limits\": {\"labels_per_series\": 1}, \"tenants\": {\"t\": {}}}",
     .points = {{.metric = "a", .labels = "region=1", C}}},
    {REASON_IDENTITY_MISSING, .attributes = "service.instance.id=x",
     .points = {{.metric = "a", C}}},
    {REASON_SOURCE_MISSING,
     .policy = "{\"labels\": {\"identity\": \"\"}, \"tenants\": {\"t\": {}}}", .attributes = "",
     .points = {{.metric = "a", C}}},
    {REASON_SOURCE_INVALID, .attributes = "service.instance.id=\xff,shard_id=1",
     .points = {{.metric = "a", C}}},
    {REASON_TIME_MISSING, .points = {{.metric = "a", .temporality = MSG_CUMULATIVE}}},
    {REASON_TOO_OLD,
     .points = {{.metric = "a", .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS - 3600001}}},
    {REASON_TOO_FAR_AHEAD,
     .points = {{.metric = "a", .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS + 600001}}},
    {REASON_START_AFTER_TIME, .points = {{.metric = "a", .start_ms = NOW_MS + 1, C}}},
    {REASON_POINT_INVALID, .points = {{.metric = "a", .no_value_field = true, C}}},
    {REASON_HISTOGRAM_INVALID,
     .points = {{.metric = "a", .kind = MSG_EXP, .value = __builtin_nan(""), C}}},
    {REASON_HISTOGRAM_INVALID,
     .points = {{.metric = "a", .kind = MSG_EXP, .scale = -100, .count = 1, C}}},
    {REASON_HISTOGRAM_INVALID,
     .points = {{.metric = "a", .kind = MSG_CLASSIC, .bound = 1, .bad_counts = true, C}}},
    {REASON_DUPLICATE_SAME, .points = {{.metric = "a", C}, {.metric = "a", C}}},
    {REASON_DUPLICATE_POINT,
     .points = {{.metric = "a", .value = 1, C}, {.metric = "a", .value = 2, C}}},
    {REASON_SERIES_COLLISION,
     .policy = "{\"kinds\": {\"delta\": \"rollup\"}, \"tenants\": {\"t\": {}}}",
     .points = {{.metric = "a", C}, {.metric = "a", .temporality = MSG_DELTA, T}}},
    {REASON_TOO_MANY_SERIES,
     .policy = "{\"limits\": {\"series_per_message\": 1}, \"tenants\": {\"t\": {}}}",
     .points = {{.metric = "a", C}, {.metric = "b", C}}},
};

/* Reached elsewhere: by letters_test's give_up, below, the limiter's by tests/unit/limit. */
static const enum reason elsewhere[] = {REASON_NONE,
                                        REASON_OUTPUT_REFUSED,
                                        REASON_TOO_LARGE,
                                        REASON_DUPLICATE_BATCH,
                                        REASON_OVER_SOURCE_BUDGET,
                                        REASON_OVER_METRIC_BUDGET,
                                        REASON_OVER_TENANT_BUDGET,
                                        REASON_LIMITER_FULL,
                                        REASON_KILLED,
                                        /* the gateway's, by tests/flow/test_gateway*.py */
                                        REASON_NO_SUCH_ROUTE,
                                        REASON_UNAUTHENTICATED,
                                        REASON_OTHER_TENANT,
                                        REASON_TOO_SLOW,
                                        REASON_OVER_QUOTA,
                                        REASON_OVERLOADED, REASON_SHED,
                                        REASON_UNAVAILABLE};

START_TEST(each_reason)
{
    const struct reason_row *row = &rows[_i];
    const char *name = reason_name(row->reason);
    bool of_record = reason_info(row->reason)->unit == REASON_OF_RECORD;
    const char *tenant = row->topic == NULL ? "t" : "unknown";
    struct rig r;
    memset(long_label, 'v', sizeof long_label - 1);
    memcpy(long_label, "region=", 7);
    rig_open(&r, &(struct rig_options){.policy = row->policy, .topic = row->topic});
    if (row->header[0] != NULL) {
        r.headers[r.n_headers++] =
            (struct record_header){slice_str(row->header[0]), slice_str(row->header[1])};
    }
    for (int round = 0; round < 2; round++) { /* cold and warm */
        if (row->raw != NULL) {
            rig_send(&r, slice_str(row->raw));
        } else {
            size_t n = row->points[1].metric == NULL ? 1 : 2;
            rig_send_points(&r, row->attributes == NULL ? RES : row->attributes, row->points, n);
        }
    }
    char want[64];
    (void)snprintf(want, sizeof want, "! %s ", name);
    const char *text = rig_text(&r, true);
    ck_assert_msg((strstr(text, want) != NULL) == reason_info(row->reason)->redrivable,
                  "%s: got %s", name, text);
    ck_assert_msg(!reason_info(row->reason)->redrivable || strstr(text, ". ") != NULL ||
                      strstr(text, "sum") != NULL || strstr(text, "histogram") != NULL ||
                      strstr(text, "value") != NULL || strstr(text, "bounds") != NULL,
                  "%s does not say what to change: %s", name, text);
    rig_commit(&r);
    enum metric_id id = of_record ? M_RECORDS_REJECTED : M_SAMPLES_REJECTED;
    double n = rig_count(&r, id, tenant, name);
    ck_assert_msg(n == 2, "%s: counted %g times", name, n);
    rig_check_accounts(&r);
    rig_close(&r);
}
END_TEST

START_TEST(the_table_above_is_complete)
{
    for (int reason = 0; reason < N_REASONS; reason++) {
        bool found = false;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            found = found || (int)rows[i].reason == reason;
        }
        for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
            found = found || (int)elsewhere[i] == reason;
        }
        ck_assert_msg(found, "%s is reached by no test", reason_name((enum reason)reason));
    }
}
END_TEST

/* Buckets of one byte in OTLP whose differences take two. */
START_TEST(what_is_too_large_is_refused_whole)
{
    enum { N = 7000, LABEL_BYTES = 32 };
    struct rig r;
    struct message_point *points = calloc(N, sizeof *points);
    char(*labels)[LABEL_BYTES] = calloc(N, LABEL_BYTES);
    rig_open(&r, &(struct rig_options){0});
    for (int i = 0; i < N; i++) {
        (void)snprintf(labels[i], LABEL_BYTES, "queue=%d", i);
        points[i] = (struct message_point){
            .metric = "a", .kind = MSG_EXP, .scale = 3, .n_more = 1000, .labels = labels[i], C};
    }
    rig_send_points(&r, RES, points, N);
    const char *text = rig_text(&r, true);
    ck_assert_msg(strncmp(text, "! too_large  [] 0/0 ", 20) == 0 && r.out.n == 1, "%.200s", text);
    rig_commit(&r);
    ck_assert(rig_count(&r, M_SAMPLES_IN, "t", "") == 0 &&
              rig_count(&r, M_RECORDS_REJECTED, "t", "too_large") == 1);
    free(points);
    free(labels);
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
    tcase_add_test(t, what_is_too_large_is_refused_whole);
    suite_add_tcase(s, t);
    return run_suite(s);
}
