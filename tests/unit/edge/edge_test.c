/* edge_judge through its header: the batches are those that validate makes of the same message, to the
 * byte; what is refused is told to a person; nothing is left of a message that can't be read. */
#include <stdio.h>

#include "batch/batch.h"
#include "door.h"
#include "runner.h"
#include "unit/wire/remote_write_message.h"

#define NOW .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS
#define OPEN "{\"tenants\": {\"t\": {\"mode\": \"open\"}}}"
#define ALL_KINDS                                                                                  \
    "{\"classes\": {\"rules\": [{\"metrics\": [\"vital*\"], \"class\": \"critical\"}]}, \"tenants\": {\"t\": "  \
    "{\"kinds\": {\"allow\": [\"counter\", \"gauge\", \"exponential_histogram\", "                   \
    "\"classic_histogram\"]}}}}"

enum { MAX_BYTES = 1 << 26, MAX_POINTS = 8 };

static void rig_open_shared(struct rig *r, const char *policy)
{
    rig_open(r, &(struct rig_options){.topic = "metrics.ingest", .policy = policy});
    r->headers[r->n_headers++] = (struct record_header){slice_str("sluice-tenant"), slice_str("t")};
}

/* The batches of the record at offset 0, the index of each as if it were a record's only one. */
static size_t batches_of(struct rig *r, struct buf *out, size_t *ends)
{
    struct arena a;
    size_t n = 0;
    arena_init(&a, MAX_BYTES);
    for (size_t i = 0; i < r->out.n; i++) {
        struct err e = ERR_INIT;
        struct batch b;
        if (r->out.records[i].output != OUTPUT_VALID) {
            continue;
        }
        ck_assert(batch_decode(r->out.records[i].value, &batch_default_caps, &a, &b, &e));
        b.origin.index = 0;
        int64_t *times[2];
        uint32_t n_points = b.times.n_deltas > b.starts.n_deltas ? b.times.n_deltas : b.starts.n_deltas;
        struct batch_times *columns[2] = {&b.times, &b.starts};
        for (int k = 0; k < 2; k++) {
            times[k] = ARENA_ARRAY(&a, int64_t, n_points);
            ck_assert(batch_times_decode(columns[k], columns[k]->n_deltas, times[k], &e));
            for (uint32_t p = 0; p < columns[k]->n_deltas; p++) {
                times[k][p] -= columns[k]->base_ms;
            }
            columns[k]->deltas = times[k];
        }
        batch_encode(&b, out);
        ends[n++] = out->len;
    }
    arena_fini(&a);
    return n;
}

struct same_row {
    const char *what;
    const char *policy;
    struct message_point points[MAX_POINTS];
};

static const struct same_row same_rows[] = {
    {"one batch", NULL, {{.metric = "b.x", .labels = "region=eu", .value = 1, .start_ms = NOW_MS - 5, NOW}, {.metric = "a.x", .value = 2, NOW}}},
    {"times of their own", NULL, {{.metric = "b", .value = 1, .start_ms = NOW_MS - 5, NOW}, {.metric = "a", .value = 2, .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS - 70, .start_ms = 9}}},
    {"all kinds, two classes",
     ALL_KINDS,
     {{.metric = "vital", .value = 1, NOW},
      {.metric = "g", .kind = MSG_GAUGE, .value = 4, NOW},
      {.metric = "u", .kind = MSG_UPDOWN, .value = 4, NOW},
      {.metric = "e", .kind = MSG_EXP, .value = 7, .count = 3, NOW},
      {.metric = "vital_exp", .kind = MSG_EXP, .value = 8, .count = 300, .n_more = 40, NOW},
      {.metric = "c", .kind = MSG_CLASSIC, .value = 8, .count = 5, .bound = 2, NOW},
      {.metric = "s", .kind = MSG_EXP, .stale = true, NOW}}},
    {"summaries, deltas, stale markers",
     OPEN,
     {{.metric = "s", .kind = MSG_SUMMARY, .value = 4, .count = 2, NOW},
      {.metric = "d", .value = 4, .temporality = MSG_DELTA, .time_ms = NOW_MS, .start_ms = NOW_MS - 9},
      {.metric = "z", .stale = true, NOW}}},
    {"a series several times, some refused",
     NULL,
     {{.metric = "a", .value = 3, NOW},
      {.metric = "a", .value = 3, NOW},
      {.metric = "a", .value = 4, NOW},
      {.metric = "a", .value = 1, .temporality = MSG_CUMULATIVE, .time_ms = NOW_MS - 20},
      {.metric = "b", .labels = "player_id=7", .value = 3, NOW},
      {.metric = "c", .value = 3, NOW}}},
};

