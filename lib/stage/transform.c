#include "stage/runtime.h"

#include "base/clock.h"
#include "run/log.h"

#include <math.h>
#include <stdlib.h>

/* Beyond commit_max_bytes there is room for what one more record puts out. */
enum { LARGEST_RECORD_OUT = 20 * 1024 * 1024, MAX_BACK_OFF_MS = 3200, PULSE_EVERY_MS = 100 };

static struct box *filling(struct stage *s)
{
    return s->transform.boxes[s->transform.filling];
}

static void wake_loop(void *ctx)
{
    struct stage *s = ctx;
    rd_kafka_queue_yield(s->queue);
}

struct transaction_options transform_options(struct stage *s)
{
    int64_t commit_timeout_ms = config_int(s->config, "commit_timeout_ms");
    struct transaction_options options = {
        .kafka = s->kafka,
        .topics = s->outputs,
        .n_topics = s->n_outputs,
        .commit_timeout_ms = commit_timeout_ms > 0 ? commit_timeout_ms : s->kafka.transaction_timeout_ms,
        .commit_doubt_ms = config_int(s->config, "commit_doubt_ms"),
        .wake = wake_loop,
        .wake_ctx = s,
    };
#if SLUICE_FAULTS
    options.fault_consumer = config_bool(s->config, "fault.offsets_outside") ? s->consumer : NULL;
    options.fault_hang = config_int(s->config, "fault.hang");
    options.fault_no_recreate = config_bool(s->config, "fault.no_recreate");
#endif
    return options;
}

bool transform_open(struct stage *s, struct err *e)
{
    struct transform *t = &s->transform;
    struct transaction_options options = transform_options(s);
#if SLUICE_FAULTS
    s->fault_no_rewind = config_bool(s->config, "fault.no_rewind");
#endif
    for (int i = 0; i < 2; i++) {
        t->boxes[i] = calloc(1, sizeof *t->boxes[i]);
        if (t->boxes[i] == NULL) {
            return err_set(e, ERR_FATAL, "out of memory");
        }
        box_init(t->boxes[i], s->commit_max_bytes + LARGEST_RECORD_OUT);
        for (size_t k = 0; k < s->n_outputs; k++) {
            t->boxes[i]->out.n_output_partitions[k] = s->n_output_partitions[k];
        }
    }
    t->max_inputs = SIZE_MAX;
    return committer_open(&options, &t->committer, e);
}

void transform_close(struct stage *s)
{
    committer_close(s->transform.committer);
    for (int i = 0; i < 2; i++) {
        if (s->transform.boxes[i] != NULL) {
            box_fini(s->transform.boxes[i]);
            free(s->transform.boxes[i]);
        }
    }
}

static void count_out(struct stage *s, const struct box *b)
{
    for (size_t i = 0; i < s->n_outputs; i++) {
        size_t n = 0;
        size_t n_bytes = 0;
        for (size_t k = 0; k < b->out.n; k++) {
            if (b->out.records[k].output == (int)i) {
                n++;
                n_bytes += b->out.records[k].value.len;
            }
        }
        struct slice topic = slice_str(s->outputs[i]);
        cell_add(metrics_cell(s->metrics, M_RECORDS_OUT, &topic), (double)n);
        cell_add(metrics_cell(s->metrics, M_BYTES_OUT, &topic), (double)n_bytes);
    }
}

static void on_committed(struct stage *s, struct box *b)
{
    int64_t now_ms = clock_now_ms();
    for (size_t i = 0; i < b->out.n_ages; i++) {
        double age = (double)(now_ms - b->out.ages[i].received_ms) / 1000.0;
        histogram_observe(s->freshness, age < 0 ? 0 : age, b->out.ages[i].n_samples);
    }
    tally_apply(&b->out.tally);
    count_out(s, b);
    for (int i = 0; i < b->offsets->cnt; i++) {
        struct owned *p = assignment_find(s, b->offsets->elems[i].topic, b->offsets->elems[i].partition);
        if (p != NULL) {
            p->committed = b->offsets->elems[i].offset;
        }
    }
    cell_add(s->cell_committed, 1);
    s->transform.n_aborts_in_a_row = 0;
    if (s->transform.max_inputs < SIZE_MAX / 2) {
        s->transform.max_inputs *= 2;
    }
}

