#include "rollup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "batch/rollup_commit.h"
#include "exports.h"
#include "hour.h"
#include "input.h"
#include "minute.h"
#include "owned.h"
#include "run/log.h"
#include "stage/dlq.h"

enum { DECODE_BYTES = 32 << 20, MAX_TEXT = 60, LEAST_QUEUE_BYTES = 32 << 20 };

bool rollup_new(const struct rollup_options *o, struct metrics *m, struct rollup_worker **out,
                struct err *e)
{
    struct rollup_worker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    w->options = *o;
    w->metrics = m;
    arena_init(&w->arena, DECODE_BYTES);
    buf_init(&w->encoded, batch_default_caps.max_bytes);
    exports_init(w);
    *out = w;
    return true;
}

void rollup_free(struct rollup_worker *w)
{
    if (w == NULL) {
        return;
    }
    exports_fini(w);
    arena_fini(&w->arena);
    buf_fini(&w->encoded);
    free(w);
}

/* ---- partitions ---- */

static bool row_put(void *ctx, const struct leaving *l, struct err *e)
{
    struct owned_rows *o = ctx;
    return sending_put_row(&o->sending, l, l->is_merged ? OUTPUT_MERGED : OUTPUT_ROWS, e);
}

static bool core_new(const struct rollup_worker *w, struct owned_rows *o, struct err *e)
{
    const struct rules rules = {
        .window_ms = w->options.is_hourly ? HOUR_MS : MINUTE_MS,
        .lateness_ms = w->options.lateness_ms,
        .idle_ms = w->options.idle_ms,
        .horizon_ms = w->options.horizon_ms,
        .fault_no_closed_at = w->options.fault_no_closed_at,
        .fault_no_horizon = w->options.fault_no_horizon,
    };
    const struct row_sink sink = {row_put, o};
    return w->options.is_hourly ? hour_new(&rules, &sink, &o->hour, e)
                                : minute_new(&rules, &sink, &o->minute, e);
}

static bool owned_new(struct rollup_worker *w, struct partition *p, struct err *e)
{
    struct owned_rows *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    sending_init(&o->sending, p->number, w->options.max_row_bytes);
    o->done_offset = -1;
    o->number = p->number;
    o->next = w->owned;
    w->owned = o;
    p->state = o;
    return core_new(w, o, e);
}

void rollup_drop(void *ctx, struct partition *p)
{
    struct rollup_worker *w = ctx;
    struct owned_rows *o = p->state;
    if (o == NULL) {
        return;
    }
    struct owned_rows **at = &w->owned;
    while (*at != o) {
        at = &(*at)->next;
    }
    *at = o->next;
    exports_partition_gone(w, o);
    minute_free(o->minute);
    hour_free(o->hour);
    sending_fini(&o->sending);
    free(o);
    p->state = NULL;
}

/* What the group committed: where the log goes on. */
static bool commit_read(struct slice metadata, int64_t committed, struct rollup_commit *out,
                        struct err *e)
{
    *out = (struct rollup_commit){.log_ms = NEVER};
    if (committed < 0 || rollup_commit_read(metadata, out)) {
        return true; /* -1: a new group, at the log's beginning */
    }
    return err_set(e, ERR_CONFIG,
                   "the committed offset %" PRId64
                   " has not our metadata but \"%.*s\": another tool has "
                   "set it. Set it by: sluice-offsets reset --group …",
                   committed, metadata.len < MAX_TEXT ? (int)metadata.len : MAX_TEXT,
                   metadata.len == 0 ? "" : (const char *)metadata.ptr);
}

struct restoring {
    struct owned_rows *o;
    int64_t from_ms;
    uint64_t n_records;
};

static bool restore_one(void *ctx, const struct record *r, struct err *e)
{
    struct restoring *x = ctx;
    if (r->timestamp_ms < x->from_ms) {
        return true;
    }
    x->n_records++;
    bool ok = x->o->minute != NULL ? minute_restore(x->o->minute, r->value, r->timestamp_ms, e)
                                   : hour_restore(x->o->hour, r->value, r->timestamp_ms, e);
    return ok || err_wrap(e, "offset %lld", (long long)r->offset);
}

