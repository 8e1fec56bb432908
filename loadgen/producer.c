#include "producer.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#include "run/signals.h"

enum { FULL_WAIT_MS = 20, CLOSE_WAIT_MS = 2000, POLL_EVERY = 64 };

struct producer {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    outlet_result result;
    void *ctx;
    unsigned n_sent;
    bool fatal;
    char trouble[256];
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    struct producer *p = opaque;
    bool acked = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!acked) {
        (void)snprintf(p->trouble, sizeof p->trouble, "%s", rd_kafka_err2str(message->err));
    }
    p->result(p->ctx, (uint64_t)(uintptr_t)message->_private,
              acked ? OUTCOME_ACKED : OUTCOME_UNACKED);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct producer *p = opaque;
    char why[200];
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        (void)rd_kafka_fatal_error(rk, why, sizeof why);
        p->fatal = true;
        reason = why;
    }
    (void)snprintf(p->trouble, sizeof p->trouble, "%s", reason);
}

/* librdkafka's own lines would tear the progress line; errors come by on_error. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

static bool conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e)
{
    char why[200];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) {
        return err_set(e, ERR_CONFIG, "%s", why);
    }
    return true;
}

static bool conf_set_int(rd_kafka_conf_t *conf, const char *name, int64_t value, struct err *e)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return conf_set(conf, name, text, e);
}

static bool conf_property(rd_kafka_conf_t *conf, const char *property, struct err *e)
{
    const char *equals = strchr(property, '=');
    char name[128];
    if (equals == NULL || (size_t)(equals - property) >= sizeof name) {
        return err_set(e, ERR_CONFIG, "\"%s\" is not name=value", property);
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)(equals - property), property);
    return conf_set(conf, name, equals + 1, e);
}

static bool conf_fill(rd_kafka_conf_t *conf, const struct producer_options *o, struct err *e)
{
    bool ok = conf_set(conf, "bootstrap.servers", o->brokers, e) &&
              conf_set(conf, "client.id", "sluice-loadgen", e) &&
              conf_set(conf, "enable.idempotence", "true", e) && conf_set(conf, "acks", "all", e) &&
              conf_set(conf, "compression.type", o->codec, e) &&
              conf_set(conf, "message.max.bytes", "8454144", e) &&
              conf_set(conf, "batch.size", "1000000", e) &&
              conf_set(conf, "queue.buffering.max.messages", "1000000", e) &&
              /* As Java clients do: the same key, the same partition. */
              conf_set(conf, "partitioner", "murmur2_random", e) &&
              /* Unkeyed messages are spread, not lumped together. */
              conf_set(conf, "sticky.partitioning.linger.ms", "0", e) &&
              conf_set_int(conf, "queue.buffering.max.kbytes", o->max_queue_kbytes, e) &&
              conf_set_int(conf, "linger.ms", o->linger_ms, e);
    for (size_t i = 0; ok && i < o->n_properties; i++) {
        ok = conf_property(conf, o->properties[i], e);
    }
    return ok;
}

static void producer_close(void *self)
{
    struct producer *p = self;
    rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(p->rk, CLOSE_WAIT_MS);
    if (p->topic != NULL) {
        rd_kafka_topic_destroy(p->topic);
    }
    rd_kafka_destroy(p->rk);
    free(p);
}

static bool producer_send(void *self, const struct parcel *parcel, struct err *e)
{
    struct producer *p = self;
    /* librdkafka takes no const; with F_COPY it only reads. */
    void *bytes = (void *)(uintptr_t)parcel->bytes.ptr;
    for (;;) {
        if (p->fatal) {
            return err_set(e, ERR_FATAL, "%s", p->trouble);
        }
        int failed = rd_kafka_produce(p->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, bytes,
                                      parcel->bytes.len, parcel->key.ptr, parcel->key.len,
                                      (void *)(uintptr_t)parcel->tag);
        if (failed == 0) {
            break;
        }
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            return err_set(e, ERR_FATAL, "%s", rd_kafka_err2str(code));
        }
        if (signals_stop_requested()) {
            return err_set(e, ERR_ABORT, "stopped while the queue was full");
        }
        rd_kafka_poll(p->rk, FULL_WAIT_MS);
    }
    if (++p->n_sent % POLL_EVERY == 0) {
        rd_kafka_poll(p->rk, 0);
    }
    return true;
}

static void producer_poll(void *self, int timeout_ms)
{
    struct producer *p = self;
    rd_kafka_poll(p->rk, timeout_ms);
}

static int producer_queued(const void *self)
{
    const struct producer *p = self;
    return rd_kafka_outq_len(p->rk);
}

static const char *producer_trouble(const void *self)
{
    const struct producer *p = self;
    return p->trouble;
}

bool producer_open(const struct producer_options *options, struct outlet *out, struct err *e)
{
    struct producer *p = calloc(1, sizeof *p);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (p == NULL || !conf_fill(conf, options, e)) {
        rd_kafka_conf_destroy(conf);
        if (p == NULL) {
            err_set(e, ERR_FATAL, "out of memory");
        }
        free(p);
        return false;
    }
    p->result = options->result;
    p->ctx = options->ctx;
    rd_kafka_conf_set_opaque(conf, p);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    char why[200];
    p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (p->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        free(p);
        return err_set(e, ERR_CONFIG, "%s", why);
    }
    p->topic = rd_kafka_topic_new(p->rk, options->topic, NULL);
    if (p->topic == NULL) {
        err_set(e, ERR_CONFIG, "topic %s: %s", options->topic,
                rd_kafka_err2str(rd_kafka_last_error()));
        producer_close(p);
        return false;
    }
    *out = (struct outlet){.self = p,
                           .send = producer_send,
                           .poll = producer_poll,
                           .queued = producer_queued,
                           .trouble = producer_trouble,
                           .close = producer_close};
    return true;
}
