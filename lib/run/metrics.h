/* The metrics registry. Names, types, units, labels and help stand in metrics_table.h alone.
 * A cell (one metric with its label values) is looked up once and then updated without a lock by
 * the worker's thread, while the admin server reads. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdatomic.h>

#define METRIC_ENUM(id, name, type, labels, help) id,
enum metric_id {
#include "run/metrics_table.h"
    N_METRICS
};
#undef METRIC_ENUM

struct metrics; /* the registry */

/* A counter or gauge; a double, so that both share one form. */
struct cell {
    _Atomic(double) value;
};

/* A histogram with fixed bounds (seconds or as the table says). */
struct cell_histogram;

/* NULL when out of memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/* Finds or creates; label_values has as many entries as the table names labels (NULL if none).
 * Never NULL: past 4,096 cells of a metric, and for values over 256 bytes or not UTF-8, the cell
 * whose label values are all "other". Found without a lock. */
struct cell *metrics_cell(struct metrics *m, enum metric_id id, const struct slice *label_values);
struct cell_histogram *metrics_histogram(struct metrics *m, enum metric_id id,
                                         const struct slice *label_values);

/* One writer per cell. */
static inline void cell_add(struct cell *c, double n)
{
    double v = atomic_load_explicit(&c->value, memory_order_relaxed);
    atomic_store_explicit(&c->value, v + n, memory_order_relaxed);
}

static inline void cell_set(struct cell *c, double v)
{
    atomic_store_explicit(&c->value, v, memory_order_relaxed);
}

static inline double cell_get(const struct cell *c)
{
    return atomic_load_explicit(&((struct cell *)(uintptr_t)c)->value, memory_order_relaxed);
}

void histogram_observe(struct cell_histogram *h, double value, uint64_t n_times);

/* Prometheus text format 0.0.4. */
void metrics_print(struct metrics *m, struct buf *out);
/* The table of all metrics in Markdown (--help-metrics). */
void metrics_print_docs(struct buf *out);

/* Counts that wait for a transaction: added to their cells when it has committed, forgotten when
 * it was aborted. */
struct tally {
    struct tally_row *rows; /* owned */
    size_t n;
    size_t cap;
};

void tally_init(struct tally *t);
void tally_fini(struct tally *t);
/* False when out of memory (nothing was counted). */
bool tally_add(struct tally *t, struct cell *c, double n) MUST_CHECK;
/* Back to the first n counts (t->n as it was): the later ones are forgotten. */
void tally_rewind(struct tally *t, size_t n);
void tally_apply(struct tally *t); /* and reset */
void tally_reset(struct tally *t);
