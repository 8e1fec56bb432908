/* The metrics that a game server publishes, as OTLP names and units, each with the name that
 * Prometheus's OTLP translation gives it. Written by hand, so that it checks the translation
 * instead of repeating it. A metric's series differ in one label, its dimension. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct catalogue_metric {
    const char *name;       /* OTLP */
    const char *unit;       /* UCUM */
    const char *prometheus; /* as stored */
    const char *dimension;  /* label name */
    bool is_double;         /* as_double; otherwise as_int */
    uint8_t rate_bits;      /* a counter grows by up to 2^rate_bits a step */
};

enum { N_COUNTER_METRICS = 27, N_HISTOGRAM_METRICS = 6, DIMENSION_BYTES = 24 };

extern const struct catalogue_metric catalogue_counters[N_COUNTER_METRICS];
extern const struct catalogue_metric catalogue_histograms[N_HISTOGRAM_METRICS];

/* The k-th value of a dimension, NUL-terminated, into out; gives its length. */
size_t catalogue_dimension_value(const char *dimension, uint32_t k, char out[DIMENSION_BYTES]);
