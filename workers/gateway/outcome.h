/* What became of a request, and how it is counted. */
#pragma once

#include "batch/series.h"
#include "policy/reason.h"
#include "route.h"
#include "run/metrics.h"

struct outcome {
    struct slice tenant; /* its name; lives as long as the directory */
    enum route route;
    unsigned status;
    enum reason refused; /* as a whole; REASON_NONE = it was not */
    uint64_t n_received_bytes;
    uint64_t n_unpacked_bytes;
    uint64_t n_in; /* samples: n_out, n_shed, n_shed_by_rule and n_by_reason together */
    uint64_t n_out;
    uint64_t n_shed[N_CLASSES];         /* since the gateway is overloaded */
    uint64_t n_shed_by_rule[N_CLASSES]; /* since the operators say so */
    uint64_t n_by_reason[N_REASONS];
    int64_t answer_ns; /* 0 = there was no answer */
};

/* One thread at a time. */
void outcome_count(const struct outcome *o, struct metrics *m);
