#include "rows.h"

#include <stdio.h>

#include "batch/histogram.h"
#include "rollup_avsc.h"

enum { HEAD_BYTES = 10, MAX_COLUMN_BYTES = 64 << 20, MAX_SUFFIX_BYTES = 48 };

static const struct {
    const char *name;
    bool of_counters;
    bool of_gauges;
} columns[N_ROW_COLUMNS] = {
    [COLUMN_MAIN] = {"", true, true},    [COLUMN_DELTA] = {"delta", true, false},
    [COLUMN_MIN] = {"min", false, true}, [COLUMN_MAX] = {"max", false, true},
    [COLUMN_SUM] = {"sum", false, true}, [COLUMN_COUNT] = {"count", true, true},
};

bool row_column_of(const char *name, enum row_column *out)
{
    for (int i = COLUMN_MAIN + 1; i < N_ROW_COLUMNS; i++) {
        if (strcmp(columns[i].name, name) == 0) {
            *out = (enum row_column)i;
            return true;
        }
    }
    return false;
}

bool rows_are(struct slice value)
{
    return slice_starts_with(value, slice_of(ROLLUP_HEAD, HEAD_BYTES));
}

void rows_init(struct rows *r, const struct rows_options *o)
{
    *r = (struct rows){.o = *o};
    shape_cache_init(&r->shapes, o->max_shapes_bytes, &shape_default_caps, NULL);
    buf_init(&r->values, MAX_COLUMN_BYTES);
    buf_init(&r->exp, MAX_COLUMN_BYTES);
    buf_init(&r->classic, MAX_COLUMN_BYTES);
    buf_init(&r->points, MAX_COLUMN_BYTES);
}

void rows_fini(struct rows *r)
{
    shape_cache_fini(&r->shapes);
    buf_fini(&r->values);
    buf_fini(&r->exp);
    buf_fini(&r->classic);
    buf_fini(&r->points);
}

static bool times_check(const struct rollup *r, struct err *e)
{
    if (r->window_ms <= 0 || r->end_ms <= 0 || r->end_ms == INT64_MAX) {
        return err_set(e, ERR_BAD_INPUT, "rollup: a window of %lld ms that ends at %lld",
                       (long long)r->window_ms, (long long)r->end_ms);
    }
    return true;
}

bool rows_read(struct rows *r, struct slice value, struct arena *a, struct row *out, struct err *e)
{
    struct cached_shape *cached;
    out->shape = NULL;
    if (!rollup_decode(value, a, &out->rollup, e)) {
        return false;
    }
    if (out->rollup.kind != ROLLUP_ROW || out->rollup.shape.len == 0) {
        return true;
    }
    if (!times_check(&out->rollup, e) ||
        !shape_cache_get(&r->shapes, out->rollup.tenant, out->rollup.shape, &cached, e) ||
        !rollup_check(&out->rollup, &cached->shape, e)) {
        return false;
    }
    out->shape = &cached->shape;
    return true;
}

/* --- columns --- */

/* Where a row is read: checked, so that nothing can be missing. */
struct row_cursor {
    const uint8_t *counter;
    const uint8_t *gauge;
    struct cursor exp;
    struct cursor classic;
    uint32_t at_ended;
};

static double double_at(const uint8_t *column, int i)
{
    double v;
    memcpy(&v, column + (size_t)i * sizeof v, sizeof v);
    return v;
}

static double stale_value(void)
{
    double v;
    memcpy(&v, &stale_marker_bits, sizeof v);
    return v;
}

static void point_put(struct rows *r, uint32_t series, enum row_column column)
{
    const struct row_point p = {series, column};
    buf_put(&r->points, &p, sizeof p);
}

static void scalar_put(struct rows *r, uint32_t series, enum row_column column, double value)
{
    point_put(r, series, column);
    buf_double(&r->values, value);
}

/* The wanted ones of the columns that this kind has. */
static void scalars_put(struct rows *r, uint32_t series, enum series_kind kind,
                        const double values[N_ROW_COLUMNS])
{
    for (int i = 0; i < N_ROW_COLUMNS; i++) {
        bool has = kind == SERIES_GAUGE ? columns[i].of_gauges : columns[i].of_counters;
        if (has && (i == COLUMN_MAIN || (r->columns & (1U << i)) != 0)) {
            scalar_put(r, series, (enum row_column)i, values[i]);
        }
    }
}

static void stale_scalars_put(struct rows *r, uint32_t series, enum series_kind kind)
{
    double values[N_ROW_COLUMNS];
    for (int i = 0; i < N_ROW_COLUMNS; i++) {
        values[i] = stale_value();
    }
    scalars_put(r, series, kind, values);
}

