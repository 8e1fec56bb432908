/* Samples per second by a partition's log time: what is offered, and a token bucket for what may
 * pass. The least important class finds the bucket empty first. */
#pragma once

#include "batch/series.h"

#include <stdint.h>

enum { RATE_WINDOW_MS = 10000 };

struct rate {
    int64_t now_ms;     /* 0 = nothing came yet */
    int64_t began_ms;   /* of the window under way */
    int64_t n_offered;  /* in it */
    int64_t per_second; /* offered, as of the last whole window, or more by this one */
    int64_t filled_ms;  /* up to when tokens were given */
    double tokens;
};

/* Log time goes on. */
void rate_advance(struct rate *r, int64_t now_ms);
/* n samples are offered: may they pass, at so many per second, with bursts of burst_ms? */
bool rate_pass(struct rate *r, int64_t n, enum batch_class class, int64_t max_per_second,
               int64_t burst_ms);
