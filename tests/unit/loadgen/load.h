/* Loads that the load generator's tests share. */
#pragma once

#include <check.h>

#include "model.h"

static inline struct model_params load_params(void)
{
    return (struct model_params){.seed = 7,
                                 .n_servers = 5,
                                 .n_series = 300,
                                 .interval_ms = 10000,
                                 .start_ms = INT64_C(1790000000000)};
}

/* With every misdeed and two bursts. */
static inline struct model_params load_unruly(void)
{
    struct model_params p = load_params();
    p.first_server = 40;
    p.n_bursts = 2;
    p.bursts[0] = (struct burst){5, 30000, 40000};
    p.bursts[1] = (struct burst){3, 100000, 160000};
    p.resets = 0.1;
    p.restarts = 0.1;
    p.late = 0.2;
    p.duplicates = 0.2;
    p.forbidden = 0.2;
    p.garbage = 0.2;
    return p;
}

static inline void load_open(struct model *m, struct model_params p)
{
    struct err e = ERR_INIT;
    ck_assert_msg(model_init(m, &p, &e), "%s", e.text);
}
