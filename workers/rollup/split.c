#include "split.h"

#include "batch/histogram.h"
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

/* Of more series than readers take of a shape. */
static bool is_too_wide(const struct rollup *row)
{
    bool is_wide = row->n_series > shape_default_caps.max_series;
    for (uint32_t i = 0; i < row->n_amends && !is_wide; i++) {
        is_wide = row->amends[i].n_series > shape_default_caps.max_series;
    }
    return is_wide;
}

static bool fits(struct splitter *x, const struct rollup *row)
{
    if (is_too_wide(row)) {
        return false;
    }
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
    return (columns_end(columns, out) && buf_ok(shape)) || err_set(e, ERR_FATAL, "out of memory");
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
    buf_init(&shape, row_shape_caps.max_bytes);
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

/* One window's late amounts. */
struct amounts {
    struct splitting *s;
    struct rollup part; /* without series and amends */
    int64_t end_ms;
    bool is_last; /* of the row */
    struct shape shape;
    struct rollup_amend_columns columns;
    struct slice *of; /* per series: in its kind's column */
};

static struct slice amount_take(struct cursor *columns, const struct series *s)
{
    struct cursor *c = &columns[s->kind];
    const uint8_t *start = c->next;
    switch (s->kind) {
    case SERIES_COUNTER:
        (void)cursor_take(c, sizeof(double));
        break;
    case SERIES_GAUGE:
        (void)cursor_take(c, AMEND_GAUGE_COLUMNS * sizeof(double));
        break;
    case SERIES_EXP_HISTOGRAM:
        (void)exp_histogram_skip(c);
        break;
    case SERIES_CLASSIC_HISTOGRAM:
        (void)classic_histogram_skip(c, s->n_bounds);
        break;
    }
    return slice_of(start, (size_t)(c->next - start));
}

static bool amounts_read(struct amounts *x, const struct rollup_amend *amend, struct err *e)
{
    struct arena *a = &x->s->x->arena;
    if (!shape_decode(amend->shape, x->part.tenant, &row_shape_caps, a, &x->shape, e) ||
        !rollup_amend_decode(amend, a, &x->columns, e)) {
        return false;
    }
    x->of = arena_alloc(a, ((size_t)x->shape.n_series + 1) * sizeof *x->of);
    if (x->of == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    struct cursor columns[] = {[SERIES_COUNTER] = cursor_of(x->columns.counters),
                               [SERIES_GAUGE] = cursor_of(x->columns.gauges),
                               [SERIES_EXP_HISTOGRAM] = cursor_of(x->columns.exp),
                               [SERIES_CLASSIC_HISTOGRAM] = cursor_of(x->columns.classic)};
    for (uint32_t i = 0; i < x->shape.n_series; i++) {
        x->of[i] = amount_take(columns, &x->shape.series[i]);
    }
    return true;
}

/* Those of n series from `from` on. columns: of each kind, and of all. */
static bool amend_make(const struct amounts *x, uint32_t from, uint32_t n, struct buf columns[5],
                       struct buf *shape, struct rollup_amend *out, struct err *e)
{
    struct arena *a = &x->s->x->arena;
    const struct series **list = arena_alloc(a, n * sizeof *list);
    if (list == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    for (uint32_t i = 0; i < n; i++) {
        list[i] = &x->shape.series[from + i];
        buf_put_slice(&columns[list[i]->kind], x->of[from + i]);
    }
    if (!shape_encode(x->shape.source_name, list, n, a, shape, e)) {
        return false;
    }
    const struct rollup_amend_columns c = {n,
                                           x->columns.samples + from,
                                           buf_slice(&columns[SERIES_COUNTER]),
                                           buf_slice(&columns[SERIES_GAUGE]),
                                           buf_slice(&columns[SERIES_EXP_HISTOGRAM]),
                                           buf_slice(&columns[SERIES_CLASSIC_HISTOGRAM])};
    rollup_amend_encode(&c, &columns[4]);
    *out = (struct rollup_amend){x->end_ms, buf_slice(shape), buf_slice(&columns[4]), n};
    return (buf_ok(shape) && buf_ok(&columns[4])) || err_set(e, ERR_FATAL, "out of memory");
}

static bool amounts_put(struct amounts *x, uint32_t from, uint32_t n, struct err *e)
{
    struct splitting *s = x->s;
    bool is_last = x->is_last && from + n == x->shape.n_series;
    struct buf columns[5];
    struct buf shape;
    struct rollup_amend amend;
    for (int i = 0; i < 5; i++) {
        buf_init(&columns[i], row_shape_caps.max_bytes);
    }
    buf_init(&shape, row_shape_caps.max_bytes);
    bool ok = amend_make(x, from, n, columns, &shape, &amend, e);
    x->part.part = s->part;
    x->part.closed_at = is_last ? s->row->closed_at : -1;
    x->part.n_amends = 1;
    x->part.amends = &amend;
    bool is_small = ok && fits(s->x, &x->part);
    buf_fini(&shape);
    for (int i = 0; i < 5; i++) {
        buf_fini(&columns[i]);
    }
    if (!ok) {
        return false;
    }
    if (is_small) {
        s->part++;
        return s->each(s->ctx, buf_slice(&s->x->encoded), is_last, e);
    }
    if (n == 1) {
        return err_set(e, ERR_FATAL, "one series' late amounts are larger than %zu bytes",
                       s->x->max_bytes);
    }
    return amounts_put(x, from, n / 2, e) && amounts_put(x, from + n / 2, n - n / 2, e);
}

/* A window's amounts that are too large for a part. */
static bool amend_put_apart(struct splitting *s, const struct rollup *part, uint32_t which,
                            struct err *e)
{
    const struct rollup_amend *amend = &s->row->amends[which];
    struct amounts x = {
        .s = s, .part = *part, .end_ms = amend->end_ms, .is_last = which + 1 == s->row->n_amends};
    return amounts_read(&x, amend, e) && amounts_put(&x, 0, x.shape.n_series, e);
}

static bool amends_fit(const struct splitting *s, uint32_t from, uint32_t n, struct rollup *part)
{
    bool is_last = from + n == s->row->n_amends;
    part->part = s->part;
    part->amends = n == 0 ? NULL : s->row->amends + from;
    part->n_amends = n;
    part->closed_at = is_last ? s->row->closed_at : -1;
    return fits(s->x, part);
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
        bool is_small = amends_fit(s, done, n, &part);
        while (!is_small && n > 1) {
            n /= 2;
            is_small = amends_fit(s, done, n, &part);
        }
        if (!is_small && !amend_put_apart(s, &part, done, e)) {
            return false;
        }
        done += n;
        s->part += is_small;
        if (is_small && !s->each(s->ctx, buf_slice(&s->x->encoded), done == s->row->n_amends, e)) {
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
    if (values == NULL ||
        (row->shape.len > 0 &&
         !shape_decode(row->shape, row->tenant, &row_shape_caps, &x->arena, &s.shape, e))) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    struct row_reader reader = row_reader_of(row);
    for (uint32_t i = 0; i < row->n_series; i++) {
        row_next(&reader, layout_of(&s.shape.series[i]), &values[i]);
    }
    s.values = values;
    return (row->n_series == 0 || halves_put(&s, 0, row->n_series, e)) && amends_put(&s, e);
}
