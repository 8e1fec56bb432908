#include "stage/runtime.h"

#include "base/clock.h"
#include "run/log.h"
#include "run/memory.h"
#include "run/signals.h"
#include "stage/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GAUGES_EVERY_MS = 1000, MAX_BATCH_OF_POLLS = 1000, FOLLOW_MS = 50 };

/* --- what the admin server asks, on its own thread --- */

static bool is_ready(void *ctx, struct buf *detail)
{
    struct stage *s = ctx;
    bool joined = atomic_load(&s->joined);
    bool stopping = atomic_load(&s->stopping);
    int n_partitions = (int)cell_get(s->cell_partitions);
    int n_halted = (int)cell_get(s->cell_halted);
    int n_not_ready = atomic_load(&s->n_not_ready);
    int n_failed = atomic_load(&s->n_failed);
    int64_t age_ms = atomic_load(&s->age_ms);
    int64_t bound_ms = config_int(s->config, "ready_freshness_ms");
    buf_printf(detail,
               "{\"joined\":%s,\"stopping\":%s,\"partitions\":%d,\"recovering\":%d,\"failed\":%d,"
               "\"age_ms\":%lld,\"age_bound_ms\":%lld,\"paused\":%d,\"pauses\":",
               joined ? "true" : "false", stopping ? "true" : "false", n_partitions,
               n_not_ready, n_failed, (long long)age_ms, (long long)bound_ms, n_halted);
    pause_show(s, detail);
    buf_printf(detail, "}");
    bool is_fresh = age_ms <= bound_ms || (n_halted > 0 && n_halted == n_partitions);
    return joined && !stopping && n_not_ready == 0 && n_failed == 0 && is_fresh;
}

static bool is_alive(void *ctx)
{
    struct stage *s = ctx;
    return clock_mono_ms() - atomic_load(&s->loop_mono_ms) < s->kafka.max_poll_interval_ms;
}

static void refresh_memory(void *ctx)
{
    struct stage *s = ctx;
    cell_set(metrics_cell(s->metrics, M_MEMORY_BYTES, NULL), (double)memory_resident_bytes());
}

/* --- set-up --- */

static void read_names(struct stage *s)
{
    const char *group = config_str(s->config, "group");
    const char *instance = config_str(s->config, "instance");
    if (group[0] != '\0') {
        (void)snprintf(s->group, sizeof s->group, "%s", group);
    } else {
        (void)snprintf(s->group, sizeof s->group, "sluice-%s", s->spec->name);
    }
    if (instance[0] != '\0') {
        (void)snprintf(s->instance, sizeof s->instance, "%s", instance);
    } else if (gethostname(s->instance, sizeof s->instance) != 0) {
        (void)snprintf(s->instance, sizeof s->instance, "%s", s->spec->name);
    }
    s->instance[sizeof s->instance - 1] = '\0';
}

static bool read_config(struct stage *s, struct err *e)
{
    const struct config *c = s->config;
    read_names(s);
    int64_t session_ms = config_int(c, "session_timeout_ms");
    int64_t transaction_ms = config_int(c, "transaction_timeout_ms");
    if (transaction_ms >= session_ms) {
        return err_set(e, ERR_CONFIG, "transaction_timeout_ms must be below session_timeout_ms, so that a hung "
                                      "transaction ends before its worker is replaced");
    }
    s->kafka = (struct kafka_settings){
        .config = c,
        .group = s->group,
        .instance = s->instance,
        .session_timeout_ms = session_ms,
        .max_poll_interval_ms = config_int(c, "max_poll_interval_ms"),
        .transaction_timeout_ms = transaction_ms > 0 ? transaction_ms : session_ms * 2 / 3,
        .memory_limit_bytes = config_int(c, "memory_limit_mb") << 20,
        .static_membership = config_bool(c, "static_membership"),
    };
    if (s->kafka.max_poll_interval_ms < session_ms) {
        return err_set(e, ERR_CONFIG, "max_poll_interval_ms must not be below session_timeout_ms");
    }
    s->commit_interval_ms = config_int(c, "commit_interval_ms");
    s->commit_max_bytes = (size_t)config_int(c, "commit_max_bytes");
    int64_t share = s->kafka.memory_limit_bytes / 8;
    if ((int64_t)s->commit_max_bytes > share) {
        s->commit_max_bytes = (size_t)share;
    }
    s->max_attempts = config_int(c, "max_record_attempts");
    for (size_t i = 0; s->spec->outputs != NULL && s->spec->outputs[i] != NULL; i++) {
        s->outputs[s->n_outputs++] = config_str(c, s->spec->outputs[i]);
    }
    return true;
}

