/* Batches as validate writes them, of a fleet of game servers: 300 series each (30 metrics × 10
 * label sets of 6 labels), one metric in ten an exponential histogram of 20 to 60 buckets a side.
 * Each server has a shape of its own, so that a few thousand lie far beyond the processor's caches.
 */
#pragma once

#include "base/err.h"
#include "batch/batch.h"

enum {
    FLEET_METRICS = 30,
    FLEET_SETS = 10,
    FLEET_LABELS = 6,
    FLEET_SERIES = FLEET_METRICS * FLEET_SETS,
    FLEET_EXP_EVERY = 10,
    FLEET_MAX_SIDE = 60
};

static const int64_t fleet_base_ms = 1780000000000;

struct fleet {
    struct series series[FLEET_SERIES];
    const struct series *order[FLEET_SERIES]; /* canonical */
    struct label labels[FLEET_SETS][FLEET_LABELS];
    char names[FLEET_METRICS][64];
    char map[FLEET_SETS][64];
    char server[64];
    double values[FLEET_SERIES];
    struct arena arena;
    struct buf shape;
    struct buf exp;
    struct buf out;
};

void fleet_init(struct fleet *f);
void fleet_fini(struct fleet *f);

/* Encodes the shape of the server that was named last. */
void fleet_encode_shape(struct fleet *f);
/* Encodes a batch of that shape, with the values that were drawn last. */
struct slice fleet_encode_batch(struct fleet *f, int64_t received_ms, int64_t offset);
/* A server's scrape with values of its own. Lives until the next call. */
struct slice fleet_batch(struct fleet *f, unsigned server, int64_t received_ms, int64_t offset);
/* n servers' scrapes, in the order of their offsets. Owned, as are their bytes. */
struct slice *fleet_batches(struct fleet *f, unsigned n_servers, size_t *n_bytes);
void fleet_batches_free(struct slice *batches, unsigned n);

/* Benches end at the first error. */
void bench_check(bool ok, const struct err *e);
void *bench_must(void *p);
