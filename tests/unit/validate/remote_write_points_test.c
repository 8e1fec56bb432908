/* Remote write records through validate's step: what they become, what is refused, and that both versions come out alike. */
#include <snappy-c.h>
#include <stdlib.h>

#include "rig.h"
#include "runner.h"
#include "unit/wire/remote_write_message.h"

#define OPEN "{\"tenants\": {\"t\": {\"mode\": \"open\"}}}"
#define GAUGES "{\"tenants\": {\"t\": {\"kinds\": {\"allow\": [\"counter\", \"gauge\", \"exponential_histogram\"]}}}}"
#define TYPE_1 "application/x-protobuf;proto=prometheus.WriteRequest"
#define TYPE_2 "application/x-protobuf; proto=io.prometheus.write.v2.Request"

enum { MAX_BYTES = 1 << 22 };

static void set_headers(struct rig *r, const char *type, const char *encoding)
{
    r->n_headers = 0;
    r->headers[r->n_headers++] = (struct record_header){slice_str("content-type"), slice_str(type)};
    if (encoding != NULL) {
        r->headers[r->n_headers++] = (struct record_header){slice_str("content-encoding"), slice_str(encoding)};
    }
}

static void send_packed(struct rig *r, struct slice message)
{
    size_t n = snappy_max_compressed_length(message.len);
    char *packed = malloc(n);
    ck_assert_ptr_nonnull(packed);
    ck_assert_int_eq(snappy_compress((const char *)message.ptr, message.len, packed, &n), SNAPPY_OK);
    rig_send(r, slice_of((const uint8_t *)packed, n));
    free(packed);
}

static void send_series(struct rig *r, enum remote_write_version version, const struct remote_write_test_series *series,
                        size_t n)
{
    struct buf b;
    buf_init(&b, MAX_BYTES);
    remote_write_message(version, series, n, &b);
    set_headers(r, version == REMOTE_WRITE_1 ? TYPE_1 : TYPE_2, "snappy");
    send_packed(r, buf_slice(&b));
    buf_fini(&b);
}

struct row {
    const char *what;
    const char *policy;
    struct remote_write_test_series series[5];
    size_t n;
    const char *want;
};

static const struct row rows[] = {
    {"a counter by its type, a gauge that the policy does not take",
     NULL,
     {{.labels = "__name__=a_seconds,region=eu,shard_id=s1", .type = REMOTE_WRITE_COUNTER,
       .points = {{.time_ms = NOW_MS, .value = 1}}, .n_points = 1},
      {.labels = "__name__=b,shard_id=s1", .type = REMOTE_WRITE_GAUGE, .points = {{.time_ms = NOW_MS, .value = 2}},
       .n_points = 1}},
     2,
     "standard s1 a_seconds{region=eu,shard_id=s1} counter 1 @0\n! kind_not_allowed b [] 1/1\n"},
    {"without a type the name tells",
     GAUGES,
     {{.labels = "__name__=x_total,shard_id=s1", .points = {{.time_ms = NOW_MS, .value = 1}}, .n_points = 1},
      {.labels = "__name__=y_sum,shard_id=s1", .points = {{.time_ms = NOW_MS, .value = 2}}, .n_points = 1},
      {.labels = "__name__=z,shard_id=s1", .points = {{.time_ms = NOW_MS, .value = 3}}, .n_points = 1}},
     3,
     "standard s1 x_total{shard_id=s1} counter 1 @0\nstandard s1 y_sum{shard_id=s1} counter 2 @0\n"
     "standard s1 z{shard_id=s1} gauge 3 @0\n"},
    {"a summary's quantiles are gauges, its count and sum are counters",
     OPEN,
     {{.labels = "__name__=q,quantile=0.5,shard_id=s1", .type = REMOTE_WRITE_SUMMARY,
       .points = {{.time_ms = NOW_MS, .value = 1}}, .n_points = 1},
      {.labels = "__name__=q_count,shard_id=s1", .type = REMOTE_WRITE_SUMMARY, .points = {{.time_ms = NOW_MS, .value = 2}},
       .n_points = 1}},
     2,
     "standard s1 q{quantile=0.5,shard_id=s1} gauge 1 @0\nstandard s1 q_count{shard_id=s1} counter 2 @0\n"},
    {"several samples of a series become several batches",
     NULL,
     {{.labels = "__name__=a_total,shard_id=s1",
       .points = {{.time_ms = NOW_MS - 20, .value = 1}, {.time_ms = NOW_MS - 10, .value = 2}, {.time_ms = NOW_MS, .value = 3}},
       .n_points = 3}},
     1,
     "standard s1 a_total{shard_id=s1} counter 1 @-20\nstandard s1 a_total{shard_id=s1} counter 2 @-10\n"
     "standard s1 a_total{shard_id=s1} counter 3 @0\n"},
    {"each bad one is refused with its reason, the good one goes on",
     NULL,
     {{.labels = "__name__=a_total,shard_id=s1", .points = {{.time_ms = NOW_MS, .value = 1}}, .n_points = 1},
      {.labels = "__name__=b_total,colour=red,shard_id=s1", .points = {{.time_ms = NOW_MS, .value = 2}}, .n_points = 1},
      {.labels = "shard_id=s1", .points = {{.time_ms = NOW_MS, .value = 3}}, .n_points = 1},
      {.labels = "__name__=c_total,shard_id=s1", .points = {{.time_ms = 0, .value = 4}, {.time_ms = 1, .value = 5}},
       .n_points = 2},
      {.labels = "__name__=d_total,shard_id=s1,shard_id=s2", .points = {{.time_ms = NOW_MS, .value = 6}}, .n_points = 1}},
     5,
     "standard s1 a_total{shard_id=s1} counter 1 @0\n! label_not_allowed b_total [colour] 1/1\n! name_invalid  [] 1/1\n"
     "! time_missing c_total [] 1/1\n! too_old c_total [] 1/1\n! label_twice d_total [shard_id] 1/1\n"},
    {"native histograms; one that goes up and down and one that does not add up are refused",
     NULL,
     {{.labels = "__name__=h,shard_id=s1", .type = REMOTE_WRITE_HISTOGRAM,
       .points = {{.time_ms = NOW_MS, .value = 12, .is_histogram = true, .count = 3},
                  {.time_ms = NOW_MS + 1, .value = 12, .is_histogram = true, .count = 3, .is_gauge = true},
                  {.time_ms = NOW_MS + 2, .value = 12, .is_histogram = true, .count = 3, .bad_count = true}},
       .n_points = 3}},
     1,
     "standard s1 h{shard_id=s1} exponential_histogram 3/12 @0\n! histogram_invalid h [] 2/2\n"},
};

