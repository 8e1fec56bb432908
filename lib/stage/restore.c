#include "stage/runtime.h"

#include "base/clock.h"
#include "run/log.h"

#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 5000 };

/* The end of a partition, transactions that are still open included: reading only to the last
 * stable offset would miss rows that are committed a moment later (KAFKA-10167). */
static bool end_uncommitted(rd_kafka_t *rk, const char *topic, int32_t number, int64_t *end, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, number)->offset = RD_KAFKA_OFFSET_SPEC_LATEST;
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    char text[128];
    (void)rd_kafka_AdminOptions_set_request_timeout(options, CALL_MS, text, sizeof text);
    rd_kafka_error_t *ignored =
        rd_kafka_AdminOptions_set_isolation_level(options, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED);
    if (ignored != NULL) {
        rd_kafka_error_destroy(ignored);
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_ListOffsets(rk, list, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CALL_MS + 1000);
    const rd_kafka_ListOffsets_result_t *result =
        event == NULL ? NULL : rd_kafka_event_ListOffsets_result(event);
    bool ok = false;
    if (result != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        size_t n;
        const rd_kafka_ListOffsetsResultInfo_t **infos = rd_kafka_ListOffsets_result_infos(result, &n);
        const rd_kafka_topic_partition_t *at =
            n == 1 ? rd_kafka_ListOffsetsResultInfo_topic_partition(infos[0]) : NULL;
        ok = at != NULL && at->err == RD_KAFKA_RESP_ERR_NO_ERROR && at->offset >= 0;
        if (ok) {
            *end = at->offset;
        }
    }
    if (!ok) {
        (void)err_set(e, ERR_RETRY, "the end of %s[%d] is not to be had yet", topic, number);
    }
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

/* Hands the record on; position moves behind it. False: stop, e is set. */
static bool restore_message(const rd_kafka_message_t *m, struct partition *p, int64_t *position,
                            restore_fn each, void *ctx, struct err *e)
{
    bool is_ours = m->rkt != NULL && m->partition == p->number && slice_eq_str(p->topic, rd_kafka_topic_name(m->rkt));
    if (!is_ours && (m->rkt != NULL || m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)) {
        return true; /* of the partition that was read before */
    }
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        *position = m->offset; /* behind the markers too */
        return true;
    }
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set_code(e, ERR_RETRY, m->err, "read: %s", rd_kafka_message_errstr(m));
    }
    struct record r = {
        .partition = p,
        .offset = m->offset,
        .timestamp_ms = rd_kafka_message_timestamp(m, NULL),
        .key = slice_of(m->key, m->key_len),
        .value = slice_of(m->payload, m->len),
    };
    *position = m->offset + 1;
    return each(ctx, &r, e);
}

static bool restore_read(struct stage *s, struct partition *p, int64_t from_offset, int64_t end,
                         restore_fn each, void *ctx, struct err *e)
{
    int64_t deadline = clock_mono_ms() + s->kafka.max_poll_interval_ms / 4;
    int64_t position = from_offset;
    while (position < end) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(s->reader, 200);
        atomic_store(&s->loop_mono_ms, clock_mono_ms());
        bool ok = m == NULL || restore_message(m, p, &position, each, ctx, e);
        if (m != NULL) {
            rd_kafka_message_destroy(m);
        }
        if (!ok) {
            return false;
        }
        if (clock_mono_ms() > deadline) {
            return err_set(e, ERR_RETRY, "stands at %lld of %lld", (long long)position, (long long)end);
        }
    }
    return true;
}

bool stage_restore(struct stage *s, const char *topic, int32_t partition, int64_t from_offset,
                   restore_fn each, void *ctx, struct err *e)
{
    int64_t end;
    if (s->reader == NULL && !kafka_open(KAFKA_READER, &s->kafka, NULL, &s->reader, e)) {
        return false;
    }
    if (!end_uncommitted(s->reader, topic, partition, &end, e)) {
        return err_wrap(e, "restore");
    }
    int64_t low;
    int64_t high;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(s->reader, topic, partition, &low, &high, CALL_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set_code(e, ERR_RETRY, code, "restore %s[%d]: %s", topic, partition, rd_kafka_err2str(code));
    }
    int64_t from = from_offset < low ? low : from_offset;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = from;
    code = rd_kafka_assign(s->reader, list);
    rd_kafka_topic_partition_list_destroy(list);
    struct partition p = {.topic = slice_str(topic), .number = partition};
    bool ok = code == RD_KAFKA_RESP_ERR_NO_ERROR
                  ? restore_read(s, &p, from, end, each, ctx, e)
                  : err_set_code(e, ERR_RETRY, code, "assign: %s", rd_kafka_err2str(code));
    (void)rd_kafka_assign(s->reader, NULL);
    log_line(LOG_DEBUG, "read back", LOG_FIELDS(LOG_STR("topic", topic), LOG_INT("partition", partition),
                                                LOG_INT("from", from), LOG_INT("end", end), LOG_INT("low", low),
                                                LOG_INT("high", high)));
    return ok || err_wrap(e, "restore %s[%d]", topic, partition);
}
