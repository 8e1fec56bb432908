/* What a sink had to skip (schemas/gap.avsc), as a record of the topic of gaps. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct gap_record {
    const char *sink; /* its group */
    struct slice tenant; /* empty = of all */
    uint64_t source;     /* 0 = of all */
    int64_t from_ms;     /* times of samples; 0 = not known */
    int64_t to_ms;
    const char *reason;
    int64_t n_samples; /* 0 = not known */
    struct slice topic;
    const uint8_t *topic_id; /* 16 bytes */
    int32_t partition;
    int64_t first_offset;
    int64_t last_offset;
};

/* Appends one record's value; check buf_ok. */
void gap_record_encode(const struct gap_record *g, struct buf *out);

/* What a record says; its texts are borrowed from the bytes. */
struct gap_told {
    struct slice sink;
    struct slice tenant;
    uint64_t source;
    int64_t from_ms;
    int64_t to_ms;
    int64_t n_samples;
    uint8_t topic_id[16];
    int32_t partition;
    int64_t first_offset;
    int64_t last_offset;
};
/* ERR_BAD_INPUT: it is no gap. */
bool gap_record_decode(struct slice bytes, struct gap_told *out, struct err *e) MUST_CHECK;
