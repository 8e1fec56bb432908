/* All records of a topic, read_committed, from the start to what was its end at the beginning
 * (transactions that were open then included, once they are decided). */
#pragma once

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>

struct topic_record {
    int32_t partition;
    int64_t offset;
    struct slice payload;
};

typedef bool (*topic_visit)(void *ctx, const struct topic_record *record, struct err *e);

/* wait_ms: how long nothing may move. An error of visit ends it, with the record's place in front. */
bool topic_read(const char *brokers, const char *topic, int64_t wait_ms, topic_visit visit,
                void *ctx, struct err *e) MUST_CHECK;
