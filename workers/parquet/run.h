/* Sorted rows in a scratch file without a name: written once, read from any object's first row on.
 *
 *   file:   blocks: length as 32 bits | XXH3-64 of the bytes | bytes
 *   block:  records: 'H' head (row.h) | 'R' ts, offset (zigzag, against the row before of the same
 *           head) payload (varint length)
 *
 * An object begins with a block. */
#pragma once

#include "objects.h"
#include "row.h"

struct run {
    int fd;
    int64_t n_bytes;
    struct buf marks; /* struct run_mark each: where objects begin, in the rows' order */
};

struct run_mark {
    const struct object *object;
    int64_t at;
};

/* Writes all rows of the stream. ERR_RETRY: the disk is full or fails; nothing is left of it. */
bool run_write(struct run *r, const char *scratch_dir, struct row_stream rows,
               struct objects *objects, struct err *e) MUST_CHECK;
void run_free(struct run *r);
size_t run_held_bytes(const struct run *r);

/* The rows of one object. */
struct run_reader {
    const struct run *run;
    int64_t at;
    int64_t end;
    struct buf block;
    struct cursor in;
    struct arena texts; /* the head's */
    struct head heads[2];
    unsigned which;
    bool any_head;
    int64_t ts_ms;
    int64_t offset;
};

/* False: the run has no row of it. */
bool run_reader_init(struct run_reader *r, const struct run *run, const struct object *object);
void run_reader_fini(struct run_reader *r);
/* Its errors: ERR_RETRY: the disk fails; ERR_FATAL: it gives other bytes than were written. */
struct row_stream run_reader_stream(struct run_reader *r);
