/* Inside of the metrics registry: families, their entries, histograms. For metrics*.c. */
#pragma once

#include "run/metrics.h"

#include <pthread.h>

enum { METRIC_MAX_LABELS = 4, METRIC_MAX_CELLS = 4096, METRIC_BUCKETS = 256 };

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_row {
    const char *name;
    enum metric_type type;
    const char *labels; /* separated by commas */
    const char *help;
};

extern const struct metric_row metric_rows[N_METRICS];

/* Upper bounds in seconds: 100 µs to 10 min, six to a decade from 1 ms on; +Inf comes last. */
enum { HISTOGRAM_BOUNDS = 39, HISTOGRAM_BUCKETS = HISTOGRAM_BOUNDS + 1 };
extern const double histogram_bounds[HISTOGRAM_BOUNDS];

struct cell_histogram {
    _Atomic(uint64_t) counts[HISTOGRAM_BUCKETS];
    _Atomic(double) sum;
};

void histogram_init(struct cell_histogram *h);
/* The bucket that value falls into. */
int histogram_bucket(double value);

/* One metric with its label values. */
struct metric_entry {
    struct metric_entry *next_in_bucket;
    _Atomic(struct metric_entry *) next_made;
    uint64_t hash;
    struct slice values[METRIC_MAX_LABELS]; /* into bytes */
    struct cell cell;
    struct cell_histogram histogram;
    uint8_t bytes[];
};

struct family {
    _Atomic(struct metric_entry *) buckets[METRIC_BUCKETS];
    _Atomic(struct metric_entry *) first; /* in the order of making */
    struct metric_entry *last;
    int n_entries;
    int n_labels;
};

struct metrics {
    struct family families[N_METRICS];
    pthread_mutex_t creation;
    struct metric_entry spare; /* for when memory is out: counted, never printed */
};
