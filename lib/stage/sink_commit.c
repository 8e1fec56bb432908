/* Commits that a sink asks for, with metadata. Each is a transaction of offsets alone: the one form of commit that
 * carries a generation of our own choice. A plain one carries librdkafka's of the moment, which is -1 after the group
 * has thrown us out, and a group without members takes that from anybody. And the producer's epoch fences a request
 * that comes late, which a second commit over the consumer would not. */
#include "stage/runtime.h"

#include "base/clock.h"
#include "run/log.h"

#include <stdlib.h>

enum { NO_RECORDS_BYTES = 4096, BACK_OFF_MS = 100 };

bool sink_commit_open(struct stage *s, struct err *e)
{
    struct sink *k = &s->sink;
    struct transaction_options options = transform_options(s);
#if SLUICE_FAULTS
    k->fault_repeat_commit = config_bool(s->config, "fault.repeat_commit");
    options.fault_no_recreate |= k->fault_repeat_commit;
#endif
    k->box = calloc(1, sizeof *k->box);
    if (k->box == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    box_init(k->box, NO_RECORDS_BYTES);
    return committer_open(&options, &k->committer, e);
}

void sink_commit_close(struct stage *s)
{
    struct sink *k = &s->sink;
    committer_close(k->committer);
    if (k->box != NULL) {
        box_fini(k->box);
        free(k->box);
    }
}

bool stage_commit(struct stage *s, struct partition *pub, int64_t offset, struct slice metadata, struct err *e)
{
    struct owned *p = owned_of(pub);
    (void)s;
    if (p->wants_commit || p->commit_under_way) {
        return err_set(e, ERR_FATAL, "a second commit before the first was answered");
    }
    buf_reset(&p->wanted_metadata);
    buf_put_slice(&p->wanted_metadata, metadata);
    if (!buf_ok(&p->wanted_metadata)) {
        return err_set(e, ERR_FATAL, "metadata of %zu bytes, or out of memory", metadata.len);
    }
    p->wanted_offset = offset;
    p->wants_commit = true;
    return true;
}

int64_t stage_position(const struct partition *p)
{
    return owned_of(p)->position;
}

int64_t stage_log_start(const struct partition *p)
{
    return owned_of(p)->start_at_assignment;
}

static bool on_committed(struct stage *s, struct owned *p, int64_t offset, struct err *e)
{
    p->commit_under_way = false;
    p->committed = offset;
    return s->spec->committed(s->ctx, s, &p->pub, e) ||
           err_wrap(e, "%.*s[%d]", SLICE_ARG(p->pub.topic), p->pub.number);
}

/* Nothing is sent a second time: what the brokers have by now is the only truth, and the partition begins anew from it.
 */
static void on_failed(struct stage *s, struct owned *p)
{
    p->commit_under_way = false;
#if SLUICE_FAULTS
    if (s->sink.fault_repeat_commit) {
        p->wants_commit = true;
        return;
    }
#endif
    assignment_rewind_one(s, p);
}

/* Every partition of the commit learns how it ended. */
static bool tell_all(struct stage *s, bool committed, struct err *e)
{
    bool ok = true;
    for (struct owned *p = s->partitions; ok && p != NULL; p = p->next) {
        if (!p->assigned || !p->commit_under_way) {
            continue;
        }
        if (committed) {
            ok = on_committed(s, p, p->wanted_offset, e);
        } else {
            on_failed(s, p);
        }
    }
    return ok;
}

/* Takes the outcome of the commit under way, if it is there within timeout_ms. */
static bool take_outcome(struct stage *s, int64_t timeout_ms, struct err *e)
{
    struct sink *k = &s->sink;
    struct err why = ERR_INIT;
    enum transaction_outcome outcome = transaction_wait(&k->committer, &k->box, timeout_ms, &why);
    if (outcome == TRANSACTION_NONE) {
        return true;
    }
    if (outcome == TRANSACTION_FENCED) {
        return stage_fenced(s, &why, e);
    }
    bool committed = outcome == TRANSACTION_COMMITTED;
    histogram_observe(s->commit_seconds, (double)transaction_last_ms(k->committer) / 1000.0, 1);
    cell_set(s->cell_recreated, (double)committer_n_recreated(k->committer));
    cell_add(committed ? s->cell_committed : s->cell_aborted, 1);
    if (!committed) {
        log_err(LOG_WARN, "a commit failed, its partitions begin anew at what is committed", &why);
        s->recover_after_ms = clock_mono_ms() + BACK_OFF_MS;
    }
    box_reset(k->box);
    return tell_all(s, committed, e);
}

static bool is_wanted(const struct owned *p)
{
    return p->assigned && p->ready && p->wants_commit;
}

static bool any_wanted(const struct stage *s)
{
    for (const struct owned *p = s->partitions; p != NULL; p = p->next) {
        if (is_wanted(p)) {
            return true;
        }
    }
    return false;
}

/* All that are asked for go in one. While we are no member they wait: the next poll tells what of us is left. */
static void begin(struct stage *s)
{
    struct box *b = s->sink.box;
    if (!any_wanted(s) || (b->group = transform_membership(s)) == NULL) {
        return;
    }
    b->offsets = rd_kafka_topic_partition_list_new(8);
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        if (is_wanted(p)) {
            struct buf copy;
            buf_init(&copy, p->wanted_metadata.max_bytes);
            buf_put_slice(&copy, buf_slice(&p->wanted_metadata));
            assignment_add(b->offsets, p, p->wanted_offset, &copy);
            p->wants_commit = false;
            p->commit_under_way = true;
        }
    }
    transaction_start(s->sink.committer, b);
}

bool sink_commit_turn(struct stage *s, struct err *e)
{
    if (transaction_running(s->sink.committer) && !take_outcome(s, 0, e)) {
        return false;
    }
    if (!transaction_running(s->sink.committer)) {
        begin(s);
    }
    return true;
}

void sink_commit_settle(struct stage *s)
{
    struct err e = ERR_INIT;
    while (s->sink.committer != NULL && transaction_running(s->sink.committer)) {
        if (!take_outcome(s, 1000, &e)) {
            s->fatal = e;
            break;
        }
        stage_bound_end(s);
    }
}
