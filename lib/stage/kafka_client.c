#include "stage/kafka_client.h"

#include "run/log.h"
#include "stage/login.h"

#include <stdio.h>
#include <string.h>

/* Below it data is lost or doubled: librdkafka's CHANGELOG, 2.1.0 to 2.12.1. */
enum { OLDEST_VERSION = 0x020c0100 };

/* What exactly-once rests on; a kafka.* property of that name is refused. */
static const char *const ours[] = {
    "isolation.level",       "enable.auto.commit",  "enable.auto.offset.store",
    "auto.offset.reset",     "group.id",            "group.instance.id",
    "transactional.id",      "enable.idempotence",  "partition.assignment.strategy",
    "group.protocol",        "acks",                "request.required.acks",
    "enable.partition.eof",  "session.timeout.ms",  "transaction.timeout.ms",
    "max.poll.interval.ms",  "check.crcs",          "enable.gapless.guarantee",
};

const char *kafka_version_line(void)
{
    static char line[96];
    (void)snprintf(line, sizeof line, "sluice %s, librdkafka %s", SLUICE_VERSION,
                   rd_kafka_version_str());
    return line;
}

static bool is_trouble(int level, const char *facility)
{
    return level <= 4 || strcmp(facility, "REQTMOUT") == 0 || strcmp(facility, "FAIL") == 0;
}

static void forward_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    enum log_level ours_level = level <= 3 ? LOG_ERROR : level <= 5 ? LOG_WARN : LOG_DEBUG;
    log_line(ours_level, "librdkafka", LOG_FIELDS(LOG_STR("client", rk == NULL ? "" : rd_kafka_name(rk)),
             LOG_STR("facility", facility), LOG_STR("text", text)));
}

/* The same, for a client that wants to hear of trouble: its opaque begins with the callback. */
static void watch_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const struct kafka_watch *watch = rk == NULL ? NULL : rd_kafka_opaque(rk);
    if (watch != NULL && is_trouble(level, facility)) {
        watch->trouble((void *)(uintptr_t)watch);
    }
    forward_log(rk, level, facility, text);
}

static bool conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e)
{
    char text[200];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        return err_set(e, ERR_CONFIG, "kafka.%s: %s", name, text);
    }
    return true;
}

static bool conf_set_int(rd_kafka_conf_t *conf, const char *name, int64_t value, struct err *e)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return conf_set(conf, name, text, e);
}

static bool conf_set_config(rd_kafka_conf_t *conf, const struct config *config, struct err *e)
{
    const char *name;
    const char *value;
    bool has_brokers = false;
    for (size_t i = 0; config_kafka(config, i, &name, &value); i++) {
        for (size_t k = 0; k < sizeof ours / sizeof ours[0]; k++) {
            if (strcmp(name, ours[k]) == 0) {
                return err_set(e, ERR_CONFIG,
                               "kafka.%s is set by sluice, since exactly-once rests on it; remove it "
                               "(the stage's own keys are in --help)", name);
            }
        }
        has_brokers |= strcmp(name, "bootstrap.servers") == 0;
        if (!login_owns(name, value) && !conf_set(conf, name, value, e)) {
            return false;
        }
    }
    if (!has_brokers) {
        return err_set(e, ERR_CONFIG, "kafka.bootstrap.servers is not set");
    }
    return true;
}

static bool conf_set_consumer(rd_kafka_conf_t *conf, const struct kafka_settings *s, struct err *e)
{
    return conf_set(conf, "group.id", s->group, e) &&
           conf_set(conf, "partition.assignment.strategy", "cooperative-sticky", e) &&
           conf_set(conf, "enable.auto.commit", "false", e) &&
           conf_set(conf, "enable.auto.offset.store", "false", e) &&
           conf_set(conf, "auto.offset.reset", "error", e) &&
           conf_set_int(conf, "session.timeout.ms", s->session_timeout_ms, e) &&
           conf_set_int(conf, "heartbeat.interval.ms", s->session_timeout_ms / 5, e) &&
           conf_set_int(conf, "max.poll.interval.ms", s->max_poll_interval_ms, e) &&
           (!s->static_membership || conf_set(conf, "group.instance.id", s->instance, e));
}

