/* `status`: how far each group of this sluice is, and what stands still, and why. */
#pragma once

#include "groups.h"
#include "policy/controls.h"
#include "tool.h"

enum trouble {
    TROUBLE_NONE,
    TROUBLE_BEHIND, /* old, but it moves */
    TROUBLE_PAUSED, /* by an operator */
    /* Stuck, all from here on. */
    TROUBLE_NO_MEMBER,
    TROUBLE_UNASSIGNED,
    TROUBLE_REBALANCING,
    TROUBLE_OUT_OF_RANGE,
    TROUBLE_NO_TOPIC,
    TROUBLE_NO_LEADER,
    TROUBLE_NO_OFFSET,
    TROUBLE_FOREIGN_OFFSET,
    TROUBLE_OPEN_TRANSACTION,
    TROUBLE_STILL,
    N_TROUBLES
};
extern const char *const trouble_names[N_TROUBLES];

/* One partition of one group. */
struct progress {
    const struct group *group;
    const char *topic;
    int32_t partition;
    int64_t committed;     /* -1 = nothing */
    int64_t position;      /* the true one, of the metadata where they tell it */
    int64_t low;           /* where the log begins */
    int64_t stable;        /* the last stable offset */
    int64_t high;          /* the end */
    int64_t lag_records;   /* offsets left, markers included; 0 when no record is */
    int64_t lag_ms;        /* age of the oldest record that is left; 0 = none is; -1 = not known */
    int64_t open_since_ms; /* when stable < high: when what is open was appended; else 0 */
    int64_t intent_last;   /* of parquet's open intent; else -1 */
    rd_kafka_resp_err_t unreachable; /* why its offsets are not to be had; or none */
    const char *client;              /* who has it; NULL = nobody */
    enum trouble trouble;
    char why[240];
};

struct status {
    struct groups groups;
    struct progress *partitions; /* owned; by group, topic, partition */
    size_t n;
    struct controls rules; /* the operators', as far as they could be read */
    uint64_t draw;
};

/* Reads and prints. *code: 1 when something is stuck, 3 when the brokers are away. */
bool status_verb(const struct tool *t, int *code, struct err *e) MUST_CHECK;
