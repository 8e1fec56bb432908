/* What the double has taken and refused: per series its points sorted by time, each with the
 * number of the request that first brought it and how often it came; and the refusals in order
 * of arrival. Nothing here decides; one lock around it is the caller's. */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/table.h"

/* bits: the double's bits, or a histogram's digest. 24 bytes: ten million of them must fit. */
struct point {
    int64_t t_ms;
    uint64_t bits;
    uint32_t request;
    uint16_t n_times; /* came with this value, answered well or not */
    uint16_t spare;
};

enum track_kind { TRACK_SCALAR, TRACK_HISTOGRAM, N_TRACKS };

struct track {
    struct point *points;
    struct slice *kept; /* NULL, or each histogram's canonical form, owned */
    uint32_t n;
    uint32_t cap;
};

/* A request in progress. */
struct flight {
    int fd;
    uint32_t request;
    int64_t start_ns; /* its headers were there */
};

struct series {
    uint8_t *key; /* owned; per label: varint length, name, varint length, value */
    uint32_t key_len;
    uint32_t at; /* in store.list */
    struct track tracks[N_TRACKS];
    uint32_t n_late;    /* new samples that came after a newer one */
    uint32_t n_refused; /* refused and not there */
    /* Where the judging of one request stands. */
    uint32_t judged_request;
    bool judged_any;
    uint8_t judged_kind;
    int64_t judged_max_ms;
    uint64_t judged_bits;
    uint32_t opened_request; /* that would make it active */
    bool opened_beyond;      /* and goes beyond the series limit by it */
    /* Requests that carry it. */
    const struct flight *flight;
    int64_t flight_end_ns;
    int64_t not_before_ns; /* a Retry-After forbids it until then */
};

struct refusal {
    int64_t t_ms;
    uint64_t bits;
    uint32_t series;
    uint32_t request;
    uint8_t reason;
    uint8_t kind;
    bool stored; /* the same value is there: a redelivery */
};

struct store {
    struct table by_key;
    struct series **list;
    uint32_t n_series;
    uint32_t cap_series;
    uint32_t n_active; /* with at least one point */
    bool any;
    int64_t max_t_ms;
    struct refusal *refusals;
    size_t n_refusals;
    size_t cap_refusals;
    size_t max_refusals; /* further ones are counted only */
    bool keep_histograms;
    uint64_t n_points[N_TRACKS];
    uint64_t n_repeated; /* same time and value again */
    uint64_t n_hidden;   /* other value for a time that is taken, dropped silently */
    uint64_t n_late;
};

enum store_put { STORE_NEW, STORE_REPEATED, STORE_HIDDEN, STORE_NO_MEMORY };

void store_init(struct store *s, bool keep_histograms, size_t max_refusals);
void store_fini(struct store *s);
/* Forgets everything. No flight may be in progress. */
void store_reset(struct store *s);
/* Finds or adds the series of this key; NULL: out of memory. */
struct series *store_series(struct store *s, struct slice key);
/* The newest time of either track; false when the series has no point. */
bool series_newest(const struct series *series, int64_t *t_ms, enum track_kind *kind,
                   uint64_t *bits);
/* NULL when there is none. */
struct point *track_find(const struct track *track, int64_t t_ms);
/* content: the canonical form of a histogram, copied when histograms are kept. */
enum store_put store_point(struct store *s, struct series *series, enum track_kind kind,
                           const struct point *p, struct slice content);
void store_refusal(struct store *s, const struct refusal *r);
