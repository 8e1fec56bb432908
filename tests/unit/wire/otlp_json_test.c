/* OTLP's JSON becomes the message that protobuf would have; what is wrong is told with its place. Random messages against
 * Google's own translation: tests/flow/test_otlp_json.py. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "../runner.h"
#include "wire/otlp_json.h"
#include "wire/protobuf.h"

enum { MAX_BYTES = 64 << 20 };

#define POINT(members)                                                                             \
    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"sum\":{\"dataPoints\":[{" members   \
    "}]}}]}]}]}"
#define PATH "resourceMetrics[0].scopeMetrics[0].metrics[0].sum.dataPoints[0]"
#define VALUE(member) POINT("\"attributes\":[{\"key\":\"k\",\"value\":{" member "}}]")

/* What a point's bytes are in all that surrounds them. */
static void point_wrap(struct slice point, struct buf *out)
{
    static const uint8_t tags[] = {0x0a, 0x3a, 0x12, 0x12, 0x0a}; /* from the inside */
    struct buf inner;
    buf_init(&inner, MAX_BYTES);
    buf_put_slice(&inner, point);
    for (size_t i = 0; i < sizeof tags; i++) {
        buf_reset(out);
        buf_u8(out, tags[i]);
        buf_varint_bytes(out, buf_slice(&inner));
        buf_reset(&inner);
        buf_put_slice(&inner, buf_slice(out));
    }
    buf_fini(&inner);
}

struct good_row {
    const char *what;
    const char *json;
    const char *point; /* bytes */
    size_t n;
};

#define BYTES(s) s, sizeof(s) - 1

