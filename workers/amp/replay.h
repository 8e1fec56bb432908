/* Replays into the store: what of a stretch of a topic can still land is sent again, in order, at the
 * plan's rate, by the worker's own step and sender. What the store has already it takes again in
 * silence (the same value at the same time). Nothing is dead-lettered and no gap is told: the log has
 * it all, and a plan may be made again; apply's report says what was refused. A plan's pieces are cut
 * by their samples and bytes. */
#pragma once

#include "delivery.h"
#include "replay/command.h"

int amp_replay_plan(const struct replay_call *call);
int amp_replay_apply(const struct replay_call *call);

/* The configuration's, but for what a replay has of its own: the tenant and the metric, no repeats,
 * requests that go at once. texts is cleared and lives as long as what is made of the options. */
struct replay_texts {
    const char *tenants[1];
    char sink[600]; /* the url, and the tenant there */
};
bool replay_options(const struct config *c, const char *tenant, const char *metric,
                    struct replay_texts *texts, struct amp_options *out, struct err *e) MUST_CHECK;
/* How many of the scrape's points are wanted; NULL has none. */
uint32_t replay_n_wanted(const struct scrape *s);
