#include "writer.h"

#include "base/clock.h"
#include "stage/topics.h"

#include <string.h>

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *writer)
{
    struct writer *w = writer;
    (void)rk;
    w->n_waiting--;
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR && w->failed.kind == ERR_NONE) {
        (void)err_set_code(&w->failed, ERR_RETRY, m->err, "%s: not written: %s",
                           rd_kafka_topic_name(m->rkt), rd_kafka_err2str(m->err));
    }
    rd_kafka_timestamp_type_t type;
    int64_t time_ms = rd_kafka_message_timestamp(m, &type);
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR && type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME) {
        w->broker_ms = time_ms;
    }
}

static bool check_topic(const struct writer *w, const char *topic, struct err *e)
{
    uint32_t n_partitions;
    uint8_t id[16];
    if (!topic_describe(w->producer, topic, &n_partitions, id, e)) {
        return false;
    }
    return n_partitions == 1 ||
           err_set(e, ERR_CONFIG,
                   "topic %s has %u partitions, and must have 1: sluice-offsets topics apply",
                   topic, n_partitions);
}

bool writer_open(const struct tool *t, struct writer *w, struct err *e)
{
    *w = (struct writer){.timeout_ms = config_int(t->config, "timeout_ms"), .failed = ERR_INIT};
    const struct kafka_callbacks callbacks = {.opaque = w, .delivered = delivered};
    if (!kafka_open(KAFKA_PLAIN_PRODUCER, &t->kafka, &callbacks, &w->producer, e)) {
        return false;
    }
    if (!check_topic(w, config_str(t->config, "control_topic"), e) ||
        !check_topic(w, config_str(t->config, "audit_topic"), e)) {
        writer_close(w);
        return false;
    }
    return true;
}

void writer_close(struct writer *w)
{
    if (w->producer != NULL) {
        if (w->n_waiting > 0) {
            (void)rd_kafka_purge(w->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
            (void)rd_kafka_flush(w->producer, 1000);
        }
        rd_kafka_destroy(w->producer);
        w->producer = NULL;
    }
}

bool writer_put(struct writer *w, const char *topic, struct slice key, struct slice value,
                struct err *e)
{
    const rd_kafka_vu_t record[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key.ptr, key.len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value.ptr, value.len}},
    };
    if (!kafka_err_take(rd_kafka_produceva(w->producer, record, sizeof record / sizeof record[0]),
                        topic, e)) {
        return false;
    }
    w->n_waiting++;
    return true;
}

bool writer_wait(struct writer *w, struct err *e)
{
    int64_t deadline = clock_mono_ms() + w->timeout_ms;
    while (w->n_waiting > 0 && clock_mono_ms() < deadline) {
        (void)rd_kafka_poll(w->producer, 100);
    }
    if (w->n_waiting > 0) {
        return err_set(
            e, ERR_RETRY,
            "the brokers did not acknowledge within %lld ms: it may or may not be written; see "
            "sluice-control list",
            (long long)w->timeout_ms);
    }
    if (w->failed.kind != ERR_NONE) {
        *e = w->failed;
        err_reset(&w->failed);
        return false;
    }
    return true;
}
