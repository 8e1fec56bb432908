/* Dead letters by reference (schemas/dlq.avsc): who refused what and why, and where in the ingest
 * log it lies. The payload stays there; no label value stands here in clear. */
#pragma once

#include "base/buf.h"
#include "base/hash.h"
#include "batch/versions.h"

#include <stdbool.h>

struct dead_letter_point {
    struct hash128 series;
    bool has_series; /* false: the refused series has no identity */
    int64_t time_ms;
};

struct dead_letter_label {
    struct slice label; /* cut at 256 bytes */
    const char *reason;
    struct slice masked_value;
};

struct dead_letter {
    struct slice tenant; /* empty = not known */
    const char *stage;
    const char *reason;
    struct slice metric; /* empty = the whole record; cut at 256 bytes */
    int64_t received_ms;
    struct slice topic;
    const uint8_t *topic_id; /* 16 bytes */
    int32_t partition;
    int64_t offset;
    int64_t index; /* which of the ingest record's dead letters */
    int64_t n_samples;
    uint32_t n_points;
    const struct dead_letter_point *points;
    struct slice label; /* cut at 256 bytes */
    struct slice masked_value;
    struct slice text;
    struct slice mask_key;       /* id of the key that masked the value */
    struct slice policy_version; /* empty = no policy had a part in it */
    uint64_t n_suppressed;       /* refused before, without a letter of their own */
    uint32_t n_more;
    const struct dead_letter_label *more; /* other labels that are refused, too */
};

/* For whoever reads letters: the schema, and its former versions. */
extern const struct schema_versions dead_letter_versions;

/* Appends one record's value; check buf_ok. */
void dead_letter_encode(const struct dead_letter *l, struct buf *out);