static bool restore(struct rollup_worker *w, struct stage *s, const struct partition *p,
                    int64_t log_ms, struct err *e)
{
    struct owned_rows *o = p->state;
    const struct rules *rules = o->minute != NULL ? &o->minute->rules : &o->hour->rules;
    int64_t from_ms = log_ms == NEVER ? 0 : log_ms - rules_forget_ms(rules);
    int64_t from = 0;
    struct restoring x = {.o = o, .from_ms = from_ms < 0 ? 0 : from_ms};
    int64_t began_ms = clock_mono_ms();
    if (!stage_offset_at(s, w->options.row_topic, p->number, x.from_ms, &from, e) ||
        !stage_restore(s, w->options.row_topic, p->number, from, restore_one, &x, e)) {
        return false;
    }
    exports_restored(w, x.n_records, clock_mono_ms() - began_ms);
    return true;
}

bool rollup_recover(void *ctx, struct stage *s, struct partition *p, int64_t committed,
                    struct slice metadata, struct err *e)
{
    struct rollup_worker *w = ctx;
    struct rollup_commit resume;
    if (!commit_read(metadata, committed, &resume, e)) {
        return false;
    }
    if (!owned_new(w, p, e) || (s != NULL && !restore(w, s, p, resume.log_ms, e))) {
        rollup_drop(w, p);
        return false;
    }
    struct owned_rows *o = p->state;
    o->passed_on = resume.position;
    if (o->minute != NULL) {
        minute_restored(o->minute, resume.log_ms);
    } else {
        hour_restored(o->hour, resume.log_ms);
    }
    return true;
}

static int64_t log_time(const struct owned_rows *o)
{
    return o->minute != NULL ? o->minute->log_ms : o->hour->log_ms;
}

void rollup_checkpoint(void *ctx, struct partition *p, int64_t position, struct checkpoint *out)
{
    const struct owned_rows *o = p->state;
    struct place needs = {position, log_time(o)};
    (void)ctx;
    needs = o->minute != NULL ? minute_needs(o->minute, needs) : hour_needs(o->hour, needs);
    needs = sending_needs(&o->sending, needs);
    int64_t passed_on = sending_passed_on(&o->sending, position);
    if (passed_on < o->passed_on) {
        passed_on = o->passed_on; /* rereading what was passed on before */
    }
    const struct rollup_commit c = {passed_on, needs.log_before_ms};
    out->offset = needs.offset;
    rollup_commit_put(&c, out->metadata);
}

/* ---- records ---- */

/* What is not a row leaves once, however often the input is read. */
static bool pass_on(struct owned_rows *o, int64_t offset, int output, int64_t log_ms,
                    struct slice bytes, struct err *e)
{
    const struct parcel p = {.output = output,
                             .is_passed_on = true,
                             .log_ms = log_ms,
                             .needs = {offset, o->log_before_ms}};
    return offset < o->passed_on || sending_put(&o->sending, &p, bytes, e);
}

static bool heartbeat_pass(struct rollup_worker *w, struct owned_rows *o, int64_t offset,
                           struct err *e)
{
    const struct rollup heartbeat = {.kind = ROLLUP_HEARTBEAT, .closed_at = offset};
    buf_reset(&w->encoded);
    rollup_encode(&heartbeat, &w->encoded);
    return pass_on(o, offset, OUTPUT_MERGED, log_time(o), buf_slice(&w->encoded), e);
}

static bool letter_put(struct rollup_worker *w, const struct record *in, const char *text,
                       struct err *e)
{
    const struct partition *p = in->partition;
    const struct dead_letter letter = {
        .stage = w->options.is_hourly ? "rollup-1h" : "rollup",
        .reason = "malformed",
        .received_ms = in->timestamp_ms,
        .topic = p->topic,
        .topic_id = p->topic_id,
        .partition = p->number,
        .offset = in->offset,
        .text = slice_str(text),
    };
    buf_reset(&w->encoded);
    dead_letter_encode(&letter, &w->encoded);
    int output = w->options.is_hourly ? OUTPUT_HOURLY_DLQ : OUTPUT_DLQ;
    return pass_on(p->state, in->offset, output, 0, buf_slice(&w->encoded), e);
}

