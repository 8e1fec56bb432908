/* What is refused of one message, gathered by (reason, metric, label). */
#pragma once

#include "base/arena.h"
#include "edge/series_cache.h"
#include "policy/reason.h"

/* Where in the message a point stands. */
struct point_place {
    uint32_t resource;
    uint32_t metric;
    uint32_t point;
};

struct rejected_point {
    enum reason reason;
    struct slice metric;           /* as the tenant named it */
    const struct culprit *culprit; /* NULL = no label is to blame */
    const struct hash128 *id;      /* NULL = the series has no identity */
    int64_t time_ms;
    const struct point_place *place; /* NULL = not known any more */
    const char *detail;              /* NULL = the reason's help */
};

struct reject_point {
    struct hash128 series;
    bool has_series; /* false: the refused series has no identity */
    int64_t time_ms;
};

/* Names are fit for people: cut, and UTF-8. All lives in the arena of the rejects. */
struct reject {
    struct reject *next;
    enum reason reason;
    struct slice metric;
    struct slice what;             /* what is wrong with the first point */
    struct point_place place;      /* its place */
    bool has_place;
    const struct culprit *culprit; /* NULL = no label is to blame */
    uint32_t n_more;
    struct culprit_label *more; /* its series' other labels that are refused, all together; as many as fit */
    const struct culprit *gathered; /* whose are among them: the last one's */
    uint64_t n_samples;
    uint32_t n_points; /* listed */
    uint32_t cap;
    struct reject_point *points;
};

struct rejects {
    struct arena arena; /* one message's */
    struct table by_key;
    struct reject *first;
    struct reject **last;
    uint32_t max_points; /* listed per reject; beyond, points are counted only */
    uint64_t n_samples;
};

void rejects_init(struct rejects *r, size_t max_bytes, uint32_t max_points);
void rejects_fini(struct rejects *r);
void rejects_reset(struct rejects *r);

/* ERR_BAD_INPUT with code REASON_TOO_LARGE at the arena's ceiling. */
bool reject_add(struct rejects *r, const struct rejected_point *p, struct err *e) MUST_CHECK;

/* A name from outside for people: cut to 256 bytes, ? for what is not UTF-8; ptr NULL at a's
 * ceiling. */
struct slice printable_name(struct arena *a, struct slice name);
