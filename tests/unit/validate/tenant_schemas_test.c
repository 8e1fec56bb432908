/* Records of older and newer versions of tenant_metrics.avsc, as a stock Avro library wrote them
 * (tests/vectors/tenant_schemas). */
#include "tenant_schemas.h"

#include <stdio.h>
#include <unistd.h>

#include "avro_canonical.h"
#include "base/file.h"
#include "batch_avsc.h"
#include "dlq_avsc.h"
#include "rig.h"
#include "runner.h"
#include "shape_avsc.h"
#include "tenant_metrics_avsc.h"

static const char *const paths[] = {VECTORS "/tenant_schemas/older.avsc",
                                    VECTORS "/tenant_schemas/newer.avsc"};

START_TEST(fingerprints_are_those_of_the_schemas_that_are_built_in)
{
    static const struct {
        const char *avsc;
        uint64_t want;
    } rows[] = {{tenant_metrics_avsc, TENANT_METRICS_FINGERPRINT},
                {batch_avsc, BATCH_FINGERPRINT},
                {shape_avsc, SHAPE_FINGERPRINT},
                {dlq_avsc, DLQ_FINGERPRINT}};
    struct err e = ERR_INIT;
    json_error_t why;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *schema = json_loads(rows[i].avsc, 0, &why);
        uint64_t got = 0;
        ck_assert_msg(avro_fingerprint(schema, &got, &e), "%s", e.text);
        ck_assert_uint_eq(got, rows[i].want);
        json_decref(schema);
    }
}
END_TEST

static void vector_read(const char *name, struct buf *out)
{
    char path[512];
    struct err e = ERR_INIT;
    (void)snprintf(path, sizeof path, VECTORS "/tenant_schemas/%s.bin", name);
    buf_init(out, 1 << 20);
    ck_assert_msg(file_read(path, out, &e), "%s", e.text);
}

struct row {
    const char *name;
    const char *want;
};

static const struct row rows[] = {
    {"older", "standard server-1 game_logins_total{queue=ranked,shard_id=1} counter 2.5 @0\n"},
    {"newer",
     "standard server-1 game_logins_total{queue=ranked,shard_id=1} counter 2.5 @0 +-1000\n"
     "standard server-1 game_logouts_total{queue=ranked,shard_id=1} counter 2.5 @0 +-1000\n"},
    {"newer_kind", "! malformed  [] 0/0\n"},
};

START_TEST(records_of_other_versions_are_read)
{
    struct rig r;
    struct buf message;
    rig_open(&r, &(struct rig_options){.tenant_schemas = paths, .n_tenant_schemas = 2});
    vector_read(rows[_i].name, &message);
    rig_send(&r, buf_slice(&message));
    const char *got = rig_text(&r, false);
    ck_assert_msg(strcmp(got, rows[_i].want) == 0, "%s: got %s", rows[_i].name, got);
    buf_fini(&message);
    rig_close(&r);
}
END_TEST

START_TEST(without_the_schema_they_are_malformed_and_it_is_named)
{
    struct rig r;
    struct buf message;
    rig_open(&r, &(struct rig_options){0});
    vector_read(rows[_i].name, &message);
    rig_send(&r, buf_slice(&message));
    ck_assert_msg(strstr(rig_text(&r, true), "is not known; tenant_metrics.avsc is") != NULL, "%s",
                  rig_text(&r, true));
    buf_fini(&message);
    rig_close(&r);
}
END_TEST

START_TEST(every_prefix_is_malformed)
{
    struct rig r;
    struct buf message;
    rig_open(&r, &(struct rig_options){.tenant_schemas = paths, .n_tenant_schemas = 2});
    vector_read(rows[_i].name, &message);
    for (size_t n = 1; n < message.len; n++) {
        uint8_t *copy = malloc(n); /* of its own, so that overruns show */
        memcpy(copy, message.ptr, n);
        rig_send(&r, slice_of(copy, n));
        ck_assert_msg(strncmp(rig_text(&r, false), "! malformed", 11) == 0, "cut at %zu: %s", n,
                      rig_text(&r, true));
        rig_commit(&r);
        free(copy);
    }
    buf_fini(&message);
    rig_close(&r);
}
END_TEST

static const struct {
    const char *text;
    const char *want;
} bad_rows[] = {
    {"", "column"},
    {"\"string\"", "line 1"},
    {"{\"type\": \"array\", \"items\": \"int\"}", "is no record's schema"},
    {"{\"type\": \"record\", \"name\": \"R\", \"fields\": []}", "has no field source"},
    {"{\"type\": \"record\", \"name\": \"R\", \"fields\": [{\"name\": \"source\", \"type\": "
     "\"string\"},"
     "{\"name\": \"points\", \"type\": {\"type\": \"array\", \"items\": {\"type\": \"record\", "
     "\"name\": \"P\","
     "\"fields\": [{\"name\": \"metric\", \"type\": \"string\"}]}}}]}",
     "has no field kind"},
    {"{\"type\": \"record\", \"name\": \"R\", \"fields\": [{\"name\": \"a\", \"type\": [\"null\", "
     "\"R\"]}]}",
     "holds itself"},
    {"{\"type\": \"record\", \"name\": \"n.R\", \"fields\": [{\"name\": \"a\", \"type\": "
     "{\"type\": \"map\","
     "\"values\": \"R\"}}]}",
     "holds itself"},
    {"{\"type\": \"record\", \"fields\": []}", "a type without a name"},
    {"{\"type\": \"record\", \"name\": \"R\", \"fields\": [{\"name\": \"a\"}]}",
     "a type is missing"},
};

START_TEST(bad_schemas_are_errors_that_name_the_file)
{
    char path[] = "/tmp/tenant-schema-XXXXXX";
    const char *const list[] = {path};
    struct tenant_schemas t = {0};
    struct err e = ERR_INIT;
    int fd = mkstemp(path);
    size_t n = strlen(bad_rows[_i].text);
    ck_assert_int_eq(write(fd, bad_rows[_i].text, n), (ssize_t)n);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_msg(!tenant_schemas_open(&t, list, 1, &e), "taken: %s", bad_rows[_i].text);
    ck_assert_int_eq(e.kind, ERR_CONFIG);
    ck_assert_msg(strstr(e.text, bad_rows[_i].want) != NULL && strstr(e.text, path) != NULL, "%s",
                  e.text);
    tenant_schemas_fini(&t);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tenant_schemas");
    TCase *t = tcase_create("tenant_schemas");
    tcase_add_test(t, fingerprints_are_those_of_the_schemas_that_are_built_in);
    tcase_add_loop_test(t, records_of_other_versions_are_read, 0, 3);
    tcase_add_loop_test(t, without_the_schema_they_are_malformed_and_it_is_named, 0, 3);
    tcase_add_loop_test(t, every_prefix_is_malformed, 0, 3);
    tcase_add_loop_test(t, bad_schemas_are_errors_that_name_the_file, 0,
                        sizeof bad_rows / sizeof bad_rows[0]);
    suite_add_tcase(s, t);
    return run_suite(s);
}
