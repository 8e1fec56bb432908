#include "row.h"

int head_cmp(const struct head *a, const struct head *b)
{
    if (a->table != b->table) {
        return a->table < b->table ? -1 : 1;
    }
    if (a->slot != b->slot) {
        return a->slot < b->slot ? -1 : 1;
    }
    int order = a->tenant.ptr == b->tenant.ptr && a->tenant.len == b->tenant.len
                    ? 0
                    : slice_cmp(a->tenant, b->tenant);
    order = order != 0 ? order : slice_cmp(a->series.metric, b->series.metric);
    if (order != 0) {
        return order;
    }
    const struct hash128 x = a->series.id;
    const struct hash128 y = b->series.id;
    if (x.hi != y.hi) {
        return x.hi < y.hi ? -1 : 1;
    }
    return (x.lo > y.lo) - (x.lo < y.lo);
}

bool head_eq(const struct head *a, const struct head *b)
{
    return a->table == b->table && a->slot == b->slot && a->class == b->class &&
           slice_eq(a->tenant, b->tenant) && slice_eq(a->source, b->source) &&
           series_cmp(&a->series, &b->series) == 0;
}

enum { FLAG_DELTA = 1 };

void head_put(const struct head *h, struct buf *out)
{
    const struct series *s = &h->series;
    buf_u8(out, (uint8_t)h->table);
    buf_zigzag(out, h->slot);
    buf_u8(out, (uint8_t)h->class);
    buf_u8(out, (uint8_t)s->kind);
    buf_u8(out, s->delta ? FLAG_DELTA : 0);
    buf_le64(out, s->id.hi);
    buf_le64(out, s->id.lo);
    buf_varint_bytes(out, h->tenant);
    buf_varint_bytes(out, h->source);
    buf_varint_bytes(out, s->metric);
    buf_varint_bytes(out, s->unit);
    buf_varint(out, s->n_labels);
    for (uint32_t i = 0; i < s->n_labels; i++) {
        buf_varint_bytes(out, s->labels[i].name);
        buf_varint_bytes(out, s->labels[i].value);
    }
    buf_varint(out, s->n_bounds);
    for (uint32_t i = 0; i < s->n_bounds; i++) {
        buf_double(out, s->bounds[i]);
    }
}

static struct slice text_take(struct cursor *c, struct arena *a, bool *ok)
{
    struct slice text = arena_copy(a, cursor_varint_bytes(c));
    *ok = *ok && text.ptr != NULL;
    return text;
}

/* How many items of at least item_bytes come next; fails when that is more than is left. */
static uint32_t count_take(struct cursor *c, size_t item_bytes)
{
    uint64_t n = cursor_varint(c);
    if (n > cursor_left(c) / item_bytes || n > UINT32_MAX) {
        cursor_fail(c);
        return 0;
    }
    return (uint32_t)n;
}

static bool labels_take(struct cursor *c, struct arena *a, struct series *s)
{
    bool ok = true;
    s->n_labels = count_take(c, 2);
    struct label *labels = ARENA_ARRAY(a, struct label, s->n_labels);
    for (uint32_t i = 0; i < s->n_labels && labels != NULL; i++) {
        labels[i].name = text_take(c, a, &ok);
        labels[i].value = text_take(c, a, &ok);
    }
    s->labels = labels;
    return ok && labels != NULL;
}

static bool bounds_take(struct cursor *c, struct arena *a, struct series *s)
{
    s->n_bounds = count_take(c, sizeof(double));
    double *bounds = ARENA_ARRAY(a, double, s->n_bounds);
    for (uint32_t i = 0; i < s->n_bounds && bounds != NULL; i++) {
        bounds[i] = cursor_double(c);
    }
    s->bounds = bounds;
    return bounds != NULL;
}

bool head_take(struct cursor *c, struct arena *a, struct head *out)
{
    bool ok = true;
    struct series *s = &out->series;
    *out = (struct head){.table = (enum table_id)cursor_u8(c)};
    out->slot = cursor_zigzag(c);
    out->class = (enum batch_class)cursor_u8(c);
    s->kind = (enum series_kind)cursor_u8(c);
    s->delta = cursor_u8(c) == FLAG_DELTA;
    s->id.hi = cursor_le64(c);
    s->id.lo = cursor_le64(c);
    out->tenant = text_take(c, a, &ok);
    out->source = text_take(c, a, &ok);
    s->metric = text_take(c, a, &ok);
    s->unit = text_take(c, a, &ok);
    ok = labels_take(c, a, s) && ok;
    ok = bounds_take(c, a, s) && ok;
    return ok && cursor_ok(c) && out->table < N_TABLES && out->class < N_CLASSES &&
           s->kind <= SERIES_CLASSIC_HISTOGRAM;
}

bool head_copy(const struct head *h, struct arena *a, struct head *out)
{
    const struct series *s = &h->series;
    *out = *h;
    out->tenant = arena_copy(a, h->tenant);
    out->source = arena_copy(a, h->source);
    out->series.metric = arena_copy(a, s->metric);
    out->series.unit = arena_copy(a, s->unit);
    struct label *labels = ARENA_ARRAY(a, struct label, s->n_labels);
    bool ok = labels != NULL && out->tenant.ptr != NULL && out->source.ptr != NULL &&
              out->series.metric.ptr != NULL && out->series.unit.ptr != NULL;
    for (uint32_t i = 0; ok && i < s->n_labels; i++) {
        labels[i].name = arena_copy(a, s->labels[i].name);
        labels[i].value = arena_copy(a, s->labels[i].value);
        ok = labels[i].name.ptr != NULL && labels[i].value.ptr != NULL;
    }
    out->series.labels = labels;
    struct slice bounds = slice_of(s->bounds, s->n_bounds * sizeof *s->bounds);
    out->series.bounds = (const double *)(const void *)arena_copy(a, bounds).ptr;
    return ok && out->series.bounds != NULL;
}
