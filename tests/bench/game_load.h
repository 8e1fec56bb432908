/* Realistic samples of game servers for files: each server has a series of each metric with six
 * labels, a scrape every 10 s with a few ms of jitter, counters that grow as loadgen's do, one
 * metric in 20 a gauge of whole numbers; one in ten an exponential histogram if wanted. The same
 * options give the same batches. */
#pragma once

#include "batch/batch.h"

struct game_load_options {
    unsigned n_servers;
    unsigned n_metrics;
    unsigned n_scrapes;
    int64_t base_ms;
    bool histograms;
};

struct game_load;

/* NULL: no memory. */
struct game_load *game_load_new(const struct game_load_options *o);
void game_load_free(struct game_load *l);
/* In the order of their times. False: that was all. Lives until the next call. */
bool game_load_next(struct game_load *l, struct batch *out);
/* Of the last batch in its partition: with one commit marker a second in between. */
int64_t game_load_offset(const struct game_load *l);
