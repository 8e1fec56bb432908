#include "worker.h"

#include <stdlib.h>

#include "base/clock.h"
#include "letter.h"
#include "run/log.h"

enum { MAX_LETTER_BYTES = 65536 };
/* How far rows are read back for repeats: an hour, by Kafka's timestamps, which are the log's time
 * when the window closed (its end, or later), and some minutes for clocks that run ahead. */
enum { REPEATED_MS = 75 * 60 * 1000 };

struct worker {
    struct amp *amp;
    struct auth *auth;
    struct store *store;
    struct stage *stage; /* while it runs */
    const char *group;   /* of the stage: names the destination in gaps */
    const char *repeat_topic;
    struct buf letter;
    struct err failed; /* in a callback of the store */
};

static struct moment moment_now(void)
{
    return (struct moment){.mono_ms = clock_mono_ms(), .wall_ms = clock_now_ms()};
}

/* --- the sender's hooks --- */

static bool hook_send(void *ctx, uint32_t shard, enum write_version version, struct slice body,
                      struct err *e)
{
    struct worker *w = ctx;
    return store_send(w->store, shard, version, body, e);
}

static void hook_release(void *ctx, struct partition *p, int64_t offset)
{
    struct worker *w = ctx;
    (void)stage_release(w->stage, p, offset);
}

static bool hook_owns(void *ctx, const struct partition *p)
{
    struct worker *w = ctx;
    return stage_owns(w->stage, p);
}

static bool letter_send(struct worker *w, struct slice tenant, struct partition *p, int64_t offset,
                        struct err *e)
{
    if (!buf_ok(&w->letter)) {
        return err_set(e, ERR_FATAL, "a dead letter of more than %d bytes", MAX_LETTER_BYTES);
    }
    const struct outgoing out = {
        .output = 0, .partition = -1, .key = tenant, .value = buf_slice(&w->letter)};
    return stage_put(w->stage, &out, p, offset, e);
}

static bool hook_dead_letter(void *ctx, const struct letter *l, struct err *e)
{
    struct worker *w = ctx;
    buf_reset(&w->letter);
    letter_encode(l, &w->letter);
    return letter_send(w, l->scrape->shape->tenant, l->scrape->partition, l->scrape->offset, e);
}

static void hook_hold(void *ctx, const struct partition *p, int64_t offset)
{
    struct worker *w = ctx;
    stage_hold(w->stage, p, offset);
}

static bool hook_gap(void *ctx, const struct gap *g, struct err *e)
{
    struct worker *w = ctx;
    buf_reset(&w->letter);
    gap_encode(g, w->group, &w->letter);
    const struct outgoing out = {
        .output = 1, .partition = -1, .key = g->tenant, .value = buf_slice(&w->letter)};
    log_line(LOG_WARN, "samples too old for the store were skipped",
             LOG_FIELDS(LOG_INT("samples", g->n_samples), LOG_INT("from_ms", g->from_ms),
                        LOG_INT("to_ms", g->to_ms)));
    return stage_put(w->stage, &out, g->partition, g->first_offset, e);
}

static bool reject_record(void *ctx, const struct record *r, const char *text, struct err *e)
{
    struct worker *w = ctx;
    buf_reset(&w->letter);
    letter_encode_record(r, text, &w->letter);
    return letter_send(w, SLICE_NONE, r->partition, r->offset, e);
}

static void hook_notice(void *ctx, enum notice notice, int status, const char *text)
{
    static const struct {
        enum log_level level;
        const char *msg;
    } lines[] = {
        [NOTICE_AUTH] = {LOG_ERROR, "the store refuses our credentials, trying on"},
        [NOTICE_MISROUTED] = {LOG_ERROR, "the store is not at this url, trying on"},
        [NOTICE_LIMITED] = {LOG_ERROR,
                            "the store takes no new series: they wait, known ones flow on"},
        [NOTICE_NOT_LIMITED] = {LOG_INFO,
                                "the store takes new series again, or none waits any more"},
        [NOTICE_FALLBACK] = {LOG_INFO, "the store knows remote write 1.0 only: used from now on"},
        [NOTICE_REFUSED] = {LOG_WARN, "the store refuses samples, they are in the DLQ"},
    };
    (void)ctx;
    bool unsent = notice == NOTICE_AUTH && status == 0;
    log_line(lines[notice].level,
             unsent ? "there are no credentials for the store, trying on" : lines[notice].msg,
             LOG_FIELDS(LOG_INT("status", status), LOG_STR("answer", text)));
}

static void on_answer(void *ctx, uint32_t shard, const struct sender_answer *a)
{
    struct worker *w = ctx;
    if (w->failed.kind == ERR_NONE &&
        !sender_answer(amp_sender(w->amp), shard, a, moment_now(), &w->failed)) {
        (void)err_wrap(&w->failed, "shard %u", shard);
    }
}

