#include "stage/transaction.h"

#include "base/clock.h"
#include "run/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CALL_MS = 5000,  /* what one call of librdkafka is given */
    HANG_MS = 15000, /* of the loop's own time: then it will not come back */
    LOOK_MS = 1000   /* of the time between two looks more does not count: the process itself may have stood still */
};

struct committer {
    struct kafka_watch watch; /* first: the producer's opaque */
    struct transaction_options options;
    rd_kafka_t *producer;
    rd_kafka_topic_t *topics[MAX_OUTPUTS];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    struct box *job; /* borrowed from start to outcome */
    bool running;
    bool stopping;
    enum transaction_outcome outcome;
    struct err why;
    int64_t last_ms;
    uint64_t n_recreated;
    bool is_abandoned;
    /* of the loop */
    uint64_t returns_seen;
    int64_t looked_ms;
    int64_t silent_ms;
    /* of the committer's thread */
    bool in_doubt; /* the producer must be replaced before the next begin */
    bool refused;  /* a record of this transaction was refused for good */
    char refusal[160];
    int64_t n_begun;
    _Atomic(uint64_t) n_troubles; /* errors that librdkafka reported on its own */
    _Atomic(uint64_t) n_returns;  /* how often librdkafka gave the thread back */
};

void box_init(struct box *b, size_t max_bytes)
{
    *b = (struct box){0};
    outbox_init(&b->out, max_bytes);
}

void box_reset(struct box *b)
{
    outbox_reset(&b->out);
    if (b->group != NULL) {
        rd_kafka_consumer_group_metadata_destroy(b->group);
    }
    if (b->offsets != NULL) {
        rd_kafka_topic_partition_list_destroy(b->offsets);
    }
    b->group = NULL;
    b->offsets = NULL;
    b->n_inputs = 0;
    b->first_partition = NULL;
}

void box_fini(struct box *b)
{
    box_reset(b);
    outbox_fini(&b->out);
}

static void on_trouble(void *opaque)
{
    struct committer *c = opaque;
    atomic_fetch_add(&c->n_troubles, 1);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)code;
    (void)reason;
    on_trouble(opaque);
}

/* Errors of the record itself: sending it again gives the same answer. */
static bool code_is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
           code == RD_KAFKA_RESP_ERR_INVALID_MSG || code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

static void note_refusal(struct committer *c, const char *topic, rd_kafka_resp_err_t code)
{
    if (code_is_refusal(code)) {
        c->refused = true;
        (void)snprintf(c->refusal, sizeof c->refusal, "%s: %s", topic, rd_kafka_err2str(code));
    }
}

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        note_refusal(opaque, rd_kafka_topic_name(m->rkt), m->err);
    }
}

static void producer_close(struct committer *c)
{
    for (size_t i = 0; i < c->options.n_topics; i++) {
        if (c->topics[i] != NULL) {
            rd_kafka_topic_destroy(c->topics[i]);
            c->topics[i] = NULL;
        }
    }
    if (c->producer != NULL) {
        (void)rd_kafka_purge(c->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(c->producer);
        c->producer = NULL;
    }
}

static bool is_stopping(struct committer *c)
{
    pthread_mutex_lock(&c->lock);
    bool is = c->stopping;
    pthread_mutex_unlock(&c->lock);
    return is;
}

/* Librdkafka's answer, with a note that it gave one. */
static bool answered(struct committer *c, rd_kafka_error_t *error, const char *what, struct err *e)
{
    atomic_fetch_add(&c->n_returns, 1);
    return kafka_err_take(error, what, e);
}

static bool producer_open(struct committer *c, struct err *e)
{
    const struct kafka_callbacks callbacks = {
        .opaque = c, .error = on_error, .delivered = on_delivered, .watched = true};
    if (!kafka_open(KAFKA_TRANSACTIONAL_PRODUCER, &c->options.kafka, &callbacks, &c->producer, e)) {
        return false;
    }
    for (size_t i = 0; i < c->options.n_topics; i++) {
        c->topics[i] = rd_kafka_topic_new(c->producer, c->options.topics[i], NULL);
    }
    int64_t deadline = clock_mono_ms() + 30000;
    for (;;) {
        if (answered(c, rd_kafka_init_transactions(c->producer, CALL_MS), "init_transactions", e)) {
            c->in_doubt = false;
            return true;
        }
        if (e->kind != ERR_RETRY || clock_mono_ms() >= deadline || is_stopping(c)) {
            producer_close(c);
            if (e->kind == ERR_FATAL && e->code != RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED) {
                e->kind = ERR_RETRY;
            }
            return false;
        }
    }
}

static bool produce_one(struct committer *c, const struct outgoing *r, struct err *e)
{
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            c->producer, RD_KAFKA_V_RKT(c->topics[r->output]), RD_KAFKA_V_PARTITION(r->partition),
            RD_KAFKA_V_MSGFLAGS(0), /* the box keeps the bytes until the outcome is there */
            RD_KAFKA_V_KEY((void *)(uintptr_t)r->key.ptr, r->key.len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value.ptr, r->value.len),
            RD_KAFKA_V_TIMESTAMP(r->timestamp_ms), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return true;
        }
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            note_refusal(c, c->options.topics[r->output], code);
            return err_set_code(e, ERR_ABORT, code, "produce to %s: %s", c->options.topics[r->output],
                                rd_kafka_err2str(code));
        }
        (void)rd_kafka_poll(c->producer, 50);
        atomic_fetch_add(&c->n_returns, 1);
    }
}

