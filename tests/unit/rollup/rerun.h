/* A partition's log through rollup's step, without Kafka: rows as they leave, what a commit would
 * say, and recovery from the rows that were committed. Ends the program when something can't be. */
#pragma once

#include "hour.h"
#include "minute.h"
#include "split.h"

struct input {
    int64_t offset;
    int64_t log_ms;     /* received_ms of a batch, Kafka's timestamp of a row */
    struct slice bytes; /* owned */
};

struct output {
    struct slice bytes; /* owned */
    int64_t log_ms;
    struct place needs;
    bool is_merged;
    bool has_more;
};

struct rerun {
    struct rules rules;
    bool is_hourly;
    const struct input *in; /* borrowed */
    size_t n_in;
    struct output *out; /* owned */
    size_t n_out;
    size_t cap_out;
    struct minute *minute; /* one of the two, between begin and end */
    struct hour *hour;
    struct arena arena;
    struct splitter splitter; /* its max_bytes may be set lower after rerun_init */
};

static inline bool output_eq(const struct output *a, const struct output *b)
{
    return a->log_ms == b->log_ms && a->is_merged == b->is_merged && slice_eq(a->bytes, b->bytes);
}

void rerun_init(struct rerun *r, bool is_hourly, const struct input *in, size_t n_in);
void rerun_fini(struct rerun *r);

void rerun_begin(struct rerun *r);
/* Memory is lost. */
void rerun_end(struct rerun *r);
/* Input i. */
void rerun_take(struct rerun *r, size_t i);
/* Rows from n on are not there. */
void rerun_cut(struct rerun *r, size_t n);
/* A new owner: reads the rows back; log_ms: log time before the record where it goes on. */
void rerun_recover(struct rerun *r, int64_t log_ms);
/* What a commit says when all of the input below position is in, and the first n rows leave with
 * it, or left before. */
struct place rerun_needs(const struct rerun *r, int64_t position, size_t n);
/* Rows below n, and those that go into one transaction with the last of them. */
size_t rerun_whole(const struct rerun *r, size_t n);
/* Which input stands at the offset, or behind it. */
size_t rerun_index(const struct rerun *r, int64_t offset);

/* Room for one more of the array's items. */
void *rerun_grown(void *items, size_t n, size_t *cap, size_t item_bytes);
_Noreturn void rerun_die(const char *what);