/* The record that stands alone in a refused box is the culprit; otherwise the next boxes are
 * smaller. */
static void on_refused(struct stage *s, const struct box *b, const struct err *why)
{
    log_err(LOG_WARN, "the brokers refuse a record of this transaction", why);
    if (b->n_inputs > 1) {
        s->transform.max_inputs = b->n_inputs / 2;
        return;
    }
    s->transform.max_inputs = 1;
    struct owned *p = owned_of(b->first_partition);
    p->n_attempts = p->failing_offset == b->first_offset ? p->n_attempts + 1 : 1;
    p->failing_offset = b->first_offset;
    if (p->n_attempts > 2 * s->max_attempts) {
        (void)err_set(&s->fatal, ERR_FATAL, "%.*s[%d]@%lld: its dead letter is refused too: %s",
                      SLICE_ARG(p->pub.topic), p->pub.number, (long long)b->first_offset, why->text);
    }
}

static void on_failed(struct stage *s, struct box *b, enum transaction_outcome outcome, const struct err *why)
{
    cell_add(s->cell_aborted, 1);
    if (outcome == TRANSACTION_REFUSED) {
        on_refused(s, b, why);
    } else {
        log_err(LOG_WARN, "transaction aborted, its records are read again", why);
    }
    int64_t n = ++s->transform.n_aborts_in_a_row;
    int64_t back_off_ms = n < 2 ? 0 : n > 5 ? MAX_BACK_OFF_MS : (int64_t)100 << n;
    s->recover_after_ms = clock_mono_ms() + (outcome == TRANSACTION_REFUSED ? 0 : back_off_ms);
    box_reset(filling(s));
#if SLUICE_FAULTS
    if (s->fault_no_rewind) {
        return;
    }
#endif
    assignment_rewind(s);
}

/* Takes the outcome of the running transaction, if it is there within timeout_ms. */
static bool take_outcome(struct stage *s, int64_t timeout_ms, struct err *e)
{
    struct transform *t = &s->transform;
    struct err why = ERR_INIT;
    enum transaction_outcome outcome =
        transaction_wait(&t->committer, &t->boxes[1 - t->filling], timeout_ms, &why);
    if (outcome == TRANSACTION_NONE) {
        return true;
    }
    struct box *b = t->boxes[1 - t->filling];
    histogram_observe(s->commit_seconds, (double)transaction_last_ms(t->committer) / 1000.0, 1);
    bool ok = true;
    switch (outcome) {
    case TRANSACTION_COMMITTED:
        on_committed(s, b);
        break;
    case TRANSACTION_ABORTED:
    case TRANSACTION_REFUSED:
        on_failed(s, b, outcome, &why);
        break;
    case TRANSACTION_FENCED:
        ok = stage_fenced(s, &why, e);
        break;
    case TRANSACTION_NONE:
        break;
    }
    box_reset(b);
    return ok;
}

/* The offsets that the box brings us to, with the stage's metadata. */
static rd_kafka_topic_partition_list_t *close_offsets(struct stage *s)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        if (!p->assigned || !p->moved) {
            continue;
        }
        checkpoint_add(s, p, p->position, list);
        p->moved = false;
    }
    return list;
}

/* What the moved partitions' state has become goes into the box. */
static bool flush_states(struct stage *s, struct box *b, struct err *e)
{
    b->out.n_reserved_bytes = 0;
    for (struct owned *p = s->partitions; p != NULL && s->spec->flush != NULL; p = p->next) {
        if (p->assigned && p->moved && !s->spec->flush(s->ctx, &p->pub, &b->out, e)) {
            e->kind = ERR_FATAL; /* room for it was reserved */
            return err_wrap(e, "state of %.*s[%d]", SLICE_ARG(p->pub.topic), p->pub.number);
        }
    }
    return true;
}

static bool start_transaction(struct stage *s, struct err *e)
{
    struct box *b = filling(s);
    if (!flush_states(s, b, e)) {
        return false;
    }
    b->offsets = close_offsets(s);
    s->transform.filling = 1 - s->transform.filling;
    transaction_start(s->transform.committer, b);
    return true;
}

