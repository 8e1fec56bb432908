/* What edge_judge answers: the batches, copied, and the words for a person. */
#pragma once

#include "edge/edge.h"
#include "edge/kills.h"

struct answer_batches {
    struct arena arena;       /* the batches' bytes: one message's */
    struct edge_batch *items; /* owned */
    uint32_t n;
    uint32_t cap;
    uint64_t n_scalars;
    uint64_t n_histograms;
};

void answer_batches_init(struct answer_batches *b, size_t max_bytes);
void answer_batches_fini(struct answer_batches *b);
void answer_batches_reset(struct answer_batches *b);
/* ctx is the struct answer_batches: for struct batch_target. */
bool answer_batch_put(void *ctx, const struct batch *b, uint32_t n_samples, struct slice encoded,
                      struct err *e) MUST_CHECK;

struct answer_parts {
    const struct answer_batches *batches;
    const struct rejects *rejects;
    const struct kills *kills;
    struct arena *arena; /* the message's */
    enum edge_format format;
};

bool answer_fill(const struct answer_parts *p, struct edge_answer *out, struct err *e) MUST_CHECK;