static size_t n_points(const struct message_point *points)
{
    size_t n = 0;
    while (n < MAX_POINTS && points[n].metric != NULL) {
        n++;
    }
    return n;
}

START_TEST(batches_are_the_very_ones_of_validate)
{
    const struct same_row *row = &same_rows[_i];
    struct rig direct;
    struct rig behind;
    struct door d;
    struct buf bytes[2];
    size_t ends[2][MAX_POINTS * 2];
    rig_open_shared(&direct, row->policy);
    rig_open_shared(&behind, row->policy);
    door_open(&d, row->policy, 0);
    for (int again = 0; again < 3; again++) { /* learned, then known */
        rig_commit(&direct);
        rig_commit(&behind);
        direct.offset = 0;
        rig_send_points(&direct, RES, row->points, n_points(row->points));
        door_judge_points(&d, RES, row->points, n_points(row->points));
        for (uint32_t i = 0; i < d.answer.n_batches; i++) {
            behind.offset = 0;
            rig_send(&behind, d.answer.batches[i].value);
        }
        buf_init(&bytes[0], MAX_BYTES);
        buf_init(&bytes[1], MAX_BYTES);
        size_t n = batches_of(&direct, &bytes[0], ends[0]);
        ck_assert_uint_gt(n, 0);
        ck_assert_uint_eq(behind.out.n, n); /* no letter */
        ck_assert_uint_eq(batches_of(&behind, &bytes[1], ends[1]), n);
        ck_assert_msg(slice_eq(buf_slice(&bytes[0]), buf_slice(&bytes[1])), "%s", row->what);
        ck_assert(n > 1 || slice_eq(direct.out.records[0].value, behind.out.records[0].value));
        buf_fini(&bytes[0]);
        buf_fini(&bytes[1]);
    }
    door_close(&d);
    rig_close(&direct);
    rig_close(&behind);
}
END_TEST

START_TEST(a_person_is_told_of_all_labels_at_once)
{
    struct message_point points[] = {
        {.metric = "hits", .labels = "player_id=secret-1,raw_ip=secret-2", .value = 1, NOW},
        {.metric = "hits", .labels = "player_id=secret-3,email=secret-4,raw_ip=secret-5", .value = 1, NOW}};
    char many[2048] = "player_id=1";
    struct door d;
    door_open(&d, NULL, 0);
    door_judge_points(&d, RES, points, 2);
    ck_assert_msg(strstr(d.answer.text, "metric \"hits\", label \"player_id\" (and \"raw_ip\", \"email\"): label_forbidden") !=
                      NULL, "%s", d.answer.text);
    ck_assert_ptr_null(strstr(d.answer.text, "secret"));
    points[0].labels = "player_id=secret-1,queue=secret@example.com,raw_ip=secret-2";
    door_judge_points(&d, RES, points, 1);
    ck_assert_msg(strstr(d.answer.text, "label \"player_id\" (and \"queue\" (personal_data), \"raw_ip\"): label_forbidden") !=
                      NULL, "%s", d.answer.text);
    ck_assert_ptr_null(strstr(d.answer.text, "secret"));
    for (int i = 0; i < 7; i++) { /* the help still fits */
        size_t n = strlen(many);
        (void)snprintf(many + n, sizeof many - n, ",%c%0120d=1", 'a' + i, 0);
    }
    points[0].labels = many;
    door_judge_points(&d, RES, points, 1);
    ck_assert_ptr_nonnull(strstr(d.answer.text, ", …): label_forbidden"));
    ck_assert_ptr_nonnull(strstr(d.answer.text, reason_info(REASON_LABEL_FORBIDDEN)->help));
    door_close(&d);
}
END_TEST

