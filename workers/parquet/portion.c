#include "portion.h"

#include "base/clock.h"
#include "run/log.h"
#include "stage/topics.h"

#include <stdlib.h>

enum { IDLE_MS = 1000, METADATA_MAX_BYTES = 4000 };

const char *const stop_reason_names[N_STOP_REASONS] = {
    [STOP_NONE] = "",
    [STOP_NO_OFFSET] = "no_offset",
    [STOP_OBJECTS_EXIST] = "objects_exist",
    [STOP_INTENT] = "intent",
    [STOP_ROWS_MISSING] = "rows_missing",
    [STOP_CONFLICT] = "conflict",
};

static const char *const stop_texts[N_STOP_REASONS] = {
    [STOP_NO_OFFSET] = "the partition is stopped: its group has no committed offset. A first start "
                       "needs start=earliest; "
                       "otherwise sluice-offsets restores the offset from the objects",
    [STOP_OBJECTS_EXIST] = "the partition is stopped: its group has no committed offset, but there "
                           "are objects of this "
                           "topic. Restore the offset from them with sluice-offsets",
    [STOP_INTENT] = "the partition is stopped: what is committed with its offset is no intent that "
                    "can be gone on from",
    [STOP_ROWS_MISSING] = "the partition is stopped: the log has other rows now than its open "
                          "intent counts; nothing of "
                          "the range was written. Only an operator may skip it",
    [STOP_CONFLICT] =
        "the partition is stopped: there is another object where one of its own belongs",
};

static void stop(struct portion *p, struct stage *s, enum stop_reason reason, const char *detail)
{
    p->stopped = reason;
    log_line(LOG_ERROR, stop_texts[reason],
             LOG_FIELDS(LOG_STR("topic", (const char *)p->partition->topic.ptr),
                        LOG_INT("partition", p->partition->number), LOG_INT("first", p->log.first),
                        LOG_INT("last", p->log.last), LOG_STR("detail", detail)));
    stage_stop_partition(s, p->partition);
}

/* --- begin --- */

static bool begin_at_intent(struct portion *p, struct stage *s, int64_t committed,
                            struct slice metadata)
{
    struct err e = ERR_INIT;
    struct layout layout;
    bool ok = intent_parse(metadata, &p->intent, &e) &&
              layout_parse(slice_str(p->intent.layout), &layout, &e);
    if (ok && p->intent.first != committed) {
        ok = err_set(&e, ERR_BAD_INPUT, "it is of offset %lld, committed is %lld",
                     (long long)p->intent.first, (long long)committed);
    }
    if (ok && strcmp(p->intent.topic_id, p->topic_id) != 0) {
        ok = err_set(&e, ERR_BAD_INPUT, "it is of topic id %s, the topic has %s",
                     p->intent.topic_id, p->topic_id);
    }
    intent_begin(&p->log, committed, ok ? &p->intent : NULL);
    if (!ok) {
        stop(p, s, STOP_INTENT, e.text);
    }
    return ok;
}

static bool begin_without_offset(struct portion *p, struct stage *s, struct err *e)
{
    char name[400];
    const struct portion_options *o = p->options;
    intent_begin(&p->log, -1, NULL);
    if (!o->starts_at_earliest) {
        stop(p, s, STOP_NO_OFFSET, "");
        return true;
    }
    (void)snprintf(name, sizeof name, "%.*s-%s-%d-", SLICE_ARG(p->partition->topic), p->topic_id,
                   p->partition->number);
    p->is_looking = true;
    return upload_look(o->uploader, o->layout.prefix, name, &p->job, e);
}

bool portion_new(const struct portion_options *o, struct stage *s, struct partition *partition,
                 int64_t committed, struct slice metadata, struct portion **out, struct err *e)
{
    struct portion *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    p->options = o;
    p->partition = partition;
    while (metadata.len > 0 && metadata.ptr[metadata.len - 1] == '\0') {
        metadata.len--; /* some clients commit the end of a C string, too */
    }
    topic_id_text(partition->topic_id, p->topic_id);
    *out = p;
    if (committed < 0) {
        return begin_without_offset(p, s, e);
    }
    if (metadata.len > 0 && begin_at_intent(p, s, committed, metadata)) {
        log_line(LOG_INFO, "an open range is read again",
                 LOG_FIELDS(LOG_STR("topic", (const char *)partition->topic.ptr),
                            LOG_INT("partition", partition->number),
                            LOG_INT("first", p->intent.first), LOG_INT("last", p->intent.last)));
    } else if (metadata.len == 0) {
        intent_begin(&p->log, committed, NULL);
    }
    return true;
}