static void find_cells(struct stage *s)
{
    struct metrics *m = s->metrics;
    struct slice committed = SLICE_LITERAL("committed");
    struct slice aborted = SLICE_LITERAL("aborted");
    struct slice recovering = SLICE_LITERAL("recovering_or_failed");
    struct slice operator = SLICE_LITERAL("operator");
    struct slice versions[2] = {SLICE_LITERAL(SLUICE_VERSION), slice_str(rd_kafka_version_str())};
    cell_set(metrics_cell(m, M_BUILD_INFO, versions), 1);
    s->cell_partitions = metrics_cell(m, M_PARTITIONS, NULL);
    s->cell_outbox = metrics_cell(m, M_OUTBOX_BYTES, NULL);
    s->cell_committed = metrics_cell(m, M_TRANSACTIONS, &committed);
    s->cell_aborted = metrics_cell(m, M_TRANSACTIONS, &aborted);
    s->cell_recreated = metrics_cell(m, M_PRODUCERS_RECREATED, NULL);
    s->cell_paused = metrics_cell(m, M_PAUSED, &recovering);
    s->cell_halted = metrics_cell(m, M_PAUSED, &operator);
    s->freshness = metrics_histogram(m, M_FRESHNESS, NULL);
    s->commit_seconds = metrics_histogram(m, M_COMMIT_SECONDS, NULL);
}

static bool open_admin(struct stage *s, struct err *e)
{
    const struct admin_options options = {
        .address = config_str(s->config, "http_address"),
        .port = (int)config_int(s->config, "http_port"),
        .metrics = s->metrics,
        .ready = is_ready,
        .alive = is_alive,
        .refresh = refresh_memory,
        .ctx = s,
        .pages = s->spec->pages,
        .pages_ctx = s->ctx,
    };
    return admin_start(&options, &s->admin, e);
}

static bool subscribe(struct stage *s, struct err *e)
{
    const char *const *topics;
    size_t n = config_list(s->config, "topics", &topics);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++) {
        (void)rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t code = rd_kafka_subscribe(s->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_CONFIG, code, "subscribe: %s", rd_kafka_err2str(code));
}

/* A member of the group once what all follow is known, unless an operator took us out of it. */
static bool membership_turn(struct stage *s, struct err *e)
{
    bool wanted = (s->follower == NULL || follower_caught_up(s->follower)) && !s->pauses.leaves;
    if (wanted == s->subscribed) {
        return true;
    }
    s->subscribed = wanted;
    if (wanted) {
        return subscribe(s, e);
    }
    log_line(LOG_WARN, "an operator takes us out of the group", LOG_FIELDS(LOG_STR("group", s->group)));
    atomic_store(&s->joined, false);
    rd_kafka_resp_err_t code = rd_kafka_unsubscribe(s->consumer);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_FATAL, code, "unsubscribe: %s", rd_kafka_err2str(code));
}

static bool open_follower(struct stage *s, struct err *e)
{
    const char *topics[MAX_OUTPUTS];
    size_t n = 0;
    for (size_t i = 0; s->spec->followed != NULL && s->spec->followed[i] != NULL; i++) {
        topics[n] = config_str(s->config, s->spec->followed[i]);
        if (topics[n++][0] == '\0') {
            return err_set(e, ERR_CONFIG, "%s must name a topic", s->spec->followed[i]);
        }
    }
    s->n_followed = n;
    const char *control = config_str(s->config, "control_topic");
    s->pauses.is_followed = control[0] != '\0';
    size_t at = 0;
    while (at < n && strcmp(topics[at], control) != 0) {
        at++;
    }
    if (s->pauses.is_followed && at == n) {
        topics[n++] = control;
    }
    s->pauses.topic = at;
    return n == 0 || follower_open(&s->kafka, topics, n, &s->follower, e);
}