START_TEST(a_person_is_told_what_to_change)
{
    const struct message_point points[] = {{.metric = "fine", .value = 1, NOW},
                                           {.metric = "fine", .value = 1, NOW},
                                           {.metric = "hits", .labels = "region=eu,player_id=secret-4711", .value = 1, NOW},
                                           {.metric = "hits", .labels = "player_id=secret-4712", .value = 1, NOW},
                                           {.metric = "old", .value = 1, .temporality = MSG_CUMULATIVE, .time_ms = 1000}};
    struct door d;
    door_open(&d, NULL, 0);
    door_judge_points(&d, RES, points, 5);
    ck_assert_uint_eq(d.answer.n_in, 5);
    ck_assert_uint_eq(d.answer.n_accepted, 1);
    ck_assert_uint_eq(d.answer.n_same, 1);
    ck_assert_uint_eq(d.answer.n_rejected, 3);
    ck_assert_uint_eq(d.answer.n_by_reason[REASON_TOO_OLD], 1);
    ck_assert_int_ne(d.answer.first_reason, REASON_NONE);
    ck_assert_uint_eq(d.answer.n_by_reason[d.answer.first_reason], 2);
    const char *const words[] = {"resource 0: metric 2: point 0: metric \"hits\", label \"player_id\": ",
                                 reason_info(d.answer.first_reason)->help, reason_name(d.answer.first_reason),
                                 "Refused in all: 3 of 5 samples (", "1 too_old"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        ck_assert_msg(strstr(d.answer.text, words[i]) != NULL, "%s: %s", words[i], d.answer.text);
    }
    ck_assert_ptr_null(strstr(d.answer.text, "secret"));
    door_close(&d);
}
END_TEST

START_TEST(same_samples_alone_are_no_error)
{
    const struct message_point points[] = {{.metric = "a", .value = 1, NOW}, {.metric = "a", .value = 1, NOW}};
    struct door d;
    door_open(&d, NULL, 0);
    door_judge_points(&d, RES, points, 2);
    ck_assert_uint_eq(d.answer.n_rejected, 0);
    ck_assert_uint_eq(d.answer.n_same, 1);
    door_close(&d);
}
END_TEST

static const struct remote_write_test_series series[] = {
    {.labels = "__name__=a_total,shard_id=s1", .points = {{.time_ms = NOW_MS, .value = 1}}, .n_points = 1},
    {.labels = "__name__=h,shard_id=s1", .points = {{.time_ms = NOW_MS, .value = 4, .is_histogram = true, .count = 2}}, .n_points = 1},
    {.labels = "__name__=a_total,password=hunter2,shard_id=s1", .points = {{.time_ms = NOW_MS, .value = 1}, {.time_ms = NOW_MS + 1}}, .n_points = 2}};

START_TEST(remote_write_of_both_versions)
{
    struct door d;
    struct buf b;
    door_open(&d, NULL, 0);
    buf_init(&b, MAX_BYTES);
    remote_write_message(_i == 0 ? REMOTE_WRITE_1 : REMOTE_WRITE_2, series, 3, &b);
    ck_assert(door_judge(&d, _i == 0 ? EDGE_REMOTE_WRITE_1 : EDGE_REMOTE_WRITE_2, buf_slice(&b)));
    ck_assert_uint_eq(d.answer.n_scalars, 1);
    ck_assert_uint_eq(d.answer.n_histograms, 1);
    ck_assert_uint_eq(d.answer.n_rejected, 2);
    ck_assert_msg(strncmp(d.answer.text, "series 2: sample 0: metric \"a_total\", label \"password\"", 54) == 0, "%s",
                  d.answer.text);
    ck_assert_ptr_null(strstr(d.answer.text, "hunter2"));
    ck_assert_str_eq(door_text(&d), "standard s1 a_total{shard_id=s1} counter 1 @0\n"
                                    "standard s1 h{shard_id=s1} exponential_histogram 2/4 @0\n");
    ck_assert(!door_judge(&d, _i == 0 ? EDGE_REMOTE_WRITE_2 : EDGE_REMOTE_WRITE_1, buf_slice(&b)));
    ck_assert_int_eq(d.why.code, REASON_MALFORMED);
    buf_fini(&b);
    door_close(&d);
}
END_TEST

