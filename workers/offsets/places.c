#include "places.h"

#include "admin_call.h"
#include "base/clock.h"
#include "stage/kafka_client.h"

#include <string.h>

enum { POLL_MS = 100 };

static rd_kafka_topic_partition_t *find(rd_kafka_topic_partition_list_t *list, const char *topic,
                                        int32_t partition)
{
    return rd_kafka_topic_partition_list_find(list, topic, partition);
}

static void take_infos(const rd_kafka_ListOffsets_result_t *result,
                       rd_kafka_topic_partition_list_t *list)
{
    size_t n;
    const rd_kafka_ListOffsetsResultInfo_t **infos = rd_kafka_ListOffsets_result_infos(result, &n);
    for (size_t i = 0; i < n; i++) {
        const rd_kafka_topic_partition_t *at =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        rd_kafka_topic_partition_t *own = find(list, at->topic, at->partition);
        if (own != NULL) {
            own->err = at->err;
            own->offset = at->err == RD_KAFKA_RESP_ERR_NO_ERROR ? at->offset : PLACE_NONE;
        }
    }
}

bool places_find(rd_kafka_t *rk, enum place_kind kind, rd_kafka_topic_partition_list_t *list,
                 struct err *e)
{
    if (list->cnt == 0) {
        return true;
    }
    rd_kafka_topic_partition_list_t *ask = rd_kafka_topic_partition_list_copy(list);
    for (int i = 0; i < list->cnt; i++) {
        ask->elems[i].offset =
            kind == PLACE_LOW ? RD_KAFKA_OFFSET_SPEC_EARLIEST : RD_KAFKA_OFFSET_SPEC_LATEST;
        list->elems[i].offset = PLACE_NONE;
        list->elems[i].err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE; /* unless it is answered for */
    }
    struct admin_call c = admin_call_begin(rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    rd_kafka_error_t *error = rd_kafka_AdminOptions_set_isolation_level(
        c.options, kind == PLACE_STABLE ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                                        : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED);
    bool ok = kafka_err_take(error, "isolation level", e);
    if (ok) {
        rd_kafka_ListOffsets(rk, ask, c.options, c.queue);
        ok = admin_call_wait(&c, "list offsets", e);
    }
    if (!ok && e->code == RD_KAFKA_RESP_ERR__NOENT) { /* none of them has a leader */
        err_reset(e);
        ok = true;
    } else if (ok) {
        take_infos(rd_kafka_event_ListOffsets_result(c.event), list);
    }
    admin_call_end(&c);
    rd_kafka_topic_partition_list_destroy(ask);
    return ok;
}

/* Which of the list's a message is of; -1: none that still waits. */
static int place_of(const rd_kafka_topic_partition_list_t *list, const rd_kafka_message_t *m,
                    const int64_t *offsets)
{
    const char *topic = m->rkt == NULL ? "" : rd_kafka_topic_name(m->rkt);
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].partition == m->partition && strcmp(list->elems[i].topic, topic) == 0) {
            return offsets[i] == PLACE_NO_ANSWER && m->offset >= list->elems[i].offset ? i : -1;
        }
    }
    return -1;
}

bool places_read(rd_kafka_t *reader, const rd_kafka_topic_partition_list_t *list,
                 int64_t timeout_ms, int64_t *offsets, int64_t *times_ms, struct err *e)
{
    int n_left = list->cnt;
    int64_t deadline = clock_mono_ms() + timeout_ms;
    for (int i = 0; i < list->cnt; i++) {
        offsets[i] = PLACE_NO_ANSWER;
        times_ms[i] = PLACE_NONE;
    }
    rd_kafka_resp_err_t code =
        n_left == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_assign(reader, list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set_code(e, ERR_RETRY, code, "assign: %s", rd_kafka_err2str(code));
    }
    while (n_left > 0 && clock_mono_ms() < deadline) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(reader, POLL_MS);
        bool is_eof = m != NULL && m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
        int i = m == NULL || (m->err != RD_KAFKA_RESP_ERR_NO_ERROR && !is_eof)
                    ? -1
                    : place_of(list, m, offsets);
        if (i >= 0) {
            offsets[i] = is_eof ? PLACE_NONE : m->offset;
            times_ms[i] = is_eof ? PLACE_NONE : rd_kafka_message_timestamp(m, NULL);
            n_left--;
        }
        if (m != NULL) {
            rd_kafka_message_destroy(m);
        }
    }
    (void)rd_kafka_assign(reader, NULL);
    return true;
}
