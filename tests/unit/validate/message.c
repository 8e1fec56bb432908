#include "message.h"

#include "../wire/protobuf_put.h"
#include "tenant_metrics_avsc.h"

static void put_attributes(struct buf *b, unsigned number, const char *labels)
{
    struct slice name;
    struct slice value;
    while (next_label(&labels, &name, &value)) {
        struct buf any;
        struct buf pair;
        buf_init(&any, PUT_MAX_BYTES);
        buf_init(&pair, PUT_MAX_BYTES);
        put_text(&any, 1, value);
        put_text(&pair, 1, name);
        put_message(&pair, 2, &any);
        put_message(b, number, &pair);
    }
}

static void put_number(struct buf *b, const struct message_point *p)
{
    put_fixed(b, 2, (uint64_t)p->start_ms * 1000000);
    put_fixed(b, 3, (uint64_t)p->time_ms * 1000000);
    if (!p->no_value_field) {
        put_double(b, 4, p->value);
    }
    put_attributes(b, 7, p->labels);
    if (p->stale) {
        put_varint(b, 8, 1);
    }
}

static void put_exp(struct buf *b, const struct message_point *p)
{
    struct buf side;
    buf_init(&side, PUT_MAX_BYTES);
    put_attributes(b, 1, p->labels);
    put_fixed(b, 2, (uint64_t)p->start_ms * 1000000);
    put_fixed(b, 3, (uint64_t)p->time_ms * 1000000);
    put_fixed(b, 4, p->count + p->n_more / 2 * 127);
    put_double(b, 5, p->value);
    put_varint(b, 6, (uint32_t)((uint32_t)p->scale << 1 ^ (uint32_t)(p->scale >> 31)));
    put_varint(&side, 1, 6);
    struct buf counts;
    buf_init(&counts, PUT_MAX_BYTES);
    buf_varint(&counts, p->count);
    for (uint32_t i = 0; i < p->n_more; i++) {
        buf_varint(&counts, i % 2 == 0 ? 0 : 127);
    }
    put_message(&side, 2, &counts);
    put_message(b, 8, &side);
    if (p->stale) {
        put_varint(b, 10, 1);
    }
}

static void put_classic(struct buf *b, const struct message_point *p)
{
    put_fixed(b, 2, (uint64_t)p->start_ms * 1000000);
    put_fixed(b, 3, (uint64_t)p->time_ms * 1000000);
    put_fixed(b, 4, p->count);
    put_double(b, 5, p->value);
    put_fixed(b, 6, p->count);
    if (!p->bad_counts) {
        put_fixed(b, 6, 0);
    }
    put_double(b, 7, p->bound);
    put_attributes(b, 9, p->labels);
    if (p->stale) {
        put_varint(b, 10, 1);
    }
}

static void put_summary(struct buf *b, const struct message_point *p)
{
    struct buf quantile;
    buf_init(&quantile, PUT_MAX_BYTES);
    put_fixed(b, 3, (uint64_t)p->time_ms * 1000000);
    put_fixed(b, 4, p->count);
    put_double(b, 5, p->value);
    put_double(&quantile, 1, 0.5);
    put_double(&quantile, 2, p->value / 2);
    put_message(b, 6, &quantile);
    put_attributes(b, 7, p->labels);
}

static void put_metric(struct buf *b, const struct message_point *p)
{
    struct buf point;
    struct buf data;
    buf_init(&point, PUT_MAX_BYTES);
    buf_init(&data, PUT_MAX_BYTES);
    put_text(b, 1, slice_str(p->metric));
    put_text(b, 3, slice_str(p->unit == NULL ? "" : p->unit));
    switch (p->kind) {
    case MSG_EXP:
        put_exp(&point, p);
        break;
    case MSG_CLASSIC:
        put_classic(&point, p);
        break;
    case MSG_SUMMARY:
        put_summary(&point, p);
        break;
    default:
        put_number(&point, p);
        break;
    }
    put_message(&data, 1, &point);
    if (p->kind != MSG_GAUGE && p->kind != MSG_SUMMARY) {
        put_varint(&data, 2, p->temporality);
    }
    if (p->kind == MSG_SUM) {
        put_varint(&data, 3, 1);
    }
    static const unsigned numbers[] = {7, 7, 5, 10, 9, 11};
    put_message(b, numbers[p->kind], &data);
}

void message_resource(struct buf *message, const char *attributes,
                      const struct message_point *points, size_t n)
{
    struct buf resource;
    struct buf scope;
    struct buf whole;
    buf_init(&resource, PUT_MAX_BYTES);
    buf_init(&scope, PUT_MAX_BYTES);
    buf_init(&whole, PUT_MAX_BYTES);
    put_attributes(&resource, 1, attributes);
    for (size_t i = 0; i < n; i++) {
        struct buf metric;
        buf_init(&metric, PUT_MAX_BYTES);
        put_metric(&metric, &points[i]);
        put_message(&scope, 2, &metric);
    }
    put_message(&whole, 1, &resource);
    put_message(&whole, 2, &scope);
    put_message(message, 1, &whole);
}

static void put_map(struct buf *b, const char *labels)
{
    struct slice name;
    struct slice value;
    while (next_label(&labels, &name, &value)) {
        buf_zigzag(b, 1);
        buf_zigzag_bytes(b, name);
        buf_zigzag_bytes(b, value);
    }
    buf_zigzag(b, 0);
}

void message_avro(struct buf *message, const char *source, const char *labels,
                  const struct message_point *points, size_t n)
{
    buf_put(message, TENANT_METRICS_HEAD, 10);
    buf_zigzag_bytes(message, slice_str(source));
    put_map(message, labels);
    for (size_t i = 0; i < n; i++) {
        buf_zigzag(message, 1);
        buf_zigzag_bytes(message, slice_str(points[i].metric));
        buf_zigzag(message, points[i].kind == MSG_GAUGE ? 1 : 0);
        buf_zigzag_bytes(message, slice_str(points[i].unit == NULL ? "" : points[i].unit));
        put_map(message, points[i].labels);
        buf_double(message, points[i].value);
        buf_zigzag(message, points[i].time_ms);
        buf_zigzag(message, points[i].start_ms);
    }
    buf_zigzag(message, 0);
}
