/* What the budgets say of a shape, remembered: a scrape with a known shape costs one look-up and,
 * once a minute or step of log time, a mark on each of its series. */
#pragma once

#include "batch/batch.h"
#include "holding.h"
#include "policy/reason.h"

enum {
    FIRST_REFUSAL = REASON_OVER_SOURCE_BUDGET,
    N_REFUSALS = REASON_KILLED - REASON_OVER_SOURCE_BUDGET + 1
};

/* How a series stands in the batch's columns, and whether it stays there. */
struct column {
    uint8_t kind;    /* enum series_kind */
    uint8_t refusal; /* 0, or the reason - FIRST_REFUSAL + 1 */
    uint16_t n_bounds;
};

/* Samples that a kill switch drops. */
struct killed {
    const struct control_rule *rule; /* only while the verdict is made */
    struct cell *cell;
    uint32_t n;
};

struct verdict {
    uint64_t epoch;        /* the holding's when it was made; never that of another holding */
    uint64_t set_version;  /* the source's set's, so that slots are right */
    struct source *source; /* NULL: nothing was let in. Right while epoch is the holding's */
    uint32_t n_held; /* the source's series then: one that came in since may be a refused one */
    int64_t step;    /* last marked, as minute */
    uint16_t minute;
    bool is_wanted; /* refused for want of a lease: asked again each minute */
    bool is_told;   /* what is new in it has been counted */
    int64_t n_fresh; /* active since it was made */
    uint32_t n_series;
    uint32_t n_scalars;
    uint32_t n_exp;
    uint32_t n_classic;
    uint32_t n_refused;
    uint32_t n_by_refusal[N_REFUSALS];
    uint32_t n_over[OVER_TENANT + 1]; /* let in by a budget in shadow mode */
    struct killed *killed;            /* owned; by rule */
    uint32_t n_killed;
    struct slice slots;     /* owned; slot_list.h: of those that are in */
    struct column *columns; /* owned; NULL when nothing is refused */
    struct slice kept; /* owned: the shape without the refused ones; NULL = the shape as it is */
};

struct judge {
    struct table verdicts; /* a cache, by tenant and shape */
    struct arena arena;    /* of the shape being judged */
    size_t max_set_bytes;  /* of all holdings; beyond, nothing new is let in */
    size_t n_set_bytes;    /* of the other holdings; kept up by the caller */
    uint64_t n_hits;
    uint64_t n_misses;
    /* Told of each series that is new or refused; may be NULL. */
    void (*news)(void *ctx, const struct tenant_use *t, const struct series *s, bool is_refused);
    void *news_ctx;
};

void judge_init(struct judge *j, size_t max_cache_bytes, size_t max_set_bytes);
void judge_fini(struct judge *j);

struct judging {
    struct holding *holding;
    struct tenants *tenants;
    const struct batch *batch;
    bool may_wait;
};

/* The verdict on the batch's shape; series that the budgets let in are active from here on. Lives
 * until the next call. Until the caller sets is_told, what is new in it is not counted yet: the
 * step that made it may have found no room for its output. ERR_BAD_INPUT: the shape, or columns
 * that are not the shape's. ERR_WAIT (only where it may): a lease is about to grow. */
bool judge_batch(struct judge *j, const struct judging *g, struct verdict **out,
                 struct err *e) MUST_CHECK;
/* How many samples a batch has, by the cached verdict where there is one. */
bool judge_count(struct judge *j, const struct judging *g, uint64_t *n, struct err *e) MUST_CHECK;
/* The shape decoded, for those who need the names; lives until the next call of judge_*. */
bool judge_shape(struct judge *j, const struct batch *b, struct shape *out,
                 struct err *e) MUST_CHECK;
