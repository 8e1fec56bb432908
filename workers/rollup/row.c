#include "row.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "batch/histogram.h"

enum { MAX_COLUMN_BYTES = 64 << 20 };

const struct shape_caps row_shape_caps = {
    .max_bytes = MAX_COLUMN_BYTES,
    .max_series = 1 << 20,
    .max_labels = 64,
    .max_value_bytes = 1024,
    .max_bounds = 1024,
};

struct layout layout_of(const struct series *s)
{
    return (struct layout){(uint8_t)s->kind, s->delta, (uint16_t)s->n_bounds};
}

/* ---- reading ---- */

struct row_reader row_reader_of(const struct rollup *row)
{
    return (struct row_reader){.row = row,
                               .counter = row->counters.ptr,
                               .gauge = row->gauges.ptr,
                               .exp = cursor_of(row->exp),
                               .classic = cursor_of(row->classic)};
}

static double double_take(const uint8_t **p)
{
    double v;
    memcpy(&v, *p, sizeof v);
    *p += sizeof v;
    return v;
}

static struct slice packed_take(struct cursor *c, struct layout l)
{
    const uint8_t *start = c->next;
    if (l.kind == SERIES_EXP_HISTOGRAM) {
        (void)exp_histogram_skip(c);
    } else {
        (void)classic_histogram_skip(c, l.n_bounds);
    }
    return slice_of(start, (size_t)(c->next - start));
}

void row_next(struct row_reader *r, struct layout l, struct row_series *out)
{
    const struct rollup *row = r->row;
    out->samples = row->samples[r->i];
    out->last_ms = row->last_ms[r->i];
    out->ended = r->at_ended < row->n_ended && row->ended[r->at_ended] == r->i;
    out->late = SLICE_NONE;
    r->at_ended += out->ended;
    if (r->at_late < row->n_late && row->late[r->at_late].series == r->i) {
        out->late = row->late[r->at_late++].amount;
    }
    r->i++;
    switch ((enum series_kind)l.kind) {
    case SERIES_COUNTER:
        out->total = double_take(&r->counter);
        out->delta = double_take(&r->counter);
        out->last = double_take(&r->counter);
        break;
    case SERIES_GAUGE:
        out->sum = double_take(&r->gauge);
        out->min = double_take(&r->gauge);
        out->max = double_take(&r->gauge);
        out->last = double_take(&r->gauge);
        break;
    case SERIES_EXP_HISTOGRAM:
    case SERIES_CLASSIC_HISTOGRAM:
        for (int i = 0; i < HISTOGRAM_COLUMNS; i++) {
            out->packed[i] = packed_take(l.kind == SERIES_EXP_HISTOGRAM ? &r->exp : &r->classic, l);
        }
        break;
    }
}

/* ---- writing ---- */

void columns_init(struct columns *c)
{
    *c = (struct columns){0};
    buf_init(&c->counters, MAX_COLUMN_BYTES);
    buf_init(&c->gauges, MAX_COLUMN_BYTES);
    buf_init(&c->exp, (size_t)4 * MAX_COLUMN_BYTES);
    buf_init(&c->classic, (size_t)4 * MAX_COLUMN_BYTES);
    buf_init(&c->amounts, MAX_COLUMN_BYTES);
}

void columns_fini(struct columns *c)
{
    free(c->samples);
    free(c->last_ms);
    free(c->ended);
    free(c->late);
    free(c->late_at);
    buf_fini(&c->counters);
    buf_fini(&c->gauges);
    buf_fini(&c->exp);
    buf_fini(&c->classic);
    buf_fini(&c->amounts);
}

static bool columns_fit(struct columns *c, uint32_t n)
{
    if (n <= c->cap) {
        return true;
    }
    free(c->samples);
    free(c->last_ms);
    free(c->ended);
    free(c->late);
    free(c->late_at);
    c->samples = calloc(n, sizeof *c->samples);
    c->last_ms = calloc(n, sizeof *c->last_ms);
    c->ended = calloc(n, sizeof *c->ended);
    c->late = calloc(n, sizeof *c->late);
    c->late_at = calloc(n, sizeof *c->late_at);
    bool ok = c->samples != NULL && c->last_ms != NULL && c->ended != NULL && c->late != NULL &&
              c->late_at != NULL;
    c->cap = ok ? n : 0;
    return ok;
}

bool columns_begin(struct columns *c, uint32_t n)
{
    c->n = c->n_ended = c->n_late = 0;
    buf_reset(&c->counters);
    buf_reset(&c->gauges);
    buf_reset(&c->exp);
    buf_reset(&c->classic);
    buf_reset(&c->amounts);
    return columns_fit(c, n);
}