/* Hands the open box over as soon as the committer is free, and waits for that. */
static bool hand_over(struct stage *s, struct err *e)
{
    while (transaction_running(s->transform.committer)) {
        if (!take_outcome(s, 1000, e)) {
            return false;
        }
        stage_bound_end(s);
    }
    return filling(s)->n_inputs == 0 || start_transaction(s, e);
}

void transform_settle(struct stage *s)
{
    struct err e = ERR_INIT;
    while (transaction_running(s->transform.committer)) {
        if (!take_outcome(s, 1000, &e)) {
            s->fatal = e;
            break;
        }
        stage_bound_end(s);
    }
    if (filling(s)->n_inputs > 0) {
        box_reset(filling(s));
        assignment_rewind(s);
    }
}

static bool box_is_full(const struct stage *s, const struct box *b)
{
    return b->out.n_bytes + b->out.n_reserved_bytes >= s->commit_max_bytes || b->n_inputs >= s->transform.max_inputs;
}

rd_kafka_consumer_group_metadata_t *transform_membership(const struct stage *s)
{
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(s->consumer);
    if (group != NULL && (rd_kafka_assignment_lost(s->consumer) ||
                          rd_kafka_consumer_group_metadata_generation_id(group) < 0 ||
                          rd_kafka_consumer_group_metadata_member_id(group)[0] == '\0')) {
        rd_kafka_consumer_group_metadata_destroy(group);
        group = NULL;
    }
    return group;
}

/* False: we are no member of the group: the record is left, and comes again when the partition is recovered. */
static bool box_begin(struct stage *s, struct box *b, struct owned *p, int64_t offset)
{
    b->group = transform_membership(s);
    if (b->group == NULL) {
        box_reset(b);
        assignment_rewind(s);
        return false;
    }
    b->opened_mono_ms = clock_mono_ms();
    b->first_partition = &p->pub;
    b->first_offset = offset;
    return true;
}

static bool give_up(struct stage *s, struct owned *p, const struct record *r, struct box *b, const char *why,
                    struct err *e)
{
    struct slice labels[2] = {p->pub.topic, slice_str("refused")};
    log_line(LOG_ERROR, "a record's output is refused again and again: it goes to the DLQ",
             LOG_FIELDS(LOG_STR("topic", (const char *)p->pub.topic.ptr), LOG_INT("partition", p->pub.number),
                        LOG_INT("offset", r->offset), LOG_STR("reason", why)));
    if (!tally_add(&b->out.tally, metrics_cell(s->metrics, M_RECORD_ATTEMPTS_EXHAUSTED, labels), 1)) {
        return err_set(e, ERR_RETRY, "no memory for a count");
    }
    return s->spec->give_up(s->ctx, s, r, why, &b->out, e);
}

/* One record through the step, into the box. */
static bool step_once(struct stage *s, struct owned *p, const struct record *r, struct err *e)
{
    struct box *b = filling(s);
    struct outbox_mark mark = outbox_mark(&b->out);
    if (b->n_inputs == 0 && !box_begin(s, b, p, r->offset)) {
        return true;
    }
    bool exhausted = p->failing_offset == r->offset && p->n_attempts >= s->max_attempts;
    bool ok = exhausted ? give_up(s, p, r, b, "its output was refused repeatedly", e)
                        : s->spec->step(s->ctx, s, r, clock_now_ms(), &b->out, e);
    if (ok) {
        struct slice topic = p->pub.topic;
        ok = (tally_add(&b->out.tally, metrics_cell(s->metrics, M_RECORDS_IN, &topic), 1) &&
              tally_add(&b->out.tally, metrics_cell(s->metrics, M_BYTES_IN, &topic), (double)r->value.len)) ||
             err_set(e, ERR_RETRY, "no memory for a count");
    }
    if (!ok) {
        outbox_rewind(&b->out, mark);
        if (b->n_inputs == 0) {
            box_reset(b);
        }
        return false;
    }
    b->n_inputs++;
    p->position = r->offset + 1;
    p->moved = true;
    return true;
}

