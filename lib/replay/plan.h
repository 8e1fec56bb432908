/* A replay, decided on: which stretches of which topic of which cluster go into which sink again,
 * and a digest of the very records that this rests on. A file of JSON:
 *
 *   {"plan": id, "cluster_id", "topic", "topic_id", "stage", "group", "sink", "tenant", "metric",
 *    "rate", "made_ms", "samples", "digest": of all else,
 *    "pieces": [{"partition", "first", "last", "records", "bytes", "samples", "digest", "note"}]}
 *
 * A piece is done whole or not at all. Offsets are inclusive. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "stage/record.h"

enum { REPLAY_ID_CHARS = 16 };

struct replay_piece {
    int32_t partition;
    int64_t first;
    int64_t last;
    uint64_t n_records;
    uint64_t n_bytes;
    uint64_t n_samples; /* that the sink is to get; Parquet: rows */
    struct hash128 digest;
    const char *note; /* the sink's own; "" = none */
};

struct replay_plan {
    struct arena arena; /* of all texts */
    char id[REPLAY_ID_CHARS + 1];
    const char *cluster;
    const char *stage;
    const char *group; /* the live one, whose commits were looked at */
    const char *sink;  /* "s3://bucket/prefix", a url */
    const char *topic;
    const char *topic_id;
    const char *tenant; /* "" = all */
    const char *metric; /* "" = all; a glob */
    int64_t rate;       /* samples a second; 0 = as fast as it goes */
    int64_t made_ms;
    struct replay_piece *pieces; /* owned; partition by partition, offsets rise */
    size_t n_pieces;
    size_t cap_pieces;
};

void replay_plan_init(struct replay_plan *p);
void replay_plan_fini(struct replay_plan *p);
/* NULL: no memory. */
const char *replay_plan_text(struct replay_plan *p, const char *text);
/* The note is copied. ERR_RETRY: no memory. */
bool replay_plan_add(struct replay_plan *p, const struct replay_piece *piece, struct err *e) MUST_CHECK;
uint64_t replay_plan_n_samples(const struct replay_plan *p);

/* Sets the id. The file is there whole or not at all. */
bool replay_plan_write(struct replay_plan *p, const char *path, struct err *e) MUST_CHECK;
/* Into one that was initialised. ERR_CONFIG: no plan, or one that was changed. */
bool replay_plan_parse(struct replay_plan *p, struct slice text, struct err *e) MUST_CHECK;
bool replay_plan_read(struct replay_plan *p, const char *path, struct err *e) MUST_CHECK;

/* Over offsets and values, record by record; begins as {0}. */
void replay_digest_add(struct hash128 *digest, const struct record *r);
