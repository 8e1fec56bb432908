/* An ingest record judged once more, by validate's own step and the policy as it is now:
 *
 *   letters of one record ──► the record ──► validate_step ──► batches, of which each letter
 *                                                              claims the points that it is about
 */
#pragma once

#include "redrive_letters.h"

#include "batch/batch.h"

enum again_state {
    AGAIN_JUDGED,
    AGAIN_PAST_RETENTION,
    AGAIN_OTHER_TOPIC, /* deleted, and made anew since */
    AGAIN_NO_TOPIC,
    AGAIN_NO_RECORD
};

/* What the policy lets in of the record. */
struct again_batch {
    struct batch batch;
    struct shape shape;
    const int64_t *times_ms; /* by series */
    int32_t partition;       /* of the valid topic */
};

struct again;

bool again_new(const struct tool *t, const char *policy, uint32_t n_valid_partitions,
               struct again **out, struct err *e) MUST_CHECK;
void again_free(struct again *a);

/* The n letters are of one ingest record. Batches live until the next call. */
bool again_judge(struct again *a, rd_kafka_t *rk, const struct redrive_letter *letters, size_t n,
                 enum again_state *state, struct err *e) MUST_CHECK;
size_t again_n_batches(const struct again *a);
const struct again_batch *again_batch_at(const struct again *a, size_t i);
/* Is the point one that the letter (by its place among the n) is about? By series and time where
 * the letter has ids; where the refused series had none, by time, the metric as the tenant named
 * it, and the label that the letter names. Of such, some may be others than those refused: points
 * of that metric that passed the first time. */
bool again_claims(const struct again *a, size_t letter, struct hash128 series, int64_t time_ms);
/* Why the policy still refuses samples of the metric (empty: of the record); NULL: it doesn't. */
const char *again_refusal(const struct again *a, const char *metric);
