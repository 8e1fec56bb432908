#include "rig.h"

#include <inttypes.h>
#include <stdio.h>

#include "limit_source_avsc.h"
#include "wire/avro_blocks.h"

enum { TEXT_BYTES = 1 << 22, ARENA_BYTES = 128 << 20 };

static struct buf text;

static const char *text_end(void)
{
    ck_assert(buf_ok(&text));
    return buf_c_str(&text);
}

static void text_begin(void)
{
    if (text.max_bytes == 0) {
        buf_init(&text, TEXT_BYTES);
    }
    buf_reset(&text);
}

/* Series of one metric that stand together are counted; one alone is named in full. */
static void series_text(const struct shape *shape)
{
    for (uint32_t i = 0; i < shape->n_series;) {
        const struct series *s = &shape->series[i];
        uint32_t n = 1;
        while (i + n < shape->n_series && slice_eq(shape->series[i + n].metric, s->metric)) {
            n++;
        }
        buf_printf(&text, " %.*s", SLICE_ARG(s->metric));
        if (n > 1) {
            buf_printf(&text, "*%" PRIu32, n);
        }
        for (uint32_t k = 0; n == 1 && k < s->n_labels; k++) {
            buf_printf(&text, "%s%.*s=%.*s%s", k == 0 ? "{" : ",", SLICE_ARG(s->labels[k].name),
                       SLICE_ARG(s->labels[k].value), k + 1 == s->n_labels ? "}" : "");
        }
        i += n;
    }
}

static void batch_text(struct rig *r, const struct outgoing *o)
{
    struct arena a;
    struct err e = ERR_INIT;
    struct batch b;
    struct shape shape;
    arena_init(&a, ARENA_BYTES);
    ck_assert_int_eq(o->partition, r->partition.number);
    ck_assert_msg(batch_decode(o->value, &batch_default_caps, &a, &b, &e), "%s", e.text);
    if (b.shape.len == 0) {
        ck_assert(b.origin.topic.len == 0 && b.tenant.len == 0 && o->key.ptr == NULL);
        buf_printf(&text, "~ @%" PRId64 "\n", b.received_ms - NOW_MS);
    } else {
        ck_assert_msg(shape_decode(b.shape, b.tenant, &shape_default_caps, &a, &shape, &e), "%s",
                      e.text);
        ck_assert_msg(batch_check_shape(&b, &shape, &e), "%s", e.text);
        ck_assert(o->key.len == 8 && memcmp(o->key.ptr, &b.source, 8) == 0);
        buf_printf(&text, "> %.*s %s", SLICE_ARG(shape.source_name), batch_class_name(b.class));
        series_text(&shape);
        buf_u8(&text, '\n');
    }
    arena_fini(&a);
}

struct letter {
    struct slice tenant;
    struct slice reason;
    struct slice metric;
    struct slice text;
    int64_t n_samples;
    int64_t n_points;
    int64_t n_suppressed;
};

static struct letter letter_read(const struct outgoing *o)
{
    struct letter l;
    struct cursor c = cursor_of(o->value);
    (void)cursor_take(&c, AVRO_HEAD_BYTES);
    l.tenant = cursor_zigzag_bytes(&c);
    ck_assert(slice_eq_str(cursor_zigzag_bytes(&c), "limit"));
    l.reason = cursor_zigzag_bytes(&c);
    l.metric = cursor_zigzag_bytes(&c);
    (void)cursor_zigzag(&c); /* received_ms */
    ck_assert_uint_gt(cursor_zigzag_bytes(&c).len, 0);
    (void)cursor_take(&c, TOPIC_ID_BYTES);
    for (int i = 0; i < 3; i++) { /* partition, offset, index */
        (void)cursor_zigzag(&c);
    }
    l.n_samples = cursor_zigzag(&c);
    l.n_points = cursor_zigzag(&c);
    for (int64_t i = 0; i < l.n_points; i++) {
        ck_assert_uint_eq(cursor_zigzag_bytes(&c).len, 16);
        (void)cursor_zigzag(&c);
    }
    if (l.n_points > 0) {
        ck_assert_int_eq(cursor_zigzag(&c), 0);
    }
    (void)cursor_zigzag_bytes(&c); /* label, masked value */
    (void)cursor_zigzag_bytes(&c);
    l.text = cursor_zigzag_bytes(&c);
    ck_assert_uint_eq(cursor_zigzag_bytes(&c).len, 0);      /* nothing is masked */
    ck_assert_uint_ge(cursor_zigzag_bytes(&c).len, 16); /* the policy's version */
    l.n_suppressed = cursor_zigzag(&c);
    ck_assert_int_eq(cursor_zigzag(&c), 0); /* no further labels */
    ck_assert(cursor_ok(&c) && cursor_left(&c) == 0);
    ck_assert(slice_eq(l.tenant, o->key));
    return l;
}

