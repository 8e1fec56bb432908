/* What is to become of a stopped group's commits, partition by partition: shown, asked for, done.
 */
#pragma once

#include "base/slice.h"
#include "groups.h"
#include "tool.h"

struct move {
    char *topic; /* all owned */
    int32_t partition;
    int64_t old_offset; /* -1 = nothing was committed */
    char *old_metadata; /* "" = none */
    int64_t new_offset;
    char *new_metadata;
};

struct moves {
    struct move *items; /* owned */
    size_t n;
};

/* Copies all. metadata: text, may be empty. */
bool moves_add(struct moves *m, const char *topic, int32_t partition, struct err *e) MUST_CHECK;
/* Of the last one added. */
bool moves_set_old(struct moves *m, int64_t offset, struct slice metadata,
                   struct err *e) MUST_CHECK;
bool moves_set_new(struct moves *m, int64_t offset, struct slice metadata,
                   struct err *e) MUST_CHECK;
void moves_free(struct moves *m);

/* ERR_CONFIG: it has members; they are named, and what to do. */
bool group_is_idle(rd_kafka_t *rk, const char *group, struct err *e) MUST_CHECK;
/* The same, and it has committed something: ERR_CONFIG otherwise. */
bool group_is_stopped(rd_kafka_t *rk, const char *group, struct err *e) MUST_CHECK;
/* Forward: what lies between would be read by nobody. ERR_CONFIG without --force. */
bool moves_check_forward(const struct tool *t, const struct moves *m, struct err *e) MUST_CHECK;
/* Prints before → after and asks (or --yes). ERR_CONFIG: there is nothing to set, or nobody said yes. */
bool moves_ask(const struct tool *t, const char *group, const struct moves *m, struct err *e) MUST_CHECK;
/* Prints before → after, writes a snapshot of the group, and sets the offsets. */
bool moves_set(const struct tool *t, rd_kafka_t *rk, const char *group, const struct moves *m,
               struct err *e) MUST_CHECK;
/* Both. Prints before → after, writes a snapshot of the group, asks (or --yes), and sets the offsets.
 * With --dry-run it only prints. ERR_CONFIG: nobody said yes; nothing was changed. */
bool moves_do(const struct tool *t, rd_kafka_t *rk, const char *group, const struct moves *m,
              struct err *e) MUST_CHECK;
