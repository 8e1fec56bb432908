/* The inside of a running stage; private to lib/stage.
 *
 *   stage.c       set-up, loop, end        assignment.c  rebalances, recovery, rewinding
 *   held.c        records that wait        follow.c      topics that all read whole
 *   transform.c   boxes and transactions   sink.c        in-order completion, offset commits
 *   sink_commit.c commits a sink asks for  restore.c     reading state back
 *   transaction.c the committer            pause.c       what operators have stopped
 *   topics.c      what the cluster has     kafka_client.c  handles */
#pragma once

#include "policy/controls.h"
#include "run/admin.h"
#include "stage/follow.h"
#include "stage/stage.h"
#include "stage/topics.h"
#include "stage/tracker.h"
#include "stage/transaction.h"

#include <pthread.h>

enum { HELD_EVERY_MS = 20 };

/* A partition while it is ours; the stage sees pub. Never reused: a pointer is an assignment. */
struct owned {
    struct partition pub; /* first: a struct partition * is a struct owned * */
    struct owned *next;
    bool assigned; /* false: revoked, kept for late releases of a sink */
    bool ready;    /* false: to be recovered; its records are passed over until then */
    bool failed;   /* stopped with an alarm: offset out of range */
    bool at_end;   /* nothing behind position when last looked */
    bool moved;    /* since the last commit's list */
    bool fetching; /* what librdkafka was told last: assignment_fetch */
    bool crowded;  /* the sink wants no more of it for now */
    bool halted;   /* an operator's pause */
    int64_t position;  /* of the next record to process; -1 = wherever the first one is */
    int64_t committed; /* by our knowledge; -1 = none */
    int64_t end_at_assignment;
    int64_t start_at_assignment; /* of the log */
    int64_t failing_offset; /* the record that failed last, and how often */
    int64_t n_attempts;
    int n_seeks_refused;
    rd_kafka_message_t *held; /* owned: its step said ERR_WAIT; nothing is fetched meanwhile */
    bool waits;               /* the step at hand said so */
    struct tracker tracker; /* sinks that release */
    bool wants_commit;      /* sinks that commit: asked for, and not begun */
    bool commit_under_way;
    int64_t wanted_offset;
    struct buf wanted_metadata;
    struct cell *lag;
    struct cell *position_cell;
};

struct transform {
    struct committer *committer;
    struct box *boxes[2]; /* owned */
    int filling;       /* index of the box that the loop fills; the other is the committer's */
    size_t max_inputs; /* per box: halved when the brokers refuse a record, to find it */
    int64_t n_aborts_in_a_row;
    int64_t pulse_mono_ms;
    int64_t held_mono_ms; /* when the records held were last tried */
    int n_held;
};

struct sink {
    rd_kafka_t *producer; /* dead letters; NULL without outputs */
    int wake_fd;
    bool paused;
    int64_t no_room_since_ms;
    int64_t asked_ms; /* the stage, which partitions it wants */
    int64_t committed_at_ms;
    bool commit_under_way;
    /* Sinks that commit by stage_commit. */
    struct committer *committer;
    struct box *box; /* owned; the committer's while it runs */
    bool fault_repeat_commit;
};

/* The pauses that sluice.control holds for this group. */
struct pauses {
    bool is_followed; /* false: control_topic is empty */
    size_t topic;     /* its index among those followed */
    struct controls controls;
    uint64_t draw;
    uint64_t applied_version;
    bool leaves; /* a rule says that the group is to be left */
    pthread_mutex_t lock; /* of shown alone, which the admin server reads */
    struct buf shown;     /* the rules, a JSON array */
};

struct stage {
    const struct stage_spec *spec;
    void *ctx;
    const struct config *config;
    struct metrics *metrics;
    struct kafka_settings kafka;
    char group[256];
    char instance[256];
    int64_t commit_interval_ms;
    size_t commit_max_bytes;
    int64_t max_attempts;
    bool fault_no_rewind;

    const char *outputs[MAX_OUTPUTS];
    uint32_t n_output_partitions[MAX_OUTPUTS];
    size_t n_outputs;

    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue; /* the consumer's */
    rd_kafka_t *reader;      /* restore's; NULL until needed */
    struct follower *follower; /* NULL: nothing is followed */
    int64_t followed_mono_ms;
    size_t n_followed; /* by the stage itself: the first ones */
    struct pauses pauses;
    bool subscribed;
    struct owned *partitions;
    int64_t recover_after_ms; /* back-off */
    int n_bad_recoveries;     /* in a row, that were not just a matter of time */
    struct err fatal; /* kind set = the loop ends */

    struct transform transform;
    struct sink sink;

    struct admin *admin;
    _Atomic(bool) joined;
    _Atomic(bool) stopping;
    bool end_is_bounded;
    _Atomic(int) n_not_ready;
    _Atomic(int) n_failed;
    _Atomic(int64_t) loop_mono_ms;
    _Atomic(int64_t) age_ms; /* of the record last processed */
    int64_t gauges_at_ms;

