#include "unit/runner.h"

#include <stdio.h>

#include "tenant_metrics_avsc.h"
#include "unit/wire/tenant_oracle.h"

enum { MAX_BYTES = 1 << 20, HEAD_BYTES = 10 };

struct seen {
    uint32_t n_sources;
    uint32_t n_source_labels;
    uint32_t n_points;
    struct tenant_point last;
    struct tenant_label last_label;
};

static bool see_source(void *ctx, struct slice name, const struct tenant_label *labels,
                       uint32_t n_labels, struct err *e)
{
    struct seen *s = ctx;
    (void)name;
    (void)labels;
    (void)e;
    s->n_sources++;
    s->n_source_labels = n_labels;
    return true;
}

static bool see_point(void *ctx, const struct tenant_point *p, struct err *e)
{
    struct seen *s = ctx;
    (void)e;
    ck_assert_uint_eq(p->index, s->n_points);
    ck_assert_uint_eq(s->n_sources, 1);
    s->n_points++;
    s->last = *p;
    s->last_label = p->n_labels > 0 ? p->labels[p->n_labels - 1] : (struct tenant_label){0};
    return true;
}

static bool walk(struct slice message, const struct tenant_avro_caps *caps, struct seen *s,
                 struct err *e)
{
    struct arena scratch;
    arena_init(&scratch, MAX_BYTES);
    *s = (struct seen){0};
    *e = (struct err)ERR_INIT;
    struct tenant_avro_sink sink = {.ctx = s, .source = see_source, .point = see_point};
    bool ok = tenant_avro_walk(message, caps, &scratch, &sink, e);
    arena_fini(&scratch);
    return ok;
}

static struct slice vector_read(const char *name, uint8_t *space)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tenant_avro/%s.bin", VECTORS, name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "no vector %s", path);
    size_t len = fread(space, 1, MAX_BYTES, f);
    (void)fclose(f);
    return slice_of(space, len);
}

static const struct {
    const char *name;
    uint32_t n_points;
    const char *text; /* NULL: taken */
} rows[] = {
    {"no_points", 0, NULL},
    {"one", 1, NULL},
    {"all_fields", 1, NULL},
    {"many", 12, NULL},
    {"numbers", 6, NULL},
    {"text", 1, NULL},
    {"two_blocks", 3, NULL},
    {"sized_blocks", 2, NULL},
    {"sized_labels", 1, NULL},
    {"wrong_block_size", 0, "points' blocks: bad or cut off"},
    {"huge_count", 0, "points' blocks: bad or cut off"},
    {"least_count", 0, "points' blocks: bad or cut off"},
    {"negative_size", 0, "points' blocks: bad or cut off"},
    {"name_twice", 0, "point 0: label 1 has the name of one before"},
    {"unknown_kind", 0, "point 0: kind 2 is not known"},
    {"negative_kind", 0, "point 0: kind -1 is not known"},
    {"negative_length", 0, "source: bad or cut off"},
    {"length_2_to_62", 0, "source: bad or cut off"},
    {"behind_the_end", 0, "1 bytes behind the record"},
    {"unknown_schema", 0,
     "Avro schema 3837363534333231 is not known; tenant_metrics.avsc is ee15a57126b54b92"},
    {"no_head", 0, "not Avro single-object encoding"},
};

START_TEST(vectors_decode_or_say_why)
{
    uint8_t *space = malloc(MAX_BYTES);
    ck_assert_ptr_nonnull(space);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct seen seen;
        struct err e;
        bool ok = walk(vector_read(rows[i].name, space), &tenant_avro_default_caps, &seen, &e);
        ck_assert_msg(ok == (rows[i].text == NULL), "%s: %s", rows[i].name, e.text);
        if (ok) {
            ck_assert_msg(seen.n_points == rows[i].n_points, "%s: %u points", rows[i].name,
                          seen.n_points);
        } else {
            ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
            ck_assert_msg(strcmp(e.text, rows[i].text) == 0, "%s: %s", rows[i].name, e.text);
        }
    }
    free(space);
}
END_TEST

