#include "rollup_row.h"

#include "base/cursor.h"
#include "batch/histogram.h"

/* The columns of a record, read series by series. */
struct columns {
    struct cursor counters;
    struct cursor gauges;
    struct cursor exp;
    struct cursor classic;
    struct arena *scratch;
};

struct packing {
    struct columns columns;
    struct buf *out;
    struct buf *places;
    size_t start;
};

static bool other_columns(struct err *e)
{
    return err_set(e, ERR_BAD_INPUT, "rollup: other columns than the shape has");
}

/* The next histogram's bytes, as the column has them; one that is bad fails now, not when its row
 * is written. *is_there: it is none of those that stand for nothing. */
static bool histogram_take(struct columns *c, const struct series *s, struct slice *out,
                           bool *is_there, struct err *e)
{
    bool is_exp = s->kind == SERIES_EXP_HISTOGRAM;
    struct cursor *column = is_exp ? &c->exp : &c->classic;
    const uint8_t *start = column->next;
    arena_reset(c->scratch);
    if (is_exp) {
        struct exp_histogram h;
        struct cursor ahead = *column;
        *is_there = exp_histogram_skip(&ahead).len > 0;
        if (!exp_histogram_decode(column, HISTOGRAM_MAX_BYTES, c->scratch, &h, e)) {
            return false;
        }
    } else {
        struct classic_histogram h;
        if (!classic_histogram_decode(column, s->n_bounds, c->scratch, &h, e)) {
            return false;
        }
        *is_there = !h.stale;
    }
    *out = slice_of(start, (size_t)(column->next - start));
    return true;
}

static void place(struct packing *p)
{
    uint32_t at = (uint32_t)(p->out->len - p->start);
    buf_put(p->places, &at, sizeof at);
}

static struct packing packing_of(struct slice counters, struct slice gauges, struct slice exp,
                                 struct slice classic, struct arena *scratch)
{
    return (struct packing){.columns = {cursor_of(counters), cursor_of(gauges), cursor_of(exp),
                                        cursor_of(classic), scratch}};
}

static bool packing_end(struct packing *p, struct err *e)
{
    const struct columns *c = &p->columns;
    place(p);
    if (!cursor_ok(&c->counters) || !cursor_ok(&c->gauges) || cursor_left(&c->counters) > 0 ||
        cursor_left(&c->gauges) > 0 || cursor_left(&c->exp) > 0 || cursor_left(&c->classic) > 0) {
        return other_columns(e);
    }
    return (buf_ok(p->out) && buf_ok(p->places)) ||
           err_set(e, ERR_RETRY, "out of memory for a rollup's rows");
}

/* --- rows --- */

struct row_head {
    uint8_t flags;
    uint32_t samples;
    int64_t last_ms;
};

static void head_pack(struct packing *p, struct row_head h)
{
    buf_u8(p->out, h.flags);
    buf_varint(p->out, h.samples);
    buf_zigzag(p->out, h.last_ms);
}

static bool histograms_pack(struct packing *p, const struct series *s, struct row_head h,
                            struct err *e)
{
    struct slice packed[HISTOGRAM_COLUMNS];
    bool is_there = false;
    for (int i = 0; i < HISTOGRAM_COLUMNS; i++) {
        if (!histogram_take(&p->columns, s, &packed[i], &is_there, e)) {
            return false;
        }
    }
    h.flags |= is_there ? ROLLUP_HAS_LAST : 0;
    head_pack(p, h);
    for (int i = 0; i < HISTOGRAM_COLUMNS - !is_there; i++) {
        buf_put_slice(p->out, packed[i]);
    }
    return true;
}

static bool row_pack(struct packing *p, const struct series *s, struct row_head h, struct err *e)
{
    bool is_gauge = s->kind == SERIES_GAUGE;
    if (!is_gauge && s->kind != SERIES_COUNTER) {
        return histograms_pack(p, s, h, e);
    }
    struct cursor *column = is_gauge ? &p->columns.gauges : &p->columns.counters;
    size_t n = is_gauge ? GAUGE_COLUMNS : COUNTER_COLUMNS;
    head_pack(p, h);
    buf_put_slice(p->out, cursor_take(column, n * sizeof(double)));
    return true;
}

/* As the column has it; rollup_check saw to its form but for a native histogram's inside. */
static bool late_pack(struct packing *p, const struct series *s, struct slice amount, struct err *e)
{
    struct exp_histogram h;
    struct cursor c = cursor_of(amount);
    arena_reset(p->columns.scratch);
    buf_put_slice(p->out, amount);
    return s->kind != SERIES_EXP_HISTOGRAM ||
           exp_histogram_decode(&c, HISTOGRAM_MAX_BYTES, p->columns.scratch, &h, e);
}

bool rollup_rows_pack(const struct rollup *r, const struct shape *s, struct arena *scratch,
                      struct buf *out, struct buf *places, struct err *e)
{
    struct packing p = packing_of(r->counters, r->gauges, r->exp, r->classic, scratch);
    uint32_t n_late = 0;
    uint32_t n_ended = 0;
    p.out = out;
    p.places = places;
    p.start = out->len;
    if (!rollup_check(r, s, e)) {
        return false;
    }
    for (uint32_t i = 0; i < s->n_series; i++) {
        bool is_late = n_late < r->n_late && r->late[n_late].series == i;
        bool is_ended = n_ended < r->n_ended && r->ended[n_ended] == i;
        struct row_head h = {
            (uint8_t)((is_late ? ROLLUP_HAS_LATE : 0) | (is_ended ? ROLLUP_ENDED : 0)),
            r->samples[i], r->last_ms[i]};
        n_ended += is_ended;
        place(&p);
        if (!row_pack(&p, &s->series[i], h, e) ||
            (is_late && !late_pack(&p, &s->series[i], r->late[n_late].amount, e))) {
            return false;
        }
        n_late += is_late;
    }
    return packing_end(&p, e);
}

/* --- late amounts --- */

static bool amend_pack(struct packing *p, const struct series *s, struct err *e)
{
    struct slice packed;
    bool is_there;
    switch (s->kind) {
    case SERIES_COUNTER:
        buf_put_slice(p->out, cursor_take(&p->columns.counters, sizeof(double)));
        return true;
    case SERIES_GAUGE:
        buf_put_slice(p->out,
                      cursor_take(&p->columns.gauges, AMEND_GAUGE_COLUMNS * sizeof(double)));
        return true;
    case SERIES_EXP_HISTOGRAM:
    case SERIES_CLASSIC_HISTOGRAM:
        break;
    }
    if (!histogram_take(&p->columns, s, &packed, &is_there, e)) {
        return false;
    }
    buf_put_slice(p->out, packed);
    return true;
}

bool rollup_amends_pack(const struct rollup_amend_columns *c, const struct shape *s,
                        int64_t revision, struct arena *scratch, struct buf *out,
                        struct buf *places, struct err *e)
{
    struct packing p = packing_of(c->counters, c->gauges, c->exp, c->classic, scratch);
    p.out = out;
    p.places = places;
    p.start = out->len;
    if (c->n_series != s->n_series) {
        return err_set(e, ERR_BAD_INPUT, "rollup: %u series in an amend, %u in its shape",
                       c->n_series, s->n_series);
    }
    for (uint32_t i = 0; i < s->n_series; i++) {
        place(&p);
        buf_u8(out, ROLLUP_IS_AMEND);
        buf_varint(out, (uint64_t)revision);
        buf_varint(out, c->samples[i]);
        if (!amend_pack(&p, &s->series[i], e)) {
            return false;
        }
    }
    return packing_end(&p, e);
}
