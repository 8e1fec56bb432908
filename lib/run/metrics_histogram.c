#include "run/metrics_family.h"

#include <math.h>

const double histogram_bounds[HISTOGRAM_BOUNDS] = {
    0.0001, 0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03,
    0.05,   0.07,   0.1,    0.15,  0.2,    0.3,   0.5,   0.7,   1,     1.5,  2,     3,    5,
    7,      10,     15,     20,    30,     50,    70,    100,   150,   200,  300,   500,  600,
};

void histogram_init(struct cell_histogram *h)
{
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        atomic_init(&h->counts[i], 0);
    }
    atomic_init(&h->sum, 0);
}

int histogram_bucket(double value)
{
    int low = 0;
    int high = HISTOGRAM_BOUNDS;
    while (low < high) {
        int middle = (low + high) / 2;
        if (value <= histogram_bounds[middle]) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

void histogram_observe(struct cell_histogram *h, double value, uint64_t n_times)
{
    if (isnan(value) || n_times == 0) {
        return;
    }
    int bucket = histogram_bucket(value);
    uint64_t n = atomic_load_explicit(&h->counts[bucket], memory_order_relaxed);
    double sum = atomic_load_explicit(&h->sum, memory_order_relaxed);
    atomic_store_explicit(&h->counts[bucket], n + n_times, memory_order_relaxed);
    atomic_store_explicit(&h->sum, sum + value * (double)n_times, memory_order_relaxed);
}
