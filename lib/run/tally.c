#include "run/metrics.h"

#include <stdlib.h>

struct tally_row {
    struct cell *cell; /* or */
    struct cell_histogram *histogram;
    double n; /* the value of an observation */
    uint64_t n_times;
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

static bool tally_put(struct tally *t, struct tally_row row)
{
    if (t->n == t->cap) {
        size_t cap = t->cap == 0 ? 64 : t->cap * 2;
        struct tally_row *rows = reallocarray(t->rows, cap, sizeof *rows);
        if (rows == NULL) {
            return false;
        }
        t->rows = rows;
        t->cap = cap;
    }
    t->rows[t->n++] = row;
    return true;
}

bool tally_add(struct tally *t, struct cell *c, double n)
{
    return tally_put(t, (struct tally_row){.cell = c, .n = n});
}

bool tally_observe(struct tally *t, struct cell_histogram *h, double value, uint64_t n_times)
{
    return tally_put(t, (struct tally_row){.histogram = h, .n = value, .n_times = n_times});
}

void tally_apply(struct tally *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct tally_row *row = &t->rows[i];
        if (row->cell != NULL) {
            cell_add(row->cell, row->n);
        } else {
            histogram_observe(row->histogram, row->n, row->n_times);
        }
    }
    t->n = 0;
}

void tally_reset(struct tally *t)
{
    t->n = 0;
}
