/* The shape: everything of a batch that repeats scrape after scrape (symbols, source name, series
 * in canonical order; no values, no times), as one Avro-encoded byte string (schemas/shape.avsc:
 * C3 01 fingerprint body). Byte-identical for the same set of series, so it is the key of every
 * cache. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/table.h"
#include "batch/series.h"

struct shape_caps {
    size_t max_bytes;
    uint32_t max_series;      /* 20,000 */
    uint32_t max_labels;      /* 64 per series */
    uint32_t max_value_bytes; /* 1 KiB per label value, and every other string */
    uint32_t max_bounds;      /* per classic histogram: 1,024 */
};
extern const struct shape_caps shape_default_caps;

struct shape {
    struct slice bytes; /* the encoded form: the decoder's input (of a former schema: the record
                           alone, in the current one) */
    struct slice source_name;
    uint64_t source; /* source_id(tenant, source_name) */
    uint32_t n_series;
    uint32_t n_scalars; /* counters and gauges: one value each */
    uint32_t n_exp;
    uint32_t n_classic;
    const struct series *series; /* canonical order; all strictly rising: no series twice */
};

/* Appends the encoded shape. series: pointers in canonical order, strictly rising (an assert).
 * Symbols are listed in order of first use. ERR_BAD_INPUT when scratch is too small; check
 * buf_ok(out). */
bool shape_encode(struct slice source_name, const struct series *const *series, uint32_t n_series,
                  struct arena *scratch, struct buf *out, struct err *e) MUST_CHECK;

/* Decodes into a (all it points to lives there, or in bytes); checks caps, order, symbol indexes,
 * UTF-8, and computes the ids for the tenant. Only what shape_encode would have written for these
 * series passes, but for the division of arrays into blocks. Series with the same labels share
 * one array of them. ERR_BAD_INPUT, also when a is too small for it. */
bool shape_decode(struct slice bytes, struct slice tenant, const struct shape_caps *caps,
                  struct arena *a, struct shape *out, struct err *e) MUST_CHECK;

/* A bounded cache of decoded shapes by (tenant, bytes). A stage hangs what it derives from a
 * shape on `attached`; free_attached frees that at eviction. */
struct cached_shape {
    struct shape shape;
    void *attached;
    /* private */
    struct arena arena;
    void (*free_attached)(void *attached);
};

struct shape_cache {
    struct table table;
    struct shape_caps caps;
    struct arena scratch; /* of the decoder, empty between calls */
    void (*free_attached)(void *attached);
    uint64_t n_hits;
    uint64_t n_misses;
};

void shape_cache_init(struct shape_cache *c, size_t max_bytes, const struct shape_caps *caps,
                      void (*free_attached)(void *attached));
void shape_cache_fini(struct shape_cache *c);
/* The result lives until the next call of shape_cache_get (an eviction may take it). A shape that
 * is bad is not kept: ERR_BAD_INPUT each time. */
bool shape_cache_get(struct shape_cache *c, struct slice tenant, struct slice bytes,
                     struct cached_shape **out, struct err *e) MUST_CHECK;
