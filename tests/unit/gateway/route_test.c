#include "route.h"

#include "runner.h"

#define V1 "application/x-protobuf"
#define V2 "application/x-protobuf;proto=io.prometheus.write.v2.Request"
#define OTLP "/v1/metrics"
#define WRITE "/api/v1/write"

static const struct {
    const char *method, *path, *type, *encoding;
    unsigned status; /* 0 = taken, and then: */
    enum edge_format format;
    bool is_packed;
    enum inflate_format packing;
    enum answer_form form;
} rows[] = {
    {"POST", OTLP, V1, "", 0, EDGE_OTLP, false, 0, ANSWER_PROTOBUF},
    {"POST", OTLP, "Application/X-Protobuf", "identity", 0, EDGE_OTLP, false, 0, ANSWER_PROTOBUF},
    {"POST", OTLP, V1, "GZIP", 0, EDGE_OTLP, true, INFLATE_GZIP, ANSWER_PROTOBUF},
    {"POST", OTLP, V1, "zstd", 0, EDGE_OTLP, true, INFLATE_ZSTD, ANSWER_PROTOBUF},
    {"POST", OTLP, "application/json; charset=utf-8", "gzip", 0, EDGE_OTLP_JSON, true, INFLATE_GZIP, ANSWER_JSON},
    {"POST", WRITE, V1, "snappy", 0, EDGE_REMOTE_WRITE_1, true, INFLATE_SNAPPY, ANSWER_TEXT},
    {"POST", WRITE, V1, "", 0, EDGE_REMOTE_WRITE_1, true, INFLATE_SNAPPY, ANSWER_TEXT},
    {"POST", WRITE, V1 ";proto=prometheus.WriteRequest", "snappy", 0, EDGE_REMOTE_WRITE_1, true, INFLATE_SNAPPY,
     ANSWER_TEXT},
    {"POST", WRITE, V2, "snappy", 0, EDGE_REMOTE_WRITE_2, true, INFLATE_SNAPPY, ANSWER_TEXT},
    {"POST", "/v1/traces", V1, "", 404, 0, false, 0, ANSWER_TEXT},
    {"POST", "/v1/metrics/", V1, "", 404, 0, false, 0, ANSWER_TEXT},
    {"PUT", OTLP, V1, "", 405, 0, false, 0, ANSWER_TEXT},
    {"POST", OTLP, "", "", 415, 0, false, 0, ANSWER_TEXT},
    {"POST", OTLP, V2, "", 415, 0, false, 0, ANSWER_TEXT},
    {"POST", OTLP, "application/jsonl", "", 415, 0, false, 0, ANSWER_TEXT},
    {"POST", OTLP, V1, "gzip, zstd", 415, 0, false, 0, ANSWER_PROTOBUF},
    {"POST", OTLP, "application/json", "deflate", 415, 0, false, 0, ANSWER_JSON},
    {"POST", WRITE, "application/json", "snappy", 415, 0, false, 0, ANSWER_TEXT},
    {"POST", WRITE, V1, "gzip", 415, 0, false, 0, ANSWER_TEXT},
    {"POST", WRITE, V1 ";proto=other", "snappy", 415, 0, false, 0, ANSWER_TEXT},
};

START_TEST(routes)
{
    struct routed out;
    struct answer refusal = {0};
    const struct route_headers h = {slice_str(rows[_i].method), slice_str(rows[_i].path), slice_str(rows[_i].type),
                                    slice_str(rows[_i].encoding)};
    bool ok = route_look(&h, &out, &refusal);
    ck_assert_msg(ok == (rows[_i].status == 0), "row %d: %u %s", _i, refusal.status, refusal.text);
    ck_assert_uint_eq(refusal.status, rows[_i].status);
    ck_assert_int_eq(out.form, rows[_i].form);
    if (ok) {
        ck_assert_int_eq(out.format, rows[_i].format);
        ck_assert_int_eq(out.is_packed, rows[_i].is_packed);
        ck_assert(!out.is_packed || out.packing == rows[_i].packing);
    } else {
        ck_assert(refusal.text[0] != '\0' && refusal.reason != REASON_NONE);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route");
    TCase *t = tcase_create("route");
    tcase_add_loop_test(t, routes, 0, sizeof rows / sizeof rows[0]);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