static bool minute_record(struct rollup_worker *w, const struct record *in, struct outbox *out,
                          struct err *e)
{
    struct owned_rows *o = in->partition->state;
    struct batch b;
    if (!input_read(in, &w->arena, &b, e) || !minute_take(o->minute, in->offset, &b, e)) {
        return false;
    }
    if (b.shape.len == 0) {
        return heartbeat_pass(w, o, in->offset, e);
    }
    if (!tally_add(&out->tally, metrics_cell(w->metrics, M_SAMPLES_IN, &b.tenant),
                   (double)o->minute->n_points)) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    return outbox_age(out, b.received_ms, o->minute->n_points, e);
}

static bool record_take(struct rollup_worker *w, const struct record *in, struct outbox *out,
                        struct err *e)
{
    struct owned_rows *o = in->partition->state;
    struct err why = ERR_INIT;
    o->log_before_ms = log_time(o);
    bool ok = o->minute != NULL ? minute_record(w, in, out, &why)
                                : hour_take(o->hour, in->offset, in->timestamp_ms, in->value, &why);
    if (!ok && why.kind == ERR_BAD_INPUT) {
        const struct err bad = why;
        o->n_malformed++;
        ok = letter_put(w, in, bad.text, &why);
    }
    if (!ok) {
        *e = why;
        e->kind = ERR_FATAL; /* state is half-way */
    }
    return ok;
}

/* So much may wait to leave; then the input waits. */
static size_t queue_bytes(const struct rollup_worker *w)
{
    size_t n = w->options.memory_bytes / 8;
    return n < LEAST_QUEUE_BYTES ? LEAST_QUEUE_BYTES : n;
}

bool rollup_step(void *ctx, struct stage *s, const struct record *in, int64_t now_ms,
                 struct outbox *out, struct err *e)
{
    struct rollup_worker *w = ctx;
    struct owned_rows *o = in->partition->state;
    struct err full = ERR_INIT;
    (void)s;
    (void)now_ms;
    if (in->offset <= o->done_offset) {
        return true; /* it is in, only its counts did not fit into the transaction */
    }
    if (o->sending.n_bytes > queue_bytes(w)) {
        return err_set(e, ERR_WAIT, "rows wait to leave");
    }
    if (w->options.fault_slow_us > 0) {
        (void)usleep((useconds_t)w->options.fault_slow_us);
    }
    size_t before = o->sending.n_bytes;
    if (!record_take(w, in, out, e)) {
        return false;
    }
    o->done_offset = in->offset;
    if (o->sending.n_bytes >
        before) { /* the transaction leaves earlier; without room it is full anyway */
        (void)!outbox_reserve(out, o->sending.n_bytes - before, &full);
    }
    return exports_tell(w, o, out, e);
}

bool rollup_give_up(void *ctx, struct stage *s, const struct record *in, const char *reason,
                    struct outbox *out, struct err *e)
{
    const struct rollup_worker *w = ctx;
    (void)s;
    (void)out;
    return err_set(e, ERR_FATAL,
                   "rows made by offset %lld are refused (%s): %s needs max.message.bytes above "
                   "max_row_bytes; see sluice-offsets topics check",
                   (long long)in->offset, reason, w->options.row_topic);
}

bool rollup_flush(void *ctx, struct partition *p, struct outbox *out, struct err *e)
{
    struct owned_rows *o = p->state;
    (void)ctx;
    return sending_drain(&o->sending, out, e);
}

bool rollup_pulse(void *ctx, struct partition *p, bool at_end, int64_t now_ms, struct outbox *out,
                  struct err *e)
{
    (void)at_end;
    (void)now_ms;
    return rollup_flush(ctx, p, out, e);
}

bool rollup_tick(void *ctx, struct stage *s, int64_t now_ms, struct err *e)
{
    struct rollup_worker *w = ctx;
    (void)s;
    if (now_ms - w->exported_ms >= EXPORT_EVERY_MS || now_ms < w->exported_ms) {
        w->exported_ms = now_ms;
        size_t n_bytes = exports_gauges(w);
        if (n_bytes >
            w->options.memory_bytes) { /* nothing of it may be shed: rows would be wrong */
            return err_set(e, ERR_FATAL,
                           "sources' state takes %zu MiB, more than memory_limit_mb allows: more "
                           "processes, or "
                           "more memory",
                           n_bytes >> 20);
        }
    }
    return true;
}