/* --- the stage's callbacks --- */

static bool worker_step(void *ctx, struct stage *s, const struct record *in, int64_t now_ms,
                        struct outbox *out, struct err *e)
{
    struct worker *w = ctx;
    (void)out;
    w->stage = s;
    bool redelivered = in->offset < stage_end_at_assignment(s, in->partition);
    struct moment now = {.mono_ms = clock_mono_ms(), .wall_ms = now_ms};
    return amp_take(w->amp, in, redelivered, now, e);
}

static bool worker_drive(void *ctx, struct stage *s, int wake_fd, int timeout_ms, struct err *e)
{
    struct worker *w = ctx;
    struct sender *sender = amp_sender(w->amp);
    w->stage = s;
    amp_turn(w->amp, moment_now());
    if (!sender_turn(sender, moment_now(), e)) {
        return false;
    }
    int wait_ms = (int)sender_wait_ms(sender, clock_mono_ms(), timeout_ms);
    if (!store_drive(w->store, wake_fd, wait_ms, e)) {
        return false;
    }
    if (w->failed.kind != ERR_NONE) {
        *e = w->failed;
        return false;
    }
    return sender_turn(sender, moment_now(), e);
}

/* While rows are read back. */
struct restoring {
    struct worker *worker;
    struct partition *partition;
    int64_t committed;
};

static bool restore_one(void *ctx, const struct record *r, struct err *e)
{
    struct restoring *x = ctx;
    /* What is not committed comes again by itself, and in order. */
    return r->offset >= x->committed || amp_restore(x->worker->amp, r, x->partition, e);
}

/* Reads back the rows that may still have to be repeated. */
static bool worker_recover(void *ctx, struct stage *s, struct partition *p, int64_t committed,
                           struct slice metadata, struct err *e)
{
    struct worker *w = ctx;
    struct restoring x = {w, p, committed};
    int64_t from;
    (void)metadata;
    if (committed < 0 || w->repeat_topic[0] == '\0' || !slice_eq_str(p->topic, w->repeat_topic)) {
        return true;
    }
    return stage_offset_at(s, w->repeat_topic, p->number, clock_now_ms() - REPEATED_MS, &from, e) &&
           (from >= committed ||
            stage_restore(s, w->repeat_topic, p->number, from, restore_one, &x, e));
}

static void worker_drop(void *ctx, struct partition *p)
{
    struct worker *w = ctx;
    amp_drop(w->amp, p);
}

static bool worker_has_room(void *ctx)
{
    struct worker *w = ctx;
    return sender_has_room(amp_sender(w->amp));
}

static bool worker_wants(void *ctx, const struct partition *p)
{
    struct worker *w = ctx;
    return !sender_holds_up(amp_sender(w->amp), p);
}

static bool worker_is_idle(void *ctx)
{
    struct worker *w = ctx;
    return sender_is_idle(amp_sender(w->amp));
}

static const char *const outputs[] = {"dlq_topic", "gaps_topic", NULL};

const struct stage_spec amp_spec = {
    .name = "amp",
    .kind = STAGE_SINK,
    .outputs = outputs,
    .recover = worker_recover,
    .drop = worker_drop,
    .step = worker_step,
    .drive = worker_drive,
    .has_room = worker_has_room,
    .wants = worker_wants,
    .is_idle = worker_is_idle,
};

/* --- life --- */

