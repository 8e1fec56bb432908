#include "samples_chunk.h"

#include "batch/histogram.h"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_RETRY, "out of memory for rows of a file");
}

/* Counts above 63 bits are told as the most that the column can hold. */
static int64_t as_count(uint64_t v)
{
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static struct list *list_of(struct chunk *c, enum column column)
{
    return &c->lists[column - EXP_POSITIVE_INDEX];
}

static bool counts_put(struct chunk *c, size_t row, enum column column, const uint64_t *counts,
                       uint32_t n)
{
    struct list *list = list_of(c, column);
    list->n[row] = n;
    int64_t *to = n == 0 ? NULL : (int64_t *)(void *)buf_extend(&list->values, n * sizeof *to);
    for (uint32_t i = 0; i < n && to != NULL; i++) {
        to[i] = as_count(counts[i]);
    }
    return n == 0 || to != NULL;
}

static bool side_put(struct chunk *c, size_t row, enum column index, const struct exp_buckets *side)
{
    struct list *list = list_of(c, index);
    uint32_t n = side->n_counts;
    list->n[row] = n;
    int32_t *to = n == 0 ? NULL : (int32_t *)(void *)buf_extend(&list->values, n * sizeof *to);
    int32_t next = 0;
    for (uint32_t i = 0; i < side->n_spans && to != NULL; i++) {
        next += side->spans[i].offset;
        for (uint32_t k = 0; k < side->spans[i].n; k++) {
            *to++ = next++;
        }
    }
    return (n == 0 || to != NULL) && counts_put(c, row, index + 1, side->counts, n);
}

static bool exp_put(struct chunk *c, size_t row, struct slice payload, struct err *e)
{
    struct exp_histogram h;
    struct cursor in = cursor_of(payload);
    if (!exp_histogram_decode(&in, HISTOGRAM_MAX_BYTES, &c->histogram, &h, e)) {
        return false;
    }
    c->no_exp[row] = c->no_sum[row] = false;
    c->stale[row] = double_is_stale(h.sum);
    c->count[row] = as_count(h.count);
    c->sum[row] = h.sum;
    c->exp_schema[row] = h.schema;
    c->exp_zero_threshold[row] = h.zero_threshold;
    c->exp_zero_count[row] = as_count(h.zero_count);
    return (side_put(c, row, EXP_POSITIVE_INDEX, &h.positive) &&
            side_put(c, row, EXP_NEGATIVE_INDEX, &h.negative)) ||
           no_memory(e);
}

static bool classic_put(struct chunk *c, size_t row, const struct series *s, struct slice payload,
                        struct err *e)
{
    struct classic_histogram h;
    struct cursor in = cursor_of(payload);
    if (!classic_histogram_decode(&in, s->n_bounds, &c->histogram, &h, e)) {
        return false;
    }
    c->no_classic[row] = false;
    c->no_sum[row] = !h.has_sum;
    c->stale[row] = h.stale;
    c->count[row] = as_count(h.count);
    c->sum[row] = h.sum;
    struct list *bounds = list_of(c, BUCKET_BOUNDS);
    bounds->n[row] = s->n_bounds;
    buf_put(&bounds->values, s->bounds, s->n_bounds * sizeof *s->bounds);
    return (buf_ok(&bounds->values) && counts_put(c, row, BUCKET_COUNTS, h.counts, h.n_counts)) ||
           no_memory(e);
}

static void scalar_put(struct chunk *c, size_t row, struct slice payload)
{
    memcpy(&c->value[row], payload.ptr, sizeof(double));
    c->stale[row] = double_is_stale(c->value[row]);
}

bool chunk_value(struct chunk *c, size_t row, const struct series *s, struct slice payload,
                 struct err *e)
{
    enum series_kind kind = s->kind;
    bool scalar = kind == SERIES_COUNTER || kind == SERIES_GAUGE;
    c->no_value[row] = !scalar;
    c->no_count[row] = scalar;
    c->no_sum[row] = c->no_exp[row] = c->no_classic[row] = true;
    for (unsigned i = 0; i < N_LISTS; i++) {
        c->lists[i].n[row] = 0;
    }
    if (scalar) {
        scalar_put(c, row, payload);
        return true;
    }
    arena_reset(&c->histogram);
    return kind == SERIES_EXP_HISTOGRAM ? exp_put(c, row, payload, e)
                                        : classic_put(c, row, s, payload, e);
}