static void on_consumer_error(rd_kafka_t *rk, int code, const char *reason, void *stage)
{
    (void)stage;
    log_line(LOG_WARN, "kafka", LOG_FIELDS(LOG_STR("client", rd_kafka_name(rk)), LOG_INT("code", code),
                                           LOG_STR("error", reason)));
}

static bool stage_open(struct stage *s, struct err *e)
{
    const struct kafka_callbacks callbacks = {
        .opaque = s,
        .rebalance = assignment_rebalance,
        .error = on_consumer_error,
        .committed = s->spec->kind == STAGE_SINK ? sink_committed : NULL,
    };
    if (!read_config(s, e)) {
        return false;
    }
    find_cells(s);
    atomic_store(&s->loop_mono_ms, clock_mono_ms());
    if (!open_admin(s, e) || !kafka_open(KAFKA_CONSUMER, &s->kafka, &callbacks, &s->consumer, e)) {
        return false;
    }
    s->queue = rd_kafka_queue_get_consumer(s->consumer);
    if (!topics_check(s, e)) {
        return false;
    }
    bool ok = s->spec->kind == STAGE_TRANSFORM ? transform_open(s, e) : sink_open(s, e);
    if (!ok || !open_follower(s, e)) {
        return false;
    }
    log_line(LOG_INFO, "started",
             LOG_FIELDS(LOG_STR("versions", kafka_version_line()), LOG_STR("group", s->group),
                        LOG_STR("instance", s->instance), LOG_INT("http_port", admin_port(s->admin))));
    return true;
}

/* --- the loop --- */

void stage_read_record(struct owned *p, const rd_kafka_message_t *m, struct record *r)
{
    message_record(m, &p->pub, r);
}

/* May keep the message: *m is NULL then. */
static bool take_record(struct stage *s, rd_kafka_message_t **m, struct err *e)
{
    struct owned *p = assignment_find(s, rd_kafka_topic_name((*m)->rkt), (*m)->partition);
    struct record r;
    if (p == NULL || !p->ready || (*m)->offset < p->position) {
        return true; /* fetched before a rewind or a rebalance */
    }
    if (p->held != NULL) {
        return err_set(e, ERR_FATAL, "%s[%d]: offset %lld came from a paused partition", rd_kafka_topic_name((*m)->rkt),
                       (*m)->partition, (long long)(*m)->offset);
    }
    stage_read_record(p, *m, &r);
    p->at_end = false;
    atomic_store_explicit(&s->age_ms, clock_now_ms() - r.timestamp_ms, memory_order_relaxed);
    bool ok = s->spec->kind == STAGE_SINK ? sink_record(s, p, &r, e) : transform_record(s, p, &r, e);
    if (ok && p->waits) {
        held_keep(s, p, *m);
        *m = NULL;
    }
    return ok;
}

static bool take_error(struct stage *s, const rd_kafka_message_t *m, struct err *e)
{
    struct owned *p = m->rkt == NULL ? NULL : assignment_find(s, rd_kafka_topic_name(m->rkt), m->partition);
    switch (m->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (p != NULL && p->held == NULL) { /* else of before the pause: the record held comes first */
            p->at_end = true;
            p->position = p->ready && m->offset > p->position ? m->offset : p->position;
        }
        if (p != NULL && p->ready && s->spec->kind == STAGE_SINK) {
            tracker_skip(&p->tracker, m->offset);
        }
        atomic_store_explicit(&s->age_ms, 0, memory_order_relaxed);
        return true;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        if (p != NULL && p->ready) {
            assignment_fail(s, p, rd_kafka_message_errstr(m));
        }
        return true;
    case RD_KAFKA_RESP_ERR__FATAL:
        return err_set_code(e, ERR_FENCED, m->err, "the group refuses this member for good: %s",
                            rd_kafka_message_errstr(m));
    default:
        log_line(LOG_WARN, "consumer", LOG_FIELDS(LOG_STR("error", rd_kafka_message_errstr(m)),
                                                  LOG_STR("code", rd_kafka_err2name(m->err))));
        return true;
    }
}

