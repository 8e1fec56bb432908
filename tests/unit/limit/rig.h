/* limit's step in memory: a policy, one partition, an outbox, and behind it what Kafka would hold
 * of the state topic, so that a restart reads its state back. Output as text that tests compare. */
#pragma once

#include <check.h>

#include "batch/batch.h"
#include "limit.h"

/* Begins a step of the default active_ms, and a minute. */
#define NOW_MS INT64_C(1780000200000)
#define STEP_MS INT64_C(900000)

struct rig_options {
    const char *policy;    /* NULL: {"tenants": {"t": {}}}, whose sources have 300 series */
    int64_t active_ms;     /* 0: two hours */
    int64_t lease_wait_ms; /* 0: nothing waits for a lease */
    int64_t shed_after_ms[N_CLASSES];
    int64_t dlq_cap;       /* 0: 1,000,000; -1: none */
    size_t memory_bytes;   /* 0: 256 MiB */
    uint32_t n_partitions; /* 0: 1 */
    int32_t number;        /* of the partition */
};

struct rig_record {
    struct slice key; /* owned, as value; value.ptr NULL = a tombstone */
    struct slice value;
};

struct rig {
    struct rig_options options;
    struct metrics *metrics;
    struct limit *limit;
    struct outbox out;
    struct partition partition;
    char policy_path[64];
    int64_t offset;           /* of the next record */
    int64_t origin;           /* of the next batch that does not name one */
    int64_t age_ms;           /* of batches when they come in */
    struct buf batch;         /* the last one encoded */
    struct rig_record *state; /* owned: the state topic, nothing compacted */
    size_t n_state;
    size_t n_state_before;     /* the last commit's */
    struct rig_record *leases; /* owned: the leases topic */
    size_t n_leases;
    bool is_compacted; /* a restart reads the last record of each key, and no tombstones */
};

/* One batch. Its series, apart by blanks: name[{label=value,…}][:kind][*n | *from-to]; kinds: g
 * gauge, e exponential histogram, c<bounds> classic one, none a counter; *: as many, apart by a
 * label n. */
struct rig_batch {
    const char *series;
    const char *source; /* NULL: gs-1 */
    const char *tenant; /* NULL: t */
    enum batch_class class;
    int64_t at_ms;  /* received, from NOW_MS on */
    int64_t offset; /* the origin's; 0: the next */
    int32_t index;
    int32_t ingest; /* the origin's partition */
    uint8_t topic_id;
    uint64_t redriven;
    bool has_deltas; /* times and starts differ from point to point */
};

void rig_open(struct rig *r, const struct rig_options *o);
void rig_close(struct rig *r);
/* A new file, read at once. */
void rig_policy(struct rig *r, const char *json);
/* Valid until the next one. */
struct slice rig_encode(struct rig *r, const struct rig_batch *b);
/* Through the step; the output is added to what is there. */
void rig_send(struct rig *r, const struct rig_batch *b);
void rig_send_value(struct rig *r, struct slice value);
/* The same, which may fail; then nothing is added. */
bool rig_step(struct rig *r, struct slice value, struct err *e);
/* Flush and commit: state is in Kafka, counts move, output is forgotten. */
void rig_commit(struct rig *r);
/* The process dies: what is not committed is lost; another one reads the state back. */
void rig_restart(struct rig *r);
bool rig_recover(struct rig *r, struct err *e);
void rig_state_add(struct rig *r, struct slice key, struct slice value);
/* The partition at its end, at this time by the wall clock; output is added to what is there. */
void rig_pulse(struct rig *r, int64_t now_ms);
/* Pulses and commits until leases are where they are wanted; what pulses put out is forgotten. */
void rig_settle(struct rig *r);
/* A rule of the control topic, live by the real clock for an hour; fields: of its own kind, as
 * JSON. */
void rig_control(struct rig *r, const char *id, const char *fields);

/* What is in the outbox, one line each; valid until the next call:
 *   "> source class metric{labels} metric*n …"   admitted
 *   "~ @time"                                    a heartbeat
 *   "! reason tenant metric n_samples/n_points"  a dead letter */
const char *rig_text(struct rig *r);
/* The text of the first dead letter. */
const char *rig_letter_text(struct rig *r);
/* The last commit's state records, the partition's own left out:
 *   "# source metric*n[/weight][!over]@seen …" or "# gone" */
const char *rig_state(struct rig *r);
double rig_count(struct rig *r, enum metric_id id, const char *tenant, const char *reason);
/* By age; and for any reason. */
double rig_shed(struct rig *r, const char *tenant, enum batch_class class);
double rig_shed_for(struct rig *r, const char *tenant, enum batch_class class, const char *reason);
/* in = out + rejected + shed. */
void rig_check_accounts(struct rig *r, const char *tenant);

/* A batch's points, decoded. */
struct rig_point {
    struct hash128 id;
    struct slice metric;
    enum series_kind kind;
    uint32_t n_bounds;
    int64_t time_ms;
    int64_t start_ms;
    struct slice value; /* the column's bytes */
};
uint32_t rig_points(struct slice value, struct arena *a, struct batch *b, struct rig_point **out);

uint64_t next_random(uint64_t *state);
