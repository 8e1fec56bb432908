#include "stage/runtime.h"

#include "base/clock.h"
#include "run/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 5000, TRY_AGAIN_MS = 200, MAX_BAD_RECOVERIES = 5, MAX_SEEKS_REFUSED = 25 };

struct owned *assignment_find(const struct stage *s, const char *topic, int32_t number)
{
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        if (p->assigned && p->pub.number == number && slice_eq_str(p->pub.topic, topic)) {
            return p;
        }
    }
    return NULL;
}

void assignment_count(struct stage *s)
{
    int n = 0;
    int n_not_ready = 0;
    int n_failed = 0;
    int n_halted = 0;
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        n += p->assigned;
        n_not_ready += p->assigned && !p->ready && !p->failed;
        n_failed += p->assigned && p->failed;
        n_halted += p->assigned && p->halted;
    }
    atomic_store(&s->n_not_ready, n_not_ready);
    atomic_store(&s->n_failed, n_failed);
    cell_set(s->cell_partitions, n);
    cell_set(s->cell_paused, n_not_ready + n_failed);
    cell_set(s->cell_halted, n_halted);
}

void assignment_fetch(struct stage *s, struct owned *p)
{
    bool has_no_room = s->spec->kind == STAGE_SINK && s->sink.paused;
    bool on = p->ready && !p->failed && !p->crowded && !p->halted && p->held == NULL && !has_no_room;
    if (on == p->fetching) {
        return;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(list, (const char *)p->pub.topic.ptr, p->pub.number);
    (void)(on ? rd_kafka_resume_partitions(s->consumer, list) : rd_kafka_pause_partitions(s->consumer, list));
    rd_kafka_topic_partition_list_destroy(list);
    p->fetching = on;
}

static struct owned *owned_new(struct stage *s, const char *topic, int32_t number)
{
    struct owned *p = calloc(1, sizeof *p);
    char *name = strdup(topic);
    if (p == NULL || name == NULL) {
        free(p);
        free(name);
        return NULL;
    }
    char digits[16];
    (void)snprintf(digits, sizeof digits, "%d", number);
    struct slice labels[2] = {slice_str(name), slice_str(digits)};
    p->pub.topic = slice_str(name);
    p->pub.number = number;
    p->assigned = true;
    p->halted = pause_halts(s, &p->pub);
    p->position = -1;
    p->committed = -1;
    p->failing_offset = -1;
    p->lag = metrics_cell(s->metrics, M_LAG, labels);
    p->position_cell = metrics_cell(s->metrics, M_POSITION, labels);
    tracker_init(&p->tracker);
    buf_init(&p->wanted_metadata, 4096);
    p->next = s->partitions;
    s->partitions = p;
    return p;
}

static void owned_free(struct owned *p)
{
    tracker_fini(&p->tracker);
    buf_fini(&p->wanted_metadata);
    free((void *)(uintptr_t)p->pub.topic.ptr);
    free(p);
}

static void state_drop(struct stage *s, struct owned *p)
{
    held_forget(s, p);
    p->wants_commit = false;
    if (s->spec->drop != NULL) {
        s->spec->drop(s->ctx, &p->pub);
    }
    p->pub.state = NULL;
}

/* Partitions that are gone leave the list when no sink holds on to their records any more. */
static void sweep(struct stage *s, bool all)
{
    for (struct owned **at = &s->partitions; *at != NULL;) {
        struct owned *p = *at;
        if (all || (!p->assigned && p->tracker.n_holds == 0)) {
            *at = p->next;
            owned_free(p);
        } else {
            at = &p->next;
        }
    }
}

void assignment_free(struct stage *s)
{
    sweep(s, true);
}

static void revoke(struct stage *s, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        struct owned *p = assignment_find(s, list->elems[i].topic, list->elems[i].partition);
        if (p == NULL) {
            continue;
        }
        state_drop(s, p);
        p->assigned = false;
        cell_set(p->lag, 0);
        if (s->spec->kind == STAGE_TRANSFORM) {
            p->tracker.n_holds = 0;
        }
    }
    sweep(s, false);
}

static void count_rebalance(struct stage *s, const char *kind, int n)
{
    struct slice label = slice_str(kind);
    cell_add(metrics_cell(s->metrics, M_REBALANCES, &label), 1);
    log_line(LOG_INFO, "rebalance", LOG_FIELDS(LOG_STR("kind", kind), LOG_INT("partitions", n)));
}

/* Where fetching may start at the earliest. Never a place ahead of the committed offset: librdkafka may look a logical
 * one up again after our seek (a broker that was away), and records would be passed over. Behind it is harmless: what
 * lies below the position is skipped. */
static void set_starts(struct stage *s, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t code =
        list->cnt == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_committed(s->consumer, list, CALL_MS);
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *at = &list->elems[i];
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR || at->err != RD_KAFKA_RESP_ERR_NO_ERROR || at->offset < 0) {
            at->offset = RD_KAFKA_OFFSET_BEGINNING;
        }
        at->err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
}

