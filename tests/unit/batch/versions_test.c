#include "unit/runner.h"

#include <avro.h>
#include <stdio.h>

#include "wire/avro_blocks.h"
#include "batch/versions.h"
#include "unit/batch/samples.h"

/* Former schemas that never were: fields are missing (redriven, starts, temporality), stand in
 * another order, ints are longs later on, enums have their symbols in another order, and one field
 * is gone. */
static const char old_batch[] =
    "{\"type\":\"record\",\"name\":\"Batch\",\"namespace\":\"sluice\",\"fields\":["
    "{\"name\":\"gone\",\"type\":\"string\"},"
    "{\"name\":\"values\",\"type\":\"bytes\"},"
    "{\"name\":\"tenant\",\"type\":\"string\"},"
    "{\"name\":\"class\",\"type\":{\"type\":\"enum\",\"name\":\"Class\",\"symbols\":"
    "[\"verbose\",\"critical\",\"standard\",\"forgotten\"]}},"
    "{\"name\":\"source\",\"type\":\"long\"},"
    "{\"name\":\"received_ms\",\"type\":\"int\"},"
    "{\"name\":\"origin\",\"type\":{\"type\":\"record\",\"name\":\"Origin\",\"fields\":["
    "{\"name\":\"partition\",\"type\":\"int\"},{\"name\":\"topic\",\"type\":\"string\"},"
    "{\"name\":\"topic_id\",\"type\":{\"type\":\"fixed\",\"name\":\"TopicId\",\"size\":16}}]}},"
    "{\"name\":\"shape\",\"type\":\"bytes\"},"
    "{\"name\":\"times\",\"type\":{\"type\":\"record\",\"name\":\"Times\",\"fields\":["
    "{\"name\":\"deltas\",\"type\":{\"type\":\"array\",\"items\":\"int\"}},"
    "{\"name\":\"base\",\"type\":\"long\"}]}}]}";
static const char old_shape[] =
    "{\"type\":\"record\",\"name\":\"Shape\",\"namespace\":\"sluice\",\"fields\":["
    "{\"name\":\"source\",\"type\":\"string\"},"
    "{\"name\":\"symbols\",\"type\":{\"type\":\"array\",\"items\":\"string\"}},"
    "{\"name\":\"series\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":"
    "\"Series\","
    "\"fields\":[{\"name\":\"metric\",\"type\":\"int\"},{\"name\":\"unit\",\"type\":\"int\"},"
    "{\"name\":\"labels\",\"type\":{\"type\":\"array\",\"items\":\"int\"}}]}}}]}";

static const struct schema_version former_batch[] = {{UINT64_C(0x3837363534333231), old_batch}};
static const struct schema_version former_shape[] = {{UINT64_C(0x3837363534333231), old_shape}};

enum { BYTES = 1 << 20 };

static void put_head(struct buf *out)
{
    buf_put(out,
            "\xc3\x01"
            "12345678",
            AVRO_HEAD_BYTES);
}

static void put_old_batch(struct buf *out, int symbol)
{
    static const double value = 2.5;
    put_head(out);
    buf_zigzag_bytes(out, SLICE_LITERAL("what it was"));
    buf_zigzag_bytes(out, slice_of(&value, sizeof value));
    buf_zigzag_bytes(out, SLICE_LITERAL("demo"));
    buf_zigzag(out, symbol);
    buf_zigzag(out, -5);
    buf_zigzag(out, 1234567);
    buf_zigzag(out, 7);
    buf_zigzag_bytes(out, SLICE_LITERAL("metrics.ingest"));
    buf_put(out, "0123456789abcdef", TOPIC_ID_BYTES);
    buf_zigzag_bytes(out, SLICE_LITERAL("shape"));
    buf_zigzag(out, 2);
    buf_zigzag(out, -10);
    buf_zigzag(out, 20);
    buf_u8(out, 0);
    buf_zigzag(out, 1780000000000);
}

