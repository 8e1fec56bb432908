/* How long requests took: counts by duration, 2 % wide, from a microsecond on. */
#pragma once

#include <stdint.h>

enum { LATENCY_BUCKETS = 1024 };

struct latency {
    uint64_t counts[LATENCY_BUCKETS];
    uint64_t n;
};

void latency_add(struct latency *l, double seconds);
/* Below which this share of them lies, in seconds; 0 when there are none. */
double latency_quantile(const struct latency *l, double share);