static void counter_put(struct rows *r, struct row_cursor *c, uint32_t series, uint32_t samples)
{
    const double values[N_ROW_COLUMNS] = {[COLUMN_MAIN] = double_at(c->counter, 0),
                                          [COLUMN_DELTA] = double_at(c->counter, 1),
                                          [COLUMN_COUNT] = samples};
    scalars_put(r, series, SERIES_COUNTER, values);
}

static void gauge_put(struct rows *r, struct row_cursor *c, uint32_t series, uint32_t samples)
{
    const double values[N_ROW_COLUMNS] = {[COLUMN_SUM] = double_at(c->gauge, 0),
                                          [COLUMN_MIN] = double_at(c->gauge, 1),
                                          [COLUMN_MAX] = double_at(c->gauge, 2),
                                          [COLUMN_MAIN] = double_at(c->gauge, 3),
                                          [COLUMN_COUNT] = samples};
    if (samples > 0) {
        scalars_put(r, series, SERIES_GAUGE, values);
    }
}

static void exp_put(struct rows *r, uint32_t series, struct slice total, bool stale)
{
    if (total.len == 0) {
        return;
    }
    point_put(r, series, COLUMN_MAIN);
    if (stale) {
        const struct exp_histogram none = {.sum = stale_value()};
        exp_histogram_encode(&none, &r->exp);
    } else {
        buf_varint_bytes(&r->exp, total);
    }
}

/* Its first byte are flags: 1 = has a sum, 2 = stale. */
static void classic_put(struct rows *r, uint32_t series, struct slice total, uint32_t n_bounds,
                        bool stale)
{
    point_put(r, series, COLUMN_MAIN);
    if (!stale) {
        buf_put_slice(&r->classic, total);
        return;
    }
    buf_u8(&r->classic, (uint8_t)(total.ptr[0] | 2));
    buf_double(&r->classic, 0);
    for (uint32_t i = 0; i < n_bounds + 2; i++) {
        buf_varint(&r->classic, 0);
    }
}

static struct slice exp_take(struct row_cursor *c)
{
    struct slice total = exp_histogram_skip(&c->exp);
    for (int i = 1; i < HISTOGRAM_COLUMNS; i++) {
        (void)exp_histogram_skip(&c->exp);
    }
    return total;
}

static struct slice classic_take(struct row_cursor *c, struct slice column, uint32_t n_bounds)
{
    size_t at = cursor_at(&c->classic);
    (void)classic_histogram_skip(&c->classic, n_bounds);
    struct slice total = slice_of(column.ptr + at, cursor_at(&c->classic) - at);
    for (int i = 1; i < HISTOGRAM_COLUMNS; i++) {
        (void)classic_histogram_skip(&c->classic, n_bounds);
    }
    return total;
}

static bool ended_next(const struct rollup *row, struct row_cursor *c, uint32_t series)
{
    bool ended = c->at_ended < row->n_ended && row->ended[c->at_ended] == series;
    c->at_ended += ended ? 1 : 0;
    return ended;
}

/* Moves on in all columns of the series, wanted or not. */
static void series_put(struct rows *r, const struct row *row, struct row_cursor *c, uint32_t i,
                       enum row_part part)
{
    const struct series *s = &row->shape->series[i];
    bool ended = ended_next(&row->rollup, c, i);
    bool stale = part == ROW_ENDS;
    bool wanted = part == ROW_VALUES || ended == stale;
    struct slice total;
    switch (s->kind) {
    case SERIES_COUNTER:
    case SERIES_GAUGE:
        if (wanted && stale) {
            stale_scalars_put(r, i, s->kind);
        } else if (wanted && s->kind == SERIES_COUNTER) {
            counter_put(r, c, i, row->rollup.samples[i]);
        } else if (wanted) {
            gauge_put(r, c, i, row->rollup.samples[i]);
        }
        if (s->kind == SERIES_COUNTER) {
            c->counter += COUNTER_COLUMNS * sizeof(double);
        } else {
            c->gauge += GAUGE_COLUMNS * sizeof(double);
        }
        break;
    case SERIES_EXP_HISTOGRAM:
        total = exp_take(c);
        if (wanted) {
            exp_put(r, i, total, stale);
        }
        break;
    case SERIES_CLASSIC_HISTOGRAM:
        total = classic_take(c, row->rollup.classic, s->n_bounds);
        if (wanted) {
            classic_put(r, i, total, s->n_bounds, stale);
        }
        break;
    }
}

/* What the series of a batch depend on. */
static struct hash128 key_of(const struct rows *r, const struct rollup *row)
{
    uint64_t of_shape = hash64_seeded(row->shape, hash64(row->tenant));
    return hash128_seeded(buf_slice(&r->points), of_shape ^ (uint64_t)row->window_ms);
}

