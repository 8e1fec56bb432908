#include "merge.h"

#include <math.h>

enum { ARENA_BYTES = 192 << 20, PACKED_BYTES = 1 << 20 };

void merger_init(struct merger *m, struct increase *x)
{
    *m = (struct merger){.increase = x};
    columns_init(&m->columns);
    arena_init(&m->arena, ARENA_BYTES);
    buf_init(&m->packed, PACKED_BYTES);
    buf_init(&m->shape, row_shape_caps.max_bytes);
}

void merger_fini(struct merger *m)
{
    columns_fini(&m->columns);
    arena_fini(&m->arena);
    buf_fini(&m->packed);
    buf_fini(&m->shape);
}

static void gauge_merge(const struct row_series *a, struct row_series *out)
{
    if (a->samples == 0) {
        return;
    }
    if (out->samples == 0) {
        out->min = a->min;
        out->max = a->max;
        out->last = a->last;
        out->last_ms = a->last_ms;
    } else {
        out->min = out->min < a->min ? out->min : a->min;
        out->max = out->max > a->max ? out->max : a->max;
    }
    out->sum = a->sum + out->sum;
}

static void counter_merge(const struct layout l, const struct row_series *a, struct row_series *out)
{
    out->delta = a->delta + out->delta;
    if (l.delta && out->samples == 0) { /* last is of the window alone */
        out->last = a->last;
        out->last_ms = a->last_ms;
    }
}

static bool histogram_merge(struct merger *m, struct layout l, const struct row_series *a,
                            struct row_series *out, struct err *e)
{
    int32_t schema = l.kind == SERIES_EXP_HISTOGRAM ? packed_schema(m->increase, out->packed[0])
                                                    : HISTOGRAM_MAX_SCHEMA;
    if (l.delta && out->samples == 0) {
        out->last_ms = a->last_ms;
    }
    if (!packed_add(m->increase, l, a->packed[1], out->packed[1], schema, &m->packed, e)) {
        return false;
    }
    out->packed[1] = buf_slice(&m->packed);
    return true;
}

/* Both late amounts, added. m->packed is written behind what it holds. */
static bool late_merge(struct merger *m, struct layout l, struct slice a, struct row_series *out,
                       struct err *e)
{
    if (a.ptr == NULL || out->late.ptr == NULL) {
        out->late = a.ptr == NULL ? out->late : a;
        return true;
    }
    size_t at = m->packed.len;
    bool has_delta = kind_is_packed(l.kind);
    if (!has_delta) {
        double x;
        double y;
        memcpy(&x, a.ptr, sizeof x);
        memcpy(&y, out->late.ptr, sizeof y);
        buf_double(&m->packed, x + y);
    } else if (!packed_add(m->increase, l, a, out->late, HISTOGRAM_MAX_SCHEMA, &m->packed, e)) {
        return false;
    }
    if (has_delta) { /* it may have moved */
        out->packed[1].ptr = m->packed.ptr;
    }
    out->late = slice_of(m->packed.ptr + at, m->packed.len - at);
    return true;
}

/* a, then b; either may be NULL. What b has is in the buffers of its row. */
static bool series_merge(struct merger *m, struct layout l, const struct row_series *a,
                         const struct row_series *b, struct err *e)
{
    struct row_series out = b != NULL ? *b : *a;
    buf_reset(&m->packed);
    arena_reset(&m->increase->arena);
    if (a != NULL && b != NULL) {
        switch ((enum series_kind)l.kind) {
        case SERIES_COUNTER:
            counter_merge(l, a, &out);
            break;
        case SERIES_GAUGE:
            gauge_merge(a, &out);
            break;
        case SERIES_EXP_HISTOGRAM:
        case SERIES_CLASSIC_HISTOGRAM:
            if (!histogram_merge(m, l, a, &out, e)) {
                return false;
            }
            break;
        }
        out.ended |= a->ended && b->samples == 0; /* late amounts alone say nothing about it */
        out.samples += a->samples;
        if (!late_merge(m, l, a->late, &out, e)) {
            return false;
        }
    }
    columns_put(&m->columns, (enum series_kind)l.kind, &out);
    return buf_ok(&m->packed) || err_set(e, ERR_FATAL, "out of memory");
}

/* A late row's series, no gauge: all that it brings is late. Of the window that it goes with it says nothing: it has no
 * sample there, and of temporality delta, where last is of the window alone, no last. */
static void series_make_late(struct layout l, struct row_series *v)
{
    if (kind_is_packed(l.kind)) {
        v->late = v->packed[1];
    } else {
        v->late = slice_of(&v->delta, sizeof v->delta);
        v->last = l.delta ? (double)NAN : v->last;
    }
    v->last_ms = l.delta ? 0 : v->last_ms;
    v->samples = 0;
    v->ended = false;
}

