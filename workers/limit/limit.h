/* limit: batches in, those inside their budgets out; nothing of a tenant grows without bound.
 *
 *   metrics.valid ──► step ──► metrics.admitted (same partition), metrics.dlq
 *                      ▲ ├────► sluice.limit (same partition): its state, in the same transaction
 *                      │ └────► sluice.leases: budgets that span partitions
 *                      └─────── sluice.leases, sluice.control: read whole by each process */
#pragma once

#include "policy/policy_file.h"
#include "run/config.h"
#include "stage/stage.h"

#if SLUICE_FAULTS
#define LIMIT_FAULT_CONFIG(KEY)                                                                    \
    KEY("fault.no_restore", BOOL, "false", 0, 0, "TEST: a partition begins without its state")
#else
#define LIMIT_FAULT_CONFIG(KEY)
#endif

#define LIMIT_CONFIG(KEY)                                                                          \
    KEY("topics", LIST, "metrics.valid", 0, 0, "input: batches")                                   \
    KEY("admitted_topic", STRING, "metrics.admitted", 0, 0,                                        \
        "output: batches inside their budgets")                                                    \
    KEY("state_topic", STRING, "sluice.limit", 0, 0, "the limiter's state, compacted")             \
    KEY("leases_topic", STRING, "sluice.leases", 0, 0, "budgets shared out among the partitions")  \
    KEY("dlq_topic", STRING, "metrics.dlq", 0, 0, "output: dead letters, by reference")            \
    KEY("policy", STRING, NULL, 0, 0, "the policy's file; read again when it changes")             \
    KEY("active_ms", INT, "7200000", 8000, 604800000,                                              \
        "a series without a sample for so long (log time, up to an eighth more) leaves, ms")       \
    KEY("heartbeat_ms", INT, "10000", 1000, 3600000,                                               \
        "a partition that is silent at its end gets an empty batch this often, ms")                \
    KEY("lease_wait_ms", INT, "2000", 0, 60000,                                                    \
        "a batch with new series waits so long for its partition's lease to grow, ms")             \
    KEY("rate_burst_ms", INT, "30000", 1000, 600000,                                               \
        "a tenant may send what its samples_per_second allow in so much time at once, ms")         \
    KEY("shed_verbose_after_ms", INT, "0", 0, 86400000,                                            \
        "samples of class verbose are shed while batches are older than this, ms; 0 = never")      \
    KEY("shed_standard_after_ms", INT, "0", 0, 86400000,                                           \
        "the same for class standard; critical ones are never shed")                               \
    KEY("dlq_samples_per_minute", INT, "10000", 0, 1000000,                                        \
        "dead letters for at most this many samples of a tenant, reason, partition and minute")    \
    LIMIT_FAULT_CONFIG(KEY)

struct limit;

enum limit_output { OUTPUT_ADMITTED, OUTPUT_STATE, OUTPUT_LEASES, OUTPUT_DLQ };
enum limit_followed { FOLLOW_LEASES, FOLLOW_CONTROL };

struct limit_options {
    const char *policy_path; /* borrowed, as all here */
    const char *state_topic;
    int64_t active_ms;
    int64_t heartbeat_ms;
    int64_t lease_wait_ms;
    int64_t rate_burst_ms;
    int64_t shed_after_ms[N_CLASSES]; /* 0 = never */
    uint64_t dlq_samples_per_minute;
    size_t memory_bytes;
    bool fault_no_restore;
};

/* ERR_CONFIG when the policy is refused. */
bool limit_new(const struct limit_options *o, struct metrics *m, struct limit **out,
               struct err *e) MUST_CHECK;
void limit_free(struct limit *l);

/* Reads the policy again if its file has changed. POLICY_REFUSED: e says why. */
enum policy_change limit_reload(struct limit *l, struct err *e);
const char *limit_policy_version(const struct limit *l);
/* Gauges into their cells, pages anew. */
void limit_export(struct limit *l, int64_t now_ms);

/* Callbacks of struct stage_spec; ctx is the struct limit. */
bool limit_recover(void *ctx, struct stage *s, struct partition *p, int64_t committed,
                   struct slice metadata, struct err *e);
bool limit_step(void *ctx, struct stage *s, const struct record *in, int64_t now_ms,
                struct outbox *out, struct err *e);
bool limit_give_up(void *ctx, struct stage *s, const struct record *in, const char *reason,
                   struct outbox *out, struct err *e);
bool limit_flush(void *ctx, struct partition *p, struct outbox *out, struct err *e);
bool limit_pulse(void *ctx, struct partition *p, bool at_end, int64_t now_ms, struct outbox *out,
                 struct err *e);
bool limit_tick(void *ctx, struct stage *s, int64_t now_ms, struct err *e);
/* topic: enum limit_followed. */
bool limit_follow(void *ctx, size_t topic, const struct record *r, struct err *e);
void limit_drop(void *ctx, struct partition *p);

/* Admin pages. */
void limit_print_completeness(void *ctx, struct buf *body);
void limit_print_offenders(void *ctx, struct buf *body);
void limit_print_budgets(void *ctx, struct buf *body);