int worker_protocol(const struct config *c)
{
    static const char *const names[] = {
        [PROTOCOL_1] = "1.0", [PROTOCOL_2] = "2.0", [PROTOCOL_AUTO] = "auto"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(config_str(c, "protocol"), names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static void faults_of(const struct config *c, struct sender_options *o)
{
#if SLUICE_FAULTS
    o->fault_no_retry = config_bool(c, "fault.no_retry");
    o->fault_no_gaps = config_bool(c, "fault.no_gaps");
    o->fault_unordered = config_bool(c, "fault.unordered");
#else
    (void)c;
    (void)o;
#endif
}

bool worker_rows_of(const struct config *c, struct rows_options *out, struct err *e)
{
    const char *const *names;
    size_t n = config_list(c, "rollup_columns", &names);
    const char *form = config_str(c, "rollup_names");
    *out = (struct rows_options){.plain = strcmp(form, "plain") == 0};
    for (size_t i = 0; i < n; i++) {
        enum row_column column;
        if (!row_column_of(names[i], &column)) {
            return err_set(e, ERR_CONFIG,
                           "rollup_columns: \"%.40s\" is not delta, min, max, sum or count",
                           names[i]);
        }
        out->columns |= 1U << column;
    }
    if (!out->plain && strcmp(form, "suffix") != 0) {
        return err_set(e, ERR_CONFIG, "rollup_names: \"%.40s\" is not suffix or plain", form);
    }
    if (out->plain && config_list(c, "topics", &names) != 1) {
        return err_set(e, ERR_CONFIG,
                       "rollup_names=plain takes one topic: the windows of others would get the "
                       "same series");
    }
    return true;
}

static struct amp_options options_of(const struct config *c, struct rows_options rows)
{
    size_t memory = (size_t)config_int(c, "memory_limit_mb") << 20;
    rows.max_shapes_bytes = memory / 32;
    struct amp_route route;
    route.n_only = config_list(c, "tenants", &route.only);
    route.n_others = config_list(c, "not_tenants", &route.others);
    return (struct amp_options){
        .route = route,
        .tenant_label = config_str(c, "tenant_label"),
        .max_shapes_bytes = memory / 2,
        .metadata_interval_ms = config_int(c, "metadata_interval_ms"),
        .max_metadata_bytes = memory / 64,
        .templates = config_bool(c, "compressed_templates"),
        .rows = rows,
        .repeat_topic = config_str(c, "rollup_repeat_topic"),
        .max_repeats_bytes = memory / 32,
        .sender =
            {
                .protocol = (enum sender_protocol)worker_protocol(c),
                .n_shards = (uint32_t)config_int(c, "shards"),
                .max_samples = (uint32_t)config_int(c, "max_samples"),
                .max_bytes = (size_t)config_int(c, "max_bytes"),
                .batch_deadline_ms = config_int(c, "batch_deadline_ms"),
                .min_backoff_ms = config_int(c, "min_backoff_ms"),
                .max_backoff_ms = config_int(c, "max_backoff_ms"),
                .max_retry_after_ms = config_int(c, "max_retry_after_ms"),
                .bisect = config_bool(c, "bisect"),
                .limited_wait_ms = config_int(c, "limited_wait_ms"),
                .max_queued_samples = (size_t)config_int(c, "max_queued_samples"),
                .max_queued_bytes = memory / 8,
                .max_known_bytes = memory / 8,
                .max_newest_bytes = memory / 8,
                .max_sample_age_ms = config_int(c, "max_sample_age_ms"),
                .out_of_order_ms = config_int(c, "out_of_order_ms"),
                .check_names = config_bool(c, "check_names"),
                .seed = (uint64_t)clock_mono_ns(),
            },
    };
}

static bool auth_open(struct worker *w, const struct config *c, struct err *e)
{
    struct auth_options options;
    if (!auth_options_of(c, &options, e) || !auth_new(&options, &w->auth, e)) {
        return false;
    }
    const char *trouble = auth_trouble(w->auth);
    if (trouble[0] != '\0') {
        log_line(LOG_ERROR, "no credentials for the store yet, trying on",
                 LOG_FIELDS(LOG_STR("error", trouble)));
    }
    return true;
}

static bool store_open(struct worker *w, const struct config *c, struct err *e)
{
    const struct store_options store = {
        .url = config_str(c, "url"),
        .ca_file = config_str(c, "ca_file"),
        .auth = w->auth,
        .n_shards = (uint32_t)config_int(c, "shards"),
        .request_timeout_ms = config_int(c, "request_timeout_ms"),
        .answered = on_answer,
        .ctx = w,
    };
    return store_new(&store, &w->store, e);
}

bool worker_new(const struct config *c, struct metrics *m, struct worker **out, struct err *e)
{
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    struct rows_options rows;
    if (!worker_rows_of(c, &rows, e)) {
        free(w);
        return false;
    }
    struct amp_options options = options_of(c, rows);
    faults_of(c, &options.sender);
    const struct sender_hooks hooks = {
        .ctx = w,
        .send = hook_send,
        .release = hook_release,
        .dead_letter = hook_dead_letter,
        .hold = hook_hold,
        .gap = hook_gap,
        .owns = hook_owns,
        .notice = hook_notice,
    };
    buf_init(&w->letter, MAX_LETTER_BYTES);
    w->repeat_topic = config_str(c, "rollup_repeat_topic");
    w->group = config_str(c, "group")[0] != '\0' ? config_str(c, "group") : "sluice-amp";
    if (!amp_new(&options, &hooks, reject_record, m, &w->amp, e) || !auth_open(w, c, e) ||
        !store_open(w, c, e)) {
        worker_free(w);
        return false;
    }
    *out = w;
    return true;
}

void worker_free(struct worker *w)
{
    if (w == NULL) {
        return;
    }
    store_free(w->store);
    auth_free(w->auth);
    amp_free(w->amp);
    buf_fini(&w->letter);
    free(w);
}
