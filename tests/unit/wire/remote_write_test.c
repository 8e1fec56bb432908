#include "wire/remote_write.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/runner.h"
#include "unit/wire/remote_write_message.h"
#include "unit/wire/remote_write_oracle.h"

enum { MAX_BYTES = 1 << 24 };

static const struct remote_write_test_series rows[] = {
    {.labels = "__name__=a_total,shard_id=s1,zone=eu",
     .type = REMOTE_WRITE_COUNTER,
     .points = {{.time_ms = 1000, .value = 1}, {.time_ms = 2000, .value = 2.5}},
     .n_points = 2},
    {.labels = "shard_id=s1,__name__=b", .points = {{.time_ms = -5, .value = -0.0}}, .n_points = 1},
    {.labels = "__name__=no_points"},
    {.labels = "__name__=h,le=x", .points = {{.time_ms = 7, .value = 9, .is_histogram = true, .count = 3}}, .n_points = 1},
    {.labels = "no=name,empty=", .points = {{.time_ms = 1, .value = 1}}, .n_points = 1},
    {.labels = "__name__=twice,a=1,a=2",
     .points = {{.time_ms = 8, .value = 1, .is_histogram = true, .is_gauge = true, .count = 1}},
     .n_points = 1},
    {.labels = "", .points = {{.time_ms = 0, .value = 0}}, .n_points = 1},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

/* What the walk says of a message, or its error, as text; valid until the next call. */
static const char *walked(enum remote_write_version version, struct slice message, const struct remote_write_caps *caps)
{
    static char text[1 << 16];
    struct err e = ERR_INIT;
    struct buf out;
    buf_init(&out, sizeof text - 1);
    if (remote_write_dump_walk(version, message, caps, &out, &e)) {
        memcpy(text, out.len > 0 ? out.ptr : (const uint8_t *)"", out.len);
        text[out.len] = '\0';
    } else {
        ck_assert_int_eq(e.kind, ERR_BAD_INPUT);
        (void)snprintf(text, sizeof text, "%s", e.text);
    }
    buf_fini(&out);
    return text;
}

START_TEST(both_versions_say_the_same)
{
    struct buf one;
    struct buf two;
    struct buf theirs;
    buf_init(&one, MAX_BYTES);
    buf_init(&two, MAX_BYTES);
    buf_init(&theirs, MAX_BYTES);
    remote_write_message(REMOTE_WRITE_1, rows, N_ROWS, &one);
    remote_write_message(REMOTE_WRITE_2, rows, N_ROWS, &two);
    ck_assert(remote_write_dump_protobuf_c(buf_slice(&one), &theirs));
    buf_u8(&theirs, 0);
    const char *told = walked(REMOTE_WRITE_1, buf_slice(&one), &remote_write_default_caps);
    ck_assert_str_eq(told, (const char *)theirs.ptr);
    ck_assert_str_eq(walked(REMOTE_WRITE_2, buf_slice(&two), &remote_write_default_caps), (const char *)theirs.ptr);
    ck_assert(strstr(told, "no_points") == NULL);
    buf_fini(&one);
    buf_fini(&two);
    buf_fini(&theirs);
}
END_TEST

/* ---- types, units, keys ---- */

struct seen {
    struct remote_write_series series[N_ROWS];
    struct remote_write_point last;
    size_t n;
};

static bool see_series(void *ctx, const struct remote_write_series *s, struct err *e)
{
    struct seen *seen = ctx;
    (void)e;
    seen->series[seen->n++] = *s;
    return true;
}

static bool see_point(void *ctx, const struct remote_write_series *s, const struct remote_write_point *p, struct err *e)
{
    (void)s;
    (void)e;
    ((struct seen *)ctx)->last = *p;
    return true;
}

static struct seen see(enum remote_write_version version, const struct remote_write_test_series *series, size_t n,
                       struct buf *message, struct arena *a)
{
    struct seen seen = {.n = 0};
    struct err e = ERR_INIT;
    const struct remote_write_sink sink = {.ctx = &seen, .series = see_series, .point = see_point};
    remote_write_message(version, series, n, message);
    ck_assert_msg(remote_write_walk(version, buf_slice(message), &remote_write_default_caps, a, &sink, &e), "%s", e.text);
    return seen;
}

START_TEST(a_series_type_is_its_family_s)
{
    const struct remote_write_test_series typed[] = {
        {.labels = "__name__=a_total", .type = REMOTE_WRITE_COUNTER, .unit = "s", .start_ms = 400,
         .points = {{.time_ms = 500, .value = 1}}, .n_points = 1},
        {.labels = "__name__=h_bucket,le=1", .type = REMOTE_WRITE_HISTOGRAM, .points = {{.time_ms = 1}}, .n_points = 1},
        {.labels = "__name__=g", .type = REMOTE_WRITE_GAUGE, .points = {{.time_ms = 1}}, .n_points = 1},
        {.labels = "__name__=untold", .points = {{.time_ms = 1}}, .n_points = 1},
    };
    for (int version = REMOTE_WRITE_1; version <= (int)REMOTE_WRITE_2; version++) {
        struct buf b;
        struct arena a;
        buf_init(&b, MAX_BYTES);
        arena_init(&a, MAX_BYTES);
        struct seen seen = see((enum remote_write_version)version, typed, 4, &b, &a);
        ck_assert_uint_eq(seen.n, 4);
        for (size_t i = 0; i < 4; i++) {
            ck_assert_int_eq(seen.series[i].type, typed[i].type);
        }
        ck_assert(slice_eq_str(seen.series[0].unit, version == (int)REMOTE_WRITE_2 ? "s" : ""));
        buf_reset(&b);
        seen = see((enum remote_write_version)version, typed, 1, &b, &a);
        ck_assert_int_eq(seen.last.start_ms, version == (int)REMOTE_WRITE_2 ? 400 : 0);
        buf_fini(&b);
        arena_fini(&a);
    }
}
END_TEST

/* Whatever else the message holds, so that verdicts can be kept by it. */
START_TEST(a_key_tells_series_apart_and_nothing_else)
{
    for (int version = REMOTE_WRITE_1; version <= (int)REMOTE_WRITE_2; version++) {
        struct buf b;
        struct buf c;
        struct arena a;
        struct arena d;
        buf_init(&b, MAX_BYTES);
        buf_init(&c, MAX_BYTES);
        arena_init(&a, MAX_BYTES);
        arena_init(&d, MAX_BYTES);
        struct seen all = see((enum remote_write_version)version, rows, N_ROWS, &b, &a);
        struct seen alone = see((enum remote_write_version)version, &rows[3], 1, &c, &d);
        bool found = false;
        for (size_t i = 0; i < all.n; i++) {
            bool same = hash128_eq(all.series[i].key, alone.series[0].key);
            ck_assert(same == slice_eq_str(all.series[i].metric, "h"));
            found |= same;
            for (size_t k = 0; k < i; k++) {
                ck_assert(!hash128_eq(all.series[i].key, all.series[k].key));
            }
        }
        ck_assert(found);
        buf_fini(&b);
        buf_fini(&c);
        arena_fini(&a);
        arena_fini(&d);
    }
}
END_TEST

/* ---- bad input ---- */

START_TEST(cut_at_every_byte)
{
    for (int version = REMOTE_WRITE_1; version <= (int)REMOTE_WRITE_2; version++) {
        struct buf b;
        buf_init(&b, MAX_BYTES);
        remote_write_message((enum remote_write_version)version, rows, N_ROWS, &b);
        for (size_t n = 0; n < b.len; n++) {
            uint8_t *piece = malloc(n + 1); /* so that a read past the end shows */
            ck_assert_ptr_nonnull(piece);
            memcpy(piece, b.ptr, n);
            (void)walked((enum remote_write_version)version, slice_of(piece, n), &remote_write_default_caps);
            free(piece);
        }
        buf_fini(&b);
    }
}
END_TEST

struct bad_row {
    enum remote_write_version version;
    const char *bytes;
    size_t n;
    const char *text;
};
#define BYTES(s) (s), sizeof(s) - 1

static const struct bad_row bad_rows[] = {
    {REMOTE_WRITE_1, BYTES("\x0a\x05\x0a\x03\x0a\x09x"), "series 0: label 0: "},
    {REMOTE_WRITE_1, BYTES("\x0a\x02\x0a\x00\x0a\x05\x12\x03\x09xx"), "series 1: point 0: "},
    {REMOTE_WRITE_1, BYTES("\x08\x01"), "WriteRequest: field 1 at byte 0 is varint"},
    {REMOTE_WRITE_1, BYTES("\x1a\x02\x12\x05"), "metadata 0: "},
    {REMOTE_WRITE_2, BYTES("\x22\x00\x2a\x04\x0a\x02\x00\x01"), "series 0: label 0: symbol 1 of 1"},
    {REMOTE_WRITE_2, BYTES("\x22\x00\x2a\x03\x0a\x01\x00"), "series 0: labels_refs: a name without a value"},
    {REMOTE_WRITE_2, BYTES("\x22\x00\x2a\x04\x2a\x02\x20\x07"), "series 0: metadata: unit is symbol 7 of 1"},
    {REMOTE_WRITE_2, BYTES("\x0a\x00"), "the other version"},
    {REMOTE_WRITE_1, BYTES("\x22\x00"), "the other version"},
    {REMOTE_WRITE_2, BYTES("\x22\x00\x2a\x03\x0a\x01\xff"), "series 0: labels_refs: cut off"},
};

START_TEST(what_is_wrong_is_named)
{
    const struct bad_row *row = &bad_rows[_i];
    const char *text = walked(row->version, slice_of((const uint8_t *)row->bytes, row->n), &remote_write_default_caps);
    ck_assert_msg(strstr(text, row->text) != NULL, "got: %s", text);
    ck_assert(text[0] != '\0');
}
END_TEST

START_TEST(caps_hold)
{
    static const struct {
        struct remote_write_caps caps;
        const char *text;
    } caps[] = {{{1 << 20, 1000, 2, 1000, 1000}, "more than 2 labels"},
                {{1 << 20, 2, 64, 1000, 1000}, "more than 2 points"},
                {{1 << 20, 1000, 64, 3, 1000}, "more than 3"},
                {{1 << 20, 1000, 64, 1000, 0}, "metadata of 1 metrics, more than 0"},
                {{10, 1000, 64, 1000, 1000}, "more than 10"}};
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        enum remote_write_version version = i == 2 ? REMOTE_WRITE_2 : REMOTE_WRITE_1;
        struct buf b;
        buf_init(&b, MAX_BYTES);
        remote_write_message(version, rows, N_ROWS, &b);
        const char *text = walked(version, buf_slice(&b), &caps[i].caps);
        ck_assert_msg(strstr(text, caps[i].text) != NULL, "%zu: %s", i, text);
        buf_fini(&b);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("remote_write");
    TCase *t = tcase_create("remote_write");
    tcase_add_test(t, both_versions_say_the_same);
    tcase_add_test(t, a_series_type_is_its_family_s);
    tcase_add_test(t, a_key_tells_series_apart_and_nothing_else);
    tcase_add_test(t, cut_at_every_byte);
    tcase_add_loop_test(t, what_is_wrong_is_named, 0, sizeof bad_rows / sizeof bad_rows[0]);
    tcase_add_test(t, caps_hold);
    suite_add_tcase(s, t);
    return run_suite(s);
}