void portion_free(struct portion *p)
{
    if (p == NULL) {
        return;
    }
    upload_release(p->job);
    range_close(p->range);
    free(p);
}

/* --- records --- */

/* A redo has its intent's layout, whatever is configured by now. */
static bool open_range(struct portion *p, struct err *e)
{
    const struct portion_options *o = p->options;
    struct layout layout = o->layout;
    const struct range_options options = {
        .topic = (const char *)p->partition->topic.ptr,
        .topic_id = p->topic_id,
        .partition = p->partition->number,
        .scratch_dir = o->scratch_dir,
        .max_rows_bytes = o->range_memory_bytes,
        .max_writer_bytes = o->writer_memory_bytes,
        .portable = o->portable,
    };
    if (p->log.phase == INTENT_REDO && !layout_parse(slice_str(p->intent.layout), &layout, e)) {
        return err_wrap(e, "the open intent's layout");
    }
    return range_open(&options, &layout, &p->range, e);
}

static void note_rows(struct portion *p, const struct record *r, uint64_t n_rows, bool is_raw)
{
    p->took_mono_ms = clock_mono_ms();
    if (n_rows == 0) {
        return;
    }
    p->has_samples = p->has_samples || is_raw;
    if (p->opened_mono_ms == 0) {
        p->opened_mono_ms = p->took_mono_ms;
        p->first_ts_ms = r->timestamp_ms;
    }
    p->last_ts_ms = r->timestamp_ms;
    p->sum_ts_ms += (double)r->timestamp_ms * (double)n_rows;
}

bool portion_take(struct portion *p, const struct record *r, struct record_rows rows, struct err *e)
{
    bool any = rows.batch != NULL || rows.rollup != NULL;
    if (p->is_looking || p->is_opening || !intent_takes(&p->log, r->offset)) {
        return err_set(e, ERR_WAIT, "a range is being stored");
    }
    if (any && p->range == NULL && !open_range(p, e)) {
        /* The options were good at the start: then it is the scratch directory that went. */
        p->scratch_full = e->kind == ERR_CONFIG;
        e->kind = e->kind == ERR_RETRY || e->kind == ERR_CONFIG ? ERR_WAIT : ERR_FATAL;
        return false;
    }
    uint64_t before = p->range == NULL ? 0 : range_n_rows(p->range);
    if (any && !decoded_add(p->range, &rows, r->offset, e)) {
        p->scratch_full = e->kind == ERR_RETRY;
        e->kind = e->kind == ERR_RETRY ? ERR_WAIT : e->kind;
        return false;
    }
    p->scratch_full = false;
    uint64_t n_rows = p->range == NULL ? 0 : range_n_rows(p->range) - before;
    intent_took(&p->log, r->offset, n_rows);
    note_rows(p, r, n_rows, rows.batch != NULL);
    return true;
}

/* --- the protocol's moves --- */

bool portion_is_full(const struct portion_options *o, const struct range *r, bool has_samples,
                     int64_t age_ms)
{
    int64_t max_age_ms = has_samples ? o->raw_max_age_ms : o->rollup_max_age_ms;
    return range_n_bytes(r) >= o->max_bytes || range_n_rows(r) >= o->max_rows ||
           age_ms >= max_age_ms;
}

static bool is_due(const struct portion *p)
{
    if (p->range == NULL || p->opened_mono_ms == 0) {
        return false;
    }
    /* By log time, so that a backlog is cut as it would have been; by our own clock where the log
     * stands still. */
    int64_t by_log_ms = p->last_ts_ms - p->first_ts_ms;
    int64_t by_clock_ms = clock_mono_ms() - p->opened_mono_ms;
    return portion_is_full(p->options, p->range, p->has_samples,
                           by_log_ms > by_clock_ms ? by_log_ms : by_clock_ms);
}

