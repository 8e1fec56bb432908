#include "gap_writer.h"

#include "stage/topics.h"

enum { WAIT_MS = 20000, MAX_BYTES = 4096 };

struct waiting {
    size_t n_left;
    rd_kafka_resp_err_t failed;
};

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct waiting *w = opaque;
    (void)rk;
    w->n_left--;
    w->failed = m->err != RD_KAFKA_RESP_ERR_NO_ERROR ? m->err : w->failed;
}

static bool put(rd_kafka_t *rk, const char *topic, const struct gap_record *gap, struct waiting *w, struct err *e)
{
    struct buf value;
    buf_init(&value, MAX_BYTES);
    gap_record_encode(gap, &value);
    const rd_kafka_vu_t record[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {value.ptr, value.len}},
    };
    bool ok = (buf_ok(&value) || err_set(e, ERR_FATAL, "out of memory")) &&
              kafka_err_take(rd_kafka_produceva(rk, record, sizeof record / sizeof record[0]), topic, e);
    w->n_left += ok;
    buf_fini(&value);
    return ok;
}

bool gaps_write(const struct tool *t, const struct gap_record *gaps, size_t n, struct err *e)
{
    const char *topic = config_str(t->config, "gaps_topic");
    struct waiting w = {0};
    const struct kafka_callbacks callbacks = {.opaque = &w, .delivered = delivered};
    rd_kafka_t *rk = NULL;
    uint32_t n_partitions;
    uint8_t id[16];
    bool ok = kafka_open(KAFKA_PLAIN_PRODUCER, &t->kafka, &callbacks, &rk, e) &&
              topic_describe(rk, topic, &n_partitions, id, e);
    for (size_t i = 0; ok && i < n; i++) {
        ok = put(rk, topic, &gaps[i], &w, e);
    }
    if (ok) {
        (void)rd_kafka_flush(rk, WAIT_MS);
        ok = (w.n_left == 0 && w.failed == RD_KAFKA_RESP_ERR_NO_ERROR) ||
             err_set(e, ERR_RETRY, "%s: not written: %s", topic,
                     w.n_left > 0 ? "the brokers did not answer" : rd_kafka_err2str(w.failed));
    }
    if (rk != NULL) {
        (void)rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(rk);
    }
    return ok;
}