static void doubles_put(struct buf *b, const double *v, size_t n)
{
    uint8_t *p = buf_extend(b, n * sizeof *v);
    if (p != NULL) {
        memcpy(p, v, n * sizeof *v);
    }
}

void columns_put(struct columns *c, enum series_kind kind, const struct row_series *v)
{
    uint32_t i = c->n++;
    c->samples[i] = v->samples;
    c->last_ms[i] = v->last_ms;
    if (v->ended) {
        c->ended[c->n_ended++] = i;
    }
    if (v->late.ptr != NULL) {
        c->late[c->n_late].series = i;
        c->late[c->n_late].amount.len = v->late.len;
        c->late_at[c->n_late++] = c->amounts.len;
        buf_put_slice(&c->amounts, v->late);
    }
    switch (kind) {
    case SERIES_COUNTER:
        doubles_put(&c->counters, (const double[]){v->total, v->delta, v->last}, COUNTER_COLUMNS);
        break;
    case SERIES_GAUGE:
        doubles_put(&c->gauges, (const double[]){v->sum, v->min, v->max, v->last}, GAUGE_COLUMNS);
        break;
    case SERIES_EXP_HISTOGRAM:
    case SERIES_CLASSIC_HISTOGRAM:
        for (int k = 0; k < HISTOGRAM_COLUMNS; k++) {
            buf_put_slice(kind == SERIES_EXP_HISTOGRAM ? &c->exp : &c->classic, v->packed[k]);
        }
        break;
    }
}

bool columns_end(struct columns *c, struct rollup *row)
{
    row->n_series = c->n;
    row->samples = c->samples;
    row->last_ms = c->last_ms;
    row->n_ended = c->n_ended;
    row->ended = c->ended;
    row->counters = buf_slice(&c->counters);
    row->gauges = buf_slice(&c->gauges);
    row->exp = buf_slice(&c->exp);
    row->classic = buf_slice(&c->classic);
    row->n_late = c->n_late;
    row->late = c->late;
    for (uint32_t i = 0; i < c->n_late && buf_ok(&c->amounts); i++) {
        c->late[i].amount.ptr = c->amounts.ptr + c->late_at[i];
    }
    return buf_ok(&c->counters) && buf_ok(&c->gauges) && buf_ok(&c->exp) && buf_ok(&c->classic) &&
           buf_ok(&c->amounts);
}

/* ---- keeping ---- */

static void *part_take(uint8_t **at, const void *bytes, size_t n_bytes)
{
    void *part = *at;
    if (n_bytes > 0) {
        memcpy(part, bytes, n_bytes);
    }
    *at += n_bytes;
    return part;
}

static void slice_take(uint8_t **at, struct slice *s)
{
    s->ptr = part_take(at, s->ptr, s->len);
}

struct rollup *rollup_copy(const struct rollup *r, bool with_shape, size_t *n_bytes)
{
    size_t n_amounts = 0;
    for (uint32_t i = 0; i < r->n_late; i++) {
        n_amounts += r->late[i].amount.len;
    }
    *n_bytes = sizeof *r + r->n_series * (sizeof *r->samples + sizeof *r->last_ms) +
               r->n_ended * sizeof *r->ended + r->n_late * sizeof *r->late + r->counters.len +
               r->gauges.len + r->exp.len + r->classic.len + n_amounts +
               (with_shape ? r->shape.len : 0);
    struct rollup *copy = malloc(*n_bytes);
    if (copy == NULL) {
        return NULL;
    }
    *copy = *r;
    uint8_t *at = (uint8_t *)(copy + 1);
    /* Widest first, so that all are aligned. */
    copy->last_ms = part_take(&at, r->last_ms, r->n_series * sizeof *r->last_ms);
    struct rollup_late *late = part_take(&at, r->late, r->n_late * sizeof *r->late);
    slice_take(&at, &copy->counters);
    slice_take(&at, &copy->gauges);
    copy->samples = part_take(&at, r->samples, r->n_series * sizeof *r->samples);
    copy->ended = part_take(&at, r->ended, r->n_ended * sizeof *r->ended);
    slice_take(&at, &copy->exp);
    slice_take(&at, &copy->classic);
    for (uint32_t i = 0; i < r->n_late; i++) {
        slice_take(&at, &late[i].amount);
    }
    if (with_shape) {
        slice_take(&at, &copy->shape);
    }
    copy->late = late;
    copy->n_amends = 0;
    copy->amends = NULL;
    return copy;
}
