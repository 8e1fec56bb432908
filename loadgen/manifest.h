/* What a sender leaves behind for the verifier: the parameters of the model, how far it came, which
 * messages were not acknowledged, and which went again although they may have been there already.
 * JSON; written whole, then renamed into place. */
#pragma once

#include "model.h"

enum manifest_state { MANIFEST_RUNNING, MANIFEST_INTERRUPTED, MANIFEST_DONE };

/* A message that may be in the topic or not; or, in repeats, once more. */
struct manifest_doubt {
    int64_t scrape; /* its g, see model.h */
    bool garbage;   /* the random bytes before it, not the scrape itself */
};

struct manifest_counts {
    int64_t scrapes; /* messages handed to the producer, by kind */
    int64_t copies;
    int64_t garbage;
    int64_t samples; /* in scrapes and copies */
    int64_t acked_messages;
    int64_t acked_samples;
    int64_t bytes;
};

/* Owned; sorted by scrape; one entry per message. */
struct manifest_list {
    struct manifest_doubt *entries;
    size_t n;
    size_t cap;
};

struct manifest {
    struct model_params params;
    char brokers[512];
    char topic[256];
    bool keyed;
    bool remote_write; /* what names neither source nor start times: a gateway takes shard_id for it
                        */
    enum manifest_state state;
    int64_t n_scrapes; /* scrapes 0 to n_scrapes - 1 were sent */
    struct manifest_counts counts;
    struct manifest_list doubts;
    struct manifest_list repeats;
};

void manifest_init(struct manifest *f);
void manifest_fini(struct manifest *f);
bool manifest_list_add(struct manifest_list *l, struct manifest_doubt doubt);
bool manifest_write(struct manifest *f, const char *path, struct err *e) MUST_CHECK;
/* A file that can't be used is ERR_CONFIG and says why. f must be initialised. */
bool manifest_read(struct manifest *f, const char *path, struct err *e) MUST_CHECK;
/* How many of this scrape's messages (or garbage) are in the list, which must be sorted: it is
 * after manifest_write and manifest_read. */
uint32_t manifest_list_count(const struct manifest_list *l, int64_t scrape, bool garbage);
const char *manifest_state_name(enum manifest_state state);