static bool conf_set_reading(rd_kafka_conf_t *conf, const struct kafka_settings *s, struct err *e)
{
    /* Per partition; half of the memory, shared by up to 32 partitions, is for fetched records. */
    int64_t queued_kb = s->memory_limit_bytes / 1024 / 2 / 32;
    return conf_set(conf, "isolation.level", "read_committed", e) &&
           conf_set(conf, "enable.partition.eof", "true", e) && conf_set(conf, "check.crcs", "true", e) &&
           conf_set_int(conf, "queued.max.messages.kbytes", queued_kb < 1024 ? 1024 : queued_kb, e);
}

static bool conf_set_producer(rd_kafka_conf_t *conf, enum kafka_role role, const struct kafka_settings *s,
                              struct err *e)
{
    if (role == KAFKA_TRANSACTIONAL_PRODUCER) {
        char id[512];
        (void)snprintf(id, sizeof id, "%s-%s", s->group, s->instance);
        return conf_set(conf, "transactional.id", id, e) &&
               conf_set_int(conf, "transaction.timeout.ms", s->transaction_timeout_ms, e);
    }
    /* Dead letters are sent until the brokers have them; they wait in bounded memory. */
    int64_t queue_kb = s->queue_bytes > 0 ? (s->queue_bytes + 1023) / 1024 : s->memory_limit_bytes / 1024 / 16;
    return conf_set(conf, "enable.idempotence", "true", e) &&
           conf_set_int(conf, "message.timeout.ms", s->delivery_timeout_ms, e) &&
           (queue_kb == 0 || conf_set_int(conf, "queue.buffering.max.kbytes", queue_kb, e));
}

/* Our defaults, which a kafka.* property may override. */
static bool conf_set_defaults(rd_kafka_conf_t *conf, enum kafka_role role, const struct kafka_settings *s,
                              struct err *e)
{
    int64_t socket_ms = 10000;
    if (role == KAFKA_TRANSACTIONAL_PRODUCER && s->transaction_timeout_ms < socket_ms) {
        socket_ms = s->transaction_timeout_ms; /* librdkafka insists */
    }
    if (!conf_set_int(conf, "socket.timeout.ms", socket_ms, e) ||
        !conf_set(conf, "reconnect.backoff.ms", "50", e) ||
        !conf_set(conf, "reconnect.backoff.max.ms", "1000", e) ||
        !conf_set(conf, "topic.metadata.refresh.interval.ms", "30000", e)) {
        return false;
    }
    if (role == KAFKA_CONSUMER || role == KAFKA_READER || role == KAFKA_READER_UNCOMMITTED) {
        return conf_set(conf, "fetch.max.bytes", "16777216", e) &&
               conf_set(conf, "fetch.queue.backoff.ms", "20", e) &&
               conf_set(conf, "fetch.error.backoff.ms", "100", e) &&
               conf_set(conf, "max.partition.fetch.bytes", "2097152", e);
    }
    /* A transaction that follows at once finds the markers of the one before still being written, and its
     * AddOffsetsToTxn is refused (CONCURRENT_TRANSACTIONS): asked again soon, as librdkafka itself does for
     * AddPartitionsToTxn. Later retries back off exponentially. */
    /* zstd's level 3, its usual one, takes half as much CPU again for 1.3 % fewer bytes of metrics.valid. */
    return conf_set(conf, "retry.backoff.ms", "10", e) &&
           conf_set(conf, "compression.codec", "zstd", e) && conf_set(conf, "compression.level", "1", e) &&
           conf_set(conf, "linger.ms", "5", e) &&
           conf_set(conf, "message.max.bytes", "8454144", e) &&
           conf_set(conf, "queue.buffering.max.messages", "1000000", e) &&
           conf_set(conf, "queue.buffering.max.kbytes", "1048576", e);
}