START_TEST(records_become)
{
    const struct row *row = &rows[_i];
    for (int version = REMOTE_WRITE_1; version <= (int)REMOTE_WRITE_2; version++) {
        struct rig r;
        rig_open(&r, &(struct rig_options){.policy = row->policy});
        send_series(&r, (enum remote_write_version)version, row->series, row->n);
        ck_assert_msg(strcmp(rig_text(&r, false), row->want) == 0, "%s, version %d:\n%swanted:\n%s", row->what, version + 1,
                      rig_text(&r, false), row->want);
        rig_commit(&r);
        rig_check_accounts(&r);
        rig_close(&r);
    }
}
END_TEST

static const struct remote_write_test_series plain = {
    .labels = "__name__=a_total,shard_id=s1", .points = {{.time_ms = NOW_MS, .value = 1}}, .n_points = 1};
#define PLAIN_TEXT "standard s1 a_total{shard_id=s1} counter 1 @0\n"

/* In 2.0 a series tells when it began. */
START_TEST(start_times_and_units_come_through)
{
    struct rig r;
    struct remote_write_test_series s = plain;
    s.start_ms = NOW_MS - 5000;
    s.unit = "By";
    rig_open(&r, &(struct rig_options){0});
    send_series(&r, REMOTE_WRITE_2, &s, 1);
    ck_assert_str_eq(rig_text(&r, false), "standard s1 a_total{shard_id=s1} counter 1 @0 +-5000\n");
    rig_close(&r);
}
END_TEST

START_TEST(headers_tell)
{
    static const struct {
        const char *type;
        const char *encoding;
        const char *version; /* header */
        const char *want;
    } headers[] = {
        {TYPE_1, "snappy", NULL, PLAIN_TEXT},
        {TYPE_1, NULL, NULL, PLAIN_TEXT},
        {"application/x-protobuf ; charset=x ; proto=\"prometheus.WriteRequest\"", "snappy", NULL, PLAIN_TEXT},
        {"application/x-protobuf", "snappy", "0.1.0", PLAIN_TEXT},
        {TYPE_1, "gzip", NULL, "! unsupported_content_type  [] 0/0\n"},
        {"application/x-protobuf;proto=else.Request", "snappy", NULL, "! unsupported_content_type  [] 0/0\n"},
        {"application/x-protobuf", "snappy", NULL, "! unsupported_content_type  [] 0/0\n"},
        {TYPE_2, "snappy", NULL, "! malformed  [] 0/0\n"},
    };
    struct buf b;
    buf_init(&b, MAX_BYTES);
    remote_write_message(REMOTE_WRITE_1, &plain, 1, &b);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct rig r;
        rig_open(&r, &(struct rig_options){0});
        set_headers(&r, headers[i].type, headers[i].encoding);
        if (headers[i].version != NULL) {
            r.headers[r.n_headers++] =
                (struct record_header){slice_str("x-prometheus-remote-write-version"), slice_str(headers[i].version)};
        }
        send_packed(&r, buf_slice(&b));
        ck_assert_msg(strcmp(rig_text(&r, false), headers[i].want) == 0, "%zu: %s", i, rig_text(&r, false));
        rig_close(&r);
    }
    buf_fini(&b);
}
END_TEST

START_TEST(bad_blocks_are_dead_letters)
{
    static const char *const blocks[] = {"\x05\x01", "not snappy at all", "\xff\xff\xff\xff\x0f", "\x03\x08\x0a\x05\x0a"};
    struct rig r;
    rig_open(&r, &(struct rig_options){0});
    set_headers(&r, TYPE_1, "snappy");
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        rig_send(&r, slice_str(blocks[i]));
        ck_assert_msg(strstr(rig_text(&r, false), "! malformed") != NULL, "%s", rig_text(&r, false));
        rig_commit(&r);
    }
    send_series(&r, REMOTE_WRITE_1, &plain, 1);
    ck_assert_str_eq(rig_text(&r, false), PLAIN_TEXT);
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("remote_write_points");
    TCase *t = tcase_create("remote_write_points");
    tcase_add_loop_test(t, records_become, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(t, start_times_and_units_come_through);
    tcase_add_test(t, headers_tell);
    tcase_add_test(t, bad_blocks_are_dead_letters);
    suite_add_tcase(s, t);
    return run_suite(s);
}