static bool send_offsets(struct committer *c, const struct box *b, int64_t deadline, struct err *e)
{
    for (;;) {
        int64_t left = deadline - clock_mono_ms();
        if (left <= 0) {
            c->in_doubt = true;
            return e->kind == ERR_NONE ? err_set(e, ERR_RETRY, "no time left to send the offsets")
                                       : err_wrap(e, "no answer in time");
        }
        rd_kafka_error_t *error = rd_kafka_send_offsets_to_transaction(
            c->producer, b->offsets, b->group, left > CALL_MS ? CALL_MS : (int)left);
        if (answered(c, error, "send_offsets_to_transaction", e)) {
            return true;
        }
        if (e->kind != ERR_RETRY) {
            return false;
        }
        c->in_doubt = true; /* the request may still be on its way */
    }
}

static bool commit(struct committer *c, int64_t deadline, struct err *e)
{
    for (;;) {
        int64_t left = deadline - clock_mono_ms();
        if (left <= 0) {
            c->in_doubt = true;
            return err_wrap(e, "no answer in time");
        }
        rd_kafka_error_t *error = rd_kafka_commit_transaction(c->producer, left > CALL_MS ? CALL_MS : (int)left);
        if (answered(c, error, "commit_transaction", e)) {
            return true;
        }
        if (e->kind != ERR_RETRY) {
            return false;
        }
        c->in_doubt = true;
    }
}

static bool is_abandoned(struct committer *c)
{
    pthread_mutex_lock(&c->lock);
    bool is = c->is_abandoned;
    pthread_mutex_unlock(&c->lock);
    return is;
}

static bool transact(struct committer *c, struct box *b, struct err *e)
{
    int64_t deadline = clock_mono_ms() + c->options.commit_timeout_ms;
    if (!kafka_err_take(rd_kafka_begin_transaction(c->producer), "begin_transaction", e)) {
        return false;
    }
    if (c->options.fault_consumer != NULL) {
        (void)rd_kafka_commit(c->options.fault_consumer, b->offsets, 0);
    }
    for (size_t i = 0; i < b->out.n; i++) {
        if (!produce_one(c, &b->out.records[i], e)) {
            return false;
        }
    }
    if (c->options.fault_hang > 0 && c->n_begun == c->options.fault_hang) {
        while (!is_abandoned(c)) {
            (void)sleep(1);
        }
        (void)sleep(2);
    }
    if (c->options.fault_consumer == NULL && !send_offsets(c, b, deadline, e)) {
        return false;
    }
    /* Offsets that are sent hold up whoever asks for them until the transaction has ended, one way or the other; before
     * that the records may have been taken up anew. */
    if (is_abandoned(c)) {
        return err_set(e, ERR_ABORT, "given up");
    }
    return commit(c, deadline, e);
}

/* True when it turned out that a twin took over. */
static bool abort_open(struct committer *c)
{
    struct err e = ERR_INIT;
    if (answered(c, rd_kafka_abort_transaction(c->producer, CALL_MS), "abort_transaction", &e)) {
        return false;
    }
    log_err(LOG_WARN, "abort failed, the producer is replaced", &e);
    c->in_doubt = true;
    return e.kind == ERR_FENCED;
}

