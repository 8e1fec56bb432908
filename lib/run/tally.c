#include "run/metrics.h"

#include <stdlib.h>

/* In the order of counting, so that what came after a mark can be taken back by cutting the array.
 */
struct tally_row {
    struct cell *cell;
    double value;
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

bool tally_add(struct tally *t, struct cell *c, double n)
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
    t->rows[t->n++] = (struct tally_row){c, n};
    return true;
}

void tally_rewind(struct tally *t, size_t n)
{
    t->n = n;
}

void tally_apply(struct tally *t)
{
    for (size_t i = 0; i < t->n; i++) {
        cell_add(t->rows[i].cell, t->rows[i].value);
    }
    t->n = 0;
}

void tally_reset(struct tally *t)
{
    t->n = 0;
}
