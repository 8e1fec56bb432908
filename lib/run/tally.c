#include "run/metrics_family.h"

#include <math.h>
#include <stdlib.h>

enum { FIRST_ROWS = 64 };

/* A slot of an open-addressed table: so there are never more rows than cells and buckets. */
struct tally_row {
    struct cell *cell; /* one of the two; both NULL = free */
    struct cell_histogram *histogram;
    int bucket;
    uint64_t n_times;
    double sum;
};

void tally_init(struct tally *t)
{
    *t = (struct tally){0};
}

void tally_fini(struct tally *t)
{
    free(t->rows);
    *t = (struct tally){0};
}

static bool row_is_free(const struct tally_row *r)
{
    return r->cell == NULL && r->histogram == NULL;
}

static struct tally_row *row_seek(struct tally_row *rows, size_t cap, const struct tally_row *key)
{
    uint64_t h = ((uintptr_t)key->cell ^ (uintptr_t)key->histogram) + (uint64_t)(unsigned)key->bucket;
    size_t i = (size_t)((h * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (cap - 1);
    while (!row_is_free(&rows[i]) &&
           (rows[i].cell != key->cell || rows[i].histogram != key->histogram || rows[i].bucket != key->bucket)) {
        i = (i + 1) & (cap - 1);
    }
    return &rows[i];
}

static bool tally_grow(struct tally *t)
{
    size_t cap = t->cap == 0 ? FIRST_ROWS : t->cap * 2;
    struct tally_row *rows = calloc(cap, sizeof *rows);
    if (rows == NULL) {
        return false;
    }
    for (size_t i = 0; i < t->cap; i++) {
        if (!row_is_free(&t->rows[i])) {
            *row_seek(rows, cap, &t->rows[i]) = t->rows[i];
        }
    }
    free(t->rows);
    t->rows = rows;
    t->cap = cap;
    return true;
}

static bool tally_put(struct tally *t, const struct tally_row *add)
{
    if ((t->n + 1) * 2 > t->cap && !tally_grow(t)) {
        return false;
    }
    struct tally_row *row = row_seek(t->rows, t->cap, add);
    if (row_is_free(row)) {
        *row = *add;
        t->n++;
    } else {
        row->n_times += add->n_times;
        row->sum += add->sum;
    }
    return true;
}

bool tally_add(struct tally *t, struct cell *c, double n)
{
    const struct tally_row row = {.cell = c, .sum = n};
    return tally_put(t, &row);
}

bool tally_observe(struct tally *t, struct cell_histogram *h, double value, uint64_t n_times)
{
    const struct tally_row row = {
        .histogram = h,
        .bucket = histogram_bucket(value),
        .n_times = n_times,
        .sum = value * (double)n_times,
    };
    return isnan(value) || n_times == 0 || tally_put(t, &row);
}

void tally_apply(struct tally *t)
{
    for (size_t i = 0; i < t->cap; i++) {
        const struct tally_row *row = &t->rows[i];
        if (row->cell != NULL) {
            cell_add(row->cell, row->sum);
        } else if (row->histogram != NULL) {
            histogram_merge(row->histogram, row->bucket, row->n_times, row->sum);
        }
    }
    tally_reset(t);
}

void tally_reset(struct tally *t)
{
    if (t->n > 0) {
        memset(t->rows, 0, t->cap * sizeof *t->rows);
        t->n = 0;
    }
}