static bool merge_same(struct merger *m, const struct rollup *a, const struct rollup *b,
                       const struct layout *layouts, struct err *e)
{
    struct row_reader of_a = row_reader_of(a);
    struct row_reader of_b = row_reader_of(b);
    if (!columns_begin(&m->columns, b->n_series)) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (uint32_t i = 0; i < b->n_series; i++) {
        struct row_series x;
        struct row_series y;
        row_next(&of_a, layouts[i], &x);
        row_next(&of_b, layouts[i], &y);
        if (!series_merge(m, layouts[i], &x, &y, e)) {
            return false;
        }
    }
    return true;
}

static bool shape_read(struct merger *m, const struct rollup *r, struct shape *out, struct err *e)
{
    *out = (struct shape){0};
    return r == NULL || r->shape.len == 0 ||
           shape_decode(r->shape, r->tenant, &row_shape_caps, &m->arena, out, e);
}

struct side {
    struct shape shape;
    struct row_reader reader;
    uint32_t i;
};

static const struct series *side_series(const struct side *s)
{
    return s->i < s->shape.n_series ? &s->shape.series[s->i] : NULL;
}

/* -1: x's series comes first, 0: both have it, 1: y's. */
static int side_order(const struct side *x, const struct side *y)
{
    const struct series *of_x = side_series(x);
    const struct series *of_y = side_series(y);
    return of_y == NULL ? -1 : of_x == NULL ? 1 : series_cmp(of_x, of_y);
}

static bool sides_merge(struct merger *m, struct side *x, struct side *y, bool b_is_late,
                        const struct series **list, uint32_t *n, struct err *e)
{
    while (side_series(x) != NULL || side_series(y) != NULL) {
        struct row_series of_x;
        struct row_series of_y;
        int order = side_order(x, y);
        const struct series *s = order <= 0 ? side_series(x) : side_series(y);
        struct layout l = layout_of(s);
        if (order <= 0) {
            row_next(&x->reader, l, &of_x);
            x->i++;
        }
        if (order >= 0) {
            row_next(&y->reader, l, &of_y);
            y->i++;
            if (b_is_late && l.kind == SERIES_GAUGE) {
                continue;
            }
            if (b_is_late) {
                series_make_late(l, &of_y);
            }
        }
        list[(*n)++] = s;
        if (!series_merge(m, l, order <= 0 ? &of_x : NULL, order >= 0 ? &of_y : NULL, e)) {
            return false;
        }
    }
    return true;
}

static bool merge_apart(struct merger *m, const struct rollup *a, const struct rollup *b,
                        bool b_is_late, struct slice *shape, struct err *e)
{
    static const struct rollup none = {0};
    struct side x = {.reader = row_reader_of(a != NULL ? a : &none)};
    struct side y = {.reader = row_reader_of(b)};
    arena_reset(&m->arena);
    if (!shape_read(m, a, &x.shape, e) || !shape_read(m, b, &y.shape, e)) {
        return false;
    }
    uint32_t n = 0;
    uint32_t n_most = x.shape.n_series + y.shape.n_series;
    const struct series **list = arena_calloc(&m->arena, (size_t)n_most + 1, sizeof *list);
    if (list == NULL || !columns_begin(&m->columns, n_most)) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!sides_merge(m, &x, &y, b_is_late, list, &n, e)) {
        return false;
    }
    buf_reset(&m->shape);
    struct slice source =
        y.shape.source_name.ptr != NULL ? y.shape.source_name : x.shape.source_name;
    if (n > 0 && !shape_encode(source, list, n, &m->arena, &m->shape, e)) {
        return false;
    }
    *shape = buf_slice(&m->shape);
    return buf_ok(&m->shape) || err_set(e, ERR_FATAL, "a merged row's shape is too large");
}

bool rows_merge(struct merger *m, const struct rollup *a, const struct rollup *b, bool b_is_late,
                const struct layout *layouts, struct rollup *out, struct err *e)
{
    struct slice shape = b->shape;
    bool is_same = layouts != NULL && a != NULL && !b_is_late && slice_eq(a->shape, b->shape);
    bool ok = is_same ? merge_same(m, a, b, layouts, e)
                      : merge_apart(m, a, b, b_is_late, &shape, e);
    if (!ok) {
        return false;
    }
    *out = *b;
    out->shape = shape;
    out->n_amends = 0;
    out->amends = NULL;
    return columns_end(&m->columns, out) || err_set(e, ERR_FATAL, "out of memory");
}
