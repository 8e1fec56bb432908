#include "run/metrics.h"

#include <math.h>
#include <stdlib.h>

/* In the order of counting, so that what came after a mark can be taken back by cutting the array.
 */
struct tally_row {
    struct cell *cell; /* one of the two */
    struct cell_histogram *histogram;
    double value;
    uint64_t n_times; /* of an observation */
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

static bool tally_put(struct tally *t, const struct tally_row *row)
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
    t->rows[t->n++] = *row;
    return true;
}

bool tally_add(struct tally *t, struct cell *c, double n)
{
    const struct tally_row row = {.cell = c, .value = n};
    return tally_put(t, &row);
}

bool tally_observe(struct tally *t, struct cell_histogram *h, double value, uint64_t n_times)
{
    const struct tally_row row = {.histogram = h, .value = value, .n_times = n_times};
    return isnan(value) || n_times == 0 || tally_put(t, &row);
}

void tally_rewind(struct tally *t, size_t n)
{
    t->n = n;
}

void tally_apply(struct tally *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct tally_row *row = &t->rows[i];
        if (row->cell != NULL) {
            cell_add(row->cell, row->value);
        } else {
            histogram_observe(row->histogram, row->value, row->n_times);
        }
    }
    t->n = 0;
}

void tally_reset(struct tally *t)
{
    t->n = 0;
}
