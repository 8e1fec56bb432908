#include "unit/wire/remote_write_message.h"

#include <stdlib.h>

#include "unit/wire/protobuf_put.h"

enum { MAX_SYMBOLS = 4096 };

struct symbols {
    struct slice texts[MAX_SYMBOLS];
    uint32_t n;
};

static uint32_t symbol(struct symbols *s, struct slice text)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (slice_eq(s->texts[i], text)) {
            return i;
        }
    }
    if (s->n == MAX_SYMBOLS) {
        abort();
    }
    s->texts[s->n] = text;
    return s->n++;
}

static void put_histogram(struct buf *series, unsigned number, const struct remote_write_test_point *p)
{
    struct buf h;
    struct buf span;
    struct buf deltas;
    buf_init(&h, PUT_MAX_BYTES);
    buf_init(&span, PUT_MAX_BYTES);
    buf_init(&deltas, PUT_MAX_BYTES);
    put_varint(&h, 1, p->count);
    put_double(&h, 3, p->value);
    put_varint(&span, 1, 6); /* zigzag of 3 */
    put_varint(&span, 2, 1);
    put_message(&h, 11, &span);
    buf_zigzag(&deltas, (int64_t)p->count + p->bad_count);
    put_message(&h, 12, &deltas);
    if (p->is_gauge) {
        put_varint(&h, 14, 3);
    }
    put_varint(&h, 15, (uint64_t)p->time_ms);
    put_message(series, number, &h);
}

static void put_points(struct buf *b, unsigned histograms, const struct remote_write_test_series *s)
{
    for (size_t i = 0; i < s->n_points; i++) {
        const struct remote_write_test_point *p = &s->points[i];
        struct buf sample;
        if (p->is_histogram) {
            put_histogram(b, histograms, p);
            continue;
        }
        buf_init(&sample, PUT_MAX_BYTES);
        put_double(&sample, 1, p->value);
        put_varint(&sample, 2, (uint64_t)p->time_ms);
        put_message(b, 2, &sample);
    }
}

static struct slice family_of(const char *labels)
{
    static const char *const suffixes[] = {"_total", "_bucket", "_count", "_sum"};
    struct slice name;
    struct slice value = SLICE_NONE;
    (void)next_label(&labels, &name, &value); /* __name__ comes first where there is a type */
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t n = strlen(suffixes[i]);
        if (value.len > n && memcmp(value.ptr + value.len - n, suffixes[i], n) == 0) {
            return slice_of(value.ptr, value.len - n);
        }
    }
    return value;
}

static void put_series_1(struct buf *out, const struct remote_write_test_series *s)
{
    struct buf b;
    struct slice name;
    struct slice value;
    buf_init(&b, PUT_MAX_BYTES);
    for (const char *at = s->labels; next_label(&at, &name, &value);) {
        struct buf label;
        buf_init(&label, PUT_MAX_BYTES);
        put_text(&label, 1, name);
        put_text(&label, 2, value);
        put_message(&b, 1, &label);
    }
    put_points(&b, 4, s);
    put_message(out, 1, &b);
}

static void put_metadata_1(struct buf *out, const struct remote_write_test_series *s)
{
    struct buf b;
    if (s->type == REMOTE_WRITE_UNKNOWN) {
        return;
    }
    buf_init(&b, PUT_MAX_BYTES);
    put_varint(&b, 1, (uint64_t)s->type);
    put_text(&b, 2, family_of(s->labels));
    put_text(&b, 4, slice_str("What it is."));
    put_message(out, 3, &b);
}

static void put_series_2(struct buf *out, struct symbols *symbols, const struct remote_write_test_series *s)
{
    struct buf b;
    struct buf refs;
    struct buf metadata;
    struct slice name;
    struct slice value;
    buf_init(&b, PUT_MAX_BYTES);
    buf_init(&refs, PUT_MAX_BYTES);
    buf_init(&metadata, PUT_MAX_BYTES);
    for (const char *at = s->labels; next_label(&at, &name, &value);) {
        buf_varint(&refs, symbol(symbols, name));
        buf_varint(&refs, symbol(symbols, value));
    }
    put_message(&b, 1, &refs);
    put_points(&b, 3, s);
    put_varint(&metadata, 1, (uint64_t)s->type);
    put_varint(&metadata, 3, symbol(symbols, slice_str("What it is.")));
    put_varint(&metadata, 4, symbol(symbols, slice_str(s->unit == NULL ? "" : s->unit)));
    put_message(&b, 5, &metadata);
    if (s->start_ms != 0) {
        put_varint(&b, 6, (uint64_t)s->start_ms);
    }
    put_message(out, 5, &b);
}

void remote_write_message(enum remote_write_version version, const struct remote_write_test_series *series, size_t n,
                          struct buf *out)
{
    struct symbols *symbols = calloc(1, sizeof *symbols);
    if (symbols == NULL) {
        abort();
    }
    (void)symbol(symbols, slice_str(""));
    for (size_t i = 0; i < n; i++) {
        if (version == REMOTE_WRITE_1) {
            put_series_1(out, &series[i]);
        } else {
            put_series_2(out, symbols, &series[i]);
        }
    }
    for (size_t i = 0; version == REMOTE_WRITE_1 && i < n; i++) {
        put_metadata_1(out, &series[i]);
    }
    for (uint32_t i = 0; version == REMOTE_WRITE_2 && i < symbols->n; i++) {
        put_text(out, 4, symbols->texts[i]);
    }
    free(symbols);
}
