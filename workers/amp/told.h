/* What sluice.gaps says that one destination lacks of one topic, by partition and source. */
#pragma once

#include "base/table.h"
#include "gap.h"
#include "stage/kafka_client.h"

struct told {
    struct slice sink; /* the destination's group; the caller's */
    const uint8_t *topic_id;
    struct table sources; /* struct told_source, owned */
    uint64_t n_gaps;
};

void told_init(struct told *t, const char *sink, const uint8_t topic_id[16]);
void told_fini(struct told *t);
/* Reads the topic to its end. */
bool told_read(struct told *t, const struct kafka_settings *s, const char *gaps_topic,
               struct err *e) MUST_CHECK;
/* Was the sample skipped? */
bool told_has(struct told *t, int32_t partition, uint64_t source, int64_t offset, int64_t t_ms);
