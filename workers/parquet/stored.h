/* Which ranges of a topic have objects already, told by the objects' names (key.h). */
#pragma once

#include "aws/s3_object.h"
#include "ledger/intent.h"

struct stored_range {
    int32_t partition;
    int64_t first;
    int64_t last;
    uint32_t n_objects; /* found */
    char **keys;        /* theirs; of struct stored */
};

struct stored {
    char **keys;                 /* owned, and each of them */
    size_t n_keys;
    struct stored_range *ranges; /* by partition, first, last; each once */
    size_t n;
};

/* Below the prefix, in all tables. ERR_RETRY, ERR_CONFIG: S3's. */
bool stored_list(struct s3 *s3, const char *prefix, const char *topic, const char *topic_id,
                 struct stored *out, struct err *e) MUST_CHECK;
void stored_free(struct stored *s);
/* The first range of the partition, *n of them; NULL: none. */
const struct stored_range *stored_of(const struct stored *s, int32_t partition, size_t *n);
/* One that has some of the offsets, but not just these; NULL: none. */
const struct stored_range *stored_crossing(const struct stored *s, int32_t partition, int64_t first,
                                           int64_t last);

/* What a range's objects say of it. */
struct stored_ledger {
    bool is_known; /* one of them tells: in its metadata, or if none does there, in its footer */
    struct intent intent;
    uint32_t n_objects; /* that the range has */
    uint64_t n_rows;    /* of the objects that tell */
    uint32_t n_silent;  /* objects whose metadata don't tell just that */
};
/* ERR_RETRY: S3's. */
bool stored_ledger(struct s3 *s3, const struct stored_range *r, const char *topic_id,
                   struct stored_ledger *out, struct err *e) MUST_CHECK;
