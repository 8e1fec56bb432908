/* What --explain reads of rollup topics: the row that is asked about, its stream's rows before it,
 * and a place in the input from where a replay can begin. */
#pragma once

#include "batch/rollup.h"
#include "batch/rollup_commit.h"
#include "rules.h"
#include "stage/log_reader.h"

struct row_place {
    char topic[250];
    int32_t partition;
    int64_t offset;
};

/* A record of the stream: a row, or a part of one. */
struct kept_row {
    int64_t offset;
    int64_t log_ms;
    enum rollup_kind kind;
    int64_t window_ms;
    int64_t end_ms;
    int64_t closed_at;
    int32_t part;
    struct slice bytes; /* owned */
};

struct kept_rows {
    struct kept_row *items; /* owned */
    size_t n;
    size_t cap;
};

void kept_rows_fini(struct kept_rows *r);

/* Whose rows. */
struct row_stream {
    struct slice tenant; /* owned, as name */
    struct slice name;   /* the source's; empty when the row says none */
    enum batch_class class;
    uint64_t source;
};

/* "metrics.rollup.1m/7/4711"; ERR_CONFIG. */
bool row_place_read(const char *text, struct row_place *out, struct err *e) MUST_CHECK;
/* The record there; closed_at is the row's, which stands in its last part. ERR_CONFIG: there is no
 * row at that place. */
bool row_find(struct log_reader *r, const struct row_place *at, struct kept_row *out,
              struct row_stream *stream, struct err *e) MUST_CHECK;

struct rows_request {
    const char *topic;
    int32_t partition;
    int64_t before_offset; /* rows below it; -1 = all that have no later log time than before_ms */
    int64_t before_ms;
    int64_t begin_ms; /* the replay begins no later than that, by log time; NEVER: with the input */
    int64_t forget_ms;
};
/* The stream's records, whole rows alone, as a worker would read them back that goes on at *begin:
 * where the newest row of any stream that is as old as asked for says that log time was so. */
bool rows_read(struct log_reader *r, const struct row_stream *stream, const struct rows_request *q,
               struct kept_rows *out, struct place *begin, struct err *e) MUST_CHECK;
