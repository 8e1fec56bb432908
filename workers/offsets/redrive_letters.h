/* The dead letters that a redrive is about, with those of one ingest record side by side. */
#pragma once

#include "letters.h"

#include "base/hash.h"
#include "base/table.h"

enum { REDRIVE_MAX_LETTERS = 20000, REDRIVE_MAX_POINTS = 4000000, REDRIVE_KEY_BYTES = 128 };

struct redrive_point {
    struct hash128 series;
    bool has_series; /* false: the refused series had no identity */
    int64_t time_ms;
};

/* Texts are borrowed from `json`. */
struct redrive_letter {
    json_t *json;      /* owned: cat's object */
    int32_t partition; /* where the letter lies */
    int64_t offset;
    const char *tenant;
    const char *reason;
    const char *metric;
    const char *label; /* "" = none is named */
    const char *topic; /* the ingest record's place */
    const char *topic_id;
    int32_t origin_partition;
    int64_t origin_offset;
    int64_t received_ms;
    bool is_limits;    /* stage limit; otherwise validate */
    bool is_whole;     /* about the whole record */
    int64_t n_samples; /* refused; those beyond n_points were over the cap of letters */
    size_t n_points;
    struct redrive_point *points; /* owned; rising by time */
    /* Of its mark. What validate writes repeats when validate is reset, so its letters are known by
     * what they refer to; limit's don't repeat, and what was redriven may be refused by it again:
     * they are known by their own place. */
    char key[REDRIVE_KEY_BYTES];
    uint64_t id; /* the redrive's, for batches: of the key, never 0 */
};

struct redrive_letters {
    struct redrive_letter *items; /* owned; by origin's topic, partition, offset */
    size_t n;
    size_t cap;
    size_t n_points;
    uint64_t n_before; /* left out: they were redriven before, and would be in the way of those behind them */
    uint64_t n_amp;   /* letters of amp */
    uint64_t n_other; /* that refer to no ingest record */
    bool is_full;     /* there are more than one run takes */
};

/* By the command's filters. dlq_topic_id: as Kafka's tools show it. marks: by the hash of a letter's key. */
bool redrive_letters_read(const struct tool *t, const char *dlq_topic_id, struct table *marks,
                          struct redrive_letters *out, struct err *e) MUST_CHECK;
void redrive_letters_fini(struct redrive_letters *l);
/* Are two about the same ingest record? */
bool redrive_same_origin(const struct redrive_letter *a, const struct redrive_letter *b);
