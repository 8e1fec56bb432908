/* What one record's step refuses, gathered by (reason, metric, label): each becomes a dead letter
 * by reference (schemas/dlq.avsc), as far as the cap of its (tenant, reason) per minute allows. */
#pragma once

#include "base/arena.h"
#include "stage/dlq_caps.h"
#include "policy/reason.h"
#include "series_cache.h"
#include "stage/record.h"
#include "tenants.h"

/* Where in the record a point stands. */
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

struct reject;

struct rejects {
    struct arena arena; /* one record's */
    struct table by_key;
    struct reject *first;
    struct reject **last;
    uint32_t max_points; /* listed per letter: the cap, beyond which points are counted only */
    uint64_t n_samples;
};

/* The record that letters refer to. */
struct letter_origin {
    const struct record *in;
    struct slice topic;
    struct slice tenant_name; /* as it came; may be of no known tenant */
    struct tenant *tenant;
    int64_t received_ms;
};

void rejects_init(struct rejects *r, size_t max_bytes, uint32_t max_points);
void rejects_fini(struct rejects *r);
void rejects_reset(struct rejects *r);

/* ERR_BAD_INPUT with code REASON_TOO_LARGE at the arena's ceiling. */
bool reject_add(struct rejects *r, const struct rejected_point *p, struct err *e) MUST_CHECK;

/* Letters and counts of all rejects into the outbox. *n_letters counts on. */
bool rejects_put(const struct rejects *r, const struct letter_origin *o,
                 const struct tenants *tenants, struct caps *caps, int output, struct outbox *out,
                 int32_t *n_letters, struct err *e) MUST_CHECK;
/* The whole record is refused: its letter, if the reason has one, and its count. */
bool reject_record(const struct letter_origin *o, const struct tenants *tenants, enum reason reason,
                   const char *detail, struct caps *caps, int output, struct outbox *out,
                   struct err *e) MUST_CHECK;

/* A name from outside for people: cut to 256 bytes, ? for what is not UTF-8; ptr NULL at a's
 * ceiling. */
struct slice printable_name(struct arena *a, struct slice name);