/* What a failed transaction means for the loop; also ends it at the brokers where that is sure. */
static enum transaction_outcome outcome_of_failure(struct committer *c, int64_t took_ms, const struct err *e)
{
    if (e->kind == ERR_FENCED && took_ms < c->options.kafka.transaction_timeout_ms) {
        return TRANSACTION_FENCED;
    }
    if (e->kind == ERR_FENCED || e->kind == ERR_FATAL || e->kind == ERR_RETRY) {
        /* Fenced after a stall longer than the transaction timeout: the coordinator itself ended
         * the transaction. A twin would fence the new producer at once. */
        c->in_doubt = true;
    }
    if ((!c->in_doubt || c->options.fault_no_recreate) && abort_open(c) &&
        took_ms < c->options.kafka.transaction_timeout_ms) {
        return TRANSACTION_FENCED;
    }
    return c->refused ? TRANSACTION_REFUSED : TRANSACTION_ABORTED;
}

static enum transaction_outcome committer_do(struct committer *c, struct box *b, struct err *e)
{
    if (c->producer == NULL) {
        (void)err_set(e, ERR_RETRY, "the producer could not be opened before the end");
        return TRANSACTION_ABORTED;
    }
    (void)rd_kafka_poll(c->producer, 0); /* what happened while idle is no trouble of this one */
    uint64_t troubles = atomic_load(&c->n_troubles);
    int64_t began = clock_mono_ms();
    c->refused = false;
    c->n_begun++;
    bool ok = transact(c, b, e);
    int64_t took = clock_mono_ms() - began;
    (void)rd_kafka_poll(c->producer, 0);
    if (atomic_load(&c->n_troubles) != troubles || took > c->options.commit_doubt_ms) {
        c->in_doubt = true;
    }
    enum transaction_outcome outcome = ok ? TRANSACTION_COMMITTED : outcome_of_failure(c, took, e);
    if (c->refused) {
        (void)err_set(e, ERR_ABORT, "%s", c->refusal);
    }
    return outcome;
}

static void producer_replace(struct committer *c)
{
    struct err e = ERR_INIT;
    bool replaced = c->producer != NULL;
    producer_close(c);
    for (int64_t wait_ms = 100;; wait_ms = wait_ms < 2000 ? wait_ms * 2 : wait_ms) {
        if (producer_open(c, &e)) {
            break;
        }
        log_err(LOG_ERROR, "cannot open the producer, trying again", &e);
        if (is_stopping(c)) {
            return;
        }
        struct timespec pause = {wait_ms / 1000, (wait_ms % 1000) * 1000000};
        nanosleep(&pause, NULL);
    }
    pthread_mutex_lock(&c->lock);
    c->n_recreated += replaced ? 1 : 0;
    pthread_mutex_unlock(&c->lock);
}

static void committer_free(struct committer *c)
{
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
    free(c);
}