bool transform_record(struct stage *s, struct owned *p, const struct record *r, struct err *e)
{
    p->waits = false;
    while (!step_once(s, p, r, e)) {
        if (e->kind == ERR_WAIT) {
            p->waits = true;
            p->position = r->offset; /* all below it is done */
            return true;
        }
        if (e->kind != ERR_RETRY) {
            return err_wrap(e, "%.*s[%d]@%lld", SLICE_ARG(p->pub.topic), p->pub.number, (long long)r->offset);
        }
        if (filling(s)->n_inputs > 0) {
            /* The box was full: this record begins the next one. */
            if (!hand_over(s, e)) {
                return false;
            }
            if (!p->ready) {
                return true; /* rewound meanwhile: the record comes again */
            }
            continue;
        }
        log_err(LOG_WARN, "a record does not fit into an empty transaction", e);
        p->n_attempts = p->failing_offset == r->offset ? p->n_attempts + 1 : 1;
        p->failing_offset = r->offset;
        if (p->n_attempts > s->max_attempts) {
            return err_set(e, ERR_FATAL, "%.*s[%d]@%lld: neither the record nor its dead letter fits",
                           SLICE_ARG(p->pub.topic), p->pub.number, (long long)r->offset);
        }
    }
    if (box_is_full(s, filling(s))) {
        return hand_over(s, e);
    }
    return true;
}

/* What a partition has to say of itself goes with its offset, as if it were a record's output. */
static bool pulse_once(struct stage *s, struct owned *p, struct err *e)
{
    struct box *b = filling(s);
    struct outbox_mark mark = outbox_mark(&b->out);
    if (b->n_inputs == 0 && !box_begin(s, b, p, p->position)) {
        return true;
    }
    bool ok = s->spec->pulse(s->ctx, &p->pub, p->at_end, clock_now_ms(), &b->out, e);
    if (ok && b->out.n > mark.n) {
        b->n_inputs++;
        p->moved = true;
        return true;
    }
    outbox_rewind(&b->out, mark);
    if (b->n_inputs == 0) {
        box_reset(b);
    }
    return ok || e->kind == ERR_RETRY; /* no room now: a moment later there is */
}

static bool pulse_all(struct stage *s, int64_t now_mono_ms, struct err *e)
{
    if (s->spec->pulse == NULL || now_mono_ms - s->transform.pulse_mono_ms < PULSE_EVERY_MS) {
        return true;
    }
    s->transform.pulse_mono_ms = now_mono_ms;
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        if (p->assigned && p->ready && p->position >= 0 && !pulse_once(s, p, e)) {
            return err_wrap(e, "%.*s[%d] between records", SLICE_ARG(p->pub.topic), p->pub.number);
        }
    }
    return true;
}

bool transform_turn(struct stage *s, int64_t now_mono_ms, struct err *e)
{
    if (!held_retry(s, now_mono_ms, e) || !pulse_all(s, now_mono_ms, e)) {
        return false;
    }
    if (!take_outcome(s, 0, e)) {
        return false;
    }
    struct box *b = filling(s);
    cell_set(s->cell_outbox, (double)b->out.n_bytes);
    cell_set(s->cell_recreated, (double)committer_n_recreated(s->transform.committer));
    bool due = b->n_inputs > 0 &&
               (now_mono_ms - b->opened_mono_ms >= s->commit_interval_ms || box_is_full(s, b));
    return !due || transaction_running(s->transform.committer) || start_transaction(s, e);
}

int transform_poll_ms(const struct stage *s, int64_t now_mono_ms)
{
    const struct box *b = s->transform.boxes[s->transform.filling];
    if (s->transform.n_held > 0) {
        return HELD_EVERY_MS;
    }
    if (b->n_inputs == 0) {
        return 100;
    }
    int64_t left = b->opened_mono_ms + s->commit_interval_ms - now_mono_ms;
    /* When it is overdue, the committer is busy; its outcome wakes the poll. */
    return left <= 0 ? 100 : left > 100 ? 100 : (int)left;
}

void transform_finish(struct stage *s)
{
    struct err e = ERR_INIT;
    if (!hand_over(s, &e)) {
        s->fatal = e;
        return;
    }
    while (transaction_running(s->transform.committer)) {
        if (!take_outcome(s, 1000, &e)) {
            s->fatal = e;
            return;
        }
    }
}