bool rows_batch(struct rows *r, const struct row *row, enum row_part part, struct batch *out,
                uint32_t *n_series, struct hash128 *key, struct err *e)
{
    const struct rollup *rollup = &row->rollup;
    struct row_cursor c = {.counter = rollup->counters.ptr,
                           .gauge = rollup->gauges.ptr,
                           .exp = cursor_of(rollup->exp),
                           .classic = cursor_of(rollup->classic)};
    struct buf *bufs[] = {&r->values, &r->exp, &r->classic, &r->points};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) {
        buf_reset(bufs[i]);
    }
    r->columns = part == ROW_REPEAT ? 0 : r->o.columns;
    for (uint32_t i = 0; i < row->shape->n_series && (part != ROW_ENDS || rollup->n_ended > 0);
         i++) {
        series_put(r, row, &c, i, part);
    }
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) {
        if (!buf_ok(bufs[i])) {
            return err_set(e, ERR_BAD_INPUT, "rollup: a row of more than %d bytes",
                           MAX_COLUMN_BYTES);
        }
    }
    *out = (struct batch){.tenant = rollup->tenant,
                          .class = rollup->class,
                          .source = rollup->source,
                          .times = {.base_ms = rollup->end_ms + (part == ROW_ENDS ? 1 : 0)},
                          .values = buf_slice(&r->values),
                          .exp = buf_slice(&r->exp),
                          .classic = buf_slice(&r->classic)};
    *n_series = (uint32_t)(r->points.len / sizeof(struct row_point));
    *key = key_of(r, rollup);
    return true;
}

/* --- series --- */

/* ":1m", or nothing. */
static size_t window_put(const struct rows *r, int64_t window_ms, char out[MAX_SUFFIX_BYTES])
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    if (r->o.plain) {
        out[0] = '\0';
        return 0;
    }
    while (window_ms % units[i].ms != 0) {
        i++;
    }
    return (size_t)snprintf(out, MAX_SUFFIX_BYTES, ":%lld%s", (long long)(window_ms / units[i].ms),
                            units[i].unit);
}

static struct slice name_join(struct arena *a, struct slice name, struct slice suffix)
{
    uint8_t *to = arena_alloc(a, name.len + suffix.len);
    if (to == NULL) {
        return SLICE_NONE;
    }
    memcpy(to, name.ptr, name.len);
    memcpy(to + name.len, suffix.ptr, suffix.len);
    return slice_of(to, name.len + suffix.len);
}

static void shape_count(struct shape *shape, enum series_kind kind)
{
    shape->n_series++;
    shape->n_exp += kind == SERIES_EXP_HISTOGRAM;
    shape->n_classic += kind == SERIES_CLASSIC_HISTOGRAM;
    shape->n_scalars = shape->n_series - shape->n_exp - shape->n_classic;
}

/* suffix: the window's, of n_window bytes, and room for a column's. */
static bool series_make(const struct row *row, struct row_point p, char *suffix, size_t n_window,
                        struct arena *a, struct series *out)
{
    const struct series *of = &row->shape->series[p.series];
    int n_column = p.column == COLUMN_MAIN
                       ? 0
                       : snprintf(suffix + n_window, MAX_SUFFIX_BYTES - n_window, ":%s",
                                  columns[p.column].name);
    struct slice name = name_join(a, of->metric, slice_of(suffix, n_window + (size_t)n_column));
    if (name.ptr == NULL) {
        return false;
    }
    *out = *of;
    out->delta = false;
    out->id = series_id(row->rollup.tenant, name, of->labels, of->n_labels);
    out->kind = p.column == COLUMN_MAIN ? of->kind : SERIES_GAUGE;
    out->unit = p.column == COLUMN_COUNT ? SLICE_NONE : of->unit;
    out->metric = of->kind == SERIES_CLASSIC_HISTOGRAM ? of->metric : name;
    return true;
}

bool rows_shape(const struct rows *r, const struct row *row, struct arena *a, struct shape *out,
                struct slice *part_suffix, struct err *e)
{
    char suffix[MAX_SUFFIX_BYTES];
    size_t n_window = window_put(r, row->rollup.window_ms, suffix);
    size_t n = r->points.len / sizeof(struct row_point);
    struct series *series = arena_calloc(a, n + 1, sizeof *series);
    *out = (struct shape){
        .source_name = row->shape->source_name, .source = row->shape->source, .series = series};
    *part_suffix = arena_copy(a, slice_of(suffix, n_window));
    bool ok = series != NULL && part_suffix->ptr != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        struct row_point p;
        memcpy(&p, r->points.ptr + i * sizeof p, sizeof p);
        ok = series_make(row, p, suffix, n_window, a, &series[i]);
        shape_count(out, series[i].kind);
    }
    return ok ||
           err_set(e, ERR_BAD_INPUT, "rollup: the names of a row's series take too much memory");
}