static void *committer_main(void *arg)
{
    struct committer *c = arg;
    if (c->producer == NULL) {
        producer_replace(c);
    }
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (c->job == NULL && !c->stopping) {
            pthread_cond_wait(&c->changed, &c->lock);
        }
        if (c->job == NULL) {
            break;
        }
        struct box *b = c->job;
        pthread_mutex_unlock(&c->lock);

        struct err e = ERR_INIT;
        int64_t began = clock_mono_ms();
        enum transaction_outcome outcome = committer_do(c, b, &e);
        bool replace = c->in_doubt && !c->options.fault_no_recreate && outcome != TRANSACTION_FENCED;
        if (replace || outcome == TRANSACTION_FENCED) {
            producer_close(c); /* it may still hold the box's bytes */
        }

        pthread_mutex_lock(&c->lock);
        if (c->is_abandoned) {
            pthread_mutex_unlock(&c->lock);
            producer_close(c);
            box_fini(b);
            free(b);
            committer_free(c);
            return NULL;
        }
        c->job = NULL;
        c->outcome = outcome;
        c->why = e;
        c->last_ms = clock_mono_ms() - began;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
        c->options.wake(c->options.wake_ctx);

        if (replace) {
            producer_replace(c);
        }
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static struct committer *committer_new(const struct transaction_options *o)
{
    struct committer *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    c->watch.trouble = on_trouble;
    c->options = *o;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

bool committer_open(const struct transaction_options *o, struct committer **out, struct err *e)
{
    struct committer *c = committer_new(o);
    if (c == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    if (!producer_open(c, e)) {
        committer_free(c);
        return false;
    }
    if (pthread_create(&c->thread, NULL, committer_main, c) != 0) {
        producer_close(c);
        committer_free(c);
        return err_set(e, ERR_FATAL, "cannot start a thread");
    }
    *out = c;
    return true;
}

void committer_close(struct committer *c)
{
    if (c == NULL) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    producer_close(c);
    committer_free(c);
}

void transaction_start(struct committer *c, struct box *b)
{
    pthread_mutex_lock(&c->lock);
    c->job = b;
    c->running = true;
    c->outcome = TRANSACTION_NONE;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

bool transaction_running(struct committer *c)
{
    pthread_mutex_lock(&c->lock);
    bool running = c->running;
    pthread_mutex_unlock(&c->lock);
    return running;
}

/* Has librdkafka kept the thread beyond what any call of it is given? */
static bool is_stuck(struct committer *c)
{
    int64_t now_ms = clock_mono_ms();
    int64_t since_ms = now_ms - c->looked_ms;
    uint64_t n_returns = atomic_load(&c->n_returns);
    c->looked_ms = now_ms;
    c->silent_ms = n_returns == c->returns_seen ? c->silent_ms + (since_ms > LOOK_MS ? LOOK_MS : since_ms) : 0;
    c->returns_seen = n_returns;
    return c->silent_ms > HANG_MS;
}

/* A new committer in the place of one that is stuck; see transaction_wait. */
static bool unstick(struct committer **c, struct box **box)
{
    struct committer *old = *c;
    if (!transaction_running(old)) {
        old->silent_ms = 0;
        return false;
    }
    if (!is_stuck(old)) {
        return false;
    }
    struct committer *fresh = committer_new(&old->options);
    struct box *empty = malloc(sizeof *empty);
    bool done = false;
    if (fresh != NULL && empty != NULL) {
        fresh->options.fault_hang = 0;
        box_init(empty, (*box)->out.arena.max_bytes);
        memcpy(empty->out.n_output_partitions, (*box)->out.n_output_partitions, sizeof empty->out.n_output_partitions);
        pthread_mutex_lock(&old->lock);
        fresh->n_recreated = old->n_recreated + 1;
        done = old->outcome == TRANSACTION_NONE && pthread_create(&fresh->thread, NULL, committer_main, fresh) == 0;
        old->is_abandoned = done;
        pthread_mutex_unlock(&old->lock);
    }
    if (!done) {
        if (fresh != NULL) {
            committer_free(fresh);
        }
        free(empty);
        return false; /* its answer came, or at the next look */
    }
    (void)pthread_detach(old->thread);
    *box = empty;
    *c = fresh;
    return true;
}

/* What is there within timeout_ms. */
static enum transaction_outcome outcome_take(struct committer *c, int64_t timeout_ms, struct err *e)
{
    int64_t until_ns = clock_mono_ns() + timeout_ms * 1000000;
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
    pthread_mutex_lock(&c->lock);
    while (c->running && c->outcome == TRANSACTION_NONE && timeout_ms > 0) {
        if (pthread_cond_timedwait(&c->changed, &c->lock, &until) != 0) {
            break;
        }
    }
    enum transaction_outcome outcome = c->running ? c->outcome : TRANSACTION_NONE;
    if (outcome != TRANSACTION_NONE) {
        *e = c->why;
        c->running = false;
        c->outcome = TRANSACTION_NONE;
    }
    pthread_mutex_unlock(&c->lock);
    return outcome;
}

enum transaction_outcome transaction_wait(struct committer **c, struct box **box, int64_t timeout_ms, struct err *e)
{
    enum transaction_outcome outcome = outcome_take(*c, timeout_ms, e);
    if (outcome == TRANSACTION_NONE && unstick(c, box)) {
        (void)err_set(e, ERR_RETRY, "a call of librdkafka has not come back: a new producer takes over");
        outcome = TRANSACTION_ABORTED;
    }
    return outcome;
}

int64_t transaction_last_ms(struct committer *c)
{
    pthread_mutex_lock(&c->lock);
    int64_t ms = c->last_ms;
    pthread_mutex_unlock(&c->lock);
    return ms;
}

uint64_t committer_n_recreated(struct committer *c)
{
    pthread_mutex_lock(&c->lock);
    uint64_t n = c->n_recreated;
    pthread_mutex_unlock(&c->lock);
    return n;
}
