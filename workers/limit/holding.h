/* What the limiter holds of one partition: its log time, its sources with their active series, how
 * many that makes by metric and tenant, and the origins that were processed. All of it is in the
 * partition of sluice.limit too, as of the last transaction. */
#pragma once

#include "highs.h"
#include "series_set.h"
#include "usage.h"

/* Last-seen times are kept in steps of an eighth of active_ms: a series leaves when the step in
 * which it was last seen lies more than eight steps back. */
enum {
    STEPS_ACTIVE = 8,
    MINUTE_MS = 60000,
    COMPLETE_MINUTES = 5,
    MAX_STATE_BYTES = 8 << 20 /* of a source's state record, or the partition's */
};

struct source {
    uint64_t id;
    struct tenant_use *tenant;
    struct slice name; /* owned */
    struct series_set set;
    int64_t n_active;     /* by weight, the lapsed ones too */
    size_t n_state_bytes; /* that its series take in the state at most */
    int64_t last_ms;  /* log time of the last batch; not kept in the state */
    bool is_dirty;    /* to be written with the next transaction */
    struct source *next_dirty;
};

struct holding {
    int64_t step_ms;
    int64_t time_ms; /* log time: the highest received_ms so far */
    int64_t step;    /* of time_ms */
    int64_t
        appended_ms; /* when the last record of the partition was appended, by the broker's clock */
    int64_t scope_ms;    /* time for tenants' and metrics' budgets: goes on while the partition is
                            silent */
    int64_t lapsed_step; /* of scope_ms, when it was last looked who lapses */
    uint64_t epoch;  /* moves when a refused series might be let in: series left, or new rules */
    uint64_t *draw;  /* the process's source of numbers that are never used twice */
    uint32_t number; /* of the partition */
    struct table sources;
    struct usage usage;
    struct highs highs;
    struct allocator *allocator; /* owned; partition 0 alone */
    struct source *dirty;        /* touched since the last flush */
    struct source **dead;        /* owned: without series, to be tombstoned */
    size_t n_dead;
    size_t cap_dead;
    size_t n_set_bytes;   /* of all sets */
    int64_t heartbeat_ms; /* wall clock of the last one, or of the last batch let in */
    int64_t end_ms;       /* wall clock when the partition was last at its end */
    struct holding *next; /* of the process's partitions */
    uint64_t n_expired;   /* by the last sweep */
};

struct holding_options {
    int64_t active_ms;
    uint32_t number; /* of the partition */
    uint32_t n_partitions;
    uint64_t *draw; /* borrowed, as the board */
    struct board *board;
};

bool holding_new(const struct holding_options *o, struct holding **out, struct err *e) MUST_CHECK;
void holding_free(struct holding *h);

/* Log time goes on: at a step's end idle series leave. False: out of memory. */
bool holding_advance(struct holding *h, int64_t received_ms, int64_t appended_ms,
                     struct err *e) MUST_CHECK;
/* The partition has nothing to read, at this time by the broker's clock: by as much as it has been
 * silent, time goes on for tenants' and metrics' budgets, and their idle series lapse. */
void holding_silence(struct holding *h, int64_t tick_ms);
/* A lapsed series counts again, one that has become heavier by its new weight. */
void holding_revive(struct holding *h, struct source *s, uint32_t slot, uint32_t weight,
                    enum over over);
/* Idle series leave; after a restore as well. */
bool holding_sweep(struct holding *h, struct err *e) MUST_CHECK;

/* All was read back: when series were last seen is known by the step alone. */
void holding_restored(struct holding *h);

struct source *holding_source(const struct holding *h, uint64_t id, struct slice tenant);
/* Adds one without series. NULL: out of memory. */
struct source *holding_source_add(struct holding *h, uint64_t id, struct tenant_use *tenant,
                                  struct slice name);
/* A series becomes active: last seen at step, now as far as minutes go. Its index, SERIES_NONE
 * when out of memory. */
uint32_t holding_add(struct holding *h, struct source *s, struct hash128 id, struct metric_use *m,
                     uint32_t weight, enum over over, int64_t step);
/* After adding: memory that was allotted for nothing goes back. */
void holding_fit(struct holding *h, struct source *s);
void holding_touch(struct holding *h, struct source *s);
/* Bytes that the source's state record will take at most. */
size_t holding_source_bytes(const struct source *s);
/* Would it fit with another series of this metric? */
bool holding_source_fits(const struct source *s, struct slice metric);

static inline uint16_t holding_minute(const struct holding *h)
{
    return (uint16_t)(h->time_ms / MINUTE_MS);
}
