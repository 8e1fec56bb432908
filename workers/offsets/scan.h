/* Reads stretches of a topic, partition by partition, in order of offsets: only what is committed.
 * Aborted records and transactions' markers never show. */
#pragma once

#include "replay/moment.h"
#include "run/progress.h"
#include "tool.h"

enum { SCAN_ALL = -1 };

struct scan_request {
    const char *topic;
    int32_t partition;  /* SCAN_ALL */
    struct moment from; /* MOMENT_NONE: the log's beginning */
    struct moment to;   /* exclusive. MOMENT_NONE: the end as it is now */
};

/* One partition's. */
struct scan_stretch {
    int32_t partition;
    int64_t low;    /* the log begins here */
    int64_t from;   /* not below low */
    int64_t end;    /* exclusive; not above the last stable offset */
    int64_t hidden; /* the topic's end, when an open transaction hides what lies from `end` on; else
                       -1 */
};

struct scan {
    const struct tool *tool;
    rd_kafka_t *rk; /* a reader; borrowed */
    const char *topic;
    uint8_t topic_id[16];
    uint32_t n_partitions; /* of the topic */
    uint32_t n_stretches;
    struct scan_stretch *stretches; /* owned */
    bool shows_progress;
    struct progress told;
};

/* Looks the stretches up. ERR_CONFIG: no such topic or partition. An offset before the log's
 * beginning is moved there; whoever cares compares. */
bool scan_open(const struct tool *t, rd_kafka_t *rk, const struct scan_request *r, struct scan *out,
               struct err *e) MUST_CHECK;
void scan_close(struct scan *s);

/* *enough ends the whole scan. The message is borrowed for the call. */
typedef bool (*scan_fn)(void *ctx, const rd_kafka_message_t *m, bool *enough, struct err *e);
bool scan_run(struct scan *s, scan_fn each, void *ctx, struct err *e) MUST_CHECK;