/* 0 metric m with 2 labels, 1 metric n without. */
static void put_old_shape(struct buf *out)
{
    static const char *const symbols[] = {"m", "", "queue", "ranked", "region", "eu", "n"};
    put_head(out);
    buf_zigzag_bytes(out, SLICE_LITERAL("server-1"));
    buf_zigzag(out, 7);
    for (size_t i = 0; i < 7; i++) {
        buf_zigzag_bytes(out, slice_str(symbols[i]));
    }
    buf_u8(out, 0);
    buf_zigzag(out, 2);
    buf_zigzag(out, 0);
    buf_zigzag(out, 1);
    buf_zigzag(out, 4);
    for (int i = 2; i < 6; i++) {
        buf_zigzag(out, i);
    }
    buf_u8(out, 0);
    buf_zigzag(out, 6);
    buf_zigzag(out, 1);
    buf_u8(out, 0);
    buf_u8(out, 0);
}

static void open_former(void)
{
    batch_versions.former = former_batch;
    batch_versions.n_former = 1;
    shape_versions.former = former_shape;
    shape_versions.n_former = 1;
}

static void close_former(void)
{
    batch_versions.n_former = 0;
    shape_versions.n_former = 0;
}

START_TEST(former_batches_are_read)
{
    struct buf old;
    struct arena a;
    struct batch b;
    struct err e = ERR_INIT;
    buf_init(&old, BYTES);
    arena_init(&a, BYTES);
    put_old_batch(&old, 0);
    ck_assert_msg(batch_decode(buf_slice(&old), &batch_default_caps, &a, &b, &e), "%s", e.text);
    ck_assert(slice_eq_str(b.tenant, "demo"));
    ck_assert_int_eq(b.class, CLASS_VERBOSE);
    ck_assert_uint_eq(b.source, (uint64_t)-5);
    ck_assert_int_eq(b.received_ms, 1234567);
    ck_assert(slice_eq_str(b.origin.topic, "metrics.ingest"));
    ck_assert_int_eq(memcmp(b.origin.topic_id, "0123456789abcdef", TOPIC_ID_BYTES), 0);
    ck_assert_int_eq(b.origin.partition, 7);
    ck_assert_int_eq(b.origin.offset, 0);
    ck_assert_uint_eq(b.redriven, 0);
    ck_assert(slice_eq_str(b.shape, "shape"));
    ck_assert_int_eq(b.times.base_ms, 1780000000000);
    int64_t times[2];
    ck_assert(batch_times_decode(&b.times, 2, times, &e));
    ck_assert_int_eq(times[0], 1779999999990);
    ck_assert_int_eq(times[1], 1780000000020);
    ck_assert_uint_eq(b.starts.n_deltas, 0);
    ck_assert(batch_value(&b, 0) == 2.5);
    ck_assert_uint_eq(b.exp.len, 0);
    arena_fini(&a);
    buf_fini(&old);
}
END_TEST

START_TEST(former_batches_are_checked)
{
    const struct {
        const char *name;
        int symbol;
        size_t arena_bytes;
        size_t cut;
    } rows[] = {{"a symbol that is gone", 3, BYTES, 0},
                {"a symbol that never was", 4, BYTES, 0},
                {"no memory", 0, 100, 0},
                {"cut off", 0, BYTES, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf old;
        struct arena a;
        struct batch b;
        struct err e = ERR_INIT;
        buf_init(&old, BYTES);
        arena_init(&a, rows[i].arena_bytes);
        put_old_batch(&old, rows[i].symbol);
        struct slice bytes = buf_slice(&old);
        bytes.len -= rows[i].cut;
        ck_assert_msg(!batch_decode(bytes, &batch_default_caps, &a, &b, &e), "%s", rows[i].name);
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
        ck_assert_ptr_nonnull(strstr(e.text, "batch of the former schema 3837363534333231: "));
        arena_fini(&a);
        buf_fini(&old);
    }
}
END_TEST

/* What avro-c would believe: strings and arrays of any length. */
START_TEST(former_batches_of_huge_lengths_are_refused)
{
    static const int64_t lengths[] = {
        -1, INT64_MIN, INT64_MAX, INT64_MAX - 1, INT64_C(1) << 40, INT64_C(1) << 31, 100};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (int in_array = 0; in_array < 2; in_array++) {
            struct buf old;
            struct arena a;
            struct batch b;
            struct err e = ERR_INIT;
            buf_init(&old, BYTES);
            arena_init(&a, BYTES);
            put_old_batch(&old, 0);
            old.len =
                in_array ? old.len - 10 : AVRO_HEAD_BYTES; /* behind: count, 2 deltas, 0, base */
            buf_zigzag(&old, lengths[i]);
            buf_put(&old, "1234567890", 10);
            ck_assert(!batch_decode(buf_slice(&old), &batch_default_caps, &a, &b, &e));
            ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
            ck_assert_uint_le(a.held_bytes, BYTES);
            arena_fini(&a);
            buf_fini(&old);
        }
    }
}
END_TEST