void assignment_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                          void *stage)
{
    struct stage *s = stage;
    bool lost = rd_kafka_assignment_lost(rk) != 0;
    if (s->spec->kind == STAGE_TRANSFORM) {
        transform_settle(s);
    } else if (sink_commits(s)) {
        sink_commit_settle(s);
    } else if (!lost) {
        sink_commit_now(s);
    }

    rd_kafka_error_t *error;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        count_rebalance(s, "assigned", list->cnt);
        set_starts(s, list);
        for (int i = 0; i < list->cnt; i++) {
            /* They wait, paused, for assignment_recover, which seeks. */
            if (owned_new(s, list->elems[i].topic, list->elems[i].partition) == NULL) {
                (void)err_set(&s->fatal, ERR_FATAL, "out of memory");
            }
        }
        error = rd_kafka_incremental_assign(rk, list);
        (void)rd_kafka_pause_partitions(rk, list);
        atomic_store(&s->joined, s->subscribed); /* not, when an operator has just taken us out */
    } else {
        count_rebalance(s, lost ? "lost" : "revoked", list->cnt);
        revoke(s, list);
        error = rd_kafka_incremental_unassign(rk, list);
    }
    struct err e = ERR_INIT;
    if (!kafka_err_take(error, "assignment", &e)) {
        log_err(LOG_ERROR, "assignment failed", &e);
        s->fatal = e;
    }
    s->recover_after_ms = 0;
    assignment_count(s);
}

void assignment_rewind(struct stage *s)
{
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        p->moved = false; /* a failed one too: what it brought is given up with the rest */
        held_forget(s, p);
        if (p->assigned && p->failed) {
            p->position = p->committed;
        }
        if (p->assigned && !p->failed) {
            p->ready = false;
            assignment_fetch(s, p);
        }
    }
    assignment_count(s);
}

void assignment_rewind_one(struct stage *s, struct owned *p)
{
    held_forget(s, p);
    p->ready = false;
    assignment_fetch(s, p);
    assignment_count(s);
}

/* Moves the metadata to the element, which frees it; the buf is done. */
static void take_metadata(rd_kafka_topic_partition_t *at, struct buf *metadata)
{
    if (metadata->len > 0) {
        assert(memchr(metadata->ptr, '\0', metadata->len) == NULL);
        at->metadata_size = metadata->len;
        (void)buf_c_str(metadata); /* librdkafka writes it up to the NUL */
        size_t len;
        at->metadata = buf_take(metadata, &len);
    }
    buf_fini(metadata);
}

void assignment_add(rd_kafka_topic_partition_list_t *list, const struct owned *p, int64_t offset, struct buf *metadata)
{
    rd_kafka_topic_partition_t *at =
        rd_kafka_topic_partition_list_add(list, (const char *)p->pub.topic.ptr, p->pub.number);
    at->offset = offset;
    take_metadata(at, metadata);
}

void checkpoint_add(struct stage *s, struct owned *p, int64_t position, rd_kafka_topic_partition_list_t *list)
{
    struct buf metadata;
    buf_init(&metadata, 4096);
    struct checkpoint checkpoint = {position, &metadata};
    if (s->spec->checkpoint != NULL) {
        s->spec->checkpoint(s->ctx, &p->pub, position, &checkpoint);
    }
    assignment_add(list, p, checkpoint.offset, &metadata);
}

void assignment_fail(struct stage *s, struct owned *p, const char *why)
{
    p->failed = true;
    p->ready = false;
    struct slice topic = p->pub.topic;
    cell_add(metrics_cell(s->metrics, M_OFFSET_RESETS, &topic), 1);
    log_line(LOG_ERROR,
             "the partition is stopped: its offset is not in the log any more; nothing is skipped by itself. "
             "See what is missing with sluice-offsets and set the offset with sluice-offsets reset",
             LOG_FIELDS(LOG_STR("topic", (const char *)topic.ptr), LOG_INT("partition", p->pub.number),
                        LOG_INT("offset", p->position >= 0 ? p->position : p->committed), LOG_STR("error", why)));
    assignment_count(s);
}

void stage_stop_partition(struct stage *s, struct partition *pub)
{
    struct owned *p = owned_of(pub);
    assignment_rewind_one(s, p);
    p->failed = true;
    assignment_count(s);
}

/* Identity of the topic, and its partition count. */
static bool describe(struct stage *s, struct owned *p, struct err *e)
{
    for (struct owned *other = s->partitions; other != NULL; other = other->next) {
        if (other != p && other->assigned && other->ready && slice_eq(other->pub.topic, p->pub.topic)) {
            memcpy(p->pub.topic_id, other->pub.topic_id, sizeof p->pub.topic_id);
            p->pub.n_partitions = other->pub.n_partitions;
            return true;
        }
    }
    if (!topic_describe(s->consumer, (const char *)p->pub.topic.ptr, &p->pub.n_partitions, p->pub.topic_id, e)) {
        e->kind = ERR_RETRY; /* it was there at the start: a broker that comes back may not know it yet */
        return false;
    }
    return true;
}

