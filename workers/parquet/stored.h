/* Which ranges of a topic have objects already, told by the objects' names (key.h). */
#pragma once

#include "aws/s3_object.h"
#include "ledger/intent.h"

struct stored_range {
    int32_t partition;
    int64_t first;
    int64_t last;
    uint32_t n_objects; /* found */
    char *key;          /* of one of them; owned */
};

struct stored {
    struct stored_range *ranges; /* by partition, first, last; each once */
    size_t n;
    size_t cap;
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

/* What an object says of its range: the intent, and how many objects the range has. *known false:
 * it has no such metadata. ERR_RETRY: S3's. */
bool stored_ledger(struct s3 *s3, const struct stored_range *r, struct intent *intent,
                   uint32_t *n_objects, bool *known, struct err *e) MUST_CHECK;