    struct cell *cell_partitions;
    struct cell *cell_outbox;
    struct cell *cell_committed;
    struct cell *cell_aborted;
    struct cell *cell_recreated;
    struct cell *cell_paused;
    struct cell *cell_halted;
    struct cell_histogram *freshness;
    struct cell_histogram *commit_seconds;
};

static inline struct owned *owned_of(const struct partition *p)
{
    return (struct owned *)(uintptr_t)p;
}

/* assignment.c */
void assignment_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                          void *stage);
/* Recovers what is not ready: committed offset and metadata, the stage's own recover, seek. */
void assignment_recover(struct stage *s, int64_t now_mono_ms);
/* Every partition goes back to its committed offset, its state is rebuilt. */
void assignment_rewind(struct stage *s);
void assignment_rewind_one(struct stage *s, struct owned *p);
struct owned *assignment_find(const struct stage *s, const char *topic, int32_t number);
void assignment_free(struct stage *s);
/* The partition stops here, with an alarm. */
void assignment_fail(struct stage *s, struct owned *p, const char *why);
void assignment_count(struct stage *s);
/* Fetches the partition, or pauses it, by all that may hold it up: the one place that tells librdkafka. A pause throws
 * away what was fetched; resuming continues behind the last record that was handed over. */
void assignment_fetch(struct stage *s, struct owned *p);
/* Adds the partition's offset, with the metadata, which is taken out of its buf. */
void assignment_add(rd_kafka_topic_partition_list_t *list, const struct owned *p, int64_t offset, struct buf *metadata);
/* Adds what the partition's commit says when all below position is done, with the stage's metadata. */
void checkpoint_add(struct stage *s, struct owned *p, int64_t position, rd_kafka_topic_partition_list_t *list);

/* transform.c */
/* The generation under which our partitions are ours; NULL: we are no member of the group at the moment (a commit would
 * not be fenced). The caller destroys it. */
rd_kafka_consumer_group_metadata_t *transform_membership(const struct stage *s);
struct transaction_options transform_options(struct stage *s);
bool transform_open(struct stage *s, struct err *e);
void transform_close(struct stage *s);
/* Before partitions come or go: the running transaction is awaited, the open box is given up and
 * its records are read again. Nothing spans two generations. */
void transform_settle(struct stage *s);
bool transform_record(struct stage *s, struct owned *p, const struct record *r, struct err *e);
/* Takes outcomes, starts transactions that are due. */
bool transform_turn(struct stage *s, int64_t now_mono_ms, struct err *e);
/* The orderly end: commits what was processed. */
void transform_finish(struct stage *s);
int transform_poll_ms(const struct stage *s, int64_t now_mono_ms);

/* pause.c */
bool pause_open(struct stage *s, struct err *e);
void pause_close(struct stage *s);
/* A record of the control topic; one that is no rule is told in the log, and left out. */
bool pause_take(struct stage *s, const struct record *r, struct err *e);
/* Has the partition been paused by an operator? */
bool pause_halts(const struct stage *s, const struct partition *p);
/* Lets rules take effect, and those that are over end. Cheap when nothing changed. */
void pause_turn(struct stage *s, int64_t now_ms);
/* Appends the rules as a JSON array; of any thread. */
void pause_show(struct stage *s, struct buf *out);

/* held.c */
/* The message's step said ERR_WAIT: it stays here, its partition is paused. */
void held_keep(struct stage *s, struct owned *p, rd_kafka_message_t *m);
/* Tries the records held once more, when it is time. */
bool held_retry(struct stage *s, int64_t now_mono_ms, struct err *e);
/* The partition is rewound or gone. */
void held_forget(struct stage *s, struct owned *p);

/* sink.c */
bool sink_open(struct stage *s, struct err *e);
void sink_close(struct stage *s);
bool sink_record(struct stage *s, struct owned *p, const struct record *r, struct err *e);
bool sink_turn(struct stage *s, int64_t now_mono_ms, bool busy, struct err *e);
bool sink_wants_more(struct stage *s, int64_t now_mono_ms);
void sink_finish(struct stage *s, int64_t deadline_mono_ms);
/* Commits what is done; waits for the answer. */
void sink_commit_now(struct stage *s);
void sink_committed(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *stage);

/* sink_commit.c */
static inline bool sink_commits(const struct stage *s)
{
    return s->spec->committed != NULL;
}
bool sink_commit_open(struct stage *s, struct err *e);
void sink_commit_close(struct stage *s);
/* Takes the outcome of the commit under way, begins the next. */
bool sink_commit_turn(struct stage *s, struct err *e);
/* Waits until no commit is under way: before partitions come or go. */
void sink_commit_settle(struct stage *s);

/* stage.c */
/* Sets e to ERR_FENCED: a twin took over. */
bool stage_fenced(const struct stage *s, const struct err *why, struct err *e);
void stage_read_record(struct owned *p, const rd_kafka_message_t *m, struct record *r);
/* Once a stop was asked for, the time to an end is bounded, wherever the loop waits. */
void stage_bound_end(struct stage *s);

/* topics.c */
bool topics_check(struct stage *s, struct err *e);
