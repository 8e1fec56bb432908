#include "split.h"

#include "row.h"

enum { ARENA_BYTES = 192 << 20, SLACK_BYTES = 4096 };

/* A row on its way into parts. */
struct splitting {
    struct splitter *x;
    const struct rollup *row;
    struct shape shape;
    const struct row_series *values; /* per series */
    int32_t part;
    part_fn each;
    void *ctx;
};

void splitter_init(struct splitter *x, size_t max_bytes)
{
    *x = (struct splitter){.max_bytes = max_bytes};
    arena_init(&x->arena, ARENA_BYTES);
    buf_init(&x->encoded, 2 * max_bytes + SLACK_BYTES);
}

void splitter_fini(struct splitter *x)
{
    arena_fini(&x->arena);
    buf_fini(&x->encoded);
}

static bool fits(struct splitter *x, const struct rollup *row)
{
    buf_reset(&x->encoded);
    rollup_encode(row, &x->encoded);
    return buf_ok(&x->encoded) && x->encoded.len <= x->max_bytes;
}

/* The series from `from` on, without amends. */
static bool part_make(struct splitting *s, uint32_t from, uint32_t n, struct columns *columns,
                      struct buf *shape, struct rollup *out, struct err *e)
{
    const struct series **list = arena_alloc(&s->x->arena, n * sizeof *list);
    if (list == NULL || !columns_begin(columns, n)) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (uint32_t i = 0; i < n; i++) {
        list[i] = &s->shape.series[from + i];
        columns_put(columns, list[i]->kind, &s->values[from + i]);
    }
    *out = *s->row;
    out->closed_at = -1;
    out->part = s->part;
    out->n_amends = 0;
    out->amends = NULL;
    if (!shape_encode(s->shape.source_name, list, n, &s->x->arena, shape, e)) {
        return false;
    }
    out->shape = buf_slice(shape);
    return (columns_end(columns, out) && buf_ok(shape)) ||
           err_set(e, ERR_FATAL, "out of memory");
}

static bool series_put(struct splitting *s, uint32_t from, uint32_t n, struct err *e);

static bool halves_put(struct splitting *s, uint32_t from, uint32_t n, struct err *e)
{
    return (n / 2 == 0 || series_put(s, from, n / 2, e)) &&
           series_put(s, from + n / 2, n - n / 2, e);
}

static bool series_put(struct splitting *s, uint32_t from, uint32_t n, struct err *e)
{
    struct columns columns;
    struct buf shape;
    struct rollup part;
    columns_init(&columns);
    buf_init(&shape, shape_default_caps.max_bytes);
    bool ok = part_make(s, from, n, &columns, &shape, &part, e);
    bool is_small = ok && fits(s->x, &part);
    buf_fini(&shape);
    columns_fini(&columns);
    if (!ok) {
        return false;
    }
    if (!is_small) {
        return n > 1 ? halves_put(s, from, n, e)
                     : err_set(e, ERR_FATAL, "one series' row is larger than %zu bytes",
                               s->x->max_bytes);
    }
    s->part++;
    return s->each(s->ctx, buf_slice(&s->x->encoded), false, e);
}

/* Behind the series: the amends, as many to a part as fit, and closed_at. */
static bool amends_put(struct splitting *s, struct err *e)
{
    uint32_t done = 0;
    struct rollup part = *s->row;
    part.shape = SLICE_NONE;
    part.n_series = part.n_ended = part.n_late = 0;
    part.counters = part.gauges = part.exp = part.classic = SLICE_NONE;
    do {
        uint32_t n = s->row->n_amends - done;
        part.part = s->part++;
        for (;; n /= 2) {
            bool is_last = done + n == s->row->n_amends;
            part.amends = n == 0 ? NULL : s->row->amends + done;
            part.n_amends = n;
            part.closed_at = is_last ? s->row->closed_at : -1;
            if (fits(s->x, &part)) {
                break;
            }
            if (n <= 1) {
                return err_set(e, ERR_FATAL, "one window's late amounts are larger than %zu bytes",
                               s->x->max_bytes);
            }
        }
        done += n;
        if (!s->each(s->ctx, buf_slice(&s->x->encoded), done == s->row->n_amends, e)) {
            return false;
        }
    } while (done < s->row->n_amends);
    return true;
}

bool rollup_split(struct splitter *x, const struct rollup *row, part_fn each, void *ctx,
                  struct err *e)
{
    if (fits(x, row)) {
        return each(ctx, buf_slice(&x->encoded), true, e);
    }
    struct splitting s = {.x = x, .row = row, .each = each, .ctx = ctx};
    arena_reset(&x->arena);
    struct row_series *values = arena_alloc(&x->arena, (row->n_series + 1) * sizeof *values);
    if (values == NULL || (row->shape.len > 0 && !shape_decode(row->shape, row->tenant,
                                                               &shape_default_caps, &x->arena,
                                                               &s.shape, e))) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    struct row_reader reader = row_reader_of(row);
    for (uint32_t i = 0; i < row->n_series; i++) {
        row_next(&reader, layout_of(&s.shape.series[i]), &values[i]);
    }
    s.values = values;
    return (row->n_series == 0 || halves_put(&s, 0, row->n_series, e)) && amends_put(&s, e);
}