START_TEST(nothing_is_left_of_a_message_that_is_cut_off)
{
    const struct message_point points[] = {{.metric = "a", .value = 1, NOW}, {.metric = "b", .value = 2, NOW}};
    struct door d;
    struct buf b;
    door_open(&d, NULL, 0);
    buf_init(&b, MAX_BYTES);
    message_resource(&b, RES, points, 2);
    for (size_t cut = 1; cut < b.len; cut++) {
        ck_assert(!door_judge(&d, EDGE_OTLP, slice_of(b.ptr, cut)));
        ck_assert_int_eq(d.why.code, REASON_MALFORMED);
    }
    ck_assert(door_judge(&d, EDGE_OTLP, buf_slice(&b)));
    ck_assert_uint_eq(d.answer.n_accepted, 2);
    ck_assert(door_judge(&d, EDGE_OTLP, SLICE_NONE)); /* an empty message is a valid one */
    ck_assert_uint_eq(d.answer.n_in, 0);
    ck_assert_uint_eq(d.answer.n_batches, 0);
    buf_fini(&b);
    door_close(&d);
}
END_TEST

START_TEST(json_is_judged_like_protobuf)
{
    static const char json[] =
        "{\"resourceMetrics\":[{\"resource\":{\"attributes\":["
        "{\"key\":\"service.instance.id\",\"value\":{\"stringValue\":\"gs-1\"}},"
        "{\"key\":\"shard_id\",\"value\":{\"stringValue\":\"s1\"}}]},\"scopeMetrics\":[{\"metrics\":[{\"name\":\"a.x\","
        "\"unit\":\"By\",\"sum\":{\"isMonotonic\":true,\"aggregationTemporality\":2,\"dataPoints\":["
        "{\"asInt\":\"7\",\"timeUnixNano\":\"1780000000000000000\"},"
        "{\"asInt\":\"7\",\"timeUnixNano\":\"1780000000000000000\",\"attributes\":[{\"key\":\"player_id\","
        "\"value\":{\"stringValue\":\"secret\"}}]}]}}]}]}]}";
    struct door d;
    door_open(&d, NULL, 0);
    ck_assert_msg(door_judge(&d, EDGE_OTLP_JSON, slice_str(json)), "%s", d.why.text);
    ck_assert_str_eq(door_text(&d), "standard gs-1 a_x_bytes_total{shard_id=s1} counter 7 @0\n");
    ck_assert_msg(strncmp(d.answer.text, "resource 0: metric 0: point 1: metric \"a.x\", label \"player_id\"", 60) == 0, "%s",
                  d.answer.text);
    ck_assert(!door_judge(&d, EDGE_OTLP_JSON, SLICE_LITERAL("{\"resourceMetrics\":[{\"scopeMetrics\":7}]}")));
    ck_assert_int_eq(d.why.code, REASON_MALFORMED);
    ck_assert_ptr_nonnull(strstr(d.why.text, "resourceMetrics[0].scopeMetrics: an array was expected"));
    door_close(&d);
}
END_TEST

