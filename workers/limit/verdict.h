/* What the budgets say of a shape, remembered: a scrape with a known shape costs one look-up and,
 * once a minute or step of log time, a mark on each of its series. */
#pragma once

#include "batch/batch.h"
#include "holding.h"
#include "policy/reason.h"

enum {
    FIRST_REFUSAL = REASON_OVER_SOURCE_BUDGET,
    N_REFUSALS = REASON_LIMITER_FULL - REASON_OVER_SOURCE_BUDGET + 1
};

/* How a series stands in the batch's columns, and whether it stays there. */
struct column {
    uint8_t kind; /* enum series_kind */
    uint8_t refusal; /* 0, or the reason - FIRST_REFUSAL + 1 */
    uint16_t n_bounds;
};

struct verdict {
    uint64_t epoch;       /* the holding's when it was made; never that of another holding */
    uint64_t set_version; /* the source's set's, so that slots are right */
    struct source *source; /* NULL: nothing was let in. Right while epoch is the holding's */
    uint32_t n_held;      /* the source's series then: one that came in since may be a refused one */
    uint16_t step;        /* of the last mark, as minute */
    uint16_t minute;
    uint32_t n_series;
    uint32_t n_scalars;
    uint32_t n_exp;
    uint32_t n_classic;
    uint32_t n_refused;
    uint32_t n_by_refusal[N_REFUSALS];
    uint32_t n_over[OVER_TENANT + 1]; /* let in by a budget in shadow mode */
    uint32_t *slots;        /* owned; SERIES_NONE = refused */
    struct column *columns; /* owned; NULL when nothing is refused */
    struct slice kept;      /* owned: the shape without the refused ones; NULL = the shape as it is */
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

/* The verdict on the batch's shape; series that the budgets let in are active from here on. Lives
 * until the next call. *is_new: it was made just now. ERR_BAD_INPUT: the shape, or columns that are
 * not the shape's. */
bool judge_batch(struct judge *j, struct holding *h, struct tenants *tenants, const struct batch *b,
                 struct verdict **out, bool *is_new, struct err *e) MUST_CHECK;
/* The shape decoded, for those who need the names; lives until the next call of judge_*. */
bool judge_shape(struct judge *j, const struct batch *b, struct shape *out, struct err *e) MUST_CHECK;