static const struct good_row good[] = {
    {"integers as strings", POINT("\"timeUnixNano\":\"1780000000000000001\""), BYTES("\x19\x01\x00\x32\xb4\x91\xd4\xb3\x18")},
    {"and as numbers", POINT("\"timeUnixNano\":1780000000000000001"), BYTES("\x19\x01\x00\x32\xb4\x91\xd4\xb3\x18")},
    {"all of 64 bits", POINT("\"timeUnixNano\":18446744073709551615"), BYTES("\x19\xff\xff\xff\xff\xff\xff\xff\xff")},
    {"the least", POINT("\"asInt\":\"-9223372036854775808\""), BYTES("\x31\0\0\0\0\0\0\0\x80")},
    {"an exponent that is whole", POINT("\"asInt\":1.5e1"), BYTES("\x31\x0f\0\0\0\0\0\0\0")},
    {"a double", POINT("\"asDouble\":-1.5"), BYTES("\x21\0\0\0\0\0\0\xf8\xbf")},
    {"a double in a string", POINT("\"asDouble\":\"-1.5\""), BYTES("\x21\0\0\0\0\0\0\xf8\xbf")},
    {"minus nothing", POINT("\"asDouble\":-0.0"), BYTES("\x21\0\0\0\0\0\0\0\x80")},
    {"not a number", POINT("\"asDouble\":\"NaN\""), BYTES("\x21\0\0\0\0\0\0\xf8\x7f")},
    {"infinite", POINT("\"asDouble\":\"-Infinity\""), BYTES("\x21\0\0\0\0\0\0\xf0\xff")},
    {"null is absent", POINT("\"asDouble\":null,\"asInt\":\"1\",\"attributes\":null"), BYTES("\x31\x01\0\0\0\0\0\0\0")},
    {"unknown keys", POINT("\"x\":{\"a\":[1,{\"b\":null}],\"c\":\"]\"},\"exemplars\":[{\"traceId\":\"00ff\"}],\"flags\":1"), BYTES("\x40\x01")},
    {"white space", " { \"resourceMetrics\" :\t[ { \"scopeMetrics\":[{\"metrics\":[{\"sum\":{\"dataPoints\":[{\r\n\"flags\" : 1 }]}}]}]} ] } \n", BYTES("\x40\x01")},
    {"a byte order mark", "\xef\xbb\xbf" POINT("\"flags\":1"), BYTES("\x40\x01")},
    {"a string", VALUE("\"stringValue\":\"a\""), BYTES("\x3a\x08\x0a\x01k\x12\x03\x0a\x01" "a")},
    {"escapes", VALUE("\"stringValue\":\"\\\"\\u00e9\\ud83d\\ude00\\n\\u0000\""), BYTES("\x3a\x10\x0a\x01k\x12\x0b\x0a\x09\"\xc3\xa9\xf0\x9f\x98\x80\n\0")},
    {"a number", VALUE("\"intValue\":-1"), BYTES("\x3a\x10\x0a\x01k\x12\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
    {"true", VALUE("\"boolValue\":true"), BYTES("\x3a\x07\x0a\x01k\x12\x02\x10\x01")},
    {"base64", VALUE("\"bytesValue\":\"+/8=\""), BYTES("\x3a\x09\x0a\x01k\x12\x04\x3a\x02\xfb\xff")},
    {"base64 for URLs, unpadded", VALUE("\"bytesValue\":\"-_8\""), BYTES("\x3a\x09\x0a\x01k\x12\x04\x3a\x02\xfb\xff")},
    {"nested values", VALUE("\"arrayValue\":{\"values\":[{\"boolValue\":false},{}]}"), BYTES("\x3a\x0d\x0a\x01k\x12\x08\x2a\x06\x0a\x02\x10\0\x0a\0")},
};

START_TEST(json_is_the_message)
{
    const struct good_row *row = &good[_i];
    struct buf ours;
    struct buf want;
    struct err e = ERR_INIT;
    buf_init(&ours, MAX_BYTES);
    buf_init(&want, MAX_BYTES);
    point_wrap(slice_of(row->point, row->n), &want);
    ck_assert_msg(otlp_json_read(slice_str(row->json), &otlp_json_default_caps, &ours, &e), "%s: %s", row->what, e.text);
    ck_assert_msg(slice_eq(buf_slice(&ours), buf_slice(&want)), "%s", row->what);
    buf_fini(&ours);
    buf_fini(&want);
}
END_TEST

START_TEST(temporalities_and_packed_numbers)
{
    static const char json[] =
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":["
        "{\"histogram\":{\"dataPoints\":[{\"bucketCounts\":[\"1\",2],\"explicitBounds\":[]}],"
        "\"aggregationTemporality\":\"AGGREGATION_TEMPORALITY_CUMULATIVE\"}},"
        "{\"exponentialHistogram\":{\"dataPoints\":[{\"scale\":-3,\"positive\":{\"offset\":\"-1\",\"bucketCounts\":[300]}}],"
        "\"aggregationTemporality\":1}}]}]}]}";
    static const uint8_t want[] = /* as protobuf's own library has it */
        "\x0a\x2e\x12\x2c\x12\x18\x4a\x16\x0a\x12\x32\x10\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x10\x02"
        "\x12\x10\x52\x0e\x0a\x0a\x30\x05\x42\x06\x08\x01\x12\x02\xac\x02\x10\x01";
    struct buf ours;
    struct err e = ERR_INIT;
    buf_init(&ours, MAX_BYTES);
    ck_assert_msg(otlp_json_read(slice_str(json), &otlp_json_default_caps, &ours, &e), "%s", e.text);
    ck_assert(slice_eq(buf_slice(&ours), slice_of(want, sizeof want - 1)));
    buf_fini(&ours);
}
END_TEST

struct bad_row {
    const char *json;
    const char *text; /* how the error begins */
};

static const struct bad_row bad[] = {
    {"", "an object was expected, at byte 0"},
    {"null", "an object was expected"},
    {"[]", "an object was expected"},
    {"{\"resourceMetrics\":{}}", "resourceMetrics: an array was expected"},
    {"{\"resourceMetrics\":[null]}", "resourceMetrics[0]: an object was expected"},
    {"{\"resourceMetrics\":[{}],}", "a key was expected"},
    {"{\"resourceMetrics\":[{},]}", "resourceMetrics[1]: an object was expected"},
    {"{\"resourceMetrics\":[{}]} x", "more behind the end, at byte 25"},
    {"{\"resourceMetrics\" [{}]}", "a colon was expected"},
    {"{'resourceMetrics':[]}", "a key was expected"},
    {"{\"x\":1.}", "not a number as JSON has it"},
    {"{\"x\":01}", "not a number as JSON has it"},
    {"{\"x\":+1}", "not a value"},
    {"{\"x\":NaN}", "not a value"},
    {"{\"x\":tru}", "not a value"},
    {"{\"x\":\"\t\"}", "a control character in a string"},
    {"{\"x\":\"\\x\"}", "no such escape"},
    {"{\"x\":\"\\u12g4\"}", "\\u wants four hex digits"},
    {"{\"x\":\"\\ud800\"}", "half of a surrogate pair"},
    {"{\"x\":\"\\udc00\"}", "half of a surrogate pair"},
    {"{\"x\":\"\\ud800\\u0041\"}", "half of a surrogate pair"},
    {"{\"x\":\"\xff\"}", "not UTF-8, at byte 6"},
    {"{\"x\":\"a", "the text is cut off"},
    {"{\"resource_metrics\":[]}", "resourceMetrics: the key must be written so, not in snake_case"},
    {POINT("\"time_unix_nano\":1"), PATH ".timeUnixNano: the key must be written so"},
    {POINT("\"timeUnixNano\":1,\"timeUnixNano\":1"), PATH ".timeUnixNano: stands there twice"},
    {POINT("\"timeUnixNano\":null,\"timeUnixNano\":1"), PATH ".timeUnixNano: stands there twice"},
    {POINT("\"asInt\":1,\"asDouble\":1"), PATH ".asDouble: only one of its kind"},
    {POINT("\"timeUnixNano\":-1"), PATH ".timeUnixNano: a number out of range"},
    {POINT("\"timeUnixNano\":18446744073709551616"), PATH ".timeUnixNano: must be a whole number"},
    {POINT("\"timeUnixNano\":1.5"), PATH ".timeUnixNano: must be a whole number"},
    {POINT("\"timeUnixNano\":\"\""), PATH ".timeUnixNano: must be a whole number"},
    {POINT("\"timeUnixNano\":\" 1\""), PATH ".timeUnixNano: must be a whole number"},
    {POINT("\"timeUnixNano\":true"), PATH ".timeUnixNano: a number was expected"},
    {POINT("\"asInt\":9223372036854775808"), PATH ".asInt: a number out of range"},
    {POINT("\"asDouble\":\"nan\""), PATH ".asDouble: must be a number, \"NaN\""},
    {POINT("\"asDouble\":1e999"), PATH ".asDouble: a number beyond what a double holds"},
    {POINT("\"flags\":4294967296"), PATH ".flags: a number out of range"},
    {VALUE("\"stringValue\":1"), PATH ".attributes[0].value.stringValue: a string was expected"},
    {VALUE("\"boolValue\":\"true\""), PATH ".attributes[0].value.boolValue: must be true or false"},
    {VALUE("\"bytesValue\":\"a\""), PATH ".attributes[0].value.bytesValue: not base64"},
    {VALUE("\"bytesValue\":\"=AAA\""), PATH ".attributes[0].value.bytesValue: not base64"},
    {VALUE("\"bytesValue\":\"AA=\""), PATH ".attributes[0].value.bytesValue: not base64"},
    {VALUE("\"bytesValue\":\"A+ A\""), PATH ".attributes[0].value.bytesValue: not base64"},
    {VALUE("\"boolValue\":true,\"intValue\":1"), PATH ".attributes[0].value.intValue: only one of its kind"},
    {"{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"sum\":{\"aggregationTemporality\":\"DELTA\"}}]}]}]}",
     "resourceMetrics[0].scopeMetrics[0].metrics[0].sum.aggregationTemporality: no such temporality"},
    {"{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"sum\":{},\"gauge\":{}}]}]}]}",
     "resourceMetrics[0].scopeMetrics[0].metrics[0].gauge: only one of its kind"},
};

START_TEST(what_is_wrong_is_told_with_its_place)
{
    struct buf out;
    struct err e = ERR_INIT;
    buf_init(&out, MAX_BYTES);
    ck_assert_msg(!otlp_json_read(slice_str(bad[_i].json), &otlp_json_default_caps, &out, &e), "%s", bad[_i].json);
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    ck_assert_int_ne(e.code, PB_TOO_LARGE);
    ck_assert_msg(strncmp(e.text, bad[_i].text, strlen(bad[_i].text)) == 0, "%s: %s", bad[_i].json, e.text);
    ck_assert_ptr_nonnull(strstr(e.text, ", at byte "));
    buf_fini(&out);
}
END_TEST

/* open, n times, then close: cut off or not, it ends at the cap on depth. */
START_TEST(depth_is_capped)
{
    static const char *const opens[] = {"[", "{\"a\":", "{\"values\":[{\"arrayValue\":"};
    static const char *const starts[] = {"{\"x\":", "{\"x\":", "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"value\":{\"arrayValue\":"};
    struct buf json;
    struct buf out;
    struct err e = ERR_INIT;
    buf_init(&json, MAX_BYTES);
    buf_init(&out, MAX_BYTES);
    buf_put_slice(&json, slice_str(starts[_i]));
    for (int i = 0; i < 10000; i++) {
        buf_put_slice(&json, slice_str(opens[_i]));
    }
    ck_assert(!otlp_json_read(buf_slice(&json), &otlp_json_default_caps, &out, &e));
    ck_assert_msg(strstr(e.text, "nests too deeply") != NULL, "%s", e.text);
    buf_fini(&json);
    buf_fini(&out);
}
END_TEST

START_TEST(sizes_are_capped)
{
    struct buf json;
    struct buf out;
    struct err e = ERR_INIT;
    buf_init(&json, MAX_BYTES);
    buf_init(&out, MAX_BYTES);
    buf_put_slice(&json, SLICE_LITERAL("{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"histogram\":{\"dataPoints\":[{"
                                       "\"bucketCounts\":[0"));
    while (json.len < 3 << 20) { /* each two bytes become eight */
        buf_put_slice(&json, SLICE_LITERAL(",0"));
    }
    buf_put_slice(&json, SLICE_LITERAL("]}]}}]}]}]}"));
    ck_assert(!otlp_json_read(buf_slice(&json), &otlp_json_default_caps, &out, &e));
    ck_assert_int_eq(e.code, PB_TOO_LARGE);
    ck_assert_uint_le(out.cap, 9 << 20);
    const struct otlp_json_caps small = {.max_json_bytes = 100, .max_message_bytes = 100};
    ck_assert(!otlp_json_read(buf_slice(&json), &small, &out, &e));
    ck_assert_int_eq(e.code, PB_TOO_LARGE);
    const struct otlp_json_caps wide = {.max_json_bytes = MAX_BYTES, .max_message_bytes = MAX_BYTES};
    buf_reset(&out);
    ck_assert_msg(otlp_json_read(buf_slice(&json), &wide, &out, &e), "%s", e.text);
    buf_fini(&json);
    buf_fini(&out);
}
END_TEST

static struct slice file_read(const char *path, uint8_t *space, size_t max_bytes)
{
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(space, 1, max_bytes, f);
    (void)fclose(f);
    return slice_of(space, n);
}

/* A vector that is good is good as a whole alone; bad_… is not. */
START_TEST(a_part_of_a_vector_is_nothing)
{
    static uint8_t space[1 << 16];
    DIR *dir = opendir(VECTORS "/otlp_json");
    ck_assert_ptr_nonnull(dir);
    size_t n_files = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[1024];
        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof path, VECTORS "/otlp_json/%s", entry->d_name);
        struct slice text = file_read(path, space, sizeof space);
        for (size_t n = 0; n <= text.len; n++) {
            struct buf out;
            struct err e = ERR_INIT;
            buf_init(&out, MAX_BYTES);
            bool ok = otlp_json_read(slice_of(text.ptr, n), &otlp_json_default_caps, &out, &e);
            bool is_whole = n + 1 >= text.len && strncmp(entry->d_name, "bad_", 4) != 0; /* a newline ends it */
            ck_assert_msg(ok == is_whole, "%s at %zu: %s", entry->d_name, n, e.text);
            buf_fini(&out);
        }
        n_files++;
    }
    (void)closedir(dir);
    ck_assert_uint_ge(n_files, 8);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("otlp_json");
    TCase *t = tcase_create("otlp_json");
    tcase_add_loop_test(t, json_is_the_message, 0, sizeof good / sizeof good[0]);
    tcase_add_test(t, temporalities_and_packed_numbers);
    tcase_add_loop_test(t, what_is_wrong_is_told_with_its_place, 0, sizeof bad / sizeof bad[0]);
    tcase_add_loop_test(t, depth_is_capped, 0, 3);
    tcase_add_test(t, sizes_are_capped);
    tcase_add_test(t, a_part_of_a_vector_is_nothing);
    suite_add_tcase(s, t);
    return run_suite(s);
}