/* Polls once and processes what came. *got: there was something. */
static bool poll_once(struct stage *s, int timeout_ms, bool *got, struct err *e)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(s->consumer, timeout_ms);
    *got = m != NULL;
    if (m == NULL) {
        return s->fatal.kind == ERR_NONE;
    }
    bool ok = m->err == RD_KAFKA_RESP_ERR_NO_ERROR ? take_record(s, &m, e) : take_error(s, m, e);
    if (m != NULL) {
        rd_kafka_message_destroy(m);
    }
    return ok && s->fatal.kind == ERR_NONE;
}

static void update_gauges(struct stage *s, int64_t now_mono_ms)
{
    if (now_mono_ms - s->gauges_at_ms < GAUGES_EVERY_MS) {
        return;
    }
    s->gauges_at_ms = now_mono_ms;
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        int64_t low;
        int64_t high;
        if (p->assigned && p->ready && p->position >= 0 &&
            rd_kafka_get_watermark_offsets(s->consumer, (const char *)p->pub.topic.ptr, p->pub.number, &low,
                                           &high) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            cell_set(p->lag, high > p->position ? (double)(high - p->position) : 0);
            cell_set(p->position_cell, (double)p->position);
        }
    }
}

static bool take_followed(void *stage, size_t topic, const struct record *r, struct err *e)
{
    struct stage *s = stage;
    if (s->pauses.is_followed && topic == s->pauses.topic && !pause_take(s, r, e)) {
        return false;
    }
    return topic >= s->n_followed || s->spec->follow(s->ctx, topic, r, e);
}

/* What has come on the topics that all read whole. Until their ends were reached once no record
 * is processed, so there is time to wait for it. */
static bool follow(struct stage *s, int64_t now, struct err *e)
{
    bool is_behind = s->follower != NULL && !follower_caught_up(s->follower);
    if (s->follower == NULL || (!is_behind && now - s->followed_mono_ms < FOLLOW_MS)) {
        return true;
    }
    s->followed_mono_ms = now;
    if (!follower_poll(s->follower, is_behind ? FOLLOW_MS : 0, take_followed, s, e)) {
        return false;
    }
    if (follower_caught_up(s->follower)) {
        pause_turn(s, clock_now_ms());
    }
    return true;
}

static bool transform_loop(struct stage *s, int64_t now, struct err *e)
{
    bool got = true;
    int timeout_ms = transform_poll_ms(s, now);
    for (int i = 0; got && i < MAX_BATCH_OF_POLLS; i++) {
        if (!poll_once(s, i == 0 ? timeout_ms : 0, &got, e)) {
            return false;
        }
        now = clock_mono_ms();
        if (!transform_turn(s, now, e) || !follow(s, now, e)) {
            return false;
        }
    }
    return true;
}

static bool sink_loop(struct stage *s, int64_t now, struct err *e)
{
    bool got = false;
    for (int i = 0; i < MAX_BATCH_OF_POLLS && sink_wants_more(s, now); i++) {
        if (!poll_once(s, 0, &got, e)) {
            return false;
        }
        if (!got) {
            break;
        }
    }
    return sink_turn(s, now, got, e);
}

static bool stage_loop(struct stage *s, struct err *e)
{
    while (!signals_stop_requested()) {
        int64_t now = clock_mono_ms();
        atomic_store(&s->loop_mono_ms, now);
        if (!follow(s, now, e) || !membership_turn(s, e)) {
            return false;
        }
        assignment_recover(s, now);
        bool ok = s->spec->kind == STAGE_TRANSFORM ? transform_loop(s, now, e) : sink_loop(s, now, e);
        if (ok && s->spec->tick != NULL) {
            ok = s->spec->tick(s->ctx, s, clock_now_ms(), e);
        }
        if (s->fatal.kind != ERR_NONE) {
            *e = s->fatal;
            ok = false;
        }
        if (!ok) {
            return false;
        }
        update_gauges(s, now);
    }
    return true;
}