static void check_old_shape(const struct shape *s)
{
    ck_assert_uint_eq(s->n_series, 2);
    ck_assert(slice_eq_str(s->source_name, "server-1"));
    ck_assert(slice_eq_str(s->series[0].metric, "m"));
    ck_assert_uint_eq(s->series[0].n_labels, 2);
    ck_assert(slice_eq_str(s->series[0].labels[1].value, "eu"));
    ck_assert_int_eq(s->series[0].kind, SERIES_COUNTER); /* the first symbol: what 0 means */
    ck_assert(slice_eq_str(s->series[1].metric, "n"));
}

START_TEST(former_shapes_are_read)
{
    struct buf old;
    struct arena a;
    struct shape s;
    struct err e = ERR_INIT;
    buf_init(&old, BYTES);
    arena_init(&a, BYTES);
    put_old_shape(&old);
    ck_assert_msg(
        shape_decode(buf_slice(&old), SLICE_LITERAL("t"), &shape_default_caps, &a, &s, &e), "%s",
        e.text);
    check_old_shape(&s);
    struct shape_cache cache;
    struct cached_shape *cached;
    shape_cache_init(&cache, BYTES, &shape_default_caps, NULL);
    ck_assert(shape_cache_get(&cache, SLICE_LITERAL("t"), buf_slice(&old), &cached, &e));
    check_old_shape(&cached->shape);
    ck_assert(shape_cache_get(&cache, SLICE_LITERAL("t"), buf_slice(&old), &cached, &e));
    ck_assert_uint_eq(cache.n_hits, 1);
    shape_cache_fini(&cache);
    arena_fini(&a);
    buf_fini(&old);
}
END_TEST

START_TEST(unknown_schemas_are_named)
{
    struct arena a;
    struct batch b;
    struct err e = ERR_INIT;
    arena_init(&a, BYTES);
    close_former();
    ck_assert(!batch_decode(SLICE_LITERAL("\xc3\x01"
                                          "12345678rest"),
                            &batch_default_caps, &a, &b, &e));
    ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
    char text[200];
    (void)snprintf(text, sizeof text,
                   "batch: Avro schema 3837363534333231 is not known; the current one is %016llx",
                   (unsigned long long)batch_versions.current.fingerprint);
    ck_assert_str_eq(e.text, text);
    open_former();
    arena_fini(&a);
}
END_TEST

/* avro-c's own idea of the current schemas: it takes them, and the fingerprint is in the head. */
START_TEST(current_schemas_are_sound)
{
    const struct schema_versions *all[] = {&batch_versions, &shape_versions};
    for (size_t i = 0; i < 2; i++) {
        avro_schema_t schema;
        const char *avsc = all[i]->current.avsc;
        ck_assert_int_eq(avro_schema_from_json_length(avsc, strlen(avsc), &schema), 0);
        ck_assert(is_avro_record(schema));
        avro_schema_decref(schema);
        uint64_t fingerprint;
        memcpy(&fingerprint, all[i]->head + 2, sizeof fingerprint);
        ck_assert_uint_eq(fingerprint, all[i]->current.fingerprint);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("versions");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, open_former, close_former);
    tcase_add_test(t, former_batches_are_read);
    tcase_add_test(t, former_batches_are_checked);
    tcase_add_test(t, former_batches_of_huge_lengths_are_refused);
    tcase_add_test(t, former_shapes_are_read);
    tcase_add_test(t, unknown_schemas_are_named);
    tcase_add_test(t, current_schemas_are_sound);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
