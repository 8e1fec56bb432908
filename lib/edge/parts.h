/* An OTLP message that goes on unjudged, in parts: each ResourceMetrics to the partition of its
 * source, where a judged batch of that source would go. So a source's points stay in order, whoever
 * brings them, among whatever others. Of the message nothing but the resources is read:
 *
 *   { resource_metrics=1 … } ──► { those of gs-1, gs-7 }: partition 3; { those of gs-2 }: partition
 * 8 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "policy/glob.h"

struct message_part {
    int32_t partition;
    struct slice value; /* a message of the same type */
};

struct parts_route {
    struct slice tenant;
    const struct text_list *attributes; /* the first one that a resource has names its source */
    uint64_t other_source; /* stands for who is not named so, and for what can't be read */
    int32_t n_partitions;
};

struct parts {
    uint32_t n;
    struct message_part *items; /* owned */
    /* private */
    int32_t n_partitions;
    size_t *n_bytes; /* owned; of each partition, then where its next piece goes */
    struct buf bytes;
};

/* It takes as many bytes as the message has, at most. */
void parts_init(struct parts *p);
void parts_fini(struct parts *p);
/* p's parts, which live as long as the message and until the next call. A message that can't be
 * read is one part: whoever reads it on says why. ERR_RETRY: no memory. */
bool parts_split(struct parts *p, const struct parts_route *route, struct slice message,
                 struct err *e) MUST_CHECK;
