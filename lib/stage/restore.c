#include "stage/runtime.h"

#include "base/clock.h"
#include "run/log.h"

#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 5000 };

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
    /* With what the loop allows itself before the next poll (assignment.c), within the interval. */
    int64_t limit_ms = s->kafka.max_poll_interval_ms / 2;
    int64_t deadline = clock_mono_ms() + limit_ms;
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
            return err_set(e, ERR_RETRY,
                           "stands at %lld of %lld after %lld ms, half of max_poll_interval_ms: if it gets no "
                           "further, raise that",
                           (long long)position, (long long)end, (long long)limit_ms);
        }
    }
    return true;
}

static bool reader_open(struct stage *s, struct err *e)
{
    return s->reader != NULL || kafka_open(KAFKA_READER, &s->kafka, NULL, &s->reader, e);
}

bool stage_offset_at(struct stage *s, const char *topic, int32_t partition, int64_t timestamp_ms, int64_t *offset,
                     struct err *e)
{
    int64_t low;
    if (!reader_open(s, e)) {
        return false;
    }
    /* The end first: what was committed below it when the time is looked up is older, should nothing be found. */
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(s->reader, topic, partition, &low, offset, CALL_MS);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, topic, partition);
    at->offset = timestamp_ms;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = rd_kafka_offsets_for_times(s->reader, list, CALL_MS);
    }
    code = code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : at->err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && at->offset >= 0 && at->offset < *offset) {
        *offset = at->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_RETRY, code, "%s[%d] by time: %s", topic, partition, rd_kafka_err2str(code));
}

bool stage_restore(struct stage *s, const char *topic, int32_t partition, int64_t from_offset,
                   restore_fn each, void *ctx, struct err *e)
{
    int64_t end;
    if (!reader_open(s, e)) {
        return false;
    }
    if (!topic_end_uncommitted(s->reader, topic, partition, &end, e)) {
        return err_wrap(e, "restore");
    }
    int64_t low;
    int64_t high;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(s->reader, topic, partition, &low, &high, CALL_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set_code(e, ERR_RETRY, code, "restore %s[%d]: %s", topic, partition, rd_kafka_err2str(code));
    }
#if SLUICE_FAULTS
    if (config_bool(s->config, "fault.restore_to_lso")) {
        end = high; /* that of committed transactions */
    }
#endif
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