static bool recover_one(struct stage *s, struct owned *p, const rd_kafka_topic_partition_t *at, struct err *e)
{
    if (!describe(s, p, e)) {
        return false;
    }
    int64_t low;
    int64_t high;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(s->consumer, at->topic, at->partition, &low,
                                                                &high, CALL_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set_code(e, ERR_RETRY, code, "end of %s[%d]: %s", at->topic, at->partition,
                            rd_kafka_err2str(code));
    }
    p->end_at_assignment = high;
    p->start_at_assignment = low;
    p->committed = at->offset >= 0 ? at->offset : -1;
    p->position = p->committed;
    if (p->committed >= 0 && (p->committed < low || p->committed > high)) {
        assignment_fail(s, p, "out of range");
        return true;
    }
    state_drop(s, p);
    return s->spec->recover == NULL ||
           s->spec->recover(s->ctx, s, &p->pub, p->committed, slice_of(at->metadata, at->metadata_size), e);
}

/* A lookup that failed leaves a partition stopped inside librdkafka, where it takes no seek: it is taken off and put
 * back. */
static void assign_again(struct stage *s, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_error_t *errors[2];
    list->elems[0].err = RD_KAFKA_RESP_ERR_NO_ERROR;
    errors[0] = rd_kafka_incremental_unassign(s->consumer, list);
    errors[1] = rd_kafka_incremental_assign(s->consumer, list);
    (void)rd_kafka_pause_partitions(s->consumer, list);
    for (int i = 0; i < 2; i++) {
        struct err e = ERR_INIT;
        if (!kafka_err_take(errors[i], "assign again", &e)) {
            log_err(LOG_WARN, "assign again", &e);
        }
    }
}

/* From where the partition goes on: a new group begins at the earliest. */
static bool seek_one(struct stage *s, struct owned *p, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *at =
        rd_kafka_topic_partition_list_add(list, (const char *)p->pub.topic.ptr, p->pub.number);
    at->offset = p->position >= 0 ? p->position : RD_KAFKA_OFFSET_BEGINNING;
    bool ok = kafka_err_take(rd_kafka_seek_partitions(s->consumer, list, CALL_MS), "seek", e);
    if (ok && at->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        ok = err_set_code(e, ERR_RETRY, at->err, "seek: %s", rd_kafka_err2str(at->err));
        if (at->err == RD_KAFKA_RESP_ERR__STATE && ++p->n_seeks_refused >= MAX_SEEKS_REFUSED) {
            assign_again(s, list);
            p->n_seeks_refused = 0;
        }
    }
    if (ok) {
        p->crowded = false;
        p->ready = true;
        p->at_end = false;
        p->moved = false;
        assignment_fetch(s, p);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

static bool recover_all(struct stage *s, rd_kafka_topic_partition_list_t *list, struct err *e)
{
    rd_kafka_resp_err_t code = rd_kafka_committed(s->consumer, list, CALL_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set_code(e, ERR_RETRY, code, "committed offsets: %s", rd_kafka_err2str(code));
    }
    int64_t until = clock_mono_ms() + s->kafka.max_poll_interval_ms / 4;
    for (int i = 0; i < list->cnt && clock_mono_ms() < until; i++) { /* the rest comes after a poll */
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        struct owned *p = assignment_find(s, at->topic, at->partition);
        if (at->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return err_set_code(e, ERR_RETRY, at->err, "committed offset of %s[%d]: %s", at->topic,
                                at->partition, rd_kafka_err2str(at->err));
        }
        if (!recover_one(s, p, at, e) || (!p->failed && !seek_one(s, p, e))) {
            return err_wrap(e, "%s[%d]", at->topic, at->partition);
        }
    }
    return true;
}

void assignment_recover(struct stage *s, int64_t now_mono_ms)
{
    bool is_blind = s->follower != NULL && !follower_caught_up(s->follower);
    if (atomic_load(&s->n_not_ready) == 0 || now_mono_ms < s->recover_after_ms || is_blind) {
        return;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        if (p->assigned && !p->ready && !p->failed) {
            (void)rd_kafka_topic_partition_list_add(list, (const char *)p->pub.topic.ptr, p->pub.number);
        }
    }
    struct err e = ERR_INIT;
    if (recover_all(s, list, &e)) {
        s->n_bad_recoveries = 0;
    } else {
        /* A process that was stopped for a while may find state that is newer than the offset that it had read: the
         * partition is another's by now, and the next poll says so. Only what stays wrong ends the process. */
        bool passing = e.kind == ERR_RETRY || e.kind == ERR_ABORT || ++s->n_bad_recoveries < MAX_BAD_RECOVERIES;
        if (passing) {
            log_err(LOG_WARN, "recovery of partitions is tried again", &e);
            s->recover_after_ms = clock_mono_ms() + TRY_AGAIN_MS;
        } else {
            s->fatal = e;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    assignment_count(s);
}
