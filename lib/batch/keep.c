#include "batch/keep.h"

#include "batch/histogram.h"

/* The kept ones of the per-point times; all equal stays all equal. */
static bool times_filter(const struct batch_times *t, const struct batch_column *columns,
                         uint32_t n_all, struct arena *a, struct batch_times *out, struct err *e)
{
    *out = (struct batch_times){.base_ms = t->base_ms};
    if (t->n_deltas == 0) {
        return true;
    }
    int64_t *times = ARENA_ARRAY(a, int64_t, n_all);
    int64_t *deltas = ARENA_ARRAY(a, int64_t, n_all);
    if (times == NULL || deltas == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!batch_times_decode(t, n_all, times, e)) {
        return false;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_all; i++) {
        if (columns[i].is_kept) {
            deltas[n++] = times[i] - t->base_ms;
        }
    }
    out->n_deltas = n;
    out->deltas = deltas;
    return true;
}

struct kept_columns {
    struct buf values;
    struct buf exp;
    struct buf classic;
};

static void piece_keep(const uint8_t *from, const uint8_t *to, bool is_kept, struct buf *out)
{
    if (is_kept) {
        buf_put(out, from, (size_t)(to - from));
    }
}

static bool columns_filter(const struct batch *b, const struct batch_column *columns, uint32_t n,
                           struct kept_columns *k)
{
    struct cursor values = cursor_of(b->values);
    struct cursor exp = cursor_of(b->exp);
    struct cursor classic = cursor_of(b->classic);
    bool ok = true;
    for (uint32_t i = 0; i < n && ok; i++) {
        bool is_kept = columns[i].is_kept;
        const uint8_t *from;
        switch ((enum series_kind)columns[i].kind) {
        case SERIES_COUNTER:
        case SERIES_GAUGE:
            from = cursor_take(&values, sizeof(double)).ptr;
            ok = from != NULL;
            if (ok) {
                piece_keep(from, from + sizeof(double), is_kept, &k->values);
            }
            break;
        case SERIES_EXP_HISTOGRAM:
            from = exp.next;
            (void)exp_histogram_skip(&exp);
            ok = cursor_ok(&exp);
            piece_keep(from, exp.next, is_kept && ok, &k->exp);
            break;
        case SERIES_CLASSIC_HISTOGRAM:
            from = classic.next;
            ok = classic_histogram_skip(&classic, columns[i].n_bounds) && cursor_ok(&classic);
            piece_keep(from, classic.next, is_kept && ok, &k->classic);
            break;
        }
    }
    return ok && !cursor_more(&values) && !cursor_more(&exp) && !cursor_more(&classic);
}

bool batch_keep(const struct batch *b, const struct batch_column *columns, uint32_t n,
                struct slice shape, struct arena *scratch, struct buf *out, struct err *e)
{
    struct batch kept = *b;
    struct kept_columns k;
    buf_init(&k.values, b->values.len + 1);
    buf_init(&k.exp, b->exp.len + 1);
    buf_init(&k.classic, b->classic.len + 1);
    bool ok = times_filter(&b->times, columns, n, scratch, &kept.times, e) &&
              times_filter(&b->starts, columns, n, scratch, &kept.starts, e);
    if (ok && !columns_filter(b, columns, n, &k)) {
        ok = err_set(e, ERR_BAD_INPUT, "the batch's columns are not its shape's");
    }
    if (ok && !(buf_ok(&k.values) && buf_ok(&k.exp) && buf_ok(&k.classic))) {
        ok = err_set(e, ERR_FATAL, "out of memory");
    }
    if (ok) {
        kept.shape = shape;
        kept.values = buf_slice(&k.values);
        kept.exp = buf_slice(&k.exp);
        kept.classic = buf_slice(&k.classic);
        batch_encode(&kept, out);
    }
    buf_fini(&k.values);
    buf_fini(&k.exp);
    buf_fini(&k.classic);
    return ok;
}