/* --- the end --- */

static void stage_finish(struct stage *s)
{
    int64_t shutdown_ms = config_int(s->config, "shutdown_ms");
    log_info("stopping");
    if (s->spec->kind == STAGE_TRANSFORM) {
        transform_finish(s);
    } else {
        sink_finish(s, clock_mono_ms() + shutdown_ms / 2);
    }
}

static void stage_close(struct stage *s)
{
    if (s->consumer != NULL) {
        (void)rd_kafka_consumer_close(s->consumer);
    }
    if (s->spec->kind == STAGE_TRANSFORM) {
        transform_close(s);
    } else {
        sink_close(s);
    }
    if (s->queue != NULL) {
        rd_kafka_queue_destroy(s->queue);
    }
    for (struct owned *p = s->partitions; p != NULL; p = p->next) {
        held_forget(s, p); /* a consumer can't be destroyed while its messages are out */
        if (p->assigned && s->spec->drop != NULL) {
            s->spec->drop(s->ctx, &p->pub);
        }
    }
    assignment_free(s);
    if (s->reader != NULL) {
        rd_kafka_destroy(s->reader);
    }
    follower_close(s->follower);
    if (s->consumer != NULL) {
        rd_kafka_destroy(s->consumer);
    }
    admin_stop(s->admin);
    pause_close(s); /* /ready reads it */
}

/* An end that hangs is cut off: what was not committed is done again by whoever takes over. */
static void bound_the_end(struct stage *s)
{
    int64_t seconds = config_int(s->config, "shutdown_ms") / 1000;
    if (!s->end_is_bounded) {
        (void)alarm((unsigned)(seconds < 1 ? 1 : seconds) + 1);
        s->end_is_bounded = true;
    }
}

bool stage_fenced(const struct stage *s, const struct err *why, struct err *e)
{
    return err_set(e, ERR_FENCED,
                   "another process uses the instance name \"%s\" in group %s (%s); give each process its own "
                   "`instance`", s->instance, s->group, why->text);
}

void stage_bound_end(struct stage *s)
{
    if (signals_stop_requested()) {
        bound_the_end(s);
    }
}

int stage_run(const struct stage_spec *spec, void *ctx, const struct config *config, struct metrics *metrics)
{
    struct stage *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return 1;
    }
    s->spec = spec;
    s->ctx = ctx;
    s->config = config;
    s->metrics = metrics;
    signals_install();

    struct err e = ERR_INIT;
    bool ok = pause_open(s, &e) && stage_open(s, &e) && stage_loop(s, &e);
    atomic_store(&s->stopping, true);
    if (!ok) {
        if (e.kind == ERR_NONE) {
            e = s->fatal;
        }
        log_err(LOG_ERROR, e.kind == ERR_FENCED ? "fenced" : "stopped by an error", &e);
    } else {
        err_reset(&e); /* what a try that was repeated left behind */
        bound_the_end(s);
        stage_finish(s);
        if (s->fatal.kind != ERR_NONE) {
            log_err(LOG_ERROR, "the end was not orderly", &s->fatal);
            e = s->fatal;
        }
    }
    if (e.kind == ERR_FENCED) {
        /* So that two equal instances don't fence each other without pause. */
        int64_t until = clock_mono_ms() + config_int(config, "fenced_backoff_ms");
        while (clock_mono_ms() < until && !signals_stop_requested()) {
            (void)usleep(50000);
        }
    }
    bound_the_end(s);
    stage_close(s);
    free(s);
    log_line(LOG_INFO, "stopped", LOG_FIELDS(LOG_INT("exit_code", err_exit_code(&e))));
    return err_exit_code(&e);
}