static bool store(struct portion *p, struct err *e)
{
    const struct upload_order order = {
        .range = p->range,
        .intent = p->intent,
        .topic = (const char *)p->partition->topic.ptr,
        .partition = p->partition->number,
        .is_redo = p->log.n_expected > 0,
    };
    if (p->job != NULL) {
        return true; /* a fault began it before the intent was answered */
    }
    p->range = NULL;
    p->n_failures_seen = 0;
    return upload_store(p->options->uploader, &order, &p->job, e);
}

static bool pledge(struct portion *p, struct stage *s, struct err *e)
{
    struct buf text;
    p->intent =
        (struct intent){.first = p->log.first, .last = p->log.last, .n_rows = p->log.n_rows};
    memcpy(p->intent.topic_id, p->topic_id, sizeof p->topic_id);
    memcpy(p->intent.layout, p->options->layout_text, sizeof p->intent.layout);
    buf_init(&text, METADATA_MAX_BYTES);
    intent_print(&p->intent, &text);
    bool ok = buf_ok(&text)
                  ? stage_commit(s, p->partition, p->log.first, buf_slice(&text), e)
                  : err_set(e, ERR_FATAL, "the intent is longer than %d bytes", METADATA_MAX_BYTES);
    buf_fini(&text);
    return ok && (!p->options->fault_put_before_intent || store(p, e));
}

static bool act(struct portion *p, struct stage *s, enum intent_action action, struct err *e)
{
    switch (action) {
    case INTENT_NOTHING:
        return true;
    case INTENT_PLEDGE:
        return pledge(p, s, e);
    case INTENT_SKIP:
    case INTENT_CLOSE:
        return stage_commit(s, p->partition, p->log.last + 1, SLICE_NONE, e);
    case INTENT_STORE:
        return store(p, e);
    case INTENT_HALT: {
        char detail[80];
        (void)snprintf(detail, sizeof detail, "%llu rows instead of %llu",
                       (unsigned long long)p->log.n_rows, (unsigned long long)p->log.n_expected);
        stop(p, s, STOP_ROWS_MISSING, detail);
        return true;
    }
    }
    return true;
}

/* --- the job's end --- */

static void count_table(struct metrics *m, enum table_id table, const struct upload_counts *c)
{
    struct slice stored[2] = {slice_str(table_name(table)), SLICE_LITERAL("stored")};
    struct slice existed[2] = {stored[0], SLICE_LITERAL("existed")};
    if (c->n_stored + c->n_existed == 0) {
        return;
    }
    cell_add(metrics_cell(m, M_S3_OBJECTS, stored), (double)c->n_stored);
    cell_add(metrics_cell(m, M_S3_OBJECTS, existed), (double)c->n_existed);
    cell_add(metrics_cell(m, M_S3_ROWS, stored), (double)c->n_rows);
    cell_add(metrics_cell(m, M_S3_BYTES, stored), (double)c->n_bytes);
}

static void count_stored(struct portion *p, const struct upload_status *u)
{
    struct metrics *m = p->options->metrics;
    uint64_t n_rows = 0;
    for (unsigned i = 0; i < N_TABLES; i++) {
        count_table(m, (enum table_id)i, &u->tables[i]);
        n_rows += u->tables[i].n_rows;
    }
    cell_add(metrics_cell(m, M_S3_UPLOADS_ABORTED, NULL), (double)u->n_parts_aborted);
    histogram_observe(metrics_histogram(m, M_S3_SECONDS, NULL), u->seconds, 1);
    if (n_rows > 0) {
        double age_ms = (double)clock_now_ms() - p->sum_ts_ms / (double)n_rows;
        histogram_observe(metrics_histogram(m, M_FRESHNESS, NULL), age_ms < 0 ? 0 : age_ms / 1000.0,
                          n_rows);
    }
}

static const char *failure_kind(const struct upload_status *u)
{
    return u->is_scratch ? "scratch" : u->is_denied ? "denied" : "s3";
}

