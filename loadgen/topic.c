#include "topic.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "run/signals.h"

enum { ASK_TIMEOUT_MS = 15000, POLL_MS = 200 };

struct reading {
    rd_kafka_t *rk;
    const char *topic;
    int32_t n_partitions;
    int32_t n_open;    /* partitions not yet read to their end */
    int64_t *end;      /* per partition; -1 = read */
};

static bool conf_fill(rd_kafka_conf_t *conf, const char *brokers, const char *isolation,
                      struct err *e)
{
    const char *const settings[][2] = {
        {"bootstrap.servers", brokers},
        {"client.id", "sluice-loadgen"},
        {"group.id", "sluice-loadgen-verify"},
        {"isolation.level", isolation},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "error"},
        {"check.crcs", "true"},
        {"queued.max.messages.kbytes", "65536"},
        {"fetch.message.max.bytes", "4194304"},
        {"allow.auto.create.topics", "false"},
    };
    char why[200];
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why) !=
            RD_KAFKA_CONF_OK) {
            return err_set(e, ERR_CONFIG, "%s", why);
        }
    }
    return true;
}

static rd_kafka_t *consumer_open(const char *brokers, const char *isolation, struct err *e)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[200];
    if (!conf_fill(conf, brokers, isolation, e)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        err_set(e, ERR_FATAL, "%s", why);
    }
    return rk;
}

static bool partitions_ask(rd_kafka_t *rk, struct reading *r, struct err *e)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, r->topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code =
        handle == NULL ? rd_kafka_last_error()
                       : rd_kafka_metadata(rk, 0, handle, &metadata, ASK_TIMEOUT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                        : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        r->n_partitions = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
        rd_kafka_metadata_destroy(metadata);
    }
    if (handle != NULL) {
        rd_kafka_topic_destroy(handle);
    }
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set(e, ERR_FATAL, "topic %s: %s", r->topic, rd_kafka_err2str(code));
}

/* Where each partition ends, open transactions included. */
static bool ends_ask(rd_kafka_t *rk, struct reading *r, rd_kafka_topic_partition_list_t *list,
                     struct err *e)
{
    for (int32_t i = 0; i < r->n_partitions; i++) {
        int64_t low;
        int64_t high;
        rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(rk, r->topic, i, &low, &high, ASK_TIMEOUT_MS);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return err_set(e, ERR_FATAL, "%s[%d]: %s", r->topic, i, rd_kafka_err2str(code));
        }
        r->end[i] = low < high ? high : -1;
        if (low < high) {
            rd_kafka_topic_partition_list_add(list, r->topic, i)->offset = low;
            r->n_open++;
        }
    }
    return true;
}

static bool plan(struct reading *r, const char *brokers, rd_kafka_topic_partition_list_t *list,
                 struct err *e)
{
    rd_kafka_t *rk = consumer_open(brokers, "read_uncommitted", e);
    if (rk == NULL) {
        return false;
    }
    bool ok = partitions_ask(rk, r, e);
    if (ok) {
        r->end = calloc((size_t)r->n_partitions + 1, sizeof *r->end);
        ok = r->end == NULL ? err_set(e, ERR_FATAL, "out of memory") : ends_ask(rk, r, list, e);
    }
    rd_kafka_destroy(rk);
    return ok;
}

static void partition_done(struct reading *r, int32_t partition, int64_t next_offset)
{
    if (r->end[partition] >= 0 && next_offset >= r->end[partition]) {
        r->end[partition] = -1;
        r->n_open--;
    }
}

static bool event_take(struct reading *r, const rd_kafka_message_t *message, topic_visit visit,
                       void *ctx, struct err *e)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        partition_done(r, message->partition, message->offset);
        return true;
    }
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
        message->err == RD_KAFKA_RESP_ERR__FATAL) {
        return err_set(e, ERR_FATAL, "%s: %s", r->topic, rd_kafka_message_errstr(message));
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return true; /* librdkafka tries again by itself */
    }
    int64_t end = r->end[message->partition];
    if (end < 0 || message->offset >= end) {
        return true; /* came after we began */
    }
    struct topic_record record = {message->partition, message->offset,
                                  slice_of(message->payload, message->len)};
    if (!visit(ctx, &record, e)) {
        return err_wrap(e, "%s[%d]@%" PRId64, r->topic, message->partition, message->offset);
    }
    partition_done(r, message->partition, message->offset + 1);
    return true;
}

static bool read_all(struct reading *r, int64_t wait_ms, topic_visit visit, void *ctx,
                     struct err *e)
{
    int64_t moved_ms = clock_mono_ms();
    while (r->n_open > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(r->rk, POLL_MS);
        if (signals_stop_requested()) {
            rd_kafka_message_destroy(message);
            return err_set(e, ERR_FATAL, "%s: stopped", r->topic);
        }
        if (message == NULL) {
            if (clock_mono_ms() - moved_ms > wait_ms) {
                return err_set(e, ERR_FATAL,
                               "%s: %d partitions could not be read to their ends (a transaction "
                               "that is not decided?)",
                               r->topic, r->n_open);
            }
            continue;
        }
        moved_ms = message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? clock_mono_ms() : moved_ms;
        bool ok = event_take(r, message, visit, ctx, e);
        rd_kafka_message_destroy(message);
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool topic_read(const char *brokers, const char *topic, int64_t wait_ms, topic_visit visit,
                void *ctx, struct err *e)
{
    struct reading r = {.topic = topic};
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    bool ok = plan(&r, brokers, list, e);
    if (ok && r.n_open > 0) {
        r.rk = consumer_open(brokers, "read_committed", e);
        ok = r.rk != NULL;
    }
    if (ok && r.n_open > 0) {
        rd_kafka_resp_err_t code = rd_kafka_assign(r.rk, list);
        ok = code == RD_KAFKA_RESP_ERR_NO_ERROR
                 ? read_all(&r, wait_ms, visit, ctx, e)
                 : err_set(e, ERR_FATAL, "%s: %s", topic, rd_kafka_err2str(code));
    }
    if (r.rk != NULL) {
        (void)rd_kafka_assign(r.rk, NULL);
        rd_kafka_destroy(r.rk);
    }
    rd_kafka_topic_partition_list_destroy(list);
    free(r.end);
    return ok;
}
