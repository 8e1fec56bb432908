/* One transaction after the other, each begun, filled and committed by a thread of its own, so
 * that the loop goes on with the next records meanwhile (a commit takes 7 to 300 ms).
 *
 *   loop:      fills a box ──► transaction_start ──► fills the other box ──► transaction_wait …
 *   committer:                 begin, produce all, send offsets, commit
 *
 * A transaction is open at the brokers only while it is being committed. KIP-447: the offsets go
 * with the group metadata that was taken when the box's first record was polled.
 * KIP-890: after any timeout or transport error the outcome, and what a late request may still do,
 * is in doubt: the producer is replaced, so that its epoch fences the late request. */
#pragma once

#include "stage/kafka_client.h"
#include "stage/record.h"

#include <stdatomic.h>

/* The outputs of some input records, and the offsets that they bring us to. */
struct box {
    struct outbox out;
    size_t n_inputs;
    int64_t opened_mono_ms;
    rd_kafka_consumer_group_metadata_t *group; /* owned */
    rd_kafka_topic_partition_list_t *offsets;  /* owned; set when the box is closed */
    /* The first input, to tell who is refused when it is the only one. */
    struct partition *first_partition;
    int64_t first_offset;
};

enum transaction_outcome {
    TRANSACTION_NONE,
    TRANSACTION_COMMITTED,
    TRANSACTION_ABORTED, /* certainly or maybe: the committed offsets are the only truth */
    TRANSACTION_REFUSED, /* aborted, since the brokers refuse a record for good (too large, …) */
    TRANSACTION_FENCED
};

struct transaction_options {
    struct kafka_settings kafka;
    const char *const *topics; /* per output; live as long as the committer */
    size_t n_topics;
    int64_t commit_timeout_ms;
    int64_t commit_doubt_ms;
    rd_kafka_t *fault_consumer; /* set: offsets are committed by it, outside the transaction */
    bool fault_no_recreate;
    int64_t fault_hang; /* n > 0: the n-th transaction comes back only after it was given up */
    void (*wake)(void *ctx); /* called on the committer's thread when an outcome is there */
    void *wake_ctx;
};

struct committer;

void box_init(struct box *b, size_t max_bytes);
void box_fini(struct box *b);
void box_reset(struct box *b);

/* Opens the producer: init_transactions, which fences and aborts whatever an earlier process of
 * this name left open. ERR_RETRY when the brokers did not answer in time. */
bool committer_open(const struct transaction_options *o, struct committer **out, struct err *e) MUST_CHECK;
/* Waits for what is under way. */
void committer_close(struct committer *c);

/* Starts the box's transaction; the box is the committer's until an outcome was taken. Only when
 * idle. */
void transaction_start(struct committer *c, struct box *b);
bool transaction_running(struct committer *c);
/* The outcome of the transaction, once; waits at most timeout_ms for it. TRANSACTION_NONE: still
 * under way, or none was started. e says what went wrong.
 * Librdkafka waits without a bound for an answer of its own threads, and that was seen to stay away
 * after a coordinator's death. So when no call has come back for 15 seconds, a new committer takes
 * the place of *c, and an empty box that of *box, which it held. The old one is left to itself with
 * its thread, its producer, which the new one's epoch fences, and its box: the transaction counts
 * as aborted. */
enum transaction_outcome transaction_wait(struct committer **c, struct box **box, int64_t timeout_ms,
                                          struct err *e);
/* How long the last one took, and how many producers were replaced since the start. */
int64_t transaction_last_ms(struct committer *c);
uint64_t committer_n_recreated(struct committer *c);
