/* Batches that the gateway has validated already: checked for form, given origin and received_ms,
 * and passed on. */
#pragma once

#include "batch/batch.h"
#include "letters.h"

struct forward {
    struct shape_cache shapes;
    struct buf encoded;
};

void forward_init(struct forward *f, size_t max_bytes);
void forward_fini(struct forward *f);
/* *n_samples: the batch's points. ERR_BAD_INPUT: not a batch, or not of this tenant (then code is
 * REASON_FORGED_BATCH). */
bool forward_batch(struct forward *f, const struct letter_origin *o, struct arena *scratch,
                   int output, struct outbox *out, uint64_t *n_samples, struct err *e) MUST_CHECK;
