/* What of a shape goes over the wire scrape after scrape, encoded once: each series' labels as
 * Remote Write 1.0 wants them (sorted, with __name__, no empty ones; classic histograms as _bucket
 * with le, _sum, _count). A scalar series is a template that lacks only its value and time:
 *
 *   0A len  { 0A len {name value} … }  12 10 09 | value f64 | 10 | time, varint of 6 bytes
 *
 * Shared by the shape cache and the scrapes in the queue, hence counted. */
#pragma once

#include "base/buf.h"
#include "batch/shape.h"
#include "run/metrics.h"

struct wire_series {
    struct hash128 id;
    uint32_t at;     /* in bytes: scalar: its template; exponential: its labels; classic: its parts
                        (buckets, _sum, _count), each a 32-bit length and a template */
    uint32_t len;    /* from there */
    uint32_t column; /* rank among the scalars, exponentials or classics */
    uint32_t n_bounds;
    uint8_t kind;  /* enum series_kind */
    bool delta;    /* not for a store: skipped */
    bool bad_name; /* the metric's or a label's, by Prometheus's classic rules */
    bool unwanted; /* of another metric than a replay is for; the caller's to set */
};

/* The cells of one tenant that each scrape touches. */
struct tenant_cells {
    struct cell *samples_in;
    struct cell *samples_out;
    struct cell *already_there;
    struct cell *delta; /* rejected: delta temporality */
};

struct template; /* template.h */

struct wire_shape {
    uint32_t n_refs;
    uint32_t n_series;
    uint32_t n_scalars;
    uint32_t n_exp;
    uint32_t n_classic;
    uint32_t n_delta;
    uint32_t n_bad_names;
    uint32_t n_unwanted;
    uint32_t n_wire; /* samples on the wire: a classic histogram is several */
    uint64_t known;  /* when the store took all its series (known.h) */
    struct wire_series *series;
    uint8_t *bytes; /* what at and len index */
    size_t n_bytes;
    struct hash128 key;        /* in the cache of shapes; the caller's to set */
    struct slice tenant;       /* lives in here */
    struct tenant_cells cells; /* the caller's to set */
    /* By form, owned; NULL until made, or none. */
    struct template *templates[2];
};

static inline bool wire_series_is_scalar(const struct wire_series *s)
{
    return s->kind == SERIES_COUNTER || s->kind == SERIES_GAUGE;
}

enum { WIRE_MAX_TENANT_LABEL = 100 };

/* What goes into labels beside what the shape says. */
struct wire_names {
    /* Carries the tenant's name; "" = none. A series' own label of that name becomes exported_…, as
     * Prometheus does with job and instance. */
    const char *tenant_label;
    struct slice part_suffix; /* of classic histograms: behind _bucket, _sum and _count */
};

/* One reference is the caller's. The series may be in any order. ERR_BAD_INPUT: labels beyond
 * max_bytes. */
bool wire_shape_new(const struct shape *shape, struct slice tenant, const struct wire_names *names,
                    size_t max_bytes, struct wire_shape **out, struct err *e) MUST_CHECK;
static inline struct wire_shape *wire_shape_ref(struct wire_shape *w)
{
    w->n_refs++;
    return w;
}
void wire_shape_unref(void *wire_shape);
/* Bytes held, for the queue's memory. */
size_t wire_shape_cost(const struct wire_shape *w);

/* A series' labels as they are encoded, for texts; *at begins with 0. False: no more. (Of a
 * classic histogram: those of its _count.) */
bool wire_shape_label_next(const struct wire_shape *w, uint32_t series, size_t *at,
                           struct slice *name, struct slice *value);
/* The metric: "__name__". */
bool wire_shape_label(const struct wire_shape *w, uint32_t series, const char *name,
                      struct slice *value);
