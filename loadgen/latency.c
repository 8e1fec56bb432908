#include "latency.h"

#include <math.h>

static const double first_s = 1e-6;
static const double width = 1.02;

void latency_add(struct latency *l, double seconds)
{
    double at = seconds > first_s ? log(seconds / first_s) / log(width) : 0;
    l->counts[at < LATENCY_BUCKETS - 1 ? (uint32_t)at : LATENCY_BUCKETS - 1]++;
    l->n++;
}

double latency_quantile(const struct latency *l, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)l->n);
    uint64_t n = 0;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        n += l->counts[i];
        if (n > 0 && n >= wanted) {
            return first_s * pow(width, i + 1);
        }
    }
    return 0;
}
