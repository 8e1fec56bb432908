/* The stage runtime: poll → step → produce → commit, exactly once.
 *
 *   inputs ──► step ──► outputs        transform: outputs and offsets in one transaction (KIP-447)
 *   inputs ──► step ──► the world      sink: an offset is committed when all below it is released,
 *                                      or when the stage says so (stage_commit), metadata and all
 *
 * A stage is a spec of callbacks; all of Kafka lives in lib/stage. */
#pragma once

#include "run/admin.h"
#include "run/config.h"
#include "run/metrics.h"
#include "stage/record.h"

struct stage; /* the running one */

enum stage_kind { STAGE_TRANSFORM, STAGE_SINK };

/* What a partition's commit says: the offset to resume at and up to 4,000 bytes of metadata: text, since
 * librdkafka ends it at the first NUL in a transaction. */
struct checkpoint {
    int64_t offset;
    struct buf *metadata; /* written by the stage; empty = none */
};

struct stage_spec {
    const char *name;           /* default of the group: "sluice-<name>" */
    enum stage_kind kind;
    const char *const *outputs; /* config keys that hold the output topics' names, NULL-ended */
    size_t n_copartitioned;     /* the first so many outputs must have as many partitions as the inputs */

    /* A partition was assigned: committed is its offset or -1, metadata what was committed with
     * it. Allocates partition->state; may call stage_restore. May be NULL. */
    bool (*recover)(void *ctx, struct stage *s, struct partition *p, int64_t committed,
                    struct slice metadata, struct err *e);
    /* One record in, records out. Pure in a transform: no Kafka, no I/O, no clock but now_ms (and
     * that only for what the design allows). ERR_BAD_INPUT is not for here: a bad record is the
     * step's own output (DLQ), and true. A sink takes the record in and calls stage_release when
     * its effect is there. ERR_WAIT (not of sinks that release): the partition is paused and the
     * step called again with this record, some fifty times a second. */
    bool (*step)(void *ctx, struct stage *s, const struct record *in, int64_t now_ms,
                 struct outbox *out, struct err *e);
    /* Called when a record's output was refused too often (too large, …): the reason is text.
     * Puts a reference into the DLQ. */
    bool (*give_up)(void *ctx, struct stage *s, const struct record *in, const char *reason,
                    struct outbox *out, struct err *e);
    /* Transforms: a transaction is about to carry the partition's offset: what its state has become
     * goes out with it (records of a compacted topic). What a step announced by outbox_reserve has
     * room. May be NULL. */
    bool (*flush)(void *ctx, struct partition *p, struct outbox *out, struct err *e);
    /* Transforms: called a few times a second for each partition, at_end or not. What is put out is
     * committed with the partition's offset, be it unchanged: the fence against zombies. May be NULL. */
    bool (*pulse)(void *ctx, struct partition *p, bool at_end, int64_t now_ms, struct outbox *out,
                  struct err *e);
    /* Topics of one partition that every process reads whole (config keys, NULL-ended): to their
     * ends before the first record is processed, and on as they grow. May be NULL. */
    const char *const *followed;
    bool (*follow)(void *ctx, size_t topic, const struct record *r, struct err *e);
    /* Which offset to commit, if not the true position. May be NULL. */
    void (*checkpoint)(void *ctx, struct partition *p, int64_t position, struct checkpoint *out);
    /* The partition goes (or is rewound: recover follows). Frees partition->state. May be NULL. */
    void (*drop)(void *ctx, struct partition *p);
    /* Once per loop. May be NULL. */
    bool (*tick)(void *ctx, struct stage *s, int64_t now_ms, struct err *e);
    /* Sinks: work on I/O for at most timeout_ms, or until wake_fd is readable (records wait or a
     * signal came). */
    bool (*drive)(void *ctx, struct stage *s, int wake_fd, int timeout_ms, struct err *e);
    /* Sinks: room for another record? false pauses fetching. May be NULL. */
    bool (*has_room)(void *ctx);
    /* Sinks: more of this partition? Asked now and then; false pauses it alone, while the others go
     * on. May be NULL. */
    bool (*wants)(void *ctx, const struct partition *p);
    /* Sinks: everything taken in is done or given back (for an orderly end). */
    bool (*is_idle)(void *ctx);
    /* Sinks that commit by stage_commit alone, and release nothing: the commit asked for is there.
     * One that failed, or whose outcome is unknown, is not told: drop and recover follow. */
    bool (*committed)(void *ctx, struct stage *s, struct partition *p, struct err *e);
    /* More pages of the admin server, NULL path last; called with ctx on its thread. May be NULL. */
    const struct admin_page *pages;
};

/* The keys that every stage has (config table rows), see stage_config.h. Runs until a signal or
 * an error; returns the exit code. */
int stage_run(const struct stage_spec *spec, void *ctx, const struct config *config,
              struct metrics *metrics);

/* Sinks: offset has one hold from step's return on. stage_hold adds one (before step returns),
 * stage_release takes one off; at 0 it is done. A release for a partition that is gone is
 * ignored: true = still ours. */
void stage_hold(struct stage *s, const struct partition *p, int64_t offset);
bool stage_release(struct stage *s, struct partition *p, int64_t offset);
/* Sinks: puts a record to an output; the offset is held until the brokers have it. */
bool stage_put(struct stage *s, const struct outgoing *r, struct partition *p, int64_t offset,
               struct err *e) MUST_CHECK;
/* Sinks: the partition's end as it was at the assignment: offsets below may be redeliveries. */
int64_t stage_end_at_assignment(const struct stage *s, const struct partition *p);
/* Is p still assigned, and has the group heard of us lately? */
bool stage_owns(const struct stage *s, const struct partition *p);

/* Sinks with a `committed` callback: asks for one commit of the partition, copied; one at a time. It
 * is a transaction that holds offsets only, since that alone carries the generation of the group
 * under which the partition is ours: after a revoke it can't land any more, nor can a request of it
 * that comes late (transaction.h). metadata is text. */
bool stage_commit(struct stage *s, struct partition *p, int64_t offset, struct slice metadata,
                  struct err *e) MUST_CHECK;
/* The partition stops here until the process starts anew or another takes it over: for what only an
 * operator can decide. The caller says why in the log. */
void stage_stop_partition(struct stage *s, struct partition *p);
/* The offset that is processed next, behind the markers when nothing else is left; -1: not known. */
int64_t stage_position(const struct partition *p);
/* Where the partition's log began at the assignment. */
int64_t stage_log_start(const struct partition *p);

/* restore(topic partition, from): reads state back. The end is asked for with READ_UNCOMMITTED,
 * then records are read read_committed from that offset until the position reaches it. */
typedef bool (*restore_fn)(void *ctx, const struct record *r, struct err *e);
/* Where to begin: the first offset with a timestamp of at least timestamp_ms, among what is committed; behind all that
 * is older. */
bool stage_offset_at(struct stage *s, const char *topic, int32_t partition, int64_t timestamp_ms, int64_t *offset,
                     struct err *e) MUST_CHECK;
bool stage_restore(struct stage *s, const char *topic, int32_t partition, int64_t from_offset,
                   restore_fn each, void *ctx, struct err *e) MUST_CHECK;
