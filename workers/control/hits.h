/* What a kill switch hits among batches: series, sources and samples, of all that its tenant has.
 * Bounded: series and sources are counted exactly up to max_series, beyond that "at least". */
#pragma once

#include "batch/batch.h"
#include "policy/control.h"

enum { HITS_TOP = 5 };

struct hits_metric {
    struct slice name;
    uint64_t n_samples;
    uint64_t n_series;
};

/* What a number counts: as the store counts series (a classic histogram: its buckets, _sum and
 * _count). */
struct hits_count {
    uint64_t n_series;
    uint64_t n_samples;
    uint64_t n_sources;
};

struct hits {
    struct hits_count hit;
    struct hits_count tenant; /* all that it has */
    bool at_least;            /* n_series, n_sources: the cap was reached */
    uint64_t n_bad;           /* records that are no batches */
    /* private */
    const struct control_rule *rule; /* borrowed */
    size_t max_series;
    struct shape_cache shapes;
    struct arena arena;
    struct table series;
    struct table sources; /* that were hit; and, by another key, all of the tenant's */
    struct table metrics;
};

void hits_init(struct hits *h, const struct control_rule *rule, size_t max_series);
void hits_fini(struct hits *h);
/* False: out of memory. A record that is no batch is counted. */
bool hits_take(struct hits *h, struct slice record, struct err *e) MUST_CHECK;
/* The metrics hit most, by samples; their number. The names live as long as h. */
size_t hits_top(const struct hits *h, struct hits_metric out[HITS_TOP]);
