#include "histogram_columns.h"

#include "batch/histogram.h"

enum { LIST_MAX_BYTES = 64 << 20, ARENA_BYTES = 32 << 20 };

void histogram_columns_init(struct histogram_columns *h)
{
    arena_init(&h->arena, ARENA_BYTES);
    for (unsigned i = 0; i < N_HISTOGRAM_LISTS; i++) {
        buf_init(&h->lists[i].values, LIST_MAX_BYTES);
    }
}

void histogram_columns_fini(struct histogram_columns *h)
{
    arena_fini(&h->arena);
    for (unsigned i = 0; i < N_HISTOGRAM_LISTS; i++) {
        buf_fini(&h->lists[i].values);
    }
}

void histogram_columns_reset(struct histogram_columns *h)
{
    for (unsigned i = 0; i < N_HISTOGRAM_LISTS; i++) {
        buf_reset(&h->lists[i].values);
    }
}

size_t histogram_columns_bytes(const struct histogram_columns *h)
{
    size_t most = 0;
    for (unsigned i = 0; i < N_HISTOGRAM_LISTS; i++) {
        most = h->lists[i].values.len > most ? h->lists[i].values.len : most;
    }
    return most;
}

/* --- a row --- */

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_RETRY, "out of memory for rows of a file");
}

/* Counts above 63 bits are told as the most that the column can hold. */
static int64_t as_count(uint64_t v)
{
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static struct list_column *list_of(struct histogram_columns *h, enum histogram_column column)
{
    return &h->lists[column - EXP_POSITIVE_INDEX];
}

static bool counts_put(struct histogram_columns *h, size_t row, enum histogram_column column,
                       const uint64_t *counts, uint32_t n)
{
    struct list_column *list = list_of(h, column);
    list->n[row] = n;
    int64_t *to = n == 0 ? NULL : (int64_t *)(void *)buf_extend(&list->values, n * sizeof *to);
    for (uint32_t i = 0; i < n && to != NULL; i++) {
        to[i] = as_count(counts[i]);
    }
    return n == 0 || to != NULL;
}

static bool side_put(struct histogram_columns *h, size_t row, enum histogram_column index,
                     const struct exp_buckets *side)
{
    struct list_column *list = list_of(h, index);
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
    return (n == 0 || to != NULL) && counts_put(h, row, index + 1, side->counts, n);
}

static bool exp_put(struct histogram_columns *h, size_t row, struct cursor *packed, bool *stale,
                    struct err *e)
{
    struct exp_histogram v;
    if (!exp_histogram_decode(packed, HISTOGRAM_MAX_BYTES, &h->arena, &v, e)) {
        return false;
    }
    h->no_exp[row] = h->no_sum[row] = h->no_count[row] = false;
    *stale = double_is_stale(v.sum);
    h->count[row] = as_count(v.count);
    h->sum[row] = v.sum;
    h->exp_schema[row] = v.schema;
    h->exp_zero_threshold[row] = v.zero_threshold;
    h->exp_zero_count[row] = as_count(v.zero_count);
    return (side_put(h, row, EXP_POSITIVE_INDEX, &v.positive) &&
            side_put(h, row, EXP_NEGATIVE_INDEX, &v.negative)) ||
           no_memory(e);
}

static bool classic_put(struct histogram_columns *h, size_t row, const struct series *s,
                        struct cursor *packed, bool *stale, struct err *e)
{
    struct classic_histogram v;
    if (!classic_histogram_decode(packed, s->n_bounds, &h->arena, &v, e)) {
        return false;
    }
    h->no_classic[row] = h->no_count[row] = false;
    h->no_sum[row] = !v.has_sum;
    *stale = v.stale;
    h->count[row] = as_count(v.count);
    h->sum[row] = v.sum;
    struct list_column *bounds = list_of(h, BUCKET_BOUNDS);
    bounds->n[row] = s->n_bounds;
    buf_put(&bounds->values, s->bounds, s->n_bounds * sizeof *s->bounds);
    return (buf_ok(&bounds->values) && counts_put(h, row, BUCKET_COUNTS, v.counts, v.n_counts)) ||
           no_memory(e);
}

void histogram_none(struct histogram_columns *h, size_t row)
{
    h->no_count[row] = h->no_sum[row] = h->no_exp[row] = h->no_classic[row] = true;
    for (unsigned i = 0; i < N_HISTOGRAM_LISTS; i++) {
        h->lists[i].n[row] = 0;
    }
}

bool histogram_put(struct histogram_columns *h, size_t row, const struct series *s,
                   struct cursor *packed, bool *stale, struct err *e)
{
    histogram_none(h, row);
    arena_reset(&h->arena);
    return s->kind == SERIES_EXP_HISTOGRAM ? exp_put(h, row, packed, stale, e)
                                           : classic_put(h, row, s, packed, stale, e);
}

/* --- columns --- */

void histogram_fields(bool portable, struct parquet_field *out)
{
    static const enum parquet_type types[N_HISTOGRAM_LISTS] = {
        PARQUET_INT32, PARQUET_INT64, PARQUET_INT32, PARQUET_INT64, PARQUET_DOUBLE, PARQUET_INT64};
    out[HISTOGRAM_COUNT] = (struct parquet_field){.type = PARQUET_INT64, .optional = true};
    out[HISTOGRAM_SUM] =
        (struct parquet_field){.type = PARQUET_DOUBLE,
                               .encoding = portable ? PARQUET_PLAIN : PARQUET_SPLIT,
                               .optional = true};
    out[EXP_SCHEMA] = (struct parquet_field){
        .type = PARQUET_INT32, .encoding = PARQUET_DICTIONARY, .optional = true};
    out[EXP_ZERO_THRESHOLD] = (struct parquet_field){
        .type = PARQUET_DOUBLE, .encoding = PARQUET_DICTIONARY, .optional = true};
    out[EXP_ZERO_COUNT] = (struct parquet_field){.type = PARQUET_INT64, .optional = true};
    for (unsigned i = 0; i < N_HISTOGRAM_LISTS; i++) {
        out[EXP_POSITIVE_INDEX + i] = (struct parquet_field){.type = types[i],
                                                             .form = PARQUET_LIST,
                                                             .encoding = PARQUET_DICTIONARY,
                                                             .optional = true};
    }
}

void histogram_columns_get(const struct histogram_columns *h, struct parquet_column *out)
{
    out[HISTOGRAM_COUNT] = (struct parquet_column){.values.int64s = h->count, .nulls = h->no_count};
    out[HISTOGRAM_SUM] = (struct parquet_column){.values.doubles = h->sum, .nulls = h->no_sum};
    out[EXP_SCHEMA] = (struct parquet_column){.values.int32s = h->exp_schema, .nulls = h->no_exp};
    out[EXP_ZERO_THRESHOLD] =
        (struct parquet_column){.values.doubles = h->exp_zero_threshold, .nulls = h->no_exp};
    out[EXP_ZERO_COUNT] =
        (struct parquet_column){.values.int64s = h->exp_zero_count, .nulls = h->no_exp};
    for (unsigned i = 0; i < N_HISTOGRAM_LISTS; i++) {
        bool classic = EXP_POSITIVE_INDEX + i >= BUCKET_BOUNDS;
        out[EXP_POSITIVE_INDEX + i] =
            (struct parquet_column){.values.any = h->lists[i].values.ptr,
                                    .n_entries = h->lists[i].n,
                                    .nulls = classic ? h->no_classic : h->no_exp};
    }
}