static bool conf_build(rd_kafka_conf_t *conf, enum kafka_role role, const struct kafka_settings *s,
                       struct err *e)
{
    if (!conf_set(conf, "client.id", s->instance, e) || !conf_set_defaults(conf, role, s, e) ||
        (login_by_iam(s->config) && !login_prepare(conf, s->config, e)) ||
        !conf_set_config(conf, s->config, e)) {
        return false;
    }
    switch (role) {
    case KAFKA_CONSUMER:
        return conf_set_reading(conf, s, e) && conf_set_consumer(conf, s, e);
    case KAFKA_READER:
    case KAFKA_READER_UNCOMMITTED:
        /* Reads by assignment; the group is named, but nothing is ever committed. */
        /* A fetch that waits at a partition's end would hold up the questions about the next partition,
         * which go through the same connection. */
        return conf_set_reading(conf, s, e) && conf_set(conf, "group.id", s->group, e) &&
               conf_set(conf, "fetch.wait.max.ms", "10", e) &&
               conf_set(conf, "enable.auto.commit", "false", e) &&
               conf_set(conf, "auto.offset.reset", "earliest", e) &&
               (role == KAFKA_READER || conf_set(conf, "isolation.level", "read_uncommitted", e));
    case KAFKA_TRANSACTIONAL_PRODUCER:
    case KAFKA_PLAIN_PRODUCER:
        return conf_set_producer(conf, role, s, e);
    }
    return false;
}

static void conf_set_callbacks(rd_kafka_conf_t *conf, const struct kafka_callbacks *callbacks)
{
    bool watched = callbacks != NULL && callbacks->watched;
    rd_kafka_conf_set_log_cb(conf, watched ? watch_log : forward_log);
    if (callbacks == NULL) {
        return;
    }
    rd_kafka_conf_set_opaque(conf, callbacks->opaque);
    if (callbacks->rebalance != NULL) {
        rd_kafka_conf_set_rebalance_cb(conf, callbacks->rebalance);
    }
    if (callbacks->error != NULL) {
        rd_kafka_conf_set_error_cb(conf, callbacks->error);
    }
    if (callbacks->delivered != NULL) {
        rd_kafka_conf_set_dr_msg_cb(conf, callbacks->delivered);
    }
    if (callbacks->committed != NULL) {
        rd_kafka_conf_set_offset_commit_cb(conf, callbacks->committed);
    }
}

bool kafka_open(enum kafka_role role, const struct kafka_settings *s, const struct kafka_callbacks *callbacks,
                rd_kafka_t **out, struct err *e)
{
    if (rd_kafka_version() < OLDEST_VERSION) {
        return err_set(e, ERR_CONFIG, "librdkafka %s loses or doubles data; 2.12.1 or later is needed",
                       rd_kafka_version_str());
    }
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (!conf_build(conf, role, s, e)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    conf_set_callbacks(conf, callbacks);

    bool consumes = role == KAFKA_CONSUMER || role == KAFKA_READER || role == KAFKA_READER_UNCOMMITTED;
    char text[200];
    rd_kafka_t *rk = rd_kafka_new(consumes ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return err_set(e, ERR_CONFIG, "kafka: %s", text);
    }
    if (login_by_iam(s->config) && !login_start(rk, e)) {
        rd_kafka_destroy(rk);
        return false;
    }
    if (consumes) {
        rd_kafka_poll_set_consumer(rk);
    }
    *out = rk;
    return true;
}

static bool code_is_fenced(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

bool kafka_err_take(rd_kafka_error_t *error, const char *what, struct err *e)
{
    if (error == NULL) {
        return true;
    }
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    enum err_kind kind = ERR_FATAL;
    if (rd_kafka_error_is_fatal(error)) {
        kind = code_is_fenced(code) ? ERR_FENCED : ERR_FATAL;
    } else if (rd_kafka_error_txn_requires_abort(error)) {
        kind = ERR_ABORT;
    } else if (rd_kafka_error_is_retriable(error)) {
        kind = ERR_RETRY;
    }
    (void)err_set_code(e, kind, code, "%s: %s", what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}
