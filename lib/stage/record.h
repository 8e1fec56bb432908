/* What a step sees of Kafka: a record that came in, and an outbox for records that go out. No
 * Kafka in here, so that a step is tested and measured without it. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "run/metrics.h"

enum { MAX_RECORD_HEADERS = 8, MAX_OUTPUTS = 8 };

struct record_header {
    struct slice name;
    struct slice value;
};

/* One input partition while this process owns it. */
struct partition {
    struct slice topic; /* lives as long as the partition */
    uint8_t topic_id[16];
    int32_t number;
    uint32_t n_partitions; /* of its topic */
    void *state;           /* the stage's own, set in recover, freed in drop */
};

/* Borrowed for the call of step. */
struct record {
    struct partition *partition;
    int64_t offset;
    int64_t timestamp_ms; /* LogAppendTime or CreateTime, as the topic has it */
    struct slice key;
    struct slice value; /* ptr NULL = a tombstone */
    uint32_t n_headers;
    struct record_header headers[MAX_RECORD_HEADERS]; /* more are left out */
};

static inline bool record_header_find(const struct record *r, const char *name, struct slice *out)
{
    for (uint32_t i = 0; i < r->n_headers; i++) {
        if (slice_eq_str(r->headers[i].name, name)) {
            *out = r->headers[i].value;
            return true;
        }
    }
    return false;
}

/* A record that goes out. output indexes the stage's spec. */
struct outgoing {
    int output;
    int32_t partition; /* -1 = by hash of the key */
    int64_t timestamp_ms; /* 0 = the broker's or now */
    struct slice key;
    struct slice value; /* ptr NULL = a tombstone */
};

/* What the steps of one transaction put out: records (copied), and counts that move when it has
 * committed. */
struct outbox_age;

struct outbox {
    struct arena arena;
    struct outgoing *records; /* owned */
    size_t n;
    size_t cap;
    size_t n_bytes;
    size_t n_reserved_bytes; /* announced for the flush */
    uint32_t n_output_partitions[MAX_OUTPUTS]; /* filled in by the runtime before any step */
    struct tally tally;
    struct outbox_age *ages; /* owned */
    size_t n_ages;
    size_t cap_ages;
};

/* How old n samples were when they entered sluice; observed as freshness at the commit. */
struct outbox_age {
    int64_t received_ms;
    uint64_t n_samples;
};

void outbox_init(struct outbox *o, size_t max_bytes);
void outbox_fini(struct outbox *o);
void outbox_reset(struct outbox *o);
/* Copies key and value. ERR_RETRY at the ceiling: the runtime sends what is there, and calls the
 * step again for the same record, its output so far forgotten. */
bool outbox_put(struct outbox *o, const struct outgoing *r, struct err *e) MUST_CHECK;
bool outbox_age(struct outbox *o, int64_t received_ms, uint64_t n_samples, struct err *e) MUST_CHECK;
/* The flush at the transaction's end will put about so much more: it counts as if it were there. */
bool outbox_reserve(struct outbox *o, size_t n_bytes, struct err *e) MUST_CHECK;
/* Forgets what came after a mark (a step that failed half-way). */
struct outbox_mark {
    size_t n;
    size_t n_bytes;
    size_t n_reserved_bytes;
    size_t n_tally;
    size_t n_ages;
};
struct outbox_mark outbox_mark(const struct outbox *o);
void outbox_rewind(struct outbox *o, struct outbox_mark mark);
