/* Batches by chance, for tests, and the vectors' files. The same seed gives the same batch. */
#pragma once

#include "batch/batch.h"
#include "batch/histogram.h"

enum { SAMPLE_MAX_SERIES = 60, VECTOR_MAX_BYTES = 64 * 1024 };

struct sample {
    struct arena arena;
    struct buf shape;
    struct buf exp;
    struct buf classic;
    struct buf bytes; /* the batch, encoded */
    struct series series[SAMPLE_MAX_SERIES];
    const struct series *order[SAMPLE_MAX_SERIES]; /* canonical, no two the same */
    uint32_t n_series;
    double values[SAMPLE_MAX_SERIES];
    int64_t time_deltas[SAMPLE_MAX_SERIES];
    int64_t start_deltas[SAMPLE_MAX_SERIES];
    struct batch batch; /* points into the above */
};

struct sample *sample_new(uint64_t seed);
void sample_free(struct sample *s);

uint64_t random_next(uint64_t *state);
/* 0 … n - 1 */
uint32_t random_below(uint64_t *state, uint32_t n);
/* One side's buckets, sound ones. */
struct exp_buckets random_buckets(uint64_t *state, struct arena *a);
struct exp_histogram random_exp(uint64_t *state, struct arena *a);

/* tests/vectors/<folder>/<name>.bin in memory of its own length: free(). */
uint8_t *vector_read(const char *folder, const char *name, size_t *n_bytes);
