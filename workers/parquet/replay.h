/* Replays into S3: what is missing of a stretch of a topic becomes the very objects that the worker
 * would have made of it; what is there is left alone. A plan's pieces are ranges: either one that
 * lacks some of its objects (as its intent says), or a cut of a gap between ranges. No piece goes
 * beyond what the live group has committed, so that no offset is ever in two objects. */
#pragma once

#include "replay/command.h"
#include "stored.h"
#include "worker.h"

int parquet_replay_plan(const struct replay_call *call);
int parquet_replay_apply(const struct replay_call *call);

/* What both work with. */
struct replay_bucket {
    struct worker *worker;
    struct s3 *s3;
    const struct portion_options *options;
    char sink[600]; /* "s3://bucket/prefix" */
};
bool replay_bucket_open(const struct replay_call *call, struct replay_bucket *out,
                        struct err *e) MUST_CHECK;
void replay_bucket_close(struct replay_bucket *b);
/* A range of the topic as the worker would open it. */
bool replay_range_open(const struct replay_bucket *b, const char *topic, const char *topic_id,
                       int32_t partition, const struct layout *layout, struct range **out,
                       struct err *e) MUST_CHECK;
/* Below it the offsets are no business of the live group any more: what it has committed; without a
 * commit, the end of the newest range. */
bool replay_bound(struct log_reader *r, const struct stored *stored, int32_t partition,
                  int64_t *bound, bool *is_committed, struct err *e) MUST_CHECK;