START_TEST(vectors_read_as_by_avro_c)
{
    uint8_t *space = malloc(MAX_BYTES);
    ck_assert_ptr_nonnull(space);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].text != NULL) {
            continue;
        }
        struct err e = ERR_INIT;
        struct buf ours;
        struct buf theirs;
        buf_init(&ours, MAX_BYTES);
        buf_init(&theirs, MAX_BYTES);
        struct slice message = vector_read(rows[i].name, space);
        ck_assert(tenant_dump_walk(message, &tenant_avro_default_caps, &ours, &e));
        ck_assert_msg(tenant_dump_avro_c(message, &theirs), "%s: avro-c refuses it", rows[i].name);
        ck_assert_msg(slice_eq(buf_slice(&ours), buf_slice(&theirs)), "%s:\n%s\n%s", rows[i].name,
                      buf_c_str(&ours), buf_c_str(&theirs));
        buf_fini(&ours);
        buf_fini(&theirs);
    }
    free(space);
}
END_TEST

START_TEST(every_prefix_is_bad_input)
{
    uint8_t *space = malloc(MAX_BYTES);
    ck_assert_ptr_nonnull(space);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice message = vector_read(rows[i].name, space);
        for (size_t cut = 0; cut < message.len && rows[i].text == NULL; cut++) {
            struct seen seen;
            struct err e;
            uint8_t *copy = malloc(cut + 1);
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, message.ptr, cut);
            ck_assert_msg(!walk(slice_of(copy, cut), &tenant_avro_default_caps, &seen, &e),
                          "%s cut at %zu", rows[i].name, cut);
            ck_assert(e.kind == ERR_BAD_INPUT && e.text[0] != 0);
            free(copy);
        }
    }
    free(space);
}
END_TEST

START_TEST(all_fields_come_through)
{
    uint8_t *space = malloc(MAX_BYTES);
    struct seen seen;
    struct err e;
    ck_assert_ptr_nonnull(space);
    ck_assert(walk(vector_read("all_fields", space), &tenant_avro_default_caps, &seen, &e));
    ck_assert_uint_eq(seen.n_source_labels, 1);
    ck_assert(slice_eq_str(seen.last.metric, "game_logins_total"));
    ck_assert_int_eq(seen.last.kind, TENANT_GAUGE);
    ck_assert(slice_eq_str(seen.last.unit, "s"));
    ck_assert_uint_eq(seen.last.n_labels, 2);
    ck_assert(slice_eq_str(seen.last_label.name, "mode") &&
              slice_eq_str(seen.last_label.value, "duel"));
    ck_assert(seen.last.value == 1.0);
    ck_assert_int_eq(seen.last.time_ms, 1780000000000);
    ck_assert_int_eq(seen.last.start_ms, 5);
    free(space);
}
END_TEST

START_TEST(caps_hold)
{
    uint8_t *space = malloc(MAX_BYTES);
    struct seen seen;
    struct err e;
    ck_assert_ptr_nonnull(space);
    struct slice many = vector_read("many", space);
    struct tenant_avro_caps caps = tenant_avro_default_caps;
    caps.max_points = 12;
    ck_assert(walk(many, &caps, &seen, &e));
    caps.max_points = 11;
    ck_assert(!walk(many, &caps, &seen, &e));
    ck_assert_str_eq(e.text, "more than 11 points");
    caps.max_message_bytes = many.len - 1;
    ck_assert(!walk(many, &caps, &seen, &e));
    caps = tenant_avro_default_caps;
    caps.max_labels = 1;
    ck_assert(!walk(vector_read("all_fields", space), &caps, &seen, &e));
    ck_assert_str_eq(e.text, "point 0: more than 1 labels");
    free(space);
}
END_TEST

START_TEST(the_leading_bytes_tell)
{
    ck_assert(tenant_avro_is(SLICE_LITERAL("\xc3\x01")));
    ck_assert(!tenant_avro_is(SLICE_LITERAL("\xc3")));
    ck_assert(!tenant_avro_is(SLICE_LITERAL("\x0a\x01")));
    ck_assert(!tenant_avro_is(SLICE_NONE));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tenant_avro");
    TCase *tcase = tcase_create("walk");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, vectors_decode_or_say_why);
    tcase_add_test(tcase, vectors_read_as_by_avro_c);
    tcase_add_test(tcase, every_prefix_is_bad_input);
    tcase_add_test(tcase, all_fields_come_through);
    tcase_add_test(tcase, caps_hold);
    tcase_add_test(tcase, the_leading_bytes_tell);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
