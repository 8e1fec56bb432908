#include "stage/runtime.h"

#include "base/clock.h"
#include "run/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PAUSE_AFTER_MS = 500, ASK_EVERY_MS = 250, CALL_MS = 5000 };

/* A dead letter that the brokers have not acknowledged yet. */
struct letter {
    struct owned *partition;
    int64_t offset;
};

static void release(struct owned *p, int64_t offset)
{
    if (p->assigned) {
        tracker_release(&p->tracker, offset);
    } else if (p->tracker.n_holds > 0) {
        p->tracker.n_holds--; /* gone: only counted, so that its memory can go too */
    }
}

static void on_letter(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    struct stage *s = opaque;
    struct letter *letter = m->_private;
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR && m->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
        m->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
        /* Only errors that sending again does not cure come here (message.timeout.ms is 0). */
        (void)err_set(&s->fatal, ERR_FATAL, "dead letter to %s: %s", rd_kafka_topic_name(m->rkt),
                      rd_kafka_err2str(m->err));
    } else if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        release(letter->partition, letter->offset);
    }
    free(letter);
}

bool sink_open(struct stage *s, struct err *e)
{
    struct sink *k = &s->sink;
    k->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (k->wake_fd < 0) {
        return err_set(e, ERR_FATAL, "eventfd: %s", strerror(errno));
    }
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(s->queue, k->wake_fd, &one, sizeof one);
    if (sink_commits(s) && !sink_commit_open(s, e)) {
        return false;
    }
    if (s->n_outputs == 0) {
        return true;
    }
    const struct kafka_callbacks callbacks = {.opaque = s, .delivered = on_letter};
    return kafka_open(KAFKA_PLAIN_PRODUCER, &s->kafka, &callbacks, &k->producer, e);
}

void sink_close(struct stage *s)
{
    sink_commit_close(s);
    if (s->sink.producer != NULL) {
        (void)rd_kafka_flush(s->sink.producer, CALL_MS);
        (void)rd_kafka_purge(s->sink.producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_poll(s->sink.producer, 100);
        rd_kafka_destroy(s->sink.producer);
    }
    if (s->sink.wake_fd > 0) {
        (void)close(s->sink.wake_fd);
    }
}

void stage_hold(struct stage *s, const struct partition *p, int64_t offset)
{
    (void)s;
    tracker_hold(&owned_of(p)->tracker, offset);
}

bool stage_release(struct stage *s, struct partition *p, int64_t offset)
{
    (void)s;
    struct owned *o = owned_of(p);
    bool ours = o->assigned;
    release(o, offset);
    return ours;
}

bool stage_put(struct stage *s, const struct outgoing *r, struct partition *p, int64_t offset, struct err *e)
{
    struct letter *letter = malloc(sizeof *letter);
    if (letter == NULL) {
        return err_set(e, ERR_RETRY, "out of memory");
    }
    *letter = (struct letter){owned_of(p), offset};
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            s->sink.producer, RD_KAFKA_V_TOPIC(s->outputs[r->output]), RD_KAFKA_V_PARTITION(r->partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY((void *)(uintptr_t)r->key.ptr, r->key.len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)r->value.ptr, r->value.len),
            RD_KAFKA_V_OPAQUE(letter), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            tracker_hold(&letter->partition->tracker, offset);
            return true;
        }
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            free(letter);
            return err_set_code(e, ERR_FATAL, code, "dead letter to %s: %s", s->outputs[r->output],
                                rd_kafka_err2str(code));
        }
        (void)rd_kafka_poll(s->sink.producer, 50);
        stage_bound_end(s);
    }
}

int64_t stage_end_at_assignment(const struct stage *s, const struct partition *p)
{
    (void)s;
    return owned_of(p)->end_at_assignment;
}

bool stage_owns(const struct stage *s, const struct partition *p)
{
    return owned_of(p)->assigned && !rd_kafka_assignment_lost(s->consumer);
}

static void count_record(struct stage *s, const struct record *r)
{
    struct slice topic = r->partition->topic;
    cell_add(metrics_cell(s->metrics, M_RECORDS_IN, &topic), 1);
    cell_add(metrics_cell(s->metrics, M_BYTES_IN, &topic), (double)r->value.len);
}

/* Of a sink that commits: nothing is tracked. */
static bool take_or_wait(struct stage *s, struct owned *p, const struct record *r, struct err *e)
{
    p->waits = false;
    if (s->spec->step(s->ctx, s, r, clock_now_ms(), NULL, e)) {
        p->position = r->offset + 1;
        count_record(s, r);
        return true;
    }
    if (e->kind == ERR_WAIT) {
        p->waits = true;
        p->position = r->offset; /* all below it is taken */
        return true;
    }
    return err_wrap(e, "%.*s[%d]@%lld", SLICE_ARG(p->pub.topic), p->pub.number, (long long)r->offset);
}

bool sink_record(struct stage *s, struct owned *p, const struct record *r, struct err *e)
{
    if (sink_commits(s)) {
        return take_or_wait(s, p, r, e);
    }
    if (!tracker_open(&p->tracker, r->offset)) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    p->position = r->offset + 1;
    count_record(s, r);
    return s->spec->step(s->ctx, s, r, clock_now_ms(), NULL, e) ||
           err_wrap(e, "%.*s[%d]@%lld", SLICE_ARG(p->pub.topic), p->pub.number, (long long)r->offset);
}

