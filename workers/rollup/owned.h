/* Inside of the worker, private to rollup.c and exports.c. */
#pragma once

#include "completeness.h"
#include "hour.h"
#include "minute.h"
#include "rollup.h"
#include "sending.h"

enum { EXPORT_EVERY_MS = 1000, N_FATES = 7, N_WINDOW_EVENTS = 5 };

/* What a partition's state is. */
struct owned_rows {
    struct minute *minute; /* one of the two */
    struct hour *hour;
    struct sending sending;
    int32_t number;
    int64_t passed_on;     /* heartbeats and letters below left earlier */
    int64_t done_offset;   /* of the last record taken in */
    int64_t log_before_ms; /* log time before it */
    uint64_t n_malformed;
    uint64_t n_malformed_told;
    struct rollup_counts told; /* what the metrics have */
    struct owned_rows *next;
};

struct rollup_worker {
    struct rollup_options options;
    struct metrics *metrics;
    struct owned_rows *owned; /* of the partitions assigned */
    struct arena arena;       /* the batch at hand */
    struct buf encoded;
    int64_t exported_ms;
    struct cell *fates[N_FATES];
    struct cell *windows[N_WINDOW_EVENTS];
    struct cell *rows;
    struct cell *amends;
    struct cell *resets;
    struct cell *forgotten;
    struct cell *malformed;
    struct completeness completeness;
};
