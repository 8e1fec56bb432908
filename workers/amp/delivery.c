#include "delivery.h"

#include <stdlib.h>

#include "base/clock.h"
#include "run/log.h"
#include "worker.h"

struct moment delivery_now(void)
{
    return (struct moment){.mono_ms = clock_mono_ms(), .wall_ms = clock_now_ms()};
}

/* --- the sender's hooks --- */

static bool hook_send(void *ctx, uint32_t shard, enum write_version version, struct slice body,
                      struct err *e)
{
    struct delivery *d = ctx;
    return store_send(d->store, shard, version, body, e);
}

static void hook_notice(void *ctx, enum notice notice, int status, const char *text)
{
    static const struct {
        enum log_level level;
        const char *msg;
    } lines[] = {
        [NOTICE_AUTH] = {LOG_ERROR, "the store refuses our credentials, trying on"},
        [NOTICE_MISROUTED] = {LOG_ERROR, "the store takes nothing at this url, or not in this form, trying on"},
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
    struct delivery *d = ctx;
    if (d->failed.kind == ERR_NONE &&
        !sender_answer(amp_sender(d->amp), shard, a, delivery_now(), &d->failed)) {
        (void)err_wrap(&d->failed, "shard %u", shard);
    }
}

/* --- configuration --- */

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

bool delivery_options(const struct config *c, struct amp_options *out, struct err *e)
{
    struct rows_options rows;
    if (!worker_rows_of(c, &rows, e)) {
        return false;
    }
    size_t memory = (size_t)config_int(c, "memory_limit_mb") << 20;
    rows.max_shapes_bytes = memory / 32;
    struct amp_route route;
    route.n_only = config_list(c, "tenants", &route.only);
    route.n_others = config_list(c, "not_tenants", &route.others);
    *out = (struct amp_options){
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
    faults_of(c, &out->sender);
    return true;
}

static bool auth_open(struct delivery *d, const struct config *c, struct err *e)
{
    struct auth_options options;
    if (!auth_options_of(c, &options, e) || !auth_new(&options, &d->auth, e)) {
        return false;
    }
    const char *trouble = auth_trouble(d->auth);
    if (trouble[0] != '\0') {
        log_line(LOG_ERROR, "no credentials for the store yet, trying on",
                 LOG_FIELDS(LOG_STR("error", trouble)));
    }
    return true;
}

static bool store_open(struct delivery *d, const struct config *c, struct err *e)
{
    const struct store_options store = {
        .url = config_str(c, "url"),
        .ca_file = config_str(c, "ca_file"),
        .auth = d->auth,
        .n_shards = (uint32_t)config_int(c, "shards"),
        .request_timeout_ms = config_int(c, "request_timeout_ms"),
        .answered = on_answer,
        .ctx = d,
    };
    return store_new(&store, &d->store, e);
}

/* --- life --- */

bool delivery_open(struct delivery *d, const struct config *c, struct metrics *m,
                   const struct amp_options *o, const struct sender_hooks *theirs,
                   amp_reject_fn reject, struct err *e)
{
    struct sender_hooks hooks = *theirs;
    hooks.ctx = d;
    hooks.send = hook_send;
    hooks.notice = hook_notice;
    return amp_new(o, &hooks, reject, m, &d->amp, e) && auth_open(d, c, e) && store_open(d, c, e);
}

void delivery_close(struct delivery *d)
{
    store_free(d->store);
    auth_free(d->auth);
    amp_free(d->amp);
}

bool delivery_drive(struct delivery *d, int wake_fd, int timeout_ms, struct err *e)
{
    struct sender *sender = amp_sender(d->amp);
    amp_turn(d->amp, delivery_now());
    if (!sender_turn(sender, delivery_now(), e)) {
        return false;
    }
    int wait_ms = (int)sender_wait_ms(sender, clock_mono_ms(), timeout_ms);
    if (!store_drive(d->store, wake_fd, wait_ms, e)) {
        return false;
    }
    if (d->failed.kind != ERR_NONE) {
        *e = d->failed;
        return false;
    }
    return sender_turn(sender, delivery_now(), e);
}
