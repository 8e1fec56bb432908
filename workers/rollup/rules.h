/* The rules of time that all of rollup goes by (design: rollup), and where rows go. */
#pragma once

#include "batch/rollup.h"

enum { MINUTE_MS = 60000, FIVE_MS = 300000, HOUR_MS = 3600000, MAX_LEAD_MS = 600000 };

struct rules {
    int64_t window_ms;
    int64_t lateness_ms; /* the watermark is that far behind the newest sample */
    int64_t idle_ms;     /* a stream that is silent for longer, by log time, closes its windows */
    int64_t horizon_ms;  /* what is older says nothing: samples, series' state */
    bool fault_no_closed_at;
    bool fault_no_horizon;
    bool fault_any_order; /* for unit tests: streams due at once close as the heap finds them */
};

/* A window is open, late amounts wait, no longer than that. */
static inline int64_t rules_max_open_ms(const struct rules *r, int64_t window_ms)
{
    return window_ms + r->lateness_ms + r->idle_ms;
}

/* A stream's last row is remembered for so long: horizon, the largest clock lead that the policy
 * can accept, one 5 m window. */
static inline int64_t rules_forget_ms(const struct rules *r)
{
    return r->horizon_ms + MAX_LEAD_MS + FIVE_MS;
}

/* So far from the epoch that sums of times can't overflow; what lies beyond is no time at all. */
static inline bool time_is_sane(int64_t ms)
{
    return ms > -(INT64_C(1) << 59) && ms < (INT64_C(1) << 59);
}

static inline int64_t window_start(int64_t ms, int64_t window_ms)
{
    int64_t rest = ms % window_ms;
    return ms - (rest < 0 ? rest + window_ms : rest);
}

/* What a record of the log needs to be read again: its offset, and log time before it. */
struct place {
    int64_t offset;
    int64_t log_before_ms;
};

static inline struct place place_first(struct place a, struct place b)
{
    return b.offset < a.offset ? b : a;
}

/* A row that leaves. */
struct leaving {
    const struct rollup *row;
    bool is_merged; /* a 5 m row made of 1 m rows; otherwise what is also the changelog */
    bool has_more;  /* the next one must be in the same transaction */
    int64_t log_ms;
    struct place needs; /* until it is there, the input from here on */
};

struct row_sink {
    bool (*put)(void *ctx, const struct leaving *l, struct err *e);
    void *ctx;
};

/* How windows came to be closed, and what became of samples. */
struct rollup_counts {
    uint64_t opened;
    uint64_t closed_by_watermark;
    uint64_t closed_by_idle;
    uint64_t closed_by_age;
    uint64_t closed_by_five; /* the 5 m window's own deadline */
    uint64_t too_old;        /* samples */
    uint64_t late_dropped;   /* cumulative: the next row has them */
    uint64_t late_folded;
    uint64_t late_amended; /* gauges */
    uint64_t reread;       /* their effect was there already */
    uint64_t invalid;
    uint64_t conflicts;
    uint64_t resets;
    uint64_t amends; /* records of their own */
    uint64_t rows;
    uint64_t streams_forgotten;
};
