/* Rows on their way out: encoded, in order, until a transaction takes them. What is not out yet is
 * not forgotten: the commit stays below the input that it was made from. */
#pragma once

#include "rules.h"
#include "split.h"
#include "stage/record.h"

struct parcel {
    int output;
    bool has_more;     /* the next one goes into the same transaction */
    bool is_passed_on; /* not a row: a heartbeat, a dead letter */
    int64_t log_ms;    /* 0: the broker's time */
    struct place needs;
    uint64_t key;   /* the source */
    uint8_t *bytes; /* owned */
    size_t n_bytes;
};

struct sending {
    struct parcel *parcels; /* owned; the first ones are gone already */
    size_t first;
    size_t n;
    size_t cap;
    size_t n_bytes;
    int32_t partition;
    struct splitter splitter;
};

void sending_init(struct sending *s, int32_t partition, size_t max_record_bytes);
void sending_fini(struct sending *s);
/* Takes the bytes in. ERR_FATAL: no memory. */
bool sending_put(struct sending *s, const struct parcel *p, struct slice bytes,
                 struct err *e) MUST_CHECK;
/* A row, in parts if need be. */
bool sending_put_row(struct sending *s, const struct leaving *l, int output,
                     struct err *e) MUST_CHECK;
/* Into the outbox, as far as there is room; what belongs together stays so. True also when nothing
 * fits now; ERR_FATAL: not even into an empty one. */
bool sending_drain(struct sending *s, struct outbox *out, struct err *e) MUST_CHECK;
/* The input that is needed as long as parcels wait. */
struct place sending_needs(const struct sending *s, struct place first);
/* The input's offset from which on heartbeats and letters are not out yet. */
int64_t sending_passed_on(const struct sending *s, int64_t position);
