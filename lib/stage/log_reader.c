#include "stage/log_reader.h"

#include "base/clock.h"
#include "stage/message.h"
#include "stage/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A person waits: brokers that are away are told of within 10 s. */
enum { CALL_MS = 8000, POLL_MS = 200, STALL_MS = 60000 };

struct log_reader {
    rd_kafka_t *rk;
    char *cluster; /* librdkafka's */
    char topic[250];
    struct partition partition; /* the one that is read; topic: ours */
    int64_t position;           /* of the next record; -1 = nothing is assigned */
    bool at_end;                /* nothing behind position when last looked */
    rd_kafka_message_t *message; /* handed out, or (held) beyond what was asked for */
    bool is_held;
    log_reader_fn watch; /* NULL = nobody */
    void *watch_ctx;
};

bool log_reader_open(const struct kafka_settings *settings, struct log_reader **out, struct err *e)
{
    struct log_reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return err_set(e, ERR_FATAL, "out of memory");
    }
    r->position = -1;
    if (!kafka_open(KAFKA_READER, settings, NULL, &r->rk, e)) {
        free(r);
        return false;
    }
    r->cluster = rd_kafka_clusterid(r->rk, CALL_MS);
    if (r->cluster == NULL) {
        log_reader_close(r);
        return err_set(e, ERR_RETRY,
                       "no broker has answered within %d s: nothing was read or changed; look at "
                       "kafka.bootstrap.servers and at the brokers",
                       CALL_MS / 1000);
    }
    *out = r;
    return true;
}

static void drop_message(struct log_reader *r)
{
    if (r->message != NULL) {
        rd_kafka_message_destroy(r->message);
    }
    r->message = NULL;
    r->is_held = false;
}

void log_reader_close(struct log_reader *r)
{
    if (r == NULL) {
        return;
    }
    drop_message(r);
    if (r->cluster != NULL) {
        rd_kafka_mem_free(r->rk, r->cluster);
        (void)rd_kafka_consumer_close(r->rk);
    }
    rd_kafka_destroy_flags(r->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(r);
}

const char *log_reader_cluster(const struct log_reader *r)
{
    return r->cluster;
}

bool log_reader_topic(struct log_reader *r, const char *topic, struct err *e)
{
    if (strlen(topic) >= sizeof r->topic) {
        return err_set(e, ERR_CONFIG, "%.40s… is longer than a topic's name may be", topic);
    }
    drop_message(r);
    r->position = -1;
    (void)snprintf(r->topic, sizeof r->topic, "%s", topic);
    r->partition = (struct partition){.topic = slice_str(r->topic)};
    return topic_describe(r->rk, topic, &r->partition.n_partitions, r->partition.topic_id, e);
}

uint32_t log_reader_n_partitions(const struct log_reader *r)
{
    return r->partition.n_partitions;
}

const uint8_t *log_reader_topic_id(const struct log_reader *r)
{
    return r->partition.topic_id;
}

static bool asked(const struct log_reader *r, int32_t partition, rd_kafka_resp_err_t code,
                  const char *what, struct err *e)
{
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           err_set_code(e, ERR_RETRY, code, "%s of %s[%d]: %s", what, r->topic, partition,
                        rd_kafka_err2str(code));
}

bool log_reader_bounds(struct log_reader *r, int32_t partition, int64_t *first, int64_t *end,
                       struct err *e)
{
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(r->rk, r->topic, partition, first, end, CALL_MS);
    return asked(r, partition, code, "the ends", e);
}

bool log_reader_at_time(struct log_reader *r, int32_t partition, int64_t timestamp_ms,
                        int64_t *offset, struct err *e)
{
    int64_t first;
    if (!log_reader_bounds(r, partition, &first, offset, e)) {
        return false;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, r->topic, partition);
    at->offset = timestamp_ms < 0 ? 0 : timestamp_ms;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(r->rk, list, CALL_MS);
    code = code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : at->err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && at->offset >= 0 && at->offset < *offset) {
        *offset = at->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return asked(r, partition, code, "the offset at a time", e);
}

bool log_reader_committed(struct log_reader *r, int32_t partition, int64_t *offset,
                          struct buf *metadata, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, r->topic, partition);
    rd_kafka_resp_err_t code = rd_kafka_committed(r->rk, list, CALL_MS);
    code = code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : at->err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *offset = at->offset < 0 ? -1 : at->offset;
        if (metadata != NULL && at->offset >= 0) {
            buf_put(metadata, at->metadata, at->metadata_size);
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return asked(r, partition, code, "the group's commit", e);
}

void log_reader_watch(struct log_reader *r, log_reader_fn each, void *ctx)
{
    r->watch = each;
    r->watch_ctx = ctx;
}

bool log_reader_from(struct log_reader *r, int32_t partition, int64_t offset, struct err *e)
{
    if (r->position == offset && r->partition.number == partition) {
        return true; /* the stretch goes on */
    }
    drop_message(r);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, r->topic, partition)->offset = offset;
    rd_kafka_resp_err_t code = rd_kafka_assign(r->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    r->partition.number = partition;
    r->position = offset;
    r->at_end = false;
    return asked(r, partition, code, "the assignment", e);
}

static bool is_of_before(const struct log_reader *r, const rd_kafka_message_t *m)
{
    bool ours = m->rkt != NULL && m->partition == r->partition.number &&
                strcmp(rd_kafka_topic_name(m->rkt), r->topic) == 0;
    return !ours && (m->rkt != NULL || m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF);
}

/* Waits for a record or the end. */
static bool fetch(struct log_reader *r, struct err *e)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(r->rk, POLL_MS);
    if (m == NULL) {
        return true;
    }
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR && !is_of_before(r, m) && m->offset >= r->position) {
        r->message = m;
        r->is_held = true;
        return true;
    }
    bool ok = true;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && !is_of_before(r, m)) {
        r->position = m->offset > r->position ? m->offset : r->position; /* behind the markers */
        r->at_end = true;
    } else if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR && !is_of_before(r, m)) {
        ok = err_set_code(e, ERR_RETRY, m->err, "%s[%d]@%lld: %s", r->topic, r->partition.number,
                          (long long)r->position, rd_kafka_message_errstr(m));
    }
    rd_kafka_message_destroy(m);
    return ok;
}

bool log_reader_next(struct log_reader *r, int64_t to, struct record *out, bool *any, struct err *e)
{
    int64_t until_ms = clock_mono_ms() + STALL_MS;
    if (!r->is_held) {
        drop_message(r);
    }
    while (!r->is_held && r->position < to) {
        if (!fetch(r, e)) {
            return false;
        }
        if (!r->is_held && r->position < to && clock_mono_ms() > until_ms) {
            return err_set(e, ERR_RETRY, "%s[%d] stands at %lld of %lld: no answer for %d s",
                           r->topic, r->partition.number, (long long)r->position, (long long)to,
                           STALL_MS / 1000);
        }
    }
    *any = r->is_held && r->message->offset < to;
    if (!*any) {
        r->position = r->position < to ? to : r->position;
        return true;
    }
    message_record(r->message, &r->partition, out);
    r->is_held = false;
    r->position = out->offset + 1;
    if (r->watch != NULL) {
        r->watch(r->watch_ctx, out, to);
    }
    return true;
}
