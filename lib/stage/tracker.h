/* In-order completion of one partition, for sinks: records are opened in offset order and done
 * in any order; tracker_position is the offset below which all are done. Offsets are sparse. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tracker_entry {
    int64_t offset;
    uint32_t holds;
};

struct tracker {
    struct tracker_entry *ring; /* owned; a power of two */
    size_t cap;
    size_t head; /* the oldest not done */
    size_t n;
    int64_t position; /* -1 = nothing was opened */
    int64_t end;      /* up to which there is nothing behind the last record; -1 = not known */
    size_t n_holds;   /* over all entries */
};

void tracker_init(struct tracker *t);
void tracker_fini(struct tracker *t);
/* A new record with one hold; offsets rise. False: out of memory. */
bool tracker_open(struct tracker *t, int64_t offset);
void tracker_hold(struct tracker *t, int64_t offset);
void tracker_release(struct tracker *t, int64_t offset);
/* Nothing but transaction markers stands between the last record and offset (the partition's end): as soon as all is
 * done, the position moves there. */
void tracker_skip(struct tracker *t, int64_t offset);
/* All below is done; -1 while nothing was ever opened. */
static inline int64_t tracker_position(const struct tracker *t)
{
    return t->position;
}