/* again: also what was committed already, to overrule a commit that is still on its way. */
static rd_kafka_topic_partition_list_t *done_offsets(struct stage *s, bool again)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        int64_t done = tracker_position(&p->tracker);
        if (!p->assigned || !p->ready || done < 0 || done < p->committed || (done == p->committed && !again)) {
            continue;
        }
        checkpoint_add(s, p, done, list);
    }
    return list;
}

void sink_committed(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *stage)
{
    (void)rk;
    struct stage *s = stage;
    s->sink.commit_under_way = false;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__NO_OFFSET) {
        log_line(LOG_WARN, "offset commit failed, tried again", LOG_FIELDS(LOG_STR("error", rd_kafka_err2str(code))));
    }
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        struct owned *p = assignment_find(s, list->elems[i].topic, list->elems[i].partition);
        if (p != NULL && code == RD_KAFKA_RESP_ERR_NO_ERROR &&
            list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            p->committed = list->elems[i].offset;
        }
    }
}

void sink_commit_now(struct stage *s)
{
    if (rd_kafka_assignment_lost(s->consumer)) {
        return; /* a sink has given up what it had: released is not done */
    }
    rd_kafka_topic_partition_list_t *list = done_offsets(s, s->sink.commit_under_way);
    if (list->cnt > 0) {
        int64_t began = clock_mono_ns();
        rd_kafka_resp_err_t code = rd_kafka_commit(s->consumer, list, 0);
        sink_committed(s->consumer, code, list, s);
        histogram_observe(s->commit_seconds, (double)(clock_mono_ns() - began) / 1e9, 1);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void commit_soon(struct stage *s)
{
    if (s->sink.commit_under_way || rd_kafka_assignment_lost(s->consumer)) {
        return; /* one at a time: a late repetition must not take the offset back */
    }
    rd_kafka_topic_partition_list_t *list = done_offsets(s, false);
    if (list->cnt > 0 && rd_kafka_commit(s->consumer, list, 1) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        s->sink.commit_under_way = true;
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void set_paused(struct stage *s, bool paused)
{
    s->sink.paused = paused;
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        if (p->assigned) {
            assignment_fetch(s, p);
        }
    }
}

/* Pauses the partitions of which the stage wants no more, and resumes those that it wants again. */
static void partitions_sift(struct stage *s, int64_t now_mono_ms)
{
    struct sink *k = &s->sink;
    if (s->spec->wants == NULL || k->paused || now_mono_ms - k->asked_ms < ASK_EVERY_MS) {
        return;
    }
    k->asked_ms = now_mono_ms;
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        if (p->assigned && p->ready && !p->failed && s->spec->wants(s->ctx, &p->pub) == p->crowded) {
            p->crowded = !p->crowded;
            assignment_fetch(s, p);
        }
    }
}

/* While there is no room the loop does not poll; when that lasts, it pauses and polls on, for the
 * group's sake. (A pause throws away what was fetched, so not at once.) */
bool sink_wants_more(struct stage *s, int64_t now_mono_ms)
{
    struct sink *k = &s->sink;
    partitions_sift(s, now_mono_ms);
    if (s->spec->has_room == NULL || s->spec->has_room(s->ctx)) {
        k->no_room_since_ms = 0;
        if (k->paused) {
            set_paused(s, false);
        }
        return true;
    }
    if (k->no_room_since_ms == 0) {
        k->no_room_since_ms = now_mono_ms;
    }
    if (!k->paused && now_mono_ms - k->no_room_since_ms >= PAUSE_AFTER_MS) {
        set_paused(s, true);
    }
    return k->paused;
}

bool sink_turn(struct stage *s, int64_t now_mono_ms, bool busy, struct err *e)
{
    struct sink *k = &s->sink;
    if (k->producer != NULL) {
        (void)rd_kafka_poll(k->producer, 0);
    }
    uint64_t drained;
    (void)!read(k->wake_fd, &drained, sizeof drained);
    if (s->spec->drive != NULL && !s->spec->drive(s->ctx, s, k->wake_fd, busy ? 0 : 50, e)) {
        return false;
    }
    if (sink_commits(s)) {
        return held_retry(s, now_mono_ms, e) && sink_commit_turn(s, e);
    }
    if (now_mono_ms - k->committed_at_ms >= s->commit_interval_ms) {
        k->committed_at_ms = now_mono_ms;
        commit_soon(s);
    }
    return true;
}

void sink_finish(struct stage *s, int64_t deadline_mono_ms)
{
    struct err e = ERR_INIT;
    while (s->spec->is_idle != NULL && !s->spec->is_idle(s->ctx) && clock_mono_ms() < deadline_mono_ms) {
        if (!sink_turn(s, clock_mono_ms(), false, &e)) {
            s->fatal = e;
            break;
        }
        atomic_store(&s->loop_mono_ms, clock_mono_ms());
    }
    if (s->sink.producer != NULL) {
        (void)rd_kafka_flush(s->sink.producer, CALL_MS);
    }
    if (sink_commits(s)) {
        sink_commit_settle(s);
    } else {
        sink_commit_now(s);
    }
}
