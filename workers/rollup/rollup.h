/* rollup: samples in, sums per minute, five minutes and hour out; crash-exact (design: rollup).
 *
 *   metrics.admitted ──► 1m ──► metrics.rollup.1m, metrics.rollup.5m (same partition), metrics.dlq
 *   metrics.rollup.5m ──► 1h ──► metrics.rollup.1h
 *
 * The output is the changelog: recovery reads its own rows back, then the input from the earliest
 * record that is still needed, which is what the group commits. */
#pragma once

#include "run/config.h"
#include "stage/stage.h"

#if SLUICE_FAULTS
#define ROLLUP_FAULT_CONFIG(KEY)                                                                   \
    KEY("fault.no_closed_at", BOOL, "false", 0, 0, "TEST: rereading ignores where windows closed") \
    KEY("fault.no_horizon", BOOL, "false", 0, 0, "TEST: nothing is too old, no stream is forgotten") \
    KEY("fault.slow_us", INT, "0", 0, 1000000, "TEST: a record takes so long")
#else
#define ROLLUP_FAULT_CONFIG(KEY)
#endif

#define ROLLUP_CONFIG(KEY)                                                                         \
    KEY("window", STRING, "1m", 0, 0,                                                              \
        "1m: batches become rows of 1 m and 5 m; 1h: rows of 5 m become rows of 1 h")              \
    KEY("topics", LIST, "metrics.admitted", 0, 0, "input: batches; for 1h: metrics.rollup.5m")     \
    KEY("rollup_1m_topic", STRING, "metrics.rollup.1m", 0, 0, "output: rows of 1 m")               \
    KEY("rollup_5m_topic", STRING, "metrics.rollup.5m", 0, 0, "output: rows of 5 m")               \
    KEY("rollup_1h_topic", STRING, "metrics.rollup.1h", 0, 0, "output of window=1h: rows of 1 h")  \
    KEY("dlq_topic", STRING, "metrics.dlq", 0, 0, "output: dead letters, by reference")            \
    KEY("lateness_ms", INT, "15000", 0, 600000,                                                    \
        "a window closes when a source's samples are so far past its end, ms")                     \
    KEY("source_idle_ms", INT, "0", 0, 86400000,                                                   \
        "and when the source is silent for so long, log time, ms; 0 = 120 s, for 1h 15 min")       \
    KEY("horizon_ms", INT, "0", 0, 604800000,                                                      \
        "older samples and state say nothing, log time, ms; 0 = 2 h, for 1h 6 h")                  \
    KEY("max_row_bytes", INT, "8388608", 4096, 8388608,                                            \
        "a larger row is split by series into records of this size")                               \
    ROLLUP_FAULT_CONFIG(KEY)

struct rollup_worker;

/* OUTPUT_HOURLY_DLQ: of window=1h, which has no merged rows. */
enum rollup_output { OUTPUT_ROWS, OUTPUT_MERGED, OUTPUT_DLQ, OUTPUT_HOURLY_DLQ = OUTPUT_MERGED };

struct rollup_options {
    bool is_hourly;
    const char *row_topic; /* borrowed: the changelog */
    int64_t lateness_ms;
    int64_t idle_ms;
    int64_t horizon_ms;
    size_t max_row_bytes;
    size_t memory_bytes;
    bool fault_no_closed_at;
    bool fault_no_horizon;
    int64_t fault_slow_us;
};

bool rollup_new(const struct rollup_options *o, struct metrics *m, struct rollup_worker **out,
                struct err *e) MUST_CHECK;
void rollup_free(struct rollup_worker *w);

/* Callbacks of struct stage_spec; ctx is the struct rollup_worker. */
bool rollup_recover(void *ctx, struct stage *s, struct partition *p, int64_t committed,
                    struct slice metadata, struct err *e);
bool rollup_step(void *ctx, struct stage *s, const struct record *in, int64_t now_ms,
                 struct outbox *out, struct err *e);
bool rollup_give_up(void *ctx, struct stage *s, const struct record *in, const char *reason,
                    struct outbox *out, struct err *e);
bool rollup_flush(void *ctx, struct partition *p, struct outbox *out, struct err *e);
bool rollup_pulse(void *ctx, struct partition *p, bool at_end, int64_t now_ms, struct outbox *out,
                  struct err *e);
void rollup_checkpoint(void *ctx, struct partition *p, int64_t position, struct checkpoint *out);
void rollup_drop(void *ctx, struct partition *p);
bool rollup_tick(void *ctx, struct stage *s, int64_t now_ms, struct err *e);