const char *rig_text(struct rig *r)
{
    text_begin();
    for (size_t i = 0; i < r->out.n; i++) {
        const struct outgoing *o = &r->out.records[i];
        if (o->output == OUTPUT_ADMITTED) {
            batch_text(r, o);
        } else if (o->output == OUTPUT_DLQ) {
            struct letter l = letter_read(o);
            buf_printf(&text, "! %.*s %.*s %.*s %" PRId64 "/%" PRId64, SLICE_ARG(l.reason),
                       SLICE_ARG(l.tenant), SLICE_ARG(l.metric), l.n_samples, l.n_points);
            if (l.n_suppressed != 0) {
                buf_printf(&text, " and %" PRId64 " before", l.n_suppressed);
            }
            buf_u8(&text, '\n');
        }
    }
    return text_end();
}

const char *rig_letter_text(struct rig *r)
{
    text_begin();
    for (size_t i = 0; i < r->out.n; i++) {
        if (r->out.records[i].output == OUTPUT_DLQ) {
            buf_put_slice(&text, letter_read(&r->out.records[i]).text);
            break;
        }
    }
    return text_end();
}

static void group_text(struct cursor *c)
{
    struct slice metric = cursor_zigzag_bytes(c);
    int32_t weight = avro_int(c);
    int32_t over = avro_int(c);
    int32_t lapsed = avro_int(c);
    int64_t seen_ms = cursor_zigzag(c);
    struct slice ids = cursor_zigzag_bytes(c);
    buf_printf(&text, " %.*s*%zu", SLICE_ARG(metric), ids.len / 16);
    if (weight != 1) {
        buf_printf(&text, "/%d", weight);
    }
    if (over != 0) {
        buf_printf(&text, "!%d", over);
    }
    buf_printf(&text, "%s@%" PRId64, lapsed != 0 ? "?" : "", seen_ms - NOW_MS);
}

const char *rig_state(struct rig *r)
{
    text_begin();
    for (size_t i = r->n_state_before; i < r->n_state; i++) {
        struct cursor c = cursor_of(r->state[i].value);
        struct slice head = cursor_take(&c, AVRO_HEAD_BYTES);
        if (r->state[i].value.ptr == NULL) {
            buf_printf(&text, "# gone\n");
            continue;
        }
        if (!slice_eq(head, slice_of(LIMIT_SOURCE_HEAD, AVRO_HEAD_BYTES))) {
            continue; /* the partition's own, leases, grants */
        }
        (void)cursor_zigzag_bytes(&c);
        (void)cursor_zigzag(&c);
        struct slice name = cursor_zigzag_bytes(&c);
        buf_printf(&text, "# %.*s", SLICE_ARG(name));
        for (struct blocks b = {0}; blocks_next(&c, &b, 6);) {
            group_text(&c);
        }
        ck_assert(cursor_ok(&c) && !cursor_more(&c));
        buf_u8(&text, '\n');
    }
    return text_end();
}