START_TEST(too_many_points_are_too_large)
{
    struct door d;
    struct buf s;
    struct buf message;
    struct err e = ERR_INIT;
    door_open(&d, OPEN, 0);
    buf_init(&s, MAX_BYTES);
    buf_init(&message, MAX_BYTES);
    static const uint8_t sample[] = {0x12, 11, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1}; /* samples=2 {value=1 time=2} */
    for (int i = 0; i <= 200000; i++) {
        buf_put(&s, sample, sizeof sample);
    }
    buf_u8(&message, 0x0a);
    buf_varint_bytes(&message, buf_slice(&s));
    ck_assert(!door_judge(&d, EDGE_REMOTE_WRITE_1, buf_slice(&message)));
    ck_assert_int_eq(d.why.code, REASON_TOO_LARGE);
    while (message.len <= 8 << 20) {
        buf_put(&message, sample, sizeof sample);
    }
    ck_assert(!door_judge(&d, EDGE_OTLP, buf_slice(&message)));
    ck_assert_int_eq(d.why.code, REASON_TOO_LARGE);
    ck_assert(!edge_judge(d.edge, SLICE_LITERAL("u"), EDGE_OTLP, SLICE_NONE, NOW_MS, &d.answer, &e));
    ck_assert_int_eq(e.code, REASON_UNKNOWN_TENANT);
    buf_fini(&s);
    buf_fini(&message);
    door_close(&d);
}
END_TEST

START_TEST(a_new_policy_judges_what_was_judged)
{
    const struct message_point point = {.metric = "a", .labels = "pod=x", .value = 1, NOW};
    struct err e = ERR_INIT;
    struct door d;
    door_open(&d, NULL, 0);
    door_judge_points(&d, RES, &point, 1);
    ck_assert_uint_eq(d.answer.n_rejected, 1);
    ck_assert_int_eq(edge_reload(d.edge, &e), POLICY_SAME);
    door_policy(&d, "{\"version\": \"two\", \"tenants\": {\"t\": {\"mode\": \"open\"}}}");
    ck_assert_int_eq(edge_reload(d.edge, &e), POLICY_NEW);
    door_judge_points(&d, RES, &point, 1);
    ck_assert_uint_eq(d.answer.n_accepted, 1);
    door_policy(&d, "{\"tenants\": 7}");
    ck_assert_int_eq(edge_reload(d.edge, &e), POLICY_REFUSED);
    ck_assert_ptr_nonnull(strstr(e.text, "tenants"));
    door_judge_points(&d, RES, &point, 1);
    ck_assert_uint_eq(d.answer.n_accepted, 1);
    door_close(&d);
}
END_TEST

START_TEST(full_caches_change_nothing)
{
    struct door small;
    struct door d;
    door_open(&small, OPEN, 4096);
    door_open(&d, OPEN, 0);
    for (int i = 0; i < 200; i++) {
        char label[64];
        (void)snprintf(label, sizeof label, "queue=q%d", i % 50);
        const struct message_point points[] = {{.metric = "b", .labels = label, .value = i, NOW},
                                               {.metric = "a", .value = i, NOW}};
        door_judge_points(&small, RES, points, 2);
        door_judge_points(&d, RES, points, 2);
        ck_assert_uint_eq(small.answer.n_batches, 1);
        ck_assert(slice_eq(small.answer.batches[0].value, d.answer.batches[0].value));
    }
    const struct edge_stats s = edge_stats(small.edge);
    ck_assert_uint_gt(s.n_series_misses, edge_stats(d.edge).n_series_misses);
    ck_assert_uint_lt(s.cache_bytes, 1 << 20);
    door_close(&small);
    door_close(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("edge");
    TCase *t = tcase_create("edge");
    tcase_add_loop_test(t, batches_are_the_very_ones_of_validate, 0, sizeof same_rows / sizeof same_rows[0]);
    tcase_add_test(t, a_person_is_told_what_to_change);
    tcase_add_test(t, a_person_is_told_of_all_labels_at_once);
    tcase_add_test(t, same_samples_alone_are_no_error);
    tcase_add_loop_test(t, remote_write_of_both_versions, 0, 2);
    tcase_add_test(t, nothing_is_left_of_a_message_that_is_cut_off);
    tcase_add_test(t, json_is_judged_like_protobuf);
    tcase_add_test(t, too_many_points_are_too_large);
    tcase_add_test(t, a_new_policy_judges_what_was_judged);
    tcase_add_test(t, full_caches_change_nothing);
    suite_add_tcase(s, t);
    return run_suite(s);
}