static void note_failures(struct portion *p, const struct upload_status *u)
{
    if (u->n_failures > p->n_failures_seen) {
        struct slice kind = slice_str(failure_kind(u));
        cell_add(metrics_cell(p->options->metrics, M_S3_FAILURES, &kind),
                 (double)(u->n_failures - p->n_failures_seen));
        p->n_failures_seen = u->n_failures;
        log_line(LOG_WARN, "objects can't be stored, tried on",
                 LOG_FIELDS(LOG_STR("topic", (const char *)p->partition->topic.ptr),
                            LOG_INT("partition", p->partition->number),
                            LOG_STR("error", u->trouble)));
    }
}

static bool look_ended(struct portion *p, struct stage *s, const struct upload_status *u,
                       struct err *e)
{
    p->is_looking = false;
    if (u->state == UPLOAD_CONFLICT) {
        stop(p, s, STOP_OBJECTS_EXIST, u->trouble);
        return true;
    }
    /* From here on the group has an offset, so that this question is not asked again. */
    p->is_opening = true;
    intent_begin(&p->log, stage_log_start(p->partition), NULL);
    return stage_commit(s, p->partition, p->log.first, SLICE_NONE, e);
}

/* The answer to an intent may still be on its way (with a fault): the job's end waits for it. */
static bool take_job(struct portion *p, struct stage *s, struct err *e)
{
    struct upload_status u;
    if (p->job == NULL) {
        return true;
    }
    upload_status(p->job, &u);
    note_failures(p, &u);
    if (u.state == UPLOAD_RUNS || (!p->is_looking && p->log.phase != INTENT_WRITE)) {
        return true;
    }
    upload_release(p->job);
    p->job = NULL;
    if (p->is_looking) {
        return look_ended(p, s, &u, e);
    }
    if (u.state == UPLOAD_CONFLICT) {
        p->log.phase = INTENT_STOPPED;
        stop(p, s, STOP_CONFLICT, u.trouble);
        return true;
    }
    count_stored(p, &u);
    return act(p, s, intent_stored(&p->log), e);
}

bool portion_turn(struct portion *p, struct stage *s, bool is_ending, struct err *e)
{
    if (p->stopped != STOP_NONE) {
        return true;
    }
    if (!take_job(p, s, e)) {
        return false;
    }
    if (p->stopped != STOP_NONE || p->is_looking || p->is_opening || !stage_owns(s, p->partition)) {
        return true;
    }
    intent_passed(&p->log, stage_position(p->partition));
    bool is_idle = clock_mono_ms() - p->took_mono_ms >= IDLE_MS;
    return act(p, s, intent_next(&p->log, !is_ending && is_due(p), is_idle), e);
}

static void count_range(const struct portion *p)
{
    struct slice kind = slice_str(p->log.n_expected > 0 ? "redone"
                                  : p->log.n_rows > 0   ? "new"
                                                        : "empty");
    cell_add(metrics_cell(p->options->metrics, M_RANGES, &kind), 1);
}

bool portion_committed(struct portion *p, struct stage *s, struct err *e)
{
    if (p->is_opening) {
        p->is_opening = false;
        return true;
    }
    if (p->log.phase == INTENT_FINAL) {
        count_range(p);
        range_close(p->range); /* of an empty range */
        p->range = NULL;
        p->opened_mono_ms = 0;
        p->has_samples = false;
        p->sum_ts_ms = 0;
    }
    return act(p, s, intent_committed(&p->log), e);
}

bool portion_is_busy(const struct portion *p)
{
    return p->stopped == STOP_NONE &&
           (p->log.phase == INTENT_ASKED || p->log.phase == INTENT_WRITE ||
            p->log.phase == INTENT_FINAL);
}

void portion_status(const struct portion *p, struct upload_status *out)
{
    *out = (struct upload_status){.state = UPLOAD_RUNS};
    if (p->job != NULL) {
        upload_status(p->job, out);
    }
    if (p->scratch_full) {
        out->is_failing = true;
        out->is_scratch = true;
    }
}
